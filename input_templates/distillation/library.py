#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Make the library for the other scripts: bred by PolymorphGen, labelled by an EAM.

python library.py                  a few thousand 32-atom cells of aluminium, labelled by Al_mm

Writes library.extxyz, its landscape.csv and landscape.png, and trajectory.extxyz, the frames of an
ordinary melt and quench with the same labels. An interrupted run resumes. If you have DFT or other
labels, give your own file to the other scripts and leave this one out.
"""

import argparse
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path

import ase.io
from ase import Atoms
from ase.build import bulk, find_optimal_cell_shape, make_supercell
from ase.calculators.singlepoint import SinglePointCalculator
from tqdm import tqdm

from ase_calculators import EntropySymmetry, PolymorphGen, map_landscape, plot_landscape
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import LammpsPotential

HERE = Path(__file__).resolve().parent
# Å; as in in.trajectory
ALUMINIUM = {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.75, "smooth": 0.3}
POTENTIAL = "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"
# Å, 0.77 of the crystal's: closer, a MEAM of aluminium has forces up to 50 eV/Å
MIN_DISTANCE = 2.2
# limits of the volume per atom, relative to the smallest and the largest parent
STRETCH = (0.85, 1.1)
RATTLES = (0.0, 0.05, 0.1, 0.15, 0.2)  # Å, displacements of the crystals among the parents


def add_landscape(parser: argparse.ArgumentParser) -> None:
    """Add the options of the landscape, with the values for aluminium.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of a script.
    """
    for name, value in ALUMINIUM.items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=float, default=value, help="Å (%(default)s)")


def landscape_calculator(args: argparse.Namespace) -> EntropySymmetry:
    """Return the calculator that the options of `add_landscape` ask for.

    Parameters
    ----------
    args : argparse.Namespace
        The options.

    Returns
    -------
    EntropySymmetry
        The calculator.
    """
    return EntropySymmetry(**{name: getattr(args, name) for name in ALUMINIUM})


def crystals(n_atoms: int, seed: int) -> list[Atoms]:
    """Make fcc, bcc and hcp crystals with the same number of atoms in nearly cubic cells.

    Parameters
    ----------
    n_atoms : int
        Number of atoms of each, even.
    seed : int
        Random seed of the displacements.

    Returns
    -------
    list of ase.Atoms
        Each crystal with the displacements of RATTLES.
    """
    found = []
    for unit in (
        bulk("Al", "fcc", a=4.045),
        bulk("Al", "bcc", a=3.24),
        bulk("Al", "hcp", a=2.86, c=4.67),
    ):
        shape = find_optimal_cell_shape(unit.cell, n_atoms // len(unit), "sc")
        for number, amplitude in enumerate(RATTLES):
            found.append(make_supercell(unit, shape))
            found[-1].rattle(amplitude, seed=seed + number)
    return found


def label(
    frames: Iterable[Atoms], path: Path, total: int | None = None, potential: str = POTENTIAL
) -> int:
    """Write frames with energy, forces and stress of a potential; keep those already written.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        The frames.
    path : pathlib.Path
        Extended XYZ file, complete or missing.
    total : int, optional
        Number of frames.
    potential : str, optional
        LAMMPS's pair_style and pair_coeff.

    Returns
    -------
    int
        Number of frames in the file.

    Raises
    ------
    SystemExit
        If the file has another number of frames than `total`.
    """
    draft = path.with_suffix(".writing")
    complete = path.is_file()
    n_done = sum(1 for _ in ase.io.iread(path)) if complete else cut(draft)
    if total is not None and (n_done > total or (complete and n_done < total)):
        raise SystemExit(
            f"{path}: holds {n_done} frames and {total} are asked for; use another folder"
        )
    if complete:
        return n_done
    calculator = LammpsPotential(potential, "Al")
    with open(draft, "a", encoding="utf-8") as file:
        for atoms in tqdm(islice(frames, n_done, None), path.name, total, initial=n_done):
            bare = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            calculator.calculate(bare, ["energy", "forces", "stress"])
            results = {key: calculator.results[key] for key in ("energy", "forces", "stress")}
            bare.calc = SinglePointCalculator(bare, **results)
            bare.info["settings"] = potential
            ase.io.write(file, bare, format="extxyz")
            n_done += 1
    draft.replace(path)
    return n_done


def cut(path: Path) -> int:
    """Cut off a frame that an interrupted run left unfinished.

    Parameters
    ----------
    path : pathlib.Path
        Extended XYZ file, or a missing one.

    Returns
    -------
    int
        Number of complete frames.
    """
    n, complete = 0, 0
    if path.is_file():
        with open(path, "r+b") as file:
            while head := file.readline():
                lines = [file.readline() for _ in range(int(head) + 1)]
                if not lines[-1].endswith(b"\n"):
                    break
                n, complete = n + 1, file.tell()
            file.truncate(complete)
    return n


def main() -> None:
    """Read the command line; melt, breed, label and map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--per-edge", type=int, default=55,
        help="cells along both axes of the parents' window; the empty ones are targets "
        "(%(default)s)",
    )  # fmt: skip
    parser.add_argument("--heat", type=int, default=20000, help="steps of heating (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument(
        "--potential", default=POTENTIAL, help="of the labels, pair_style and pair_coeff (an EAM)"
    )
    parser.add_argument("--output", type=Path, default=Path("library"), help="folder (%(default)s)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    folder = args.output.resolve()
    asked = {key: value for key, value in vars(args).items() if key != "output"}
    record = folder / "library.json"
    if record.exists() and json.loads(record.read_text()) != asked:
        parser.error(
            f"--output {args.output}: holds a library of other options; use another folder"
        )
    with atomic_write(record) as file:
        file.write(json.dumps(asked, indent=1) + "\n")

    if not (folder / "trajectory.extxyz").is_file():
        for file in ("in.trajectory", "potential.mod"):
            shutil.copy(HERE / file, folder)
        schedule = {"heat": args.heat, "hold": args.heat // 2, "quench": args.heat // 2}
        words = [w for key, value in schedule.items() for w in ("-var", key, str(value))]
        lmp = str(Path(sys.executable).with_name("lmp"))
        done = subprocess.run(
            [lmp, "-in", "in.trajectory", "-var", "seed", str(4710 + args.seed), *words],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"in.trajectory: LAMMPS says {(done.stdout + done.stderr)[-300:]}")
    n_md = label(
        ase.io.iread(folder / "trajectory.dump"),
        folder / "trajectory.extxyz",
        potential=args.potential,
    )

    calc = EntropySymmetry(**ALUMINIUM)
    melt = ase.io.read(folder / "parents.extxyz", ":")
    start = crystals(len(melt[0]), args.seed) + [
        Atoms(a.symbols, a.positions, cell=a.cell, pbc=a.pbc) for a in melt
    ]
    volumes = [atoms.get_volume() / len(atoms) for atoms in start]
    gen = PolymorphGen(
        start, calc, targets="gaps", targets_per_edge=args.per_edge, expand=0.0, generations=3,
        individuals=1, min_distance=MIN_DISTANCE, seed=args.seed,
        volume_limits=(STRETCH[0] * min(volumes), STRETCH[1] * max(volumes)),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some cells cannot be hit
        n_children = len(gen.run(folder / "children.extxyz"))
    frames = chain(start, ase.io.iread(folder / "children.extxyz"))
    n = label(frames, folder / "library.extxyz", len(start) + n_children, args.potential)
    table = map_landscape(folder / "library.extxyz", calc)
    table.write(folder / "landscape.csv")
    ax = plot_landscape(table, "energy")
    save_figure(ax.figure, folder / "landscape.png", dpi=90)
    print(
        f"{n} frames of {len(start[0])} atoms ({len(start)} of them parents): "
        f"{args.output / 'library.extxyz'}\n"
        f"{n_md} frames of the melt and quench: {args.output / 'trajectory.extxyz'}"
    )


if __name__ == "__main__":
    main()

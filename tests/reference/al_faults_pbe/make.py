#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label stacks, faults, vacancies and surfaces of aluminium with GPAW, PBE.

python make.py                      # all cells; resumes where it was stopped
python make.py --collect            # write what is done, run nothing
python make.py --labels 5           # the first cells only

The cells are labelled in the order of `frames`, ten at a time.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc100, fcc110, fcc111, make_supercell

from ase_calculators.autodft import AutoDFT, DFTSettings
from ase_calculators.autodft.export import export

HERE = Path(__file__).parent
ELEMENT, LATTICE = "Al", 4.04
SEED = 4712
# cells of a batch: a job starts with the most expensive cell, so small batches keep the order
BATCH = 10
# an empty space of more than this along the third vector is no gap between layers, Å
VACUUM = 6.0
# what the ledger says of the machine and not of the label
PRIVATE = ("machine", "job", "folder", "host")


@dataclass(frozen=True)
class StackSettings(DFTSettings):
    """DFT settings with one mesh for all stacks of close-packed layers, whatever their volume.

    A fixed number of points makes meshes of all stacks alike, so that their errors cancel; those of
    `DFTSettings` jump with each change of volume and number of layers.

    Attributes
    ----------
    in_plane : int
        Points along each vector of a close-packed plane.
    layers : int
        Points along the stack of a cell with one layer; L layers have ceil(layers / L).
    """

    in_plane: int = 16
    layers: int = 24

    def mesh(self, atoms: Atoms) -> tuple[int, int, int]:
        """Return the mesh of a cell.

        Parameters
        ----------
        atoms : ase.Atoms
            A cell with one atom a layer, layers along its third vector, or any other one.

        Returns
        -------
        (int, int, int)
            Points along each reciprocal vector; 1 along a vacuum. Other cells have the mesh of
            `DFTSettings`.
        """
        first, second, _ = atoms.cell.array
        area = np.linalg.norm(np.cross(first, second))
        height = atoms.cell.volume / area
        vacuum = np.ptp(atoms.get_scaled_positions()[:, 2]) * height < height - VACUUM
        if max(np.linalg.norm(first), np.linalg.norm(second)) > 1.6 * LATTICE / np.sqrt(2):
            return super().mesh(atoms)
        reciprocal = np.linalg.norm(np.linalg.inv(atoms.cell.array[:2, :2]), axis=0)
        # in a close-packed plane sqrt(area) * |b| is the square root of 2 / sqrt(3)
        points = self.in_plane * reciprocal * np.sqrt(area) / np.sqrt(2 / np.sqrt(3))
        n1, n2 = np.ceil(points - 0.05).astype(int).tolist()
        return n1, n2, 1 if vacuum else -(-self.layers // len(atoms))


def stack(
    steps: Sequence[float], lattice: float = LATTICE, spacings: float | Sequence[float] = 1.0
) -> Atoms:
    """Return close-packed layers, one atom each, shifted against each other.

    Parameters
    ----------
    steps : sequence of float
        Shift from each layer to the next, in units of a/6 <112>; 1 continues fcc, -1 (or 2) is the
        other site, 0 is on top. The last one leads to the first layer of the next cell.
    lattice : float
        Lattice constant of the fcc crystal, Å.
    spacings : float or sequence of float
        Distances to the next layer, in units of the fcc crystal's.

    Returns
    -------
    ase.Atoms
        The cell.
    """
    side, distance = lattice / np.sqrt(2), lattice / np.sqrt(3)
    first = np.array([side, 0.0, 0.0])
    second = np.array([side / 2, side * np.sqrt(3) / 2, 0.0])
    heights = np.concatenate([[0.0], np.cumsum(np.broadcast_to(spacings, len(steps)) * distance)])
    shifts = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.outer(shifts, (first + second) / 3)
    places[:, 2] = heights
    third = places[-1].copy()
    # shifts repeat after 3 steps; the vector closest to the normal
    third -= np.rint(shifts[-1] / 3) * (first + second)
    atoms = Atoms(f"{ELEMENT}{len(steps)}", places[:-1], cell=[first, second, third], pbc=True)
    atoms.wrap()
    return atoms


STACKS = {
    "fcc": [1] * 3,
    "hcp": [1, -1],
    "dhcp": [1, 1, -1, -1],
    "isf": [1] * 7 + [-1],
    "esf": [1] * 5 + [-1] * 2,
    "6h": [1] * 3 + [-1] * 3,
    "9r": [1, 1, -1] * 3,
    "twin": [1] * 4 + [-1] * 4,
}  # fmt: skip


def perfect(lattice: float, spacing: float = 1.0, names: Sequence[str] = tuple(STACKS)):
    """Yield the named stacks at a lattice constant and spacing."""
    for name in names:
        yield stack(STACKS[name], lattice, spacing), f"{name} a={lattice} d={spacing}"


def sheared(lattice: float) -> Iterator[tuple[Atoms, str]]:
    """Yield steps of the fault energy curves: of one plane, of the next, of a third."""
    for name, rest, path in (
        ("gsf", [1] * 5, (0.25, 0.5, 0.75, 1.3, 1.6)),
        ("gpf2", [1] * 4 + [-1], (0.25, 0.5, 0.75)),
        ("gpf3", [1] * 3 + [-1, -1], (0.5,)),
    ):
        for step in path:
            yield stack([*rest, 1 + step], lattice), f"{name} t={step} a={lattice}"


def opened() -> Iterator[tuple[Atoms, str]]:
    """Yield sheared planes that give way."""
    for step, gap in ((0.5, 1.05), (-0.7, 1.12), (1.97, 1.12)):
        yield stack([1] * 5 + [1 + step], LATTICE, [1] * 5 + [gap]), f"gsf t={step} gap={gap}"


def rattled(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield stacks of 4 to 6 layers in random order, sheared here and there, hot."""
    for number in range(18):
        n_layers = (4, 6, 5)[number % 3]
        steps = rng.choice([1.0, -1.0], n_layers)
        if number % 2:
            steps[-1] = rng.uniform(0, 3)
        low = 1.0 if abs(steps[-1] - 3 * np.rint(steps[-1] / 3)) > 0.7 else 1.1
        atoms = stack(
            steps, LATTICE * rng.uniform(0.965, 1.03),
            [*rng.uniform(0.97, 1.04, n_layers - 1), low * rng.uniform(0.98, 1.05)],
        )  # fmt: skip
        amount = (0.03, 0.06, 0.1)[(number // 3) % 3]
        atoms.rattle(amount, rng=rng)
        yield atoms, f"rattled {amount}"


def vacancies(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield fcc cells without one atom, and the same cell with all of them."""
    whole = make_supercell(bulk(ELEMENT, "fcc", a=LATTICE), np.diag([2, 2, 2]))
    yield whole, "8 of 8"
    for scale in (1.0, 0.98, 1.02):
        atoms = whole.copy()
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        del atoms[0]
        yield atoms, f"vacancy, 7 of 8, a={LATTICE * scale:.3f}"
    for amount in (0.03, 0.06, 0.1):
        atoms = whole.copy()
        del atoms[0]
        atoms.rattle(amount, rng=rng)
        yield atoms, f"vacancy, 7 of 8, rattled {amount}"
    whole = bulk(ELEMENT, "fcc", a=LATTICE, cubic=True) * (2, 2, 2)
    del whole[0]
    yield whole.copy(), "vacancy, 31 of 32"
    whole.rattle(0.05, rng=rng)
    yield whole, "vacancy, 31 of 32, rattled 0.05"


def slabs(rng: np.random.Generator) -> Iterator[tuple[Atoms, str]]:
    """Yield surfaces, one atom a layer, 9 Å of vacuum; with the outer layers moved, and hot."""
    for make, name, numbers in (
        (fcc111, "111", (5, 7)), (fcc100, "100", (5, 7)), (fcc110, "110", (7,)),
    ):  # fmt: skip
        for n_layers in numbers:
            atoms = make(ELEMENT, (1, 1, n_layers), a=LATTICE, vacuum=4.5, periodic=True)
            yield atoms, f"slab {name}, {n_layers} layers"
        for amount, shift in ((0.0, -0.08), (0.06, 0.0)):
            atoms = make(ELEMENT, (1, 1, numbers[0]), a=LATTICE, vacuum=4.5, periodic=True)
            heights = atoms.positions[:, 2]
            atoms.positions[heights.argmax(), 2] += shift
            atoms.positions[heights.argmin(), 2] -= shift
            if amount:
                atoms.rattle(amount, rng=rng)
            yield atoms, f"slab {name}, outer layers {shift:+} Å, rattled {amount}"


def frames() -> list[Atoms]:
    """Return all cells in the order in which they are labelled.

    Returns
    -------
    list of ase.Atoms
        The cells; ``info["name"]`` says what each is.
    """
    rng = np.random.default_rng(SEED)
    stacks = [
        *perfect(LATTICE), *perfect(3.92), *sheared(LATTICE), *perfect(4.16),
        *perfect(LATTICE, 0.95, ("fcc", "hcp", "isf")), *perfect(LATTICE, 1.06, ("fcc", "hcp", "isf")),
        *opened(),
    ]  # fmt: skip
    groups = [list(rattled(rng)), list(vacancies(rng)), list(slabs(rng)), list(sheared(3.96))]
    rest = [group[i] for i in range(max(map(len, groups))) for group in groups if i < len(group)]
    cells = []
    for atoms, name in stacks + rest:
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        bare.info = {"name": name}
        cells.append(bare)
    return cells


def main() -> None:
    """Read the command line, label, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("work"), help="(%(default)s)")
    parser.add_argument("--labels", type=int, help="label only the first so many (all)")
    parser.add_argument("--collect", action="store_true", help="write what is done, run nothing")
    parser.add_argument("--output", type=Path, default=HERE / "labels.extxyz")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    # code, PAW set, functional, cutoff, smearing and eigensolver of al_pbe
    settings = StackSettings(
        "gpaw", cutoff=300.0, k_spacing=0.0275, smearing=0.2,
        options={"eigensolver": {"name": "rmm-diis"}},
    )  # fmt: skip
    machine = {"python": sys.executable, "capacity": 1, "minutes": 600,
               "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip
    dft = AutoDFT(args.folder / "labels.db", settings, {"here": machine})
    cells = frames()[: args.labels]
    if not args.collect:
        for start in range(0, len(cells), BATCH):
            added = dft.add(cells[start : start + BATCH])
            for number, reason in added.refused:
                print(f"cell {start + number} is refused: {reason}")
            print(dft.run(), flush=True)
    print(f"{len(cells)} cells; {dft.status()}")
    labelled = {atoms.info["key"]: atoms for atoms in dft.labelled()}
    done = [labelled[key] for key in map(settings.key, cells) if key in labelled]
    for atoms in done:
        for name in PRIVATE:
            atoms.info.pop(name, None)
    if done:
        export(done, args.output, "extxyz", settings)


if __name__ == "__main__":
    main()

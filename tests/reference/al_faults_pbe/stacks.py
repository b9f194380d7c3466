# SPDX-License-Identifier: BSD-3-Clause
"""Stacks of close-packed layers, a mesh that suits them, and a run that resumes; for `make.py`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from ase_calculators.autodft import AutoDFT, DFTSettings
from ase_calculators.autodft.export import export

# an empty space of more than this along the third vector is a vacuum, Å
VACUUM = 6.0
# cells of a batch: a job starts with the most expensive cell, so small batches keep the order
BATCH = 10
# what the ledger says of the machine and not of the label
PRIVATE = ("machine", "job", "folder", "host")


@dataclass(frozen=True)
class StackSettings(DFTSettings):
    """DFT settings with one mesh for all stacks of close-packed layers, whatever their volume.

    A fixed number of points makes meshes of all stacks alike, so that their errors cancel; those of
    `DFTSettings`, which other cells have, jump with each change of volume and number of layers.

    Attributes
    ----------
    in_plane : int
        Points along each vector of a close-packed plane; as many per length in other surfaces.
    layers : int
        Points along the stack of a cell with one layer; L layers have ceil(layers / L).
    """

    in_plane: int = 20
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
            Points along each reciprocal vector; 1 along a vacuum.
        """
        cell = atoms.cell.array
        area = np.linalg.norm(np.cross(cell[0], cell[1]))
        height = atoms.cell.volume / area
        vacuum = np.ptp(atoms.get_scaled_positions()[:, 2]) * height < height - VACUUM
        first, second, _ = atoms.cell.lengths()
        nearest = np.cbrt(np.sqrt(2) * atoms.cell.volume / len(atoms))
        hexagonal = abs(first - second) < 1e-6 and abs(atoms.cell.angles()[2] - 60.0) < 1e-6
        one_a_layer = hexagonal and first < 1.3 * nearest and len(atoms) > 1
        if not one_a_layer and not (vacuum and np.all(cell[:2, 2] == 0.0)):
            return super().mesh(atoms)
        reciprocal = np.linalg.norm(np.linalg.inv(cell[:2, :2]), axis=0)
        # in a close-packed plane sqrt(area) * |b| is the square root of 2 / sqrt(3)
        points = self.in_plane * reciprocal * np.sqrt(area) / np.sqrt(2 / np.sqrt(3))
        n1, n2 = np.ceil(points - 0.05).astype(int).tolist()
        return n1, n2, 1 if vacuum else -(-self.layers // len(atoms))


def stack(
    element: str, steps: Sequence[float], lattice: float, spacings: float | Sequence[float] = 1.0
) -> Atoms:
    """Return close-packed layers, one atom each, shifted against each other.

    Parameters
    ----------
    element : str
        Chemical symbol.
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
    shifts = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.outer(shifts, (first + second) / 3)
    places[1:, 2] = np.cumsum(np.broadcast_to(spacings, len(steps)) * distance)
    # shifts repeat after 3 steps; the vector closest to the normal
    third = places[-1] - np.rint(shifts[-1] / 3) * (first + second)
    atoms = Atoms(f"{element}{len(steps)}", places[:-1], cell=[first, second, third], pbc=True)
    atoms.wrap()
    return atoms


def slab(
    make: Callable[..., Atoms], element: str, n_layers: int, lattice: float, shift: float = 0.0
) -> Atoms:
    """Return a surface, one atom a layer, with 9 Å of vacuum.

    Parameters
    ----------
    make : callable
        fcc111 or another of ase.build.
    element : str
        Chemical symbol.
    n_layers : int
        Number of layers.
    lattice : float
        Lattice constant of the fcc crystal, Å.
    shift : float
        How far both outer layers are moved out, Å.

    Returns
    -------
    ase.Atoms
        The cell.
    """
    atoms = make(element, (1, 1, n_layers), a=lattice, vacuum=4.5, periodic=True)
    heights = atoms.positions[:, 2]
    atoms.positions[heights.argmax(), 2] += shift
    atoms.positions[heights.argmin(), 2] -= shift
    return atoms


# Symmetric stacks need a third vector along the normal, a sum of steps that 3 divides: for a tilted
# one GPAW's grid, which must have the symmetry, has as many points in the plane as along the stack.
STACKS = {
    "fcc": [1] * 3,
    "hcp": [1, -1],
    "dhcp": [1, 1, -1, -1],
    "6h": [1] * 3 + [-1] * 3,
    "9r": [1, 1, -1] * 3,
    "isf5": [1] * 4 + [-1],
    "isf": [1] * 7 + [-1],
    "esf": [1] * 5 + [-1] * 2,
    "twin": [1] * 4 + [-1] * 4,
}


def arguments(description: str, folder: Path, output: str = "labels.extxyz") -> argparse.Namespace:
    """Read the command line of a `make.py`.

    Parameters
    ----------
    description : str
        What it makes.
    folder : pathlib.Path
        Where the labels are written.
    output : str, optional
        Name of their file.

    Returns
    -------
    argparse.Namespace
        Folder, labels, cheapest, cores, collect, output.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, default=Path("work"), help="ledger (%(default)s)")
    parser.add_argument("--labels", type=int, help="label only the first so many (all)")
    parser.add_argument(
        "--cheapest", action="store_true", help="of these, the cheapest cells first"
    )
    parser.add_argument("--cores", type=int, default=1, help="cells at a time (%(default)s)")
    parser.add_argument("--collect", action="store_true", help="write what is done, run nothing")
    parser.add_argument("--output", type=Path, default=folder / output, help="labels, read first")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    return args


def label(cells: Sequence[Atoms], settings: DFTSettings, args: argparse.Namespace) -> None:
    """Label cells in their order and write all that is done.

    What the output or the ledger has already is not calculated again: either is enough to resume.

    Parameters
    ----------
    cells : sequence of ase.Atoms
        The cells.
    settings : DFTSettings
        What is calculated.
    args : argparse.Namespace
        From `arguments`.
    """
    machine = {"python": sys.executable, "capacity": args.cores, "minutes": 600,
               "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip
    dft = AutoDFT(args.folder / "labels.db", settings, {"here": machine})
    written = ase.io.read(args.output, ":") if args.output.exists() else []
    known = {atoms.info["key"]: atoms for atoms in written}
    if not args.collect:
        wanted = [atoms for atoms in cells[: args.labels] if settings.key(atoms) not in known]
        if args.cheapest:
            wanted.sort(key=settings.cost)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            for number, reason in dft.add(batch).refused:
                print(f"{batch[number].info['name']} is refused: {reason}")
            print(dft.run(), flush=True)
    known.update((atoms.info["key"], atoms) for atoms in dft.labelled())
    done = [known[key] for key in map(settings.key, cells) if key in known]
    for atoms in done:
        for name in PRIVATE:
            atoms.info.pop(name, None)
    if done:
        elements = sorted({symbol for atoms in done for symbol in atoms.symbols})
        export(done, args.output, "extxyz", settings, elements)
    print(f"{len(done)} of {len(cells)} cells are labelled; this ledger: {dft.status()}")

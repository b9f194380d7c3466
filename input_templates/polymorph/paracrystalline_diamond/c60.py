#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Build the crystal of C60 that in.paracrystalline compresses: c60.data, for read_data.

python c60.py                                     2 x 2 x 2 cells, 1,920 atoms
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation


def c60_crystal(cells: int = 2, a: float = 14.17, seed: int = 1) -> Atoms:
    """Return C60 molecules on an fcc lattice, each turned at random.

    Parameters
    ----------
    cells : int
        Number of cubic cells of four molecules along each edge.
    a : float
        Lattice constant, Å. At 300 K it is 14.17, and the molecules rotate freely.
    seed : int
        Random seed of the orientations.

    Returns
    -------
    ase.Atoms
        240 cells^3 atoms, each molecule's in a row; the molecules are centred on the lattice.
    """
    ball = molecule("C60").positions
    ball -= ball.mean(axis=0)
    lattice = bulk("C", "fcc", a=a, cubic=True) * (cells, cells, cells)
    turns = Rotation.random(len(lattice), random_state=np.random.default_rng(seed))
    positions = np.concatenate(
        [centre + turn.apply(ball) for centre, turn in zip(lattice.positions, turns, strict=True)]
    )
    atoms = Atoms(f"C{len(positions)}", positions, cell=lattice.cell, pbc=True)
    atoms.wrap()
    return atoms


def main() -> None:
    """Read the command line and write the crystal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=2, help="along each edge (%(default)s)")
    parser.add_argument("--a", type=float, default=14.17, help="lattice constant, Å (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the orientations (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("c60.data"), help="%(default)s")
    args = parser.parse_args()
    # molecules of 7.1 Å, a / sqrt(2) apart, must not come closer than bonds are long
    if args.cells < 1 or not 12.5 <= args.a < np.inf or args.seed < 0:
        parser.error(
            f"--cells {args.cells} --a {args.a:g} --seed {args.seed}: cells must be 1 or more, "
            "a 12.5 Å or more, seed 0 or more"
        )
    atoms = c60_crystal(args.cells, args.a, args.seed)
    ase.io.write(args.output, atoms, format="lammps-data", masses=True)
    print(f"{len(atoms) // 60} C60, {len(atoms)} atoms in a cube of {atoms.cell[0, 0]:.2f} Å: "
          f"{args.output}")  # fmt: skip


if __name__ == "__main__":
    main()

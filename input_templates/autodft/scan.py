#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Scan cutoff and mesh, and print the cheapest settings that hold the tolerances.

python scan.py                                # a few rattled aluminium cells, GPAW, this computer
python scan.py sample.extxyz --machines machines.yaml --code vasp

writes convergence.png and convergence.json. If it is interrupted, run it again: it resumes.
"""

import argparse
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk

from ase_calculators.autodft import converged_settings


def sample(n_frames: int) -> list:
    """Return strained and rattled aluminium cells of one and two atoms.

    Parameters
    ----------
    n_frames : int
        Number of cells.

    Returns
    -------
    list of ase.Atoms
        Cells.
    """
    parents = (bulk("Al", "hcp", a=2.86, c=4.67), bulk("Al", "bcc", a=3.2, cubic=True))
    frames = []
    rng = np.random.default_rng(3)
    for number in range(n_frames):
        atoms = parents[number % 2].copy()
        strain = np.eye(3) + rng.normal(0.0, 0.03, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, rng=rng)
        frames.append(atoms)
    return frames


def main() -> None:
    """Read the command line and scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", nargs="?", type=Path, help="sample (rattled aluminium cells)")
    parser.add_argument("--number", type=int, default=2, help="number of these cells (%(default)s)")
    parser.add_argument("--code", default="gpaw", help="(%(default)s)")
    parser.add_argument("--machines", type=Path, help="(this computer, one job at a time)")
    parser.add_argument("--ledger", default="convergence.db", help="(%(default)s)")
    parser.add_argument(
        "--cutoffs", type=float, nargs="+", default=[200, 250, 300, 350, 400, 500, 600],
        help="eV, the last is the reference (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--k-spacings", type=float, nargs="+", default=[0.10, 0.08, 0.06, 0.05, 0.04, 0.03],
        help="2 pi/Å, the last is the reference (%(default)s)",
    )  # fmt: skip
    for name, allowed, unit in (("energy", 1e-3, "eV/atom"), ("forces", 1e-2, "eV/Å"),
                                ("stress", 0.1, "GPa")):  # fmt: skip
        parser.add_argument(
            f"--{name}", type=float, default=allowed, help=f"allowed error, {unit} (%(default)s)"
        )
    parser.add_argument("--smearing", type=float, default=0.05, help="eV (%(default)s)")
    parser.add_argument("--figure", type=Path, default=Path("convergence.png"))
    args = parser.parse_args()
    try:
        frames = ase.io.read(args.frames, ":") if args.frames else sample(args.number)
    except Exception as error:  # each format has its own errors
        raise SystemExit(f"{args.frames}: cannot be read: {error}") from None
    machines = args.machines or {
        "here": {"python": sys.executable, "environment": {"OMP_NUM_THREADS": 1}}
    }
    try:
        settings = converged_settings(
            args.code,
            {symbol for atoms in frames for symbol in atoms.get_chemical_symbols()},
            frames,
            machines=machines,
            ledger=args.ledger,
            cutoffs=args.cutoffs,
            k_spacings=args.k_spacings,
            energy=args.energy,
            forces=args.forces,
            stress=args.stress,
            smearing=args.smearing,
            figure=args.figure,
        )
    except (ImportError, RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from None
    print(settings)
    print(f"cutoff {settings.cutoff:g} eV, k-spacing {settings.k_spacing:g} 2 pi/Å: {args.figure}")


if __name__ == "__main__":
    main()

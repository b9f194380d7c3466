#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label a few rattled Si2 and Al2 cells with GPAW on this computer, and write DeePMD data.

python demo.py FOLDER

The settings are rough on purpose (300 eV, 2 pi x 0.08 1/Å): the demo shows the steps, its numbers
are not converged.
"""

import argparse
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk

from ase_calculators.autodft import AutoDFT, DFTSettings


def rattled(n_each: int) -> list:
    """Return strained and rattled cells of silicon and aluminium, two atoms each.

    Parameters
    ----------
    n_each : int
        Number of cells of each kind.

    Returns
    -------
    list of ase.Atoms
        Cells.
    """
    frames = []
    rng = np.random.default_rng(1)
    for parent in (bulk("Si"), bulk("Al", "hcp", a=2.86, c=4.67)):
        for seed in range(n_each):
            atoms = parent.copy()
            strain = np.eye(3) + rng.normal(0.0, 0.02, (3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            atoms.rattle(0.08, seed=seed)
            frames.append(atoms)
    return frames


def main() -> None:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="output folder")
    parser.add_argument("--each", type=int, default=4, help="cells of each kind (%(default)s)")
    parser.add_argument("--cutoff", type=float, default=300.0, help="eV (%(default)s)")
    parser.add_argument("--k-spacing", type=float, default=0.08, help="2 pi/Å (%(default)s)")
    parser.add_argument("--capacity", type=int, default=2, help="jobs at once (%(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": sys.executable,
        "capacity": args.capacity,
        "frames": 2,
        "environment": {"OMP_NUM_THREADS": 1},
    }
    dft = AutoDFT(
        args.folder / "labels.db",
        settings=DFTSettings.paper("gpaw", cutoff=args.cutoff, k_spacing=args.k_spacing),
        machines={"here": machine},
        poll=0.5,
    )
    frames = rattled(args.each)
    added = dft.add(frames)
    print(f"{added.new} frames are new, {added.known} were in the ledger")
    try:
        print(dft.run())
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    for format, name in (("deepmd/npy", "deepmd"), ("extxyz", "labels.extxyz")):
        dft.export(args.folder / name, format)
    for label in ase.io.read(args.folder / "labels.extxyz", ":"):
        energy = label.get_potential_energy() / len(label)
        forces = np.abs(label.get_forces()).max()
        print(f"{label.symbols}: {energy:9.4f} eV per atom, largest force {forces:.3f} eV/Å")
    print(f"labels.db, deepmd/ and labels.extxyz are in {args.folder}")


if __name__ == "__main__":
    main()

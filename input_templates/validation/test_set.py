#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write a labelled test set for landscape_errors: rattled and strained crystals and a melt.

python test_set.py && python validate.py landscape_errors --test-set test_set.extxyz

The labels replace DFT: they come from another potential, the Al of NiAlH_jea. Replace the file by
your own frames with energy, forces and stress.
"""

import argparse

import ase.io
import numpy as np
from ase import units
from ase.build import bulk
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from tqdm import tqdm

from ase_calculators.provenance import atomic_write
from ase_calculators.validation import LammpsPotential


def main() -> None:
    """Read the command line, make frames, label and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200, help="number (%(default)s)")
    parser.add_argument("--seed", type=int, default=4711, help="random seed (%(default)s)")
    parser.add_argument("--output", default="test_set.extxyz", help="file (%(default)s)")
    args = parser.parse_args()
    if args.frames < 4:
        parser.error(f"--frames {args.frames}: must be 4 or more")
    labels = "pair_style eam/alloy; pair_coeff * * NiAlH_jea.eam.alloy Al"
    calculator = LammpsPotential(labels, "Al")
    rng = np.random.default_rng(args.seed)
    perfect = bulk("Al", "fcc", a=4.05, cubic=True) * (3, 3, 3)
    frames = []
    melt = perfect.copy()
    melt.set_cell(1.03 * melt.cell.array, scale_atoms=True)
    melt.calc = calculator
    thermalize_momenta(melt, 5000, rng=rng)
    dynamics = Langevin(melt, 3 * units.fs, temperature_K=2000, friction=0.02, rng=rng)
    for k in tqdm(range(args.frames), unit=" frames"):
        if k % 2:
            dynamics.run(10)
            atoms = melt.copy()
        else:
            atoms = perfect.copy()
            strain = np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            atoms.positions += rng.normal(0, rng.uniform(0.02, 0.35), atoms.positions.shape)
        atoms.calc = calculator
        atoms.get_stress()
        labelled = atoms.copy()
        labelled.info["energy"] = atoms.get_potential_energy()
        labelled.info["stress"] = atoms.get_stress()
        labelled.arrays["forces"] = atoms.get_forces()
        frames.append(labelled)
    with atomic_write(args.output) as file:
        ase.io.write(file, frames, format="extxyz")
    print(f"{len(frames)} frames of {len(perfect)} atoms: {args.output}")


if __name__ == "__main__":
    main()

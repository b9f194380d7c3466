#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find the minimum-energy path from graphite to diamond, cell and atoms together, by ASE's NEB.

python neb.py

relaxes graphite and diamond, joins them by a straight line, relaxes that with a climbing image, and
writes neb.extxyz (the images) and neb.csv (their map, with energies).
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from breed import CARBON, DIAMOND, GRAPHITE, crystal
from label import POTENTIALS, lammps_calculator
from tqdm import tqdm

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.provenance import atomic_write


class CellAndAtoms(Calculator):
    """Calculate the energy of a crystal from its atoms and its cell, as one set of coordinates.

    NEB moves atoms in a fixed cell. Here it gets the crystal as N + 3 points: the atoms as they
    are in a reference cell, and the rows of J F, where the deformation F takes the reference
    cell H to the cell H F and x to x F. The length J = (V/N)^(1/3) N^(1/2) makes a strain as long
    as the displacements that go with it (Sheppard et al., J. Chem. Phys. 136, 074103 (2012)).

    Parameters
    ----------
    calculator : ase.calculators.calculator.Calculator
        Calculator of energy, forces and stress of the crystal; may be shared.
    reference : ase.Atoms
        Crystal with the symbols and the cell H.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, calculator: Calculator, reference: Atoms) -> None:
        super().__init__()
        self.calculator, self.reference = calculator, reference
        n = len(reference)
        self.J = (reference.get_volume() / n) ** (1 / 3) * n**0.5

    def points(self, crystal: Atoms) -> Atoms:
        """Return a crystal as points, with this calculator.

        Parameters
        ----------
        crystal : ase.Atoms
            Same atoms as the reference.

        Returns
        -------
        ase.Atoms
            N + 3 points, not periodic.
        """
        F = np.linalg.solve(self.reference.cell.array, crystal.cell.array)
        positions = np.vstack((crystal.positions @ np.linalg.inv(F), self.J * F))
        return Atoms(f"C{len(crystal)}X3", positions, calculator=self)

    def crystal(self, points: Atoms) -> Atoms:
        """Return the crystal that points represent.

        Parameters
        ----------
        points : ase.Atoms
            N + 3 points.

        Returns
        -------
        ase.Atoms
            N atoms, periodic.
        """
        F = points.positions[-3:] / self.J
        atoms = self.reference.copy()
        atoms.set_cell(self.reference.cell.array @ F)
        atoms.positions = points.positions[:-3] @ F
        return atoms

    def calculate(self, atoms, properties=("energy",), system_changes=all_changes):
        """Calculate energy and forces on atoms and cell.

        Parameters
        ----------
        atoms : ase.Atoms
            Points of a crystal.
        properties : sequence of str
            Names of the properties; both are always calculated.
        system_changes : sequence of str
            Changes since the last call.
        """
        super().calculate(atoms, properties, system_changes)
        F = atoms.positions[-3:] / self.J
        crystal = self.crystal(atoms)
        crystal.calc = self.calculator
        virial = crystal.get_volume() * crystal.get_stress(voigt=False)
        # E(x F, H F): dE/dx = dE/dr F^T, and dE/dF = F^-T dE/dstrain
        cell_forces = -np.linalg.solve(F.T, virial) / self.J
        self.results = {
            "energy": crystal.get_potential_energy(),
            "forces": np.vstack((crystal.get_forces() @ F.T, cell_forces)),
        }


def relaxed(atoms: Atoms, calculator: Calculator) -> Atoms:
    """Return a crystal with cell and atoms relaxed.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal; not modified.
    calculator : ase.calculators.calculator.Calculator
        Calculator of its energy.

    Returns
    -------
    ase.Atoms
        Largest force, on atoms and cell, below 1e-4 eV/Å.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=500)
    atoms.calc = None
    return atoms


def main() -> None:
    """Read the command line and find the path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=15, help="with both ends (%(default)s)")
    parser.add_argument(
        "--repeat", type=int, default=1,
        help="cells of 6 atoms along a and b; 2 is the cell of the library (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--fmax", type=float, default=0.02, help="eV/Å (%(default)s)")
    parser.add_argument("--steps", type=int, default=600, help="maximum number (%(default)s)")
    parser.add_argument("--potential", default="lcbop", choices=POTENTIALS)
    args = parser.parse_args()
    if args.images < 3 or args.repeat < 1 or args.fmax <= 0 or args.steps < 1:
        parser.error(
            f"--images {args.images} --repeat {args.repeat} --fmax {args.fmax} --steps "
            f"{args.steps}: must be 3, 1, above 0, 1 or more"
        )
    with lammps_calculator(args.potential) as lammps:
        ends = [relaxed(crystal(*x, args.repeat), lammps) for x in (GRAPHITE, DIAMOND)]
        n = len(ends[0])
        calculators = [CellAndAtoms(lammps, ends[0]) for _ in range(args.images)]
        images = [c.points(ends[k == args.images - 1]) for k, c in enumerate(calculators)]
        neb = NEB(images, k=1.0, climb=False, method="improvedtangent")
        neb.interpolate()
        straight = max(image.get_potential_energy() for image in images)
        with tqdm(total=args.steps, unit=" steps") as bar:
            for climb, fmax in ((False, 5 * args.fmax), (True, args.fmax)):
                neb.climb = climb
                optimizer = FIRE(neb, logfile=None, maxstep=0.05)
                for _ in optimizer.irun(fmax=fmax, steps=max(args.steps - bar.n, 1)):
                    bar.update()
                    top = max(image.get_potential_energy() for image in images[1:-1])
                    bar.set_postfix_str(f"highest image {top / n:.4f} eV per atom", refresh=False)
        frames = []
        for calculator, image in zip(calculators, images, strict=True):
            atoms = calculator.crystal(image)
            atoms.calc = SinglePointCalculator(atoms, energy=image.get_potential_energy())
            frames.append(atoms)
        force = float(np.linalg.norm(neb.get_forces().reshape(-1, 3), axis=1).max())
    with atomic_write("neb.extxyz") as file:
        ase.io.write(file, frames, format="extxyz")
    table = map_landscape("neb.extxyz", EntropySymmetry(**CARBON), progress=False)
    table.parameters["potential"] = args.potential
    table.write("neb.csv")
    energy = table.energy / n
    energy -= energy[0]
    print("image  energy (eV per atom)  a (Å)    c/3 (Å)   sS        Q6")
    for k, atoms in enumerate(frames):
        a, _, c = atoms.cell.lengths()
        print(f"{k:5d} {energy[k]:12.4f} {a / args.repeat:17.4f} {c / 3:9.4f} "
              f"{table.sS[k]:10.3f} {table.Q[k]:8.4f}")  # fmt: skip
    said = "converged" if force <= args.fmax else "NOT converged, allow more --steps"
    straight = straight / n - table.energy[0] / n
    print(f"{said}: largest force {force:.3f} eV/Å; highest on the straight line {straight:.4f} eV")
    print(
        f"barrier {energy.max():.4f} eV per atom from graphite, {energy.max() - energy[-1]:.4f} "
        f"from diamond ({n} atoms together)"
    )
    for path in ("neb.extxyz", "neb.csv"):
        print(Path(path).resolve())


if __name__ == "__main__":
    main()

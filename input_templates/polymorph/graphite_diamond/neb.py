#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find the minimum-energy path from graphite to diamond, cell and atoms together, by ASE's NEB.

python neb.py

relaxes graphite and diamond, joins them by a straight line, relaxes that with a climbing image, and
writes neb.extxyz (the images) and neb.csv (their map, with energies).
"""

import argparse
from pathlib import Path
from typing import NamedTuple

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


class Band(NamedTuple):
    """Hold a band of images.

    Attributes
    ----------
    frames : list of ase.Atoms
        Images, with their energies.
    energy : (k,) float64
        eV per atom, from the first image on.
    start : float
        Highest energy of the band before it was relaxed.
    force : float
        Largest force across the band, eV/Å.
    """

    frames: list[Atoms]
    energy: np.ndarray
    start: float
    force: float


def relax_band(images: list[Atoms], calculator: Calculator, fmax: float, steps: int) -> Band:
    """Relax a band of crystals across itself, cell and atoms together, with a climbing image.

    Parameters
    ----------
    images : list of ase.Atoms
        Crystals with corresponding atoms and cells; the ends stay as they are.
    calculator : ase.calculators.calculator.Calculator
        Calculator of all of them.
    fmax : float
        Largest force to stop at, eV/Å.
    steps : int
        Maximum number of steps.

    Returns
    -------
    Band
        The relaxed band.
    """
    n = len(images[0])
    calculators = [CellAndAtoms(calculator, images[0]) for _ in images]
    points = [c.points(image) for c, image in zip(calculators, images, strict=True)]
    neb = NEB(points, k=1.0, climb=False, method="improvedtangent")
    start = max(image.get_potential_energy() for image in points)
    with tqdm(total=steps, unit=" steps", mininterval=2) as bar:
        for climb, limit in ((False, 5 * fmax), (True, fmax)):
            neb.climb = climb
            optimizer = FIRE(neb, logfile=None, maxstep=0.05)
            for _ in optimizer.irun(fmax=limit, steps=max(steps - bar.n, 1)):
                bar.update()
                top = max(image.get_potential_energy() for image in points[1:-1])
                bar.set_postfix_str(f"highest image {top / n:.4f} eV per atom", refresh=False)
    frames = []
    for c, image in zip(calculators, points, strict=True):
        atoms = c.crystal(image)
        atoms.calc = SinglePointCalculator(atoms, energy=image.get_potential_energy())
        frames.append(atoms)
    force = float(np.linalg.norm(neb.get_forces().reshape(-1, 3), axis=1).max())
    energy = np.array([atoms.get_potential_energy() for atoms in frames]) / n
    return Band(frames, energy - energy[0], start / n - energy[0], force)


def between(one: Atoms, other: Atoms, share: float) -> Atoms:
    """Return a crystal on the straight line between two.

    Parameters
    ----------
    one, other : ase.Atoms
        Crystals with corresponding atoms and cells.
    share : float
        Share of the way, from 0 to 1.

    Returns
    -------
    ase.Atoms
        Cell and fractional coordinates are interpolated.
    """
    atoms = one.copy()
    cells = one.cell.array, other.cell.array
    x, y = (a.positions @ np.linalg.inv(H) for a, H in zip((one, other), cells, strict=True))
    atoms.set_cell((1 - share) * cells[0] + share * cells[1])
    atoms.positions = ((1 - share) * x + share * y) @ atoms.cell.array
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
        images = [between(*ends, share) for share in np.linspace(0, 1, args.images)]
        band = relax_band(images, lammps, args.fmax, args.steps)
    n, frames, energy = len(ends[0]), band.frames, band.energy
    with atomic_write("neb.extxyz") as file:
        ase.io.write(file, frames, format="extxyz")
    table = map_landscape("neb.extxyz", EntropySymmetry(**CARBON), progress=False)
    table.parameters["potential"] = args.potential
    table.write("neb.csv")
    print("image  energy (eV per atom)  a (Å)    c/3 (Å)   sS        Q6")
    for k, atoms in enumerate(frames):
        a, _, c = atoms.cell.lengths()
        print(f"{k:5d} {energy[k]:12.4f} {a / args.repeat:17.4f} {c / 3:9.4f} "
              f"{table.sS[k]:10.3f} {table.Q[k]:8.4f}")  # fmt: skip
    said = "converged" if band.force <= args.fmax else "NOT converged, allow more --steps"
    print(f"{said}: largest force {band.force:.3f} eV/Å; highest on the straight line "
          f"{band.start:.4f} eV")  # fmt: skip
    print(
        f"barrier {energy.max():.4f} eV per atom from graphite, {energy.max() - energy[-1]:.4f} "
        f"from diamond ({n} atoms together)"
    )
    for path in ("neb.extxyz", "neb.csv"):
        print(Path(path).resolve())


if __name__ == "__main__":
    main()

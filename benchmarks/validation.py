# SPDX-License-Identifier: BSD-3-Clause
"""Processor time of the validation suite and of the libraries that it calls, for Al_mm.

Each competitor calls its library directly, with the same settings and calculator.

python benchmarks/validation.py                 all, one minute; table of the template's RESULTS.md
python benchmarks/validation.py vacancy         one of them
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

import atomman
import numpy as np
from ase import Atoms
from ase.constraints import FixedLine
from ase.eos import EquationOfState
from ase.mep import NEB
from ase.optimize import BFGS, FIRE, LBFGS
from matscipy.elasticity import fit_elastic_constants
from phonopy import Phonopy
from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath
from phonopy.structure.atoms import PhonopyAtoms
from scipy.optimize import minimize_scalar

from ase_calculators.validation import PROPERTIES, LammpsPotential, Sample
from ase_calculators.validation.crystal import Crystal, guess, relax
from ase_calculators.validation.property import CheckedCalculator

ROUNDS = 3
SETTINGS = {
    "equation_of_state": {},
    "elastic_constants": {},
    "vacancy": {"length": 12.0, "smaller": 8.0, "images": 3},
    "phonons": {"length": 12.0, "mesh": 60.0},
    "bain_path": {},
    "surfaces": {},
    "gamma_surface": {"n": 4},
}
LIBRARIES = {
    "equation_of_state": "ase.eos", "elastic_constants": "matscipy", "vacancy": "ase.mep.NEB",
    "phonons": "phonopy", "bain_path": "scipy", "surfaces": "atomman", "gamma_surface": "atomman",
}  # fmt: skip


def relaxed(atoms: Atoms, calculator: LammpsPotential, fmax: float) -> Atoms:
    """Relax atoms as the suite does."""
    atoms.calc = calculator
    LBFGS(atoms, logfile=None, maxstep=0.1).run(fmax=fmax, steps=300)
    return atoms


def equation_of_state(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Fit 13 energies, and follow energy and stress along the long curve."""

    def at(x: float) -> Atoms:
        atoms = crystal.with_volume(x * crystal.volume).primitive()
        atoms.calc = calculator
        return atoms

    window = 1 + s["window"] * np.linspace(-1, 1, s["n_fit"])
    energies = [at(x).get_potential_energy() for x in window]
    EquationOfState(window * crystal.volume, energies, eos="birchmurnaghan").fit()
    for x in np.linspace(s["compression"], s["expansion"], s["n_curve"]):
        atoms = at(x)
        atoms.get_potential_energy()
        atoms.get_stress()


def elastic_constants(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Fit by matscipy."""
    atoms = crystal.unit_cell()
    atoms.calc = calculator
    fit_elastic_constants(
        atoms, symmetry="cubic", verbose=False, N_steps=s["n_steps"], delta=s["strain"],
        optimizer=BFGS, fmax=s["fmax"],
    )  # fmt: skip


def vacancy(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Relax two sizes, then a band in the larger one."""
    for length in (s["smaller"], s["length"]):
        perfect = crystal.unit_cell() * crystal.repeats(length)
        start = relaxed(perfect[1:], calculator, s["fmax"])
    vectors = perfect.get_distances(0, range(1, len(perfect)), mic=True, vector=True)
    k = int(np.argmin(np.linalg.norm(vectors, axis=1)))
    end = start.copy()
    end.positions[k] -= vectors[k]
    relaxed(end, calculator, s["fmax"])
    images = [start.copy(), *(start.copy() for _ in range(s["images"])), end]
    for image in images:
        image.calc = calculator
    band = NEB(images, climb=True, allow_shared_calculator=True, method="improvedtangent", k=1.0)
    band.interpolate(mic=True)
    FIRE(band, logfile=None).run(fmax=s["neb_fmax"], steps=300)


def phonons(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Bands and density of states by phonopy."""
    cell = crystal.unit_cell()
    n = max(2, 2 * round(s["length"] / crystal.a / 2))
    phonon = Phonopy(
        PhonopyAtoms(symbols=cell.get_chemical_symbols(), cell=cell.cell.array,
                     scaled_positions=cell.get_scaled_positions()),
        np.diag([n] * 3), primitive_matrix="F",
    )  # fmt: skip
    phonon.generate_displacements(distance=s["displacement"])
    forces = []
    for c in phonon.supercells_with_displacements:
        atoms = Atoms(c.symbols, cell=c.cell, scaled_positions=c.scaled_positions, pbc=True)
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    q, labels, connections = get_band_qpoints_by_seekpath(phonon.primitive, s["n_points"])
    phonon.run_band_structure(q, path_connections=connections, labels=labels)
    phonon.run_mesh(s["mesh"])
    phonon.run_total_dos()


def bain_path(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Minimise over the volume at each c/a, by scipy."""
    from ase.build import bulk

    def energy(ratio: float, volume: float) -> float:
        a = (2 * volume / ratio) ** (1 / 3)
        atoms = bulk("Al", "bct", a=a, c=ratio * a)
        atoms.calc = calculator
        return atoms.get_potential_energy()

    for ratio in np.linspace(s["smallest"], s["largest"], s["n_points"] + 2):
        energy(ratio, crystal.volume)
        minimize_scalar(
            lambda v, ratio=ratio: energy(ratio, v), method="bounded",
            bounds=(0.75 * crystal.volume, 1.35 * crystal.volume),
            options={"xatol": 1e-5 * crystal.volume},
        )  # fmt: skip


def surfaces(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Slabs of atomman."""
    cell = atomman.load("ase_Atoms", crystal.unit_cell())
    for plane in ([1, 0, 0], [1, 1, 0], [1, 1, 1]):
        maker = atomman.defect.FreeSurface(np.array(plane), cell)
        for shift in range(len(maker.shifts)):
            slab = maker.surface(
                shiftindex=shift, minwidth=s["thickness"], vacuumwidth=s["vacuum"]
            ).dump("ase_Atoms")
            slab.pbc = True
            relaxed(slab, calculator, s["fmax"])


def gamma_surface(crystal: Crystal, calculator: LammpsPotential, s: dict) -> None:
    """Faults of atomman, atoms relaxed along the normal."""
    cell = atomman.load("ase_Atoms", crystal.primitive())
    fault = atomman.defect.StackingFault(np.array([1, 1, 1]), cell, conventional_setting="f")
    fault.surface(minwidth=s["thickness"], vacuumwidth=s["vacuum"], even=True, faultpos_rel=0.5)
    for i in range(s["n"]):
        for j in range(s["n"]):
            atoms = fault.fault(a1=i / s["n"], a2=j / s["n"]).dump("ase_Atoms")
            atoms.pbc = True
            atoms.set_constraint(FixedLine(range(len(atoms)), (0, 0, 1)))
            relaxed(atoms, calculator, s["fmax"])


DIRECT = {
    f.__name__: f
    for f in (
        equation_of_state, elastic_constants, vacancy, phonons, bain_path, surfaces, gamma_surface,
    )
}  # fmt: skip


def main() -> None:
    """Run suite and library in turns, print the medians."""
    calculator = LammpsPotential("pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al", "Al")
    checked = CheckedCalculator(calculator)

    def energy(atoms: Atoms) -> float:
        atoms.calc = calculator
        return float(atoms.get_potential_energy())

    crystal = relax(guess("Al", "fcc"), energy)
    print("| property | library | library (s) | suite (s) | ratio |\n|---|---|---|---|---|")
    for name in sys.argv[1:] or SETTINGS:
        changes = SETTINGS[name]
        settings = {**PROPERTIES[name].defaults, **changes}
        seconds: dict[str, list[float]] = {"library": [], "suite": []}
        for _ in range(ROUNDS):
            started = process_time()
            DIRECT[name](crystal, calculator, settings)
            seconds["library"].append(process_time() - started)
            with tempfile.TemporaryDirectory() as folder:
                sample = Sample(checked, None, crystal, {}, Path(folder), {}, False)
                prop = PROPERTIES[name](sample, **changes)
                started = process_time()
                prop.run()
                seconds["suite"].append(process_time() - started)
        a, b = (median(seconds[k]) for k in ("library", "suite"))
        print(f"| {name} | {LIBRARIES[name]} | {a:.3f} | {b:.3f} | {b / a:.2f} |", flush=True)


if __name__ == "__main__":
    main()

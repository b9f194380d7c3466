# SPDX-License-Identifier: BSD-3-Clause
"""Small labelled cells that networks can be trained on in seconds."""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator


def labelled(n, seed=0, strain=0.03):
    """Return strained and rattled cells of aluminium with labels of EMT."""
    rng, frames = np.random.default_rng(seed), []
    for number in range(n):
        atoms = bulk("Al", cubic=True)
        deformation = np.eye(3) + rng.normal(0, strain, (3, 3))
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        atoms.rattle(0.1, seed=seed + number)
        bare, atoms.calc = atoms.copy(), EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        bare.calc = SinglePointCalculator(bare, **results)
        frames.append(bare)
    return frames


def derivatives(teacher, atoms, step):
    """Return two central differences of the energy: by an atom's z, and by the strain xy."""
    energies = []
    for sign in (1, -1):
        moved, strained = atoms.copy(), atoms.copy()
        moved.positions[1, 2] += sign * step
        strain = np.eye(3)
        strain[0, 1] += sign * step / 2
        strain[1, 0] += sign * step / 2
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append([found["energy"] for found in teacher.evaluate([moved, strained])])
    return (np.array(energies[0]) - energies[1]) / (2 * step)

# SPDX-License-Identifier: BSD-3-Clause
"""Linear students of any part of many frames, their errors, and elastic constants of any model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.units import GPa

from ase_calculators.distillation.linear_students import Equations, potential_lines
from ase_calculators.distillation.training import read_profile
from ase_calculators.lammps_potential import LammpsPotential

CONSTANTS = ("C11", "C12", "C44")


class Learning:
    """Frames whose equations are calculated once; each student of some of them is one fit.

    Parameters
    ----------
    kind : {"snap", "qsnap", "pod"}
        Descriptors.
    profile : path-like or str
        Settings, as in `train_student`.
    elements : sequence of str
        Elements of the frames.
    """

    def __init__(
        self, kind: str, profile: str | Path = "small", elements: Sequence[str] = ("Ir",)
    ) -> None:
        self.kind = kind
        self.equations = Equations(kind, list(elements), read_profile(profile, kind))

    def add(self, frames: Sequence[Atoms]) -> list[int]:
        """Add frames.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            Labelled frames.

        Returns
        -------
        list of int
            Their numbers.
        """
        first = len(self.equations.matrices)
        self.equations.extend(frames)
        return list(range(first, len(self.equations.matrices)))

    def commands(self, fit: np.ndarray, folder: Path) -> list[str]:
        """Write a student, and return the commands by which LAMMPS uses it.

        Parameters
        ----------
        fit : (n_coefficients,) ndarray
            Coefficients.
        folder : pathlib.Path
            Folder of the files.

        Returns
        -------
        list of str
            ``pair_style``, ``pair_coeff`` and ``mass``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files, settings = self.equations.write(fit, folder), self.equations.settings
        return [*potential_lines(self.kind, settings, ["Ir"], files), "mass 1 192.217"]


def elastic(calculator: Any, a: float) -> dict[str, float]:
    """Return lattice constant and elastic constants of fcc iridium.

    Parameters
    ----------
    calculator : ase calculator
        Model.
    a : float
        Lattice constant near which the minimum of the energy is searched, 0.8 to 1.25 of its
        volume, Å.

    Returns
    -------
    dict of str to float
        "a", Å; "C11", "C12", "C44", GPa, from the stress under strains of 0.2 %. Empty if the
        energy has no minimum there.
    """
    from scipy.optimize import minimize_scalar

    def crystal(volume: float) -> Atoms:
        atoms = bulk("Ir", "fcc", a=a * np.cbrt(volume))
        atoms.calc = calculator
        return atoms

    grid = np.linspace(0.8, 1.25, 19)
    energies = [crystal(x).get_potential_energy() for x in grid]
    minima = [k for k in range(1, len(grid) - 1)
              if energies[k] <= min(energies[k - 1], energies[k + 1])]  # fmt: skip
    if not minima:
        return {}
    k = min(minima, key=lambda k: abs(grid[k] - 1))  # the nearest: others are beyond the frames
    found = minimize_scalar(
        lambda x: crystal(x).get_potential_energy(), bounds=(grid[k - 1], grid[k + 1]),
        method="bounded", options={"xatol": 1e-6},
    )  # fmt: skip
    atoms = crystal(float(found.x))
    cell, step = atoms.cell.array.copy(), 0.002

    def slope(i: int, j: int) -> np.ndarray:
        stresses = []
        for sign in (1, -1):
            F = np.eye(3)
            F[i, j] += sign * step
            F = 0.5 * (F + F.T)
            atoms.set_cell(cell @ F, scale_atoms=True)
            stresses.append(atoms.get_stress() / GPa)
        return np.asarray((stresses[0] - stresses[1]) / (2 * step))

    along, shear = slope(0, 0), slope(1, 2)
    return {
        "a": float(a * np.cbrt(found.x)), "C11": float(along[0]),
        "C12": float(0.5 * (along[1] + along[2])), "C44": float(shear[3]),
    }  # fmt: skip


def model(commands: str | list[str]) -> LammpsPotential:
    """Return a calculator of LAMMPS commands.

    Parameters
    ----------
    commands : str or list of str
        ``pair_style`` and ``pair_coeff``.

    Returns
    -------
    LammpsPotential
        Calculator.
    """
    return LammpsPotential(commands, "Ir")

# SPDX-License-Identifier: BSD-3-Clause
"""The perfect crystal of a model: fcc, bcc, hcp or diamond, relaxed by energies alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, reference_states

METALLIC = ("fcc", "bcc", "hcp")
STRUCTURES = (*METALLIC, "diamond")
IDEAL = float(np.sqrt(8 / 3))  # c/a of hcp
_ATOMS_PER_CUBE = {"fcc": 4, "bcc": 2, "diamond": 8, "sc": 1}


@dataclass(frozen=True)
class Crystal:
    """A perfect crystal of one element.

    Attributes
    ----------
    element : str
        Chemical symbol.
    structure : {"fcc", "bcc", "hcp", "diamond"}
        Lattice.
    volume : float
        Volume, Å^3 per atom.
    c_over_a : float
        Axial ratio of hcp; 1 for cubic crystals.
    energy : float
        Energy by the model that it was relaxed with, eV per atom.
    """

    element: str
    structure: str
    volume: float
    c_over_a: float = 1.0
    energy: float = np.nan

    @property
    def a(self) -> float:
        """Lattice constant, Å.

        Returns
        -------
        float
            Edge of the cube, or of the hexagon.
        """
        if self.structure == "hcp":
            return float((4 * self.volume / (np.sqrt(3) * self.c_over_a)) ** (1 / 3))
        return float((self.volume * _ATOMS_PER_CUBE[self.structure]) ** (1 / 3))

    @property
    def c(self) -> float:
        """Lattice constant along the axis, Å.

        Returns
        -------
        float
            Equal to `a` for cubic crystals.
        """
        return self.a * self.c_over_a

    def primitive(self) -> Atoms:
        """Return the primitive cell.

        Returns
        -------
        ase.Atoms
            One atom, two for hcp and diamond.
        """
        if self.structure == "hcp":
            return bulk(self.element, "hcp", a=self.a, c=self.c)
        return bulk(self.element, self.structure, a=self.a)

    def unit_cell(self) -> Atoms:
        """Return the conventional cell.

        Returns
        -------
        ase.Atoms
            The cube, or the primitive cell of hcp.
        """
        if self.structure == "hcp":
            return self.primitive()
        return bulk(self.element, self.structure, a=self.a, cubic=True)

    def repeats(self, length: float) -> tuple[int, int, int]:
        """Return the number of conventional cells along each edge of a supercell.

        Parameters
        ----------
        length : float
            Length of the edges, Å.

        Returns
        -------
        (int, int, int)
            Nearest numbers of cells, at least 1.
        """
        edges = self.unit_cell().cell.lengths()
        n = [max(1, round(float(length / edge))) for edge in edges]
        return n[0], n[1], n[2]

    def with_volume(self, volume: float, c_over_a: float | None = None) -> "Crystal":
        """Return the same crystal at another volume.

        Parameters
        ----------
        volume : float
            Volume, Å^3 per atom.
        c_over_a : float, optional
            Axial ratio. Default: unchanged.

        Returns
        -------
        Crystal
            Crystal of unknown energy.
        """
        return Crystal(self.element, self.structure, volume, c_over_a or self.c_over_a)


def guess(
    element: str, structure: str, a: float | None = None, c_over_a: float | None = None
) -> Crystal:
    """Return a guess of a crystal: the volume per atom is that of the element's own crystal.

    Parameters
    ----------
    element : str
        Chemical symbol.
    structure : {"fcc", "bcc", "hcp", "diamond"}
        Lattice.
    a : float, optional
        Lattice constant, Å, in place of the guess.
    c_over_a : float, optional
        Axial ratio of hcp. Default: ideal.

    Returns
    -------
    Crystal
        The guess.

    Raises
    ------
    ValueError
        If the element or the structure is unknown, or ASE knows no simple lattice of the element.

    Examples
    --------
    >>> round(guess("Al", "fcc").a, 2), round(guess("Al", "bcc").a, 2)
    (4.05, 3.21)
    """
    if structure not in STRUCTURES:
        raise ValueError(f"crystal = {structure!r}: choose {', '.join(STRUCTURES)}")
    if element not in atomic_numbers:
        raise ValueError(f"element = {element!r}: is not a chemical symbol; use one such as 'Al'")
    ratio = (c_over_a or IDEAL) if structure == "hcp" else 1.0
    if a is not None:
        cell = np.sqrt(3) / 4 * ratio if structure == "hcp" else 1 / _ATOMS_PER_CUBE[structure]
        return Crystal(element, structure, float(cell * a**3), ratio)
    state: Any = reference_states[atomic_numbers[element]] or {}
    if state.get("symmetry") in _ATOMS_PER_CUBE:
        volume = state["a"] ** 3 / _ATOMS_PER_CUBE[state["symmetry"]]
    elif state.get("symmetry") == "hcp":
        volume = np.sqrt(3) / 4 * state["a"] ** 3 * state["c/a"]
    else:
        raise ValueError(f"element = {element!r}: ASE knows no simple lattice of it; give a=")
    return Crystal(element, structure, float(volume), ratio)


def relax(start: Crystal, energy_of: Callable[[Atoms], float]) -> Crystal:
    """Return the crystal of lowest energy near a guess; needs neither forces nor stress.

    The volume is scanned from 0.6 to 1.6 of the guess, and the lowest minimum inside is refined. A
    hcp crystal starts from the guessed and from the ideal c/a.

    Parameters
    ----------
    start : Crystal
        Guess.
    energy_of : callable
        Function that returns the energy of Atoms, eV.

    Returns
    -------
    Crystal
        The relaxed crystal with its energy.

    Raises
    ------
    ValueError
        If the energy has no minimum in this range, or the model fails at all volumes.
    """
    from scipy.optimize import minimize, minimize_scalar

    failure = ""

    def energy(x: Any) -> float:
        nonlocal failure
        volume, ratio = x
        atoms = start.with_volume(float(volume), float(ratio)).primitive()
        try:
            return float(energy_of(atoms)) / len(atoms)
        except RuntimeError as error:
            failure = str(error)
            return np.inf  # a model may fail far from the minimum

    def best_volume(ratio: float) -> float:
        scan = start.volume * np.linspace(0.6, 1.6, 21)
        energies = np.array([energy((volume, ratio)) for volume in scan])
        if not np.isfinite(energies).any():
            raise ValueError(
                f"crystal = {start.structure!r}: the model fails at all volumes; {failure}"
            )
        inside = [
            k
            for k in range(1, len(scan) - 1)
            if np.isfinite(energies[k]) and energies[k] <= min(energies[k - 1], energies[k + 1])
        ]
        if not inside:
            raise ValueError(
                f"crystal = {start.structure!r}: its energy has no minimum between 0.6 and 1.6 of "
                f"{start.volume:.2f} Å^3 per atom; give a lattice constant by a="
            )
        k = min(inside, key=lambda k: energies[k])
        return float(
            minimize_scalar(
                lambda v: energy((v, ratio)), bracket=(scan[k - 1], scan[k], scan[k + 1]),
                options={"xtol": 1e-9},
            ).x
        )  # fmt: skip

    if start.structure != "hcp":
        volume = best_volume(1.0)
        return Crystal(start.element, start.structure, volume, 1.0, energy((volume, 1.0)))
    best = None
    ratios = dict.fromkeys((start.c_over_a, IDEAL))
    limits = [(0.6 * start.volume, 1.6 * start.volume), (0.7 * min(ratios), 1.4 * max(ratios))]
    for ratio in ratios:
        volume = best_volume(ratio)
        simplex = [(volume, ratio), (1.01 * volume, ratio), (volume, 1.01 * ratio)]
        found = minimize(
            energy, simplex[0], method="Nelder-Mead", bounds=limits,
            options={"initial_simplex": simplex, "xatol": 1e-7, "fatol": 1e-12, "maxiter": 400},
        )  # fmt: skip
        if best is None or found.fun < best.fun - 1e-9:
            best = found
    assert best is not None
    for x, (low, high), what in zip(best.x, limits, ("volume", "c/a"), strict=True):
        if not low * 1.001 < x < high / 1.001:
            raise ValueError(
                f"crystal = 'hcp': its energy has no minimum with {what} between {low:.3g} and "
                f"{high:.3g}; give a lattice constant by a= and c_over_a="
            )
    return Crystal(start.element, "hcp", float(best.x[0]), float(best.x[1]), float(best.fun))


def relaxed_ratio(crystal: Crystal, energy_of: Callable[[Atoms], float]) -> Crystal:
    """Return a hcp crystal with c/a relaxed at constant volume, or a cubic one with its energy.

    The minimum is searched between 0.8 and 1.25 of the given c/a.

    Parameters
    ----------
    crystal : Crystal
        Crystal.
    energy_of : callable
        Function that returns the energy of Atoms, eV.

    Returns
    -------
    Crystal
        The crystal with its energy.
    """
    from scipy.optimize import minimize_scalar

    def energy(ratio: float) -> float:
        atoms = crystal.with_volume(crystal.volume, float(ratio)).primitive()
        return float(energy_of(atoms)) / len(atoms)

    ratio = crystal.c_over_a
    if crystal.structure == "hcp":
        found = minimize_scalar(
            energy, bounds=(0.8 * ratio, 1.25 * ratio), method="bounded", options={"xatol": 1e-6}
        )
        ratio = float(found.x)
    return Crystal(crystal.element, crystal.structure, crystal.volume, ratio, energy(ratio))

# SPDX-License-Identifier: BSD-3-Clause
"""Equivalent cells: descriptions of one crystal, of which one calculation is enough."""

import bisect
import warnings

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.utils.structure_comparator import SymmetryEquivalenceCheck

# radii of the sums over pairs, in units of the cube root of the volume per atom
_RADII = (1.3, 1.6, 2.0)
# relative difference of the sums of equivalent cells: eight decimals of extended XYZ, many atoms
_TOLERANCE = 1e-6


def _numbers(atoms: Atoms) -> tuple[float, ...]:
    """Return numbers that equivalent cells share.

    They are the volume, and sums over pairs of Z_i Z_j (1 - (d / r)^2)^3 within three radii r. An
    atom that moves by 1e-4 Å changes them by more than `_TOLERANCE`.
    """
    length = (atoms.cell.volume / len(atoms)) ** (1 / 3)
    i, j, d = neighbor_list("ijd", atoms, max(_RADII) * length)
    z = atoms.numbers / 100
    charges = z[i] * z[j]
    sums = []
    for radius in _RADII:
        weights = np.clip(1 - (d / (radius * length)) ** 2, 0, None) ** 3
        sums.append(float(charges @ weights))
    return (float(atoms.cell.volume), *sums)


class Equivalents:
    """Index of cells, to find equivalent ones.

    Equivalent cells differ only by the order of the atoms, the origin, the images of the atoms, the
    vectors of the same lattice, a rotation or a reflection. All of these keep the energy and turn
    or reorder the forces. Candidates are found by numbers that depend on none of these, and
    confirmed by ASE's `SymmetryEquivalenceCheck`. Cells that are not periodic in three directions
    or differ in their number of atoms never count as equivalent.
    """

    def __init__(self) -> None:
        # finer tolerances miss equivalent cells because of ASE's rounding; the numbers are finer
        self._check = SymmetryEquivalenceCheck(angle_tol=0.02, ltol=2e-4, stol=2e-3, vol_tol=1e-3)
        self._known: dict[str, list[tuple[tuple[float, ...], str]]] = {}

    def add(self, atoms: Atoms, key: str) -> None:
        """Add a cell to the index.

        Parameters
        ----------
        atoms : ase.Atoms
            Cell to add.
        key : str
            Key of the cell.
        """
        if atoms.pbc.all():
            same = self._known.setdefault(atoms.get_chemical_formula(), [])
            bisect.insort(same, (_numbers(atoms), key))

    def candidates(self, atoms: Atoms) -> list[str]:
        """Return the keys of the cells that may be equivalent.

        Parameters
        ----------
        atoms : ase.Atoms
            Cell to look up.

        Returns
        -------
        list of str
            Keys of the candidates, rarely more than one.
        """
        same = self._known.get(atoms.get_chemical_formula(), [])
        if not same or not atoms.pbc.all():
            return []
        numbers = np.array(_numbers(atoms))
        allowed = _TOLERANCE * np.abs(numbers)
        first = bisect.bisect_left(same, ((numbers[0] - allowed[0],),))
        found = []
        for known, key in same[first:]:
            if known[0] > numbers[0] + allowed[0]:
                break
            if (np.abs(np.array(known) - numbers) <= allowed).all():
                found.append(key)
        return found

    def equal(self, a: Atoms, b: Atoms) -> bool:
        """Return whether two candidates are equivalent.

        Parameters
        ----------
        a, b : ase.Atoms
            Cells to compare.

        Returns
        -------
        bool
            True if an isometry maps one to the other, to about 5 mÅ.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return bool(self._check.compare(a, b))
            except Exception:  # any error of ASE: calculate both rather than lose one
                return False

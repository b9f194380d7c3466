# SPDX-License-Identifier: BSD-3-Clause
"""A frame as plain arrays, which cost less than atoms to make and to send to another process."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers


@dataclass(frozen=True, eq=False, slots=True)
class FrameArrays:
    """Hold a frame; nobody changes its arrays.

    Attributes
    ----------
    numbers : (n,) int
        Atomic numbers.
    positions : (n, 3) float64
        Positions, Å.
    cell : (3, 3) float64
        Lattice vectors as rows, Å.
    pbc : (3,) bool
        Periodic directions.
    energy : float
        Potential energy that came with the frame, eV; NaN if unknown.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float = np.nan

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def of(cls, atoms: Atoms, energy: float = np.nan) -> "FrameArrays":
        """Return copies of the arrays of atoms.

        Parameters
        ----------
        atoms : ase.Atoms
            The atoms; they may move later.
        energy : float
            Potential energy, eV.

        Returns
        -------
        FrameArrays
            The frame.
        """
        arrays = atoms.arrays
        cell, pbc = atoms.cell.array.copy(), atoms.pbc.copy()
        return cls(arrays["numbers"].copy(), arrays["positions"].copy(), cell, pbc, energy)

    def atoms(self) -> Atoms:
        """Return the frame as atoms.

        Returns
        -------
        ase.Atoms
            The atoms, with the energy in ``info``.
        """
        atoms = Atoms(self.numbers, self.positions, cell=self.cell, pbc=self.pbc)
        atoms.info["energy"] = self.energy
        return atoms


def _table_of_symbols() -> np.ndarray:
    table = np.full(26 * 27, -1, dtype=np.int16)
    for symbol, number in atomic_numbers.items():
        second = ord(symbol[1]) - ord("a") + 1 if len(symbol) > 1 else 0
        table[27 * (ord(symbol[0]) - ord("A")) + second] = number
    return table


# atomic numbers by symbol, as `cython_core._kernel.atom_rows` takes them
SYMBOLS = _table_of_symbols()

# SPDX-License-Identifier: BSD-3-Clause
"""Frames as plain arrays, which cost less than atoms to make and to send to another process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

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


@dataclass(frozen=True, eq=False, slots=True)
class FrameBlock:
    """Hold many frames, the atoms of one after those of the other; nobody changes its arrays.

    Attributes
    ----------
    numbers : (n,) int
        Atomic numbers of all atoms.
    positions : (n, 3) float64
        Their positions, Å.
    offsets : (m + 1,) int64
        First atom of each frame: frame k has the atoms offsets[k] to offsets[k + 1].
    cells : (m, 3, 3) float64
        Lattice vectors as rows, Å.
    pbc : (m, 3) bool
        Periodic directions.
    energies : (m,) float64
        Potential energies that came with the frames, eV; NaN if unknown.
    """

    numbers: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    energies: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[FrameArrays]:
        """Read the frames; they share the memory of the block."""
        ends = self.offsets.tolist()
        energies = self.energies.tolist()
        for k, (a, b) in enumerate(pairwise(ends)):
            yield FrameArrays(
                self.numbers[a:b], self.positions[a:b], self.cells[k], self.pbc[k], energies[k]
            )

    @classmethod
    def of(cls, frames: Sequence[FrameArrays]) -> "FrameBlock":
        """Return frames as one block.

        Parameters
        ----------
        frames : sequence of FrameArrays
            The frames.

        Returns
        -------
        FrameBlock
            The frames; the arrays of several are copies.
        """
        if not frames:
            empty = np.empty(0)
            return cls(
                empty.astype(int), empty.reshape(0, 3), np.zeros(1, dtype=np.int64),
                empty.reshape(0, 3, 3), empty.astype(bool).reshape(0, 3), empty,
            )  # fmt: skip
        one = len(frames) == 1  # it may be large
        return cls(
            frames[0].numbers if one else np.concatenate([frame.numbers for frame in frames]),
            frames[0].positions if one else np.concatenate([frame.positions for frame in frames]),
            offsets_of([len(frame) for frame in frames]),
            np.array([frame.cell for frame in frames]),
            np.array([frame.pbc for frame in frames]),
            np.array([frame.energy for frame in frames]),
        )


def offsets_of(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where each of several frames begins, if one follows the other.

    Parameters
    ----------
    counts : (m,) int
        Numbers of atoms.

    Returns
    -------
    (m + 1,) int64
        First atom of each frame, and the number of all atoms.
    """
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _table_of_symbols() -> np.ndarray:
    table = np.full(26 * 27, -1, dtype=np.int16)
    for symbol, number in atomic_numbers.items():
        second = ord(symbol[1]) - ord("a") + 1 if len(symbol) > 1 else 0
        table[27 * (ord(symbol[0]) - ord("A")) + second] = number
    return table


# atomic numbers by symbol, as `atom_rows` and `frame_rows` of `cython_core._kernel` take them
SYMBOLS = _table_of_symbols()

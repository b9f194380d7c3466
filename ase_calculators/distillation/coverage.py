# SPDX-License-Identifier: BSD-3-Clause
"""Coverage of a training set: which frames have no trained neighbour on the landscape."""

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.landscape import LandscapeTable, map_landscape

# frames of a property that are mapped, evenly over its run
_MOST = 64


def cells_away(
    train: LandscapeTable, frames: LandscapeTable, cell: tuple[float, float]
) -> np.ndarray:
    """Return how far frames are from the nearest training frame on the landscape.

    Parameters
    ----------
    train, frames : LandscapeTable
        The training set and the frames.
    cell : (float, float)
        Unit of length along sS and along Q.

    Returns
    -------
    (n,) float64
        Distances in cells, of the rows of `frames`.
    """
    sS = (frames.sS[:, None] - train.sS) / cell[0]
    Q = (frames.Q[:, None] - train.Q) / cell[1]
    return np.sqrt((sS**2 + Q**2).min(axis=1))


class Visits:
    """Structures that properties calculate, a few of each, evenly over its run.

    They are mapped to ``<property>.landscape.csv`` when the next property begins, so that an
    interrupted run keeps those of the finished ones, and by `write`.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the properties.
    calc : EntropySymmetry or None
        Parameters of the landscape. None: nothing is kept.
    """

    def __init__(self, folder: Path, calc: EntropySymmetry | None) -> None:
        self.folder, self.calc = folder, calc
        self.name = ""
        self.frames: list[Atoms] = []
        self._step, self._count = 1, 0

    def __call__(self, name: str, atoms: Atoms) -> None:
        """Keep a structure of a property, or leave it out.

        Parameters
        ----------
        name : str
            The property.
        atoms : ase.Atoms
            The structure.
        """
        if self.calc is None:
            return
        if name != self.name:
            self.write()
            self.name, self._step, self._count = name, 1, 0
        if self._count % self._step == 0:
            self.frames.append(atoms.copy())
            if len(self.frames) == _MOST:
                del self.frames[1::2]
                self._step *= 2
        self._count += 1

    def write(self) -> None:
        """Map the structures of the last property."""
        frames, self.frames = self.frames, []
        if not frames or self.calc is None:
            return
        try:
            table = map_landscape(frames, self.calc, progress=False)
        except ValueError:
            return  # no structure of it has a place, such as an atom alone
        table.write(self.folder / f"{self.name}.landscape.csv")


def outside(
    folder: Path, names: list[str], train: LandscapeTable, cell: tuple[float, float]
) -> dict[str, Any]:
    """Return for each property the share of its structures that no training frame is near to.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of ``<property>.landscape.csv``.
    names : list of str
        The properties.
    train : LandscapeTable
        The training set.
    cell : (float, float)
        Cell of the landscape.

    Returns
    -------
    dict of str to float or None
        Share further than one cell from each training frame; None where it is not known.
    """
    shares: dict[str, Any] = {}
    for name in names:
        shares[name] = None
        try:
            table = LandscapeTable.read(folder / f"{name}.landscape.csv")
        except (OSError, ValueError):
            continue
        if table.parameters == train.parameters:
            shares[name] = float(np.mean(cells_away(train, table, cell) > 1))
    return shares

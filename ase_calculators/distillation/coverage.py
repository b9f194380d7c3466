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
    """Structures that properties calculate, a few of each property, evenly over its run."""

    def __init__(self) -> None:
        self.frames: dict[str, list[Atoms]] = {}
        self._steps: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, name: str, atoms: Atoms) -> None:
        """Keep a structure of a property, or leave it out.

        Parameters
        ----------
        name : str
            The property.
        atoms : ase.Atoms
            The structure.
        """
        kept, step = self.frames.setdefault(name, []), self._steps.setdefault(name, 1)
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        if count % step:
            return
        kept.append(atoms.copy())
        if len(kept) == _MOST:
            del kept[1::2]
            self._steps[name] = 2 * step

    def write(self, folder: Path, calc: EntropySymmetry) -> None:
        """Map the structures of each property to ``<property>.landscape.csv``.

        Parameters
        ----------
        folder : pathlib.Path
            Folder of the properties.
        calc : EntropySymmetry
            Parameters of the landscape.
        """
        for name, frames in self.frames.items():
            try:
                table = map_landscape(frames, calc, progress=False)
            except ValueError:
                continue  # no structure of it has a place, such as an atom alone
            table.write(folder / f"{name}.landscape.csv")


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

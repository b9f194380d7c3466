# SPDX-License-Identifier: BSD-3-Clause
"""Standard, supplementary and test sets of a landscape."""

from typing import Any, NamedTuple

import numpy as np

from ase_calculators.landscape import LandscapeTable
from ase_calculators.selection import multi_resolution


class Sets(NamedTuple):
    """Rows of a landscape's table, ascending; no row is in two of them.

    Attributes
    ----------
    standard : (k,) int64
        Few and even, for first principles.
    supplementary : (l,) int64
        More, filling up the standard ones, for the teacher.
    test : (m,) int64
        Held out, one frame for each finer cell of the cells held out.
    """

    standard: np.ndarray
    supplementary: np.ndarray
    test: np.ndarray


def split_sets(
    table: LandscapeTable,
    standard: tuple[float, float] = (0.1, 0.005),
    supplementary: tuple[float, float] = (0.05, 0.0025),
    test: float = 0.1,
    test_cell: tuple[float, float] = (0.2, 0.01),
    seed: int = 0,
) -> Sets:
    """Split a landscape into standard, supplementary and test sets.

    Whole cells of the landscape are held out, drawn at random among the occupied ones: their frames
    are in no other set, so that what is tested is not the neighbour of what was learned. Of each,
    one frame per `supplementary` cell is tested, so that the test is uniform over the landscape and
    not as crowded as the frames. The other frames go through `multi_resolution`.

    Parameters
    ----------
    table : LandscapeTable
        The landscape. Frames whose sS or Q is not finite are in no set.
    standard : (float, float)
        Cell size (dsS, dQ) of the standard set; dsS in k_B per atom.
    supplementary : (float, float)
        Of the supplementary set, finer.
    test : float
        Share of the occupied cells that is held out, from 0 to below 1; at least one cell where it
        is above 0.
    test_cell : (float, float)
        Size of these cells, not finer than `standard`.
    seed : int
        Seed of the draw.

    Returns
    -------
    Sets
        The rows of each set.

    Raises
    ------
    ValueError
        When an argument is out of its range, or cells are not coarse, medium, fine.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> table = LandscapeTable(
    ...     frame=range(5000), file=[""] * 5000, sS=rng.uniform(-5, -1, 5000),
    ...     Q=rng.uniform(0, 0.5, 5000), n_atoms=[1] * 5000, volume=[1] * 5000,
    ...     energy=[0] * 5000, parameters={"degree": 6})
    >>> [len(rows) for rows in split_sets(table, (0.5, 0.05), (0.25, 0.025), test_cell=(1, 0.1))]
    [72, 216, 32]
    """
    if not 0 <= test < 1:
        raise ValueError(f"test = {test}: must be a share, at least 0 and below 1; use e.g. 0.1")
    for name, size in (("standard", standard), ("supplementary", supplementary)):
        if not (np.shape(size) == (2,) and np.isfinite(size).all() and min(size) > 0):
            raise ValueError(
                f"{name} = {size}: must be a cell (dsS, dQ) of two positive numbers; use e.g. "
                "(0.1, 0.005)"
            )
    if np.shape(test_cell) != (2,) or not (np.array(test_cell) >= np.array(standard)).all():
        raise ValueError(
            f"test_cell = {test_cell}: must be a cell (dsS, dQ) not finer than standard = "
            f"{standard}; use e.g. twice that"
        )
    rounds = multi_resolution(table, [standard, supplementary])  # checks table and sizes
    finite = np.isfinite(table.sS) & np.isfinite(table.Q)
    held_out = np.zeros(len(table), dtype=bool)
    if test > 0:
        points = np.column_stack((table.sS[finite], table.Q[finite]))
        cells, of_frame = np.unique(np.floor(points / test_cell), axis=0, return_inverse=True)
        n = min(max(1, round(test * len(cells))), len(cells) - 1)
        chosen = np.random.default_rng(seed).permutation(len(cells))[:n]
        held_out[finite] = np.isin(of_frame.ravel(), chosen)
        if held_out.any():
            kept = np.flatnonzero(~held_out)
            rounds[held_out] = -1
            rounds[kept] = multi_resolution(_rows(table, kept), [standard, supplementary])
    tested = np.flatnonzero(held_out)
    if len(tested):
        tested = tested[multi_resolution(_rows(table, tested), [supplementary]) == 0]
    return Sets(np.flatnonzero(rounds == 0), np.flatnonzero(rounds == 1), tested)


def _rows(table: LandscapeTable, rows: np.ndarray) -> LandscapeTable:
    names = ("frame", "file", "sS", "Q", "n_atoms", "volume", "energy")
    columns: dict[str, Any] = {name: getattr(table, name)[rows] for name in names}
    return LandscapeTable(**columns, parameters=table.parameters)

# SPDX-License-Identifier: BSD-3-Clause
"""Split of a landscape into standard, supplementary and test frames."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from ase_calculators.frame_source import frame_files, read_frames
from ase_calculators.landscape import LandscapeTable
from ase_calculators.provenance import atomic_writes
from ase_calculators.selection import multi_resolution


class Sets(NamedTuple):
    """A split: rows of a landscape's table, ascending; no row is in two parts.

    Attributes
    ----------
    standard : (k,) int64
        Rows for first principles, few and even.
    supplementary : (l,) int64
        Rows for the teacher, which fill up the standard ones.
    test : (m,) int64
        Rows held out, one for each finer cell of the cells held out.
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
    labelled: np.ndarray | None = None,
) -> Sets:
    """Split a landscape into standard, supplementary and test frames.

    Whole cells of the landscape are held out, drawn at random among the occupied ones. Their frames
    are in no other part, so no test frame is a neighbour of a training frame. One frame per
    `supplementary` cell of them is tested, so that the test is uniform over the landscape, however
    crowded the frames are. The other frames are split by `multi_resolution`.

    Parameters
    ----------
    table : LandscapeTable
        The landscape. Frames whose sS or Q is not finite are in no part.
    standard : (float, float)
        Cell size (dsS, dQ) of the standard frames; dsS in k_B per atom.
    supplementary : (float, float)
        Cell size of the supplementary frames, finer.
    test : float
        Share of the occupied cells (or of those with labelled frames) that is held out, from 0 to
        below 1; at least one cell if it is above 0.
    test_cell : (float, float)
        Size of the cells held out, not finer than `standard`.
    seed : int
        Random seed.
    labelled : (n,) array of bool, optional
        Mask of the frames that first principles have labelled already: standard and test frames
        are taken from them, supplementary frames from the others. Default: labels come later.

    Returns
    -------
    Sets
        Rows of each part.

    Raises
    ------
    ValueError
        If an argument is out of its range, or cells are not coarse, medium, fine.

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
    # checks the sizes and that there are frames, and classifies only one
    multi_resolution(table.take(slice(1)), [standard, supplementary])
    known = np.ones(len(table), dtype=bool) if labelled is None else np.asarray(labelled)
    if known.shape != (len(table),) or known.dtype != bool or not known.any():
        raise ValueError(f"labelled: must mark some of the {len(table)} frames with True")
    finite = np.isfinite(table.sS) & np.isfinite(table.Q)
    held_out = np.zeros(len(table), dtype=bool)
    if test > 0:
        points = np.floor(np.column_stack((table.sS[finite], table.Q[finite])) / test_cell)
        of_frame = np.unique(points, axis=0, return_inverse=True)[1].ravel()
        drawn = np.random.default_rng(seed).permutation(np.unique(of_frame[known[finite]]))
        if len(drawn) < 2:
            raise ValueError(
                f"test_cell = {test_cell}: the frames lie in {len(drawn)} of such cells, of which "
                "none can be held out; use a smaller one, or test = 0"
            )
        n = min(max(1, round(test * len(drawn))), len(drawn) - 1)
        held_out[finite] = np.isin(of_frame, drawn[:n])
    coarse = _thinned(table, known & ~held_out, standard)
    first = np.isin(np.arange(len(table)), coarse)
    others = first | ~known if labelled is not None else known
    fine = _thinned(table, others & ~held_out, supplementary, first)
    return Sets(
        coarse, np.setdiff1d(fine, coarse), _thinned(table, known & held_out, supplementary)
    )


def write_sets(
    sets: Sets,
    table: LandscapeTable,
    frames: str | PathLike[str] | Iterable[Any],
    folder: str | PathLike[str],
    progress: bool = True,
) -> dict[str, Path]:
    """Write the frames of a split as extended XYZ files, with the labels that they have.

    Frames keep their order. Each has its place on the landscape in ``info``, sS and such as Q6, and
    library_frame, its number in its file. All files are replaced, or none is.

    Parameters
    ----------
    sets : Sets
        Rows of the table, as `split_sets` returns them.
    table : LandscapeTable
        The landscape.
    frames : path-like, or iterable of path-like, or iterable of ase.Atoms
        The frames that the landscape was mapped from, one of them in memory at a time.
    folder : path-like
        Folder of standard.extxyz, supplementary.extxyz and test.extxyz.
    progress : bool
        Show the progress bar.

    Returns
    -------
    dict of str to pathlib.Path
        File of each part.

    Raises
    ------
    ValueError
        If the landscape is one of other frames.

    Examples
    --------
    >>> write_sets(split_sets(table), table, "library.extxyz", "sets")  # doctest: +SKIP
    {'standard': PosixPath('sets/standard.extxyz'), ...}
    """
    degree = f"Q{table.parameters['degree']}"
    wanted = {
        (str(table.file[row]), int(table.frame[row])): (name, int(row))
        for name, rows in sets._asdict().items()
        for row in rows
    }
    paths = {name: Path(folder, f"{name}.extxyz") for name in sets._fields}
    Path(folder).mkdir(parents=True, exist_ok=True)
    with atomic_writes(*paths.values()) as opened:
        files = dict(zip(paths, opened, strict=True))
        numbered = tqdm(_numbered(frames, table), "writing", unit=" frames", disable=not progress)
        for key, atoms in numbered:
            if key not in wanted:
                continue
            name, row = wanted.pop(key)
            if len(atoms) != table.n_atoms[row]:
                raise ValueError(
                    f"frames: number {key[1]} has {len(atoms)} atoms, and the landscape says "
                    f"{table.n_atoms[row]}; give the frames that it was mapped from"
                )
            copy = atoms.copy()
            copy.calc = atoms.calc  # its results are the labels
            copy.info |= {
                "sS": float(table.sS[row]), degree: float(table.Q[row]), "library_frame": key[1]
            }  # fmt: skip
            ase.io.write(files[name], copy, format="extxyz")
        if wanted:
            file, number = min(wanted)
            raise ValueError(
                f"frames: number {number}{f' of {file}' if file else ''} is missing, which the "
                "landscape has; give the frames that it was mapped from"
            )
    return paths


def _numbered(frames: Any, table: LandscapeTable) -> Iterator[tuple[tuple[str, int], Atoms]]:
    """Yield frames with file and number, as they are in the table."""
    named = list(dict.fromkeys(map(str, table.file)))
    files = frame_files(frames)
    sources: list[tuple[str, Any]] = [("", frames)]
    if files is not None:
        by_name = {Path(name).name: name for name in named}  # the folder may have moved
        sources = [
            (path if path in named else by_name.get(Path(path).name, path), path) for path in files
        ]
    for file, source in sources:
        for number, atoms in enumerate(read_frames(source)):
            yield (file, number), atoms


def _thinned(
    table: LandscapeTable,
    offered: np.ndarray,
    size: tuple[float, float],
    first: np.ndarray | None = None,
) -> np.ndarray:
    """Return one of the offered rows for each cell, one of `first` if the cell has any."""
    rows = np.flatnonzero(offered)
    if len(rows) == 0:
        return rows
    score = None if first is None else 1.0 - first[rows]
    return rows[multi_resolution(table.take(rows), [size], score) == 0]

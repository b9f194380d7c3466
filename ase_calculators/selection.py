# SPDX-License-Identifier: BSD-3-Clause
"""Multi-resolution classification: landscapes thinned out evenly, coverage, sets.

A resolution (dsS, dQ) cuts the plane into cells: frame (sS, Q) lies in the cell
(floor(sS / dsS), floor(Q / dQ)). The grid is anchored at 0 for every table, so that different
tables, runs and hosts share the same cells. LAMMPS's ``fix entsym/select`` uses them too.
"""

import hashlib
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike, fspath
from os.path import realpath
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole, is_number
from ase_calculators.frame_source import Frame, open_frames
from ase_calculators.landscape import LandscapeTable
from ase_calculators.provenance import atomic_writes

# largest number of cells in a window, and in the rectangle that encloses all frames
MAX_CELLS_IN_WINDOW = 10**8
MAX_CELLS_IN_PLANE = 2**62


def multi_resolution(
    table: LandscapeTable,
    resolutions: Sequence[tuple[float, float]] = ((0.1, 0.005), (0.05, 0.0025)),
    score: str | Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Keep one frame per cell of the landscape, in rounds from a coarse grid to finer ones.

    Each round keeps the best frame of every cell of its grid that has no kept frame yet. Frames of
    earlier rounds stay and cover the finer cells in which they lie. Hence the frames of rounds 0 to
    k together fill every cell of grid k that contains a frame of the table. If each grid divides
    the one before, every such cell has exactly one kept frame, so that the union is even.

    The result does not depend on the order of the frames: ties of the score are resolved by the
    distance to the centre of the cell, then by sS, Q, file and frame.

    Parameters
    ----------
    table : LandscapeTable
        Landscape. Frames whose sS or Q is not finite are never kept.
    resolutions : sequence of (float, float)
        Cell sizes (dsS, dQ) of the rounds, from coarse to fine; dsS in k_B per atom.
    score : "energy" or (n,) array of float, optional
        Score, of which the kept frame of a cell has the lowest value: the energy per atom, or one
        number per row. NaN ranks last. Default: the distance to the centre of the cell, in units of
        the cell.

    Returns
    -------
    (n,) int64
        Number of the round that kept the frame, from 0; -1 if none did.

    Raises
    ------
    ValueError
        If the table is empty, a resolution is not positive, a round is coarser than the one before,
        or the scores do not fit the table.

    Examples
    --------
    >>> table = LandscapeTable(
    ...     frame=[0, 1, 2, 3], file=[""] * 4, sS=[-1.04, -1.06, -1.02, -3.0],
    ...     Q=[0.1026, 0.1021, 0.1036, 0.2], n_atoms=[1] * 4, volume=[1] * 4, energy=[0] * 4,
    ...     parameters={"degree": 6})
    >>> multi_resolution(table)
    array([ 0,  1, -1,  0])
    """
    sizes = _checked_resolutions(resolutions)
    if len(table) == 0:
        raise ValueError("table: has no frames; map at least one")
    ranks = _scores(table, score)
    good = np.flatnonzero(np.isfinite(table.sS) & np.isfinite(table.Q))
    rounds = np.full(len(table), -1, dtype=np.int64)
    for number, size in enumerate(sizes):
        position = np.column_stack((table.sS[good], table.Q[good])) / size
        cells = np.floor(position)
        keys = _keys(cells, size)
        kept = rounds[good] >= 0
        offered = np.flatnonzero(~np.isin(keys, keys[kept])) if kept.any() else slice(None)
        offset = position[offered] - cells[offered] - 0.5
        distance = (offset * offset).sum(axis=1)
        rows = good[offered]
        best = _best_of_cells(keys[offered], distance if ranks is None else ranks[rows])
        # few are left, so that a sort by all keys is cheap; the first of each cell wins
        rows, distance, keys = rows[best], distance[best], keys[offered][best]
        order = np.lexsort(
            (table.frame[rows], table.file[rows], table.Q[rows], table.sS[rows], distance, keys)
        )
        first = np.ones(len(order), dtype=bool)
        first[1:] = keys[order][1:] != keys[order][:-1]
        rounds[rows[order[first]]] = number
    return rounds


class Selection(NamedTuple):
    """Result of `select`.

    Attributes
    ----------
    rows : (k,) int64
        Rows of the selected frames, ascending.
    resolution : (float, float)
        Cell size (dsS, dQ) that selects them.
    """

    rows: np.ndarray
    resolution: tuple[float, float]


def select(
    table: LandscapeTable,
    n: int,
    ratio: float | None = None,
    score: str | Sequence[float] | np.ndarray | None = None,
) -> Selection:
    """Find the resolution that keeps about `n` frames, and return it with these frames.

    Bisection varies the cell size at a fixed ratio dsS : dQ. The number of frames jumps with the
    cell size, so that there may be no grid with exactly `n` frames. The nearest number that
    bisection meets is taken, with a warning if it differs by more than 5 % and by more than one
    frame.

    Parameters
    ----------
    table : LandscapeTable
        Landscape.
    n : int
        Number of frames wanted.
    ratio : float, optional
        Ratio dsS / dQ; 20 for the paper's 0.1 / 0.005. Default: the ratio of the extents of the
        table, so that both axes have the same number of cells.
    score : "energy" or (n,) array of float, optional
        Score, as in `multi_resolution`.

    Returns
    -------
    Selection
        Rows and resolution.

    Raises
    ------
    ValueError
        If `n` is below 1 or above the number of frames with finite sS and Q, or the ratio is not
        positive.

    Warns
    -----
    UserWarning
        If the number of frames differs from `n` by more than 5 % and by more than one frame.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> table = LandscapeTable(
    ...     frame=range(1000), file=[""] * 1000, sS=rng.uniform(-5, -1, 1000),
    ...     Q=rng.uniform(0, 0.5, 1000), n_atoms=[1] * 1000, volume=[1] * 1000, energy=[0] * 1000,
    ...     parameters={"degree": 6})
    >>> chosen = select(table, 100)
    >>> len(chosen.rows)
    100
    """
    points = np.column_stack((table.sS, table.Q))
    points = points[np.isfinite(points).all(axis=1)]
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or not 1 <= n <= len(points):
        raise ValueError(
            f"n = {n}: must be a whole number from 1 to {len(points)}, the frames of the table "
            "with finite sS and Q; ask for fewer or map more"
        )
    extent = np.ptp(points, axis=0)
    if ratio is None:
        ratio = float(extent[0] / extent[1]) if extent.all() else 20.0
    if not (is_number(ratio) and np.isfinite(ratio) and ratio > 0):
        raise ValueError(f"ratio = {ratio}: must be dsS / dQ, a positive number; use e.g. 20")

    shape = np.array([1.0, 1.0 / ratio])
    tried: dict[float, int] = {}

    def count(size: float) -> int:
        keys = _keys(np.floor(points / (size * shape)), size * shape)
        dense = keys.max() < 10 * len(keys)  # counting is then ten times faster than sorting
        occupied = np.count_nonzero(np.bincount(keys)) if dense else len(np.unique(keys))
        tried[size] = int(occupied)
        return tried[size]

    # with cells larger than all coordinates, a grid anchored at 0 has the fewest occupied cells
    coarse = 2.0 * float(max(np.abs(points / shape).max(), np.finfo(float).tiny * 1e10))
    fine, floor = coarse, coarse * 1e-8
    found = count(fine)
    while found < n and fine > floor:
        coarse, fine = fine, fine / 2
        found = count(fine)
    for _ in range(30):
        if n in tried.values():
            break
        middle = math.sqrt(coarse * fine)
        if count(middle) < n:
            coarse = middle
        else:
            fine = middle
    size = min(tried, key=lambda size: (abs(tried[size] - n), -size))
    if abs(tried[size] - n) > max(1.0, 0.05 * n):
        warnings.warn(
            f"n = {n}: the nearest that a grid gives is {tried[size]} frames; many frames may lie "
            "at the same place",
            stacklevel=2,
        )
    resolution = (size, size / ratio)
    rounds = multi_resolution(table, [resolution], score)
    return Selection(np.flatnonzero(rounds == 0), resolution)


class Coverage(NamedTuple):
    """Coverage of a window of the landscape.

    Attributes
    ----------
    share : float
        Number of occupied cells over the number of all cells of the window.
    evenness : float
        Entropy of the occupancy over its maximum, -sum p ln p / ln n_cells, where p is the share of
        the frames in a cell: 1 if all cells hold the same number, 0 if one cell holds all frames or
        there are none.
    empty : (k, 2) float64
        Centres (sS, Q) of the empty cells; of cells on the border, centres of the part inside.
    counts : (n_sS, n_Q) int64
        Number of frames in each cell.
    """

    share: float
    evenness: float
    empty: np.ndarray
    counts: np.ndarray


def coverage(
    table: LandscapeTable,
    window: tuple[float, float, float, float] | None = None,
    resolution: tuple[float, float] = (0.1, 0.005),
) -> Coverage:
    """Compute how many cells of a window hold frames, and how evenly.

    Parameters
    ----------
    table : LandscapeTable
        Landscape. Frames outside the window do not count; frames on its border do.
    window : (float, float, float, float), optional
        Limits sS_min, sS_max, Q_min, Q_max. All cells that overlap with the window belong to it.
        Default: the extents of the table.
    resolution : (float, float)
        Cell size (dsS, dQ).

    Returns
    -------
    Coverage
        Share, evenness, empty cells and counts.

    Raises
    ------
    ValueError
        If the window is not finite or its limits are in the wrong order, the resolution is not
        positive or too fine, or there is neither a window nor a frame.

    Examples
    --------
    >>> table = LandscapeTable(
    ...     frame=[0, 1], file=["", ""], sS=[-1.5, -0.5], Q=[0.15, 0.05], n_atoms=[1] * 2,
    ...     volume=[1] * 2, energy=[0] * 2, parameters={"degree": 6})
    >>> coverage(table, (-2, 0, 0, 0.2), (1.0, 0.1))[:3]
    (0.5, 0.5, array([[-1.5 ,  0.05],
           [-0.5 ,  0.15]]))
    """
    size = _checked_resolutions([resolution])[0]
    points = np.column_stack((table.sS, table.Q))
    points = points[np.isfinite(points).all(axis=1)]
    if window is None:
        if len(points) == 0:
            raise ValueError("window = None: the table has no frames to take it from; give one")
        low, high = points.min(axis=0), points.max(axis=0)
        first, last = np.floor(low / size), np.floor(high / size)
    else:
        rule = "must be sS_min < sS_max, Q_min < Q_max, all finite"
        ends = _floats(window, "window", rule)
        if ends.shape != (4,) or not np.isfinite(ends).all() or not (ends[::2] < ends[1::2]).all():
            raise ValueError(f"window = {' '.join(str(window).split())}: {rule}")
        low, high = ends.reshape(2, 2).T
        # rounding must not add a cell to a window that ends at the border of a cell
        first, last = np.floor(low / size + 1e-9), np.ceil(high / size - 1e-9) - 1
    shape = last - first + 1
    if shape.prod() > MAX_CELLS_IN_WINDOW:
        raise ValueError(
            f"resolution = {tuple(resolution)}: cuts the window into {shape.prod():.3g} cells; at "
            f"most {MAX_CELLS_IN_WINDOW:.0e} are possible, use a coarser one"
        )
    n_sS, n_Q = shape.astype(int).tolist()
    inside = points[((points >= low) & (points <= high)).all(axis=1)]
    cells = np.clip(np.floor(inside / size) - first, 0, shape - 1).astype(np.int64)
    counts = np.bincount(cells @ [n_Q, 1], minlength=n_sS * n_Q)

    shares = counts[counts > 0] / max(len(inside), 1)
    entropy = -float(shares @ np.log(shares))
    evenness = entropy / math.log(len(counts)) if len(counts) > 1 else float(len(inside) > 0)
    corners = np.column_stack(np.unravel_index(np.flatnonzero(counts == 0), (n_sS, n_Q))) + first
    empty = (np.maximum(corners * size, low) + np.minimum((corners + 1) * size, high)) / 2
    return Coverage(
        share=float(np.count_nonzero(counts) / len(counts)),
        evenness=abs(evenness),  # not -0.0
        empty=empty,
        counts=counts.reshape(n_sS, n_Q),
    )


def _floats(value: Any, what: str, rule: str) -> np.ndarray:
    """Return a copy as a float array; `rule` ends the error text."""
    try:
        return np.array(value, dtype=float)
    except (TypeError, ValueError):
        text = value if isinstance(value, np.ndarray) else repr(value)
        raise ValueError(f"{what} = {' '.join(str(text).split())[:80]}: {rule}") from None


def _checked_resolutions(resolutions: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the cell sizes as (rounds, 2), each positive and none coarser than the one before."""
    sizes = _floats(resolutions, "resolutions", "must be pairs (dsS, dQ); use e.g. [(0.1, 0.005)]")
    if sizes.ndim != 2 or sizes.shape[1] != 2 or len(sizes) == 0:
        raise ValueError(
            f"resolutions = {resolutions}: must be pairs (dsS, dQ); use e.g. [(0.1, 0.005)]"
        )
    for number, size in enumerate(sizes):
        if not (np.isfinite(size) & (size > 0)).all():
            raise ValueError(
                f"resolution = {tuple(size.tolist())}: dsS and dQ must be positive; use e.g. "
                "(0.1, 0.005)"
            )
        if number and ((size > sizes[number - 1]).any() or (size == sizes[number - 1]).all()):
            raise ValueError(
                f"resolutions: {tuple(size.tolist())} comes after "
                f"{tuple(sizes[number - 1].tolist())}; rounds must go from coarse to fine"
            )
    return sizes


def _scores(table: LandscapeTable, score: Any) -> np.ndarray | None:
    """Return the scores, with infinity for NaN; None for the distance."""
    if score is None:
        return None
    if isinstance(score, str):
        if score != "energy":
            raise ValueError(f"score = {score!r}: must be 'energy', an array, or None")
        ranks = table.energy / table.n_atoms
        if np.isnan(ranks).all():
            raise ValueError(
                "score = 'energy': no frame of the table has one; map the landscape with energies="
            )
    else:
        ranks = _floats(score, "score", "must be 'energy', an array, or None")
        if ranks.shape != (len(table),):
            raise ValueError(
                f"score: has shape {ranks.shape}; one number per row is needed, ({len(table)},)"
            )
    return np.where(np.isnan(ranks), np.inf, ranks)


def _keys(cells: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return a number for each cell (n, 2) that sorts as the cells do."""
    if len(cells) == 0:
        return np.empty(0, dtype=np.int64)
    low = cells.min(axis=0)
    shape = cells.max(axis=0) - low + 1
    if not shape.prod() < MAX_CELLS_IN_PLANE:
        raise ValueError(
            f"resolution = {tuple(np.asarray(size).tolist())}: too fine for landscapes of "
            f"{shape[0]:.3g} by {shape[1]:.3g} cells; use a coarser one"
        )
    cells = (cells - low).astype(np.int64)
    return cells[:, 0] * int(shape[1]) + cells[:, 1]


def _best_of_cells(keys: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the rows with the lowest rank in their cell, ties included."""
    order = np.argsort(keys, kind="stable")
    keys, ranks = keys[order], ranks[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    if len(starts) == 0:
        return order
    lowest = np.minimum.reduceat(ranks, starts)
    return order[ranks == np.repeat(lowest, np.diff(np.r_[starts, len(keys)]))]


# --- files of frames ------------------------------------------------------------------------------


def write_sets(
    table: LandscapeTable,
    rounds: np.ndarray,
    standard: str | PathLike[str] = "standard.extxyz",
    supplementary: str | PathLike[str] = "supplementary.extxyz",
    standard_rounds: int = 1,
    frames: Iterable[Atoms] | None = None,
    format: str | None = None,
    progress: bool = True,
    **read_options: Any,
) -> tuple[int, int]:
    """Write the kept frames to two extended XYZ files, one of the first and one of later rounds.

    The standard set is small (10 to 1,000 frames, for DFT), the supplementary set is larger (100 to
    10,000 frames, for a teacher). No frame is in both. Frames are read again from the files that
    the table names, one by one, and written in the order of file and number, with species,
    positions, cell and pbc. Energies and forces of the source are left out, because they would pass
    for labels. ``info`` of each frame contains sS, Q6 (or Q of another degree), round, the
    `parameters` of the table, the source as `file` and `frame`, its energy as `source_energy`, eV,
    and `selection`, a hash that all frames of the two files share.

    Both files are replaced when both are complete (`atomic_writes`): an error or an interruption
    keeps the old ones. An interruption between the two replacements leaves a new standard and an
    old supplementary set, whose `selection` differ; call again.

    Parameters
    ----------
    table : LandscapeTable
        Landscape.
    rounds : (n,) array of int
        Rounds of the frames, from `multi_resolution`.
    standard : path-like
        File of the first rounds, replaced; the suffixes .gz, .bz2 and .xz compress.
    supplementary : path-like
        File of the later rounds, likewise.
    standard_rounds : int
        Number of rounds, from the first, that form the standard set.
    frames : iterable of ase.Atoms, optional
        Structures, for a table that was not mapped from files.
    format : str, optional
        ASE's name of the files' format. Default: ASE's guess.
    progress : bool
        Show a progress bar.
    **read_options : Any
        Options of ASE's reader, as for `map_landscape`.

    Returns
    -------
    (int, int)
        Numbers of frames in the two files.

    Raises
    ------
    ValueError
        If `rounds` does not fit the table, a file does not contain its frames any more, the two
        files are the same or one of them is a source, or `frames` is missing for a table without
        files.
    TypeError
        If `standard` or `supplementary` is not the name of a file.

    Examples
    --------
    >>> rounds = multi_resolution(table)  # doctest: +SKIP
    >>> write_sets(table, rounds)  # doctest: +SKIP
    (77, 1323)
    """
    rounds = _floats(rounds, "rounds", "must be whole numbers, one per row").astype(np.int64)
    check_whole("standard_rounds", standard_rounds, 0)
    for name, path in (("standard", standard), ("supplementary", supplementary)):
        if not isinstance(path, str | PathLike):
            raise TypeError(f"{name} = {path!r}: must be the name of a file")
    if rounds.shape != (len(table),):
        raise ValueError(
            f"rounds: has shape {rounds.shape}; one number per row is needed, ({len(table)},)"
        )
    rows = np.flatnonzero(rounds >= 0)
    if realpath(standard) == realpath(supplementary):
        raise ValueError(f"standard, supplementary = {fspath(standard)!r}: must be two files")
    sources = {realpath(name) for name in set(table.file[rows].tolist())}
    for path in (standard, supplementary):
        if realpath(path) in sources:
            raise ValueError(f"{fspath(path)!r}: is a file that frames are read from; use another")
    if frames is None and (table.file[rows] == "").any():
        raise ValueError(
            "frames: the table was mapped from structures, not files; give them again as frames="
        )

    written = [0, 0]
    parameters = {
        name: value
        for name, value in table.parameters.items()
        if value is not None and name != "version"
    }
    kept = sorted(zip(table.file[rows].tolist(), table.frame[rows].tolist(), rounds[rows].tolist()))
    selection = hashlib.sha256(repr((kept, table.parameters, standard_rounds)).encode())
    label = f"sets-{selection.hexdigest()[:16]}"  # with a letter, or extended XYZ may read a number
    with (
        atomic_writes(standard, supplementary) as files,
        tqdm(total=len(rows), unit=" frames", disable=not progress) as bar,
    ):
        for row, atoms in _frames_of_rows(table, rows, frames, format, read_options):
            found = Atoms(
                numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
            )
            found.info = {
                "sS": float(table.sS[row]),
                f"Q{table.parameters['degree']}": float(table.Q[row]),
                "round": int(rounds[row]),
                "selection": label,
                **parameters,
                "frame": int(table.frame[row]),
            }
            if table.file[row]:
                found.info["file"] = str(table.file[row])
            if np.isfinite(table.energy[row]):
                found.info["source_energy"] = float(table.energy[row])
            later = int(rounds[row] >= standard_rounds)
            ase.io.write(files[later], found, format="extxyz")
            written[later] += 1
            bar.update()
    return written[0], written[1]


def _frames_of_rows(
    table: LandscapeTable,
    rows: np.ndarray,
    frames: Iterable[Atoms] | None,
    format: str | None,
    read_options: dict[str, Any],
) -> Iterator[tuple[int, Atoms]]:
    """Yield rows and their frames; read each file once, from its start to the last frame needed."""
    for name in sorted(set(table.file[rows].tolist())):
        of_file = rows[table.file[rows] == name]
        wanted = dict(zip(table.frame[of_file].tolist(), of_file.tolist()))
        where = name or "frames"
        stream: Iterator[Frame]
        stream, _ = open_frames([name] if name else frames, format, 1, read_options)
        for frame in stream:
            if not wanted:
                break
            if frame.number not in wanted:
                continue
            row = wanted.pop(frame.number)
            try:
                content = frame.atoms(read_options)
            except Exception as error:  # ASE's readers raise errors of any kind
                raise ValueError(
                    f"{where}: frame {frame.number} cannot be read: {error}; map the landscape "
                    "again"
                ) from error
            if len(content) != table.n_atoms[row]:
                raise ValueError(
                    f"{where}: frame {frame.number} has {len(content)} atoms and had "
                    f"{table.n_atoms[row]} when it was mapped; map the landscape again"
                )
            yield row, content
        if wanted:
            raise ValueError(
                f"{where}: has no frame {min(wanted)} any more; map the landscape again"
            )

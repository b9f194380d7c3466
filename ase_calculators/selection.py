# SPDX-License-Identifier: BSD-3-Clause
"""Multi-resolution classification: landscapes thinned out evenly, coverage, sets.

A resolution (dsS, dQ) cuts the plane into cells: frame (sS, Q) lies in the cell
(floor(sS / dsS), floor(Q / dQ)). The grid is anchored at 0 for every table, so that different
tables, runs and hosts share the same cells. LAMMPS's ``fix entsym/select`` uses them too.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
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

# maps have an entry per cell up to so many cells for each frame; sorting takes less memory beyond
MAX_CELLS_PER_POINT = 8

# a few arrays of so many numbers fit into the cache
POINTS_PER_PART = 2**15


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

    The table is read in parts. Beyond it, memory holds about 10 bytes per frame and 50 per cell:
    10^8 frames fit into 8 GB with all columns, and more if these are memory-mapped
    (`numpy.memmap`). A plane that is nearly empty, such as one with a frame far away, is sorted,
    which takes 24 bytes per frame.

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
    scores = _scores(table, score)
    points = _Points(table)
    kept = np.empty(0, dtype=np.int64)
    rounds = np.full(len(table), -1, dtype=np.int64)
    for number, size in enumerate(sizes if points.n else ()):
        grid = _Grid(points, size)
        best: Iterable[Any] = points.parts()
        if scores is not None:
            best = [_lowest(grid, best, lambda part: scores[points.rows(part)], kept)]
        new = _first(table, points, grid, _lowest(grid, best, grid.distances, kept))
        rounds[points.rows(new)] = number
        kept = np.concatenate((kept, new))
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
    points = _Points(table)
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or not 1 <= n <= points.n:
        raise ValueError(
            f"n = {n}: must be a whole number from 1 to {points.n}, the frames of the table "
            "with finite sS and Q; ask for fewer or map more"
        )
    extent = points.high - points.low
    if ratio is None:
        ratio = float(extent[0] / extent[1]) if extent.all() else 20.0
    if not (is_number(ratio) and np.isfinite(ratio) and ratio > 0):
        raise ValueError(f"ratio = {ratio}: must be dsS / dQ, a positive number; use e.g. 20")

    shape = np.array([1.0, 1.0 / ratio])
    tried: dict[float, int] = {}

    def count(size: float) -> int:
        tried[size] = _Grid(points, size * shape).count_occupied()
        return tried[size]

    # with cells larger than all coordinates, a grid anchored at 0 has the fewest occupied cells
    coarse = 2.0 * max(
        float(np.abs([points.low / shape, points.high / shape]).max()),
        float(np.finfo(float).tiny) * 1e10,
    )
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
    points = _Points(table)
    if window is None:
        if points.n == 0:
            raise ValueError("window = None: the table has no frames to take it from; give one")
        low, high = points.low, points.high
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
    counts = np.zeros(n_sS * n_Q, dtype=np.int64)
    for part in points.parts():
        x, y = points.x[part], points.y[part]
        inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        if not inside.all():
            x, y = x[inside], y[inside]
        i, j = (
            np.clip(np.floor(z / size[k]) - first[k], 0, shape[k] - 1) for k, z in enumerate((x, y))
        )
        i *= n_Q
        i += j
        np.add.at(counts, i.astype(np.int64), 1)

    n_inside = int(counts.sum())
    shares = counts[counts > 0] / max(n_inside, 1)
    entropy = -float(shares @ np.log(shares))
    evenness = entropy / math.log(len(counts)) if len(counts) > 1 else float(n_inside > 0)
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
    ranks[np.isnan(ranks)] = np.inf
    return ranks


class _Points:
    """Hold the points (sS, Q) of a table that are finite, and visit them in parts.

    A part, a slice or an array of numbers of points, is small enough for the cache, so that no
    array as long as the table is made.
    """

    def __init__(self, table: LandscapeTable) -> None:
        self.x, self.y = table.sS, table.Q
        self._rows = None
        finite = np.isfinite(self.x)
        finite &= np.isfinite(self.y)
        if not finite.all():
            self._rows = np.flatnonzero(finite)
            self.x, self.y = self.x[self._rows], self.y[self._rows]
        self.n = len(self.x)
        ends = [(z.min(), z.max()) for z in (self.x, self.y)] if self.n else np.zeros((2, 2))
        self.low, self.high = np.array(ends, dtype=float).T

    def parts(self) -> Iterator[slice]:
        for start in range(0, self.n, POINTS_PER_PART):
            yield slice(start, min(start + POINTS_PER_PART, self.n))

    def rows(self, part: Any) -> Any:
        """Return the rows of the table in which the points of a part stand."""
        return part if self._rows is None else self._rows[part]


class _Grid:
    """Number the cells of a resolution, for maps with an entry per cell.

    If the rectangle around all points has few cells for each point, all of them are numbered.
    Otherwise only those with points are, which takes a sort.
    """

    def __init__(self, points: _Points, size: np.ndarray) -> None:
        self.points, self.size = points, size
        self._first = np.floor(points.low / size)
        shape = np.floor(points.high / size) - self._first + 1
        if not shape.prod() < MAX_CELLS_IN_PLANE:
            raise ValueError(
                f"resolution = {tuple(size.tolist())}: too fine for landscapes of "
                f"{shape[0]:.3g} by {shape[1]:.3g} cells; use a coarser one"
            )
        self._width = int(shape[1])
        self._all = int(shape[0]) * self._width
        self.dense = self._all <= min(MAX_CELLS_PER_POINT * points.n, MAX_CELLS_IN_WINDOW)
        self._numbers: np.ndarray | None = None

    def _keys(self, part: Any) -> np.ndarray:
        """Return a number for each cell of the rectangle."""
        cells = np.floor(self.points.x[part] / self.size[0])
        cells -= self._first[0]
        keys = cells.astype(np.int64)
        keys *= self._width
        cells = np.floor(self.points.y[part] / self.size[1])
        cells -= self._first[1]
        keys += cells.astype(np.int64)
        return keys

    def _all_keys(self) -> np.ndarray:
        keys = np.empty(self.points.n, dtype=np.int64)
        for part in self.points.parts():
            keys[part] = self._keys(part)
        return keys

    def __len__(self) -> int:
        """Return how many cells are numbered."""
        return self._all if self.dense else int(self._numbered().max()) + 1

    def _numbered(self) -> np.ndarray:
        if self._numbers is None:
            keys = self._all_keys()
            order = np.argsort(keys)
            keys = keys[order]
            steps = np.zeros(len(keys), dtype=np.int64)
            np.not_equal(keys[1:], keys[:-1], out=steps[1:], casting="unsafe")
            self._numbers = keys  # no longer needed as such
            self._numbers[order] = np.cumsum(steps, out=steps)
        return self._numbers

    def cells(self, part: Any) -> np.ndarray:
        """Return the numbers of the cells of points, from 0."""
        return self._keys(part) if self.dense else self._numbered()[part]

    def distances(self, part: Any) -> np.ndarray:
        """Return the squared distances of points to the centres of their cells, units of a cell."""
        total: Any = 0.0
        for z, size in zip((self.points.x, self.points.y), self.size):
            offset = z[part] / size
            offset -= np.floor(offset)
            offset -= 0.5
            offset *= offset
            total = total + offset
        return total

    def count_occupied(self) -> int:
        """Return how many cells hold points."""
        if not self.dense:
            keys = self._all_keys()
            keys.sort()
            return 1 + int(np.count_nonzero(keys[1:] != keys[:-1]))
        occupied = np.zeros(self._all, dtype=bool)
        for part in self.points.parts():
            occupied[self._keys(part)] = True
        return int(np.count_nonzero(occupied))


def _lowest(
    grid: _Grid, parts: Iterable[Any], rank: Callable[[Any], np.ndarray], taken: np.ndarray
) -> np.ndarray:
    """Return the points of the lowest rank in their cell, ties included.

    Cells with a point of `taken` yield none.
    """
    lowest = np.full(len(grid), np.inf)
    lowest[grid.cells(taken)] = np.nan  # which stays, and equals nothing
    found = []
    for part in parts:
        cells, ranks = grid.cells(part), rank(part)
        with np.errstate(invalid="ignore"):
            np.minimum.at(lowest, cells, ranks)
        best = np.flatnonzero(ranks == lowest[cells])  # of the parts so far
        found.append(part[best] if isinstance(part, np.ndarray) else best + part.start)
    # of all parts; ranks are computed again, because few are left and they take memory
    return np.concatenate([part[rank(part) == lowest[grid.cells(part)]] for part in found])


def _first(table: LandscapeTable, points: _Points, grid: _Grid, found: np.ndarray) -> np.ndarray:
    """Return one of the points in each cell: the first by sS, Q, file and frame."""
    cells = grid.cells(found)
    tied = np.bincount(cells)[cells] > 1
    if not tied.any():
        return found
    several, cells = found[tied], cells[tied]
    rows = points.rows(several)
    order = np.lexsort((table.frame[rows], table.file[rows], table.Q[rows], table.sS[rows], cells))
    first = np.ones(len(order), dtype=bool)
    first[1:] = cells[order][1:] != cells[order][:-1]
    return np.concatenate((found[~tied], several[order[first]]))


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

# SPDX-License-Identifier: BSD-3-Clause
"""Paths through structures whose steps are small: best match of two crystals, bounded links."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import DisjointSet
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.special import cbrt

from ase_calculators.argument_checks import is_number

# translations from which a match starts, if there are so many pairs of like atoms
MIN_STARTS = 24

# pairs that are matched to say which bound would do
MATCHES_FOR_REMEDY = 1000

# one of these images is the shortest, since the cell is reduced
_SHIFTS = np.array(list(np.ndindex(3, 3, 3))) - 1.0


class Match(NamedTuple):
    """Hold the description of a crystal that is nearest to another crystal.

    Attributes
    ----------
    atoms : ase.Atoms
        The other crystal in that description: its atoms in the order of the first one's, moved by
        lattice vectors, cell and positions rotated. Going linearly there in cell and fractional
        coordinates is the shortest way.
    distance : float
        Distance d, Å.
    displacement : float
        Root mean square displacement of the atoms, Å, without the strain.
    strain : (3, 3) float64
        Symmetric (Hencky) strain of the cell.
    order : (n,) int64
        Atom of the other crystal for each atom of the first one.
    """

    atoms: Atoms
    distance: float
    displacement: float
    strain: np.ndarray
    order: np.ndarray


class ContinuousPath(NamedTuple):
    """Hold a path through structures.

    Attributes
    ----------
    rows : (k,) int64
        Its structures, as numbers of those that were given.
    frames : list of ase.Atoms
        The structures, each in the description that is nearest to the one before it.
    steps : (k - 1,) float64
        Distances d between them, Å.
    barrier : float
        Highest energy on it, in the units given.
    """

    rows: np.ndarray
    frames: list[Atoms]
    steps: np.ndarray
    barrier: float


def match_structures(one: Atoms, other: Atoms, max_distance: float = np.inf) -> Match | None:
    r"""Return the description of a crystal that is nearest to another one.

    A crystal does not change if its atoms are renumbered, if it is moved, rotated or reflected, or
    if another cell of its lattice is chosen. Over all of these, the distance

    .. math::

        d^2 = \frac{1}{N} \sum_i |u_i|^2 + \Big(\frac{V}{N}\Big)^{2/3} \|\epsilon\|^2

    is minimised. The cell H of one crystal goes to that of the other by a strain, H' = H exp(eps)
    after a rotation, with the Frobenius norm of eps. u_i are the displacements of the atoms within
    the cell, differences of fractional coordinates in the cell H exp(eps / 2), and their mean is
    zero. V is the geometric mean of both volumes. The weight of the strain is that of the
    solid-state nudged elastic band, so that sqrt(N) d is the length of the way there. The distance
    of two crystals is the same in both directions.

    All cells are tried whose strain alone is not longer than the shortest distance so far. In each,
    the translations that take an atom onto another one are starts; atoms are assigned by the
    Hungarian method and the translation is made the best one, until neither changes.

    Parameters
    ----------
    one, other : ase.Atoms
        Crystals with the same number of atoms of each element, periodic in three directions.
    max_distance : float
        Largest distance of interest, Å; the smaller, the faster.

    Returns
    -------
    Match or None
        The description; None if the distance is above `max_distance`.

    Raises
    ------
    ValueError
        If the crystals differ in composition, one is not periodic, or `max_distance` is not above
        0.

    References
    ----------
    D. Sheppard, P. Xiao, W. Chemelewski, D. D. Johnson, G. Henkelman, J. Chem. Phys. 136, 074103
    (2012), doi:10.1063/1.3684549; H. W. Kuhn, Nav. Res. Logist. Q. 2, 83 (1955).

    Examples
    --------
    >>> from ase.build import bulk
    >>> one = bulk("Al", "fcc", a=4.0, cubic=True)
    >>> other = one[[2, 0, 3, 1]]
    >>> other.rotate(30, (1, 2, 3), rotate_cell=True)
    >>> other.positions += 0.7
    >>> bool(match_structures(one, other).distance < 1e-6)
    True
    """
    _check_positive("max_distance", max_distance, "Å")
    _check_alike([one, other])
    return _match(_Crystal(one), _Crystal(other), float(max_distance))


def continuous_path(
    frames: Sequence[Atoms],
    energies: ArrayLike,
    pairs: ArrayLike,
    start: int,
    end: int,
    max_step: float = 0.3,
    max_volume_change: float = 0.1,
) -> ContinuousPath:
    """Return the path of lowest barrier whose every step is a small change of the structure.

    Two structures are linked if `match_structures` finds them at most `max_step` apart and their
    volumes differ by at most `max_volume_change`. The barrier of a path is its highest energy; no
    other path over such links has a lower one. Among the paths with this barrier, it is the one
    with the smallest integral of the energy, above the lowest one, over the distance, on the links
    that were found on the way.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Crystals with the same number of atoms of each element.
    energies : (n,) array_like
        Their energies, per atom or per cell alike; structures with NaN are left out.
    pairs : (k, 2) array_like of int
        Structures that may be linked, such as those of neighbouring cells of the landscape.
    start, end : int
        Numbers of the first and the last structure.
    max_step : float
        Largest distance d of a step, Å, as in `match_structures`: root mean square over the atoms,
        with the strain of the cell. The default is about a fifth of a bond length.
    max_volume_change : float
        Largest change of ln(volume) in a step.

    Returns
    -------
    ContinuousPath
        The path.

    Raises
    ------
    ValueError
        If no path has such small steps; the message says which bound would do. If an argument is
        out of its range, or the structures differ in composition.
    """
    _check_positive("max_step", max_step, "Å")
    _check_positive("max_volume_change", max_volume_change, "the change of ln(volume)")
    heights = np.asarray(energies, dtype=float)
    links = np.asarray(pairs)
    if heights.shape != (len(frames),):
        raise ValueError(
            f"energies: have shape {heights.shape}; there must be one for each of the "
            f"{len(frames)} frames"
        )
    if links.ndim != 2 or links.shape[1] != 2 or not np.issubdtype(links.dtype, np.integer):
        raise ValueError(f"pairs: have shape {links.shape}; must be (k, 2) numbers of frames")
    for name, numbers in (("pairs", links), ("start", np.array(start)), ("end", np.array(end))):
        wrong = (numbers < 0) | (numbers >= len(frames))
        if wrong.any():
            raise ValueError(
                f"{name}: there is no frame {numbers[wrong][0]}; must be from 0 to "
                f"{len(frames) - 1}"
            )
        if name != "pairs" and np.isnan(heights[numbers]):
            raise ValueError(f"{name} = {numbers}: its energy is NaN; calculate it")
    if start == end:
        raise ValueError(f"start = {start}: is the end as well; choose two frames")
    _check_alike(frames)
    links = links[np.isfinite(heights[links]).all(axis=1) & (links[:, 0] != links[:, 1])]
    volumes = np.log([atoms.get_volume() for atoms in frames])
    changes = np.abs(volumes[links[:, 0]] - volumes[links[:, 1]])
    small = changes <= max_volume_change
    needed = _bottleneck(changes, links, len(frames), start, end)
    if needed > max_volume_change:
        _refuse_volume(needed, start, end, max_volume_change)
    links = links[small]
    cost = np.maximum(heights[links[:, 0]], heights[links[:, 1]])

    # structures of one descent have their atoms in one order: a first, quick guess of the distances
    distances = _distances_in_order(frames, links)
    barrier = _bottleneck(np.where(distances <= max_step, cost, np.inf), links, len(frames), start,
                          end)  # fmt: skip
    near = cost <= barrier
    links, cost, distances = links[near], cost[near], distances[near]
    crystals: dict[int, _Crystal] = {}

    def crystal(row: int) -> _Crystal:
        if row not in crystals:
            crystals[row] = _Crystal(frames[row])
        return crystals[row]

    # grow what the start can reach, the lowest link first, so that few structures are matched
    ways: dict[int, list[int]] = {}
    for k, (i, j) in enumerate(links.tolist()):
        ways.setdefault(i, []).append(k)
        ways.setdefault(j, []).append(k)
    queue: list[tuple[float, float, int]] = []
    reached = np.zeros(len(frames), dtype=bool)
    node, highest = start, -np.inf
    while True:
        reached[node] = True
        if node == end:
            barrier = highest
            break
        for k in ways.get(node, []):
            if not reached[links[k]].all():
                heappush(queue, (cost[k], distances[k], k))
        while queue:
            height, _, k = heappop(queue)
            i, j = links[k].tolist()
            if reached[i] and reached[j]:
                continue
            if distances[k] > max_step:
                found = _match(crystal(i), crystal(j), max_step)
                if found is None:
                    continue
                distances[k] = found.distance
            node, highest = j if reached[i] else i, max(highest, height)
            break
        else:
            break
    if not reached[end]:
        needed = _bottleneck(distances, links, len(frames), start, end)
        apart = [k for k, (i, j) in enumerate(links.tolist()) if not (reached[i] and reached[j])]
        for k in sorted(apart, key=distances.__getitem__)[:MATCHES_FOR_REMEDY]:
            if found := _match(crystal(links[k, 0]), crystal(links[k, 1]), needed):
                distances[k] = found.distance
        needed = _bottleneck(distances, links, len(frames), start, end)
        raise ValueError(
            f"max_step = {max_step:g} Å: no path of such steps from frame {start} to frame {end}; "
            f"{np.ceil(needed * 1e3) / 1e3:g} would do; raise it, or add frames"
        )

    good = (distances <= max_step) & (cost <= barrier)
    (i, j), lengths = links[good].T, distances[good]
    floor = np.nanmin(heights[links])
    climb = lengths * ((heights[i] + heights[j]) / 2 - floor) + 1e-9  # SciPy sees no edge of 0
    shape = (len(frames), len(frames))
    # parallel links would be added up
    (i, j), first = np.unique(np.sort([i, j], axis=0), axis=1, return_index=True)
    graph = coo_array((climb[first], (i, j)), shape=shape)
    _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    rows = [end]
    while rows[-1] != start:
        rows.append(int(before[rows[-1]]))
    rows.reverse()
    chain, steps = [frames[start].copy()], []
    for row in rows[1:]:
        found = _match(_Crystal(chain[-1]), crystal(row), max_step * (1 + 1e-9))
        assert found is not None  # it was linked
        chain.append(found.atoms)
        steps.append(found.distance)
    path = np.array(rows)
    return ContinuousPath(path, chain, np.array(steps), float(heights[path].max()))


# --- arguments ------------------------------------------------------------------------------------


def _check_positive(name: str, value: Any, unit: str) -> None:
    if not is_number(value) or not value > 0:
        raise ValueError(f"{name} = {value!r}: must be a number above 0, {unit}")


def _check_alike(frames: Sequence[Atoms]) -> None:
    """Check that all are crystals of one composition."""
    if not frames:
        raise ValueError("frames: there are none")
    formula = frames[0].symbols.formula.format("metal")
    for number, atoms in enumerate(frames):
        other = atoms.symbols.formula.format("metal")
        if other != formula:
            raise ValueError(
                f"frame {number} is {other}, frame 0 is {formula}; structures that are matched "
                "must have the same number of atoms of each element"
            )
        if not atoms.pbc.all() or not abs(np.linalg.det(atoms.cell.array)) > 0:
            raise ValueError(
                f"frame {number} has no cell that is periodic in three directions; only crystals "
                "are matched"
            )
    if not formula:
        raise ValueError("frame 0 has no atoms")


def _refuse_volume(needed: float, start: int, end: int, bound: float) -> None:
    if np.isinf(needed):
        raise ValueError(
            f"pairs: do not connect frame {start} with frame {end}, whatever the steps; allow more "
            "pairs, or add frames"
        )
    raise ValueError(
        f"max_volume_change = {bound:g}: no path of such steps from frame {start} to frame {end}; "
        f"{np.ceil(needed * 1e3) / 1e3:g} would do; raise it, or add frames"
    )


# --- graph ----------------------------------------------------------------------------------------


def _bottleneck(cost: np.ndarray, links: np.ndarray, n: int, start: int, end: int) -> float:
    """Return the largest cost on the path where that is smallest; infinity without a path."""
    groups = DisjointSet(range(n))
    for k in np.argsort(cost, kind="stable").tolist():
        if np.isinf(cost[k]):
            break
        groups.merge(*links[k].tolist())
        if groups.connected(start, end):
            return float(cost[k])
    return float(np.inf)


# --- matching -------------------------------------------------------------------------------------


class _Crystal:
    """Hold a crystal in a reduced cell, with what a match needs of it."""

    def __init__(self, atoms: Atoms) -> None:
        self.atoms = atoms
        self.cell, _ = minkowski_reduce(atoms.cell.array)
        self.fractional = np.linalg.solve(self.cell.T, atoms.positions.T).T
        self.numbers = atoms.numbers
        self.log_volume = float(np.log(atoms.get_volume()))


def _lattice_maps(one: np.ndarray, other: np.ndarray, limit: float) -> tuple[np.ndarray, ...]:
    """Return cells of a lattice that a strain within a limit takes to another cell.

    Parameters
    ----------
    one, other : (3, 3) float64
        Reduced cells.
    limit : float
        Largest norm of the strain.

    Returns
    -------
    (k, 3, 3) int64
        M: rows of M @ other are the cells.
    (k,) float64
        Norms of their strains, ascending.
    """
    lengths = np.linalg.norm(one, axis=1)
    farthest = np.exp(limit) * lengths.max() * np.linalg.norm(np.linalg.inv(other), axis=0)
    ranges = [np.arange(-n, n + 1) for n in np.floor(farthest + 1e-9).astype(int)]
    points = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    with np.errstate(divide="ignore"):
        ratios = np.log(np.linalg.norm(points @ other, axis=1)[:, None] / lengths)
    a, b, c = (points[np.abs(column) <= limit + 1e-9] for column in ratios.T)
    triples = [np.empty((0, 3, 3), dtype=int)]
    for vector in a:  # not all at once, which may be many
        j, k = np.nonzero(np.abs(np.cross(vector, b) @ c.T) == 1)
        triples.append(np.stack((np.broadcast_to(vector, (len(j), 3)), b[j], c[k]), axis=1))
    maps = np.concatenate(triples)
    F = np.linalg.solve(one, maps @ other)
    stretches = np.linalg.eigvalsh(F @ F.transpose(0, 2, 1))
    norms = np.linalg.norm(np.log(np.maximum(stretches, 1e-300)) / 2, axis=1)
    order = np.argsort(norms, kind="stable")
    order = order[norms[order] <= limit + 1e-9]
    return maps[order], norms[order]


def _match(one: _Crystal, other: _Crystal, max_distance: float) -> Match | None:
    n = len(one.atoms)
    length = np.exp((one.log_volume + other.log_volume) / 6) / cbrt(n)  # of a strain of 1, Å
    if abs(one.log_volume - other.log_volume) > 3**0.5 * max_distance / length:
        return None
    best, found = max_distance**2, None
    limit = 0.25
    if best > (limit * length) ** 2:
        # a first distance, so that not too many cells are tried
        while not len(maps := _lattice_maps(one.cell, other.cell, limit)[0]):
            limit *= 2
        best, *found = _assign(one, other, maps[0], length, best)
    maps, norms = _lattice_maps(one.cell, other.cell, np.sqrt(best) / length)
    for M, norm in zip(maps, norms.tolist(), strict=True):
        if (length * norm) ** 2 > best * (1 + 1e-12):
            break
        new, *rest = _assign(one, other, M, length, best)
        if rest and new <= best and (found is None or new < best):
            best, found = new, rest
    if not found:
        return None
    order, moved, S, strain, displacement = found
    atoms = other.atoms[order]
    atoms.calc = None
    atoms.set_cell(one.atoms.cell.array @ S)
    atoms.positions = moved @ one.cell @ S
    return Match(atoms, float(np.sqrt(best)), displacement, strain, order)


def _assign(
    one: _Crystal, other: _Crystal, M: np.ndarray, length: float, best: float
) -> tuple[Any, ...]:
    """Return d² and what belongs to it for a cell; only d² if it is not below the best one."""
    n = len(one.atoms)
    F = np.linalg.solve(one.cell, M @ other.cell)
    squares, axes = np.linalg.eigh(F @ F.T)
    stretches = np.sqrt(squares)
    strain = (axes * np.log(stretches)) @ axes.T
    middle = one.cell @ (axes * np.sqrt(stretches)) @ axes.T
    metric = middle @ middle.T
    # up to half the narrowest spacing of lattice planes, rounding finds the shortest image
    reach = 0.25 / (np.linalg.norm(np.linalg.inv(middle), axis=0) ** 2).max()
    images = _SHIFTS[
        np.abs(_SHIFTS @ metric).sum(axis=1)
        >= np.einsum("si,ij,sj->s", _SHIFTS, metric, _SHIFTS) * (1 + 1e-12)
    ]
    strained = length**2 * float((strain**2).sum())
    unlike = one.numbers[:, None] != other.numbers
    there = np.linalg.solve(M.T.astype(float), other.fractional.T).T
    differences = there - one.fractional[:, None]

    def shortest(D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        D = D - np.round(D)
        if n * best < reach:  # longer displacements are of no interest
            return D, ((D @ middle) ** 2).sum(axis=-1)
        gains = 2 * D @ (metric @ images.T) + np.einsum("si,ij,sj->s", images, metric, images)
        D = D + images[gains.argmin(axis=-1)]
        return D, ((D @ middle) ** 2).sum(axis=-1)

    # atoms of the rarest element first
    _, place, counts = np.unique(one.numbers, return_inverse=True, return_counts=True)
    anchors = np.argsort(counts[place], kind="stable")
    anchors = anchors[: np.searchsorted(counts[place][anchors].cumsum(), MIN_STARTS) + 1]
    starts = np.concatenate(
        [differences[k, other.numbers == one.numbers[k]] for k in anchors.tolist()]
    )
    D = (differences - starts[:, None, None]).reshape(-1, 3)
    D -= np.rint(D)
    D = D @ middle
    squared = np.einsum("ki,ki->k", D, D).reshape(len(starts), n, n)
    squared[:, unlike] = np.inf
    nearest = np.minimum(squared.min(axis=2), reach).sum(axis=1) / n
    result: tuple[Any, ...] = (best,)
    for k in np.argsort(nearest, kind="stable").tolist():
        # an anchor may be displaced as much as the others are on the average
        if nearest[k] > 4 * max(best - strained, 0.0) + 1e-9:
            break
        shift, order = starts[k], None
        for _ in range(20):
            D, costs = shortest(differences - shift)
            costs[unlike] = 1e12
            _, new = linear_sum_assignment(costs)
            chosen = D[np.arange(n), new]
            mean = chosen.mean(axis=0)
            if order is not None and (new == order).all() and np.abs(mean).max() < 1e-12:
                break
            shift, order = shift + mean, new
        u = (chosen - mean) @ middle
        value = float((u**2).sum()) / n
        if value + strained < best:
            best = value + strained
            S = (axes * stretches) @ axes.T
            result = (best, new, one.fractional + chosen - mean, S, strain, value**0.5)
    return result


def _distances_in_order(frames: Sequence[Atoms], links: np.ndarray) -> np.ndarray:
    """Return d of pairs whose atoms and cells are taken as they are, an upper bound of d."""
    numbers = np.array([atoms.numbers for atoms in frames])
    cells = np.array([atoms.cell.array for atoms in frames])
    positions = np.array([atoms.positions for atoms in frames])
    fractional = positions @ np.linalg.inv(cells)
    distances = np.empty(len(links))
    for chunk in _chunks(len(links)):
        i, j = links[chunk].T
        F = np.linalg.solve(cells[i], cells[j])
        squares, axes = np.linalg.eigh(F @ F.transpose(0, 2, 1))
        middle = cells[i] @ (axes * squares[:, None] ** 0.25) @ axes.transpose(0, 2, 1)
        D = fractional[j] - fractional[i]
        D -= np.round(D - D[:, :1]) + D[:, :1]
        D -= D.mean(axis=1, keepdims=True)
        size = np.abs(np.linalg.det(cells[i]) * np.linalg.det(cells[j])) ** 0.5
        lengths = cbrt(size / positions.shape[1])
        strains = (np.log(squares) ** 2).sum(axis=1) / 4
        u = ((D @ middle) ** 2).sum(axis=2).mean(axis=1)
        distances[chunk] = np.sqrt(u + lengths**2 * strains)
        distances[chunk][(numbers[i] != numbers[j]).any(axis=1)] = np.inf
    return distances


def _chunks(n: int, size: int = 20_000) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, start + size)

# SPDX-License-Identifier: BSD-3-Clause
"""Stacking faults of fcc crystals: ISF, ESF, twin boundaries, twins and hcp lamellae, atom by atom.

The input are the structure types and orientations of polyhedral template matching (PTM); OVITO is
not needed. `ovito_modifiers` runs it on OVITO's data.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from scipy.spatial import cKDTree

# PTM's numbers of the structure types
OTHER, FCC, HCP, BCC = range(4)

# of the four {111} planes in the frame of the parent crystal
MILLER = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])

# Half of the 38.9 degrees between two twin variants, so that no orientation belongs to two.
TOLERANCE = 19.0

# below this share of fcc atoms, a frame is taken not to be an fcc crystal
LEAST_FCC = 0.1


class FaultType(IntEnum):
    """What an atom of an fcc crystal is part of; h and c are planes of hcp and fcc surroundings."""

    NONE = 0
    INDETERMINATE = 1
    ISF = 2
    ESF = 3
    CTB = 4
    TWIN = 5
    LAMELLA = 6


# of the pictures, by FaultType
FAULT_NAMES = ("None", "Indeterminate hcp", "ISF", "ESF", "CTB", "Multilayer twin", "hcp lamella")
FAULT_COLORS = (
    (0.85, 0.85, 0.85),
    (0.55, 0.55, 0.55),
    (0.90, 0.62, 0.0),
    (0.80, 0.20, 0.15),
    (0.0, 0.35, 0.70),
    (0.0, 0.62, 0.45),
    (0.60, 0.25, 0.65),
)


class FaultSequence(NamedTuple):
    """The stacking faults of a frame, as `fault_sequence` finds them.

    Attributes
    ----------
    type : (n,) int8
        `FaultType` of each atom.
    layers : (n,) int16
        Of atoms of an ESF or a twin: layers between the two boundaries; else 0.
    normal : (n,) int8
        Of faulted atoms and of fcc atoms in twin orientation: row of `MILLER`; else -1.
    domain : (n,) int8
        Of fcc atoms: 0 parent, 1 to 4 its twin on row 0 to 3 of `MILLER`; else -1.
    parent : (4,) float64
        Orientation of the parent crystal, a quaternion (x, y, z, w).
    normals : (4, 3) float64
        Of the planes in `MILLER`, unit vectors in the frame of the atoms, upwards along z.
    planes : list of Planes
        The planes of each normal along which there are faults, the one with most of them first.
    plane : (n,) int32
        Number of the plane along the first of these normals, from 0; -1 without one.
    letter : (n,) int8
        Letter of that plane, 0 to 2 for A to C; -1 without one.
    """

    type: np.ndarray
    layers: np.ndarray
    normal: np.ndarray
    domain: np.ndarray
    parent: np.ndarray
    normals: np.ndarray
    planes: "list[Planes]"
    plane: np.ndarray
    letter: np.ndarray


class Planes(NamedTuple):
    """The (111) planes along one normal.

    Attributes
    ----------
    normal : int
        Row of `MILLER`.
    spacing : float
        Their distance, Å.
    sharpness : float
        How well planes all through the crystal describe the heights of its atoms: 1 for a perfect
        crystal, lowered by thermal motion, bending and faults that cross; letters of planes mean
        little below 0.5.
    letters : str
        A, B or C of each plane, from the bottom, by the majority of its atoms; "." without any.
    faults : str
        Of each plane the fault that covers at least a tenth of it: I, E, C (CTB), T (twin),
        L (lamella); "t" in an open twin; "-" for the parent; "." without atoms.
    """

    normal: int
    spacing: float
    sharpness: float
    letters: str
    faults: str


# --- rotations ------------------------------------------------------------------------------------


def _product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Multiply quaternions (x, y, z, w)."""
    (a, b, c, d), (x, y, z, w) = np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0)
    return np.stack([
        d * x + w * a + b * z - c * y,
        d * y + w * b + c * x - a * z,
        d * z + w * c + a * y - b * x,
        d * w - a * x - b * y - c * z,
    ], axis=-1)  # fmt: skip


def _matrix(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def _cubic_rotations() -> np.ndarray:
    """The 24 rotations of the cube as quaternions."""
    units = np.concatenate([np.eye(4)] + [
        (np.eye(4)[i] + sign * np.eye(4)[j])[None] / np.sqrt(2)
        for i in range(4) for j in range(i) for sign in (1, -1)
    ])  # fmt: skip
    halves = np.array([(a, b, c, 1) for a in (1, -1) for b in (1, -1) for c in (1, -1)]) / 2
    return np.concatenate([units, halves])


CUBIC = _cubic_rotations()


def _closeness(orientations: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Cosine of half the misorientation of each quaternion from a cubic reference."""
    return np.abs(orientations @ _product(reference, CUBIC).T).max(axis=1)


def parent_orientation(
    orientations: np.ndarray, guess: np.ndarray | None = None
) -> np.ndarray | None:
    """Find the orientation that most of the fcc atoms share.

    Parameters
    ----------
    orientations : (n, 4) float64
        Quaternions of fcc atoms.
    guess : (4,) array_like, optional
        Of an earlier frame: taken where at least a tenth of the atoms are oriented like it, so that
        a twin that has grown over the half of the crystal does not become the parent.

    Returns
    -------
    (4,) float64 or None
        Their mean, or None without atoms.

    Examples
    --------
    >>> parent_orientation(np.array([[0, 0, 0, 1.0]] * 3)).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    if len(orientations) == 0:
        return None
    near = np.cos(np.radians(TOLERANCE / 2))
    sample = orientations[:: -(-len(orientations) // 2000)]
    start = None if guess is None else np.asarray(guess, dtype=float)
    if start is None or (_closeness(sample, start) > near).mean() < 0.1:
        few = sample[:: -(-len(sample) // 100)]
        turned = _product(few[:, None], CUBIC[None]).reshape(-1, 4)
        cosines = np.abs(turned @ few.T).reshape(len(few), 24, -1).max(axis=1)
        start = few[(cosines > np.cos(np.radians(5))).sum(axis=1).argmax()]
    for _ in range(2):
        dots = sample @ _product(start, CUBIC).T
        best = np.abs(dots).argmax(axis=1)
        picked = np.abs(dots[np.arange(len(dots)), best]) > near
        if not picked.any():
            return start
        inverse = CUBIC[best[picked]] * (-1, -1, -1, 1)
        aligned = _product(sample[picked], inverse)
        start = np.linalg.eigh(aligned.T @ aligned)[1][:, -1]
    return start * (np.sign(start[3]) or 1.0)


# --- the sequence of planes -----------------------------------------------------------------------


def fault_sequence(
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: Any,
    structures: np.ndarray,
    orientations: np.ndarray,
    neighbor_distance: float | None = None,
    deformation: np.ndarray | None = None,
    parent: np.ndarray | None = None,
    max_layers: int = 12,
) -> FaultSequence | None:
    """Tell the planar faults of an fcc crystal apart.

    PTM's orientation of each atom says which crystal it belongs to: fcc atoms to the parent or to
    one of its four twins, hcp atoms to the {111} plane that their c axis is normal to. For each of
    the four normals, the hcp atoms and those of the twin are cut into columns of two neighbour
    distances along the normal, and each column is read from the bottom to the top:

    =====================  =====================================================================
    planes                 fault
    =====================  =====================================================================
    h h                    ISF, intrinsic stacking fault
    h c h                  ESF, extrinsic: one layer between two boundaries, ABC BABC
    h c ... c h            multilayer twin: 2 to `max_layers` layers of twin between the boundaries
    h                      CTB, coherent twin boundary: the twin on one side has no other boundary
    h h h ...              hcp lamella, such as two ISFs on every second plane
    =====================  =====================================================================

    The atoms of a fault are those of its h planes and of the twin between them. Each hcp atom then
    takes the reading that most of its neighbours in the plane have, which removes what thermal
    motion makes of single columns. An hcp atom without two hcp neighbours in its plane is
    indeterminate. Columns are local, so that faults may end inside the crystal, cross each other,
    and the crystal may bend.

    Parameters
    ----------
    positions : (n, 3) float64
        Å.
    cell : (3, 3) float64
        Cell vectors in rows, Å.
    pbc : (3,) bool
        Periodic directions.
    structures : (n,) int
        PTM's structure types: 1 fcc, 2 hcp.
    orientations : (n, 4) float64
        PTM's quaternions.
    neighbor_distance : float, optional
        Å. Default: from the atoms.
    deformation : (n, 3, 3) float64, optional
        PTM's elastic deformation gradients; with them, planes along a normal are found in a
        strained crystal, too. The types of faults do not depend on it.
    parent : (4,) float64, optional
        Orientation of the parent in an earlier frame; see `parent_orientation`.
    max_layers : int
        Two boundaries further apart are CTBs.

    Returns
    -------
    FaultSequence or None
        None where fewer than a tenth of the atoms are fcc: the analysis does not apply.

    Notes
    -----
    A twin of n layers between the boundaries is made by slip on n + 1 successive planes: the ISF
    by one, the ESF by two. In a periodic cell twin and parent are the same thing; the parent is
    the larger one. Faults on planes that only the twin has, not the parent, are indeterminate.

    Where a twin meets the side of the crystal, columns leave it before they meet the other
    boundary. There, the reading of the plane spreads from its inside, no further than the twin is
    thick.

    Of structures built by ``benchmarks/fault_sequence.py`` and rotated arbitrarily, the atoms of
    faults that get the right type and number of layers are all at 0 K, 99.7 to 100 % at 300 K, and
    at 800 K 92 to 98 % with PTM's cutoff at 0.13, 96 to 100 % at 0.15 (thin ribbons of a twin: 80
    and 96 %). None gets a wrong type, and no other atom gets one. The table is in
    ``input_templates/micropillar/README.md``.
    """
    n = len(structures)
    is_fcc, is_hcp = np.flatnonzero(structures == FCC), np.flatnonzero(structures == HCP)
    if len(is_fcc) < LEAST_FCC * n or len(is_fcc) == 0:
        return None
    q_fcc = orientations[is_fcc]
    parent = parent_orientation(q_fcc, parent)
    assert parent is not None
    normals = MILLER @ _matrix(parent).T / np.sqrt(3)
    normals *= np.where(normals[:, 2:] < -1e-6, -1.0, 1.0)
    near = np.cos(np.radians(TOLERANCE / 2))

    domain = np.full(n, -1, dtype=np.int8)
    rest = np.ones(len(is_fcc), dtype=bool)
    for number in range(5):
        if number:
            twin = np.append(normals[number - 1], 0.0)  # half a turn about the normal
            member = _closeness(q_fcc, _product(twin, parent)) > near
        else:
            member = _closeness(q_fcc, parent) > near
        domain[is_fcc[rest.nonzero()[0][member]]] = number
        rest[rest.nonzero()[0][member]] = False
        q_fcc = q_fcc[~member]

    # the c axis, the third column of the rotation matrix
    x, y, z, w = orientations[is_hcp].T
    axis = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    cosines = axis @ normals.T
    which = np.abs(cosines).argmax(axis=1)
    parallel = np.abs(cosines[np.arange(len(which)), which]) > np.cos(np.radians(TOLERANCE))

    type_ = np.zeros(n, dtype=np.int8)
    type_[is_hcp] = FaultType.INDETERMINATE
    layers = np.zeros(n, dtype=np.int16)
    normal = np.full(n, -1, dtype=np.int8)
    periodic = np.asarray(pbc, dtype=bool) & np.any(cell, axis=1)
    cell = complete_cell(np.where(periodic[:, None], cell, 0.0))
    cell, _ = minkowski_reduce(cell, periodic)  # few images also of a skewed cell
    positions = _wrapped(positions, cell, periodic)
    if neighbor_distance is None:
        neighbor_distance = _neighbor_distance(positions, cell, periodic, is_fcc)
    hcp, twin = is_hcp[parallel], np.flatnonzero(domain > 0)
    atoms = np.concatenate([hcp, twin])
    normal[atoms] = np.concatenate([which[parallel], domain[twin] - 1])
    if len(hcp):
        axes = axis[parallel] * np.sign(cosines[parallel, which[parallel]])[:, None]
        type_[atoms], layers[atoms] = _read_columns(
            positions[atoms], cell, periodic, normal[atoms], axes, normals, neighbor_distance,
            max_layers,
        )  # fmt: skip

    stretch = _mean_stretch(orientations, deformation, np.flatnonzero(domain == 0))
    planes, plane, letter = _planes(
        positions, cell, periodic, (domain, type_, normal), normals, neighbor_distance, stretch
    )
    return FaultSequence(type_, layers, normal, domain, parent, normals, planes, plane, letter)


def _mean_stretch(
    orientations: np.ndarray, deformation: np.ndarray | None, atoms: np.ndarray
) -> np.ndarray:
    """Mean left stretch of the parent, in which it does not matter how PTM turned each cube."""
    if deformation is None:
        return np.eye(3)
    atoms = atoms[:: -(-len(atoms) // 2000)]
    rotations = np.moveaxis(_matrix(orientations[atoms].T), -1, 0)
    return (deformation[atoms] @ rotations.transpose(0, 2, 1)).mean(axis=0)


def _wrapped(positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Wrap atoms into the cell, cut along each periodic direction where there is room between them.

    Such a cut parts neither the atoms of a plane nor a crystal in vacuum, wherever atoms were.
    """
    scaled = positions @ np.linalg.inv(cell)
    for a in np.flatnonzero(periodic):
        scaled[:, a] -= _cut(scaled[:, a] % 1.0, 1.0)
        scaled[:, a] %= 1.0
    return scaled @ cell


def _cut(height: np.ndarray, period: float) -> float:
    """Return the middle of the gap nearest to 0 that is wide, of periodic heights."""
    occupied = np.unique(height)
    gaps = np.diff(occupied, append=occupied[0] + period)
    middle = occupied + gaps / 2
    from_zero = np.abs(middle - period * np.rint(middle / period))
    return float(middle[np.where(gaps > 0.5 * gaps.max(), from_zero, period).argmin()])


def _neighbor_distance(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, atoms: np.ndarray
) -> float:
    """Median distance of the first six neighbours of some atoms, periodic images included."""
    sample = positions[atoms[:: -(-len(atoms) // 200)]]

    def distance(margin: float) -> float:
        x, _ = _with_images(positions, cell, periodic, margin)
        return float(np.median(cKDTree(x).query(sample, k=7)[0][:, 1:]))

    # images can only come nearer than what is found without them
    margin = 0.0
    while not np.isfinite(upper := distance(margin)):  # fewer than seven atoms
        margin += np.linalg.norm(cell[periodic], axis=1).max()
    return distance(1.001 * upper)


def _with_images(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return wrapped positions, then their images up to `margin` outside, and whose they are."""
    owner = np.arange(len(positions))
    inverse = np.linalg.inv(cell)
    scaled = positions @ inverse
    for a in np.flatnonzero(periodic):
        reach = margin * np.linalg.norm(inverse[:, a])
        parts, owners = [scaled], [owner]
        for shift in range(1, int(np.ceil(reach)) + 1):
            for sign in (1, -1):
                moved = scaled[:, a] + sign * shift
                inside = np.flatnonzero((moved > -reach) & (moved < 1 + reach))
                part = scaled[inside]
                part[:, a] += sign * shift
                parts.append(part)
                owners.append(owner[inside])
        scaled, owner = np.concatenate(parts), np.concatenate(owners)
    return scaled @ cell, owner


def _read_columns(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, normal: np.ndarray,
    axes: np.ndarray, normals: np.ndarray, distance: float, max_layers: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Read the faults: fault type and layers of the hcp atoms, which come first, and of twins."""
    n_hcp, n_all = len(axes), len(positions)
    spacing = distance * np.sqrt(2 / 3)
    x, owner = _with_images(positions, cell, periodic, (max_layers + 2) * spacing)
    along = normal[owner]
    height = (x * normals[along]).sum(axis=1)
    is_h = owner < n_hcp

    # neighbours in the plane, among the hcp atoms
    h = np.flatnonzero(is_h)
    pairs = h[cKDTree(x[h]).query_pairs(1.35 * distance, output_type="ndarray")]
    one, other = pairs.T
    level_with = np.abs(height[one] - height[other]) < 0.45 * spacing
    pairs = pairs[level_with & (along[one] == along[other])]
    degree = np.bincount(pairs.ravel(), minlength=len(x))
    supported = ~is_h | (degree >= 2)
    if not (supported & is_h).any():
        type_ = np.where(np.arange(n_all) < n_hcp, FaultType.INDETERMINATE, FaultType.NONE)
        return type_, np.zeros(n_all, dtype=np.int16)
    kept = np.flatnonzero(supported)

    # columns along the normal; within each, heights along its own mean axis
    u = np.cross(normals, np.eye(3)[np.abs(normals).argmin(axis=1)])
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    sides = np.stack([u, np.cross(normals, u)], axis=1)
    own_sides = sides[along[kept]]
    lateral = (own_sides @ x[kept, :, None])[..., 0]
    tile = np.floor(lateral / (2 * distance))
    offset = lateral - (tile + 0.5) * 2 * distance
    tile = (tile - tile.min(axis=0)).astype(np.int64)
    nx, ny = tile.max(axis=0) + 1
    column = (along[kept] * nx + tile[:, 0]) * ny + tile[:, 1]
    kept_h = is_h[kept]
    n_columns = int(column.max()) + 1
    weight = np.maximum(np.bincount(column[kept_h], minlength=n_columns), 1)
    tilts = (sides[normal[:n_hcp]] @ axes[:, :, None])[owner[kept[kept_h]], :, 0].T
    tilt = np.stack([np.bincount(column[kept_h], t, n_columns) / weight for t in tilts], axis=1)
    level = height[kept] + (offset * tilt[column]).sum(axis=1)

    order = np.lexsort((level, column))
    column, level, kept, kept_h = column[order], level[order], kept[order], kept_h[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(column) != 0) | (np.diff(level) > 0.5 * spacing)
    layer = np.cumsum(new) - 1
    n_h = np.bincount(layer, kept_h)
    n_atoms = np.bincount(layer)
    middle = np.bincount(layer, level) / n_atoms
    where = column[new]
    same = np.diff(where) == 0
    # in units of the spacing along each normal, which strain makes unequal
    steps = np.where(same, np.diff(middle), 0.0)
    of_normal = where // (nx * ny)
    for k in range(4):
        close = steps[(np.abs(steps / spacing - 1) < 0.25) & (of_normal[1:] == k)]
        if len(close):
            middle[of_normal == k] /= np.median(close)
        else:
            middle[of_normal == k] /= spacing

    # the h planes of each column, and what lies between two of them
    plane = np.flatnonzero(2 * n_h >= n_atoms)
    together = np.diff(where[plane]) == 0
    between = np.where(together, np.rint(np.diff(middle[plane])).astype(int) - 1, 9999)
    filled = np.diff(plane) - 1  # layers of twin in between; those of the parent are not here
    touching = together & (between <= 0)
    closed = together & (between > 0) & (between <= max_layers) & (2 * filled >= between)
    first = np.ones(len(plane), dtype=bool)
    first[1:] = ~touching
    run = np.cumsum(first) - 1
    length = np.bincount(run)[run]
    closed &= (length[1:] % 2 == 1) & (length[:-1] % 2 == 1)

    # a single h plane belongs to the nearer of the boundaries that it faces across the twin
    far = max_layers + 1
    gap = np.where(closed, between, far)
    above, below = np.append(gap, far), np.append(far, gap)
    nearest = np.minimum(above, below)
    kind = np.full(len(plane), FaultType.INDETERMINATE, dtype=np.int16)
    kind[length == 2] = FaultType.ISF
    kind[length >= 3] = FaultType.LAMELLA
    single = length == 1
    kind[single & (nearest == 1)] = FaultType.ESF
    kind[single & (nearest > 1) & (nearest < far)] = FaultType.TWIN
    # open: the next layer on one side is twin
    is_twin = 2 * n_h < n_atoms
    adjacent = (np.diff(middle) < 1.5) & same
    beside = np.zeros(len(n_h), dtype=bool)
    beside[:-1] |= adjacent & is_twin[1:]
    beside[1:] |= adjacent & is_twin[:-1]
    kind[single & (nearest == far) & beside[plane]] = FaultType.CTB
    thick = np.where(single & (nearest < far), nearest, 0)

    # votes among the hcp atoms, then the twin in between takes what its boundaries are
    reading = np.zeros(len(n_h), dtype=np.int64)
    reading[plane] = 1024 * kind + thick
    own = np.zeros(len(x), dtype=np.int64)
    own[kept] = reading[layer]
    own = own[:n_all]  # images come after the atoms
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    pairs = pairs[pairs[:, 0] < n_hcp]
    own[:n_hcp] = _majority(own[:n_hcp], pairs[:, 0], owner[pairs[:, 1]], degree[:n_hcp] >= 2)

    reading[layer[kept_h]] = own[owner[kept[kept_h]]]
    reading[is_twin] = 0
    number = np.arange(len(n_h))
    below = np.maximum.accumulate(np.where(is_twin, -1, number))
    above = np.minimum.accumulate(np.where(is_twin, len(number), number)[::-1])[::-1]
    for boundary in (below, above):
        inner = np.flatnonzero(is_twin & (boundary >= 0) & (boundary < len(number)))
        boundary = boundary[inner]
        away = np.rint(np.abs(middle[inner] - middle[boundary]))
        inside = (where[inner] == where[boundary]) & (away <= reading[boundary] % 1024)
        inside &= 2 * np.abs(inner - boundary) >= away  # nothing of the parent in between
        reading[inner[inside]] = reading[boundary[inside]]
    filling = ~kept_h & (kept < n_all)
    own[kept[filling]] = reading[layer[filling]]
    own[:n_hcp] = np.maximum(own[:n_hcp], 1024 * FaultType.INDETERMINATE)
    return own // 1024, own % 1024


def _majority(code: np.ndarray, atom: np.ndarray, neighbor: np.ndarray, votes: Any) -> np.ndarray:
    """Give each atom that `votes` the code that most of its neighbours and it have, twice."""
    codes, index = np.unique(code, return_inverse=True)
    n, k = len(code), len(codes)
    # that nothing was found on the other side counts less: it may be outside of the crystal
    kind = codes // 1024
    weight = np.select([kind < FaultType.ISF, kind == FaultType.CTB], [0.1, 0.3], 1.0)
    for _ in range(2):
        count = np.bincount(atom * k + index[neighbor], minlength=n * k).reshape(n, k) * weight
        count[np.arange(n), index] += 1.5 * weight[index]
        index = np.where(votes, count.argmax(axis=1), index)
    # Where the columns leave the crystal through its side, the other boundary is missing: as far
    # as that can be, the reading of the boundary spreads.
    layers = codes % 1024
    for row in range(int(layers.max()) + 2):
        from_twin = (kind[index[atom]] == FaultType.CTB) & (layers[index[neighbor]] + 2 > row)
        from_twin &= layers[index[neighbor]] > 0
        target = atom[from_twin]
        if len(target) == 0:
            break
        count = np.bincount(target * k + index[neighbor[from_twin]], minlength=n * k).reshape(n, k)
        index = np.where(count.max(axis=1) >= 2, count.argmax(axis=1), index)
    return codes[index]


def _planes(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray,
    result: tuple[np.ndarray, np.ndarray, np.ndarray], normals: np.ndarray, distance: float,
    stretch: np.ndarray,
) -> tuple[list[Planes], np.ndarray, np.ndarray]:  # fmt: skip
    """Number the planes along each normal that has faults, and give them letters."""
    domain, type_, normal = result
    n_faulted = np.bincount(normal[type_ >= FaultType.ISF], minlength=4)
    wanted = [k for k in np.argsort(-n_faulted, kind="stable") if n_faulted[k]]
    if not wanted:
        wanted = [int(np.argmax(normals[:, 2].round(6)))]
    plane = np.full(len(positions), -1, dtype=np.int32)
    letter = np.full(len(positions), -1, dtype=np.int8)
    planes = []
    for k in wanted:
        is_h = (normal == k) & (domain < 0)
        is_t = domain == k + 1
        members = np.flatnonzero((domain == 0) | is_h | is_t)
        n = normals[k] @ np.linalg.inv(stretch)
        n /= np.linalg.norm(n)
        spacing = distance * np.sqrt(2 / 3)
        height = positions[members] @ n
        height = _folded(height, is_h[members], cell[periodic] @ n, spacing, cell, distance)
        spacing, phase, sharpness = _period(height, spacing)
        number = np.rint((height - phase) / spacing).astype(np.int64)
        number -= number.min()
        size = np.bincount(number)
        n_h = np.bincount(number, is_h[members])
        n_t = np.bincount(number, is_t[members])
        letters = _letters(size, n_h, n_t)
        marks = np.where(size == 0, ".", np.where(2 * n_t > size, "t", "-"))
        most = np.zeros(len(size))
        for kind, mark in zip(tuple(FaultType)[2:], "IECTL", strict=True):
            count = np.bincount(number[(type_[members] == kind) & (normal[members] == k)],
                                minlength=len(size))  # fmt: skip
            marks = np.where((10 * count >= size) & (count > most), mark, marks)
            most = np.maximum(most, count)
        text = "".join("ABC."[i] for i in letters)
        planes.append(Planes(int(k), spacing, sharpness, text, "".join(marks)))
        if len(planes) == 1:
            plane[members] = number
            letter[members] = letters[number]
    return planes, plane, letter


def _folded(
    height: np.ndarray, is_h: np.ndarray, steps: np.ndarray, spacing: float, cell: np.ndarray,
    distance: float,
) -> np.ndarray:  # fmt: skip
    """Bring the heights of a stack of whole planes into one period, whatever its cell vectors are.

    Where cell vectors lead from plane to plane, atoms of one plane are at several heights. Faults
    that do not cover their plane leave the heights as they are, from one end of the cell to the
    other.
    """
    period = 0.0
    for step in np.abs(steps):  # Euclid's algorithm, for lengths
        while step > 0.3 * spacing:
            period, step = step, abs(period - step * np.rint(period / step))
    if len(steps) < 3 or period < 1.5 * spacing or np.ptp(height) < period - 0.5 * spacing:
        return height
    folded = height % period
    folded = (folded - _cut(folded, period)) % period
    plane = np.rint((folded - folded.min()) / spacing).astype(int)
    whole = abs(np.linalg.det(cell)) / period / (np.sqrt(0.75) * distance**2)
    share, h = np.bincount(plane) / whole, np.bincount(plane, is_h) / whole
    return folded if h.max() > 0.5 and share.max() < 1.2 else height


def _period(height: np.ndarray, spacing: float) -> tuple[float, float, float]:
    """Return spacing, height of a plane and sharpness of planes near the expected spacing."""
    width = spacing / 16
    start = height.min()
    counts = np.bincount(((height - start) / width).astype(np.int64))
    length = 8 * 2 ** int(np.ceil(np.log2(len(counts) + 1)))
    spectrum = np.fft.rfft(counts, length)
    frequency = np.arange(len(spectrum)) / (length * width)
    search = np.flatnonzero(np.abs(frequency * spacing - 1) < 0.1)
    best = search[np.abs(spectrum[search]).argmax()]
    phase = -np.angle(spectrum[best]) / (2 * np.pi * frequency[best])
    return (
        float(1 / frequency[best]),
        float(start + phase + 0.5 * width),
        float(np.abs(spectrum[best]) / len(height)),
    )


def _letters(size: np.ndarray, n_h: np.ndarray, n_t: np.ndarray) -> np.ndarray:
    """Go up the planes: forward in the parent, backward in the twin, turning at an h plane."""
    letters = np.full(len(size), 3, dtype=np.int8)
    occupied = np.flatnonzero(size)
    is_h = 2 * n_h[occupied] >= size[occupied]
    steps = np.where(2 * n_t > size - n_h, -1, 1)[occupied]
    # below leading h planes, so that they lead into the first of the others
    step, letter = 1, 0
    if not is_h.all():
        leading = int(is_h.argmin())
        step = int(steps[leading]) * (-1) ** leading
    for i, h, own in zip(occupied, is_h, steps, strict=True):
        letters[i] = letter % 3
        step = -step if h else int(own)
        letter += step
    return letters


def miller_name(normal: int) -> str:
    """Write a row of `MILLER` as "(11-1)".

    Parameters
    ----------
    normal : int
        The row.

    Returns
    -------
    str
        The plane.

    Examples
    --------
    >>> miller_name(3)
    '(11-1)'
    """
    return f"({''.join(str(index) for index in MILLER[normal])})"


def twin_layers(structures: np.ndarray, found: FaultSequence) -> np.ndarray:
    """Count the atoms of twin boundaries by the number of layers between the two.

    Parameters
    ----------
    structures : (n,) int
        PTM's structure types.
    found : FaultSequence
        Of the same atoms.

    Returns
    -------
    (n_layers,) int64
        Of hcp atoms of ESFs (1) and twins (2 and more); 0 at 0.
    """
    boundary = (structures == HCP) & (found.layers > 0)
    return np.bincount(found.layers[boundary], minlength=2)

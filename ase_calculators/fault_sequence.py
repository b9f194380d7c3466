# SPDX-License-Identifier: BSD-3-Clause
"""Stacking faults of fcc crystals, atom by atom: ISF, ESF, CTB, multilayer twins, hcp lamellae.

The input is what polyhedral template matching (PTM) finds: structure types and orientations. OVITO
is not needed; `ovito_modifiers` applies this module to OVITO's data.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from scipy.spatial import cKDTree

# PTM's numbers of the structure types
OTHER, FCC, HCP, BCC = range(4)

# the four {111} planes in the frame of the parent crystal
MILLER = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])

# Half of the 38.9 degrees between two twin variants, so that no orientation belongs to two.
TOLERANCE = 19.0

# A frame with a smaller share of fcc atoms is not treated as an fcc crystal.
MIN_FCC_SHARE = 0.1


class FaultType(IntEnum):
    """What an atom of an fcc crystal is part of."""

    NONE = 0
    INDETERMINATE = 1
    ISF = 2
    ESF = 3
    CTB = 4
    TWIN = 5
    LAMELLA = 6


# By FaultType, the same in tables and pictures.
FAULT_NAMES = ("no fault", "indeterminate", "ISF", "ESF", "CTB", "twin", "lamella")
FAULT_COLORS = (
    (0.85, 0.85, 0.85),
    (0.55, 0.55, 0.55),
    (0.90, 0.62, 0.0),
    (0.80, 0.20, 0.15),
    (0.0, 0.35, 0.70),
    (0.0, 0.62, 0.45),
    (0.60, 0.25, 0.65),
)

# the character of each fault in `Planes.faults`
FAULT_MARKS = {
    FaultType.ISF: "I",
    FaultType.ESF: "E",
    FaultType.CTB: "C",
    FaultType.TWIN: "T",
    FaultType.LAMELLA: "L",
}


class FaultSequence(NamedTuple):
    """The stacking faults of a frame, the result of `fault_sequence`.

    Attributes
    ----------
    type : (n,) int8
        `FaultType` of each atom.
    layers : (n,) int16
        Layers between the two boundaries, for atoms of an ESF or a twin; 0 for the others.
    normal : (n,) int8
        Row of `MILLER`, for faulted atoms and fcc atoms in twin orientation; -1 for the others.
    domain : (n,) int8
        Crystal of each fcc atom: 0 parent, 1 to 4 its twin on row 0 to 3 of `MILLER`; -1 for the
        others.
    parent : (4,) float64
        Orientation of the parent crystal, a quaternion (x, y, z, w).
    normals : (4, 3) float64
        Unit normals of the planes in `MILLER`, in the frame of the atoms, upwards along z.
    planes : list of Planes
        The planes along each normal that has faults, the normal with most faults first.
    plane : (n,) int32
        Number of the plane along the first of these normals, from 0; -1 if the atom is in none.
    letter : (n,) int8
        Letter of that plane, 0 to 2 for A to C; -1 if the atom is in none.
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
        Distance between neighbouring planes, Å.
    sharpness : float
        Agreement of the heights of the atoms with equally spaced planes through the whole crystal.
        1 for a perfect crystal; lowered by thermal motion, bending and crossing faults. Below 0.5
        the letters mean little.
    letters : str
        A, B or C of each plane, from the bottom, by the majority of its atoms; "." without atoms.
    faults : str
        A character of each plane: the fault that covers at least a tenth of it, I (ISF), E (ESF),
        C (CTB), T (twin) or L (lamella); "t" in an open twin; "-" for the parent; "." without
        atoms.
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
    """Return the rotation matrix of a quaternion (x, y, z, w)."""
    x, y, z, w = q
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def _cubic_rotations() -> np.ndarray:
    """Return the 24 rotations of the cube as quaternions."""
    units = np.concatenate([np.eye(4)] + [
        (np.eye(4)[i] + sign * np.eye(4)[j])[None] / np.sqrt(2)
        for i in range(4) for j in range(i) for sign in (1, -1)
    ])  # fmt: skip
    halves = np.array([(a, b, c, 1) for a in (1, -1) for b in (1, -1) for c in (1, -1)]) / 2
    return np.concatenate([units, halves])


CUBIC = _cubic_rotations()


def _closeness(orientations: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the cosine of half the misorientation of each quaternion from a cubic reference."""
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
        Parent of an earlier frame. It is kept as long as at least a tenth of the atoms have this
        orientation, so that a twin larger than half of the crystal does not become the parent.

    Returns
    -------
    (4,) float64 or None
        Mean orientation of these atoms; None without atoms.

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
    """Find the planar faults of an fcc crystal and their types.

    PTM's orientation of each atom shows which crystal the atom belongs to: fcc atoms to the parent
    or to one of its four twins, hcp atoms to the {111} plane normal to their c axis. For each of
    the four normals, the hcp atoms and the atoms of the twin are cut into columns along the normal,
    two neighbour distances wide. Each column is read from the bottom to the top; h is a plane of
    hcp atoms, c a plane of twin:

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
    takes the reading of most of its neighbours in the plane. This removes errors of single columns
    caused by thermal motion. An hcp atom without two hcp neighbours in its plane is indeterminate.
    Columns are local: faults may end inside the crystal or cross each other, and the crystal may be
    bent.

    Parameters
    ----------
    positions : (n, 3) float64
        Positions, Å.
    cell : (3, 3) float64
        Cell vectors in rows, Å.
    pbc : (3,) bool
        Periodic directions.
    structures : (n,) int
        PTM's structure types: 1 fcc, 2 hcp.
    orientations : (n, 4) float64
        PTM's orientations, quaternions (x, y, z, w).
    neighbor_distance : float, optional
        Distance of nearest neighbours, Å. Default: the median over the fcc atoms.
    deformation : (n, 3, 3) float64, optional
        PTM's elastic deformation gradients. With them the planes of a strained crystal are numbered
        and lettered correctly. The types of the faults do not depend on it.
    parent : (4,) float64, optional
        Orientation of the parent in an earlier frame; see `parent_orientation`.
    max_layers : int
        Largest number of layers of a twin. Two boundaries further apart are CTBs.

    Returns
    -------
    FaultSequence or None
        The faults. None if fewer than a tenth of the atoms are fcc: the analysis does not apply.

    Notes
    -----
    A twin of n layers between the boundaries is made by slip on n + 1 successive planes; an ISF by
    slip on one, an ESF on two. In a periodic cell twin and parent are equivalent; the larger one is
    taken as the parent. Faults on planes of the twin that the parent does not have are
    indeterminate.

    At the side of the crystal, columns can leave a twin before they meet its other boundary. There
    the reading of the plane spreads from its inside, no further than the twin is thick.

    On structures built by ``benchmarks/fault_sequence.py`` and rotated arbitrarily, the share of
    the atoms of faults that get the right type and number of layers is 100 % at 0 K, 99.7 to 100 %
    at 300 K, and at 800 K 92 to 98 % with PTM's cutoff at 0.13, 96 to 100 % at 0.15 (narrow ribbons
    of a twin: 80 and 96 %). None of these atoms gets a wrong type, and no other atom gets a type.
    The table is in ``input_templates/micropillar/RESULTS.md``.
    """
    n = len(structures)
    is_fcc, is_hcp = np.flatnonzero(structures == FCC), np.flatnonzero(structures == HCP)
    if len(is_fcc) < MIN_FCC_SHARE * n or len(is_fcc) == 0:
        return None
    parent = parent_orientation(orientations[is_fcc], parent)
    assert parent is not None
    normals = MILLER @ _matrix(parent).T / np.sqrt(3)
    normals *= np.where(normals[:, 2:] < -1e-6, -1.0, 1.0)
    domain = np.full(n, -1, dtype=np.int8)
    domain[is_fcc] = _domains(orientations[is_fcc], parent, normals)

    # the c axis, the third column of the rotation matrix
    x, y, z, w = orientations[is_hcp].T
    axis = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    cosines = axis @ normals.T
    nearest = np.abs(cosines).argmax(axis=1)
    cosine = cosines[np.arange(len(nearest)), nearest]
    parallel = np.abs(cosine) > np.cos(np.radians(TOLERANCE))

    periodic = np.asarray(pbc, dtype=bool) & np.any(cell, axis=1)
    cell = complete_cell(np.where(periodic[:, None], cell, 0.0))
    cell, _ = minkowski_reduce(cell, periodic)  # few images also of a skewed cell
    positions = _wrapped(positions, cell, periodic)
    if neighbor_distance is None:
        neighbor_distance = _neighbor_distance(positions, cell, periodic, is_fcc)

    type_ = np.zeros(n, dtype=np.int8)
    type_[is_hcp] = FaultType.INDETERMINATE
    layers = np.zeros(n, dtype=np.int16)
    normal = np.full(n, -1, dtype=np.int8)
    hcp, twin = is_hcp[parallel], np.flatnonzero(domain > 0)
    atoms = np.concatenate([hcp, twin])
    normal[atoms] = np.concatenate([nearest[parallel], domain[twin] - 1])
    if len(hcp):
        axes = axis[parallel] * np.sign(cosine[parallel])[:, None]
        type_[atoms], layers[atoms] = _read_columns(
            positions[atoms], cell, periodic, normal[atoms], axes, normals, neighbor_distance,
            max_layers,
        )  # fmt: skip

    stretch = _mean_stretch(orientations, deformation, np.flatnonzero(domain == 0))
    planes, plane, letter = _planes(
        positions, cell, periodic, (domain, type_, normal), normals, neighbor_distance, stretch
    )
    return FaultSequence(type_, layers, normal, domain, parent, normals, planes, plane, letter)


def _domains(orientations: np.ndarray, parent: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the crystal of each fcc atom: 0 parent, 1 to 4 its twins, -1 none of them."""
    domain = np.full(len(orientations), -1, dtype=np.int8)
    half_turns = np.pad(normals, ((0, 0), (0, 1)))
    for number, crystal in enumerate([parent, *(_product(turn, parent) for turn in half_turns)]):
        rest = np.flatnonzero(domain < 0)
        near = _closeness(orientations[rest], crystal) > np.cos(np.radians(TOLERANCE / 2))
        domain[rest[near]] = number
    return domain


def _mean_stretch(
    orientations: np.ndarray, deformation: np.ndarray | None, atoms: np.ndarray
) -> np.ndarray:
    """Return the mean left stretch of the parent, the same however PTM turned the cubes."""
    if deformation is None:
        return np.eye(3)
    atoms = atoms[:: -(-len(atoms) // 2000)]
    rotations = np.moveaxis(_matrix(orientations[atoms].T), -1, 0)
    return (deformation[atoms] @ rotations.transpose(0, 2, 1)).mean(axis=0)


def _wrapped(positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Wrap atoms into a cell whose faces lie in gaps between the atoms.

    Such faces divide neither the atoms of a plane nor a crystal in vacuum, wherever the atoms were.
    """
    scaled = positions @ np.linalg.inv(cell)
    for a in np.flatnonzero(periodic):
        scaled[:, a] -= _cut(scaled[:, a] % 1.0, 1.0)
        scaled[:, a] %= 1.0
    return scaled @ cell


def _cut(height: np.ndarray, period: float) -> float:
    """Return the middle of a wide gap between periodic heights, of the one nearest to 0."""
    occupied = np.unique(height)
    gaps = np.diff(occupied, append=occupied[0] + period)
    middle = occupied + gaps / 2
    from_zero = np.abs(middle - period * np.rint(middle / period))
    return float(middle[np.where(gaps > 0.5 * gaps.max(), from_zero, period).argmin()])


def _neighbor_distance(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, atoms: np.ndarray
) -> float:
    """Return the median distance to the six nearest neighbours, periodic images included."""
    sample = positions[atoms[:: -(-len(atoms) // 200)]]

    def distance(margin: float) -> float:
        x, _ = _with_images(positions, cell, periodic, margin)
        return float(np.median(cKDTree(x).query(sample, k=7)[0][:, 1:]))

    # images can only shorten the distance
    margin = 0.0
    while not np.isfinite(upper := distance(margin)):  # fewer than seven atoms
        margin += np.linalg.norm(cell[periodic], axis=1).max()
    return distance(1.001 * upper)


def _with_images(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return wrapped positions, then images up to `margin` outside, and the atom of each."""
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


class _Layers(NamedTuple):
    """Columns of hcp and twin atoms, cut into layers from the bottom to the top.

    Attributes
    ----------
    atom : (n,) int64
        The atoms, sorted by column and height.
    is_hcp : (n,) bool
        Whether each of them is hcp.
    layer : (n,) int64
        Layer of each of them.
    column : (n_layers,) int64
        Column of each layer.
    height : (n_layers,) float64
        Height of each layer, in spacings of the planes along its normal.
    is_h : (n_layers,) bool
        Whether at least half of the layer is hcp. The other layers are twin.
    """

    atom: np.ndarray
    is_hcp: np.ndarray
    layer: np.ndarray
    column: np.ndarray
    height: np.ndarray
    is_h: np.ndarray


# A reading is KIND * fault type + layers.
KIND = 1024


def _read_columns(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, normal: np.ndarray,
    axes: np.ndarray, normals: np.ndarray, distance: float, max_layers: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return fault type and layers of the hcp atoms, which come first, and of the twin atoms."""
    n_hcp, n_all = len(axes), len(positions)
    spacing = distance * np.sqrt(2 / 3)
    x, owner = _with_images(positions, cell, periodic, (max_layers + 2) * spacing)
    along, is_hcp = normal[owner], owner < n_hcp
    height = (x * normals[along]).sum(axis=1)
    pairs = _pairs_in_plane(x, height, along, np.flatnonzero(is_hcp), distance)
    degree = np.bincount(pairs.ravel(), minlength=len(x))
    kept = np.flatnonzero(~is_hcp | (degree >= 2))
    if not is_hcp[kept].any():
        type_ = np.where(np.arange(n_all) < n_hcp, FaultType.INDETERMINATE, FaultType.NONE)
        return type_, np.zeros(n_all, dtype=np.int16)
    axes = axes[owner[kept[is_hcp[kept]]]]
    column, level = _columns(
        x[kept], height[kept], along[kept], is_hcp[kept], axes, normals, distance
    )
    layers = _layers(kept, is_hcp[kept], along[kept], column, level, spacing)
    reading = _read_planes(layers, max_layers)

    # the hcp atoms vote; images come after the atoms
    own = np.zeros(len(x), dtype=np.int64)
    own[layers.atom] = reading[layers.layer]
    own = own[:n_all]
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    pairs = pairs[pairs[:, 0] < n_hcp]
    own[:n_hcp] = _majority(own[:n_hcp], pairs[:, 0], owner[pairs[:, 1]], degree[:n_hcp] >= 2)

    # the twin between two boundaries takes their reading
    reading[layers.layer[layers.is_hcp]] = own[owner[layers.atom[layers.is_hcp]]]
    reading = _fill_twins(layers, reading)
    twin = ~layers.is_hcp & (layers.atom < n_all)
    own[layers.atom[twin]] = reading[layers.layer[twin]]
    own[:n_hcp] = np.maximum(own[:n_hcp], KIND * FaultType.INDETERMINATE)
    return own // KIND, own % KIND


def _pairs_in_plane(
    x: np.ndarray, height: np.ndarray, along: np.ndarray, hcp: np.ndarray, distance: float
) -> np.ndarray:
    """Return the pairs of hcp atoms that are neighbours in one plane, (n_pairs, 2)."""
    pairs = hcp[cKDTree(x[hcp]).query_pairs(1.35 * distance, output_type="ndarray")]
    one, other = pairs.T
    same_height = np.abs(height[one] - height[other]) < 0.45 * np.sqrt(2 / 3) * distance
    return pairs[same_height & (along[one] == along[other])]


def _columns(
    x: np.ndarray, height: np.ndarray, along: np.ndarray, is_hcp: np.ndarray, axes: np.ndarray,
    normals: np.ndarray, distance: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the column of each atom, and its height along the mean c axis of that column."""
    u = np.cross(normals, np.eye(3)[np.abs(normals).argmin(axis=1)])
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    sides = np.stack([u, np.cross(normals, u)], axis=1)
    lateral = (sides[along] @ x[:, :, None])[..., 0]
    tile = np.floor(lateral / (2 * distance))
    offset = lateral - (tile + 0.5) * 2 * distance
    tile = (tile - tile.min(axis=0)).astype(np.int64)
    nx, ny = tile.max(axis=0) + 1
    column = (along * nx + tile[:, 0]) * ny + tile[:, 1]
    n_columns = int(column.max()) + 1
    weight = np.maximum(np.bincount(column[is_hcp], minlength=n_columns), 1)
    tilts = (sides[along[is_hcp]] @ axes[:, :, None])[..., 0].T
    tilt = np.stack([np.bincount(column[is_hcp], t, n_columns) / weight for t in tilts], axis=1)
    return column, height + (offset * tilt[column]).sum(axis=1)


def _layers(
    atom: np.ndarray, is_hcp: np.ndarray, along: np.ndarray, column: np.ndarray, level: np.ndarray,
    spacing: float,
) -> _Layers:  # fmt: skip
    """Cut each column into layers, where heights differ by more than half of the spacing."""
    order = np.lexsort((level, column))
    atom, is_hcp, along = atom[order], is_hcp[order], along[order]
    column, level = column[order], level[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(column) != 0) | (np.diff(level) > 0.5 * spacing)
    layer = np.cumsum(new) - 1
    n_atoms, n_hcp = np.bincount(layer), np.bincount(layer, is_hcp)
    height = _in_spacings(np.bincount(layer, level) / n_atoms, column[new], along[new], spacing)
    return _Layers(atom, is_hcp, layer, column[new], height, 2 * n_hcp >= n_atoms)


def _in_spacings(
    height: np.ndarray, column: np.ndarray, along: np.ndarray, spacing: float
) -> np.ndarray:
    """Return heights in units of the spacing along their normal, which strain makes unequal."""
    steps = np.where(np.diff(column) == 0, np.diff(height), 0.0)
    close = np.abs(steps / spacing - 1) < 0.25
    unit = np.full(4, spacing)
    for k in range(4):
        if (own := close & (along[1:] == k)).any():
            unit[k] = np.median(steps[own])
    return height / unit[along]


def _read_planes(layers: _Layers, max_layers: int) -> np.ndarray:
    """Return the reading of each layer: the fault of an h plane, 0 of a twin layer."""
    plane, length, gap = _gaps(layers, max_layers)
    far = max_layers + 1
    single = length == 1
    # a single h plane belongs to the nearer of the boundaries that it faces across the twin
    nearest = np.minimum(np.append(gap, far), np.append(far, gap))
    kind = np.full(len(plane), FaultType.INDETERMINATE, dtype=np.int64)
    kind[length == 2] = FaultType.ISF
    kind[length >= 3] = FaultType.LAMELLA
    kind[single & (nearest == 1)] = FaultType.ESF
    kind[single & (nearest > 1) & (nearest < far)] = FaultType.TWIN
    # open: the next layer on one side is twin
    adjacent = (np.diff(layers.height) < 1.5) & (np.diff(layers.column) == 0)
    next_to_twin = np.zeros(len(layers.column), dtype=bool)
    next_to_twin[:-1] |= adjacent & ~layers.is_h[1:]
    next_to_twin[1:] |= adjacent & ~layers.is_h[:-1]
    kind[single & (nearest == far) & next_to_twin[plane]] = FaultType.CTB
    reading = np.zeros(len(layers.column), dtype=np.int64)
    reading[plane] = KIND * kind + np.where(single & (nearest < far), nearest, 0)
    return reading


def _gaps(layers: _Layers, max_layers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the h planes, the length of the run of each, and the twin between it and the next.

    A run consists of h planes that touch. The twin is a number of layers; max_layers + 1 if the
    next h plane is not the other boundary of a twin.
    """
    plane = np.flatnonzero(layers.is_h)
    same_column = np.diff(layers.column[plane]) == 0
    between = np.rint(np.diff(layers.height[plane])).astype(int) - 1
    filled = np.diff(plane) - 1  # layers of twin in between; those of the parent are not here
    starts = np.ones(len(plane), dtype=bool)
    starts[1:] = ~(same_column & (between <= 0))
    run = np.cumsum(starts) - 1
    length = np.bincount(run)[run]
    closed = same_column & (between > 0) & (between <= max_layers) & (2 * filled >= between)
    closed &= (length[1:] % 2 == 1) & (length[:-1] % 2 == 1)
    return plane, length, np.where(closed, between, max_layers + 1)


def _fill_twins(layers: _Layers, reading: np.ndarray) -> np.ndarray:
    """Return the readings, with those of the boundaries on the twin layers between them."""
    is_twin = ~layers.is_h
    reading = np.where(is_twin, 0, reading)
    number = np.arange(len(reading))
    below = np.maximum.accumulate(np.where(is_twin, -1, number))
    above = np.minimum.accumulate(np.where(is_twin, len(number), number)[::-1])[::-1]
    for boundary in (below, above):
        inner = np.flatnonzero(is_twin & (boundary >= 0) & (boundary < len(number)))
        outer = boundary[inner]
        away = np.rint(np.abs(layers.height[inner] - layers.height[outer]))
        inside = layers.column[inner] == layers.column[outer]
        inside &= away <= reading[outer] % KIND
        inside &= 2 * np.abs(inner - outer) >= away  # nothing of the parent in between
        reading[inner[inside]] = reading[outer[inside]]
    return reading


def _majority(code: np.ndarray, atom: np.ndarray, neighbor: np.ndarray, votes: Any) -> np.ndarray:
    """Return the code of most of the neighbours and the atom itself, for atoms that vote; twice."""
    codes, index = np.unique(code, return_inverse=True)
    n, k = len(code), len(codes)
    # a boundary without a partner counts less: the partner may be outside of the crystal
    kind = codes // KIND
    weight = np.select([kind < FaultType.ISF, kind == FaultType.CTB], [0.1, 0.3], 1.0)
    for _ in range(2):
        count = np.bincount(atom * k + index[neighbor], minlength=n * k).reshape(n, k) * weight
        count[np.arange(n), index] += 1.5 * weight[index]
        index = np.where(votes, count.argmax(axis=1), index)
    # Where columns leave the crystal through its side, the other boundary is missing. As far as
    # that can reach, the reading of the boundary spreads.
    layers = codes % KIND
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
    """Return the planes along each normal that has faults, and number and letter of each atom's."""
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
        for kind, mark in FAULT_MARKS.items():
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
    """Return the heights of a stack of whole planes within one period, for any cell vectors.

    If cell vectors lead from plane to plane, atoms of one plane are at several heights. If faults
    do not cover their plane, the heights are returned as they are.
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
    """Return the letter of each plane: up in the parent, down in the twin, turning at h planes."""
    letters = np.full(len(size), 3, dtype=np.int8)
    occupied = np.flatnonzero(size)
    is_h = 2 * n_h[occupied] >= size[occupied]
    steps = np.where(2 * n_t > size - n_h, -1, 1)[occupied]
    # start so that leading h planes lead into the first of the others
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
    """Return the Miller indices of a row of `MILLER`.

    Parameters
    ----------
    normal : int
        Row of `MILLER`.

    Returns
    -------
    str
        Miller indices in brackets.

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
        Faults of the same atoms.

    Returns
    -------
    (n_layers,) int64
        Numbers of hcp atoms, by layers: 0 at index 0, those of ESFs at 1, those of twins from 2 on.
    """
    boundary = (structures == HCP) & (found.layers > 0)
    return np.bincount(found.layers[boundary], minlength=2)

# SPDX-License-Identifier: BSD-3-Clause
"""Fault sequences without OVITO: stacks whose structure types and orientations are known."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ase_calculators import fault_sequence as module
from ase_calculators.fault_sequence import (
    CUBIC,
    FAULT_COLORS,
    FAULT_NAMES,
    FaultType,
    _product,
    fault_sequence,
    miller_name,
    parent_orientation,
    twin_layers,
)

DISTANCE = 2.86
# turns [111] of a cube to z
PARENT = Rotation.align_vectors([[0, 0, 1], [1, 0, 0]], [[1, 1, 1], [1, -1, 0]])[0]
TWIN = Rotation.from_rotvec([0, 0, np.pi]) * PARENT


def stack(steps, width=6):
    """Stack close-packed planes; each atom is labelled by what its planes above and below are."""
    steps = np.array(steps)
    edges = DISTANCE * np.array([[1, 0, 0], [0.5, np.sqrt(0.75), 0]])
    i, j = np.divmod(np.arange(width**2), width)
    plane = np.outer(i, edges[0]) + np.outer(j, edges[1])
    letters = np.concatenate([[0], np.cumsum(steps[:-1])]) % 3
    spacing = DISTANCE * np.sqrt(2 / 3)
    shifts = np.outer(letters, edges.sum(axis=0) / 3)
    shifts[:, 2] = np.arange(len(steps)) * spacing
    cell = np.array([*(width * edges), [0, 0, len(steps) * spacing]])
    turns = np.roll(steps, 1) != steps  # the plane between two different steps is hcp
    quaternions = [
        [0, 0, 0, 1] if turn else (PARENT if step > 0 else TWIN).as_quat()
        for turn, step in zip(turns, steps, strict=True)
    ]
    positions = (shifts[:, None] + plane).reshape(-1, 3)
    structures = np.repeat(np.where(turns, 2, 1), width**2)
    return positions, cell, structures, np.repeat(np.array(quaternions), width**2, axis=0)


@pytest.mark.parametrize(
    "down, type_",
    [(0, None), (1, FaultType.ISF), (2, FaultType.ESF), (4, FaultType.TWIN)],
    ids=["perfect", "ISF", "ESF", "twin of 3 layers"],
)
def test_stacks_with_known_orientations(down, type_):
    steps = [1] * 8 + [-1] * down + [1] * (10 + down % 3)
    positions, cell, structures, orientations = stack(steps)
    for R in (Rotation.identity(), Rotation.random(rng=np.random.default_rng(3))):
        turned = (R * Rotation.from_quat(orientations)).as_quat()
        M = R.as_matrix().T
        found = fault_sequence(positions @ M, cell @ M, (True,) * 3, structures, turned, DISTANCE)
        expected = np.zeros((len(steps), 36), dtype=int)
        if down:
            expected[8 : 9 + down] = type_
        np.testing.assert_array_equal(found.type, expected.ravel())
        assert set(found.layers[found.type > 0]) == ({down - 1} if down else set())
        normal = found.normals[found.planes[0].normal]
        assert abs(normal @ R.apply([0, 0, 1])) == pytest.approx(1, abs=1e-6)
        assert found.planes[0].spacing == pytest.approx(DISTANCE * np.sqrt(2 / 3), rel=1e-3)
        boundaries = {n: 72 for n in range(1, 4) if n == down - 1}  # two planes of 36 atoms
        counts = twin_layers(structures, found)
        assert {n: counts[n] for n in np.flatnonzero(counts)} == boundaries


def test_it_needs_no_ovito():
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('ovito', 'traits'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import numpy as np\n"
        "from ase_calculators.fault_sequence import fault_sequence\n"
        "x = 4.05 * np.array([[0, 0, 0], [0, .5, .5], [.5, 0, .5], [.5, .5, 0]])\n"
        "q = np.tile([0, 0, 0, 1.0], (4, 1))\n"
        "found = fault_sequence(x, 4.05 * np.eye(3), [True] * 3, np.ones(4, dtype=int), q)\n"
        "assert not found.type.any()\n"
        "try:\n"
        "    import ase_calculators.ovito_modifiers\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, text=True,
                          capture_output=True)  # fmt: skip
    assert done.stdout == "OVITO is not installed: pip install 'entsym[analysis]'\n"


def test_not_fcc_gives_nothing():
    positions, cell, structures, orientations = stack([1] * 6, width=4)
    structures[5:] = 0
    assert fault_sequence(positions, cell, (True,) * 3, structures, orientations) is None


def test_parent_of_scattered_orientations():
    rng = np.random.default_rng(1)
    q = rng.normal(size=4)
    q /= np.linalg.norm(q)
    turned = _product(q, CUBIC[rng.integers(24, size=500)])
    turned += 0.03 * rng.normal(size=turned.shape)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    mean = parent_orientation(turned)
    closeness = np.abs(mean @ _product(q, CUBIC).T).max()
    assert np.degrees(2 * np.arccos(closeness)) < 0.5
    assert parent_orientation(np.zeros((0, 4))) is None


def test_each_type_has_a_name_and_a_color():
    assert len(FAULT_NAMES) == len(set(FAULT_NAMES)) == len(FaultType)
    assert len(FAULT_COLORS) == len(set(FAULT_COLORS)) == len(FaultType)
    assert [miller_name(k) for k in range(4)] == ["(111)", "(-111)", "(1-11)", "(11-1)"]


def test_examples_of_the_docstrings():
    assert doctest.testmod(module).failed == 0

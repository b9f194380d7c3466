# SPDX-License-Identifier: BSD-3-Clause
"""Every wrong argument ends in one line that names it; none in a NaN or a crash."""

import subprocess
import sys

import numpy as np
import pytest

from cython_core import Kernel

GOOD = dict(rmax=5.0, sigma=0.25, q6_cutoff=3.5)
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", ["rmax", "sigma", "q6_cutoff", "dr"])
@pytest.mark.parametrize("value", [0.0, -1.0, NAN, INF, -INF])
def test_lengths_must_be_positive_and_finite(name, value):
    with pytest.raises(ValueError, match=rf"^{name} = \S+: must be [^\n]*$"):
        Kernel(**{**GOOD, name: value})


@pytest.mark.parametrize("value", [-0.1, 3.6, NAN, INF])
def test_smooth_lies_between_zero_and_the_cutoff(value):
    with pytest.raises(ValueError, match=r"^smooth = \S+: must [^\n]*q6_cutoff[^\n]*$"):
        Kernel(**GOOD, smooth=value)


def test_dr_is_at_most_sigma():
    with pytest.raises(ValueError, match=r"^dr = 0.26: must be [^\n]*sigma[^\n]*$"):
        Kernel(**GOOD, dr=0.26)
    assert Kernel(**GOOD, dr=0.25).dr == 0.25


@pytest.mark.parametrize("degree", [-2, 0, 1, 3, 5, 7, 13, 14, 100, 6.5])
def test_degree_is_even_from_2_to_12(degree):
    with pytest.raises(ValueError, match=rf"^degree = {degree}: must be [^\n]*12[^\n]*$"):
        Kernel(**GOOD, degree=degree)


@pytest.mark.parametrize("name", ["rmax", "sigma", "q6_cutoff", "dr", "smooth"])
@pytest.mark.parametrize("value", ["8", True, 1j, [5.0]], ids=str)
def test_lengths_must_be_numbers(name, value):
    with pytest.raises(TypeError, match=rf"^{name} = [^\n]*: must be a number$"):
        Kernel(**{**GOOD, name: value})


@pytest.mark.parametrize("degree", [NAN, INF, "6", None])
def test_degree_must_be_a_number(degree):
    with pytest.raises(ValueError, match=rf"^degree = {degree}: must be one of"):
        Kernel(**GOOD, degree=degree)


def test_grid_of_a_million_points_at_most():
    with pytest.raises(
        ValueError, match=r"^dr = \S+: must be at least rmax/1e6 = 5e-06; raise sigma"
    ):
        Kernel(rmax=5.0, sigma=1e-6, q6_cutoff=3.5)


def test_shapes():
    kernel = Kernel(**GOOD)
    with pytest.raises(ValueError, match=r"^positions has shape \(2, 2\): must be \(n, 3\)$"):
        kernel.evaluate(TWO[:, :2], CUBE, ON)
    with pytest.raises(ValueError, match=r"^positions is complex: must be real$"):
        kernel.evaluate(TWO + 0j, CUBE, ON)
    with pytest.raises(ValueError, match=r"^pbc has shape \(2,\): must be one flag or three$"):
        kernel.evaluate(TWO, CUBE, (True, True))
    for offsets in ([0, 5], [0.0, 1.5], [1, 2], [0, 1, 2]):
        with pytest.raises(
            ValueError, match=r"^offsets = .*: must be 2 whole numbers rising from 0"
        ):
            kernel.evaluate_batch(TWO, offsets, [CUBE], ON)


def test_atoms_must_not_be_a_billion_cells_away():
    with pytest.raises(ValueError, match="^positions: atom 1 is more than 1e9 cells away; wrap"):
        Kernel(**GOOD).evaluate(TWO + [[0.0], [1e11]], CUBE, ON)


def test_fewer_threads_than_asked_for_do_the_same_work():
    """A machine that has no more threads to give: not a crash, and the same numbers."""
    code = f"""
import resource, numpy as np
from cython_core import Kernel
positions, cells = np.tile({TWO.tolist()}, (2000, 1)), [{CUBE.tolist()}] * 2000
arguments = positions, 2 * np.arange(2001), cells, True, None
kernel = Kernel(**{GOOD})
one = kernel.evaluate_batch(*arguments)
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30,) * 2)  # a thread reserves 8 MB and more
assert (kernel.evaluate_batch(*arguments, threads=1024) == one).all()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_missing_and_unknown_arguments():
    with pytest.raises(TypeError):
        Kernel(rmax=5.0, sigma=0.25)
    with pytest.raises(TypeError):
        Kernel(**GOOD, q_cutoff=3.0)


CUBE = 4.0 * np.eye(3)
TWO = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
ON, OFF = (True,) * 3, (False,) * 3
STRUCTURES = {
    "no-atoms": (np.empty((0, 3)), CUBE, ON, None, "no atoms|positions"),
    "nan": (np.array([[0, 0, NAN], [1, 1, 1]]), CUBE, ON, None, "positions.*finite"),
    "infinite": (np.array([[0, INF, 0], [1, 1, 1]]), CUBE, ON, None, "positions.*finite"),
    "zero-cell": (TWO, np.zeros((3, 3)), ON, None, "cell"),
    "flat-cell": (TWO, [[4, 0, 0], [0, 4, 0], [4, 4, 0]], ON, None, "cell"),
    "nan-cell": (TWO, [[4, 0, 0], [0, 4, 0], [0, 0, NAN]], ON, None, "cell"),
    "parallel-vectors": (TWO, [[4, 0, 0], [8, 0, 0], [0, 0, 1]], (1, 1, 0), 0.05, "cell"),
    "aperiodic": (TWO, CUBE, (True, True, False), None, "number_density|density"),
    "cluster": (TWO, CUBE, OFF, None, "number_density|density"),
    "single-atom": (TWO[:1], CUBE, OFF, 0.05, "atom"),
    "density-zero": (TWO, CUBE, ON, 0.0, "number_density = 0"),
    "density-negative": (TWO, CUBE, ON, -1.0, "number_density = -1"),
    "density-nan": (TWO, CUBE, ON, NAN, "number_density = nan"),
    "density-infinite": (TWO, CUBE, ON, INF, "number_density = inf"),
    "flat-positions": (np.zeros(6), CUBE, ON, None, r"positions has shape \(6,\): must be"),
    "two-columns": (np.zeros((3, 2)), CUBE, ON, None, r"positions has shape \(3, 2\): must be"),
    "cell-shape": (TWO, np.ones(3), ON, None, r"cell has shape \(3,\): must be"),
}


@pytest.mark.parametrize("method", ["evaluate", "radial_distribution", "local", "gradients"])
@pytest.mark.parametrize("case", STRUCTURES)
def test_structures(case, method):
    *arguments, text = STRUCTURES[case]
    with pytest.raises(ValueError, match=rf"^[^\n]*({text})[^\n]*$"):
        getattr(Kernel(**GOOD), method)(*arguments)


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_threads(threads):
    with pytest.raises(ValueError, match="threads = "):
        Kernel(**GOOD).evaluate(TWO, CUBE, ON, None, threads)


def test_batch_names_the_structure():
    positions = np.concatenate([TWO, TWO, TWO])
    positions[3, 1] = NAN
    arguments = [0, 2, 4, 6], [CUBE] * 3, [ON] * 3
    with pytest.raises(ValueError, match=r"1[^\n]*positions[^\n]*finite"):
        Kernel(**GOOD).evaluate_batch(positions, *arguments)
    with pytest.raises(ValueError, match=r"0[^\n]*density"):
        Kernel(**GOOD).evaluate_batch(positions, *arguments[:2], [ON, OFF, ON][::-1][1:] + [ON])


@pytest.mark.parametrize("offsets", [[0, 2], [0, 4, 2, 6], [1, 2, 4, 6], [0, 2, 4, 7]])
def test_batch_offsets(offsets):
    """Offsets that do not describe the positions are refused rather than followed."""
    positions = np.concatenate([TWO, TWO, TWO])
    with pytest.raises(ValueError, match="offsets|cells"):
        Kernel(**GOOD).evaluate_batch(positions, offsets, [CUBE] * 3, [ON] * 3)


def test_a_failed_call_leaves_the_kernel_as_it_was():
    kernel = Kernel(**GOOD)
    before = kernel.evaluate(TWO, CUBE, ON)
    with pytest.raises(ValueError):
        kernel.evaluate(TWO * NAN, CUBE, ON)
    assert kernel.evaluate(TWO, CUBE, ON) == before

# SPDX-License-Identifier: BSD-3-Clause
"""Every wrong argument ends in one line that names it; none in a NaN or a crash."""

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

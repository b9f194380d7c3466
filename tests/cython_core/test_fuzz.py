# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's Python interface with random arguments: a value or an error of one line, soon.

`make fuzz` does the same in C++ under sanitizers, a thousand times as often.
"""

import faulthandler
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cython_core import Breeder, Evolution, Gaps, Kernel, reference, target_points, window_of

SETTINGS = settings(
    deadline=None,  # a hang ends in the limit of the whole process, below
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)

ENDS = [
    0.0, -0.0, 5e-324, 1e-308, 1e-162, 1e-154, 1e-100, 1e-30, 1e-15, 1e-8, 1.0, 4.0, 1e6, 1e8, 1e9,
    1e15, 1e30, 1e100, 1e150, 1e160, 1e300, 1e308, float("inf"), float("nan"),
]  # fmt: skip
wild = st.one_of(
    st.sampled_from(ENDS + [-value for value in ENDS]),
    st.floats(),
    st.sampled_from([None, "5", b"5", True, 1j, [1.0], (), {}, 10**400, np.float32(3), object]),
)
length = st.floats(2.0, 4.5)
METHODS = ["evaluate", "local", "gradients", "radial_distribution", "batch"]
flags = st.one_of(
    st.booleans(),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.sampled_from(["FFF", None, 2, (1, 0), np.nan, [[True] * 3], "T"]),
)


@st.composite
def structures(draw):
    """Return positions, cell, pbc of a few atoms as dense as a solid, triclinic."""
    n = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    edge = (n / rng.uniform(0.02, 0.1)) ** (1 / 3)
    cell = edge * (np.eye(3) + rng.uniform(-0.25, 0.25, (3, 3)))
    positions = rng.uniform(-0.5, 1.5, (n, 3)) @ cell
    return positions, cell, draw(st.lists(st.booleans(), min_size=3, max_size=3))


@st.composite
def spoilt(draw):
    """Return positions, cell, pbc, density, some of them extreme."""
    positions, cell, pbc = draw(structures())
    density = 0.05
    for kind in draw(st.lists(st.integers(0, 7), min_size=1, max_size=2)):
        value = draw(st.sampled_from(ENDS)) * draw(st.sampled_from([1.0, -1.0]))
        with np.errstate(all="ignore"):
            if kind == 0:
                positions[draw(st.integers(0, len(positions) - 1)), draw(st.integers(0, 2))] = value
            elif kind == 1:
                positions = positions + value
            elif kind == 2:
                cell[draw(st.integers(0, 2)), draw(st.integers(0, 2))] = value
            elif kind == 3:
                cell[draw(st.integers(0, 2))] *= value
            elif kind == 4:
                cell *= value
            elif kind == 5:
                density = draw(wild)
            elif kind == 6:
                pbc = draw(flags)
            else:
                wrong = [
                    *(positions[:0], positions[:, :2], positions.astype(complex), None, "x"),
                    *([[]], positions.astype(str), positions.astype(object), [[1.0], [3.0, 2.0]]),
                    *(np.ma.masked_less(positions, 0.0), np.full(positions.shape, None)),
                ]
                return wrong[draw(st.integers(0, len(wrong) - 1))], cell, pbc, density
    return positions, cell, pbc, density


def answer(call, *arguments, **named):
    """Return the value, or None if it was refused in one line of several words."""
    try:
        return call(*arguments, **named)
    except (ValueError, TypeError) as error:
        text = str(error)
        assert "\n" not in text and len(text) > 30, text
        assert any(word in text for word in ("must be", "; ")), text  # the range, or the remedy
    return None


def finite(value):
    """Return whether all numbers of a result are finite."""
    values = value.values() if isinstance(value, dict) else value
    return all(np.isfinite(part).all() for part in values)


@given(structures(), length, st.floats(0.08, 0.4), length, st.sampled_from([2, 4, 6, 8, 10, 12]),
       st.sampled_from([0.0, 0.5]))  # fmt: skip
def check_sane(structure, rmax, sigma, q6_cutoff, degree, smooth):
    """Ordinary structures have the values of the oracle."""
    kernel = Kernel(rmax, sigma, q6_cutoff, degree=degree, smooth=smooth)
    positions, cell, pbc = structure
    sS, Q = kernel.evaluate(positions, cell, pbc, 0.05)
    plain = reference.Reference(rmax, sigma, q6_cutoff, degree=degree, smooth=smooth)
    right = plain.evaluate(positions, cell, pbc, 0.05)
    assert abs(sS - right[0]) < 1e-8 * (1 + abs(right[0]))
    assert abs(Q - right[1]) < (
        1e-5 if smooth else 1e-10
    )  # weights at the fading end have no digits
    for method in (kernel.local, kernel.gradients, kernel.radial_distribution):
        assert finite(method(positions, cell, pbc, 0.05))


@given(
    spoilt(), st.sampled_from(["evaluate", "local", "gradients", "radial_distribution", "batch"])
)
def check_structures(arguments, method):
    """Any structure gives finite values, or is refused."""
    kernel = Kernel(4.0, 0.25, 3.0)
    if method == "batch":
        positions, cell, pbc, density = arguments
        n = np.shape(positions)[0] if np.ndim(positions) else 0
        value = answer(kernel.evaluate_batch, positions, [0, n], [cell], pbc, density)
        value = None if value is None else [value]
    else:
        value = answer(getattr(kernel, method), *arguments)
    assert value is None or finite(value)


@given(structures(), st.dictionaries(
    st.sampled_from(["rmax", "sigma", "q6_cutoff", "dr", "degree", "smooth"]), wild, min_size=1,
    max_size=3))  # fmt: skip
def check_parameters(structure, changed):
    """Any parameters give a kernel with finite values, or are refused."""
    given_ = {"rmax": 4.0, "sigma": 0.25, "q6_cutoff": 3.0, **changed}
    kernel = answer(Kernel, **given_)
    if kernel is not None:
        value = answer(kernel.evaluate, *structure, 0.05)
        assert value is None or finite(value)


GENES = [
    *("displacement", "rate", "volume", "shape", "swaps", "probabilities", "min_distance"),
    *("frozen", "volume_limits", "angle_limits", "names", "attempts", "smooth"),
]
POPULATION = [
    *("values", "target", "extent", "n_children", "species", "number_density", "n_library"),
    *("n_counted", "fresh", "steps", "tolerance", "seed", "stream", "threads", "pbc"),
    *("positions", "cells"),
]


@given(
    st.dictionaries(st.sampled_from(GENES), wild, max_size=2),
    st.dictionaries(st.sampled_from(POPULATION), wild, max_size=2),
)
def check_breeding(genes, population):
    """Any genes and populations give valid children with values, or are refused."""
    fcc = 4.05 * np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    if "attempts" in genes and isinstance(genes["attempts"], float) and genes["attempts"] > 100:
        genes["attempts"] = 100
    breeder = answer(Breeder, Kernel(4.0, 0.25, 3.0), **{"displacement": 0.1, **genes})
    if breeder is None:
        return
    arguments = {
        "positions": fcc[None],
        "cells": 4.05 * np.eye(3)[None],
        "values": [(-5.0, 0.5)],
        "target": (-3.0, 0.3),
        "extent": (2.0, 0.2),
        "n_children": 2,
        "steps": 2,
    }
    children = answer(breeder.breed, **{**arguments, **population})
    if children is not None:
        assert np.isfinite(children["values"][children["valid"]]).all()


@given(st.lists(wild, min_size=4, max_size=4), wild, st.integers(-1, 2**40), st.booleans())
def check_plans(window, expand, n, interior):
    """Any window and number of targets, gaps and generations gives points, or is refused."""
    for area in (window, (-5.0, -1.0, 0.1, 0.5)):
        points = answer(target_points, area, n, interior)
        assert points is None or (np.isfinite(points).all() and len(points) <= 100_000)
        answer(Gaps, area, n)
        evolution = answer(Evolution, area[:2], area[2:], [area[:2]], n)
        assert evolution is None or np.isfinite(evolution.distance)
    corners = answer(window_of, [window[:2], (-1.0, 0.5)], expand)
    assert corners is None or np.isfinite(corners).all()


CHECKS = ["sane", "structures", "parameters", "breeding", "plans"]


@pytest.mark.parametrize("check", CHECKS)
def test_any_input_ends_in_a_value_or_a_refusal_soon(check):
    """Run in a separate process with limits on time and memory, so that a crash or a hang fails."""
    done = subprocess.run(
        [sys.executable, __file__, check, "60"], capture_output=True, text=True,
        env={**os.environ, "ENTSYM_LIMIT": "0.05"},
    )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}{done.stderr}"[-4000:]


def main(check, examples):
    """Run one check within 4 GB and, of the processor, 30 s and 0.2 s for each example."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
    seconds = 30 + examples // 5
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    settings(SETTINGS, max_examples=examples)(globals()[f"check_{check}"])()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

# SPDX-License-Identifier: BSD-3-Clause
"""Windows, targets, gaps, and the possible parents of the next generation."""

import numpy as np
import pytest

from ase_calculators import LandscapeTable, coverage
from cython_core import Evolution, Gaps, target_points, window_of

WINDOW = (-4.0, 0.0, 0.1, 0.5)


def test_window_is_widened_on_every_side_and_q_stays_within_0_and_1():
    values = [(-4.0, 0.1), (-2.0, 0.6), (0.0, 0.5)]
    assert window_of(values, 0.0) == (-4.0, 0.0, 0.1, 0.6)
    assert window_of(values, 0.1) == pytest.approx((-4.4, 0.4, 0.05, 0.65), rel=1e-15)
    assert window_of(values, 2.0)[2:] == (0.0, 1.0)


def test_edges_have_their_corners_once_and_a_grid_its_interior():
    edges = target_points(WINDOW, 3)
    expected = [
        [-4.0, 0.1], [-4.0, 0.3], [-4.0, 0.5], [-2.0, 0.1], [-2.0, 0.5],
        [0.0, 0.1], [0.0, 0.3], [0.0, 0.5],
    ]  # fmt: skip
    assert np.allclose(edges, expected, rtol=0, atol=1e-15)
    grid = target_points(WINDOW, 3, interior=True)
    assert len(grid) == 9
    assert np.allclose(grid[4], (-2.0, 0.3))
    assert len(target_points(WINDOW, 10)) == 36


@pytest.mark.parametrize("window", [WINDOW, (-4.1, 0.25, 0.07, 0.52)], ids=["on cells", "across"])
def test_gaps_are_the_empty_cells_of_coverage_the_nearest_first_each_once(window):
    rng, n = np.random.default_rng(1), 4
    low, high = np.reshape(window, (2, 2)).T
    size = (high - low) / n
    values = [low + 0.03 * size, low + (2.3, 1.4) * size]
    gaps, tried = Gaps(window, n), []
    gaps.add(values)
    while (gap := gaps.next()) is not None:
        point, nearest = gap
        empty = coverage(table_of(values), window, tuple(size)).empty
        left = [c for c in empty if not any(np.allclose(c, t) for t in tried)]
        away = np.linalg.norm((np.array(values)[:, None] - left) / (high - low), axis=2)
        own = np.linalg.norm((np.array(values) - point) / (high - low), axis=1)
        assert own.min() == pytest.approx(away.min(), rel=1e-12)
        assert own[nearest] == pytest.approx(own.min(), rel=1e-12)
        tried.append(point)
        values.append(point + rng.uniform(-1.2, 1.2, 2) * size)
        gaps.add(values[-1:])
    assert all(any(np.allclose(c, t) for t in tried) for c in empty)
    assert len(tried) < len(empty) + len(values) - 2  # some cells were filled by the way


def table_of(values):
    sS, Q = np.transpose(values)
    nothing = np.zeros(len(sS))
    return LandscapeTable(
        frame=nothing, file=nothing.astype(str), sS=sS, Q=Q, n_atoms=nothing, volume=nothing,
        energy=nothing, parameters={"degree": 6},
    )  # fmt: skip


def take(evolution, *points):
    first = evolution.n_children
    evolution.take(range(first, first + len(points)), np.reshape(points, (-1, 2)))


def test_a_generation_descends_from_the_one_before_and_elitism_adds_the_nearest_child():
    for elitism in (False, True):
        evolution = Evolution((-2, 0.3), (4.0, 0.4), [(-2.0, 0.31)], 3, elitism=elitism)
        assert evolution.pool == []
        assert evolution.distance == pytest.approx(0.025)
        take(evolution, (-1.0, 0.3), (-1.9, 0.3), (-3.0, 0.3))
        assert evolution.pool == [0, 1, 2]
        assert evolution.nearest == (-2.0, 0.31)  # a parent
        take(evolution, (-1.0, 0.3), (-1.5, 0.3))
        assert evolution.pool == ([3, 4, 1] if elitism else [3, 4])
        take(evolution)
        assert evolution.pool == ([3, 4, 1] if elitism else [3, 4])  # none came
        assert evolution.done
        assert evolution.generation == 3


def test_starts_from_a_pool_and_hits_within_a_tolerance():
    evolution = Evolution((0, 0), (1, 1), [(1, 1)], 2, tolerance=0.2, pool=[5, 3])
    assert evolution.pool == [5, 3]
    take(evolution, (0.1, 0.0), (0.15, 0.15))
    assert (evolution.hits, evolution.pool) == (1, [0, 1])


def test_ends_after_the_generation_with_enough_hits():
    evolution = Evolution((0, 0), (1.0, 1.0), [(1.0, 1.0)], 9, hits=2)
    take(evolution, (0.9 * 0.02, 0), (1.1 * 0.02, 0))
    assert not evolution.done
    assert evolution.hits == 1
    assert evolution.nearest == (0.9 * 0.02, 0.0)
    take(evolution, (0, 0.9 * 0.02), (0, 0))
    assert evolution.done
    assert evolution.hits == 3
    assert evolution.distance == 0.0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: target_points(WINDOW, 1), "n = 1: must be a whole number from 2"),
        (lambda: Gaps(WINDOW, 0), "n = 0: must be a whole number from 1"),
        (lambda: Gaps(WINDOW, 2).add([(0, 0, 0)]), "values"),
        (
            lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1, tolerance=-1.0),
            r"tolerance = -1: must be 0 or more",
        ),
        (lambda: Evolution((0, 0), (0, 1), [(0, 0)], 1), r"extent = 0: must be finite"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 0), "generations = 0: must be"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1, hits=0), "hits = 0: must be"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1).take([1], [(0, 0, 0)]), "values"),
        *(
            (lambda n=n: target_points(WINDOW, n), "targets_per_edge = .* targets, more than")
            for n in (100_000, 2_000_000_000)
        ),
        (lambda: target_points(WINDOW, 1000, True), "targets_per_edge = 1000: makes 1e.06 targets"),
        (lambda: Gaps(WINDOW, 46341), "targets_per_edge = 46341: makes"),
        (lambda: Gaps((0, 0, 0, 1), 3), "window: sS from 0 to 0: must be finite, rise"),
        (lambda: Gaps((0, 5e-324, 0, 1), 3), "window: sS from 0 to .*: must be finite, rise"),
        (
            lambda: target_points((0, np.nan, 0, 1), 3),
            "window: sS from 0 to nan: must be finite, rise",
        ),
        (lambda: target_points((0, 1, 0), 3), r"window has shape \(3,\): must be \(4,\)"),
        (lambda: window_of(np.empty((0, 2)), 0.1), "values: no structures; give"),
        (lambda: window_of([(np.nan, 0)], 0.1), "values: sS of structure 0 is nan: must be"),
        (lambda: window_of([(0, 0)], 1e300), "expand = 1e.300: must be from 0 to"),
        (lambda: Evolution((0, 0), (1, 1), np.empty((0, 2)), 1), "values: no structures"),
        (lambda: Evolution((0, 0), (1, 1e-300), [(0, 0)], 1), "extent = 1e-300: must be finite"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1, pool=[-1]), "pool = -1: must be a whole"),
    ],
    ids=[
        "points",
        "gaps",
        "gaps-add",
        "tolerance",
        "extent",
        "generations",
        "hits",
        "take",
        "1e5 targets",
        "2e9 targets",
        "grid",
        "gaps that overflow",
        "no window",
        "denormal window",
        "nan window",
        "short window",
        "no values",
        "nan values",
        "expand",
        "no library",
        "denormal extent",
        "pool",
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

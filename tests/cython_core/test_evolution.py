# SPDX-License-Identifier: BSD-3-Clause
"""Windows, targets, gaps, and who may be parent of the next generation."""

import numpy as np
import pytest

from cython_core import TOLERANCE, Evolution, next_gap, target_points, window_of

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


def test_gaps_are_empty_cells_the_nearest_first_each_once():
    values, tried, rng = [(-3.9, 0.12)], np.empty((0, 2)), np.random.default_rng(1)
    extent = np.array([4.0, 0.4])
    while (gap := next_gap(WINDOW, 4, values, tried)) is not None:
        cells = np.floor((np.array(values) - (-4.0, 0.1)) / extent * 4).astype(int)
        centres = [(-4 + i + 0.5, 0.1 + 0.1 * (j + 0.5)) for i in range(4) for j in range(4)]
        empty = [
            c for k, c in enumerate(centres)
            if divmod(k, 4) not in set(map(tuple, cells.tolist()))
            and not any(np.allclose(c, t) for t in tried)
        ]  # fmt: skip
        away = [np.linalg.norm((np.array(values) - c) / extent, axis=1).min() for c in empty]
        own = np.linalg.norm((np.array(values) - gap) / extent, axis=1).min()
        assert own == pytest.approx(min(away), rel=1e-12)
        tried = np.vstack((tried, gap))
        values.append(tuple(gap + rng.uniform(-0.3, 0.3, 2) * extent))
    assert len(tried) < 15  # some cells were filled by the way
    everywhere = target_points((-3.5, -0.5, 0.15, 0.45), 4, interior=True)
    assert next_gap(WINDOW, 4, everywhere, []) is None


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
        assert evolution.pool == ([1] if elitism else [])
        assert evolution.done
        assert evolution.generation == 3


def test_ends_after_the_generation_with_enough_hits():
    evolution = Evolution((0, 0), (1.0, 1.0), [(1.0, 1.0)], 9, hits=2)
    take(evolution, (0.9 * TOLERANCE, 0), (1.1 * TOLERANCE, 0))
    assert not evolution.done
    assert evolution.hits == 1
    assert evolution.nearest == (0.9 * TOLERANCE, 0.0)
    take(evolution, (0, 0.9 * TOLERANCE), (0, 0))
    assert evolution.done
    assert evolution.hits == 3
    assert evolution.distance == 0.0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: target_points(WINDOW, 1), "n = 1: must be a whole number from 2"),
        (lambda: next_gap(WINDOW, 0, [(0, 0)], []), "n = 0: must be a whole number from 1"),
        (lambda: Evolution((0, 0), (0, 1), [(0, 0)], 1), r"extent = 0\.0: must be finite"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 0), "generations = 0: must be"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1, hits=0), "hits = 0: must be"),
        (lambda: Evolution((0, 0), (1, 1), [(0, 0)], 1).take([1], [(0, 0, 0)]), "values"),
    ],
    ids=["points", "gap", "extent", "generations", "hits", "take"],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

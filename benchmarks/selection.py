# SPDX-License-Identifier: BSD-3-Clause
"""Thinning and coverage of a landscape, beside the shortest NumPy program with a map of all cells.

The floor has no checks, scores or ties, and its map has room for the whole rectangle.
"""

import tracemalloc
import warnings
from itertools import count

import numpy as np
from timing import interleave, stopwatch

from ase_calculators import LandscapeTable, coverage, multi_resolution, select

TITLE = "Selection"
SIZE = (0.05, 0.0025)  # of a cell
ROUNDS = ((0.1, 0.005), SIZE)
WANTED = 500  # frames
MARK = 1.5  # of the floor


def landscape(n):
    """Return a table of n frames, evenly over the plane."""
    rng = np.random.default_rng(1)
    return LandscapeTable(
        frame=np.arange(n), file=np.zeros(n, "U1"), sS=rng.uniform(-5, -1, n),
        Q=rng.uniform(0, 0.5, n), n_atoms=np.ones(n, int), volume=np.ones(n), energy=np.ones(n),
        parameters={"degree": 6},
    )  # fmt: skip


def cells_of(u, v):
    """Return the number of the cell of each point in units of a cell, and the corners."""
    i, j = np.floor(u), np.floor(v)
    keys = (i - i.min()).astype(np.int64) * int(np.ptp(j) + 1) + (j - j.min()).astype(np.int64)
    return keys, i, j


def best_of_cells(x, y, size):
    """Return the rows nearest to the centre of their cell."""
    u, v = x / size[0], y / size[1]
    keys, i, j = cells_of(u, v)
    distances = (u - i - 0.5) ** 2 + (v - j - 0.5) ** 2
    best = np.full(keys.max() + 1, np.inf)
    np.minimum.at(best, keys, distances)
    return np.flatnonzero(distances == best[keys])


def bisected(x, y, n):
    """Return the rows of a grid with n occupied cells, found as `select` finds it."""
    ratio = np.ptp(x) / np.ptp(y)

    def occupied(size):
        keys, _, _ = cells_of(x / size, y / (size / ratio))
        marks = np.zeros(keys.max() + 1, bool)
        marks[keys] = True
        return np.count_nonzero(marks)

    fine = 2 * max(np.abs(x).max(), np.abs(y).max() * ratio)
    while (found := occupied(fine)) < n:
        coarse, fine = fine, fine / 2
    middle = fine
    for _ in range(30):
        if found == n:
            break
        middle = np.sqrt(coarse * fine)
        found = occupied(middle)
        coarse, fine = (middle, fine) if found < n else (coarse, middle)
    return best_of_cells(x, y, (middle, middle / ratio))


def counted(x, y, size):
    """Return the number of frames in each cell."""
    return np.bincount(cells_of(x / size[0], y / size[1])[0])


def peak(function):
    """Return the largest memory that a call adds, bytes."""
    tracemalloc.start()
    function()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def measure(quick, progress):
    """Return a row per call and number of frames."""
    rows, table = [], None
    calls = {
        "multi_resolution, a round": (
            lambda: multi_resolution(table, [SIZE]),
            lambda: best_of_cells(table.sS, table.Q, SIZE),
        ),
        "multi_resolution, two rounds": (
            lambda: multi_resolution(table, ROUNDS),
            lambda: [best_of_cells(table.sS, table.Q, size) for size in ROUNDS],
        ),
        f"select {WANTED}": (
            lambda: select(table, WANTED),
            lambda: bisected(table.sS, table.Q, WANTED),
        ),
        "coverage": (
            lambda: coverage(table, None, SIZE),
            lambda: counted(table.sS, table.Q, SIZE),
        ),
    }
    sizes = (10**6,) if quick else (10**6, 10**7)
    cases = [f"{n:,}: {call}" for n in sizes for call in calls]
    for number, case in zip(count(), progress(cases, "selection")):
        n, call = sizes[number // len(calls)], case.split(": ")[1]
        if table is None or len(table) != n:
            table = landscape(n)
        ours, floor = calls[call]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a grid with just so many cells may not exist
            t = interleave({"ours": stopwatch(ours), "floor": stopwatch(floor)}, 3 if quick else 7)
            memory = {"ours": peak(ours), "floor": peak(floor)}
        rows.append(
            {
                "frames": n,
                "call": call,
                "s": t["ours"],
                "floor s": t["floor"],
                "ours / floor": t["ours"] / t["floor"],
                "MB beyond the table": memory["ours"] / 1e6,
                "of the floor": memory["floor"] / 1e6,
            }
        )
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (f"{row['call']}, {row['frames']:,} frames, of the floor", row["ours / floor"], "<=", MARK)
        for row in rows
    ]


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [("Floor: plain NumPy with a map of all cells, no checks, scores or ties", rows)]

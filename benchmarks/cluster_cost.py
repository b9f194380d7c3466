# SPDX-License-Identifier: BSD-3-Clause
"""What 10^9 frames of 200 atoms cost to map and thin: ``python benchmarks/cluster_cost.py``.

Processor times, bytes and memory are measured here with a few thousand frames, and multiplied, for
the process that gives the work out (the parent) and the one that does it (the worker).
"""

import argparse
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
from ase.build import bulk
from ase.io import write

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape, multi_resolution

FRAMES, CORES, READ = 1e9, 1024, 5e9  # the cluster on paper: cores, and bytes per s of its disks
CALC = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.6)
DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
{n}
ITEM: BOX BOUNDS pp pp pp
0 {0:.10g}
0 {1:.10g}
0 {2:.10g}
ITEM: ATOMS id element x y z
{atoms}
"""


def frames(number):
    """Yield rattled cells of aluminium of 200 atoms."""
    atoms = bulk("Al", a=4.05, cubic=True) * (5, 5, 2)
    for seed in range(number):
        moved = atoms.copy()
        moved.rattle(0.02 + 0.2 * seed / number, seed=seed)
        yield moved


def write_dump(path, number):
    """Write frames as LAMMPS writes them."""
    with open(path, "w") as file:
        for step, atoms in enumerate(frames(number)):
            lines = (f"{k} Al {x:.6g} {y:.6g} {z:.6g}"
                     for k, (x, y, z) in enumerate(atoms.positions.tolist(), 1))  # fmt: skip
            file.write(DUMP.format(
                *atoms.cell.lengths(), step=step, n=len(atoms), atoms="\n".join(lines)
            ))  # fmt: skip


def map_once(path, output):
    """Return the processor time of the parent and of one worker, s, and the table."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.process_time()
    with ProcessPoolExecutor(1) as executor:
        table = map_landscape(path, CALC, output=output, progress=False, executor=executor)
        parent = time.process_time() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return parent, worker, table


def thin(n_rows):
    """Return the processor time of thinning a table of random places, s per row."""
    rng = np.random.default_rng(0)
    table = LandscapeTable(
        frame=np.arange(n_rows), file=np.full(n_rows, "a"), sS=rng.uniform(-12, -1, n_rows),
        Q=rng.uniform(0, 0.57, n_rows), n_atoms=np.full(n_rows, 200), volume=np.ones(n_rows),
        energy=np.zeros(n_rows), parameters={"degree": 6},
    )  # fmt: skip
    started = time.process_time()
    multi_resolution(table)
    return (time.process_time() - started) / n_rows


def measure(number, rounds):
    """Return the figures of one frame: s of each stage, bytes of files and table."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = {"dump": Path(folder, "a.dump"), "extxyz": Path(folder, "a.extxyz")}
        write_dump(sources["dump"], number)
        write(sources["extxyz"], list(frames(number)))
        output = Path(folder, "map.csv")
        times = {kind: [] for kind in sources}
        for _ in range(rounds):
            for kind, path in sources.items():
                parent, worker, table = map_once(path, output)
                times[kind].append((parent / number, worker / number))
        for kind, path in sources.items():
            found[f"{kind}, parent"], found[f"{kind}, worker"] = map(median, zip(*times[kind]))
            found[f"{kind}, bytes"] = path.stat().st_size / number
        found["row, bytes"] = output.stat().st_size / number
        found["row, memory"] = sum(c.nbytes for c in table.columns.values()) / number
    found["thin"] = median(thin(1_000_000) for _ in range(rounds))
    return found


def row(*cells):
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def hours(seconds):
    """Return a duration with its unit."""
    return f"{seconds / 3600:,.1f} h" if seconds > 3600 else f"{seconds / 60:,.1f} min"


def lines(found):
    """Yield the table in Markdown, and what limits."""
    yield f"| stage | per frame | {FRAMES:.0e} frames | on {CORES:,} cores |"
    yield "|---|---|---|---|"
    for kind, words in (("dump", "LAMMPS dump"), ("extxyz", "extended XYZ")):
        worker, parent, size = (found[f"{kind}, {of}"] for of in ("worker", "parent", "bytes"))
        yield row(
            f"{words}: read and calculate, in workers", f"{1e6 * worker:,.0f} µs",
            f"{FRAMES * worker / 3600:,.0f} core hours", hours(FRAMES * worker / CORES),
        )  # fmt: skip
        in_one = hours(FRAMES * parent)
        yield row(
            f"{words}: cut, send, collect, in one parent", f"{1e6 * parent:,.0f} µs", in_one, in_one
        )
        yield row(
            f"{words}: read from disk, {READ / 1e9:g} GB/s", f"{size / 1e3:,.1f} kB",
            f"{FRAMES * size / 1e12:,.1f} TB", hours(FRAMES * size / READ),
        )  # fmt: skip
    for words, key in (("CSV", "row, bytes"), ("table in memory", "row, memory")):
        yield row(words, f"{found[key]:,.0f} B", f"{FRAMES * found[key] / 1e9:,.0f} GB", "")
    in_one = hours(FRAMES * found["thin"])
    yield row(
        "thinning by multi_resolution, one core", f"{1e6 * found['thin']:,.2f} µs", in_one, in_one
    )
    yield ""
    for kind, words in (("dump", "a LAMMPS dump"), ("extxyz", "extended XYZ")):
        feeds = found[f"{kind}, worker"] / found[f"{kind}, parent"]
        yield f"One parent keeps {feeds:.0f} workers busy with {words}."


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print("\n".join(lines(measure(args.frames, args.rounds))))


if __name__ == "__main__":
    main()

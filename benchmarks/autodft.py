#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cost of Auto-DFT itself, next to the DFT: adding 10^5 frames, their status, time of a job.

python benchmarks/autodft.py [--frames 100000]
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from ase.build import bulk

from ase_calculators.autodft import AutoDFT, DFTSettings


def rattled(n_frames: int):
    """Yield aluminium cells of eight atoms.

    Parameters
    ----------
    n_frames : int
        Number of cells.

    Yields
    ------
    ase.Atoms
        A cell.
    """
    parent = bulk("Al", cubic=True) * (2, 1, 1)
    for seed in range(n_frames):
        atoms = parent.copy()
        atoms.rattle(0.1, seed=seed)
        yield atoms


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000, help="number (%(default)s)")
    parser.add_argument("--labels", type=int, default=200, help="EMT labels (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "labels.db"
        dft = AutoDFT(ledger, DFTSettings.paper("vasp"))
        start = time.perf_counter()
        for _ in rattled(args.frames):
            pass
        making = time.perf_counter() - start
        start = time.perf_counter()
        added = dft.add(rattled(args.frames))
        adding = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        dft.status()
        asking = time.perf_counter() - start
        size = os.path.getsize(ledger) / 1e6
        print(f"{added.new} frames: added in {adding:.0f} s, of which {making:.0f} s make them; "
              f"peak {peak:.0f} MB; ledger {size:.0f} MB; status {asking:.2f} s")  # fmt: skip
        settings = DFTSettings(code="ase.calculators.emt:EMT")
        machine = {"python": sys.executable, "frames": args.labels,
                   "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip
        other = AutoDFT(ledger, settings, {"here": machine}, poll=0.5)
        other.add(rattled(args.labels))
        start = time.perf_counter()
        status = other.run()
        wall = time.perf_counter() - start
        print(f"{args.labels} EMT labels in one job and a ledger of that size: {wall:.1f} s, of "
              f"which {status.wall:.1f} s in the frames' processes")  # fmt: skip


if __name__ == "__main__":
    main()

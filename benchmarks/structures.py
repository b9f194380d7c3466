# SPDX-License-Identifier: BSD-3-Clause
"""Structures of the timings: crystals rattled by 0.1 Å, and silicon from solid to melt."""

from pathlib import Path

from ase.build import bulk
from ase.io import read

FRAMES = Path(__file__).parents[1] / "tests" / "reference" / "si216"
SIGMA = 0.1  # Å, in all benchmarks
RATTLE = 0.1  # Å

# name: neighbour cutoff (Å), function that makes the frames
STRUCTURES = {
    "fcc 4": (3.6, lambda: crystal("Al", "fcc", 4.05, (1, 1, 1), 8)),
    "fcc 32": (3.6, lambda: crystal("Al", "fcc", 4.05, (2, 2, 2), 4)),
    "fcc 108": (3.6, lambda: crystal("Al", "fcc", 4.05, (3, 3, 3), 2)),
    "fcc 4,000": (3.6, lambda: crystal("Al", "fcc", 4.05, (10, 10, 10))),
    "fcc 256,000": (3.6, lambda: crystal("Al", "fcc", 4.05, (40, 40, 40))),
    "diamond 1,920": (2.0, lambda: crystal("C", "diamond", 3.567, (5, 6, 8))),
    "Si 216, 24 frames": (2.8, lambda: [read(path) for path in sorted(FRAMES.glob("*.vasp"))]),
}


def crystal(symbol, lattice, a, repeat, n_frames=1):
    """Return frames of a repeated cubic cell, each rattled with its own seed."""
    frames = [bulk(symbol, lattice, a=a, cubic=True) * repeat for _ in range(n_frames)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(RATTLE, seed=seed)
    return frames


def frames_of(name):
    """Return the neighbour cutoff and the frames of a structure, wrapped into the cell."""
    cutoff, make = STRUCTURES[name]
    frames = make()
    for atoms in frames:
        atoms.wrap()
    return cutoff, frames

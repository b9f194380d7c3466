#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label each frame of mgsio3.dump as crystal, both, melt or glass, without sS and Q6.

python label.py mgsio3.dump --output labels.csv

Positions are averaged over a window about each frame. A Si counts as crystal if it then has six O,
and lies at a site of Si in the crystal that the dump starts with. What is not crystal is melt if
its Si move and glass if they do not.
"""

import sys
from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial import KDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from labels import print_counts, read_arguments, write_labels

# frames in a window: 1.2 ps in the deck
WINDOW = 4
# Å, the first minimum of g(r) of Si and O
CUTOFF = 2.4
# Å from a site; a random point is that near to one of them with a probability of 0.1
NEAR = 1.0
# Å in a window, further than Si vibrates
MOVED = 1.0
# fraction of Si in the crystal, above and below which a frame is one phase
CRYSTAL, MELT = 0.7, 0.15
# fraction of Si that move, above which what is not crystal is a melt
MOBILE = 0.2


def windows(scaled: np.ndarray, edge: float, window: int) -> np.ndarray:
    """Return the first and the last frame of the window about each frame.

    A window does not reach over a jump, where the dump goes on with another crystal: there the
    atoms are suddenly less than half as far from where they started.

    Parameters
    ----------
    scaled : (n_frames, n_atoms, 3) float64
        Unwrapped positions as fractions of the cell.
    edge : float
        Mean edge of the cell, Å.
    window : int
        Frames between the first and the last; fewer at the ends of a run shorter than that.

    Returns
    -------
    (n_frames, 2) int
        First and last frame.
    """
    step = np.sqrt((np.diff(scaled, axis=0) ** 2).sum(axis=2).mean(axis=1)) * edge
    way = np.sqrt(((scaled - scaled[0]) ** 2).sum(axis=2).mean(axis=1))
    jumps = (step > 2.0) & (way[1:] < 0.5 * way[:-1])
    starts = np.r_[0, 1 + np.flatnonzero(jumps), len(scaled)]
    found = np.empty((len(scaled), 2), dtype=int)
    for begin, end in pairwise(starts):
        first = np.clip(np.arange(begin, end) - window // 2, begin, max(begin, end - 1 - window))
        found[begin:end] = np.column_stack([first, np.minimum(first + window, end - 1)])
    return found


def measure(frames: list[Atoms], window: int) -> np.ndarray:
    """Return the fractions of Si that are crystal and that move, and the mean coordination.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames with unwrapped positions, the first of them a crystal.
    window : int
        Frames of a window.

    Returns
    -------
    (n_frames, 3) float64
        Fraction that is crystal, fraction that moves, mean number of O about a Si.
    """
    symbols = np.array(frames[0].get_chemical_symbols())
    silicon = symbols == "Si"
    scaled = np.array([atoms.cell.scaled_positions(atoms.positions) for atoms in frames])
    cells = np.array([atoms.cell.array for atoms in frames])
    bounds = windows(scaled, float(np.cbrt(abs(np.linalg.det(cells)).mean())), window)
    sites = scaled[0, silicon]
    rows = []
    for first, last in bounds:
        cell = cells[first : last + 1].mean(axis=0)
        mean = scaled[first : last + 1].mean(axis=0)
        atoms = Atoms(symbols, mean @ cell, cell=cell, pbc=True)
        i, j = neighbor_list("ij", atoms, CUTOFF)
        bonds = silicon[i] & (symbols[j] == "O")
        six = np.bincount(i[bonds], minlength=len(atoms))[silicon]
        # the drift of the crystal is that of its Si; distances of an orthorhombic cell
        edges = np.diag(cell)
        tree = KDTree((sites % 1.0) * edges % edges, boxsize=edges)
        at = mean[silicon] - np.median(sites_shift(mean[silicon], sites), axis=0)
        distance, _ = tree.query((at % 1.0) * edges % edges)
        moved = (scaled[last] - scaled[first])[silicon] @ cell
        moved = np.linalg.norm(moved - moved.mean(axis=0), axis=1)
        rows.append([((six == 6) & (distance < NEAR)).mean(), (moved > MOVED).mean(), six.mean()])
    return np.array(rows)


def sites_shift(scaled: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Return the shortest way from each site to the atom that started there.

    Parameters
    ----------
    scaled, sites : (n, 3) float64
        Atoms and the sites that they started at, as fractions of the cell.

    Returns
    -------
    (n, 3) float64
        Ways, each component between -0.5 and 0.5.
    """
    way = scaled - sites
    return way - np.round(way)


def phases_of(measured: np.ndarray) -> np.ndarray:
    """Return the phase of each frame.

    Parameters
    ----------
    measured : (n_frames, 3) float64
        As from `measure`.

    Returns
    -------
    (n_frames,) str
        crystal, both, melt or glass.
    """
    crystal, moved = measured[:, 0], measured[:, 1]
    other = np.where(moved > MOBILE, "melt", "glass")
    return np.where(crystal >= CRYSTAL, "crystal", np.where(crystal > MELT, "both", other))


def main() -> None:
    """Read the command line and write the labels."""
    args = read_arguments(__doc__.splitlines()[0], "dump", "in.mgsio3", WINDOW)
    measured = measure(ase.io.read(args.dump, index=":"), args.window)
    phases = phases_of(measured)
    columns = dict(zip(("crystal", "moved", "coordination"), measured.T, strict=True))
    write_labels(args.output, phases, columns)
    print_counts(phases, args.output)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""The first shell of neighbours, read from the g(r) of one structure or of many."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from cython_core import Kernel

# Number of atoms in the sphere in which g(r) is read: fcc has 42 in three shells.
NEIGHBORS_READ = 60
GRID = 2000
# Broadening that finds the shells, as a share of the shortest distances: it joins the two shells of
# bcc (15 % apart) and separates those of all closer-packed and all open lattices (33 % and more).
SHELL_BROADENING = 0.09
# Broadening at which the minimum between two shells is placed.
MINIMUM_BROADENING = 0.03
# Smallest depth of a dip that ends a shell, as a share of the peak before it.
MINIMUM_DIP = 0.02


class FirstShell(NamedTuple):
    """Describe the first shell of neighbours.

    Attributes
    ----------
    distance : float
        Mean distance of its neighbours, Å.
    end : float
        First minimum of g(r) after it, Å; the middle of the gap where g(r) is flat.
    coordination : float
        Mean number of neighbours closer than `end`.
    """

    distance: float
    end: float
    coordination: float


def first_shell(structures: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> FirstShell:
    """Return the first shell of neighbours of all structures together.

    The distribution of distances n(r) / r^2 is averaged over all atoms. Broadened by 9 % of the
    shortest distances, it shows the shells. Neighbours that are closer together than that, such as
    the 8 and the 6 of bcc, form one shell. The end of the first shell is then found with a
    broadening of 3 %.

    Parameters
    ----------
    structures : sequence of (positions, cell, pbc)
        Positions (n, 3) and cell (3, 3), Å; periodic directions (3,) bool.

    Returns
    -------
    FirstShell
        Distance, end and coordination.

    Raises
    ------
    ValueError
        If the structures hold no pair of atoms, or their g(r) has no minimum.
    """
    volumes = [_volume(*structure) / len(structure[0]) for structure in structures]
    reach = np.cbrt(3 * NEIGHBORS_READ * max(volumes) / (4 * np.pi))
    for _ in range(4):
        if shell := _read_shell(structures, reach):
            return shell
        reach *= 1.5
    raise ValueError(
        f"frames: no minimum of g(r) after a first shell up to {reach / 1.5:.3g} Å; "
        "give rmax, sigma and q6_cutoff yourself"
    )


def _volume(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> float:
    """Return the volume that the atoms fill.

    The cell counts along its periodic directions, a box around the atoms along the others.
    """
    atoms = Atoms(positions=positions, cell=cell, pbc=pbc)
    atoms.center(vacuum=1.5, axis=[k for k in range(3) if not pbc[k]])
    return abs(np.linalg.det(atoms.cell.complete()))


def _read_shell(structures: Sequence[tuple], reach: float) -> FirstShell | None:
    """Return the first shell in g(r) up to `reach`, or None if it does not end before that."""
    # a second of every import of this package otherwise
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    kernel = Kernel(rmax=reach, sigma=reach / 500, q6_cutoff=reach, dr=reach / GRID)
    r, step = kernel.r, kernel.r[1]
    n_atoms = sum(len(positions) for positions, _, _ in structures)
    per_volume = np.zeros(len(r))
    for positions, cell, pbc in structures:
        # with density 1, N g(r) is the number of pairs in a volume; the true density cancels
        g, _ = kernel.radial_distribution(positions, cell, pbc, number_density=1.0)
        per_volume += g * (len(positions) / n_atoms)
    neighbors = np.cumsum(4 * np.pi * r**2 * per_volume) * step
    if neighbors[-1] < 0.1:
        return None
    shortest = r[np.searchsorted(neighbors, min(0.5, neighbors[-1] / 2))]

    def broadened(share: float) -> np.ndarray:
        return gaussian_filter1d(per_volume, share * shortest / step, mode="constant")

    shells = broadened(SHELL_BROADENING)
    first = find_peaks(shells)[0]
    first = first[r[first] > 0.8 * shortest]
    if not len(first):
        return None
    peak = first[0]
    dips = find_peaks(-shells[peak:], prominence=MINIMUM_DIP * shells[peak])[0] + peak
    if not len(dips):
        return None
    after = find_peaks(shells[dips[0] :])[0]
    if not len(after):
        return None
    between = slice(peak, dips[0] + after[0] + 1)
    fine = broadened(MINIMUM_BROADENING)[between]
    low = np.flatnonzero(fine <= fine.min() + 0.01 * fine.max())
    # the flat stretch that holds the minimum
    lowest = int(np.argmin(fine))
    runs = np.split(low, np.flatnonzero(np.diff(low) > 1) + 1)
    gap = next(run for run in runs if run[0] <= lowest <= run[-1])
    end = between.start + (gap[0] + gap[-1]) // 2
    inside = slice(0, end + 1)
    weights = r[inside] ** 2 * per_volume[inside]
    return FirstShell(
        float(weights @ r[inside] / weights.sum()), float(r[end]), float(neighbors[end])
    )

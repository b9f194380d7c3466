# SPDX-License-Identifier: BSD-3-Clause
"""Order parameters in the convention of the paper's public scripts, to reproduce their numbers.

The scripts (repository LZYUCL/PolymorphGen-MLPKD, MIT licence) do not evaluate equations (1)-(7) of
the paper. This table, written from a description and not copied, shows what they do instead:

=====================  ==========================================  ================================
                       public scripts                              equations
=====================  ==========================================  ================================
grid                   100 midpoints up to 8.0 Å (dr = 0.08 Å)     r_k = k dr, dr = sigma / 4
broadening             sigma = 0.0125 Å, far below dr              resolved by the grid
pairs                  i < j, nearest image, r < 8.0 Å             i != j, all, r < rmax + 5 sigma
prefactor of g         1 / (4 pi r^2 dr N)                         1 / (4 pi N rho r^2)
integrand              g ln(g + 1e-10) - g + 1                     g ln g - g + 1, 1 at g = 0
rule                   Simpson                                     trapezoid
Q6                     mean of the local q_6                       modulus of the mean q_6m
neighbours             nominal cutoff 4.2 Å + 2 x 0.3 Å skin       within the cutoff
=====================  ==========================================  ================================

Run as a script to print the recomputed numbers next to the published ones.
"""

import csv
from pathlib import Path

import numpy as np
from ase.io import read
from scipy.integrate import simpson
from scipy.special import sph_harm_y

FRAMES = Path(__file__).parent / "si216"
RMAX, N_BINS, SIGMA = 8.0, 100, 0.0125
Q6_CUTOFF = 4.2 + 2 * 0.3


def published():
    """Read the published numbers.

    Returns
    -------
    dict of str to (float, float)
        sS and Q6 by name of the frame.
    """
    with (FRAMES / "published.csv").open() as file:
        return {
            row["frame"]: (float(row["sS_published"]), float(row["Q6_published"]))
            for row in csv.DictReader(file)
        }


def pair_entropy(atoms):
    """Compute sS as the public scripts do.

    Parameters
    ----------
    atoms : ase.Atoms
        A frame.

    Returns
    -------
    float
        sS, k_B per atom.
    """
    n = len(atoms)
    rho = n / atoms.cell.volume
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(n, k=1)]
    dr = RMAX / N_BINS
    r = dr * (np.arange(N_BINS) + 0.5)
    near = distances[distances < RMAX]
    gaussians = np.exp(-((r[:, None] - near[None, :]) ** 2) / (2 * SIGMA**2))
    g = gaussians.sum(axis=1) / np.sqrt(2 * np.pi * SIGMA**2) / (4 * np.pi * r**2 * dr * n)
    integrand = (g * np.log(g + 1e-10) - g + 1) * r**2
    return -2 * np.pi * rho * simpson(integrand, x=r)


def mean_local_q6(atoms):
    """Compute the mean of the local q_6, which the public scripts call Q6.

    Parameters
    ----------
    atoms : ase.Atoms
        A frame.

    Returns
    -------
    float
        Mean of equation (3) over the atoms.
    """
    D = atoms.get_all_distances(mic=True, vector=True)
    r = np.linalg.norm(D, axis=2)
    m = np.arange(-6, 7)
    values = []
    for i in range(len(atoms)):
        near = (r[i] < Q6_CUTOFF) & (np.arange(len(atoms)) != i)
        x, y, z = (D[i, near] / r[i, near, None]).T
        qlm = sph_harm_y(6, m[:, None], np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)).mean(axis=1)
        values.append(np.sqrt(4 * np.pi / 13 * (abs(qlm) ** 2).sum()))
    return float(np.mean(values))


if __name__ == "__main__":
    for name, (sS, Q6) in published().items():
        atoms = read(FRAMES / f"{name}.vasp")
        print(f"{name:12} {pair_entropy(atoms):.9f} {sS:.9f} {mean_local_q6(atoms):.9f} {Q6:.9f}")

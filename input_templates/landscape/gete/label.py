#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label each frame of gete.xyz as crystal, melt or glass by bonds and by how far atoms move.

python label.py gete.xyz --output labels.csv

In the crystal each bond is one of Ge and Te. A particle is crystal if few bonds join like atoms and
its atoms stay where they are, melt if they move, and glass if they stay but many bonds are wrong.
Rotations of the particle are taken out.
"""

import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from labels import print_counts, read_arguments, write_labels

# frames in a window: 0.4 ps
WINDOW = 20
# Å, the first minimum of g(r)
CUTOFF = 3.4
# fraction of bonds of like atoms, below which a particle that does not move is a crystal
WRONG = 0.15
# Å^2 in a window, more than atoms vibrate
MOBILE = 1.0


def measure(frames: list[Atoms], window: int) -> np.ndarray:
    """Return the fraction of bonds that join like atoms, and the mean square displacement.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames of a particle.
    window : int
        Frames between the two that are compared; at the ends of the run the nearest whole window.

    Returns
    -------
    (n_frames, 2) float64
        Fraction of wrong bonds; displacement after the best rotation, Å^2.
    """
    centred = [atoms.positions - atoms.positions.mean(axis=0) for atoms in frames]
    rows = []
    for index, atoms in enumerate(frames):
        i, j = neighbor_list("ij", atoms, CUTOFF)
        wrong = float((atoms.numbers[i] == atoms.numbers[j]).mean()) if len(i) else 0.0
        first = min(max(0, index - window // 2), max(0, len(frames) - 1 - window))
        last = min(first + window, len(frames) - 1)
        _, distance = Rotation.align_vectors(centred[last], centred[first])
        rows.append([wrong, distance**2 / len(atoms)])
    return np.array(rows)


def main() -> None:
    """Read the command line and write the labels."""
    args = read_arguments(__doc__.splitlines()[0], "frames", "gete.py", WINDOW)
    measured = measure(ase.io.read(args.frames, index=":"), args.window)
    still = np.where(measured[:, 0] < WRONG, "crystal", "glass")
    phases = np.where(measured[:, 1] > MOBILE, "melt", still)
    columns = dict(zip(("wrong_bonds", "displacement_A2"), measured.T, strict=True))
    write_labels(args.output, phases, columns)
    print_counts(phases, args.output)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label each frame of agi.dump as solid, superionic or melt by how far its ions move.

python label.py agi.dump --output labels.csv

The mean square displacement of each element grows by 6 D t. It is measured about each frame from
half a window before to half a window after it, without sS and Q6: what moves further than
vibrations do has melted.
"""

import sys
from pathlib import Path

import ase.io
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from labels import print_counts, read_arguments, write_labels

# frames in a window: 8 ps in the deck
WINDOW = 25
# Å^2 in a window, above which an element is liquid
MOBILE = {"Ag": 6.0, "I": 6.0}


def displacements(positions: np.ndarray, window: int) -> np.ndarray:
    """Return the mean square displacement of a species about each frame.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) float64
        Unwrapped positions of its atoms, Å.
    window : int
        Frames between the two that are compared; at the ends of the run the nearest whole window.

    Returns
    -------
    (n_frames,) float64
        Mean over the atoms, without the drift of their centre, Å^2.
    """
    n = len(positions)
    start = np.clip(np.arange(n) - window // 2, 0, max(0, n - 1 - window))
    moved = positions[np.minimum(start + window, n - 1)] - positions[start]
    moved = moved - moved.mean(axis=1, keepdims=True)
    return (moved**2).sum(axis=2).mean(axis=1)


def main() -> None:
    """Read the command line and write the labels."""
    args = read_arguments(__doc__.splitlines()[0], "dump", "in.agi", WINDOW)
    frames = ase.io.read(args.dump, index=":")
    symbols = np.array(frames[0].get_chemical_symbols())
    # in fractions of the cell, so that a cell that grows moves nothing
    scaled = np.array([atoms.cell.scaled_positions(atoms.positions) for atoms in frames])
    mean_cell = np.mean([atoms.cell.array for atoms in frames], axis=0)
    moved = {
        element: displacements(scaled[:, symbols == element] @ mean_cell, args.window)
        for element in MOBILE
    }
    liquid = {element: moved[element] > limit for element, limit in MOBILE.items()}
    phases = np.where(liquid["I"], "melt", np.where(liquid["Ag"], "superionic", "solid"))
    columns = {f"{element}_A2": values for element, values in moved.items()}
    write_labels(args.output, phases, columns)
    print_counts(phases, args.output)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts that label frames share: their command line and their table."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ase_calculators.provenance import atomic_write


def read_arguments(description: str, source: str, made_by: str, window: int) -> argparse.Namespace:
    """Return the options of the command line.

    Parameters
    ----------
    description : str
        What the script does.
    source : str
        Name of the argument with the file of frames.
    made_by : str
        Deck or script that writes this file.
    window : int
        Default of the number of frames in a window.

    Returns
    -------
    argparse.Namespace
        The options: `source`, "window" and "output".
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(source, type=Path)
    parser.add_argument("--window", type=int, default=window, help="frames (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("labels.csv"))
    args = parser.parse_args()
    path = getattr(args, source)
    if not path.exists():
        parser.error(f"{source} = {path}: no such file; run {made_by} first")
    if args.window < 1:
        parser.error(f"window = {args.window}: must be at least 1 frame")
    return args


def write_labels(path: Path, phases: Sequence[str], columns: Mapping[str, ArrayLike]) -> None:
    """Write the phase of each frame, and what it was told by.

    Parameters
    ----------
    path : pathlib.Path
        Table with the columns frame, phase and those given.
    phases : (n_frames,) sequence of str
        The phases.
    columns : dict of str to (n_frames,) array_like
        Numbers by name.
    """
    rows = np.column_stack(list(columns.values()))
    with atomic_write(path, newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "phase", *columns])
        table.writerows(
            [i, phase, *(f"{x:.4f}" for x in row)]
            for i, (phase, row) in enumerate(zip(phases, rows, strict=True))
        )


def print_counts(phases: ArrayLike, path: Path) -> None:
    """Print how many frames each phase has, and where the table is.

    Parameters
    ----------
    phases : (n_frames,) array_like of str
        The phases.
    path : pathlib.Path
        The table.
    """
    names, counts = np.unique(phases, return_counts=True)
    print(", ".join(f"{n} {c}" for n, c in zip(names, counts, strict=True)), f"table {path}")

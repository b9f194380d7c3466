#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Split a library into standard, supplementary and test frames by its landscape.

python sets.py                                    the library of library.py, to sets/
python sets.py mine.extxyz --standard 0.2 0.01    other frames (mapped first), coarser cells
python sets.py mine.extxyz --labelled             learn from and test on frames with labels
python sets.py mine.extxyz --also faults=f.extxyz      show other frames in the picture

Whole cells of the landscape are held out for the test. Frames keep their labels. Those without are
for label.py of the autodft template (standard, test) and for relabel.py (supplementary).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from compare import named
from library import add_landscape, landscape_calculator

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.distillation import Sets, split_sets, write_sets
from ase_calculators.figures import save_figure
from ase_calculators.frame_source import read_frames
from ase_calculators.landscape import table_parameters
from ase_calculators.provenance import write_json


def landscape(library: str, path: Path, calc: EntropySymmetry, named: bool) -> LandscapeTable:
    """Read the landscape of a library, or map it.

    Parameters
    ----------
    library : str
        The frames.
    path : pathlib.Path
        File of the table: read if it is of these frames and parameters, written if it is missing or
        the library has changed since.
    calc : EntropySymmetry
        The parameters.
    named : bool
        Whether the user chose that file, which is then not replaced.

    Returns
    -------
    LandscapeTable
        The landscape.

    Raises
    ------
    ValueError
        If the file is of another library or other parameters, or is not a table.
    """
    if path.exists():
        table = LandscapeTable.read(path)
        wanted = table_parameters(calc)
        differing = [
            f"{key} {table.parameters.get(key)} (now {wanted.get(key)})"
            for key in wanted.keys() | table.parameters.keys()
            if key != "version" and table.parameters.get(key) != wanted.get(key)
        ]
        files = {Path(file).name for file in table.file}
        differing += [f"file {name}" for name in sorted(files - {Path(library).name})]
        current = path.stat().st_mtime >= Path(library).stat().st_mtime and len(table) + len(
            table.skipped
        ) == sum(1 for _ in read_frames(library))
        if not differing and current:
            return table
        if named or differing:
            raise ValueError(
                f"landscape = {str(path)!r}: is of other frames or parameters"
                f"{': ' if differing else ''}{', '.join(sorted(differing))}; name another file by "
                "--landscape, or remove it"
            )
        print(f"{path}: the library has changed since, and is mapped again")
    table = map_landscape(library, calc)
    table.write(path)
    return table


def draw(sets: Sets, table: LandscapeTable, path: Path, also: dict[str, LandscapeTable]) -> None:
    """Draw the split on the landscape.

    Parameters
    ----------
    sets : Sets
        Rows of the table.
    table : LandscapeTable
        The landscape.
    path : pathlib.Path
        Figure file.
    also : dict of str to LandscapeTable
        Other frames to show.
    """
    figure, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
    ax.scatter(table.sS, table.Q, s=3, c="0.85", lw=0, label=f"library, {len(table)}")
    for name, color, size in (
        ("supplementary", "C0", 5), ("standard", "C1", 9), ("test", "C3", 9)
    ):  # fmt: skip
        rows = getattr(sets, name)
        ax.scatter(
            table.sS[rows], table.Q[rows], s=size, c=color, lw=0, label=f"{name}, {len(rows)}"
        )
    for number, (name, other) in enumerate(also.items()):
        ax.scatter(
            other.sS, other.Q, s=12, c=f"C{4 + number}", marker="+", lw=0.8,
            label=f"{name}, {len(other)}",
        )  # fmt: skip
    ax.set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
    ax.set_ylabel(f"Q{table.parameters['degree']}")
    ax.legend(frameon=False, fontsize=8)
    save_figure(figure, path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Read the command line and split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cell = {"type": float, "nargs": 2, "metavar": ("dsS", "dQ")}
    parser.add_argument(
        "library", nargs="?", default="library/library.extxyz", help="(%(default)s)"
    )
    parser.add_argument("--landscape", help="its table (landscape.csv next to the library)")
    parser.add_argument("--output", type=Path, default=Path("sets"), help="folder (%(default)s)")
    parser.add_argument("--standard", default=(0.1, 0.005), help="cell (0.1 0.005)", **cell)
    parser.add_argument("--supplementary", default=(0.05, 0.0025), help="(0.05 0.0025)", **cell)
    parser.add_argument("--test", type=float, default=0.1, help="share of cells (%(default)s)")
    parser.add_argument("--test-cell", default=(0.2, 0.01), help="(0.2 0.01)", **cell)
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument(
        "--labelled", action="store_true",
        help="standard and test frames are those that have an energy, supplementary the others",
    )  # fmt: skip
    parser.add_argument(
        "--also", nargs="+", default=(), metavar="NAME=FILE", help="frames to show in the picture"
    )
    add_landscape(parser)
    args = parser.parse_args()
    try:
        if not Path(args.library).is_file():
            raise FileNotFoundError(f"library = {args.library!r}: there is no such file")
        calc = landscape_calculator(args)
        path = Path(args.landscape or Path(args.library).with_name("landscape.csv"))
        table = landscape(args.library, path, calc, named=bool(args.landscape))
        options = {
            name: getattr(args, name)
            for name in ("standard", "supplementary", "test", "test_cell", "seed")
        }
        labelled = np.isfinite(table.energy) if args.labelled else None
        sets = split_sets(table, **options, labelled=labelled)
        write_sets(sets, table, args.library, args.output)
        also = {name: map_landscape(file, calc) for name, file in named("--also", args.also)}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    draw(sets, table, args.output / "sets.png", also)
    counts = {name: len(rows) for name, rows in sets._asdict().items()}
    content = {"library": args.library, "frames": {"library": len(table), **counts}, **options,
               "labelled": args.labelled,
               "landscape": table.parameters}  # fmt: skip
    write_json(args.output / "sets.json", content)
    print(", ".join(f"{name} {n}" for name, n in counts.items()), f"frames: {args.output}")


if __name__ == "__main__":
    main()

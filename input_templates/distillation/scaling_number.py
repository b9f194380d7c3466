#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many frames are enough: error against the number of training frames, and its knee.

python library.py && python scaling_number.py
python scaling_number.py --library labels.extxyz --landscape landscape.csv --largest 400

Numbers are halved from the largest down. At each, models are trained on frames chosen evenly from
the landscape, at random and farthest point by farthest point, with several seeds, and tested on
frames of landscape cells that none of them has seen. An interrupted run resumes.
"""

import argparse
from pathlib import Path

import matplotlib

from ase_calculators.distillation.scaling import (
    Trial,
    choose,
    fit_knee,
    halvings,
    learning_curve,
    mean_and_spread,
    model_settings,
    plot_curves,
    read_library,
    trainer,
    uniform,
)
from ase_calculators.distillation.sets import split_sets
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TEST_CELL = (0.4, 0.02)  # cells of the landscape that are held out as a whole
FINE = (0.01, 0.0005)  # nearly every frame of the library has such a cell of its own
QUANTITIES = ("energy", "forces", "virial")


def draw(records: list[dict], path: Path) -> dict:
    """Draw the errors and fit the knee of the uniform choice.

    Parameters
    ----------
    records : list of dict
        Records that `learning_curve` has returned so far.
    path : pathlib.Path
        Figure file.

    Returns
    -------
    dict
        The knee of each quantity.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
    knees = {}
    for ax, quantity in zip(axes, QUANTITIES, strict=True):
        knees[quantity] = plot_curves(ax, records, "all", quantity, fit="uniform")
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path, dpi=110)
    plt.close(figure)
    return knees


def main() -> None:
    """Choose, train, test, draw and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--library", type=Path, default=Path("library/library.extxyz"),
        help="labelled frames (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--landscape", type=Path, help="their table (landscape.csv next to the library)"
    )
    parser.add_argument("--largest", type=int, default=800, help="frames (%(default)s)")
    parser.add_argument("--least", type=int, default=3, help="frames (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="models at each (%(default)s)")
    parser.add_argument("--test", type=int, default=200, help="test frames (%(default)s)")
    parser.add_argument(
        "--farthest", type=int, default=3,
        help="farthest-point sets: every so many of the numbers, 0 none (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--model", default="student", choices=("student", "teacher"))
    parser.add_argument("--profile", default="small", help="of the model (%(default)s)")
    parser.add_argument("--steps", type=int, default=4000, help="of a student (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("number"), help="(%(default)s)")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: must be 1 or more")
    if not args.library.is_file():
        parser.error(f"--library {args.library}: there is no such file; run library.py")
    args.output.mkdir(parents=True, exist_ok=True)
    try:
        table, frames = read_library(args.library, args.landscape)
        sets = split_sets(table, supplementary=FINE, test=0.15, test_cell=TEST_CELL)
        if not 1 <= args.test <= len(sets.test):
            parser.error(f"--test {args.test}: must be 1 to {len(sets.test)}, the frames held out")
        pool = [*sets.standard, *sets.supplementary]
        test = [frames[row] for row in uniform(table, args.test, rows=sets.test)]
        train = trainer(args.model, args.profile, args.steps)
        settings = model_settings(args.model, args.profile, args.steps)
        numbers = halvings(args.largest, args.least)
        records: list[dict] = []
        for seed in range(1, args.seeds + 1):
            trials = [
                Trial(way, choose(way, table, n, seed, pool), seed)
                for n in numbers for way in ("uniform", "random")
            ] + [
                Trial("farthest point", choose("farthest point", table, n, seed, pool), seed)
                for n in (numbers[:: -args.farthest] if args.farthest else ())
            ]  # fmt: skip
            records += learning_curve(
                trials, frames, test, train, args.output, settings=settings,
                processes=args.processes,
            )  # fmt: skip
            knees = draw(records, args.output / "number.png")
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    lines = [f"{len(frames)} frames, {len(pool)} to choose from, {len(test)} test frames", ""]
    for quantity in QUANTITIES:
        lines += [f"| {quantity} RMSE | frames | mean | spread | models |", "|---" * 5 + "|"]
        for name, rows in mean_and_spread(records, "errors", "all", quantity).items():
            lines += [
                f"| {name} | {n:.0f} | {m:.4g} | {s:.2g} | {k:.0f} |".replace("nan", "")
                for n, m, s, k in rows
            ]
        lines += ["", f"uniform: {knees[quantity]}" if knees[quantity] else ""]
        others = [r for r in records if r["name"] == "random" and quantity in r["errors"]["all"]]
        if len({r["n"] for r in others}) >= 4:
            values = [r["errors"]["all"][quantity] for r in others]
            lines += [f"random: {fit_knee([r['n'] for r in others], values)}", ""]
    text = "\n".join(lines)
    with atomic_write(args.output / "number.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

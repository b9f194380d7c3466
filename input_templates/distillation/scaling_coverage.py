#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cost of a gap: error against coverage of the landscape with equal numbers of training frames.

python library.py && python scaling_coverage.py
python scaling_coverage.py --gap -7 -4 0.2 0.45

A growing part of a window of the landscape is kept free of training frames. These are even outside
of it, and their number is always the same. Errors are reported for test frames inside and outside
the window. Random and farthest-point choices of all frames are the controls. An interrupted run
resumes.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from ase_calculators import LandscapeTable
from ase_calculators.distillation.scaling import (
    Trial,
    choose,
    gapped,
    inside,
    learning_curve,
    mean_and_spread,
    model_settings,
    read_library,
    trainer,
    uniform,
)
from ase_calculators.distillation.sets import split_sets
from ase_calculators.figures import COLORS, save_figure, tidy
from ase_calculators.provenance import atomic_write

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TEST_CELL = (0.4, 0.02)  # cells of the landscape that are held out as a whole
FINE = (0.01, 0.0005)  # nearly every frame of the library has such a cell of its own
COVERED = (1.0, 0.05)  # cells that measure the coverage; fewer than frames


def shrunk(gap: tuple[float, ...], share: float) -> tuple[float, ...]:
    """Return the window about the same centre with a share of the area.

    Parameters
    ----------
    gap : (float, float, float, float)
        sS_min, sS_max, Q_min, Q_max.
    share : float
        Share of its area.

    Returns
    -------
    (float, float, float, float)
        The window.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share = {share}: must be from 0 to 1")
    low, high = np.array(gap).reshape(2, 2).T
    half = 0.5 * (high - low) * np.sqrt(share)
    centre = 0.5 * (low + high)
    return tuple(np.column_stack((centre - half, centre + half)).ravel().tolist())


def covered(table: LandscapeTable, rows: np.ndarray) -> float:
    """Return the share of the library's cells that hold a training frame.

    Parameters
    ----------
    table : LandscapeTable
        The library.
    rows : (n,) array of int
        The training frames.

    Returns
    -------
    float
        The share.
    """
    cells = np.floor(np.column_stack((table.sS, table.Q)) / COVERED)
    return len(np.unique(cells[rows], axis=0)) / len(np.unique(cells, axis=0))


def draw(records: list[dict], coverage: dict[str, float], path: Path) -> None:
    """Draw the force errors inside the window and outside against coverage.

    Parameters
    ----------
    records : list of dict
        Records that `learning_curve` has returned so far.
    coverage : dict of str to float
        Coverage of each kind of set, mean over the seeds.
    path : pathlib.Path
        Figure file.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
    for ax, quantity, unit in zip(axes, ("energy", "forces"), ("meV/atom", "meV/Å"), strict=True):
        for color, group in zip(COLORS, ("inside", "outside"), strict=False):
            points = mean_and_spread(records, "errors", group, quantity)
            gaps = sorted((coverage[k], *v[0, 1:3]) for k, v in points.items() if "%" in k)
            x, mean, spread = np.array(gaps).T
            ax.errorbar(x, mean, yerr=spread, fmt="o-", ms=4, lw=1.2, capsize=3, color=color,
                        label=f"{group} the gap")  # fmt: skip
            for marker, name in (("s", "random"), ("^", "farthest point")):
                if name in points:
                    ax.errorbar(coverage[name], points[name][0, 1], yerr=points[name][0, 2],
                                fmt=marker, ms=5, mfc="w", capsize=3, color=color,
                                label=f"{name}, {group}")  # fmt: skip
        ax.set(xlabel="coverage of the library's cells", ylabel=f"{quantity} RMSE ({unit})")
        tidy(ax)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=7,
                  loc="outside right upper")  # fmt: skip
    save_figure(figure, path, dpi=110)
    plt.close(figure)


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
    parser.add_argument(
        "--gap", type=float, nargs=4, default=(-8.0, -3.0, 0.22, 0.46),
        metavar=("sS_MIN", "sS_MAX", "Q_MIN", "Q_MAX"), help="the window (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--shares", type=float, nargs="+", default=(0.0, 0.5, 1.0),
        help="parts of its area that are left out (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--frames", type=int, default=200, help="of each set (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="models of each (%(default)s)")
    parser.add_argument("--test", type=int, default=200, help="test frames (%(default)s)")
    parser.add_argument("--model", default="student", choices=("student", "teacher"))
    parser.add_argument("--profile", default="small", help="of the model (%(default)s)")
    parser.add_argument("--steps", type=int, default=4000, help="of a student (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("coverage"), help="(%(default)s)")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: must be 1 or more")
    if not args.library.is_file():
        parser.error(f"--library {args.library}: there is no such file; run library.py")
    args.output.mkdir(parents=True, exist_ok=True)
    coverage: dict[str, list[float]] = {}
    try:
        table, frames = read_library(args.library, args.landscape)
        sets = split_sets(table, supplementary=FINE, test=0.15, test_cell=TEST_CELL)
        if not 1 <= args.test <= len(sets.test):
            parser.error(f"--test {args.test}: must be 1 to {len(sets.test)}, the frames held out")
        pool = np.array([*sets.standard, *sets.supplementary])
        tested = uniform(table, args.test, rows=sets.test)
        test = [frames[row] for row in tested]
        hidden = inside(table, tuple(args.gap))[tested]
        groups = {"inside": hidden, "outside": ~hidden}
        train = trainer(args.model, args.profile, args.steps)
        settings = model_settings(args.model, args.profile, args.steps)
        records: list[dict] = []
        for seed in range(1, args.seeds + 1):
            trials = []
            for share in args.shares:
                window = shrunk(args.gap, share)
                rows = (
                    gapped(table, window, args.frames, seed, pool)
                    if share else uniform(table, args.frames, seed, pool)
                )  # fmt: skip
                trials.append(Trial(f"gap {100 * share:.0f} %", rows, seed))
            for way in ("random", "farthest point"):
                trials.append(Trial(way, choose(way, table, args.frames, seed, pool), seed))
            for trial in trials:
                coverage.setdefault(trial.name, []).append(covered(table, trial.rows))
            records += learning_curve(
                trials, frames, test, train, args.output, groups, settings,
                processes=args.processes,
            )  # fmt: skip
            means = {name: float(np.mean(values)) for name, values in coverage.items()}
            draw(records, means, args.output / "coverage.png")
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    lines = [
        f"{args.frames} frames in each set; {hidden.sum()} test frames inside the window, "
        f"{(~hidden).sum()} outside", "",
        "| set | frames | coverage | " + " | ".join(
            f"{q} {g}" for q in ("energy", "forces") for g in groups) + " | models |",
        "|---" * 8 + "|",
    ]  # fmt: skip
    for name in means:
        of = [mean_and_spread(records, "errors", g, q)[name][0]
              for q in ("energy", "forces") for g in groups]  # fmt: skip
        cells = " | ".join(f"{m:.4g} ± {s:.2g}".replace(" ± nan", "") for _, m, s, _ in of)
        lines.append(f"| {name} | {of[0][0]:.0f} | {means[name]:.2f} | {cells} | {of[0][3]:.0f} |")
    text = "\n".join(lines)
    with atomic_write(args.output / "coverage.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

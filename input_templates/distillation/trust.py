#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which number tells beforehand where a model is wrong: spread of a committee, or the landscape?

python trust.py --model teacher
python trust.py --model student-1 student-2 student-3 --train sets/standard.extxyz relabelled.extxyz

For each test frame: the error of the committee's mean, the spread of its members, and the distance
to the nearest training frame on the landscape, in cells of --cell. Two things are printed for each
number. Rank correlation with the error: 1 if the number knows the order of the errors. Skill:
frames are trusted in the order of the number, and the mean error of those trusted so far is
averaged over all shares; 0 is a random order, 1 the order of the errors. Then the mean errors
within one cell of a training frame, and outside. Writes trust.md and trust.png. Seconds, once the
models are there.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from library import add_landscape, landscape_calculator
from scipy.stats import spearmanr

from ase_calculators import map_landscape
from ase_calculators.committee import Committee
from ase_calculators.distillation import open_model, open_teacher
from ase_calculators.distillation.coverage import cells_away
from ase_calculators.distillation.prediction import errors
from ase_calculators.figures import save_figure
from ase_calculators.frame_source import read_frames
from ase_calculators.provenance import atomic_write

matplotlib.use("Agg")
import matplotlib.pyplot as plt

UNITS = {"energy": "meV/atom", "forces": "meV/Å"}


def risk(error: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the mean error of the 1, 2, ... n frames with the lowest number.

    Parameters
    ----------
    error, number : (n,) array
        Error and number of each frame.

    Returns
    -------
    (n,) float64
        The curve.
    """
    ordered = error[np.argsort(number, kind="stable")]
    return np.cumsum(ordered) / np.arange(1, len(ordered) + 1)


def skill(error: np.ndarray, number: np.ndarray) -> float:
    """Return how far a number is from a random order (0) to the order of the errors (1).

    Parameters
    ----------
    error, number : (n,) array
        Error and number of each frame.

    Returns
    -------
    float
        The area between the curve of `risk` and the mean error, over that of the errors
        themselves; below 0 if the order is worse than a random one.
    """
    best = error.mean() - risk(error, error).mean()
    return float((error.mean() - risk(error, number).mean()) / best)


def draw(error: dict[str, Any], numbers: dict[str, Any], path: Path) -> None:
    """Draw the mean error of the frames trusted so far.

    Parameters
    ----------
    error : dict of str to ndarray
        Errors of energy and forces.
    numbers : dict of str to dict
        Numbers by quantity and name.
    path : pathlib.Path
        Figure file.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for ax, (quantity, found) in zip(axes, error.items(), strict=True):
        share = np.arange(1, len(found) + 1) / len(found)
        ax.plot(share, risk(found, found), "k--", lw=1, label="order of the errors")
        for name, number in numbers[quantity].items():
            ax.plot(share, risk(found, number), lw=1.5, label=name)
        ax.axhline(found.mean(), color="0.6", lw=1, label="random order")
        ax.set(xlabel="share of the frames that is trusted", ylim=(0, None),
               ylabel=f"mean error of {quantity}, {UNITS[quantity]}")  # fmt: skip
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path, 110)


def main() -> None:
    """Read the command line, calculate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["teacher"], help="(%(default)s)")
    parser.add_argument(
        "--train", nargs="+", default=["sets/standard.extxyz"], help="(%(default)s)"
    )
    parser.add_argument("--test", default="sets/test.extxyz", help="labelled (%(default)s)")
    parser.add_argument("--cell", type=float, nargs=2, default=(0.4, 0.02), help="(0.4 0.02)")
    add_landscape(parser)
    parser.add_argument("--output", type=Path, default=Path("trust"), help="(%(default)s)")
    args = parser.parse_args()
    try:
        frames = list(read_frames(args.test))
        models = [open_model(name) for name in args.model]
        if len(models) == 1:
            committee = open_teacher(models[0])
        else:
            committee = Committee([
                member for model in models
                for member in (model.members if hasattr(model, "members") else [model])
            ])  # fmt: skip
        results = committee.evaluate(frames)
        if "energy_spread" not in results[0]:
            raise ValueError(f"--model {args.model}: one model has no spread; give two or more")
        calc = landscape_calculator(args)
        tables = [map_landscape(part, calc, progress=False) for part in (args.train, frames)]
        predicted = {
            "energy": np.array([found["energy"] for found in results]),
            "forces": np.concatenate([found["forces"] for found in results]),
        }
        error = errors(predicted, frames).of_frames()
    except (ValueError, ImportError, OSError) as failure:
        raise SystemExit(str(failure)) from None
    away = cells_away(*tables, tuple(args.cell))
    numbers = {
        quantity: {
            "spread": np.array([found[f"{quantity}_spread"] for found in results]),
            "landscape": away,
        }
        for quantity in error
    }
    lines = ["| error of | number | rank correlation | skill |", "|---" * 4 + "|"]
    for quantity, found in error.items():
        for name, number in numbers[quantity].items():
            lines.append(
                f"| {quantity} | {name} | {spearmanr(found, number).statistic:.2f} | "
                f"{skill(found, number):.2f} |"
            )
    lines += ["", f"{len(frames)} frames, {len(committee.members)} models"]
    outside = away > 1
    lines.append(f"{outside.sum()} frames are further than one cell from each training frame")
    if 0 < outside.sum() < len(frames):
        lines += [
            f"mean error of {quantity}: {found[~outside].mean():.3g} {UNITS[quantity]} inside, "
            f"{found[outside].mean():.3g} outside"
            for quantity, found in error.items()
        ]
    args.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.output / "trust.md") as file:
        file.write("\n".join(lines) + "\n")
    draw(error, numbers, args.output / "trust.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

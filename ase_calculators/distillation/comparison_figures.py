# SPDX-License-Identifier: BSD-3-Clause
"""Figures of a comparison: distributions, boxes, parity, the landscape."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm

from ase_calculators.distillation.prediction import QUANTITIES, Errors
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.landscape import LandscapeTable


def _shown(errors: Mapping[str, Errors]) -> list[str]:
    """Return the quantities that every model has."""
    return [
        name for name in QUANTITIES
        if all(getattr(e, name) is not None for e in errors.values())
    ]  # fmt: skip


def draw_histograms(errors: Mapping[str, Errors], folder: Path) -> None:
    """Draw how the signed errors are distributed: ``histograms.png``.

    Parameters
    ----------
    errors : dict of str to Errors
        Errors of each model.
    folder : pathlib.Path
        Folder of the figure.
    """
    shown = _shown(errors)
    figure = new_figure(3.3 * len(shown), 3.3)
    for ax, quantity in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        values = [getattr(e, quantity).ravel() for e in errors.values()]
        reach = max(max(np.percentile(np.abs(v), 99) for v in values), 1e-9)
        bins = np.linspace(-reach, reach, 61)
        for color, name, v in zip(COLORS * 3, errors, values, strict=False):
            # larger errors are counted in the outermost bins
            weights = np.full(len(v), 100 / len(v))
            ax.hist(np.clip(v, -reach, reach), bins, weights=weights, histtype="step", color=color,
                    lw=1.3, label=name)  # fmt: skip
        ax.set(xlabel=f"{quantity} error ({QUANTITIES[quantity]})", yscale="log")
        tidy(ax)
    figure.axes[0].set_ylabel("share (%)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, fontsize=8,
                  ncol=len(errors), loc="outside upper center")  # fmt: skip
    save_figure(figure, folder / "histograms.png", 110)


def draw_boxes(errors: Mapping[str, Errors], folder: Path) -> None:
    """Draw median, quartiles and 5 to 95 % of the errors of single frames: ``boxes.png``.

    Parameters
    ----------
    errors : dict of str to Errors
        Errors of each model.
    folder : pathlib.Path
        Folder of the figure.
    """
    shown = _shown(errors)
    per_frame = {name: e.of_frames() for name, e in errors.items()}
    width = 1.1 + 0.55 * len(per_frame)
    figure = new_figure(max(width, 2.4) * len(shown), 3.6)
    for ax, quantity in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        values = [np.maximum(found[quantity], 1e-6) for found in per_frame.values()]
        boxes = ax.boxplot(values, whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True)
        for k, box in enumerate(boxes["boxes"]):
            box.set(facecolor=COLORS[k % len(COLORS)], alpha=0.75, lw=0.8)
        for line in boxes["medians"]:
            line.set(color="k", lw=1.4)
        rms = [np.sqrt(np.mean(getattr(e, quantity) ** 2)) for e in errors.values()]
        ax.plot(range(1, len(rms) + 1), rms, "D", color="k", ms=4, mfc="w", label="RMSE")
        ax.set_xticks(range(1, len(values) + 1), list(per_frame), rotation=40, ha="right",
                      rotation_mode="anchor", fontsize=8)  # fmt: skip
        ax.set(yscale="log", ylabel=f"{quantity} error of a frame ({QUANTITIES[quantity]})")
        tidy(ax)
    figure.axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, folder / "boxes.png", 110)


def draw_parity(
    errors: Mapping[str, Errors], labels: Mapping[str, np.ndarray], folder: Path
) -> None:
    """Draw predictions against labels, a row of panels per model: ``parity.png``.

    Parameters
    ----------
    errors : dict of str to Errors
        Errors of each model.
    labels : dict of str to ndarray
        Labels of the test set, as `flat_labels` returns them.
    folder : pathlib.Path
        Folder of the figure.
    """
    shown, names = _shown(errors), list(errors)
    labels_unit = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}
    figure = new_figure(3.0 * len(shown), 2.8 * len(names))
    axes = figure.subplots(len(names), len(shown), squeeze=False)
    for row, (name, e) in zip(axes, errors.items(), strict=True):
        for ax, quantity in zip(row, shown, strict=True):
            known = labels[quantity]
            predicted = known + 1e-3 * getattr(e, quantity).ravel()
            ends = [known.min(), known.max()]
            margin = 0.05 * max(ends[1] - ends[0], 1e-9)
            ends = [ends[0] - margin, ends[1] + margin]
            ax.plot(ends, ends, "-", color="0.6", lw=0.8)
            size = float(np.clip(150 / np.sqrt(len(known)), 2, 6))
            ax.plot(known, np.clip(predicted, *ends), ".", ms=size, mew=0, alpha=0.6,
                    color=COLORS[names.index(name) % len(COLORS)], rasterized=True)  # fmt: skip
            ax.set(xlim=ends, ylim=ends, aspect="equal")
            ax.locator_params(nbins=4)
            tidy(ax)
            if ax in axes[-1]:
                ax.set_xlabel(f"label: {quantity} ({labels_unit[quantity]})")
        row[0].set_ylabel(name)
    save_figure(figure, folder / "parity.png", 80)


def draw_landscape(errors: Mapping[str, Errors], table: LandscapeTable, folder: Path) -> None:
    """Draw the errors of the frames at their places on the landscape: ``landscape.png``.

    All models have one scale.

    Parameters
    ----------
    errors : dict of str to Errors
        Errors of each model.
    table : LandscapeTable
        Landscape of the test set.
    folder : pathlib.Path
        Folder of the figure.
    """
    shown, names = _shown(errors), list(errors)
    per_frame = {name: e.of_frames() for name, e in errors.items()}
    figure = new_figure(1.0 + 2.9 * len(shown), 0.7 + 2.3 * len(names))
    axes = figure.subplots(len(names), len(shown), squeeze=False, sharex=True, sharey=True)
    for column, quantity in enumerate(shown):
        everything = np.concatenate([found[quantity] for found in per_frame.values()])
        high = max(float(np.percentile(everything, 99.5)), 1e-6)
        lowest = max(float(np.percentile(everything, 5)), 1e-3 * high)
        norm = LogNorm(lowest, high, clip=True)
        for row, name in enumerate(names):
            values = np.maximum(per_frame[name][quantity][table.frame], lowest)
            order = np.argsort(values)  # large errors on top
            ax = axes[row, column]
            drawn = ax.scatter(table.sS[order], table.Q[order], c=values[order], s=9, linewidths=0,
                               cmap="viridis", norm=norm, rasterized=True)  # fmt: skip
            tidy(ax)
        figure.colorbar(
            drawn, ax=axes[:, column].tolist(), location="top", aspect=25,
            label=f"{quantity} error ({QUANTITIES[quantity]})",
        )  # fmt: skip
        axes[-1, column].set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
    for row, name in enumerate(names):
        axes[row, 0].set_ylabel(f"{name}\nQ{table.parameters['degree']}")
    save_figure(figure, folder / "landscape.png", 100)

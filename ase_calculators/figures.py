# SPDX-License-Identifier: BSD-3-Clause
"""Colours, axes and figures of all pictures."""

from collections.abc import Iterator
from itertools import cycle
from os import PathLike, fspath
from typing import Any

from ase_calculators.provenance import atomic_write

COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#8c564b",
    "#7f7f7f", "#bcbd22", "#1b4f2a", "#e7298a",
)  # fmt: skip


def colored(records: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each model with its color; the colors repeat after a dozen.

    Parameters
    ----------
    records : list of dict
        Record of each model.

    Yields
    ------
    (str, dict)
        Color and record.
    """
    yield from zip(cycle(COLORS), records, strict=False)


def tidy(ax: Any) -> None:
    """Style axes like those of all figures: a light grid, plain numbers on logarithmic axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes; set their scales before.
    """
    from matplotlib.ticker import FixedLocator, LogFormatter

    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_formatter("{x:g}")
            fixed = isinstance(axis.get_major_locator(), FixedLocator)  # set by the caller
            axis.set_minor_formatter("" if fixed else LogFormatter(minor_thresholds=(1.5, 0.7)))
    ax.grid(color="0.92", lw=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure that needs no display.

    Parameters
    ----------
    width, height : float
        Size, inches.

    Returns
    -------
    matplotlib.figure.Figure
        Figure.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | PathLike[str], dpi: int = 120, **options: Any) -> None:
    """Write a figure to a file atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Figure.
    path : path-like
        File; its suffix is the format.
    dpi : int
        Resolution, dots per inch.
    **options
        Passed to matplotlib's ``savefig``.
    """
    suffix = fspath(path).rpartition(".")[2].lower()
    with atomic_write(path, "wb") as file:
        figure.savefig(file, dpi=dpi, format=suffix, **options)

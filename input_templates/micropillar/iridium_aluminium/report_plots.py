# SPDX-License-Identifier: BSD-3-Clause
"""The four pictures of the report."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from measurements import MIN_ATOMS, Pillar, by_metal_and_temperature
from slip_order import stacking_steps

from ase_calculators.figures import COLORS, new_figure, save_figure, tidy

EVENTS = {"BCC embryo": "s", "ISF": "o", "ESF": "^", "CTB": "D"}


def draw(pillars: Sequence[Pillar], folder: Path) -> None:
    """Draw the four pictures.

    Parameters
    ----------
    pillars : sequence of Pillar
        Runs of one rate.
    folder : pathlib.Path
        Folder of the pictures.
    """
    pictures = {
        "order.png": (1, 3.6, 100, _draw_order), "bcc.png": (1, 3.6, 100, _draw_bcc),
        "twins.png": (2, 6.4, 100, _draw_twins), "stacking.png": (1, 3.8, 110, _draw_stacking),
    }  # fmt: skip
    metals = sorted({p.metal for p in pillars})
    temperatures = sorted({p.temperature for p in pillars})
    color = {t: COLORS[k % len(COLORS)] for k, t in enumerate(temperatures)}
    for name, (rows, height, dpi, draw_metal) in pictures.items():
        figure = new_figure(9.0, height)
        axes = figure.subplots(rows, len(metals), squeeze=False).T
        for metal, column in zip(metals, axes, strict=True):
            draw_metal(column, [p for p in pillars if p.metal == metal], color)
        save_figure(figure, folder / name, dpi=dpi)


def _draw_order(axes: Any, pillars: Sequence[Pillar], color: dict[float, str]) -> None:
    """Draw stress over strain; the events of the first seed."""
    (ax,) = axes
    for (_, temperature), group in by_metal_and_temperature(pillars).items():
        for k, p in enumerate(group):
            strain, stress = 100 * p.table["strain"], p.table["stress_GPa"]
            ax.plot(strain, stress, color=color[temperature], lw=1.0, alpha=1 if not k else 0.4,
                    label=None if k else f"{temperature:g} K")  # fmt: skip
            if k:
                continue
            for event in p.table.events(MIN_ATOMS):
                if event.name in EVENTS:
                    ax.plot(strain[event.row], stress[event.row], EVENTS[event.name], ms=5,
                            color=color[temperature], mec="k", mew=0.5)  # fmt: skip
    for name, marker in EVENTS.items():
        ax.plot([], [], marker, color="w", mec="k", ms=5, label=f"first {name}")
    ax.set(title=pillars[0].metal, xlabel="strain (%)", ylabel="stress (GPa)")
    ax.legend(frameon=False, fontsize=7)
    tidy(ax)


def _draw_bcc(axes: Any, pillars: Sequence[Pillar], color: dict[float, str]) -> None:
    """Draw the share of BCC over strain, and the perfect crystal's."""
    (ax,) = axes
    for (_, temperature), group in by_metal_and_temperature(pillars).items():
        for k, p in enumerate(group):
            ax.plot(100 * p.table["strain"], 100 * p.table["BCC"], color=color[temperature],
                    lw=1.0, alpha=1 if not k else 0.4,
                    label=None if k else f"pillar, {temperature:g} K")  # fmt: skip
            if not k:
                ax.plot(100 * p.table["strain"], 100 * p.numbers["reference"], "--", lw=1.2,
                        color=color[temperature],
                        label=f"perfect crystal, {temperature:g} K")  # fmt: skip
    ax.set(title=pillars[0].metal, xlabel="strain (%)", ylabel="BCC (% of interior atoms)")
    ax.legend(frameon=False, fontsize=7)
    tidy(ax)


def _draw_twins(axes: Any, pillars: Sequence[Pillar], color: dict[float, str]) -> None:
    """Draw faults of the coldest first seed, and thicknesses of twins of all coldest seeds."""
    top, bottom = axes
    (metal, temperature), cold = min(by_metal_and_temperature(pillars).items())
    table = cold[0].table
    strain = 100 * table["strain"]
    n = np.maximum(table["n_interior"], 1)
    for name, values, k in (
        ("twinned", table["twinned"], 0), ("ISF", table["ISF"] / n, 1),
        ("ESF", table["ESF"] / n, 2), ("CTB and twin", (table["CTB"] + table["twin"]) / n, 3),
    ):  # fmt: skip
        top.plot(strain, 100 * np.asarray(values), color=COLORS[k], lw=1.1, label=name)
    right = top.twinx()
    right.plot(strain, table["dislocations_1/6<112>_A"] / 10, color="0.5", lw=0.9, ls="--")
    right.plot(strain, table["dislocations_1/2<110>_A"] / 10, color="0.5", lw=0.9, ls=":")
    right.set_ylabel("dislocations (nm): - - 1/6<112>, ... 1/2<110>", fontsize=7)
    top.set(title=f"{metal}, {temperature:g} K", xlabel="strain (%)",
            ylabel="share of interior atoms (%)")  # fmt: skip
    top.legend(frameon=False, fontsize=7, loc="upper left")
    edges = np.linspace(0, max(strain[-1], 1e-9), 23)
    image = np.zeros((13, 22))
    for p in cold:
        for x, twins in zip(100 * p.table["strain"], p.table["twin_layers"], strict=True):
            column = min(int(np.searchsorted(edges, x, "right")) - 1, 21)
            for layers, atoms in twins.items():
                image[min(int(layers), 12), max(column, 0)] += atoms
    most = max(3, int(np.flatnonzero(image.any(1)).max(initial=0)))
    shown = bottom.pcolormesh(edges, np.arange(14) - 0.5, np.where(image > 0, image, np.nan),
                              cmap="viridis")  # fmt: skip
    bottom.figure.colorbar(shown, ax=bottom, label="atoms of boundaries")
    bottom.set(
        xlabel="strain (%)", ylabel="layers between boundaries (1: ESF)", ylim=(0.5, most + 0.5)
    )


def _draw_stacking(axes: Any, pillars: Sequence[Pillar], color: dict[float, str]) -> None:
    """Draw the steps from plane to plane over strain, of the run with the thickest twin."""
    (ax,) = axes
    with_route = [p for p in pillars if p.numbers["route"] is not None]
    pillar = max(with_route, key=lambda p: len(p.numbers["route"].order), default=pillars[0])
    table, route = pillar.table, pillar.numbers["route"]
    counts = Counter(name for frame in table["letters"] for name in frame)
    normal = route.normal if route else counts.most_common(1)[0][0]
    rows, matrix = stacking_steps(table, normal)
    image = np.full((matrix.shape[1], len(table)), np.nan)
    image[:, rows] = matrix.T
    x = 100 * table["strain"]
    ax.pcolormesh(x, np.arange(len(image)), np.ma.masked_invalid(image), vmin=-1, vmax=1,
                  shading="nearest",
                  cmap=ListedColormap([COLORS[1], "0.8", "#e4ecf4"]))  # fmt: skip
    title = f"{pillar.metal}, {pillar.temperature:g} K, seed {pillar.seed}, planes along {normal}"
    if route:
        title += f"\nslip order {'-'.join(map(str, route.order))}"
    else:
        title += "\nno three neighbouring steps slipped"
    ax.set_title(title, fontsize=9)
    ax.set(xlabel="strain (%)", ylabel="step from plane to plane")
    for name, shade in (
        ("up: parent", "#e4ecf4"),
        ("down: slipped", COLORS[1]),
        ("unknown", "0.8"),
    ):
        ax.plot([], [], "s", color=shade, mec="0.5", label=name)
    ax.legend(fontsize=7, loc="upper left", framealpha=0.9)

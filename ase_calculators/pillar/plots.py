# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of the table of a pillar: stress and events, defects, BCC content, fault map."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_calculators.fault_sequence import FAULT_COLORS, FAULT_MARKS, FAULT_NAMES
from ase_calculators.figures import COLORS, new_figure
from ase_calculators.pillar.stress_strain import read_stress_strain
from ase_calculators.pillar.table import BURGERS, FAULTS, PillarTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAULT_COLOR = dict(zip(FAULT_NAMES, FAULT_COLORS, strict=True))
# name and color of each character of a fault map
_MARKS: dict[str, tuple[str, Any]] = {"-": ("parent", "#ececec"), "t": ("open twin", "#bcd4ea")}
_MARKS |= {mark: (FAULT_NAMES[k], FAULT_COLORS[k]) for k, mark in FAULT_MARKS.items()}
_EVENT_STYLE: dict[str, tuple[Any, str]] = {
    "highest stress": ("k", "^"),
    "BCC embryo": (COLORS[3], "s"),
    **{name: (_FAULT_COLOR[name], "o") for name in ("ISF", "ESF", "CTB")},
}


def plot_pillar(
    tables: PillarTable | Mapping[Any, PillarTable],
    stress_strain: Any = None,
    min_atoms: int = 10,
) -> "Figure":
    """Draw stress and events, defects, BCC content and the fault map against strain.

    Parameters
    ----------
    tables : PillarTable or mapping of a temperature to PillarTable
        One run, or several, such as ``{300: cold, 800: hot}``; numbers are temperatures in kelvin.
        Events, defects and the fault map are those of the first run.
    stress_strain : path-like or mapping, optional
        Stress-strain file of the run, or a mapping with one for each run. The whole curve is then
        drawn in addition to the stress at the frames.
    min_atoms : int
        As in `PillarTable.events`.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels: stress with the events marked; atoms in faults and dislocation length; share of
        BCC of each run; fault map, see `plot_fault_map`.

    Raises
    ------
    ValueError
        If there is no table or a table has no rows.
    """
    runs = tables if isinstance(tables, Mapping) else {"": tables}
    curves = stress_strain if isinstance(stress_strain, Mapping) else {}
    if stress_strain is not None and not curves:
        curves = {next(iter(runs), ""): stress_strain}
    if not runs or any(len(table) == 0 for table in runs.values()):
        raise ValueError("tables: give at least one table, each with at least one row")
    figure = new_figure(9.0, 7.0)
    axes = figure.subplots(2, 2)
    first = next(iter(runs.values()))
    _plot_stress(axes[0, 0], runs, curves, min_atoms)
    _plot_defects(axes[0, 1], first)
    for k, (label, table) in enumerate(runs.items()):
        axes[1, 0].plot(100 * table["strain"], 100 * table["BCC"], color=_shade(k, len(runs)),
                        label=_label(label))  # fmt: skip
    axes[1, 0].set(xlabel="strain (%)", ylabel="BCC (% of interior atoms)", ylim=(0, None))
    if len(runs) > 1:
        axes[1, 0].legend(frameon=False)
        for ax in (axes[0, 1], axes[1, 1]):
            ax.set_title(_label(next(iter(runs))), loc="right", fontsize="medium")
    plot_fault_map(first, axes[1, 1])
    for ax, letter in zip(axes.flat, "abcd", strict=True):
        ax.set_title(letter, loc="left", fontweight="bold")
    return figure


def _label(label: Any) -> str:
    """Return the label of a run, of a temperature with its unit."""
    return f"{label} K" if isinstance(label, int | float) else str(label)


def _shade(k: int, n: int) -> Any:
    """Return the color of run k of n."""
    from matplotlib import colormaps

    return "k" if n == 1 else colormaps["plasma"](0.1 + 0.75 * k / (n - 1))


def _plot_stress(
    ax: "Axes", runs: Mapping[Any, PillarTable], curves: Mapping[Any, Any], min_atoms: int
) -> None:
    """Draw stress against strain of all runs, and the events of the first."""
    for k, (label, table) in enumerate(runs.items()):
        shade = _shade(k, len(runs))
        if label in curves:
            curve = read_stress_strain(curves[label])
            ax.plot(100 * curve["strain"], curve["stress_GPa"], color=shade, lw=0.6, alpha=0.5)
        marker = "." if label in curves else None
        ax.plot(100 * table["strain"], table["stress_GPa"], color=shade, marker=marker, lw=1.2,
                label=_label(label) if len(runs) > 1 else None)  # fmt: skip
    first = next(iter(runs.values()))
    events = first.events(min_atoms)
    for k, event in enumerate(events):
        color, marker = _EVENT_STYLE[event.name]
        stress = first["stress_GPa"][event.row]
        above = sum(other.row == event.row for other in events[k + 1 :])
        ax.axvline(100 * event.strain, color=color, lw=0.7, ls=":")
        ax.plot(100 * event.strain, stress, marker, color=color, ms=7 + 5 * above, mec="w", mew=0.6,
                label=f"{event.name}, {100 * event.strain:.1f} %", zorder=3)  # fmt: skip
    ax.set(xlabel="strain (%)", ylabel="stress (GPa)")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(edgecolor="none", framealpha=0.9, fontsize=7)


def _plot_defects(ax: "Axes", table: PillarTable) -> None:
    """Draw atoms in faults and lengths of dislocations."""
    strain = 100 * table["strain"]
    for name in FAULTS[:5]:
        if np.nansum(table[name]):
            ax.plot(strain, table[name], color=_FAULT_COLOR[name], label=name)
    ax.set(xlabel="strain (%)", ylabel="atoms in faults", ylim=(0, None))
    lengths = np.array([table[f"dislocations_{name}_A"] for name in BURGERS])
    if np.isfinite(lengths).any():
        right = ax.twinx()
        for name, style in (("1/6<112>", "--"), ("1/2<110>", ":")):
            length = table[f"dislocations_{name}_A"]
            right.plot(strain, length / 10, color="0.45", ls=style, lw=1)
            ax.plot([], [], color="0.45", ls=style, lw=1, label=f"{name} dislocations")
        right.set(ylabel="dislocation length (nm)", ylim=(0, None))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=7)


def plot_fault_map(table: PillarTable, ax: "Axes | None" = None) -> "Axes":
    """Draw the faults of each (111) plane along the normal with most faults, against strain.

    Parameters
    ----------
    table : PillarTable
        The run.
    ax : matplotlib axes, optional
        Axes of the map. Default: those of a new figure.

    Returns
    -------
    matplotlib axes
        The map: strain to the right, planes from the bottom to the top. A plane has the color of a
        fault that covers at least a tenth of it.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    if ax is None:
        ax = new_figure(5.0, 4.0).subplots()
    ax.set(xlabel="strain (%)", ylabel="(111) plane")
    normals = {name for planes in table["planes"] for name in planes}
    if not normals:
        ax.text(0.5, 0.5, "no fault analysis", ha="center", transform=ax.transAxes)
        return ax
    n_marks = {
        name: sum(
            len(planes.get(name, "").translate(str.maketrans("", "", "-.")))
            for planes in table["planes"]
        )
        for name in sorted(normals)
    }
    normal = max(n_marks, key=lambda name: n_marks[name])
    known = np.isfinite(table["strain"])
    strain = 100 * table["strain"][known]
    if len(strain) == 0:
        raise ValueError("table: no frame has a strain; give the stress-strain file of the run")
    image = _map_image(table, normal)[:, known]
    edges = np.concatenate([strain[:1], (strain[1:] + strain[:-1]) / 2, strain[-1:]])
    if len(strain) == 1:
        edges = strain[0] + np.array([-0.5, 0.5])
    colors = [color for _, color in _MARKS.values()]
    ax.pcolormesh(edges, np.arange(len(image) + 1), image, cmap=ListedColormap(colors), vmin=-0.5,
                  vmax=len(colors) - 0.5)  # fmt: skip
    ax.set_ylabel(f"plane along {normal}")
    ax.legend(
        handles=[
            Patch(color=colors[k], label=name)
            for k, (name, _) in enumerate(_MARKS.values()) if (image == k).any()
        ],
        frameon=True, framealpha=0.8, fontsize=7, loc="upper left",
    )  # fmt: skip
    return ax


def _map_image(table: PillarTable, normal: str) -> np.ndarray:
    """Return the number in `_MARKS` of each plane (rows) and frame (columns); NaN without atoms."""
    columns = [planes.get(normal, "") for planes in table["planes"]]
    height = max(len(column) for column in columns)
    codes = "".join(_MARKS)
    image = np.full((height, len(columns)), np.nan)
    for k, column in enumerate(columns):
        # a frame without faults along this normal: all of it is parent
        for i, mark in enumerate(column or "-" * height):
            if mark in codes:
                image[i, k] = codes.index(mark)
    return image

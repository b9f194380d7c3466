#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find the minimum-energy paths from graphite to diamond over the labelled landscape.

python paths.py

joins frames whose cells are neighbours on the plane, whatever their structures; continuous.py asks
for more. It reads labelled.csv and neb.csv and writes paths.csv, energy.png (the landscape with its
paths) and profiles.png (energies along them, next to NEB).
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, dijkstra, minimum_spanning_tree
from scipy.spatial import KDTree

from ase_calculators import LandscapeTable
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

RESOLUTION = (0.1, 0.005)
COLORS = {
    "over high sS": "#d55e00", "over low sS": "#56b4e9", "anywhere": "black",
    "NEB": "#009e73",
}  # fmt: skip


class Landscape(NamedTuple):
    """Hold the nodes of the graph: the labelled frames, graphite first, diamond last.

    Attributes
    ----------
    rows : (n,) int64
        Rows of the table.
    points : (n, 2) float64
        sS and Q6.
    unit : (n, 2) float64
        The same in units of the window, whose corners are (0, 0) and (1, 1).
    energy : (n,) float64
        eV per atom, from that of graphite on.
    volume : (n,) float64
        Å^3 per atom.
    """

    rows: np.ndarray
    points: np.ndarray
    unit: np.ndarray
    energy: np.ndarray
    volume: np.ndarray


class Way(NamedTuple):
    """Hold a path over the landscape.

    Attributes
    ----------
    nodes : (k,) int64
        Nodes from graphite to diamond.
    reach : int
        Longest step, in cells.
    """

    nodes: np.ndarray
    reach: int


def landscape(table: LandscapeTable) -> Landscape:
    """Return the nodes of a table.

    Parameters
    ----------
    table : LandscapeTable
        labelled.csv.

    Returns
    -------
    Landscape
        Nodes.
    """
    parents = np.flatnonzero(table.file == "parents.extxyz")
    points = np.column_stack((table.sS, table.Q))
    low, high = points[parents].min(axis=0), points[parents].max(axis=0)
    ends = parents[[0, -1]]
    rows = np.concatenate((ends[:1], np.setdiff1d(np.arange(len(table)), ends), ends[1:]))
    unit = (points[rows] - low) / (high - low)
    energy = table.energy[rows] / table.n_atoms[rows]
    volume = table.volume[rows] / table.n_atoms[rows]
    return Landscape(rows, points[rows], unit, energy - energy[0], volume)


def minimum_energy_path(land: Landscape, allowed: np.ndarray, farthest: int) -> Way:
    """Return the path with the lowest highest energy and, of those, the smallest climb.

    Frames are neighbours if their cells are the same or neighbours. If that does not connect
    graphite and diamond, a step may skip cells, as few as possible. The highest energy is that of
    the minimum spanning tree with the higher energy of its two ends on each edge; among the nodes
    up to it, the path is the one with the smallest integral of the energy above the lowest one over
    its length in cells.

    Parameters
    ----------
    land : Landscape
        Nodes.
    allowed : (n,) bool
        Nodes that the path may use.
    farthest : int
        Longest step to try, in cells.

    Returns
    -------
    Way
        The path.

    Raises
    ------
    ValueError
        If there is no path.
    """
    nodes = np.flatnonzero(allowed)
    n = len(nodes)
    cells = np.floor(land.points[nodes] / RESOLUTION)
    energy = land.energy[nodes] - land.energy[nodes].min() + 1e-3  # SciPy does not see an edge of 0
    tree = KDTree(cells)
    for reach in range(1, farthest + 1):
        i, j = tree.query_pairs(reach + 0.5, p=np.inf, output_type="ndarray").T
        highest = coo_array((np.maximum(energy[i], energy[j]), (i, j)), shape=(n, n))
        spanning = minimum_spanning_tree(highest)
        _, before = breadth_first_order(spanning, 0, directed=False)
        if before[n - 1] >= 0:
            break
    else:
        raise ValueError(
            f"graphite and diamond are not connected by steps of up to {farthest} cells; breed "
            "more frames, or raise --farthest or --band"
        )
    path = [n - 1]
    while path[-1]:
        path.append(before[path[-1]])
    low = np.maximum(energy[i], energy[j]) <= energy[path].max()
    i, j = i[low], j[low]
    length = np.linalg.norm(cells[i] - cells[j], axis=1).clip(0.5)
    climb = coo_array((length * (energy[i] + energy[j]) / 2, (i, j)), shape=(n, n))
    _, before = dijkstra(climb, directed=False, indices=0, return_predecessors=True)
    path = [n - 1]
    while path[-1]:
        path.append(before[path[-1]])
    return Way(nodes[path[::-1]], reach)


def edges(land: Landscape, band: float) -> list[np.ndarray]:
    """Split the cells along the edges of the window into the two ways from graphite to diamond.

    Parameters
    ----------
    land : Landscape
        Nodes; those of graphite and diamond lie on the edges, since they have the largest and the
        smallest Q6 of the parents.
    band : float
        Largest distance of a cell from the edges, on either side, in units of the window.

    Returns
    -------
    list of (n,) bool
        Nodes of the two ways.
    """
    x, y = np.clip(land.unit, 0, 1).T
    gaps = np.array([1 - y, 1 - x, y, x])  # to the top, the right, the bottom, the left
    nearest = gaps.argmin(axis=0)
    # how far around the nearest point of the edges is, 1 per edge
    turn = np.choose(nearest, [x, 2 - y, 3 - x, 3 + y])
    beyond = np.linalg.norm(land.unit - np.column_stack((x, y)), axis=1)
    near = np.maximum(gaps.min(axis=0), beyond) <= band
    ahead = (turn - turn[0]) % 4
    before_diamond = ahead <= ahead[-1]
    after_diamond = ~before_diamond
    after_diamond[[0, -1]] = True
    return [near & before_diamond, near & after_diamond]


def draw_landscape(land: Landscape, ways: dict, neb: LandscapeTable | None, path: Path) -> None:
    """Draw the energies of the cells and the paths over them.

    Parameters
    ----------
    land : Landscape
        Nodes.
    ways : dict of str to Way
        Paths by name.
    neb : LandscapeTable or None
        Images of the NEB.
    path : pathlib.Path
        The picture.
    """
    figure, ax = plt.subplots(figsize=(6.8, 4.8), layout="constrained")
    order = np.argsort(land.energy)
    _, first = np.unique(np.floor(land.points[order] / RESOLUTION), axis=0, return_index=True)
    lowest = order[first]  # of each cell
    drawn = ax.scatter(
        *land.points[lowest].T, c=land.energy[lowest], s=7, marker="s", linewidths=0,
        cmap="viridis", vmin=0, vmax=2,
    )  # fmt: skip
    for name, way in ways.items():
        for color, width in (("white", 3.4), (COLORS[name], 1.8)):
            ax.plot(
                *land.points[way.nodes].T, color=color, lw=width,
                label=name if width < 2 else None,
            )  # fmt: skip
    if neb is not None:
        ax.plot(
            neb.sS, neb.Q, "o:", color=COLORS["NEB"], mec="white", ms=5, lw=1.2, label="NEB images"
        )
    for node, text, offset in ((0, "graphite", 9), (-1, "diamond", -14)):
        ax.plot(*land.points[node], "o", color="#d62728", mec="white", ms=8)
        ax.annotate(
            text, land.points[node], xytext=(0, offset), textcoords="offset points", ha="center"
        )
    ax.set(xlabel=r"sS ($k_\mathrm{B}$ per atom)", ylabel="Q6")
    ax.margins(0.06)
    label = "lowest energy of the cell, per atom from graphite (eV)"
    figure.colorbar(drawn, label=label, extend="max")
    figure.legend(loc="outside upper center", ncols=5, fontsize=9, frameon=False)
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def draw_profiles(land: Landscape, ways: dict, neb: LandscapeTable | None, path: Path) -> None:
    """Draw energy and volume along the paths.

    Parameters
    ----------
    land : Landscape
        Nodes.
    ways : dict of str to Way
        Paths by name.
    neb : LandscapeTable or None
        Images of the NEB.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(2, sharex=True, figsize=(6.4, 6.0), layout="constrained")
    for name, way in ways.items():
        steps = np.linalg.norm(np.diff(land.unit[way.nodes], axis=0), axis=1)
        along = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
        label = f"{name}: {land.energy[way.nodes].max():.2f} eV"
        for ax, values in zip(axes, (land.energy, land.volume), strict=True):
            ax.plot(along, values[way.nodes], color=COLORS[name], lw=1.2, label=label)
    if neb is not None:
        energy = (neb.energy - neb.energy[0]) / neb.n_atoms
        along = np.linspace(0, 1, len(neb))
        for ax, values in zip(axes, (energy, neb.volume / neb.n_atoms), strict=True):
            ax.plot(
                along, values, "o-", color=COLORS["NEB"], ms=4, lw=1.2,
                label=f"NEB: {energy.max():.2f} eV",
            )  # fmt: skip
    for ax, text in zip(axes, ("energy per atom from graphite (eV)", "volume per atom (Å$^3$)")):
        ax.set(ylabel=text, xlim=(0, 1))
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    # a bridge over an empty corner may be much higher; the legend has its barrier
    axes[0].set_ylim(-0.1, min(2.0, axes[0].get_ylim()[1]))
    axes[1].set_xlabel("way from graphite to diamond, as a share of its length")
    axes[0].legend(fontsize=8)
    save_figure(figure, path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Read the command line, find the paths, write and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", default="labelled.csv")
    parser.add_argument("--neb", type=Path, default=Path("neb.csv"), help="left out if missing")
    parser.add_argument(
        "--band", type=float, default=0.1,
        help="largest distance of their paths from the edges, in units of the window (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--farthest", type=int, default=10, help="longest step, in cells (%(default)s)"
    )
    parser.add_argument(
        "--standard", action="store_true", help="leave supplementary.extxyz out: a frame per cell"
    )
    args = parser.parse_args()
    if not 0 < args.band <= 1 or args.farthest < 1:
        parser.error(
            f"--band {args.band} --farthest {args.farthest}: must be above 0 and at most 1, 1 or "
            "more"
        )
    try:
        table = LandscapeTable.read(args.labelled)
        neb = LandscapeTable.read(args.neb) if args.neb.exists() else None
        land = landscape(table)
        known = np.isfinite(land.energy)
        if args.standard:
            known &= table.file[land.rows] != "supplementary.extxyz"
        masks = *(known & way for way in edges(land, args.band)), known
        ways = {
            name: minimum_energy_path(land, mask, args.farthest)
            for name, mask in zip(COLORS, masks, strict=False)
        }
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file here; run breed.py and label.py")
    except ValueError as error:
        parser.error(str(error))

    with atomic_write("paths.csv", newline="") as file:
        file.write(f"# of {args.labelled}, potential {table.parameters['potential']}, cells "
                   f"{RESOLUTION}, band {args.band}; energy eV, volume Å^3 per atom\n")  # fmt: skip
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "file", "frame", "sS", "Q6", "energy", "volume"))
        for name, way in ways.items():
            for node in way.nodes.tolist():
                row = land.rows[node]
                source = table.file[row], table.frame[row]
                values = (
                    *land.points[node].tolist(),
                    land.energy[node].item(),
                    land.volume[node].item(),
                )
                writer.writerow((name, *source, *values))
    draw_landscape(land, ways, neb, Path("energy.png"))
    draw_profiles(land, ways, neb, Path("profiles.png"))

    print(f"{known.sum()} frames; diamond {land.energy[-1]:+.4f} eV per atom from graphite")
    for name, way in ways.items():
        top = way.nodes[land.energy[way.nodes].argmax()]
        sS, Q6 = land.points[top]
        jump = np.abs(np.diff(land.volume[way.nodes])).max()
        print(
            f"{name:12s} barrier {land.energy[top]:.3f} eV per atom at sS {sS:.2f}, Q6 {Q6:.3f}; "
            f"{len(way.nodes)} frames, steps of up to {way.reach} cells and {jump:.2f} Å^3 per atom"
        )
    if neb is not None:
        barrier = (neb.energy.max() - neb.energy[0]) / neb.n_atoms[0]
        print(f"{'NEB':12s} barrier {barrier:.3f} eV per atom, {len(neb)} images")
    change = {name: land.energy[ways[name].nodes].max() for name in list(ways)[:2]}
    print(f"edge path with the largest energy change: {max(change, key=change.get)}; with the "
          f"smallest: {min(change, key=change.get)}")  # fmt: skip
    print("paths.csv, energy.png, profiles.png")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Find the minimum-energy paths from graphite to diamond over the labelled landscape.

python paths.py

reads labelled.csv and neb.csv and writes paths.csv, energy.png (the landscape with its paths) and
profiles.png (energies along them, beside NEB).
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

from ase_calculators import LandscapeTable, multi_resolution

RESOLUTION = (0.1, 0.005)
COLORS = {"high edge": "#d55e00", "low edge": "#56b4e9", "anywhere": "black", "NEB": "#009e73"}


class Landscape(NamedTuple):
    """Nodes of the graph: the lowest frame of each cell, graphite first, diamond last.

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
    """

    rows: np.ndarray
    points: np.ndarray
    unit: np.ndarray
    energy: np.ndarray


class Way(NamedTuple):
    """A path over the landscape.

    Attributes
    ----------
    nodes : (k,) int64
        From graphite to diamond.
    reach : int
        Cells that it steps over at most.
    """

    nodes: np.ndarray
    reach: int


def landscape(table: LandscapeTable, energy: np.ndarray | None) -> Landscape:
    """Choose the frame that stands for each cell.

    Parameters
    ----------
    table : LandscapeTable
        labelled.csv.
    energy : (n,) float64, optional
        What is to be lowest; None for the distance to the centre of the cell.

    Returns
    -------
    Landscape
        Nodes.
    """
    parents = np.flatnonzero(table.file == "parents.extxyz")
    points = np.column_stack((table.sS, table.Q))
    low, high = points[parents].min(axis=0), points[parents].max(axis=0)
    kept = np.flatnonzero(multi_resolution(table, [RESOLUTION], energy) == 0)
    ends = parents[[0, -1]]
    rows = np.concatenate((ends[:1], np.setdiff1d(kept, ends), ends[1:]))
    per_atom = table.energy[rows] / table.n_atoms[rows]
    return Landscape(
        rows, points[rows], (points[rows] - low) / (high - low), per_atom - per_atom[0]
    )


def minimum_energy_path(land: Landscape, allowed: np.ndarray, farthest: int) -> Way:
    """Find the path whose highest energy is lowest, and of those the shortest climb.

    Nodes are neighbours when their cells are. Where that leaves graphite and diamond apart, cells
    may be stepped over, as few as it takes. The highest energy is that of the minimum spanning tree
    with the higher energy of its two ends on each edge; among the nodes up to it, the path is the
    one with the least integral of the energy above the lowest one over its length in cells.

    Parameters
    ----------
    land : Landscape
        Nodes.
    allowed : (n,) bool
        Where the path may go.
    farthest : int
        Reach at which to give up.

    Returns
    -------
    Way
        The path.

    Raises
    ------
    ValueError
        When there is none.
    """
    nodes = np.flatnonzero(allowed)
    n = len(nodes)
    cells = np.floor(land.points[nodes] / RESOLUTION)
    energy = land.energy[nodes] - land.energy[nodes].min() + 1e-3  # 0 is no edge to scipy
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


def edges_between(land: Landscape) -> list[np.ndarray]:
    """Return the two ways around the window from graphite to diamond.

    Parameters
    ----------
    land : Landscape
        Nodes; those of graphite and diamond lie on the window's edges.

    Returns
    -------
    list of (k, 2) ndarray
        Corner points, in units of the window: with rising sS at first, then the other way.
    """
    corners = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=float)  # graphite's first

    def turn(point: np.ndarray) -> float:
        """Return how far around, 1 per edge, the nearest point of the edges is."""
        x, y = np.clip(point, 0, 1)
        return min((1 - y, x), (1 - x, 2 - y), (y, 3 - x), (x, 3 + y))[1]

    start, end = turn(land.unit[0]), turn(land.unit[-1])
    ahead = [start + k for k in (end - start) % 4 * np.array([0, 1])]
    ways = []
    for first, last, sign in ((ahead[0], ahead[1], 1), (start, start - (start - end) % 4, -1)):
        inner = [k for k in range(-4, 9) if min(first, last) < k < max(first, last)][::sign]
        ways.append(np.array([corner_at(corners, t) for t in (first, *inner, last)]))
    return ways


def corner_at(corners: np.ndarray, t: float) -> np.ndarray:
    """Return the point of the edges that lies `t` edges around from the first corner.

    Parameters
    ----------
    corners : (4, 2) float64
        In order.
    t : float
        1 per edge, of any sign.

    Returns
    -------
    (2,) ndarray
        The point.
    """
    k = int(np.floor(t))
    return corners[k % 4] + (t - k) * (corners[(k + 1) % 4] - corners[k % 4])


def distance_to(line: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return how far points are from a line through several points.

    Parameters
    ----------
    line : (k, 2) float64
        Its points.
    points : (n, 2) float64
        The points.

    Returns
    -------
    (n,) ndarray
        Distances.
    """
    distances = []
    for start, end in zip(line[:-1], line[1:]):
        d = end - start
        along = np.clip((points - start) @ d / max(d @ d, 1e-30), 0, 1)
        distances.append(np.linalg.norm(points - start - along[:, None] * d, axis=1))
    return np.min(distances, axis=0)


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
    drawn = ax.scatter(
        *land.points.T, c=land.energy, s=7, marker="s", linewidths=0, cmap="viridis",
        vmin=0, vmax=np.percentile(land.energy, 98),
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
    figure.colorbar(drawn, label="energy per atom from graphite (eV)", extend="max")
    figure.legend(loc="outside upper center", ncols=4, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_profiles(land: Landscape, ways: dict, neb: LandscapeTable | None, path: Path) -> None:
    """Draw the energies along the paths.

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
    figure, ax = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
    for name, way in ways.items():
        steps = np.linalg.norm(np.diff(land.unit[way.nodes], axis=0), axis=1)
        along = np.concatenate(([0.0], np.cumsum(steps))) / steps.sum()
        energy = land.energy[way.nodes]
        ax.plot(along, energy, color=COLORS[name], lw=1.2, label=f"{name}: {energy.max():.2f} eV")
    if neb is not None:
        energy = neb.energy / neb.n_atoms
        energy = energy - energy[0]
        ax.plot(
            np.linspace(0, 1, len(neb)), energy, "o-", color=COLORS["NEB"], ms=4, lw=1.2,
            label=f"NEB: {energy.max():.2f} eV",
        )  # fmt: skip
    ax.set(
        xlabel="way from graphite to diamond, as a share of its length", xlim=(0, 1),
        ylabel="energy per atom from graphite (eV)",
    )  # fmt: skip
    ax.grid(color="0.92", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Read the command line, find the paths, write and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", default="labelled.csv")
    parser.add_argument("--neb", type=Path, default=Path("neb.csv"), help="left out if not there")
    parser.add_argument(
        "--band", type=float, default=0.1,
        help="how far from the edges their paths may go, in units of the window (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--farthest", type=int, default=10, help="cells to step over (%(default)s)")
    parser.add_argument(
        "--centre", action="store_true",
        help="of each cell take the frame nearest to its centre, not the lowest",
    )  # fmt: skip
    args = parser.parse_args()
    if not 0 < args.band <= 1 or args.farthest < 1:
        parser.error(f"--band {args.band} --farthest {args.farthest}: must be in (0, 1], 1 or more")
    try:
        table = LandscapeTable.read(args.labelled)
        neb = LandscapeTable.read(args.neb) if args.neb.exists() else None
        land = landscape(table, None if args.centre else table.energy / table.n_atoms)
        found = []
        for line in edges_between(land):
            inside = distance_to(line, land.unit) <= args.band
            found.append(minimum_energy_path(land, inside, args.farthest))
        anywhere = minimum_energy_path(land, np.full(len(land.rows), True), args.farthest)
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file here; run breed.py and label.py")
    except ValueError as error:
        parser.error(str(error))
    found.sort(key=lambda way: -land.energy[way.nodes].max())
    ways = dict(zip(("high edge", "low edge", "anywhere"), (*found, anywhere)))

    with open("paths.csv", "w", encoding="utf-8", newline="") as file:
        file.write(f"# of {args.labelled}, potential {table.parameters['potential']}, cells "
                   f"{RESOLUTION}, band {args.band}; energy in eV per atom\n")  # fmt: skip
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "file", "frame", "sS", "Q6", "energy"))
        for name, way in ways.items():
            for node in way.nodes.tolist():
                row = land.rows[node]
                writer.writerow((name, table.file[row], table.frame[row],
                                 *land.points[node].tolist(), land.energy[node].item()))  # fmt: skip
    draw_landscape(land, ways, neb, Path("energy.png"))
    draw_profiles(land, ways, neb, Path("profiles.png"))

    print(f"{len(land.rows)} cells; diamond {land.energy[-1]:+.4f} eV per atom from graphite")
    for name, way in ways.items():
        top = way.nodes[land.energy[way.nodes].argmax()]
        print(f"{name:9s} barrier {land.energy[top]:.3f} eV per atom at sS {land.points[top, 0]:.2f}, "
              f"Q6 {land.points[top, 1]:.3f}; {len(way.nodes)} frames, steps of up to {way.reach} "
              "cells")  # fmt: skip
    if neb is not None:
        energy = neb.energy / neb.n_atoms
        print(f"NEB       barrier {energy.max() - energy[0]:.3f} eV per atom, {len(neb)} images")
    print("paths.csv, energy.png, profiles.png")


if __name__ == "__main__":
    main()

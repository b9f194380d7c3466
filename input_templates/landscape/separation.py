#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check how well the landscape separates phases that something else has labelled.

python separation.py ice.dump --labels labels.csv --energies log.ice

The labels come from a method that knows nothing of sS and Q6; each system's folder has its own.
For each two phases the balanced accuracy of the best straight line between them in (sS, Q6) is
printed, and the rank correlation of each axis with the energy, beside the same for two other
planes of the same frames: the means of the local q4 and q6, and the first two principal components
of the averaged SOAP vector. SOAP needs DScribe (pip install dscribe) and is left out without it.
"""

import argparse
import csv
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from scipy.stats import spearmanr

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape, plot_landscape
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy

# directions of the line that are tried: one each half degree
DIRECTIONS = 360
# phases with fewer frames are not compared
FEWEST = 5


def balanced_accuracy(first: np.ndarray, second: np.ndarray) -> float:
    """Return the balanced accuracy of the best straight line between two sets of points.

    The line is chosen on the points that it is scored on. The best threshold of each direction is
    exact; directions are half a degree apart after scaling both axes to unit spread.

    Parameters
    ----------
    first, second : (n, 2) float64
        Points of each set.

    Returns
    -------
    float
        Mean of the two fractions that lie on their side: 1 if the line separates them, about 0.5 if
        the sets are alike.
    """
    points = np.concatenate([first, second])
    spread = np.ptp(points, axis=0)
    points = (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    weight = np.r_[np.full(len(first), 0.5 / len(first)), np.full(len(second), -0.5 / len(second))]
    best = 0.5
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        along = points @ [np.cos(angle), np.sin(angle)]
        order = np.argsort(along)
        along, gain = along[order], np.cumsum(weight[order])
        # no line passes between points at the same place
        gain = gain[np.r_[np.diff(along) > 0, True]]
        best = max(best, 0.5 + np.abs(gain).max())
    return float(best)


def mean_local(frames: Iterable[Atoms], calc: EntropySymmetry) -> np.ndarray:
    """Return the means over the atoms of the local q4 and q6.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Frames.
    calc : EntropySymmetry
        Calculator whose cutoff and elements are used.

    Returns
    -------
    (n, 2) float64
        Means, a frame each.
    """
    kept = {**calc.todict(), "elements": calc.parameters["elements"]}
    columns = []
    for degree in (4, 6):
        of_degree = EntropySymmetry(**{**kept, "degree": degree})
        name = f"local_q{degree}"
        values = (of_degree.get_property(name, atoms) for atoms in frames)
        columns.append([v[v > 0].mean() if (v > 0).any() else 0.0 for v in values])
    return np.array(columns).T


def soap_components(frames: list[Atoms], cutoff: float) -> np.ndarray:
    """Return the first two principal components of the averaged SOAP vectors.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames.
    cutoff : float
        Cutoff distance, Å.

    Returns
    -------
    (n, 2) float64
        Components, a frame each.
    """
    from dscribe.descriptors import SOAP

    species = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    soap = SOAP(
        species=species, r_cut=cutoff, n_max=6, l_max=6, sigma=0.5, average="outer", periodic=True
    )
    vectors = np.atleast_2d(soap.create(frames))
    vectors = vectors - vectors.mean(axis=0)
    u, s, _ = np.linalg.svd(vectors, full_matrices=False)
    return u[:, :2] * s[:2]


def read_phases(path: Path, n_frames: int) -> np.ndarray:
    """Read the phase of each frame from a table with the columns frame and phase.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    n_frames : int
        Number of frames.

    Returns
    -------
    (n_frames,) str
        Phases.

    Raises
    ------
    ValueError
        If the table has other columns or another number of frames.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"frame", "phase"} <= rows[0].keys():
        raise ValueError(f"labels = {path}: must have the columns frame and phase")
    if [row["frame"] for row in rows] != [str(i) for i in range(n_frames)]:
        raise ValueError(
            f"labels = {path}: must have a row for each of the {n_frames} frames, counted from 0; "
            "label the same frames again"
        )
    return np.array([row["phase"] for row in rows])


def draw_landscape(table: LandscapeTable, phases: np.ndarray, path: Path) -> None:
    """Draw the landscape coloured by energy, and rings in the colour of each frame's phase.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    phases : (n,) str
        Phase of each frame.
    path : pathlib.Path
        The picture.
    """
    figure = new_figure(6.4, 5.0)
    has_energy = np.isfinite(table.energy).any()
    ax = plot_landscape(
        table, color="energy" if has_energy else "frame", ax=figure.add_subplot(), marginals=False
    )
    for color, phase in zip(COLORS, np.unique(phases), strict=False):
        at = phases == phase
        ax.scatter(
            table.sS[at], table.Q[at], s=28, facecolors="none", edgecolors=color, linewidths=0.6,
            label=phase, zorder=1,
        )  # fmt: skip
    ax.legend(frameon=False, markerscale=1.5)
    save_figure(figure, path, dpi=150)


def draw_separation(
    planes: dict[str, tuple[tuple[str, str], np.ndarray]],
    phases: np.ndarray,
    accuracies: dict[str, dict[str, float]],
    path: Path,
) -> None:
    """Draw each plane with its phases and the balanced accuracy of each two of them.

    Parameters
    ----------
    planes : dict of str to ((str, str), (n, 2) float64)
        Labels of the axes and points of each plane.
    phases : (n,) str
        Phase of each frame.
    accuracies : dict of str to dict of str to float
        For each plane, balanced accuracy of each two phases.
    path : pathlib.Path
        The picture.
    """
    figure = new_figure(3.6 * len(planes), 3.8)
    for ax, (name, (labels, points)) in zip(
        np.ravel(figure.subplots(1, len(planes))), planes.items(), strict=True
    ):
        for color, phase in zip(COLORS, np.unique(phases), strict=False):
            ax.scatter(*points[phases == phase].T, s=6, color=color, linewidths=0, label=phase)
        ax.set(xlabel=labels[0], ylabel=labels[1])
        ax.set_title(
            "\n".join([name] + [f"{pair}: {x:.3f}" for pair, x in accuracies[name].items()]),
            fontsize=8,
        )
        tidy(ax)
    figure.axes[0].legend(frameon=False, markerscale=2)
    save_figure(figure, path, dpi=150)


def main() -> None:
    """Read the command line, compare the planes and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", help="dump or any other file that ASE reads")
    parser.add_argument("--labels", type=Path, required=True, help="table: frame, phase")
    parser.add_argument("--energies", help="LAMMPS log with the columns Step and PotEng")
    parser.add_argument("--rmax", type=float, help="Å (default: suggested by the frames)")
    parser.add_argument("--sigma", type=float, help="Å (default: suggested by the frames)")
    parser.add_argument("--q6-cutoff", type=float, help="Å (default: suggested by the frames)")
    parser.add_argument("--degree", type=int, default=6)
    parser.add_argument("--elements", nargs="+", help="elements that count (default: all)")
    parser.add_argument(
        "--number-density", type=float, help="atoms per Å^3, for frames without a volume"
    )
    parser.add_argument("--output", default="", help="start of the names of the pictures")
    args = parser.parse_args()
    given = {
        name: getattr(args, name)
        for name in ("rmax", "sigma", "q6_cutoff", "degree", "elements", "number_density")
        if getattr(args, name) is not None
    }
    try:
        frames = ase.io.read(args.frames, index=":")
        phases = read_phases(args.labels, len(frames))
        calc = EntropySymmetry.suggest(frames[:: max(1, len(frames) // 20)], **given)
        table = map_landscape(args.frames, calc, energies=args.energies)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if len(table) != len(frames):
        parser.error(f"frames = {args.frames}: {len(frames) - len(table)} frames have no sS and Q")

    q = f"Q{args.degree}"
    planes = {
        f"sS, {q}": (("sS ($k_\\mathrm{B}$ per atom)", q), np.column_stack([table.sS, table.Q])),
        "mean local q4, q6": (("mean of the local q4", "mean of the local q6"),
                              mean_local(frames, calc)),
    }  # fmt: skip
    try:
        cutoff = 2 * calc.parameters["q6_cutoff"]
        planes["averaged SOAP"] = ("component 1", "component 2"), soap_components(frames, cutoff)
    except ImportError as error:
        print(f"SOAP is left out, DScribe cannot be loaded ({error}): pip install dscribe")

    names, counts = np.unique(phases, return_counts=True)
    enough = [name for name, count in zip(names, counts, strict=True) if count >= FEWEST]
    pairs = list(combinations(enough, 2))
    accuracies = {
        name: {
            f"{a}, {b}": balanced_accuracy(points[phases == a], points[phases == b])
            for a, b in pairs
        }
        for name, (_, points) in planes.items()
    }
    print("frames: " + ", ".join(f"{n} {c}" for n, c in zip(names, counts, strict=True)))
    print("balanced accuracy of the best line")
    for name, of_pairs in accuracies.items():
        print(f"{name:<20}" + "   ".join(f"{pair}: {x:.3f}" for pair, x in of_pairs.items()))
    known = np.isfinite(table.energy)
    if known.sum() > 2:
        print("rank correlation of the two axes with the energy per atom")
        energy = (table.energy / table.n_atoms)[known]
        for name, (_, points) in planes.items():
            values = [spearmanr(column[known], energy).statistic for column in points.T]
            print(f"{name:<20}" + " ".join(f"{x:+.3f}" for x in values))
    draw_landscape(table, phases, Path(f"{args.output}landscape.png"))
    draw_separation(planes, phases, accuracies, Path(f"{args.output}separation.png"))
    print(f"pictures {args.output}landscape.png, {args.output}separation.png")


if __name__ == "__main__":
    main()

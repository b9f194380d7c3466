#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Breed structures between graphite and diamond, and thin them out evenly.

python breed.py

writes parents.extxyz, library.extxyz and library.csv (its map), standard.extxyz and
supplementary.extxyz (one frame per cell of a grid and of a finer one), and landscape.png. Started
again it resumes where it stopped.
"""

import argparse
import warnings
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    PolymorphGen,
    coverage,
    multi_resolution,
    write_sets,
)
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

# Å
CARBON = {"rmax": 6.0, "sigma": 0.125, "q6_cutoff": 3.6}
# a and c of the hexagonal cell, Å, and half the height of a layer in units of c. Three layers of
# graphite 3.354 Å apart, and diamond of a 3.567 Å along [111].
GRAPHITE = (2.461, 10.062, 0.0)
DIAMOND = (3.567 / 2**0.5, 3.567 * 3**0.5, 1 / 24)
RESOLUTIONS = ((0.1, 0.005), (0.05, 0.0025))


def crystal(a: float, c: float, u: float, repeat: int = 2) -> Atoms:
    """Build three layers of two triangular lattices each, stacked ABC.

    Parameters
    ----------
    a, c : float
        Lattice constants of the hexagonal cell, Å.
    u : float
        The two lattices of a layer lie u c above and below its middle: 0 is rhombohedral graphite,
        1/24 at c = sqrt(6) a cubic diamond.
    repeat : int
        Number of cells along both axes of the layers.

    Returns
    -------
    ase.Atoms
        6 repeat² atoms, in the same order for all a, c and u.
    """
    sites = np.array([[0, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    fractional = [
        [*sites[(layer + side) % 3], layer / 3 + (2 * side - 1) * u]
        for layer in range(3)
        for side in range(2)
    ]
    cell = [[a, 0, 0], [-a / 2, a * 0.75**0.5, 0], [0, 0, c]]
    return Atoms("C6", scaled_positions=fractional, cell=cell, pbc=True) * (repeat, repeat, 1)


def parents() -> list[Atoms]:
    """Return graphite, three intermediates and diamond, 24 atoms each.

    Returns
    -------
    list of ase.Atoms
        Cell and fractional coordinates go linearly from the first to the last, so that an atom of
        one is the same atom of the others.
    """
    steps = np.linspace(0.0, 1.0, 5)[:, None]
    return [crystal(*row) for row in (1 - steps) * GRAPHITE + steps * np.array(DIAMOND)]


def draw(table: LandscapeTable, kept: np.ndarray, gen: PolymorphGen, path: Path) -> None:
    """Draw the landscape before and after the classification.

    Parameters
    ----------
    table : LandscapeTable
        The library.
    kept : (k,) int64
        Rows of the frames that represent a cell.
    gen : PolymorphGen
        Generator of the library.
    path : pathlib.Path
        The picture.
    """
    values = gen.calc.evaluate(parents())
    sS, Q6 = values["sS"], values["Q6"]
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.2), sharey=True, layout="constrained")
    for ax, rows, size, text in (
        (axes[0], np.arange(len(table)), 1.5, f"{len(table)} frames"),
        (axes[1], kept, 3.0, f"{len(kept)} frames, one per cell of 0.1 by 0.005"),
    ):
        ax.scatter(table.sS[rows], table.Q[rows], s=size, color="#2f5d8c", linewidths=0)
        ax.set(title=text, xlabel=r"sS ($k_\mathrm{B}$ per atom)")
    axes[0].plot(*gen.targets.T, "x", color="#e69f00", ms=5, mew=1.3, label="targets")
    for ax in axes:
        ax.plot(sS, Q6, "o-", color="#d55e00", mec="white", ms=7, lw=0.9, label="parents")
        for end, text, offset, va in ((0, "graphite", 8, "bottom"), (-1, "diamond", -5, "top")):
            ax.annotate(
                text, (sS[end], Q6[end]), xytext=(4, offset), textcoords="offset points", va=va,
                fontsize=9, bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
            )  # fmt: skip
    axes[0].set_ylabel("Q6")
    axes[0].legend(loc="upper right", fontsize=8, framealpha=0.9)
    save_figure(figure, path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Read the command line, breed, thin out and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-edge", type=int, default=10, help="targets (%(default)s)")
    parser.add_argument("--generations", type=int, default=30, help="of a target (%(default)s)")
    parser.add_argument("--individuals", type=int, default=50, help="per generation (%(default)s)")
    parser.add_argument("--mode", default="guided", help="or roulette, as in the paper")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    calc = EntropySymmetry(**CARBON)
    with atomic_write("parents.extxyz") as file:
        ase.io.write(file, parents(), format="extxyz")
    try:
        gen = PolymorphGen(
            ase.io.read("parents.extxyz", index=":"), calc, targets="edges",
            targets_per_edge=args.per_edge, expand=0.0, generations=args.generations,
            individuals=args.individuals, mode=args.mode, seed=args.seed, processes=args.processes,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was missed is printed below
            library = gen.run("library.extxyz")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    rounds = multi_resolution(library, RESOLUTIONS)
    n_coarse, n_fine = write_sets(library, rounds)
    draw(library, np.flatnonzero(rounds == 0), gen, Path("landscape.png"))

    print("parent  sS        Q6      volume per atom (Å^3)")
    points = zip(*calc.evaluate(parents()).values(), strict=True)
    for number, (atoms, (sS, Q6)) in enumerate(zip(parents(), points, strict=True)):
        print(f"{number:6d} {sS:9.4f} {Q6:7.4f} {atoms.get_volume() / len(atoms):7.3f}")
    for number, report in enumerate(gen.reports):
        if report.distance > 0.02:
            point, nearest = (f"({x:.2f}, {y:.4f})" for x, y in (report.point, report.nearest))
            print(f"target {number} at {point}: nearest {nearest}, {report.distance:.3f} away")
    reached = sum(report.distance <= 0.02 for report in gen.reports)
    share = coverage(library, gen.window, RESOLUTIONS[0]).share
    print(f"{len(library)} children, {reached} of {len(gen.reports)} targets reached")
    print(
        f"standard.extxyz: {n_coarse} frames, one per cell of 0.1 by 0.005, {share:.3f} of the "
        f"cells of the window; supplementary.extxyz: {n_fine}, cells of 0.05 by 0.0025"
    )
    print("library.csv, landscape.png")


if __name__ == "__main__":
    main()

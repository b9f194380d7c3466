#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Breed structures on and around the landscape of in.paracrystalline with PolymorphGen.

python breed.py

takes the parents that the deck has kept, leaves out those with voids, widens the window of the
others by 10 %, breeds towards points evenly along its edges, and draws the library's spread next to
that of the molecular dynamics (MD). An interrupted run resumes where it stopped.
"""

import argparse
import re
import time
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree
from tqdm import tqdm

from ase_calculators import EntropySymmetry, Genes, LandscapeTable, PolymorphGen, coverage
from ase_calculators.figures import save_figure
from ase_calculators.landscape import table_parameters

# the columns of in.paracrystalline: step, time, temperature, pressure, density, energy, sS, Q6
THERMO_LINE = re.compile(r"\s*\d+(\s+[-+.\de]+){7}\s*")
# cell of the landscape in which the spreads are counted
CELL = (0.05, 0.0025)
# Å: radius of the largest empty sphere of a parent. C60 is hollow, 3.2 to 3.3 Å when compressed
VOID = 2.6
# Å: points in which it is looked for
SPACING = 0.5


def calculator(parents: list[Atoms]) -> EntropySymmetry:
    """Return the calculator with the parameters that LAMMPS wrote with the parents.

    Parameters
    ----------
    parents : list of ase.Atoms
        Frames of fix entsym/select.

    Returns
    -------
    EntropySymmetry
        Calculator with their rmax, sigma, dr and q6_cutoff.

    Raises
    ------
    ValueError
        If they have none.
    """
    missing = {"rmax", "sigma", "dr", "q6_cutoff", "timestep"} - set(parents[0].info)
    if missing:
        raise ValueError(
            f"parents: frame 0 has no {', '.join(sorted(missing))}; give one of fix entsym/select"
        )
    info = parents[0].info
    return EntropySymmetry(info["rmax"], info["sigma"], info["q6_cutoff"], dr=info["dr"])


def dynamics(log: Path, calc: EntropySymmetry, first: int = 0) -> tuple[LandscapeTable, np.ndarray]:
    """Read the landscape of the molecular dynamics from its log, finished or not.

    Parameters
    ----------
    log : pathlib.Path
        Log of in.paracrystalline.
    calc : EntropySymmetry
        Calculator with the parameters of the deck.
    first : int
        First step to read.

    Returns
    -------
    LandscapeTable
        A row per line of thermo output; `frame` is the step.
    (n,) float64
        Time of each row, ps.

    Raises
    ------
    ValueError
        If it has no such line.
    """
    steps = {}
    with open(log, encoding="utf-8") as file:
        for line in file:
            # a restarted run repeats steps; what it went on from are its own, the later ones
            if THERMO_LINE.fullmatch(line):
                row = line.split()
                steps[int(row[0])] = [float(word) for word in row]
    rows = np.array([steps[step] for step in sorted(steps) if step >= first])
    if not len(rows):
        raise ValueError(
            f"log = {log}: has no thermo output of in.paracrystalline from step {first} on; give "
            "the log of the run that wrote the parents"
        )
    nothing = np.full(len(rows), np.nan)
    table = LandscapeTable(
        frame=rows[:, 0], file=np.full(len(rows), str(log)), sS=rows[:, 6], Q=rows[:, 7],
        n_atoms=np.zeros(len(rows)), volume=nothing, energy=rows[:, 5],
        parameters=table_parameters(calc),
    )  # fmt: skip
    return table, rows[:, 1]


def void_radius(atoms: Atoms) -> float:
    """Return the radius of the largest sphere without the centre of an atom.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.

    Returns
    -------
    float
        Largest distance of a point to the nearest atom, Å, over a grid of about 0.5 Å; the true
        value is larger by less than 0.5 Å.
    """
    margin = 5.0 / atoms.cell.cellpar()[:3]
    scaled = atoms.get_scaled_positions()
    # images of the atoms around the cell, direction by direction
    for axis in range(3):
        n = int(np.ceil(margin[axis]))
        scaled = np.concatenate([scaled + k * np.eye(3)[axis] for k in range(-n, n + 1)])
        ok = (scaled[:, axis] > -margin[axis]) & (scaled[:, axis] < 1 + margin[axis])
        scaled = scaled[ok]
    steps = [np.arange(n) / n for n in np.ceil(atoms.cell.cellpar()[:3] / SPACING)]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    distance, _ = cKDTree(scaled @ atoms.cell.array).query(points @ atoms.cell.array)
    return float(distance.max())


def without_voids(parents: list[Atoms], limit: float) -> list[Atoms]:
    """Leave out parents with a large void, such as the inside of a C60 molecule.

    Children keep the network of their parents, with its voids. Where the voids lie on a lattice,
    as those of the molecules do, S(Q) has its peaks, below 2 1/Å.

    Parameters
    ----------
    parents : list of ase.Atoms
        Parents.
    limit : float
        Largest radius of an empty sphere, Å.

    Returns
    -------
    list of ase.Atoms
        Those within the limit.

    Raises
    ------
    ValueError
        If fewer than two are.
    """
    radii = np.array([void_radius(atoms) for atoms in tqdm(parents, unit=" parents", desc="voids")])
    kept = [atoms for atoms, radius in zip(parents, radii, strict=True) if radius <= limit]
    if len(kept) < 2:
        raise ValueError(
            f"--void {limit:g}: {len(kept)} of {len(parents)} parents have no empty sphere beyond "
            f"this, which has {radii.min():.2f} to {radii.max():.2f} Å in them; give a larger one, "
            "or run longer until the molecules have merged"
        )
    return kept


def draw(
    md: LandscapeTable, ps: np.ndarray, library: LandscapeTable, gen: PolymorphGen, path: Path
) -> None:
    """Draw the MD and the library on one landscape, with histograms of both axes.

    Parameters
    ----------
    md : LandscapeTable
        Landscape of the MD.
    ps : (n,) float64
        Time of each row of `md`, ps.
    library : LandscapeTable
        Landscape of the library.
    gen : PolymorphGen
        Generator whose window and targets are drawn.
    path : pathlib.Path
        The picture.
    """
    grey, red = "0.62", "#d55e00"
    figure, ax = plt.subplots(figsize=(6.2, 4.8), layout="constrained")
    ax.scatter(library.sS, library.Q, s=5, color=grey, linewidths=0, label="PolymorphGen")
    shown = ax.scatter(md.sS, md.Q, s=7, c=ps, cmap="viridis", linewidths=0, label="MD")
    ax.scatter(*gen.targets.T, s=22, marker="+", color=red, linewidths=0.9, label="targets")
    sides = {
        "x": (ax.inset_axes((0.0, 1.02, 1.0, 0.15), sharex=ax), "vertical", gen.window[:2]),
        "y": (ax.inset_axes((1.02, 0.0, 0.15, 1.0), sharey=ax), "horizontal", gen.window[2:]),
    }
    for axis, (side, orientation, ends) in sides.items():
        bins = np.linspace(*ends, 40)
        for table, color in ((library, grey), (md, "#2f5d8c")):
            side.hist(
                table.sS if axis == "x" else table.Q, bins, color=color, density=True, alpha=0.7,
                orientation=orientation,
            )  # fmt: skip
        side.axis("off")
    ax.set_xlabel("sS ($k_\\mathrm{B}$ per atom)")
    ax.set_ylabel("Q6")
    ax.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)
    figure.colorbar(shown, ax=ax, label="time of the MD (ps)", aspect=25)
    save_figure(figure, path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Read the command line, breed and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parents", type=Path, default=Path("parents.extxyz"), help="%(default)s")
    parser.add_argument("--log", type=Path, default=Path("log.paracrystalline"), help="%(default)s")
    parser.add_argument("--targets-per-edge", type=int, default=10, help="%(default)s")
    parser.add_argument(
        "--expand", type=float, default=0.10, help="window, each side (%(default)s)"
    )
    parser.add_argument(
        "--void", type=float, default=VOID, help="radius in parents, at most, Å (%(default)s)"
    )
    parser.add_argument("--generations", type=int, default=5, help="paper: 30 (%(default)s)")
    parser.add_argument("--individuals", type=int, default=5, help="paper: up to 50 (%(default)s)")
    parser.add_argument("--mode", choices=("guided", "roulette"), default="guided")
    parser.add_argument("--seed", type=int, default=1, help="%(default)s")
    parser.add_argument("--processes", type=int, default=1, help="cores (%(default)s)")
    parser.add_argument("--output", default="library", help="name of .extxyz, .csv, .png")
    args = parser.parse_args()
    try:
        parents = ase.io.read(args.parents, index=":")
        calc = calculator(parents)
        md, ps = dynamics(args.log, calc, int(parents[0].info["timestep"]))
        n_all, parents = len(parents), without_voids(parents, args.void)
        gen = PolymorphGen(
            parents, calc,
            targets="edges", targets_per_edge=args.targets_per_edge, expand=args.expand,
            generations=args.generations, individuals=args.individuals,
            genes=Genes(displacement=0.1, volume=0.05, shape=0.05, rate=0.3),
            mode=args.mode, seed=args.seed, processes=args.processes,
        )  # fmt: skip
        start = time.process_time()
        library = gen.run(f"{args.output}.extxyz")
        seconds = time.process_time() - start
    except (OSError, ValueError) as error:
        parser.error(str(error))
    draw(md, ps, library, gen, Path(f"{args.output}.png"))

    print(
        f"{len(parents)} of {n_all} parents have no void beyond {args.void:g} Å, window widened by "
        f"{100 * args.expand:g} %: sS "
        f"{gen.window[0]:.3f} to {gen.window[1]:.3f}, Q6 {gen.window[2]:.4f} to {gen.window[3]:.4f}"
    )
    print(f"{'':<14}{'frames':>8}{'cells':>8}{'share':>8}{'evenness':>10}")
    for name, table in (("MD", md), ("PolymorphGen", library)):
        found = coverage(table, gen.window, CELL)
        print(
            f"{name:<14}{len(table):>8}{np.count_nonzero(found.counts):>8}{found.share:>8.3f}"
            f"{found.evenness:>10.3f}"
        )
    reached = sum(report.distance < 0.02 for report in gen.reports)
    evaluations = sum(report.evaluations for report in gen.reports)
    print(
        f"cells of {CELL[0]:g} k_B by {CELL[1]:g} in the window; {reached} of {len(gen.reports)} "
        f"targets reached within 0.02 of it\n"
        f"{evaluations / len(library):.2f} evaluations a frame, {seconds:.0f} s, rejected "
        + ", ".join(f"{count} by {name}" for name, count in gen.rejected.items())
        + f"\nlibrary {args.output}.extxyz, map {args.output}.csv, picture {args.output}.png"
    )


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Take the phases of Ti3O5, the path between two of them, and thermal frames of each.

python ti3o5.py
python ti3o5.py --model /path/to/TensorNet-MatPES-PBE-v2025.1-PES

Relaxes beta, lambda and alpha with a universal potential, prints them next to their measured
cells, and writes ti3o5.xyz: each phase heated from 100 K at constant volume, and the straight
path from beta to lambda with its images shaken. labels.csv says what each frame is. An
interrupted run goes on with the part that it was at. 32 atoms: 3 minutes of a core.
"""

import argparse
import csv
import sys
from itertools import chain, product
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE
from ase.spacegroup import crystal
from scipy.optimize import linear_sum_assignment

from ase_calculators.provenance import atomic_write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import universal

# measured: a, b, c (Å), beta (degrees); README.md has the sources
CELLS = {
    "beta": (9.7382, 3.8005, 9.4333, 91.496),
    "lambda": (9.83776, 3.78674, 9.97069, 91.2567),
    "alpha": (9.8372, 3.7921, 9.9717, 90.0),
}
# K at the end of heating
HOT = {"beta": 450.0, "lambda": 450.0, "alpha": 1200.0}


def measured(phase: str) -> Atoms:
    """Return a phase with its measured cell, 4 formula units, all with axes along the same.

    The positions are approximate, those of pseudobrookite for alpha and lambda: relax them.

    Parameters
    ----------
    phase : str
        beta, lambda or alpha.

    Returns
    -------
    ase.Atoms
        32 atoms.
    """
    a, b, c, angle = CELLS[phase]
    if phase == "beta":
        positions = [
            (0.129, 0, 0.044), (0.778, 0, 0.266), (0.053, 0, 0.366), (0.676, 0, 0.060),
            (0.241, 0, 0.245), (0.589, 0, 0.345), (0.954, 0, 0.158), (0.866, 0, 0.440),
        ]  # fmt: skip
        return crystal(
            ["Ti"] * 3 + ["O"] * 5, positions, spacegroup=12, cellpar=[a, b, c, 90, angle, 90]
        )
    # Cmcm has its short axis along a
    short = crystal(
        ["Ti", "Ti", "O", "O", "O"],
        [(0, 0.19, 0.25), (0, 0.135, 0.56), (0, 0.76, 0.25), (0, 0.048, 0.117), (0, 0.311, 0.07)],
        spacegroup=63,
        cellpar=[b, a, c, 90, 90, 90],
    )
    atoms = Atoms(
        short.get_chemical_symbols(),
        scaled_positions=short.get_scaled_positions()[:, [1, 0, 2]],
        pbc=True,
        cell=[a, b, c, 90, angle, 90],
    )
    if phase == "lambda":
        # off the symmetry of alpha, so that it may keep its own
        atoms.rattle(0.02, seed=1)
    return atoms


def matched(atoms: Atoms, other: Atoms) -> Atoms:
    """Return a structure with the order, the origin and the axes that fit another one best.

    Parameters
    ----------
    atoms, other : ase.Atoms
        The same elements, and cells with the same edges but for a strain.

    Returns
    -------
    ase.Atoms
        `atoms` in the order of `other`; the mean square distance is the smallest of all
        assignments, origins at an atom, and signs of x and z.
    """
    numbers, cell = other.numbers, other.cell.array
    target = other.get_scaled_positions(wrap=False)
    metric = cell @ cell.T
    best = (np.inf, atoms)
    for signs in product((1, -1), (1, -1)):
        start = atoms.get_scaled_positions() * [signs[0], 1, signs[1]]
        heavy = np.flatnonzero(atoms.numbers == numbers[0])
        for shift in target[0] - start[heavy]:
            order = np.empty(len(atoms), dtype=int)
            moved = start + shift
            for number in np.unique(numbers):
                mine, theirs = (np.flatnonzero(z == number) for z in (atoms.numbers, numbers))
                way = moved[mine][:, None] - target[theirs][None]
                way -= np.round(way)
                cost = np.einsum("ijk,kl,ijl->ij", way, metric, way)
                rows, columns = linear_sum_assignment(cost)
                order[theirs[columns]] = mine[rows]
            way = moved[order] - target
            way -= np.round(way)
            way -= way.mean(axis=0)
            cost = np.einsum("ik,kl,il->", way, metric, way)
            if cost < best[0]:
                fitted = Atoms(numbers=numbers, cell=atoms.cell, pbc=True)
                fitted.set_scaled_positions(target + way)
                best = (cost, fitted)
    return best[1]


def relaxed(phase: str, calc: Calculator, steps: int) -> Atoms:
    """Return a relaxed phase, lambda in its measured cell.

    Parameters
    ----------
    phase : str
        beta, lambda or alpha.
    calc : ase.calculators.calculator.Calculator
        The potential.
    steps : int
        Most steps of the relaxation.

    Returns
    -------
    ase.Atoms
        The structure.
    """
    atoms = measured(phase)
    atoms.calc = calc
    moving = atoms if phase == "lambda" else FrechetCellFilter(atoms)
    FIRE(moving, logfile=None).run(fmax=0.02, steps=steps)
    a, b, c, _, angle, _ = atoms.cell.cellpar()
    formulas = len(atoms) / 8
    volume = measured(phase).get_volume() / formulas
    print(
        f"{phase:<7} a {a:.3f} b {b:.3f} c {c:.3f} Å beta {angle:.2f}, "
        f"{atoms.get_volume() / formulas:.2f} Å^3 (measured {volume:.2f}), "
        f"{atoms.get_potential_energy() / formulas:.3f} eV per Ti3O5"
    )
    return atoms


def heated(atoms: Atoms, phase: str, args: argparse.Namespace, path: Path) -> None:
    """Heat a phase at constant volume and write frames.

    Parameters
    ----------
    atoms : ase.Atoms
        The phase, with a calculator.
    phase : str
        Its name.
    args : argparse.Namespace
        With `steps`, `every` and `seed`.
    path : pathlib.Path
        File to append to.
    """
    rng = np.random.default_rng(args.seed)
    MaxwellBoltzmannDistribution(atoms, temperature_K=200, rng=rng)
    dynamics = Langevin(
        atoms, 2 * units.fs, temperature_K=100, friction=0.01 / units.fs, rng=rng, fixcm=False
    )
    for step in range(0, args.steps, args.every):
        dynamics.set_temperature(temperature_K=100 + (HOT[phase] - 100) * step / args.steps)
        dynamics.run(args.every)
        atoms.info["temperature"] = atoms.get_temperature()
        universal.append_frame(path, atoms)


def path_images(first: Atoms, last: Atoms, images: int, copies: int, seed: int) -> list[Atoms]:
    """Return the straight path between two structures, cell and positions, with shaken copies.

    Parameters
    ----------
    first, last : ase.Atoms
        The ends; `last` in the order of `first`.
    images : int
        Points along the path, both ends among them.
    copies : int
        Copies of each point, shaken by 0, 0.02, 0.04 ... Å.
    seed : int
        Of the shaking.

    Returns
    -------
    list of ase.Atoms
        Structures, each with its place from 0 to 1 as `info["way"]`.
    """
    ends = [atoms.get_scaled_positions(wrap=False) for atoms in (first, last)]
    found = []
    for way in np.linspace(0.0, 1.0, images):
        for copy in range(copies):
            atoms = Atoms(numbers=first.numbers, pbc=True)
            atoms.set_cell((1 - way) * first.cell.array + way * last.cell.array)
            atoms.set_scaled_positions((1 - way) * ends[0] + way * ends[1])
            atoms.rattle(0.02 * copy, seed=seed + len(found))
            atoms.info["way"] = float(way)
            found.append(atoms)
    return found


def label(part: str, atoms: Atoms) -> str:
    """Return the phase of a frame: the one that it was made from, and on the path the nearer one.

    Parameters
    ----------
    part : str
        The phase that was heated, or path.
    atoms : ase.Atoms
        The frame; on the path, with its place as `info["way"]`.

    Returns
    -------
    str
        beta, lambda, alpha, or path for the middle half of the path.
    """
    if part != "path":
        return part
    way = float(atoms.info["way"])
    return "beta" if way < 0.25 else "lambda" if way > 0.75 else "path"


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    universal.add_arguments(parser)
    parser.add_argument("--relax", type=int, default=300, help="most steps (%(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of 2 fs, each (%(default)s)")
    parser.add_argument("--every", type=int, default=4, help="steps per frame (%(default)s)")
    parser.add_argument("--images", type=int, default=11, help="of the path (%(default)s)")
    parser.add_argument("--copies", type=int, default=3, help="of each image (%(default)s)")
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--folder", type=Path, default=Path("."), help="for what is written")
    args = parser.parse_args()
    parts = args.folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    calc = universal.load(args, parser)

    phases = {}
    for phase in CELLS:
        kept = parts / f"{phase}.relaxed.xyz"
        if not kept.exists():
            atoms = relaxed(phase, calc, args.relax)
            universal.append_frame(kept, atoms)
        phases[phase] = ase.io.read(kept)
    phases["lambda"] = matched(phases["lambda"], phases["beta"])
    runs = {}
    for phase, atoms in phases.items():
        runs[phase] = parts / f"{phase}.xyz"
        if not runs[phase].exists():
            fresh = runs[phase].with_suffix(".part")
            fresh.unlink(missing_ok=True)
            moving = atoms.copy()
            moving.calc = calc
            heated(moving, phase, args, fresh)
            fresh.rename(runs[phase])
    runs["path"] = parts / "path.xyz"
    if not runs["path"].exists():
        fresh = runs["path"].with_suffix(".part")
        fresh.unlink(missing_ok=True)
        for atoms in path_images(
            phases["beta"], phases["lambda"], args.images, args.copies, args.seed
        ):
            atoms.calc = calc
            universal.append_frame(fresh, atoms)
        fresh.rename(runs["path"])

    frames = {name: ase.io.read(path, index=":") for name, path in runs.items()}
    ase.io.write(args.folder / "ti3o5.xyz", list(chain(*frames.values())), format="extxyz")
    with atomic_write(args.folder / "labels.csv", newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "phase"])
        labels = [label(name, atoms) for name, some in frames.items() for atoms in some]
        table.writerows(enumerate(labels))
    bare = frames["path"][:: args.copies]
    energies = np.array([atoms.get_potential_energy() for atoms in bare]) * 8 / len(bare[0])
    print(
        f"path: {energies.max() - energies[0]:.3f} eV per Ti3O5 above beta at "
        f"{energies.argmax() / (len(bare) - 1):.2f} of the way, "
        f"lambda {energies[-1] - energies[0]:+.3f}"
    )
    print(", ".join(f"{name} {len(some)}" for name, some in frames.items()) + ": ti3o5.xyz")


if __name__ == "__main__":
    main()

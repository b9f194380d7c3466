#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Steer graphite, and what lies between, to diamond along sS and Q6.

python steer.py

From each of the five parents, a restraint moves to diamond in a straight line, quasi-statically:
after each small step of its centre, atoms and cell relax. Then a row of windows, restrained to
points of a string from the parent to diamond, relaxes together with the string. Writes steer.csv
(work and barriers), steer_*.extxyz (the structures on the ways), and steer.png. Started again it
continues with the parent that it had begun. neb.csv and paths.csv are drawn with them if they are
there.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.mixing import SumCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import UnitCellFilter
from ase.optimize import FIRE
from breed import CARBON, parents
from continuous import on_lines, read_rows, write_rows
from label import POTENTIALS, lammps_calculator
from neb import between, relaxed
from paths import COLORS
from tqdm import tqdm

from ase_calculators import EntropySymmetry, LandscapeBias, LandscapeTable, match_structures
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

# Q6 must have a slope: its weights fall between the shells of diamond at 3 and 3.6 Å
VARIABLES = CARBON | {"q6_cutoff": 3.4, "smooth": 0.3}
NAMES = ("graphite", "1/4", "1/2", "3/4", "diamond")
# eV; the energy of 24 atoms rises by some 4 eV per k_B of sS, and by some 200 eV per unit of Q6
CONSTANTS = {"sS": 50.0, "Q6": 20_000.0}
COLUMNS = (
    "start", "way", "work", "barrier", "from_start", "lines", "end_energy", "end_distance", "jump",
    "reached",
)  # fmt: skip


def settle(
    atoms: Atoms, potential: Calculator, bias: LandscapeBias, fmax: float, steps: int
) -> int:
    """Relax atoms and cell of a structure under a bias, in place.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure.
    potential : ase.calculators.calculator.Calculator
        Calculator of the energy.
    bias : LandscapeBias
        Bias.
    fmax : float
        Largest force to stop at, eV/Å.
    steps : int
        Maximum number of steps.

    Returns
    -------
    int
        Number of steps.
    """
    atoms.calc = SumCalculator([potential, bias])
    optimizer = FIRE(UnitCellFilter(atoms), logfile=None, maxstep=0.05, dt=0.05)
    optimizer.run(fmax=fmax, steps=steps)
    return optimizer.nsteps


def labelled(atoms: Atoms, potential: Calculator, values: tuple[float, ...]) -> Atoms:
    """Return a copy with its energy, sS and Q6.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure.
    potential : ase.calculators.calculator.Calculator
        Calculator of the energy, without bias.
    values : (float, float)
        The values of sS and Q6.

    Returns
    -------
    ase.Atoms
        The copy.
    """
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    energy = potential.get_property("energy", copy)
    copy.calc = SinglePointCalculator(copy, energy=energy)
    copy.info.update(zip(("sS", "Q6"), map(float, values), strict=True))
    return copy


def move(
    start: Atoms, end: Atoms, potential: Calculator, calc: EntropySymmetry, args: argparse.Namespace
) -> tuple[list[Atoms], float]:
    """Move a restraint in a straight line from a structure to diamond.

    Parameters
    ----------
    start, end : ase.Atoms
        The structure, and diamond.
    potential : ase.calculators.calculator.Calculator
        Calculator of the energy.
    calc : EntropySymmetry
        Calculator of sS and Q6.
    args : argparse.Namespace
        Numbers of steps, largest force.

    Returns
    -------
    list of ase.Atoms
        Structures after each step of the centre.
    float
        Work, eV.
    """
    here, there = np.column_stack(list(calc.evaluate([start, end]).values())).tolist()
    bias = LandscapeBias(
        calc,
        restrain={v: (k, x) for (v, k), x in zip(CONSTANTS.items(), here, strict=True)},
        move={
            v: (k, x, 0, args.centres) for (v, k), x in zip(CONSTANTS.items(), there, strict=True)
        },
    )
    atoms = start.copy()
    frames = []
    for step in tqdm(range(args.centres + 1), unit=" centres", mininterval=2):
        settle(atoms, potential, bias, args.fmax, args.steps)
        bias.update(step, atoms)
        frames.append(labelled(atoms, potential, bias.values))
    return frames, float(bias.bias.work)


def spaced(points: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Return as many points evenly along a string.

    Parameters
    ----------
    points : (k, 2) float64
        Points of the string.
    extent : (2,) float64
        Unit of each variable.

    Returns
    -------
    (k, 2) float64
        Points; both ends are the same.
    """
    lengths = np.linalg.norm(np.diff(points / extent, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    even = np.linspace(0, along[-1], len(points))
    return np.column_stack([np.interp(even, along, column) for column in points.T])


def windows(
    start: Atoms, end: Atoms, potential: Calculator, calc: EntropySymmetry, args: argparse.Namespace
) -> list[Atoms]:
    """Relax a row of restrained windows and the string through them.

    The windows start from the straight line in cell and coordinates. In each round they relax, the
    string goes to where they are, and its points are spaced evenly again: the string method in
    sS and Q6 at zero temperature.

    Parameters
    ----------
    start, end : ase.Atoms
        The structure, and diamond.
    potential : ase.calculators.calculator.Calculator
        Calculator of the energy.
    calc : EntropySymmetry
        Calculator of sS and Q6.
    args : argparse.Namespace
        Numbers of windows, rounds and steps, largest force.

    Returns
    -------
    list of ase.Atoms
        The windows, with both ends.
    """
    frames = [between(start, end, share) for share in np.linspace(0, 1, args.windows)]
    points = np.column_stack(list(calc.evaluate(frames).values()))
    extent = np.ptp(points, axis=0)
    for number in tqdm(range(args.rounds), unit=" rounds", mininterval=2):
        points = spaced(points, extent)
        for k in range(1, args.windows - 1):
            bias = LandscapeBias(
                calc,
                restrain={v: (c, x) for (v, c), x in zip(CONSTANTS.items(), points[k].tolist())},
            )
            last = number == args.rounds - 1
            settle(frames[k], potential, bias, args.fmax, args.steps * (1 + 2 * last))
            points[k] = bias.values
    return [labelled(f, potential, v) for f, v in zip(frames, points.tolist(), strict=True)]


def energies(frames: list[Atoms]) -> np.ndarray:
    """Return the energies of structures.

    Parameters
    ----------
    frames : list of ase.Atoms
        Structures with energies.

    Returns
    -------
    (k,) float64
        eV per atom.
    """
    return np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])


def file_of(number: int, way: str) -> Path:
    """Return the file of the structures on a way.

    Parameters
    ----------
    number : int
        Number of the parent.
    way : str
        "move" or "windows".

    Returns
    -------
    pathlib.Path
        Extended XYZ file.
    """
    return Path(f"steer_{number}_{way}.extxyz")


def draw(rows: list[dict[str, str]], graphite: float, path: Path) -> None:
    """Draw the ways over the plane and the energies along them.

    Parameters
    ----------
    rows : list of dict
        Rows of the table.
    graphite : float
        Energy of graphite, eV per atom.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 7.4), layout="constrained")
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.85, 4))
    for column, (way, title) in enumerate(
        (("move", "moving restraint"), ("windows", "windows on a string"))
    ):
        plane, profile = axes[:, column]
        for number, color in enumerate(shades):
            frames = ase.io.read(file_of(number, way), index=":")
            energy = energies(frames) - graphite
            points = np.array([[atoms.info["sS"], atoms.info["Q6"]] for atoms in frames])
            barrier = float(rows[2 * number + column]["lines"])
            label = f"from {NAMES[number]}: {barrier:.2f} eV"
            plane.plot(*points.T, ".-", ms=4, lw=1, color=color)
            plane.plot(*points[0], "o", ms=7, color=color, mec="white")
            plane.plot(*points[-1], "s", ms=6, color=color, mec="white")
            along = np.linspace(number / 4, 1, len(energy))  # the parents divide the way
            profile.plot(along, energy, ".-", ms=4, lw=1, color=color, label=label)
        if Path("neb.csv").exists():
            neb = LandscapeTable.read("neb.csv")
            energy = neb.energy / neb.n_atoms
            profile.plot(np.linspace(0, 1, len(neb)), energy - energy[0], ":", color=COLORS["NEB"],
                         lw=1.6, label=f"NEB: {(energy - energy[0]).max():.2f} eV")  # fmt: skip
        plane.set(title=title, xlabel=r"sS ($k_\mathrm{B}$ per atom)", ylabel="Q6, smooth")
        profile.set(xlabel="way from graphite to diamond", ylabel="eV per atom from graphite",
                    xlim=(0, 1))  # fmt: skip
        profile.legend(fontsize=8)
        for ax in (plane, profile):
            ax.grid(color="0.92", lw=0.6)
            ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Read the command line and steer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--centres", type=int, default=100, help="steps of it (%(default)s)")
    parser.add_argument("--windows", type=int, default=11, help="with both ends (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="of the string (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="of a relaxation (%(default)s)")
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å (%(default)s)")
    parser.add_argument("--potential", default="lcbop", choices=POTENTIALS)
    args = parser.parse_args()
    if min(args.centres, args.rounds, args.steps) < 1 or args.windows < 3 or args.fmax <= 0:
        parser.error(
            f"--centres {args.centres} --windows {args.windows} --rounds {args.rounds} --steps "
            f"{args.steps} --fmax {args.fmax}: must be 1, 3, 1, 1 or more, above 0"
        )
    output, settings = Path("steer.csv"), vars(args) | CONSTANTS
    try:
        rows = read_rows(output, settings)
    except ValueError as error:
        parser.error(str(error))
    calc = EntropySymmetry(**VARIABLES)
    with lammps_calculator(args.potential) as lammps:
        starts = parents()
        for end in (0, -1):
            starts[end] = relaxed(starts[end], lammps)
        graphite, diamond = (lammps.get_property("energy", starts[k]) / 24 for k in (0, -1))
        for atoms in starts[:-1]:
            atoms.rattle(0.01, seed=1)  # or its symmetry would never break
        for number, start in enumerate(starts[:-1]):
            if len(rows) >= 2 * (number + 1):
                continue
            new = []
            for way in ("move", "windows"):
                if way == "move":
                    frames, work = move(start, starts[-1], lammps, calc, args)
                    last = relaxed(frames[-1], lammps)
                    work = f"{work / 24:.4f}"
                else:
                    frames, last, work = windows(start, starts[-1], lammps, calc, args), None, ""
                with atomic_write(file_of(number, way)) as file:
                    ase.io.write(file, frames, format="extxyz")
                energy = energies(frames) - graphite
                jumps = [match_structures(a, b).distance for a, b in pairwise(frames)]
                points = 5 if way == "windows" else 1  # the others lie close together
                lines = on_lines(frames, lammps, points) + energy[0]
                row = dict.fromkeys(COLUMNS, "") | {
                    "start": NAMES[number], "way": way, "work": work,
                    "barrier": f"{energy.max():.4f}",
                    "from_start": f"{max(energy.max() - energy[0], 0):.4f}",
                    "lines": f"{lines.max():.4f}",
                    "jump": f"{max(jumps):.3f}",
                }  # fmt: skip
                if last is not None:
                    ended = lammps.get_property("energy", last) / 24 - graphite
                    distance = match_structures(last, starts[-1]).distance
                    row |= {
                        "end_energy": f"{ended:.4f}", "end_distance": f"{distance:.3f}",
                        "reached": "diamond" if distance < 0.1 else "no",
                    }  # fmt: skip
                new.append({key: str(value) for key, value in row.items()})
                print("  ".join(f"{key} {value}" for key, value in new[-1].items() if value),
                      flush=True)  # fmt: skip
            rows += new
            write_rows(output, settings, rows)
    draw(rows, graphite, Path("steer.png"))
    print(f"eV per atom; diamond lies {diamond - graphite:+.4f} from graphite")
    print(f"{'start':9s} {'way':8s} {'work':>7s} {'barrier':>7s} {'lines':>7s} {'jump, Å':>7s} end")
    for row in rows:
        print(f"{row['start']:9s} {row['way']:8s} {row['work']:>7s} {row['barrier']:>7s} "
              f"{row['lines']:>7s} {row['jump']:>7s} {row['reached']} "
              f"{row['end_energy']}")  # fmt: skip
    print("steer.csv, steer.png, steer_*.extxyz")


if __name__ == "__main__":
    main()

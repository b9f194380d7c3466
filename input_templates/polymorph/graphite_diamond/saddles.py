#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Join graphite and diamond by minima and saddles whose forces are converged.

python saddles.py

reads the bands that continuous.py has written. Where a band is highest, a dimer climbs to the
saddle; from the saddle both sides descend to minima. If these are not the ends, lines to the ends
are relaxed for a few steps as bands, and treated in the same way where they rise above the highest
saddle. So a chain of minima has one highest saddle, and everything between is known to be lower.
The chains go to saddles.csv, chain_*.extxyz and saddles.png; an interrupted run resumes with the
band that it was at.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.mep import DimerControl, MinModeAtoms, MinModeTranslate
from ase.optimize import FIRE
from continuous import RATTLED, STRAIGHT, band_file, on_lines, read_rows, write_rows
from label import lammps_calculator
from neb import CellAndAtoms, between, relax_band

from ase_calculators import match_structures
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

COLUMNS = ("start", "barrier", "force", "volume", "in_chain", "saddles", "remark")
# points on a line between two images, with its first end
POINTS = 9
# Å: two minima nearer than this are one
SAME = 0.05
# steps that relax a line between two minima
LINE_STEPS = 40
# Å, by which each side of a saddle leaves it, as a distance of all coordinates
PUSH = 0.1


class Saddle(NamedTuple):
    """Hold a saddle and the minima on its sides.

    Attributes
    ----------
    before, top, after : ase.Atoms
        Minimum, saddle, minimum, in corresponding coordinates.
    energy : float
        Energy of the saddle, eV per atom.
    force : float
        Largest force at the saddle, on atoms and cell, eV/Å.
    """

    before: Atoms
    top: Atoms
    after: Atoms
    energy: float
    force: float


class NotFound(Exception):
    """Say that a chain of saddles was not found."""


def descended(atoms: Atoms, calculator: Calculator, fmax: float) -> Atoms:
    """Return the minimum below a structure, cell and atoms relaxed.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure; not modified.
    calculator : ase.calculators.calculator.Calculator
        Calculator of its energy.
    fmax : float
        Largest force to stop at, eV/Å.

    Returns
    -------
    ase.Atoms
        The minimum, or what 500 steps of FIRE reach.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    FIRE(FrechetCellFilter(atoms), logfile=None, maxstep=0.05).run(fmax=fmax, steps=500)
    atoms.calc = None
    return atoms


def climbed(images: list[Atoms], calculator: Calculator, fmax: float, steps: int) -> Saddle:
    """Return the saddle above the highest point of a chain of images.

    Parameters
    ----------
    images : list of ase.Atoms
        Structures with corresponding atoms and cells.
    calculator : ase.calculators.calculator.Calculator
        Calculator of the energy.
    fmax : float
        Largest force to stop at, eV/Å.
    steps : int
        Maximum number of steps of the dimer.

    Returns
    -------
    Saddle
        Saddle; `before` lies on the side of the first image.

    Raises
    ------
    NotFound
        If the dimer does not converge to a saddle.
    """
    height = on_lines(images, calculator, POINTS)
    at, share = divmod(int(np.argmax(height[:-1])), POINTS)
    maker = CellAndAtoms(calculator, images[0])
    start, end = (maker.points(images[k]).positions for k in (at, at + 1))
    points = maker.points(between(images[at], images[at + 1], share / POINTS))
    control = DimerControl(
        initial_eigenmode_method="displacement", displacement_method="vector", logfile=None,
        eigenmode_logfile=None, dimer_separation=0.002, max_num_rot=3, maximum_translation=0.05,
        trial_trans_step=0.005,
    )  # fmt: skip
    way = (end - start) / np.linalg.norm(end - start)
    dimer = MinModeAtoms(points, control, eigenmodes=[way])
    done = MinModeTranslate(dimer, logfile=None).run(fmax=fmax, steps=steps)
    force = float(np.linalg.norm(points.get_forces(), axis=1).max())
    if not done or dimer.get_curvature() >= 0:
        raise NotFound(f"a dimer did not converge: force {force:.2f} eV/Å after {steps} steps")
    mode = dimer.get_eigenmode()
    mode *= np.sign((mode * way).sum())
    sides = []
    for sign in (-1, 1):
        side = points.copy()
        side.positions += sign * PUSH * mode
        sides.append(descended(maker.crystal(side), calculator, fmax))
    top = maker.crystal(points)
    return Saddle(sides[0], top, sides[1], points.get_potential_energy() / len(top), force)


def joined(
    images: list[Atoms], calculator: Calculator, fmax: float, steps: int, found: list[Saddle],
    most: int,
) -> list[Saddle]:  # fmt: skip
    """Join the ends of a chain of images by saddles.

    Parameters
    ----------
    images : list of ase.Atoms
        Structures with corresponding atoms and cells; the ends are minima.
    calculator : ase.calculators.calculator.Calculator
        Calculator of the energy.
    fmax : float
        Largest force to stop at, eV/Å.
    steps : int
        Maximum number of steps of a dimer.
    found : list of Saddle
        Saddles found so far; new ones are added.
    most : int
        Largest number of saddles.

    Returns
    -------
    list of Saddle
        Saddles on the way, in order; none if no point of the way is above the highest of `found`.

    Raises
    ------
    NotFound
        If a dimer does not converge or there are more than `most` saddles.
    """
    first = calculator.get_property("energy", images[0]) / len(images[0])
    height = float(on_lines(images, calculator, POINTS).max()) + first
    if found and height <= max(saddle.energy for saddle in found):
        return []
    if len(found) == most:
        raise NotFound(f"more than {most} saddles; a way of {height:.3f} eV per atom is left")
    saddle = climbed(images, calculator, fmax, steps)
    found.append(saddle)
    chain: list[list[Saddle]] = [[], [saddle], []]
    for place, one, other in ((0, images[0], saddle.before), (2, saddle.after, images[-1])):
        match = match_structures(one, other)
        assert match is not None  # without a limit there is always one
        if match.distance < SAME:
            continue
        line = [between(one, match.atoms, share) for share in np.linspace(0, 1, len(images))]
        band = relax_band(line, calculator, 10 * fmax, LINE_STEPS)
        chain[place] = joined(band.frames, calculator, fmax, steps, found, most)
    return [saddle for part in chain for saddle in part]


def profile(chain: list[Saddle], ends: list[Atoms]) -> list[Atoms]:
    """Return minima and saddles of a chain, each in the description nearest to the one before it.

    Parameters
    ----------
    chain : list of Saddle
        Saddles in order.
    ends : list of ase.Atoms
        First and last minimum.

    Returns
    -------
    list of ase.Atoms
        Structures, from end to end.
    """
    structures = [(atoms, atoms is saddle.top) for saddle in chain
                  for atoms in (saddle.before, saddle.top, saddle.after)]  # fmt: skip
    frames = ends[:1]
    for atoms, is_top in [*structures, (ends[1], False)]:
        match = match_structures(frames[-1], atoms)
        assert match is not None
        # a minimum that two saddles share comes once
        if is_top or match.distance > SAME:
            frames.append(match.atoms)
    return frames


def from_line(start: str) -> bool:
    """Return whether a band started from the straight line.

    Parameters
    ----------
    start : str
        Its name.

    Returns
    -------
    bool
        False for those from paths over the landscape.
    """
    return start == STRAIGHT or start.startswith("rattled")


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Draw the energies of the chains, and the barriers.

    Parameters
    ----------
    rows : list of dict
        Rows of saddles.csv.
    path : pathlib.Path
        The picture.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.4, 3.8), layout="constrained", width_ratios=(1.2, 1)
    )
    rows = [row for row in rows if row["barrier"]]
    for row in rows:
        frames = ase.io.read(chain_file(row["start"]), index=":")
        volume = [atoms.get_volume() / len(atoms) for atoms in frames]
        energy = np.array([atoms.get_potential_energy() / len(atoms) for atoms in frames])
        left.plot(volume, energy - energy[0], "s--" if from_line(row["start"]) else "o-", ms=3.5,
                  lw=0.9, color="#0072b2" if from_line(row["start"]) else "#d55e00")  # fmt: skip
        left.plot(float(row["volume"]), float(row["barrier"]), "k_", ms=9, mew=1.5)
    left.set(xlabel="volume (Å$^3$ per atom)", ylabel="eV per atom from graphite",
             xlim=(6.75, 5.85), ylim=(0.35, 0.64),
             title="minima and saddles; dashes: the highest")  # fmt: skip
    rows.sort(key=lambda row: float(row["barrier"]))
    for place, row in enumerate(rows):
        line = from_line(row["start"])
        right.plot(float(row["barrier"]), place, "s" if line else "o", ms=6,
                   color="#0072b2" if line else "#d55e00")  # fmt: skip
    right.set_yticks(range(len(rows)), [row["start"] for row in rows], fontsize=8)
    right.set(xlabel="barrier (eV per atom)", title="highest saddle")
    for ax in (left, right):
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=100)
    plt.close(figure)


def chain_file(start: str) -> Path:
    """Return the file of a chain.

    Parameters
    ----------
    start : str
        Name of the band that it started from.

    Returns
    -------
    pathlib.Path
        Extended XYZ file.
    """
    return Path(f"chain_{start.replace(', ', '_').replace(' ', '_')}.extxyz")


def main() -> None:
    """Read the command line, find the chains, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--continuous", default="continuous.csv")
    parser.add_argument(
        "--seeds", type=int, default=4, help="more rattled straight lines (%(default)s)"
    )
    parser.add_argument("--fmax", type=float, default=0.03, help="eV/Å (%(default)s)")
    parser.add_argument(
        "--steps", type=int, default=200, help="maximum number of a dimer (%(default)s)"
    )
    parser.add_argument(
        "--relax", type=int, default=100, help="steps that relax a rattled line (%(default)s)"
    )
    parser.add_argument("--most", type=int, default=12, help="saddles of a chain (%(default)s)")
    args = parser.parse_args()
    if args.fmax <= 0 or args.seeds < 0 or min(args.steps, args.most, args.relax) < 1:
        parser.error(
            f"--fmax {args.fmax} --seeds {args.seeds} --steps {args.steps} --most {args.most} "
            f"--relax {args.relax}: must be above 0, 0 or more, 1 or more, 1 or more, 1 or more"
        )
    output = Path("saddles.csv")
    try:
        with open(args.continuous, encoding="utf-8") as file:
            settings = json.loads(file.readline().removeprefix("# "))
        sources = [row for row in read_rows(Path(args.continuous), settings) if row["neb"]]
        if not sources or sources[0]["path"] != STRAIGHT:
            raise ValueError(f"{args.continuous}: has no band; run continuous.py")
        potential = settings["potential"]
        settings = {"continuous": settings, "fmax": args.fmax, "steps": args.steps,
                    "relax": args.relax, "most": args.most}  # fmt: skip
        rows = read_rows(output, settings)
        files = [band_file(row) for row in sources]
        given = [ase.io.read(path, index=":") for path in files]
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: no such file here; run continuous.py")
    except ValueError as error:
        parser.error(str(error))
    names = [
        row["path"] if row["path"] in (STRAIGHT, RATTLED) else f"{row['path']}, {row['dsS']}"
        for row in sources
    ]
    names += [f"rattled, seed {seed}" for seed in range(1, args.seeds + 1)]
    ends = given[0][:: len(given[0]) - 1]
    graphite = ends[0].get_potential_energy() / len(ends[0])

    with lammps_calculator(potential) as lammps:
        for k, name in enumerate(names[len(rows) :], len(rows)):
            if k < len(given):
                images = given[k]
            else:
                images = [between(*ends, share) for share in np.linspace(0, 1, len(given[0]))]
                for number, image in enumerate(images[1:-1]):
                    image.rattle(0.05, seed=1000 * (k - len(given) + 1) + number)
                images = relax_band(images, lammps, 10 * args.fmax, args.relax).frames
            found: list[Saddle] = []
            row = dict.fromkeys(COLUMNS, "") | {"start": name}
            try:
                chain = joined(images, lammps, args.fmax, args.steps, found, args.most)
                highest = max(chain, key=lambda saddle: saddle.energy)
                row |= {
                    "barrier": f"{highest.energy - graphite:.4f}", "force": f"{highest.force:.3f}",
                    "volume": f"{highest.top.get_volume() / len(highest.top):.3f}",
                    "in_chain": len(chain),
                }  # fmt: skip
                frames = profile(chain, ends)
                for atoms in frames:
                    energy = lammps.get_property("energy", atoms)
                    atoms.calc = SinglePointCalculator(atoms, energy=energy)
                with atomic_write(chain_file(name)) as file:
                    ase.io.write(file, frames, format="extxyz")
            except NotFound as error:
                row["remark"] = str(error)
            row["saddles"] = len(found)
            rows.append({key: str(value) for key, value in row.items()})
            write_rows(output, settings, rows)
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items() if value),
                  flush=True)  # fmt: skip
    draw(rows, Path("saddles.png"))
    print("saddles.csv, saddles.png, chain_*.extxyz")


if __name__ == "__main__":
    main()

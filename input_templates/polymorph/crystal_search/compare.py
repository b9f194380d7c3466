#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tell apart the crystals that search.py has found, name the known ones, compare the methods.

python compare.py si_sw

reads runs/si_sw_*.extxyz, of any methods and seeds. References are prototypes of systems.py,
relaxed with the same potential, so that a name does not depend on the search.
"""

import argparse
import csv
import re
from pathlib import Path
from typing import NamedTuple

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from crystals import ENERGY, Relaxation, alike, dimension, fingerprint, space_group
from search import METHODS
from systems import SYSTEMS, System, prototype
from tqdm import tqdm

from ase_calculators import EntropySymmetry
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

COLORS = dict(zip(METHODS, ("#0072b2", "#d55e00", "#e69f00", "#cc79a7", "0.45", "#009e73"),
                  strict=True))  # fmt: skip
LABELS = {"landscape": "PolymorphGen", "rounds": "the same in rounds",
          "blind": "blind mutation", "blindrounds": "blind in rounds", "random": "random cells",
          "symmetric": "random crystals"}  # fmt: skip
# standard deviation of positions (Å) and strains; a reference that is disturbed so must come back
DISTURBANCE = (0.05, 0.01)
# lowest space group of a crystal that is not called triclinic
MONOCLINIC = 3


class Known(NamedTuple):
    """Hold a known crystal of a potential.

    Attributes
    ----------
    name : str
        Name of the prototype, or of several that relax to one crystal.
    atoms : ase.Atoms
        Relaxed crystal.
    energy : float
        eV per atom.
    mark : np.ndarray
        Fingerprint.
    stable : bool
        Whether it comes back when it is disturbed.
    """

    name: str
    atoms: Atoms
    energy: float
    mark: np.ndarray
    stable: bool


class Found(NamedTuple):
    """Hold a distinct crystal of the searches.

    Attributes
    ----------
    atoms : ase.Atoms
        First structure that relaxed to it.
    energy : float
        eV per atom.
    mark : np.ndarray
        Fingerprint.
    group : (int, str)
        Space group.
    when : dict of (str, int) to list of int
        Relaxations that found it, by method and seed.
    """

    atoms: Atoms
    energy: float
    mark: np.ndarray
    group: tuple[int, str]
    when: dict[tuple[str, int], list[int]]


def references(system: System) -> list[Known]:
    """Relax the known crystals.

    Parameters
    ----------
    system : System
        System.

    Returns
    -------
    list of Known
        Crystals by energy; prototypes that relax to the same one share an entry.
    """
    relax = Relaxation(system.commands, system.element)
    found: list[Known] = []
    for name in tqdm(system.known, unit=" prototypes", desc="references"):
        atoms = relax(prototype(name, system.element, system.bond))
        if atoms is None:
            continue
        energy, mark = atoms.info["energy"] / len(atoms), fingerprint(atoms)
        for k, other in enumerate(found):
            if alike(energy, mark, other.energy, other.mark):
                found[k] = other._replace(name=f"{other.name} = {name}")
                break
        else:
            again = atoms.copy()
            rng = np.random.default_rng(1)
            strain = np.eye(3) + rng.normal(0, DISTURBANCE[1], (3, 3))
            again.set_cell(again.cell.array @ strain, scale_atoms=True)
            again.positions += rng.normal(0, DISTURBANCE[0], (len(again), 3))
            back = relax(again)
            stable = back is not None and alike(
                back.info["energy"] / len(back), fingerprint(back), energy, mark
            )
            found.append(Known(name, atoms, energy, mark, stable))
    return sorted(found, key=lambda known: known.energy)


def distinct(
    system: System, runs: dict[tuple[str, int], list[Atoms]], ground: float
) -> list[Found]:
    """Tell apart the crystals of all runs.

    Parameters
    ----------
    system : System
        System.
    runs : dict of (str, int) to list of ase.Atoms
        Relaxed structures by method and seed, in the order of the search.
    ground : float
        Lowest known energy, eV per atom.

    Returns
    -------
    list of Found
        Crystals by energy, up to the system's window above the ground state. Structures that do
        not hold together in three dimensions are left out.
    """
    lowest = min(
        [ground] + [a.info["energy_per_atom"] for run in runs.values() for a in run
                    if np.isfinite(a.info["energy_per_atom"])]
    )  # fmt: skip
    by_energy: dict[int, list[Found]] = {}
    total = sum(map(len, runs.values()))
    with tqdm(total=total, unit=" structures", desc="distinct") as bar:
        for run, frames in runs.items():
            for atoms in frames:
                bar.update()
                energy = float(atoms.info["energy_per_atom"])
                if not energy <= lowest + system.window or dimension(atoms, system.reach) < 3:
                    continue
                mark = fingerprint(atoms)
                near = int(energy // ENERGY)
                some = [one for k in (near - 1, near, near + 1) for one in by_energy.get(k, ())]
                for one in some:
                    if alike(energy, mark, one.energy, one.mark):
                        break
                else:
                    one = Found(atoms, energy, mark, space_group(atoms), {})
                    by_energy.setdefault(near, []).append(one)
                one.when.setdefault(run, []).append(int(atoms.info["relaxation"]))
    return sorted((one for some in by_energy.values() for one in some), key=lambda one: one.energy)


def curve(found: list[Found], run: tuple[str, int], number: int) -> np.ndarray:
    """Count the distinct crystals of a run after each of its relaxations.

    Parameters
    ----------
    found : list of Found
        Crystals to count.
    run : (str, int)
        Method and seed.
    number : int
        Number of relaxations.

    Returns
    -------
    (number,) int64
        Count after 1, 2, ... relaxations.
    """
    first = [min(one.when[run]) for one in found if run in one.when]
    return np.cumsum(np.bincount(first, minlength=number))[:number]


def draw(
    system: System,
    found: list[Found],
    new: list[int],
    named: dict[int, str],
    runs: dict[tuple[str, int], list[Atoms]],
    ground: float,
    path: Path,
) -> None:
    """Draw the crystals on the landscape, and how many there are after so many relaxations.

    Parameters
    ----------
    system : System
        System.
    found : list of Found
        Crystals.
    new : list of int
        Places of those that are not parents, which the curves count.
    named : dict of int to str
        Names of the known ones, by their place in `found`.
    runs : dict of (str, int) to list of ase.Atoms
        Runs.
    ground : float
        Energy of the ground state, eV per atom.
    path : pathlib.Path
        Picture.
    """
    values = EntropySymmetry(**system.calc).evaluate([one.atoms for one in found])
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.0, 4.4), layout="constrained", width_ratios=(1.25, 1)
    )
    energies = np.array([one.energy for one in found]) - ground
    shown = left.scatter(
        values["sS"], values["Q6"], s=9, c=energies, cmap="viridis_r", linewidths=0
    )
    left.margins(x=0.12, y=0.08)
    taken: list[tuple[float, float]] = []
    width, height = 0.2 * np.ptp(values["sS"]), 0.035 * np.ptp(values["Q6"])
    for k in sorted(named, key=lambda k: values["Q6"][k]):
        x, y = float(values["sS"][k]), float(values["Q6"][k])
        left.plot(x, y, "o", ms=7, mfc="none", mec="#d55e00", mew=1.2)
        # names of crystals that are close stand one above the other
        text = y + 0.4 * height
        while any(abs(x - px) < width and abs(text - py) < height for px, py in taken):
            text += 0.25 * height
        taken.append((x, text))
        left.annotate(
            named[k].split(" = ")[0], (x, y), (x + 0.03 * width / 0.2, text), fontsize=7,
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#d55e00"},
        )  # fmt: skip
    left.set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    figure.colorbar(shown, ax=left, label="energy above the ground state (eV per atom)", aspect=25)
    for method in METHODS:
        seeds = [run for run in runs if run[0] == method]
        if not seeds:
            continue
        number = min(len(runs[run]) for run in seeds)
        curves = np.array([curve([found[k] for k in new], run, number) for run in seeds])
        at = np.arange(1, number + 1)
        color = COLORS[method]
        right.plot(at, curves.mean(axis=0), color=color, label=LABELS[method])
        right.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, lw=0)
    right.set(
        xlabel="relaxations",
        ylabel="distinct crystals, without the parents",
        xlim=(0, None),
        ylim=(0, None),
    )
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Read the command line, analyse, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=SYSTEMS, help="of systems.py")
    parser.add_argument("--atoms", type=int, default=8, help="in the cell (%(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder (%(default)s)")
    parser.add_argument("--output", help="name of .csv, .extxyz and .png (the system's)")
    args = parser.parse_args()
    system, output = SYSTEMS[args.system], args.output or args.system
    runs = {}
    for path in sorted(args.runs.glob(f"{args.system}_{args.atoms}_*.extxyz")):
        name = re.fullmatch(r".*_([a-z]+)_(\d+)", path.stem)
        if name and name[1] in METHODS and path.stat().st_size:
            frames = ase.io.read(path, index=":")
            # a run may be under way: its last frame counts when it is complete
            runs[name[1], int(name[2])] = frames
    if not runs:
        parser.error(
            f"--runs {args.runs}: has no {args.system}_{args.atoms}_*.extxyz; run search.py first"
        )
    known = references(system)
    found = distinct(system, runs, known[0].energy)
    ground = min(known[0].energy, *(one.energy for one in found))
    named: dict[int, str] = {}
    rows = []
    methods = [method for method in METHODS if any(run[0] == method for run in runs)]
    for one in known:
        match = [
            k for k, other in enumerate(found)
            if alike(one.energy, one.mark, other.energy, other.mark)
        ]  # fmt: skip
        named |= {k: one.name for k in match}
        layered = dimension(one.atoms, system.reach) < 3
        firsts = {}
        for method in methods:
            first = [
                min(w for k in match for w in found[k].when.get(run, [10**9])) + 1
                for run in runs if run[0] == method
            ] if match else []  # fmt: skip
            hit = [f"{f}" if f < 10**9 else "-" for f in first]
            firsts[method] = "/".join(hit) if hit else "-"
        rows.append({
            "crystal": one.name, "group": space_group(one.atoms)[1],
            "atoms": len(one.atoms), "meV": 1e3 * (one.energy - ground),
            "A3": one.atoms.get_volume() / len(one.atoms),
            "minimum": "layers" if layered else "yes" if one.stable else "no", **firsts,
        })  # fmt: skip
    print(f"{args.system}: {len(found)} distinct crystals within {system.window:g} eV per atom")
    print("known crystals: relaxations until found, by seed")
    print(f"{'':<34}{'group':>10}{'atoms':>6}{'meV':>8}{'A3':>8}{'minimum':>9}"
          + "".join(f"{LABELS[m]:>20}" for m in methods))  # fmt: skip
    for row in rows:
        print(f"{row['crystal'][:33]:<34}{row['group']:>10}{row['atoms']:>6}{row['meV']:>8.1f}"
              f"{row['A3']:>8.2f}{row['minimum']:>9}"
              + "".join(f"{row[m]:>20}" for m in methods))  # fmt: skip
    parents = set(system.parents)
    new = [k for k in range(len(found)) if not parents & set(named.get(k, "").split(" = "))]
    number = min(map(len, runs.values()))
    print(f"after {number} relaxations, without the parents; mean and range over the seeds")
    print(f"{'':<18}{'seeds':>6}{'failed':>8}{'distinct':>18}{'per 1,000':>10}"
          f"{'not triclinic':>18}{'known':>12}{'lowest meV':>12}{'to parents':>12}")  # fmt: skip
    for method in methods:
        seeds = [run for run in runs if run[0] == method]
        failed = np.mean([
            np.mean([not np.isfinite(a.info["energy_per_atom"]) for a in runs[run][:number]])
            for run in seeds
        ])  # fmt: skip
        crystals = [found[k] for k in new]
        counts = {
            "all": [curve(crystals, run, number)[-1] for run in seeds],
            "high": [
                curve([c for c in crystals if c.group[0] >= MONOCLINIC], run, number)[-1]
                for run in seeds
            ],
            "known": [curve([found[k] for k in new if k in named], run, number)[-1]
                      for run in seeds],
        }  # fmt: skip
        lowest = [
            1e3 * (min([c.energy for c in crystals if min(c.when.get(run, [number])) < number],
                       default=np.nan) - ground)
            for run in seeds
        ]  # fmt: skip
        back = np.mean([
            sum(w < number for k in range(len(found)) if k not in new
                for w in found[k].when.get(run, [])) / number
            for run in seeds
        ])  # fmt: skip

        def spread(values: list[int]) -> str:
            return f"{np.mean(values):.1f} ({min(values)}-{max(values)})"

        print(f"{LABELS[method]:<18}{len(seeds):>6}{failed:>8.3f}{spread(counts['all']):>18}"
              f"{1e3 * np.mean(counts['all']) / number:>10.0f}{spread(counts['high']):>18}"
              f"{spread(counts['known']):>12}{np.mean(lowest):>12.1f}{back:>12.3f}")  # fmt: skip
    with atomic_write(Path(f"{output}.csv"), newline="") as file:
        file.write(f"# {args.system}: distinct crystals, eV per atom above {ground:.6f}, A^3 per "
                   "atom, number of relaxations by method over all seeds\n")  # fmt: skip
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "group", "symbol", "energy", "volume", *methods])
        for k, one in enumerate(found):
            writer.writerow([
                named.get(k, ""), *one.group, f"{one.energy - ground:.6f}",
                f"{one.atoms.get_volume() / len(one.atoms):.4f}",
                *(sum(len(w) for run, w in one.when.items() if run[0] == m) for m in methods),
            ])  # fmt: skip
    with atomic_write(Path(f"{output}.extxyz")) as file:
        ase.io.write(file, [one.atoms for one in found], format="extxyz")
    draw(system, found, new, named, runs, ground, Path(f"{output}.png"))
    print(f"crystals {output}.csv and {output}.extxyz, picture {output}.png")


if __name__ == "__main__":
    main()

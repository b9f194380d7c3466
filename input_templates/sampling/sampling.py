#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare four ways of making configurations of silicon from the same parents.

python freezing.py results/silicon        # the metadynamics; its frames are taken
python dft_cost.py results                # processor time of first-principles labels
python sampling.py results

The ways are molecular dynamics at five temperatures, active learning by a committee of students,
metadynamics, and PolymorphGen. All configurations go on one landscape with energies of two
potentials. An interrupted run resumes with the way that it was in.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from freezing import copy_decks, dump_of, frames_of, lmp
from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY, lammps
from matplotlib.patches import Rectangle

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    PolymorphGen,
    coverage,
    map_landscape,
    multi_resolution,
)
from ase_calculators.committee import Committee
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write, json_lines, write_json

SILICON: dict[str, Any] = {
    "rmax": 5.0,
    "sigma": 0.2,
    "q6_cutoff": 3.2,
    "smooth": 0.5,
}  # as silicon.mod
# cells of the table: coarse enough that a way can visit one twice, and those of the paper
COARSE, FINE = (0.25, 0.025), (0.1, 0.005)
# of the students: linear SNAP of 15 coefficients
CUTOFF, TWOJMAX = 4.5, 4
SNAP = f"snap {CUTOFF} 0.99363 {TWOJMAX} 0.5 1.0 rmin0 0.0 bzeroflag 1"
REPULSION = "zbl 1.6 2.0"
WEIGHT = 100.0  # of energies (eV per atom) against forces (eV/Å)
NAMES = {
    "md": "molecular dynamics", "committee": "active learning", "metadynamics": "metadynamics",
    "roulette": "PolymorphGen, roulette", "guided": "PolymorphGen, guided",
}  # fmt: skip


def label(frames: list[Atoms], potential: LammpsPotential) -> list[Atoms]:
    """Return copies of frames with energy and forces.

    Parameters
    ----------
    frames : list of ase.Atoms
        The frames.
    potential : LammpsPotential
        The potential that plays DFT.

    Returns
    -------
    list of ase.Atoms
        Frames with their ``info`` and a calculator that holds the labels.
    """
    labelled = []
    for frame in frames:
        atoms = Atoms("Si" * len(frame), frame.positions, cell=frame.cell, pbc=True)
        atoms.calc = potential
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.info = {k: v for k, v in frame.info.items() if k in ("temperature", "round")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        labelled.append(atoms)
    return labelled


def tagged(frames: list[Atoms], **info: int) -> list[Atoms]:
    """Add entries to the ``info`` of frames, and return these.

    Parameters
    ----------
    frames : list of ase.Atoms
        The frames.
    **info
        The entries.

    Returns
    -------
    list of ase.Atoms
        The same frames.
    """
    for atoms in frames:
        atoms.info.update(info)
    return frames


# --- the ways -------------------------------------------------------------------------------------


def parents_of(folder: Path, args: argparse.Namespace) -> list[Atoms]:
    """Return the parents, the last frames of short molecular dynamics at each temperature.

    Parameters
    ----------
    folder : pathlib.Path
        Where the data files parent.TEMPERATURE.data are written.
    args : argparse.Namespace
        Options of the command line.

    Returns
    -------
    list of ase.Atoms
        A parent for each temperature.
    """
    parents = []
    for T in args.temperatures:
        name = f"parent.{T}"
        if not (folder / f"{name}.data").exists():
            lmp(folder, "in.md", T=T, steps=args.parent, frames=args.parent, seed=args.seed,
                output=name)  # fmt: skip
        parents.append(dump_of(folder / f"{name}.dump")[-1])
    return parents


def plain(folder: Path, args: argparse.Namespace) -> tuple[list[Atoms], float]:
    """Run molecular dynamics from each parent, at its temperature.

    Parameters
    ----------
    folder : pathlib.Path
        Folder with the decks.
    args : argparse.Namespace
        Options of the command line.

    Returns
    -------
    (list of ase.Atoms, float)
        Frames and processor time, s.
    """
    frames, seconds = [], 0.0
    for T in args.temperatures:
        seconds += lmp(folder, "in.md", data=f"parent.{T}.data", T=T, steps=args.steps,
                       frames=args.every, seed=args.seed + 1, output=f"md.{T}")  # fmt: skip
        frames += tagged(dump_of(folder / f"md.{T}.dump")[1:], temperature=T)
    return frames, seconds


def rows_of(frames: list[Atoms]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the linear equations of frames: energy per atom, and forces.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames, in rectangular boxes.

    Returns
    -------
    list of ((1 + 3 n_atoms, n_coefficients) ndarray, (1 + 3 n_atoms,) ndarray)
        Matrix, and what the repulsion adds.
    """
    found = []
    instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    for atoms in frames:
        n, (lx, ly, lz) = len(atoms), atoms.cell.lengths()
        instance.commands_list([
            "clear", "units metal", "atom_modify map array",
            f"region box block 0 {lx:.17g} 0 {ly:.17g} 0 {lz:.17g}", "create_box 1 box",
            "mass 1 28.0855", f"pair_style hybrid/overlay zero {CUTOFF + 0.01} {REPULSION}",
            "pair_coeff * * zero", "pair_coeff * * zbl 14 14",
        ])  # fmt: skip
        instance.create_atoms(n, None, [1] * n, atoms.get_positions(wrap=True).ravel().tolist())
        instance.commands_list(
            [f"compute rows all {SNAP}", "thermo_style custom c_rows[1][1]", "run 0"]
        )
        rows = instance.numpy.extract_compute("rows", LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY)
        # rows: energy, forces, virial; the last column is the repulsion
        rows = rows[: 1 + 3 * n] / np.r_[n, np.ones(3 * n)][:, None]
        found.append((np.column_stack((np.r_[1.0, np.zeros(3 * n)], rows[:, :-1])), rows[:, -1]))
    instance.close()
    return found


def fit(
    rows: list[tuple[np.ndarray, np.ndarray]], frames: list[Atoms], members: int, seed: int
) -> list[np.ndarray]:
    """Return a committee of students, each fitted to frames drawn with replacement.

    Parameters
    ----------
    rows : list of (ndarray, ndarray)
        Equations of the frames.
    frames : list of ase.Atoms
        Frames with labels.
    members : int
        Number of students.
    seed : int
        Random seed.

    Returns
    -------
    list of (n_coefficients,) ndarray
        Coefficients.
    """
    rng = np.random.default_rng(seed)
    matrices, targets = [], []
    for (matrix, repulsion), atoms in zip(rows, frames, strict=True):
        weight = np.r_[WEIGHT, np.ones(len(repulsion) - 1)]
        labels = np.r_[atoms.get_potential_energy() / len(atoms), atoms.get_forces().ravel()]
        matrices.append(matrix * weight[:, None])
        targets.append((labels - repulsion) * weight)
    students = []
    for _ in range(members):
        drawn = rng.integers(len(frames), size=len(frames))
        students.append(np.linalg.lstsq(
            np.concatenate([matrices[k] for k in drawn]),
            np.concatenate([targets[k] for k in drawn]), rcond=None,
        )[0])  # fmt: skip
    return students


def spread_of(matrix: np.ndarray, repulsion: np.ndarray, students: list[np.ndarray]) -> float:
    """Return how far a committee disagrees on the forces of a frame.

    Parameters
    ----------
    matrix, repulsion : ndarray
        Equations of the frame.
    students : list of ndarray
        Coefficients.

    Returns
    -------
    float
        Largest deviation over the atoms, eV/Å.
    """
    n = len(repulsion) // 3
    values = [matrix @ student + repulsion for student in students]
    results = [{"energy": v[0] * n, "forces": v[1:].reshape(-1, 3)} for v in values]
    return float(Committee.mean(results, n)["forces_spread"])


def committee(
    folder: Path, args: argparse.Namespace, parents: list[Atoms], teacher: LammpsPotential
) -> tuple[list[Atoms], float]:
    """Take the frames of students' runs on which a committee disagrees most, and learn them.

    Parameters
    ----------
    folder : pathlib.Path
        Folder with the decks.
    args : argparse.Namespace
        Options of the command line.
    parents : list of ase.Atoms
        First training set.
    teacher : LammpsPotential
        The potential that plays DFT.

    Returns
    -------
    (list of ase.Atoms, float)
        Frames that were taken, and processor time with the fits, without the labels, s.
    """
    seconds, labels, start = 0.0, 0.0, time.process_time()
    train = label(parents, teacher)
    rows = rows_of(train)
    for number in range(args.rounds):
        students = fit(rows, train, args.members, args.seed + number)
        with atomic_write(folder / "student.snapcoeff") as file:
            file.write(f"1 {len(students[0])}\nSi 0.5 1.0\n")
            file.writelines(f"{value:.17g}\n" for value in students[0])
        with atomic_write(folder / "student.snapparam") as file:
            file.write(
                f"rcutfac {CUTOFF}\ntwojmax {TWOJMAX}\nrfac0 0.99363\nrmin0 0.0\nbzeroflag 1\n"
            )
        for T in args.temperatures:
            # a poor student may blow up: the frames before count
            seconds += lmp(
                folder, "in.md", check=False, model="student.mod", data=f"parent.{T}.data", T=T,
                steps=args.learn, frames=args.look, seed=args.seed + 100 * number + 2,
                output="student",
            )  # fmt: skip
            met = tagged(dump_of(folder / "student.dump")[1:], temperature=T, round=number + 1)
            met = [a for a in met if nearest(a) > 1.8 and a.get_volume() < 30 * len(a)]
            equations = rows_of(met)
            spreads = [spread_of(*one, students) for one in equations]
            taken = np.argsort(spreads)[::-1][: args.take]
            before = time.process_time()
            train += label([met[k] for k in taken], teacher)
            labels += time.process_time() - before
            rows += [equations[k] for k in taken]
            highest = max(spreads, default=np.nan)
            print(f"round {number + 1}, {T} K: {len(met)} frames, spread up to {highest:.2f} eV/Å")
    return train[len(parents) :], seconds + time.process_time() - start - labels


def nearest(atoms: Atoms) -> float:
    """Return the shortest distance of two atoms.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame.

    Returns
    -------
    float
        Distance, Å.
    """
    distances = atoms.get_all_distances(mic=True)
    return float(distances[distances > 0].min(initial=np.inf))


def bred(
    folder: Path, args: argparse.Namespace, parents: list[Atoms], mode: str
) -> tuple[list[Atoms], float]:
    """Breed by PolymorphGen towards a grid of targets.

    Parameters
    ----------
    folder : pathlib.Path
        Where the library is written.
    args : argparse.Namespace
        Options of the command line.
    parents : list of ase.Atoms
        The parents.
    mode : {"roulette", "guided"}
        Mode.

    Returns
    -------
    (list of ase.Atoms, float)
        Children and processor time, s.
    """
    start = time.process_time()
    parents = [Atoms("Si" * len(p), p.positions, cell=p.cell, pbc=True) for p in parents]
    generator = PolymorphGen(
        parents, EntropySymmetry(**SILICON), "grid", args.targets, generations=args.generations,
        individuals=args.individuals, mode=mode, min_distance=1.9, seed=args.seed,
    )  # fmt: skip
    generator.run(folder / f"{mode}.library.extxyz", progress=False)
    seconds = time.process_time() - start
    return list(ase.io.iread(folder / f"{mode}.library.extxyz")), seconds


# --- what they have reached -----------------------------------------------------------------------


def cells_of(table: LandscapeTable, size: tuple[float, float]) -> int:
    """Return the number of occupied cells.

    Parameters
    ----------
    table : LandscapeTable
        Landscape.
    size : (float, float)
        dsS, dQ.

    Returns
    -------
    int
        Number of cells, each of which keeps one frame.
    """
    return int((multi_resolution(table, [size]) == 0).sum())


def summary(
    tables: dict[str, LandscapeTable], second: dict[str, np.ndarray], seconds: dict[str, float],
    dft: dict[int, float], seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row of the table for each way.

    Parameters
    ----------
    tables : dict of str to LandscapeTable
        Landscape of each way, with energies of the first potential.
    second : dict of str to ndarray
        Energies of the second potential, eV per atom.
    seconds : dict of str to float
        Processor time.
    dft : dict of int to float
        Processor time of a first-principles label for each number of k-points.
    seed : int
        Random seed of the samples of equal size.

    Returns
    -------
    list of dict
        Rows.
    """
    rng = np.random.default_rng(seed)
    sS, Q = (np.concatenate([getattr(t, n) for t in tables.values()]) for n in ("sS", "Q6"))
    window = (sS.min(), sS.max(), Q.min(), Q.max())
    fewest = min(len(table) for table in tables.values())
    rows = []
    for name, table in tables.items():
        energy = table.energy / table.n_atoms
        each = seconds[name] / len(table)
        covered = coverage(table, window, COARSE)
        equal = [
            cells_of(table.take(rng.choice(len(table), fewest, replace=False)), COARSE)
            for _ in range(20)
        ]
        row = {
            "way": name, "configurations": len(table), "cells": cells_of(table, COARSE),
            "cells_fine": cells_of(table, FINE), f"cells_of_{fewest}": float(np.mean(equal)),
            "share": covered.share, "evenness": covered.evenness,
            "lowest": float(energy.min()), "median": float(np.median(energy)),
            "highest": float(energy.max()),
            "lowest_second": float(second[name].min()),
            "median_second": float(np.median(second[name])),
            "highest_second": float(second[name].max()), "milliseconds": 1000 * each,
            "milliseconds_per_cell": 1000 * seconds[name] / cells_of(table, COARSE),
        }  # fmt: skip
        rows.append(row | {f"dft_{k}_k": label / each for k, label in dft.items()})
    return rows


def draw(tables: dict[str, LandscapeTable], parents: LandscapeTable, path: Path) -> None:
    """Draw the landscape of each way, coloured by energy, on the cells of all ways in grey.

    Parameters
    ----------
    tables : dict of str to LandscapeTable
        Landscapes.
    parents : LandscapeTable
        That of the parents.
    path : pathlib.Path
        The picture.
    """
    figure = new_figure(12.5, 7.2)
    axes = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    energies = {name: table.energy / table.n_atoms for name, table in tables.items()}
    low = min(e.min() for e in energies.values())
    high = np.quantile(np.concatenate(list(energies.values())), 0.98)
    everything = np.concatenate([np.column_stack((t.sS, t.Q6)) for t in tables.values()])
    cells = np.unique(np.floor(everything / COARSE), axis=0) * COARSE
    for ax, name in zip(axes, tables, strict=False):
        table = tables[name]
        for corner in cells:
            ax.add_patch(Rectangle(corner, *COARSE, fc="0.93", lw=0, zorder=1))
        order = np.argsort(energies[name])[::-1]
        points = ax.scatter(
            table.sS[order], table.Q6[order], c=energies[name][order], s=4, lw=0, cmap="viridis",
            vmin=low, vmax=high, zorder=2,
        )  # fmt: skip
        ax.plot(parents.sS, parents.Q6, "x", color="#d55e00", ms=6, mew=1.6, zorder=3)
        ax.set_title(f"{NAMES[name]} ({len(table)})", fontsize=10)
        tidy(ax)
    axes[-1].remove()
    last = figure.add_subplot(2, 3, 6)
    for number, (name, values) in enumerate(energies.items()):
        last.plot(
            np.sort(values), np.linspace(0, 1, len(values)), lw=1.3, color=COLORS[number],
            label=NAMES[name],
        )  # fmt: skip
    last.set(xlabel="energy (eV per atom)", ylabel="share of configurations below it")
    last.legend(frameon=False, fontsize=8, loc="lower right")
    tidy(last)
    for ax in axes[[0, 3]]:
        ax.set_ylabel("Q6")
    for ax in axes[[2, 3, 4]]:
        ax.set_xlabel("sS ($k_\\mathrm{B}$ per atom)")
        ax.tick_params(labelbottom=True)
    figure.colorbar(points, ax=axes[:5].tolist(), label="energy (eV per atom)", aspect=40, pad=0.01)
    save_figure(figure, path, dpi=72)


def read_arguments() -> argparse.Namespace:
    """Return the options of the command line.

    Returns
    -------
    argparse.Namespace
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--metadynamics", type=Path, help="folder of freezing.py (FOLDER/silicon)")
    add(
        "--temperatures", type=int, nargs="+", default=(300, 1000, 1700, 2500, 3500),
        help="of the parents, K; the crystal melts in the last one (%(default)s)",
    )  # fmt: skip
    add("--parent", type=int, default=3000, help="steps to a parent (%(default)s)")
    add("--steps", type=int, default=20000, help="of each molecular dynamics (%(default)s)")
    add("--every", type=int, default=50, help="steps between two frames (%(default)s)")
    add("--rounds", type=int, default=8, help="of the active learning (%(default)s)")
    add("--learn", type=int, default=1000, help="steps of a student's run (%(default)s)")
    add("--look", type=int, default=20, help="steps between two looks at it (%(default)s)")
    add("--take", type=int, default=10, help="frames taken of each run (%(default)s)")
    add("--members", type=int, default=4, help="of the committee (%(default)s)")
    add("--targets", type=int, default=6, help="along each edge of the grid (%(default)s)")
    add("--generations", type=int, default=10, help="per target (%(default)s)")
    add("--individuals", type=int, default=6, help="children per generation (%(default)s)")
    add("--seed", type=int, default=1, help="(%(default)s)")
    args = parser.parse_args()
    for name, value in vars(args).items():
        if isinstance(value, int) and value < 1:
            parser.error(f"--{name} {value}: must be 1 or more")
    if args.members < 2:
        parser.error(f"--members {args.members}: a committee has 2 or more")
    return args


def main() -> None:
    """Make the configurations of each way, and compare them."""
    args = read_arguments()
    folder = args.folder
    run = args.metadynamics or folder / "silicon"
    if not (run / "hills").exists():
        raise SystemExit(f"{run}: has no run of metadynamics; run python freezing.py {run} before")
    copy_decks(folder)
    teacher = LammpsPotential(folder / "potential.mod", "Si")
    other = LammpsPotential(folder / "tersoff.mod", "Si")
    parents = parents_of(folder, args)

    def metadynamics() -> tuple[list[Atoms], float]:
        frames, runs = frames_of(run), list(json_lines(run / "runs.jsonl"))
        steps = sum(r["steps"] - r["from"] for r in runs)
        return frames, frames[-1].info["step"] * sum(r["seconds"] for r in runs) / steps

    ways = {
        "md": lambda: plain(folder, args),
        "committee": lambda: committee(folder, args, parents, teacher),
        "metadynamics": metadynamics,
        "roulette": lambda: bred(folder, args, parents, "roulette"),
        "guided": lambda: bred(folder, args, parents, "guided"),
    }
    calc = EntropySymmetry(**SILICON)
    tables, second, seconds = {}, {}, {}
    for name, way in ways.items():
        cost, path = folder / f"{name}.json", folder / f"{name}.extxyz"
        if not cost.exists():
            frames, seconds[name] = way()
            with atomic_write(path) as file:
                ase.io.write(file, label(frames, teacher), format="extxyz")
            write_json(cost, {"seconds": seconds[name]})
        seconds[name] = json.loads(cost.read_text())["seconds"]
        frames = list(ase.io.iread(path))
        tables[name] = map_landscape(frames, calc, output=folder / f"{name}.csv", progress=False)
        second[name] = np.array([
            a.get_potential_energy() / len(a) for a in label(frames, other)
        ])  # fmt: skip
        print(f"{NAMES[name]}: {len(frames)} configurations, {seconds[name]:.1f} s")

    labels: dict[int, list[float]] = {}
    for record in json_lines(folder / "dft.jsonl"):
        labels.setdefault(record["k_points"], []).append(record["seconds"])
    dft = {k: float(np.median(values)) for k, values in labels.items()}
    rows = summary(tables, second, seconds, dft, args.seed)
    write_json(folder / "sampling.json", {"rows": rows, "dft_seconds": dft})
    with atomic_write(folder / "sampling.csv") as file:
        file.write(",".join(rows[0]) + "\n")
        for row in rows:
            values = (v if isinstance(v, str | int) else f"{v:.6g}" for v in row.values())
            file.write(",".join(map(str, values)) + "\n")
    draw(tables, map_landscape(parents, calc, progress=False), folder / "sampling.png")
    first, two = (np.concatenate(list(x)) for x in (
        [t.energy / t.n_atoms for t in tables.values()], second.values()
    ))  # fmt: skip
    print(f"energies of the two potentials: correlation {np.corrcoef(first, two)[0, 1]:.3f}")
    print((folder / "sampling.csv").read_text())


if __name__ == "__main__":
    main()

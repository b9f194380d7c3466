#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Train a potential on the frames at which its own molecular dynamics leaves the training set.

python active_learning.py results

Each round fits the student to the training set, runs in.explore with it, and labels the frames at
which the run left the cells of the training set. It ends with a run that stays covered. An
interrupted run resumes with the round that it was in.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from matplotlib.patches import Rectangle

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.distillation import Equations
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import add_json_line, atomic_write, json_lines, write_json

HERE = Path(__file__).resolve().parent
DECKS = ("in.explore", "init.mod", "potential.mod", "student.mod")
ALUMINIUM: dict[str, Any] = {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.5}  # Å
LATTICE, MASS = 4.05, 26.9815  # Å, g/mol
# of the student: 15 coefficients, of which the first is the energy of an atom
STUDENT: dict[str, Any] = {
    "descriptors": {"rcutfac": 4.5, "twojmax": 4},
    "weights": {"energy": 100, "forces": 1, "virial": 30},
    "repulsion": [2.0, 2.5],  # as in student.mod
}


# --- the potential that plays DFT -----------------------------------------------------------------


def label(frames: list[Atoms], teacher: LammpsPotential) -> list[Atoms]:
    """Return copies of frames with energy, forces and stress.

    Parameters
    ----------
    frames : list of ase.Atoms
        The frames.
    teacher : LammpsPotential
        The potential that plays DFT; here is the place of your DFT code.

    Returns
    -------
    list of ase.Atoms
        Frames with their ``info`` and a calculator that holds the labels.
    """
    labelled = []
    for frame in frames:
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True, info=frame.info)
        atoms.calc = teacher
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        labelled.append(atoms)
    return labelled


def first_frames(number: int, cells: int, seed: int) -> list[Atoms]:
    """Return strained and rattled crystals, with which the training set starts.

    Parameters
    ----------
    number : int
        Number of frames.
    cells : int
        Cubic cells along each edge.
    seed : int
        Random seed.

    Returns
    -------
    list of ase.Atoms
        Crystals with volumes from -3 to +6 % and displacements up to 0.1 Å (standard deviation).
    """
    rng = np.random.default_rng(seed)
    frames = []
    for share in np.linspace(0, 1, number):
        atoms = bulk("Al", "fcc", a=LATTICE, cubic=True) * (cells, cells, cells)
        scale = (1 + rng.uniform(-0.03, 0.06)) ** (1 / 3)
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        atoms.positions += rng.normal(0, 0.02 + 0.08 * share, atoms.positions.shape)
        frames.append(atoms)
    return frames


# --- the student: linear in its descriptors -------------------------------------------------------


def equations_of(frames: list[Atoms]) -> Equations:
    """Return the linear equations of frames; another student needs others here.

    Parameters
    ----------
    frames : list of ase.Atoms
        Frames with labels.

    Returns
    -------
    Equations
        The equations.
    """
    equations = Equations("snap", ["Al"], STUDENT)
    equations.extend(frames)
    return equations


def errors_of(equations: Equations, student: np.ndarray) -> np.ndarray:
    """Return the errors of a student for each frame.

    Parameters
    ----------
    equations : Equations
        Equations of the frames.
    student : (n_coefficients,) ndarray
        Its coefficients.

    Returns
    -------
    (n_frames, 2) ndarray
        Absolute error of the energy, eV per atom, and root mean square of the errors of the
        forces, eV/Å.
    """
    found = np.empty((len(equations.targets), 2))
    for k, (matrix, target) in enumerate(zip(equations.matrices, equations.targets, strict=True)):
        error = matrix @ student - target
        found[k] = abs(error[0]), np.sqrt(np.mean(error[7:] ** 2))
    return found


# --- molecular dynamics ---------------------------------------------------------------------------


def explore(folder: Path, args: argparse.Namespace, **variables: Any) -> tuple[int, int, float]:
    """Run in.explore.

    Parameters
    ----------
    folder : pathlib.Path
        Folder with the decks, in which it runs.
    args : argparse.Namespace
        Options of the command line.
    **variables
        Variables of the deck.

    Returns
    -------
    (int, int, float)
        Steps, new frames, and the share of configurations that were not covered.

    Raises
    ------
    SystemExit
        If LAMMPS fails.
    """
    sS, Q = args.cell
    values = {
        "a": LATTICE, "cells": args.cells, "mass": MASS, "rmax": ALUMINIUM["rmax"],
        "sigma": ALUMINIUM["sigma"], "q6cut": ALUMINIUM["q6_cutoff"], "dsS": sS, "dQ": Q,
        "steps": args.steps, "hot": args.hot, "stop": args.stop, **variables,
    }  # fmt: skip
    flags = [str(word) for name, value in values.items() for word in ("-var", name, value)]
    lmp = Path(sys.executable).parent / "lmp"
    done = subprocess.run(
        [str(lmp), "-nocite", "-log", "none", "-in", "in.explore", *flags],
        cwd=folder, capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", **os.environ},
    )  # fmt: skip
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("explored "):
            words = line.replace(",", "").split()
            return int(words[1]), int(words[3]), float(words[7])
    raise SystemExit(f"in.explore failed in {folder}:\n" + "\n".join(
        (done.stdout + done.stderr).splitlines()[-5:]
    ))  # fmt: skip


# --- inside and outside ---------------------------------------------------------------------------


def cells_of(table: LandscapeTable, size: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the cells of the rows of a landscape.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    size : (float, float)
        dsS, dQ.

    Returns
    -------
    list of (float, float)
        Whole numbers, as fix entsym/select counts cells.
    """
    cells = np.floor(np.column_stack((table.sS, table.Q6)) / size)
    return [(sS, Q) for sS, Q in cells.tolist()]


def rms(errors: np.ndarray) -> list[float | None]:
    """Return the root mean square over the frames; None without a frame.

    Parameters
    ----------
    errors : (n_frames, 2) ndarray
        Errors of energy and forces.

    Returns
    -------
    list of float or None
        Energy, meV per atom, and forces, eV/Å.
    """
    if len(errors) == 0:
        return [None, None]
    energy, forces = np.sqrt(np.mean(errors**2, axis=0)).tolist()
    return [1000 * energy, forces]


def summary(
    records: list[dict[str, Any]], rounds: np.ndarray, cells: list[tuple[float, float]],
    where: list[tuple[float, float]], errors: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the table of the rounds.

    The columns that end with ``_last`` have the errors of the last student in the same frames: hot
    frames are harder for any student, and these columns tell how much harder.

    Parameters
    ----------
    records : list of dict
        Lines of rounds.jsonl.
    rounds : (n,) ndarray of int
        Round of each training frame.
    cells, where : list of (float, float)
        Cells of the training frames and of the test frames.
    errors : (n_test, 2) ndarray
        Errors of the last student.

    Returns
    -------
    dict of str to (n_rounds,) ndarray
        Columns; NaN where there is no frame.
    """
    rows = []
    for record in records:
        covered = {cell for cell, k in zip(cells, rounds, strict=True) if k < record["round"]}
        inside = np.array([cell in covered for cell in where])
        row = {name: record[name] for name in
               ("round", "frames", "cells", "steps", "new", "share", "test_inside")}  # fmt: skip
        for name in ("inside", "outside", "met"):
            row[f"{name}_energy"], row[f"{name}_forces"] = record[name]
        for name, mask in (("inside", inside), ("outside", ~inside)):
            row[f"{name}_energy_last"], row[f"{name}_forces_last"] = rms(errors[mask])
        rows.append(row)
    return {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}


def draw(
    columns: dict[str, np.ndarray], train: LandscapeTable, rounds: np.ndarray,
    test: LandscapeTable, size: tuple[float, float], path: Path,
) -> None:  # fmt: skip
    """Draw the landscape, the errors, and the length of the runs.

    Parameters
    ----------
    columns : dict of str to (n_rounds,) ndarray
        Table of the rounds.
    train : LandscapeTable
        Landscape of the training set.
    rounds : (n,) ndarray of int
        Round of each training frame.
    test : LandscapeTable
        Landscape of the test set.
    size : (float, float)
        dsS, dQ.
    path : pathlib.Path
        The picture.
    """
    figure = new_figure(11.5, 3.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    for sS, Q in set(cells_of(train, size)):
        corner = (sS * size[0], Q * size[1])
        left.add_patch(Rectangle(corner, *size, fc="0.94", ec="0.82", lw=0.5, zorder=1))
    left.plot(test.sS, test.Q6, "+", color="0.45", ms=4, mew=0.7, zorder=2, label="test frames")
    points = left.scatter(
        train.sS, train.Q6, c=rounds, s=16, cmap="viridis", lw=0, zorder=3, label="training set"
    )
    figure.colorbar(points, ax=left, label="round", pad=0.02)
    left.set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    left.legend(frameon=False, fontsize=8, loc="lower left")
    for color, name in ((COLORS[0], "inside"), (COLORS[1], "outside")):
        middle.plot(
            columns["round"], columns[f"{name}_forces"], "o-", ms=4, color=color,
            label=f"test frames {name} the coverage",
        )  # fmt: skip
        middle.plot(
            columns["round"], columns[f"{name}_forces_last"], "--", lw=1, color=color,
            label="the same, last student",
        )  # fmt: skip
    middle.plot(
        columns["round"], columns["met_forces"], "x", color=COLORS[7], label="frames that runs met"
    )
    highest = np.nanmax([columns["inside_forces"], columns["outside_forces"]])
    middle.set(xlabel="round", ylabel="error of the forces (eV/Å)", ylim=(0, 1.45 * highest))
    middle.legend(frameon=False, fontsize=7)
    right.plot(columns["round"], columns["steps"], "o-", ms=4, color=COLORS[2])
    right.set(xlabel="round", ylabel="steps until the run stopped", ylim=(0, None))
    for ax in (left, middle, right):
        tidy(ax)
    save_figure(figure, path, dpi=130)


# --- the loop -------------------------------------------------------------------------------------


def read_arguments() -> argparse.Namespace:
    """Return the options of the command line.

    Returns
    -------
    argparse.Namespace
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything is written")
    parser.add_argument("--steps", type=int, default=4000, help="to stay covered (%(default)s)")
    parser.add_argument(
        "--hot", type=float, default=1800.0, help="last temperature, K (%(default)s)"
    )
    parser.add_argument("--stop", type=int, default=8, help="new frames of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=40, help="at most (%(default)s)")
    parser.add_argument(
        "--cell", type=float, nargs=2, default=(0.5, 0.05), help="dsS, dQ (%(default)s)"
    )
    parser.add_argument("--cells", type=int, default=3, help="of the crystal (%(default)s)")
    parser.add_argument("--start", type=int, default=8, help="first frames (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for name in ("steps", "stop", "rounds", "cells", "start", "seed"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: must be 1 or more")
    if min(args.cell) <= 0:
        parser.error(f"--cell {args.cell[0]} {args.cell[1]}: must be positive")
    if 2 * ALUMINIUM["rmax"] > args.cells * LATTICE:
        parser.error(f"--cells {args.cells}: the box must be twice rmax; give 3 or more")
    return args


def main() -> None:
    """Run the loop."""
    args = read_arguments()
    folder, size = args.folder, tuple(args.cell)
    folder.mkdir(parents=True, exist_ok=True)
    for name in DECKS:
        if not (folder / name).exists():
            shutil.copy(HERE / name, folder)
    settings = {k: v for k, v in vars(args).items() if k not in ("folder", "rounds")}
    settings["cell"] = list(size)
    record_of = folder / "settings.json"
    if record_of.exists() and (before := json.loads(record_of.read_text())) != settings:
        raise SystemExit(f"{folder} was made with {before}; use the same options or another folder")
    write_json(record_of, settings)
    calc = EntropySymmetry(**ALUMINIUM)
    teacher = LammpsPotential(folder / "potential.mod", "Al")

    # what the student will be judged by: a run of the teacher
    if not (folder / "train.extxyz").exists():
        train = label(first_frames(args.start, args.cells, args.seed), teacher)
        for atoms in train:
            atoms.info["round"] = 0
        map_landscape(train, calc, progress=False).write(folder / "known.csv")
        explore(folder, args, model="potential.mod", stop=10**6, seed=args.seed)
        write_frames(folder / "test.extxyz", label(read(folder / "frames.dump"), teacher))
        write_frames(folder / "train.extxyz", train)
    test = read(folder / "test.extxyz")
    records = list(json_lines(folder / "rounds.jsonl"))
    train = [a for a in read(folder / "train.extxyz") if a.info["round"] <= len(records)]

    learned, judge = equations_of(train), equations_of(test)
    places = map_landscape(test, calc, progress=False)
    where = cells_of(places, size)
    print("                           errors of the forces (eV/Å) of test and new frames")
    print("round  frames   steps    new    inside   outside       new")
    for record in records:
        print_line(record)
    while True:
        table = map_landscape(train, calc, progress=False)
        if records and records[-1]["new"] == 0:
            break
        if len(records) == args.rounds:
            print(f"not covered after {args.rounds} rounds; give more by --rounds and run again")
            break
        number = len(records) + 1
        table.write(folder / "known.csv")
        student = learned.fit()
        learned.write(student, folder)
        steps, n_new, share = explore(folder, args, seed=args.seed + 1000 * number)
        new = label(read(folder / "new.extxyz") if n_new else [], teacher)
        for atoms in new:
            atoms.info["round"] = number
        covered = set(cells_of(table, size))
        inside = np.array([cell in covered for cell in where])
        errors, met = errors_of(judge, student), equations_of(new)
        record = {
            "round": number, "frames": len(train), "cells": len(covered), "steps": steps,
            "new": n_new, "share": share, "test_inside": int(inside.sum()),
            "inside": rms(errors[inside]), "outside": rms(errors[~inside]),
            "met": rms(errors_of(met, student)),
        }  # fmt: skip
        train += new
        write_frames(folder / "train.extxyz", train)
        add_json_line(folder / "rounds.jsonl", record)
        records.append(record)
        learned.extend(new)
        print_line(record)

    rounds = np.array([a.info["round"] for a in train])
    student = np.loadtxt(folder / "student.snapcoeff", skiprows=2)
    columns = summary(records, rounds, cells_of(table, size), where, errors_of(judge, student))
    with atomic_write(folder / "rounds.csv") as file:
        file.write(",".join(columns) + "\n")
        np.savetxt(file, np.column_stack(list(columns.values())), fmt="%.6g", delimiter=",")
    draw(columns, table, rounds, places, size, folder / "active_learning.png")
    print(f"training set, landscape, student, table and picture: {folder}")


def print_line(record: dict[str, Any]) -> None:
    """Print a round.

    Parameters
    ----------
    record : dict
        Line of rounds.jsonl.
    """
    counts = (f"{record[name]:8d}" for name in ("frames", "steps", "new"))
    errors = (record[name][1] for name in ("inside", "outside", "met"))
    texts = (f"{'-' if error is None else format(error, '.3f'):>10s}" for error in errors)
    print(f"{record['round']:5d}" + "".join((*counts, *texts)), flush=True)


def read(path: Path) -> list[Atoms]:
    """Return all frames of a file.

    Parameters
    ----------
    path : pathlib.Path
        Extended XYZ or a LAMMPS dump.

    Returns
    -------
    list of ase.Atoms
        The frames.
    """
    frames = ase.io.read(path, ":", format="lammps-dump-text" if path.suffix == ".dump" else None)
    return [frames] if isinstance(frames, Atoms) else frames


def write_frames(path: Path, frames: list[Atoms]) -> None:
    """Write frames with their labels; the file is replaced when it is complete.

    Parameters
    ----------
    path : pathlib.Path
        Extended XYZ.
    frames : list of ase.Atoms
        The frames.
    """
    with atomic_write(path) as file:
        ase.io.write(file, frames, format="extxyz")


if __name__ == "__main__":
    main()

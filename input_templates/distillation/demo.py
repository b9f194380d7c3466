#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Distil a small teacher into a small student on aluminium, from the library to LAMMPS.

python demo.py FOLDER

A modified embedded-atom potential, whose energies depend on angles, stands in for density
functional theory. Finished steps are not repeated: an interrupted demo resumes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from library import ALUMINIUM
from student import write_data
from teacher import split_validation

from ase_calculators import EntropySymmetry
from ase_calculators.distillation import (
    compare_models,
    lammps_lines,
    open_model,
    relabel,
    speed_ladder,
    train_student,
    train_teacher,
)
from ase_calculators.distillation.training import read_profile, require
from ase_calculators.provenance import atomic_write

HERE = Path(__file__).resolve().parent
# the potential has angular terms of that degree and ends at second neighbours
TEACHER = {"r_max": 5.0, "max_ell": 3}
# cells of the landscape (dsS, dQ6): one standard frame each, one supplementary frame each, held out
STANDARD, SUPPLEMENTARY, TEST = (2.0, 0.1), (0.05, 0.0025), (2.0, 0.1)
# Jelinek et al., Phys. Rev. B 85, 245102 (2012); its files ship with LAMMPS
POTENTIAL = (
    "pair_style meam; "
    "pair_coeff * * library.meam AlS SiS MgS CuS FeS AlSiMgCuFe.meam AlS"  # codespell:ignore als
)


def step(name: str, folder: Path, command: list[str], result: str) -> None:
    """Run a program of the chain, unless its result exists.

    Parameters
    ----------
    name : str
        Name of the step.
    folder : pathlib.Path
        Working folder.
    command : list of str
        Command of the program.
    result : str
        File that it writes.

    Raises
    ------
    SystemExit
        If the program fails.
    """
    if (folder / result).exists():
        print(f"{name}: {folder / result} is there")
        return
    print(f"{name}: {' '.join(command[1:])}", flush=True)
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise SystemExit(f"{name}: failed, see above")


def main() -> None:
    """Read the command line and run the chain."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything is written")
    parser.add_argument("--per-edge", type=int, default=25, help="of library.py (%(default)s)")
    parser.add_argument("--heat", type=int, default=10000, help="of library.py (%(default)s)")
    parser.add_argument("--standard", type=float, nargs=2, default=STANDARD, help="(2.0 0.1)")
    parser.add_argument("--epochs", type=int, default=120, help="of the teacher (%(default)s)")
    parser.add_argument("--steps", type=int, help="of the students (the small profile's)")
    parser.add_argument("--md-steps", type=int, default=2000, help="2 fs each (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="(%(default)s)")
    args = parser.parse_args()
    try:
        require("mace", "mace-torch", "the teacher")
        require("deepmd", "deepmd-kit", "the student")
    except ImportError as error:
        parser.error(str(error))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # models run in parallel, not their loops
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    asked = {key: value for key, value in vars(args).items() if key not in ("folder", "processes")}
    asked = json.loads(json.dumps(asked))
    record = folder / "demo.json"
    if record.exists() and json.loads(record.read_text()) != asked:
        parser.error(f"folder = {folder}: holds a demo with other options; use another folder")
    with atomic_write(record) as file:
        file.write(json.dumps(asked, indent=1) + "\n")
    began = time.monotonic()
    try:
        run(folder, args)
    except (ArithmeticError, RuntimeError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    spent = sum(os.times()[:4]) / 60
    print(
        f"{(time.monotonic() - began) / 60:.1f} min, {spent:.1f} min of processor time; "
        f"everything is in {args.folder}"
    )


def run(folder: Path, args: argparse.Namespace) -> None:
    """Run the steps one after the other.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of all files.
    args : argparse.Namespace
        The command line.
    """
    library, sets = folder / "library", folder / "sets"
    words = ["--per-edge", args.per_edge, "--heat", args.heat, "--seed", args.seed]
    words += ["--potential", POTENTIAL]
    command = [sys.executable, HERE / "library.py", "--output", library, *words]
    step("library", folder, list(map(str, command)), "library/landscape.png")
    words = ["--standard", *args.standard, "--supplementary", *SUPPLEMENTARY, "--test-cell", *TEST]
    command = [sys.executable, HERE / "sets.py", library / "library.extxyz", "--output", sets]
    step("sets", folder, list(map(str, [*command, *words, "--seed", args.seed])), "sets/sets.json")

    profile = read_profile("small", "mace")
    # the learning rate falls to a fortieth, as in the 150 epochs of the profile
    profile |= TEACHER | {
        "max_num_epochs": args.epochs, "lr_scheduler_gamma": 0.025 ** (1 / args.epochs)
    }  # fmt: skip
    standard = sets / "standard.extxyz"
    train_teacher(
        *split_validation(standard), folder / "teacher", profile, (args.seed,)
    )  # fmt: skip
    # a second teacher, of another kind: a linear student of the same frames
    train_student(
        *split_validation(standard), folder / "teacher-POD", HERE / "pod_al_faults.yaml", kind="pod"
    )
    teachers = [folder / "teacher", folder / "teacher-POD"]
    labelled = relabel(
        sets / "supplementary.extxyz", partial(open_model, teachers), folder / "relabelled.extxyz",
        processes=args.processes,
    )  # fmt: skip
    print(f"both teachers labelled {labelled.n} frames")

    written = write_data(standard, [labelled.path], folder / "deepmd")
    kinds = {"DNN": "se_e2_a", "POD": "pod"}
    with ThreadPoolExecutor(args.processes) as pool:
        waiting = {
            name + suffix: pool.submit(
                train_student, {written[part]: 1.0 for part in parts}, written["validation"],
                folder / (name + suffix), seed=args.seed, kind=kind,
                steps=args.steps if name == "DNN" else None,
            )
            for name, kind in kinds.items()
            for suffix, parts in (("", ["standard"]), ("-KD", ["standard", "relabelled"]))
        }  # fmt: skip
        students = {name: future.result() for name, future in waiting.items()}

    for name in ("in.student", "student.mod"):
        shutil.copy(HERE / name, folder)
    lmp = Path(sys.executable).with_name("lmp")
    words = ["-var", "student", "DNN-KD/student.pb", "-var", "steps", str(args.md_steps)]
    command = [str(lmp), "-nocite", "-screen", "none", "-in", "in.student", *words]
    step("LAMMPS", folder, command, "result.txt")
    print((folder / "result.txt").read_text().rstrip())

    models = {
        name: student.compressed if name.startswith("DNN") else student.folder
        for name, student in students.items()
    }
    models |= {"MPNN": folder / "teacher", "POD, five bodies": folder / "teacher-POD"}
    comparison = compare_models(
        sets / "test.extxyz", models, folder / "comparison", EntropySymmetry(**ALUMINIUM)
    )
    print(comparison.markdown())
    rmse = {name: errors.rmse() for name, errors in comparison.errors.items()}
    for name in kinds:
        gains = ", ".join(
            f"{quantity} {100 * (1 - rmse[f'{name}-KD'][quantity] / alone):.0f} %"
            for quantity, alone in rmse[name].items()
        )
        print(f"what the teachers' labels take off the RMSE of the {name}: {gains}")
    commands = {
        "DNN-KD": f'pair_style deepmd "{models["DNN-KD"]}"; pair_coeff * * Al',
        "POD-KD": lammps_lines(folder / "POD-KD"),
    }
    cost = speed_ladder(commands, (3,), folder / "comparison", clock="cpu", progress=False).best()
    worth = "; ".join(
        f"{name} {rmse[name]['forces']:.0f} meV/Å, {cost[name]:.0f} µs" for name in cost
    )
    print(f"which student to take, forces and cost of an atom and step in LAMMPS: {worth}")


if __name__ == "__main__":
    main()

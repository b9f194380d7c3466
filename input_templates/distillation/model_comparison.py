#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of models on the same training and test frames: se_e2_a, DPA, NequIP, MACE, and yours.

python library.py && python model_comparison.py
python model_comparison.py --frames 800 --profile-mace paper --profile-student paper
python model_comparison.py --model "mine=mymodels:potential"

Models whose package is missing are named and left out: all are trained in the environment of
deepmd_gnn/README.md, all but DPA-3 and NequIP in that of this folder. An interrupted run resumes,
also in the other environment.
"""

import argparse
import json
import resource
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from compare import named

from ase_calculators import EntropySymmetry
from ase_calculators.distillation import compare_models, speed_ladder
from ase_calculators.distillation.scaling import read_library, trainer, uniform
from ase_calculators.distillation.sets import split_sets
from ase_calculators.distillation.training import read_profile
from ase_calculators.provenance import atomic_write

matplotlib.use("Agg")

HERE = Path(__file__).resolve().parent
TEST_CELL = (0.4, 0.02)  # cells of the landscape that are held out as a whole
FINE = (0.01, 0.0005)  # nearly every frame of the library has such a cell of its own
# DPA-1: neighbours attend to each other, twice
ATTENTION = {
    "type": "se_atten", "attn": 32, "attn_layer": 2, "attn_dotr": True, "attn_mask": False,
}  # fmt: skip
NAMES = ("se_e2_a", "DPA-1", "DPA-3", "NequIP", "MACE")


def dpa1(profile: dict[str, Any]) -> dict[str, Any]:
    """Turn a se_e2_a profile into one of DPA-1 with networks of the same size.

    Parameters
    ----------
    profile : dict
        Profile, as for `train_student`.

    Returns
    -------
    dict
        Profile with the other descriptor.
    """
    found = json.loads(json.dumps(profile))
    found["model"]["descriptor"] |= ATTENTION
    return found


def pytorch(name: str) -> dict[str, Any]:
    """Read the input of a model that DeePMD-kit trains by PyTorch.

    Parameters
    ----------
    name : str
        File name in the folder deepmd_gnn.

    Returns
    -------
    dict
        Profile, as for `train_student`; the learning rate falls over the requested steps.
    """
    found = json.loads((HERE / "deepmd_gnn" / name).read_text())
    del found["learning_rate"]["decay_steps"]
    return found


def measured(train: Callable[[], Any], record: Path) -> dict[str, float]:
    """Train, and record the CPU time.

    Parameters
    ----------
    train : callable
        Function that trains in separate processes.
    record : pathlib.Path
        File of the time, summed over the parts of an interrupted training.

    Returns
    -------
    dict of str to float
        CPU seconds.
    """
    before = json.loads(record.read_text())["cpu_seconds"] if record.is_file() else 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        train()
    finally:
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"cpu_seconds": round(before + spent, 1)}) + "\n")
    return json.loads(record.read_text())


def arguments() -> tuple[argparse.Namespace, dict[str, str]]:
    """Read the command line.

    Returns
    -------
    (argparse.Namespace, dict of str to str)
        The options, and the models that were trained elsewhere.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--library", type=Path, default=Path("library/library.extxyz"),
        help="labelled frames (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--landscape", type=Path, help="their table (landscape.csv next to the library)"
    )
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=200, help="to train on (%(default)s)")
    parser.add_argument("--test", type=int, default=200, help="test frames (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--profile-mace", default="small", help="of MACE (%(default)s)")
    parser.add_argument(
        "--profile-student", default="small", help="of se_e2_a and DPA-1 (%(default)s)"
    )
    parser.add_argument("--steps", type=int, default=4000, help="of all but MACE (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="train these (all)")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME=MODEL", help="trained elsewhere"
    )
    parser.add_argument("--output", type=Path, default=Path("models"), help="(%(default)s)")
    args = parser.parse_args()
    if not args.library.is_file():
        parser.error(f"--library {args.library}: there is no such file; run library.py")
    try:
        return args, dict(named("--model", args.model))
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    """Train, compare, time and print the results."""
    args, others = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    left_out = []
    models: dict[str, Any] = {}
    cpu: dict[str, float] = {}
    try:
        table, frames = read_library(args.library, args.landscape)
        sets = split_sets(table, supplementary=FINE, test=0.15, test_cell=TEST_CELL)
        if not 1 <= args.test <= len(sets.test):
            raise ValueError(
                f"--test {args.test}: must be 1 to {len(sets.test)}, the frames held out"
            )
        pool = np.array([*sets.standard, *sets.supplementary])
        test = [frames[row] for row in uniform(table, args.test, rows=sets.test)]
        training = [frames[row] for row in uniform(table, args.frames, args.seed, pool)]
        student = read_profile(args.profile_student, "student")
        for name, package, kind, profile in (
            ("se_e2_a", "deepmd", "student", student),
            ("DPA-1", "deepmd", "student", dpa1(student)),
            ("DPA-3", "deepmd_gnn", "student", pytorch("input_dpa3.json")),
            ("NequIP", "deepmd_gnn", "student", pytorch("input_nequip.json")),
            ("MACE", "mace", "teacher", args.profile_mace),
        ):
            if args.only and name not in args.only:
                continue
            if find_spec(package) is None:
                how = "; see deepmd_gnn/README.md" if package == "deepmd_gnn" else ""
                left_out.append(f"{name}: {package} is not installed{how}")
                continue
            folder = args.output / name
            train = trainer(kind, profile, args.steps)
            cpu[name] = measured(
                lambda t=train, f=folder: t(training, args.seed, f / "model"), folder / "cost.json"
            )["cpu_seconds"]
            models[name] = str(
                folder / "model" if kind == "teacher"
                else next((folder / "model/student").glob("frozen.*"))
            )  # fmt: skip
        models |= others
        if not models:
            raise ValueError(f"there is no model: {'; '.join(left_out)}")
        calc = EntropySymmetry(**{
            key: value for key, value in table.parameters.items() if key != "version"
        })  # fmt: skip
        compared = compare_models(test, models, args.output, calc, element=args.element)
        speed = speed_ladder(models, (3,), args.output, args.element, clock="cpu").best()
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    lines = [
        compared.markdown(), f"Trained on {len(training)} frames.", "",
        "| model | training (CPU s) | µs of CPU per atom and step, ASE |", "|---" * 3 + "|",
    ]  # fmt: skip
    for name in models:
        took = f"{cpu[name]:.0f}" if name in cpu else ""
        lines.append(f"| {name} | {took} | {speed.get(name, np.nan):.3g} |")
    lines += ["", *(f"- left out: {reason}" for reason in left_out)]
    text = "\n".join(lines)
    with atomic_write(args.output / "models.md") as file:
        file.write(text + "\n")
    print("\n" + text)


if __name__ == "__main__":
    main()

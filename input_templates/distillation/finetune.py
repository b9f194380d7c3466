#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune a universal model, with and without labels of faults, and test it.

python finetune.py --start TensorNet-MatPES-PBE-v2025.1-PES --faults faults.extxyz
python finetune.py --start ../models/TensorNet --trust --seeds 1 --epochs 20
python finetune.py --start my_mace.model --trust --properties stacking_faults

Trains on sets/standard.extxyz of sets.py, tests on sets/test.extxyz. Every fifth frame of the
faults is held out and tested on its own. Default of --start: the environment variable
ENTSYM_UNIVERSAL_MODEL. Three trainings of three models: standard frames; the same with the layers
of --freeze as they are; standard frames and faults. Each takes 5 s of one core per epoch and 100
small cells. An interrupted run resumes. Writes finetune.md and finetune.json.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from ase import Atoms
from teacher import split_validation

from ase_calculators.distillation import open_teacher, train_teacher
from ase_calculators.distillation.prediction import QUANTITIES, Errors, errors, predict
from ase_calculators.distillation.training import read_profile
from ase_calculators.frame_source import read_frames
from ase_calculators.provenance import atomic_write, write_json
from ase_calculators.validation import validate

HELD, FIRST = 5, 3  # one of so many faults is held out, from this one on
EMBEDDING = {"matgl": ["tensor_embedding"], "mace": 1}


def unnamed(atoms: Atoms) -> Atoms:
    """Return a labelled frame that does not name the settings of its label.

    Frames of other settings may not be mixed by mistake. Here they are on purpose: the mesh of the
    faults differs, and their zero of energy is that of the others.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame; not modified.

    Returns
    -------
    ase.Atoms
        A copy with the same labels.
    """
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info.pop("settings", None)
    return copy


def split_faults(path: str | None) -> tuple[list[Atoms], list[Atoms]]:
    """Split the labels of faults into frames to learn from and frames to test on.

    Parameters
    ----------
    path : str or None
        The labelled frames. Settings that they name are not compared with those of other frames.

    Returns
    -------
    (list of ase.Atoms, list of ase.Atoms)
        The frames; none if there is no file.
    """
    frames = [unnamed(atoms) for atoms in read_frames(path)] if path else []
    return [a for k, a in enumerate(frames) if k % HELD != FIRST], frames[FIRST::HELD]


def tested(calculator: Any, frames: list[Atoms], name: str, align: bool) -> dict[str, float]:
    """Return the RMSE of a model on frames.

    Parameters
    ----------
    calculator : ase calculator
        The model.
    frames : list of ase.Atoms
        The labelled frames.
    name : str
        Name of the model.
    align : bool
        Whether to take off the mean error of the energy, for a model with another zero.

    Returns
    -------
    dict of str to float
        RMSE of energy, forces and virial, in the units of `QUANTITIES`.
    """
    found: Errors = errors(predict(calculator, frames, name), frames)
    if align:
        found = found._replace(energy=found.energy - found.energy.mean())
    return {quantity: kinds["RMSE"] for quantity, kinds in found.summary().items()}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of all models.

    Parameters
    ----------
    rows : dict of str to dict
        For each model the errors on "test" and "faults", and "ISF" in mJ/m^2.

    Returns
    -------
    str
        The text.
    """
    units = " | ".join(f"{quantity}, {unit}" for quantity, unit in QUANTITIES.items())
    lines = [f"| model | {units} | faults: {units} | ISF, mJ/m^2 |", "|---" * 8 + "|"]
    for name, row in rows.items():
        cells = [
            f"{row[part][quantity]:.3g}" if quantity in row.get(part, {}) else ""
            for part in ("test", "faults") for quantity in QUANTITIES
        ]  # fmt: skip
        fault = f"{row['ISF']:.3g}" if "ISF" in row else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {fault} |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    """Read the command line.

    Returns
    -------
    argparse.Namespace
        The options.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--start", default=os.environ.get("ENTSYM_UNIVERSAL_MODEL"),
        help="folder, file or name of a universal model",
    )  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="open its files, whatever they run")
    parser.add_argument("--standard", default="sets/standard.extxyz", help="(%(default)s)")
    parser.add_argument("--test", default="sets/test.extxyz", help="(%(default)s)")
    parser.add_argument("--faults", help="labelled stacks and faults")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(1 2 3)")
    parser.add_argument("--profile", default="finetune", help="(%(default)s)")
    parser.add_argument("--epochs", type=int, help="(the profile's)")
    parser.add_argument("--only", nargs="+", help="these trainings, see the table (all)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument("--properties", nargs="*", default=(), help="stacking_faults")
    parser.add_argument("--element", default="Al", help="of them (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("finetune"), help="(%(default)s)")
    args = parser.parse_args()
    if not args.start:
        parser.error("--start: name a universal model, or set ENTSYM_UNIVERSAL_MODEL")
    return args


def main() -> None:
    """Train, test and write the table."""
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    is_mace = Path(args.start).is_file()
    rows: dict[str, dict[str, Any]] = {}
    try:
        standard, validation = split_validation(args.standard)
        learned, held = split_faults(args.faults)
        test = list(read_frames(args.test))
        profile = read_profile(args.profile, "mace" if is_mace else "matgl")
        if args.epochs:
            profile["max_num_epochs"] = args.epochs
        frozen = profile | {"freeze": EMBEDDING["mace" if is_mace else "matgl"]}
        trainings = {
            "standard": (standard, profile),
            "standard, embedding frozen": (standard, frozen),
            "standard and faults": ([*map(unnamed, standard), *learned], profile),
        }
        models: dict[str, Any] = {}
        if Path(args.start).exists():
            models["zero-shot"] = open_teacher(args.start, "cpu", args.trust)
        for name, (frames, settings) in trainings.items():
            if (args.only and name not in args.only) or ("faults" in name and not learned):
                continue
            folder = args.output / name.replace(", ", "-").replace(" ", "-")
            train_teacher(
                frames, validation, folder, settings, args.seeds, "cpu",
                processes=args.processes, start=args.start, trust=args.trust,
            )  # fmt: skip
            models[name] = open_teacher(folder, "cpu")
        for name, calculator in models.items():
            row = rows[name] = {"test": tested(calculator, test, name, name == "zero-shot")}
            if held:
                row["faults"] = tested(calculator, held, name, name == "zero-shot")
            if args.properties:
                report = validate(
                    calculator, args.element, "fcc", args.properties,
                    workdir=args.output / "properties" / name,
                    settings={"stacking_faults": {"n": 4, "planes": 5}}, name=name,
                )  # fmt: skip
                row |= report.values
            write_json(args.output / "finetune.json", rows)
            with atomic_write(args.output / "finetune.md") as file:
                file.write(table(rows))
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    print(table(rows))


if __name__ == "__main__":
    main()

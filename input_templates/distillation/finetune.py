#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune a universal model, with and without labels of faults, and test it.

python finetune.py --start TensorNet-MatPES-PBE-v2025.1-PES --faults faults.extxyz
python finetune.py --start ../models/TensorNet --trust --seeds 1 --epochs 20
python finetune.py --start my_mace.model --trust --properties stacking_faults
python finetune.py --start MODEL --trust --faults labels.extxyz --only none --also MACE=teacher

Trains on sets/standard.extxyz of sets.py, tests on sets/test.extxyz. Every fifth frame of the
faults is held out and tested on its own. Default of --start: the environment variable
ENTSYM_UNIVERSAL_MODEL. Three trainings of three models: standard frames; the same with the
embedding as it is; standard frames and faults. Each takes 5 s of one core per epoch and 100 small
cells. A model given by its name has no zero-shot row. An interrupted run resumes. Writes
finetune.md and finetune.json.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from compare import named
from teacher import split_faults, split_validation, weighed

from ase_calculators.distillation import open_model, open_teacher, train_teacher
from ase_calculators.distillation.prediction import QUANTITIES, errors, predict
from ase_calculators.distillation.teacher import start_kind
from ase_calculators.distillation.training import read_profile
from ase_calculators.frame_source import read_frames
from ase_calculators.provenance import atomic_write, write_json
from ase_calculators.validation import validate
from ase_calculators.validation.stacking_faults import fault_energies

WIDE = 1.09  # so many lattice constants: hcp's third shell is beyond 5 Å
EXTRA = {
    "spread": "spread of their energy, meV/atom", "isf": "ISF of stacks, mJ/m^2",
    "hcp": "hcp - fcc, meV/atom", "wide": "the same, 9 % wider", "ISF": "ISF, mJ/m^2",
}  # fmt: skip
TRAININGS = ("standard", "standard, embedding frozen", "standard and faults")
EMBEDDING = {"matgl": ["tensor_embedding"], "mace": 1}


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
    found = errors(predict(calculator, frames, name), frames)
    return (found.aligned() if align else found).rmse()


def intrinsic_fault(calculator: Any, frames: list[Atoms], a: str = "a=4.04 d=1.0") -> float:
    """Return the energy of the intrinsic fault, from two stacks among the frames.

    Parameters
    ----------
    calculator : ase calculator or None
        The model. None: the labels of the frames.
    frames : list of ase.Atoms
        Labelled stacks with names, such as those of al_faults_pbe.
    a : str, optional
        The rest of the names, after "fcc" and "isf".

    Returns
    -------
    float
        Energy of the faulted stack, less as many atoms of fcc, over its area, mJ/m^2; NaN if one
        of the two is not there.
    """
    stacks = {atoms.info.get("name"): atoms for atoms in frames}
    try:
        pair = [stacks[f"{name} {a}"] for name in ("fcc", "isf")]
    except KeyError:
        return np.nan
    return float(fault_energies(pair, calculator)[1])


def hcp_above_fcc(calculator: Any, a: float, element: str = "Al") -> float:
    """Return how far hcp is above fcc, both of touching spheres.

    Up to the two neighbours of hcp at sqrt(8/3) diameters both have as many neighbours at each
    distance, and the sums of their second harmonics vanish. A network with harmonics up to l = 2,
    whose cutoff ends there, cannot tell one from the other: 0 exactly.

    Parameters
    ----------
    calculator : ase calculator
        The model.
    a : float
        Lattice constant of fcc, Å.
    element : str, optional
        Chemical symbol.

    Returns
    -------
    float
        Energy, meV/atom.
    """
    diameter = a / np.sqrt(2)
    fcc, hcp = (
        calculator.get_potential_energy(atoms) / len(atoms)
        for atoms in (
            bulk(element, "fcc", a=a),
            bulk(element, "hcp", a=diameter, c=np.sqrt(8 / 3) * diameter),
        )
    )
    return 1e3 * float(hcp - fcc)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of all models.

    Parameters
    ----------
    rows : dict of str to dict
        For each model the errors on "test" and "faults", and the numbers of `EXTRA`.

    Returns
    -------
    str
        The text.
    """
    columns = " | ".join(f"{quantity}, {unit}" for quantity, unit in QUANTITIES.items())
    extra = " | ".join(EXTRA.values())
    lines = [f"| model | {columns} | faults: {columns} | {extra} |", "|---" * 12 + "|"]
    for name, row in rows.items():
        cells = [
            f"{row[part][quantity]:.3g}" if quantity in row.get(part, {}) else ""
            for part in ("test", "faults") for quantity in QUANTITIES
        ]  # fmt: skip
        cells += [f"{row[key]:.3g}" if key in row else "" for key in EXTRA]
        lines.append(f"| {name} | {' | '.join(cells)} |")
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
    parser.add_argument("--energy", type=float, default=1.0, help="weight of their energy (1)")
    parser.add_argument(
        "--also", nargs="+", default=(), metavar="NAME=FOLDER", help="other models to test"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(1 2 3)")
    parser.add_argument("--profile", default="finetune", help="(%(default)s)")
    parser.add_argument("--epochs", type=int, help="(the profile's)")
    parser.add_argument("--only", nargs="+", choices=[*TRAININGS, "none"], help="(all)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument("--properties", nargs="*", default=(), help="stacking_faults")
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument("--a", type=float, default=4.04, help="of its fcc, Å (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("finetune"), help="(%(default)s)")
    args = parser.parse_args()
    if not args.start:
        parser.error("--start: name a universal model, or set ENTSYM_UNIVERSAL_MODEL")
    return args


def main() -> None:
    """Train, test and write the table."""
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    try:
        standard, validation = split_validation(args.standard)
        learned, held = split_faults(args.faults, args.energy)
        stacks = list(read_frames(args.faults)) if args.faults else []
        test = list(read_frames(args.test))
        kind, _ = start_kind(args.start)
        profile = read_profile(args.profile, kind)
        if args.epochs:
            profile["max_num_epochs"] = args.epochs
        frozen = profile | {"freeze": EMBEDDING[kind]}
        both = [*(weighed(atoms, 1.0) for atoms in standard), *learned]
        trainings = dict(zip(
            TRAININGS, ((standard, profile), (standard, frozen), (both, profile)), strict=True
        ))  # fmt: skip
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
        for name, folder in named("--also", args.also):
            models[name] = open_model(folder)
        for name, calculator in models.items():
            row = rows[name] = {"test": tested(calculator, test, name, name == "zero-shot")}
            if held:
                row["faults"] = tested(calculator, held, name, name == "zero-shot")
                row["spread"] = tested(calculator, held, name, True)["energy"]
                row["isf"] = intrinsic_fault(calculator, stacks, f"a={args.a:g} d=1.0")
            for key, scale in (("hcp", 1.0), ("wide", WIDE)):
                row[key] = hcp_above_fcc(calculator, scale * args.a, args.element)
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
    if stacks:
        fault = intrinsic_fault(None, stacks, f"a={args.a:g} d=1.0")
        print(f"intrinsic fault by the labels: {fault:.0f} mJ/m^2")


if __name__ == "__main__":
    main()

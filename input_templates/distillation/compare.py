#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare models on the test frames, by properties of the crystal and by the cost of a step.

python compare.py                                       models of student.py and teacher.py
python compare.py --model DNN=alone/student.pb --model "EAM=pair_style eam/fs; pair_coeff * * F Al"
python compare.py --properties elastic_constants vacancy --speed
python compare.py --properties vacancy --train sets/standard.extxyz   what lies outside its coverage
python compare.py --speed --dft labels.extxyz --cores 8         with the cost of Auto-DFT's labels

A model is the folder of a teacher, a DeePMD model, a file or lines with pair_style and pair_coeff,
or module:callable of an ASE calculator. An interrupted run resumes with the next model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from library import add_landscape, landscape_calculator

from ase_calculators.distillation import LabelTime, compare_models, label_time, speed_ladder
from ase_calculators.validation import PROPERTIES

matplotlib.use("Agg")

DEFAULT = {"DNN": "alone/student.pb", "DNN-KD": "student/student.pb", "MPNN": "teacher"}


def named(option: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return names and models of NAME=MODEL.

    Parameters
    ----------
    option : str
        Option, for the message.
    texts : sequence of str
        Its values.

    Returns
    -------
    list of (str, str)
        Name and model of each.

    Raises
    ------
    ValueError
        If one of them is not NAME=MODEL.
    """
    pairs = [text.partition("=") for text in texts]
    for text, (name, _, model) in zip(texts, pairs, strict=True):
        if not name or not model:
            raise ValueError(f"{option} {text}: must be NAME=MODEL, such as DNN=student.pb")
    return [(name, model) for name, _, model in pairs]


def rungs(models: dict[str, str], element: str) -> dict[str, str]:
    """Add variants of a student to the models of the speed ladder.

    Parameters
    ----------
    models : dict of str to str
        The models.
    element : str
        Element of atom type 1.

    Returns
    -------
    dict of str to str
        The models, the network that is not compressed, and the compressed one in LAMMPS.
    """
    found = {}
    for name, model in models.items():
        path = Path(model) if "pair_style" not in model else Path()
        if path.suffix == ".pb":
            if path.with_name("frozen.pb").is_file() and path.name != "frozen.pb":
                found[f"{name}, not compressed"] = str(path.with_name("frozen.pb"))
            found[f"{name} in LAMMPS"] = (
                f'pair_style deepmd "{path.resolve()}"; pair_coeff * * {element}'
            )
        found[name] = model
    return found


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"properties: {', '.join(PROPERTIES)}"
    )
    parser.add_argument("--test", default="sets/test.extxyz", help="labelled frames (%(default)s)")
    parser.add_argument(
        "--model", action="append", metavar="NAME=MODEL",
        help=f"a model; default: those of {', '.join(DEFAULT.values())} that exist",
    )  # fmt: skip
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument("--crystal", default="fcc", help="(%(default)s)")
    parser.add_argument("--properties", nargs="*", default=(), help="see below (none)")
    parser.add_argument(
        "--train", nargs="+", help="training set; properties whose structures leave it are named"
    )
    parser.add_argument("--cell", type=float, nargs=2, default=(0.4, 0.02), help="(0.4 0.02)")
    add_landscape(parser)
    parser.add_argument(
        "--align", action="store_true", help="subtract each model's mean energy error"
    )
    parser.add_argument("--speed", action="store_true", help="measure the speed ladder too")
    parser.add_argument("--sizes", type=int, nargs="+", default=(2, 3, 4, 6), help="cells per edge")
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"), help="(%(default)s)")
    parser.add_argument("--dft", help="frames that Auto-DFT labelled, with the time of each")
    parser.add_argument("--cores", type=int, default=1, help="of each of them (%(default)s)")
    parser.add_argument(
        "--dft-seconds", nargs=3, metavar=("SECONDS", "ATOMS", "SOURCE"),
        help="core seconds of one label, its number of atoms, and the source",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="(%(default)s)")
    args = parser.parse_args()
    models = {name: path for name, path in DEFAULT.items() if Path(path).exists()}
    if args.model:
        try:
            models = dict(named("--model", args.model))
        except ValueError as error:
            parser.error(str(error))
    if not models:
        parser.error(f"--model: none of {', '.join(DEFAULT.values())} is there; name one")
    try:
        compared = compare_models(
            args.test, models, args.output,
            landscape_calculator(args),
            args.properties, args.element, args.crystal, align=args.align, train=args.train,
            cell=tuple(args.cell),
        )  # fmt: skip
        print("\n" + compared.markdown())
        if args.speed:
            dft = None
            if args.dft:
                dft = label_time(args.dft, args.cores)
            elif args.dft_seconds:
                seconds, n_atoms, source = args.dft_seconds
                dft = LabelTime(float(seconds), float(n_atoms), source)
            ladder = speed_ladder(
                rungs(models, args.element), args.sizes, args.output, args.element, args.crystal,
                dft=dft, clock=args.clock,
            )  # fmt: skip
            print("\n" + ladder.markdown())
    except (ValueError, ImportError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"tables and figures: {args.output}")


if __name__ == "__main__":
    main()

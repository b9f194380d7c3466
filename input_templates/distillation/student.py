#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Train the student: a fast potential, on the standard frames and on those of the teacher.

python student.py                                     sets/standard.extxyz and relabelled.extxyz
python student.py --alone --output alone              the standard frames only, to compare
python student.py --profile paper --weight 2          the paper's input; DFT frames count twice
python student.py --faults labels.extxyz              learns stacks and faults too
python student.py --kind pod --profile pod_al_faults.yaml      a linear student, in a minute
python student.py --alone --start student --steps 2000 --output tuned      fine-tune on DFT frames

Writes student.pb, compressed, for LAMMPS (in.student) and ASE, and frozen.pb, what it was made of;
of a linear student its two files, and the lines that LAMMPS needs. An interrupted run resumes from
the last checkpoint.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from ase import Atoms
from teacher import split_faults, split_validation

from ase_calculators.distillation import Student, lammps_lines, train_student, write_deepmd
from ase_calculators.training_sets import DFT, TEACHER


def write_data(
    standard: str | Path,
    relabelled: Sequence[Iterable[Atoms] | str | Path],
    folder: Path,
    faults: str | None = None,
) -> dict[str, Path]:
    """Write the sets as DeePMD-kit reads them.

    Parameters
    ----------
    standard : path-like
        Frames with first-principles labels.
    relabelled : sequence of path-like or of frames
        Frames with the teacher's labels, a set for each teacher.
    folder : pathlib.Path
        Folder of the DeePMD data.
    faults : str, optional
        Labelled stacks and faults; every fifth is left out.

    Returns
    -------
    dict of str to pathlib.Path
        "standard", "validation" (the frames that teacher.py holds out too), and, if given,
        "relabelled" ("relabelled-2", ... of further teachers) and "faults".
    """
    train, validation = split_validation(standard)
    given = {"standard": train, "validation": validation}
    for number, frames in enumerate(relabelled, start=1):
        given["relabelled" if number == 1 else f"relabelled-{number}"] = frames
    if faults:
        given["faults"] = split_faults(faults)[0]
    for name, frames in given.items():
        write_deepmd(frames, folder / name, TEACHER if name.startswith("relabelled") else DFT)
    return {name: folder / name for name in given}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("standard", nargs="?", default="sets/standard.extxyz", help="(%(default)s)")
    parser.add_argument(
        "--relabelled", nargs="+", default=["relabelled.extxyz"],
        help="what relabel.py wrote, a file for each teacher (relabelled.extxyz)",
    )  # fmt: skip
    parser.add_argument("--alone", action="store_true", help="learn from the standard frames only")
    parser.add_argument(
        "--weight", type=float, default=1.0,
        help="weight of a standard frame in the loss, next to 1 of a teacher's frame "
        "(%(default)s)",
    )  # fmt: skip
    parser.add_argument("--faults", help="labelled stacks and faults; every fifth is left out")
    parser.add_argument("--output", type=Path, default=Path("student"), help="(%(default)s)")
    parser.add_argument(
        "--kind", default="se_e2_a", help="se_e2_a, snap, qsnap or pod (%(default)s)"
    )
    parser.add_argument("--profile", default="small", help="small, paper or a file (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--start", help="a student's folder or model to continue from")
    parser.add_argument("--steps", type=int, help="(the profile's)")
    args = parser.parse_args()
    try:
        relabelled = [] if args.alone else args.relabelled
        data = write_data(args.standard, relabelled, args.output / "sets", args.faults)
        weights = {
            path: 1.0 if name.startswith("relabelled") else args.weight
            for name, path in data.items() if name != "validation"
        }  # fmt: skip
        student: Student = train_student(
            weights,
            data["validation"],
            args.output,
            args.profile,
            args.seed,
            args.start,
            args.steps,
            kind=args.kind,
        )
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    except (ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    if args.kind != "se_e2_a":
        print("\n".join(lammps_lines(student.folder)))
        return
    print(f"{student.compressed}\nlmp -in in.student -var student {student.compressed}")


if __name__ == "__main__":
    main()

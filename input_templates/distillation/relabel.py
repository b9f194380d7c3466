#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label the supplementary frames by the teacher.

python relabel.py                                          sets/supplementary.extxyz by teacher/
python relabel.py --teacher potential.mod --element Al     by a pair_style of LAMMPS
python relabel.py --teacher salt.mod --element Na Cl       of several elements, in LAMMPS's order
python relabel.py --teacher ase.calculators.emt:EMT        by any ASE calculator
python relabel.py --teacher teacher tensornet pod          by the mean of several, of any kinds
python relabel.py --max-spread 0.3 --max-force 20          what is beyond goes to *.rejected.extxyz

An interrupted run resumes. The rejected frames are for label.py of the
autodft template: their first-principles labels belong to the standard frames of the next teacher.
"""

import argparse
from functools import partial

from ase_calculators.distillation import open_model, relabel


def main() -> None:
    """Read the command line and label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "frames", nargs="?", default="sets/supplementary.extxyz", help="(%(default)s)"
    )
    parser.add_argument("--teacher", nargs="+", default=["teacher"], help="(teacher)")
    parser.add_argument("--element", nargs="+", help="of atom types 1, 2, ..., for a pair_style")
    parser.add_argument("--output", default="relabelled.extxyz", help="(%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="CPU (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="frames (%(default)s)")
    parser.add_argument("--max-spread", type=float, help="eV/Å; beyond: rejected")
    parser.add_argument("--max-force", type=float, help="eV/Å; beyond: rejected")
    parser.add_argument(
        "--without-stress", action="store_true", help="for a teacher that gives none"
    )
    args = parser.parse_args()
    try:
        done = relabel(
            args.frames, partial(open_model, args.teacher, args.element), args.output,
            processes=args.processes, batch_size=args.batch_size, max_spread=args.max_spread,
            max_force=args.max_force, stress=not args.without_stress,
        )  # fmt: skip
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{done.n} frames labelled: {done.path}")
    if done.rejected_path:
        print(f"{done.n_rejected} rejected: {done.rejected_path}", end="")
        print(f", map {done.map_path}" if done.map_path else "")


if __name__ == "__main__":
    main()

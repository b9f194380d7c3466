#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which networks can tell fcc from hcp at all, whatever they learn?

python blind.py mace_al_pbe.yaml mace_al_faults.yaml

Trains each profile of MACE for one epoch on a few frames of sets/standard.extxyz, in double
precision, and prints how far hcp is above fcc, both of touching spheres, in meV/atom. The nearest
neighbours that only hcp has are at 1.155 lattice constants of fcc: beyond the cutoff a network
without harmonics of l = 3 says exactly 0. Half a minute each.
"""

import argparse
from pathlib import Path

from finetune import hcp_above_fcc
from teacher import split_validation

from ase_calculators.distillation import open_teacher, train_teacher
from ase_calculators.distillation.training import read_profile


def main() -> None:
    """Read the command line, train, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("profile", nargs="+", help="of MACE")
    parser.add_argument("--standard", default="sets/standard.extxyz", help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=24, help="learned (%(default)s)")
    parser.add_argument("--cutoff", type=float, help="Å (the profile's)")
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument(
        "--a", type=float, nargs="+", default=(4.04, 4.20, 4.32, 4.40, 4.50),
        help="lattice constants of fcc, Å (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("blind"), help="(%(default)s)")
    args = parser.parse_args()
    lines = [
        "hcp - fcc, meV/atom",
        f"| profile | cutoff, Å | {' | '.join(f'a = {a:g} Å' for a in args.a)} |",
        "|---" * (2 + len(args.a)) + "|",
    ]
    try:
        learned, checked = split_validation(args.standard)
        for name in args.profile:
            profile = read_profile(name, "mace")
            profile |= {"max_num_epochs": 1, "default_dtype": "float64"}
            profile["r_max"] = args.cutoff or profile["r_max"]
            folder = args.output / Path(name).stem
            train_teacher(learned[: args.frames], checked[:4], folder, profile, (1,), "cpu")
            model = open_teacher(folder, "cpu")
            found = [hcp_above_fcc(model, a, args.element) for a in args.a]
            start = f"| {Path(name).name} | {profile['r_max']:g}"
            lines.append(f"{start} | {' | '.join(f'{x:.2g}' for x in found)} |")
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    print("\n".join(lines))


if __name__ == "__main__":
    main()

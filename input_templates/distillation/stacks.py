#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Breed stacks and faults for the teacher to label, from those that have labels.

python stacks.py labels.extxyz                      to sets/stacks.extxyz
cat sets/supplementary.extxyz sets/stacks.extxyz > sets/more.extxyz
python relabel.py sets/more.extxyz

The labelled stacks that teacher.py --faults learns are the parents, those that it holds out are
not. Supplementary frames of a landscape hold hardly a stack: without such frames a student does not
learn the faults that its teacher knows.
"""

import argparse
import warnings
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from library import ALUMINIUM
from teacher import split_faults

from ase_calculators import EntropySymmetry, Genes, PolymorphGen, map_landscape, select


def breed(parents: list[Atoms], n_frames: int, args: argparse.Namespace) -> list[Atoms]:
    """Breed stacks of one number of layers and keep an even set of them.

    Parameters
    ----------
    parents : list of ase.Atoms
        Stacks with the same number of atoms.
    n_frames : int
        About how many to keep.
    args : argparse.Namespace
        The options.

    Returns
    -------
    list of ase.Atoms
        The stacks.
    """
    volumes = [atoms.cell.volume / len(atoms) for atoms in parents]
    calc = EntropySymmetry(**ALUMINIUM)
    generator = PolymorphGen(
        parents, calc, targets="grid", targets_per_edge=int(np.ceil(np.sqrt(n_frames))),
        generations=1, individuals=4,
        genes=Genes(args.displacement, args.volume, args.shape),
        min_distance=args.min_distance, seed=args.seed,
        volume_limits=((1 - args.volume) * min(volumes), (1 + args.volume) * max(volumes)),
    )  # fmt: skip
    library = args.output.with_suffix(f".{len(parents[0])}.extxyz")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*targets not reached")
        generator.run(library)
    table = map_landscape(library, calc)
    bred = ase.io.read(library, ":")
    chosen = [bred[int(table.frame[row])] for row in select(table, n_frames).rows]
    return [Atoms(a.numbers, a.positions, cell=a.cell, pbc=True) for a in chosen]


def main() -> None:
    """Read the command line and breed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", help="labelled stacks and faults")
    parser.add_argument("--frames", type=int, default=400, help="about so many (%(default)s)")
    parser.add_argument("--displacement", type=float, default=0.06, help="Å (%(default)s)")
    parser.add_argument("--volume", type=float, default=0.05, help="share (%(default)s)")
    parser.add_argument("--shape", type=float, default=0.03, help="strain (%(default)s)")
    parser.add_argument("--min-distance", type=float, default=2.3, help="Å (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("sets/stacks.extxyz"))
    args = parser.parse_args()
    try:
        learned, _ = split_faults(args.faults)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        frames: list[Atoms] = []
        for n_atoms in sorted({len(atoms) for atoms in learned}):
            parents = []
            for atoms in learned:
                for amount in (0.0, 0.5, 1.0) if len(atoms) == n_atoms else ():
                    parent = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
                    parent.rattle(amount * args.displacement, seed=args.seed + len(parents))
                    parents.append(parent)
            frames += breed(parents, round(args.frames * len(parents) / len(learned) / 3), args)
        ase.io.write(args.output, frames, format="extxyz")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{len(frames)} stacks: {args.output}")


if __name__ == "__main__":
    main()

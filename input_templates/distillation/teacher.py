#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Train the teacher: a committee of models on the standard frames.

python teacher.py                                     sets/standard.extxyz, to teacher/
python teacher.py labels.extxyz --profile paper       the paper's size, on a GPU
python teacher.py --profile mine.yaml --seeds 1 2 3 4 --processes 2
python teacher.py --start TensorNet-MatPES-PBE-v2025.1-PES   fine-tunes a universal model of matgl
python teacher.py --start mace.model --trust          or one that you have, of MACE or matgl
python teacher.py --faults labels.extxyz --profile mace_al_faults.yaml      learns faults too

Every tenth frame, in the order of the landscape's cells, is kept for validation, which picks the
epoch of each model. An interrupted run resumes from the last checkpoints.
"""

import argparse
from pathlib import Path

from ase import Atoms

from ase_calculators.distillation import train_teacher
from ase_calculators.frame_source import read_frames

SHARE = 10  # one frame of so many is for validation
HELD, FIRST = 5, 3  # one of so many faults is held out, from this one on


def split_validation(path: str | Path) -> tuple[list[Atoms], list[Atoms]]:
    """Split the standard frames into frames to learn from and frames for validation.

    Parameters
    ----------
    path : path-like
        The labelled frames.

    Returns
    -------
    (list of ase.Atoms, list of ase.Atoms)
        Frames to learn from, and every tenth by sS for validation; every tenth in the order of the
        file if the frames have no sS in ``info``.
    """
    frames = sorted(read_frames(path), key=lambda atoms: atoms.info.get("sS", 0.0))
    held = frames[SHARE // 2 :: SHARE]
    return [a for number, a in enumerate(frames) if number % SHARE != SHARE // 2], held


def weighed(atoms: Atoms, weight: float) -> Atoms:
    """Return a labelled frame that does not name the settings of its label.

    Frames of other settings may not be mixed by mistake. Here they are on purpose: the mesh of the
    faults differs, and their zero of energy is that of the others.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame; not modified.
    weight : float
        How often its energy counts in the training.

    Returns
    -------
    ase.Atoms
        A copy with the same labels.
    """
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info.pop("settings", None)
    copy.info["config_energy_weight"] = weight
    return copy


def split_faults(path: str | None, weight: float = 1.0) -> tuple[list[Atoms], list[Atoms]]:
    """Split the labels of faults into frames to learn from and frames to test on.

    Parameters
    ----------
    path : str or None
        The labelled frames. Settings that they name are not compared with those of other frames.
    weight : float, optional
        How often their energies count.

    Returns
    -------
    (list of ase.Atoms, list of ase.Atoms)
        The frames; none if there is no file.
    """
    frames = [weighed(atoms, weight) for atoms in read_frames(path)] if path else []
    return [a for k, a in enumerate(frames) if k % HELD != FIRST], frames[FIRST::HELD]


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("frames", nargs="?", default="sets/standard.extxyz", help="(%(default)s)")
    parser.add_argument("--faults", help="labelled stacks and faults; every fifth is left out")
    parser.add_argument("--energy", type=float, default=1.0, help="weight of their energy (1)")
    parser.add_argument("--output", default="teacher", help="folder (%(default)s)")
    parser.add_argument(
        "--profile", help="small, paper, finetune or a file (small; with --start finetune)"
    )
    parser.add_argument("--start", help="universal model: a name, a file (MACE) or folder (matgl)")
    parser.add_argument("--trust", action="store_true", help="open its files, whatever they run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="(1 2 3)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument("--device", help="cpu or cuda (a GPU if there is one)")
    args = parser.parse_args()
    try:
        standard, validation = split_validation(args.frames)
        if args.faults:
            learned, _ = split_faults(args.faults, args.energy)
            standard = [*(weighed(atoms, 1.0) for atoms in standard), *learned]
        models = train_teacher(
            standard, validation, args.output, args.profile, args.seeds, args.device,
            processes=args.processes, start=args.start, trust=args.trust,
        )  # fmt: skip
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    except (ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    for model in models:
        print(model)


if __name__ == "__main__":
    main()

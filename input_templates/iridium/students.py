#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fit students to our own DFT labels of iridium, and compare them with MEAM and DFT.

python students.py results/dft                      SNAP, quadratic SNAP, POD; MEAM
python ../distillation/teacher.py results/dft/learned.extxyz --start MODEL --trust --seeds 1 \
    --profile tensornet_ir.yaml --output results/dft/tensornet    fine-tunes a universal model
python ../distillation/teacher.py results/dft/learned.extxyz --seeds 1 --output results/dft/mace \
    --profile ../distillation/mace_al_faults.yaml
python students.py results/dft --only POD DNN --teacher results/dft/tensornet results/dft/mace
                                                    also POD-KD and DNN-KD, taught by their mean

Learns from the labels of tests/reference/ir_pbe/labels.extxyz, as many as there are, but for those
of the parts "test", which are held out, "rhenium", "elastic", "phonons" and "compressed". The
teachers label the cells of frames.extxyz, but for stacks, that DFT has not labelled, bred ones, and
shaken copies of defects, wires and clusters. Properties by the validation suite, in OUTPUT/NAME.
Writes students.md, and the pictures of the suite, with the fault curves of all.

Run time of one core: 3 minutes; each DNN, 10.
"""

import argparse
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from frames import LATTICE, MEAM, breed, even, label
from learning import CONSTANTS, Learning, elastic, model
from reference_sets import DATA, LEARNED, read_sets
from tqdm import tqdm

from ase_calculators.distillation import open_model, train_student
from ase_calculators.distillation.prediction import errors, predict
from ase_calculators.distillation.student import open_student
from ase_calculators.distillation.training import read_profile
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write
from ase_calculators.training_sets import write_deepmd
from ase_calculators.validation import PROPERTIES, Report, compare, validate
from ase_calculators.validation.stacking_faults import fault_energies

LINEAR = {"SNAP": "snap", "POD": "pod", "qSNAP": "qsnap"}
STUDENTS = LINEAR | {"DNN": "se_e2_a"}
TAUGHT = ("POD", "DNN")
HERE = Path(__file__).parent
NETWORK = read_profile("small", "student")
NETWORK["model"]["descriptor"]["sel"] = [110]  # iridium is denser than aluminium
PROFILES = {"pod": HERE / "pod_ir.yaml", "se_e2_a": NETWORK}  # others are "small"
# of a frame of each part, and of one with the teachers' label
WEIGHTS = {"standard": 3.0, "stacks": 150.0, "defects": 15.0, "strained": 15.0, "taught": 1.0}
FOLDS = 5
DEFAULT = ("equation_of_state", "elastic_constants", "vacancy", "stacking_faults")
SETTINGS: dict[str, dict[str, Any]] = {
    "equation_of_state": {"n_curve": 11, "compression": 0.8, "expansion": 1.2},
    # the saddle of a jump is half way
    "vacancy": {"length": 12.0, "smaller": 8.0, "images": 1, "neb_fmax": 0.05},
    "stacking_faults": {"n": 6, "planes": 5},
}


def key(atoms: Atoms) -> tuple[float, ...]:
    """Return what tells one cell from another.

    Parameters
    ----------
    atoms : ase.Atoms
        Cell.

    Returns
    -------
    tuple of float
        Cell vectors and last position, rounded, and atomic numbers.
    """
    cell, last = atoms.cell.array.ravel().round(4), atoms.positions[-1].round(4)
    return tuple([*cell, *last, *atoms.numbers])


def around(parents: list[Atoms], n: int, seed: int) -> list[Atoms]:
    """Return cells that are strained and shaken.

    Parameters
    ----------
    parents : list of ase.Atoms
        Cells.
    n : int
        How many of each.
    seed : int
        Random seed.

    Returns
    -------
    list of ase.Atoms
        Cells; strains of 2 % and displacements of 0.06, 0.12 and 0.18 Å in turn (standard
        deviations).
    """
    rng = np.random.default_rng(seed)
    cells = []
    for parent in parents:
        for number in range(n):
            cell = parent.cell.array @ (np.eye(3) + rng.normal(0.0, 0.02, (3, 3)))
            atoms = Atoms(parent.numbers, parent.positions, cell=parent.cell, pbc=True)
            atoms.set_cell(cell, scale_atoms=True)
            atoms.rattle((0.06, 0.12, 0.18)[number % 3], rng=rng)
            cells.append(atoms)
    return cells


def edges() -> list[Atoms]:
    """Return wires along [001] and clusters in vacuum, a = 3.87 Å: no cell of DFT's has an edge.

    Returns
    -------
    list of ase.Atoms
        Wires, two cells long and one to two thick, with 9 Å of vacuum; clusters of at least 20
        atoms with corners. 8 to 32 atoms.
    """
    found = []
    for layers in ((2, 2, 4), (3, 2, 4), (3, 3, 4), (4, 3, 4), (4, 4, 4), (5, 4, 3)):  # (200)
        atoms = bulk("Ir", "fcc", a=3.87, cubic=True) * (3, 3, 2)
        inside = np.rint(atoms.positions / (3.87 / 2)) < layers
        cut = atoms[inside.all(axis=1)]
        cut.center(vacuum=4.5, axis=(0, 1) if layers[0] < 4 else (0, 1, 2))
        found.append(cut)
    return found


def train(name: str, sets: dict[Path, float], test: Path, folder: Path) -> Any:
    """Train a student, and return its calculator.

    Parameters
    ----------
    name : str
        A key of `STUDENTS`, or that with "-KD".
    sets : dict of pathlib.Path to float
        DeePMD data and their weights.
    test : pathlib.Path
        DeePMD data, for its errors.
    folder : pathlib.Path
        Where it is written, under its name.

    Returns
    -------
    ase calculator
        The student.

    Raises
    ------
    SystemExit
        If the folder has a student of other sets, with that message.
    """
    kind = STUDENTS[name.removesuffix("-KD")]
    try:
        student = train_student(
            sets, test, folder / name, PROFILES.get(kind, "small"), kind=kind, compress=False
        )
    except ValueError as error:
        raise SystemExit(f"{name}: {error}") from None
    return open_student(student)


def of_stacks(calculator: Any, frames: list[Atoms]) -> list[str]:
    """Return hcp - fcc and the intrinsic fault from stacks among the labelled frames.

    Parameters
    ----------
    calculator : ase calculator or None
        Model. None: the labels.
    frames : list of ase.Atoms
        Labelled frames, three stacks at a = 3.87 Å among them.

    Returns
    -------
    list of str
        hcp - fcc, meV/atom; energy of a fault in eight layers, mJ/m^2. Nothing is relaxed.
    """
    stacks = {atoms.info["name"]: atoms for atoms in frames}
    fcc, hcp, isf = (stacks[f"{name} a=3.87"] for name in ("fcc", "hcp", "isf8"))
    above = [(calculator or atoms.calc).get_potential_energy(atoms) / len(atoms)
             for atoms in (fcc, hcp)]  # fmt: skip
    fault = fault_energies([fcc, isf], calculator)[1]
    return [f"{1e3 * (above[1] - above[0]):.0f}", f"{fault:.0f}"]


def left_out(kind: str, frames: list[Atoms]) -> str:
    """Return how far the elastic constants depend on single labels.

    Parameters
    ----------
    kind : {"snap", "qsnap", "pod"}
        Student.
    frames : list of ase.Atoms
        Labelled frames.

    Returns
    -------
    str
        Lowest and highest constants of five students, each without a fifth of the frames.
    """
    learning, found = Learning(kind, PROFILES.get(kind, "small")), []
    rows = learning.add(frames)
    learning.equations.shares = [WEIGHTS[atoms.info["part"]] for atoms in frames]
    with TemporaryDirectory() as scratch:
        for part in range(FOLDS):
            fit = learning.equations.fit([row for row in rows if row % FOLDS != part])
            C = elastic(model(learning.commands(fit, Path(scratch))), LATTICE)
            found += [C] if C else []
    ranges = [f"{min(C[key] for C in found):.0f} to {max(C[key] for C in found):.0f}"
              for key in CONSTANTS] if found else ["no crystal"]  # fmt: skip
    brittle = sum(C["C12"] < C["C44"] for C in found)
    return f"{' | '.join(ranges)} | {brittle} of {FOLDS}"


def main() -> None:
    """Fit, test, validate, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--data", type=Path, default=DATA, help="folder of ir_pbe (%(default)s)")
    add("--teacher", type=Path, nargs="+", help="models, trained on the same labels; their mean")
    add("--bred", type=int, default=150, help="bred cells for it to label (%(default)s)")
    add("--around", type=int, default=10, help="and shaken copies of each defect and edge (10)")
    add("--only", nargs="+", choices=STUDENTS, default=list(LINEAR), help="(SNAP POD qSNAP)")
    add("--properties", nargs="*", default=DEFAULT, choices=PROPERTIES, help="(four)")
    args = parser.parse_args()
    for name, least in (("bred", 1), ("around", 0)):
        if getattr(args, name) < least:
            parser.error(f"--{name} {getattr(args, name)}: must be at least {least}")
    files = ("ir_pbe/labels.extxyz", "ir_pbe/frames.extxyz")
    labelled, chosen = read_sets(parser, args.data, *files)
    args.folder.mkdir(parents=True, exist_ok=True)
    parts = {part: [a for a in labelled if a.info["part"] == part] for part in (*LEARNED, "test")}
    learned = [atoms for part in LEARNED for atoms in parts[part]]
    for atoms in learned:
        if atoms.info["part"] != "standard":  # both kinds of teachers read it
            atoms.info["config_energy_weight"] = 5.0
    text, path = StringIO(), args.folder / "learned.extxyz"
    ase.io.write(text, learned, format="extxyz")
    if path.exists() and path.read_text() != text.getvalue():
        parser.error(f"{args.folder}: has students of other labels; give another folder")
    try:
        teacher = open_model(args.teacher) if args.teacher else None
    except (OSError, ValueError) as error:
        parser.error(f"--teacher: {error}")
    with atomic_write(path) as file:
        file.write(text.getvalue())  # for a teacher
    test, students = args.folder / "sets" / "test", args.folder / "students"
    sets = {}
    for part in LEARNED:
        write_deepmd(parts[part], args.folder / "sets" / part)
        sets[args.folder / "sets" / part] = WEIGHTS[part]
    write_deepmd(parts["test"], test)
    models = {name: train(name, sets, test, students) for name in args.only}
    if teacher is not None:
        models["teacher"] = teacher
        known = {key(atoms) for atoms in labelled}
        # no stacks: the teachers do not know faults, DFT's few labels do
        rest = [a for a in chosen if key(a) not in known
                and a.info["part"] in LEARNED and a.info["part"] != "stacks"]  # fmt: skip
        library = breed(args.folder / "library.extxyz", 1)
        rest += [library[k] for k in even(library, args.bred, 1)]
        rest += around(parts["defects"] + edges(), args.around, 1)
        names = "_".join(path.name for path in args.teacher)
        path = args.folder / f"taught_{names}_{args.bred}_{args.around}.extxyz"
        if not path.exists():
            frames = [label(a, teacher) for a in tqdm(rest, unit=" cells")]
            with atomic_write(path) as file:
                ase.io.write(file, frames, format="extxyz")
        taught = args.folder / "sets" / "taught"
        write_deepmd(path, taught)
        for name in (f"{name}-KD" for name in args.only if name in TAUGHT):
            models[name] = train(name, sets | {taught: WEIGHTS["taught"]}, test, students)
    models["MEAM"] = LammpsPotential(MEAM, "Ir")
    lines = [
        f"Learned from {', '.join(f'{len(parts[part])} {part}' for part in LEARNED)}; "
        f"{len(parts['test'])} test cells. MEAM without its mean error of the energy.", "",
        "| model | learned: meV/atom | meV/Å | virial, meV/atom | test: meV/atom | meV/Å "
        "| virial, meV/atom | hcp - fcc, meV/atom | ISF of stacks, mJ/m^2 |", "|" + "---|" * 9,
        f"| **labels** | | | | | | | {' | '.join(of_stacks(None, labelled))} |",
    ]  # fmt: skip
    reports: list[Report] = []
    lost: list[str] = []
    for name, calculator in models.items():
        cells = []
        for frames in (learned, parts["test"]):
            found = errors(predict(calculator, frames, name, progress=False), frames)
            row = (found.aligned() if name == "MEAM" else found).rmse()  # another zero of energy
            cells += [f"{row[q]:.0f}" for q in ("energy", "forces", "virial")]
        cells += of_stacks(calculator, labelled)
        lines.append(f"| {name} | {' | '.join(cells)} |")
        try:
            reports.append(validate(
                calculator, "Ir", "fcc", args.properties, "Ir-PBE.json",
                args.folder / "properties" / name, {p: SETTINGS[p] for p in args.properties
                                                    if p in SETTINGS}, name,
            ))  # fmt: skip
        except ValueError as error:  # no such crystal
            lost += ["", f"{name}: {error}"]
    lines += [
        *lost, "", f"Without each of {FOLDS} parts of the labels:", "",
        "| student | C11, GPa | C12 | C44 | C12 < C44 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {left_out(LINEAR[name], learned)} |"
              for name in args.only if name in LINEAR]  # fmt: skip
    text = "\n".join(lines) + "\n\n" + compare(reports, args.folder / "comparison")
    with atomic_write(args.folder / "students.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()

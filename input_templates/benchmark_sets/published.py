#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare potentials on the published sets of Mo and Si: errors on the test set against cost.

python published.py results --element Mo                  SNAP, quadratic SNAP, POD
python published.py results --element Mo --networks se_e2_a teacher     also se_e2_a, a MACE teacher
python published.py results --element Mo --networks se_e2_a dpa1 --seeds 3     of three seeds each
python published.py results --element Mo --networks teacher --teach 200  POD taught by the teacher
python published.py results --element Mo --networks teacher --start MODEL      fine-tunes TensorNet

The published potentials run on the same test frames, in the same LAMMPS. Networks need the
environment of the extra `distillation`. Predictions of zero_shot.py and mtp_nnp.py in the folder
(*.npz) are rows too. Students, teacher and costs that are there are not made again: an interrupted
run resumes. Writes ELEMENT/published.json and published.md, and published.png of all elements in
the folder. The last line tells which student is worth it. MODEL: name or folder of matgl, whose
files are trusted.

Run time of one core: 4 minutes for each element; se_e2_a 4 and DPA-1 5 for each seed, a
teacher 20, taught student 3 minutes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from learning import with_spread
from published_sets import (
    DATA,
    HERE,
    bred,
    cost,
    errors_of,
    labelled,
    published_lines,
    read_set,
)

from ase_calculators.distillation import (
    open_student,
    open_teacher,
    train_student,
    train_teacher,
    write_deepmd,
)
from ase_calculators.distillation.prediction import predict
from ase_calculators.distillation.training import read_profile
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write, write_json

# marks of the students: energy (meV/atom), forces (eV/Å), cost (µs per atom and step)
MARKS = {"Mo": (4.0, 0.20, 100), "Si": (5.3, 0.12, 100)}
# descriptors of networks, in place of that of se_e2_a.json; DPA-1 without attention, which
# DeePMD-kit 3.2.0 compresses to another model (0.2 eV/atom off), and which stays as it is
DESCRIPTORS = {"se_e2_a": {}, "dpa1": {"type": "se_atten_v2", "attn_layer": 0}}
TAUGHT_WEIGHT = 0.3  # of a frame with the teacher's label against one of DFT
PROFILES = {
    "SNAP": ("snap", "small"), "qSNAP": ("qsnap", "small"), "POD small": ("pod", "small"),
    "POD": ("pod", HERE / "pod_{}.yaml"), "POD large": ("pod", HERE / "pod_large.yaml"),
}  # fmt: skip


# --- models ---------------------------------------------------------------------------------------


def fit_linear(train: list[Atoms], test: list[Atoms], folder: Path) -> dict[str, Any]:
    """Fit the linear students.

    Parameters
    ----------
    train, test : list of ase.Atoms
        Training frames; frames whose errors are recorded.
    folder : pathlib.Path
        Folder of the element.

    Returns
    -------
    dict of str to LammpsPotential
        The students.
    """
    return {
        name: open_student(train_student(
            train, test, folder / name.lower().replace(" ", "_"),
            str(profile).format(folder.name), kind=kind,
        ))
        for name, (kind, profile) in PROFILES.items()
    }  # fmt: skip


def networks(name: str, train: list[Atoms], folder: Path, seeds: int, steps: int | None) -> Any:
    """Train a network of several seeds.

    Parameters
    ----------
    name : str
        Name in `DESCRIPTORS`.
    train : list of ase.Atoms
        Training frames.
    folder : pathlib.Path
        Folder of the element.
    seeds : int
        Number of seeds.
    steps : int, optional
        Number of steps. Default: that of se_e2_a.json.

    Returns
    -------
    list of Student
        A student of each seed.
    """
    for part, frames in (("set", train), ("validation", train[::15])):
        write_deepmd(frames, folder / part)
    profile = read_profile(HERE / "se_e2_a.json", "student")
    profile["model"]["descriptor"] |= DESCRIPTORS[name]
    return [
        train_student(folder / "set", folder / "validation", folder / f"{name}_{seed}", profile,
                      seed=seed, steps=steps, compress=name == "se_e2_a")
        for seed in range(1, seeds + 1)
    ]  # fmt: skip


def teacher(train: list[Atoms], folder: Path, epochs: int | None, start: str | None) -> Any:
    """Train a MACE model, or fine-tune a universal one; every fifteenth frame picks the epoch.

    Frames with few atoms, surfaces that come once, are all for training: one of them among the
    others would alone decide which epoch is best.

    Parameters
    ----------
    train : list of ase.Atoms
        Training frames.
    folder : pathlib.Path
        Folder of the element.
    epochs : int, optional
        Number of epochs. Default: that of mace.yaml or tensornet.yaml.
    start : str, optional
        Universal model of matgl.

    Returns
    -------
    ase calculator
        The teacher, of one seed.
    """
    kind, name = ("matgl", "tensornet") if start else ("mace", "mace")
    settings = read_profile(HERE / f"{name}.yaml", kind)
    if epochs is not None:
        settings["max_num_epochs"] = epochs
    sizes = [len(atoms) for atoms in train]
    least = 0.9 * max(sizes, key=sizes.count)
    is_held = [k % 15 == 0 and size >= least for k, size in enumerate(sizes)]
    held = [atoms for atoms, chosen in zip(train, is_held, strict=True) if chosen]
    kept = [atoms for atoms, chosen in zip(train, is_held, strict=True) if not chosen]
    path = folder / f"teacher-{name}"
    train_teacher(kept, held, path, settings, seeds=(1,), start=start, trust=True)
    return open_teacher(path)


def taught(
    train: list[Atoms], test: list[Atoms], folder: Path, element: str, model: Any, name: str,
    number: int,
) -> Any:  # fmt: skip
    """Fit POD to the training frames and to the teacher's labels of bred frames.

    Parameters
    ----------
    train, test : list of ase.Atoms
        Training frames; frames whose errors are recorded.
    folder : pathlib.Path
        Folder of the element.
    element : str
        Mo or Si.
    model : ase calculator
        The teacher.
    name : str
        Its name, of the files.
    number : int
        Number of bred frames.

    Returns
    -------
    LammpsPotential
        The student.
    """
    path = folder / f"supplementary_{name}_{number}.extxyz"
    if not path.exists():
        frames = labelled(bred(train, element, number, folder / f"bred_{number}.extxyz"), model)
        with atomic_write(path) as file:
            ase.io.write(file, frames, format="extxyz")
    sets = [(train, 1.0), (path, TAUGHT_WEIGHT)]
    profile, output = HERE / f"pod_{element}.yaml", folder / f"pod_taught_{name}_{number}"
    return open_student(train_student(sets, test, output, profile, kind="pod"))


# --- table and figure -----------------------------------------------------------------------------


def row_of(
    name: str, of_seeds: list[Any], lines: list[str] | None, test: list[Atoms], element: str,
    seconds: float, large: bool, known: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return a row of the table.

    Parameters
    ----------
    name : str
        Name of the model.
    of_seeds : list of ase calculator or dict
        The model, or its predictions, of each seed.
    lines : list of str or None
        LAMMPS's commands of the first.
    test : list of ase.Atoms
        Test frames.
    element : str
        Mo or Si.
    seconds : float
        Processor time of each measurement of the cost.
    large : bool
        Whether to measure 4,000 atoms too.
    known : dict
        Row of an earlier run; its costs are kept if it is of the same commands.

    Returns
    -------
    dict
        name, errors by group (mean of the seeds, of_seeds: each), cost (µs per atom and step) of
        256 and of 4,000 atoms.
    """
    each = [errors_of(model, test, element) for model in of_seeds]
    mean = {
        group: {key: float(np.mean([one[group][key] for one in each])) for key in errors}
        for group, errors in each[0].items()
    }
    row: dict[str, Any] = {"name": name, "lines": lines, "errors": mean, "of_seeds": each}
    if lines is None:
        return row | {"cost": None, "cost_large": None}
    same = known.get("lines") == lines and known.get("seconds") == seconds
    if same and not (large and known["cost_large"] is None):
        return row | {key: known[key] for key in ("cost", "cost_large", "seconds")}
    return row | {
        "cost": cost(lines, element, False, seconds),
        "cost_large": cost(lines, element, True, seconds) if large else None, "seconds": seconds,
    }  # fmt: skip


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table.

    Parameters
    ----------
    rows : list of dict
        Rows.

    Returns
    -------
    str
        Text; errors of hot, strained and cold frames are of the forces; with the standard
        deviation of several seeds.
    """
    lines = ["| potential | energy, meV/atom | forces, eV/Å | hot | strained | cold | "
             "µs, 256 atoms | µs, 4,000 atoms |", "|" + "---|" * 8]  # fmt: skip
    for row in rows:
        each = row["of_seeds"]
        parts = [with_spread([one["all"]["energy"] for one in each], 1)]
        parts += [
            with_spread([one[group]["forces"] for one in each], 3) if group in each[0] else ""
            for group in ("all", "hot", "strained", "cold")
        ]
        costs = ["" if row[key] is None else f"{row[key]:.0f}" for key in ("cost", "cost_large")]
        lines.append(f"| {' | '.join([row['name'], *parts, *costs])} |")
    return "\n".join(lines) + "\n"


def advice(rows: list[dict[str, Any]]) -> str:
    """Tell in plain words which potentials are worth it.

    Parameters
    ----------
    rows : list of dict
        Rows.

    Returns
    -------
    str
        Those that no other beats in the errors of the forces at a cost at most 10 % higher, from
        the most accurate to the cheapest; then the others.
    """
    known = [(row["errors"]["all"]["forces"], row["cost_large"] or row["cost"], row["name"])
             for row in rows if row["cost"] is not None]  # fmt: skip
    best = [
        one for one in sorted(known)
        if not any(other[0] < one[0] and other[1] <= 1.1 * one[1] for other in known)
    ]  # fmt: skip
    first, *others = [f"{name} ({error:.3f} eV/Å, {cost:.0f} µs)" for error, cost, name in best]
    text = f"Most accurate in the forces: {first}."
    if others:
        text += f" Worth it if that is too slow: {', '.join(others)}."
    left = [name for error, cost, name in sorted(known) if (error, cost, name) not in best]
    if left:
        text += f" Not worth it, since one of these is better and as fast: {', '.join(left)}."
    return text + "\n"


def draw(folder: Path) -> None:
    """Draw errors of the forces and of the energy against cost, for all elements in the folder.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the results.
    """
    found = {e: json.loads((folder / e / "published.json").read_text())["rows"]
             for e in MARKS if (folder / e / "published.json").exists()}  # fmt: skip
    figure = new_figure(9.5, 3.7 * len(found))
    grid = figure.subplots(len(found), 2, squeeze=False)
    for axes, (element, rows) in zip(grid, found.items(), strict=True):
        for ax, quantity, mark in zip(axes, ("forces", "energy"), (1, 0), strict=True):
            limit = MARKS[element]
            ax.axhline(limit[mark], color="0.6", lw=0.8, ls="--")
            ax.axvline(limit[2], color="0.6", lw=0.8, ls="--")
            for row in rows:
                value = row["errors"]["all"][quantity]
                ours = not row["name"].endswith(("(Zuo)", "(zero-shot)"))
                color = COLORS[0] if ours else COLORS[1]
                if row["cost"] is None:
                    ax.axhline(value, color=color, lw=0.8, ls=":")
                    ax.annotate(row["name"], (0.99, value), ha="right", va="bottom", fontsize=7,
                                xycoords=("axes fraction", "data"))  # fmt: skip
                else:
                    place = row["cost_large"] or row["cost"], value
                    ax.plot(*place, "o" if ours else "s", color=color, ms=5)
                    ax.annotate(row["name"], place, (4, 3), fontsize=7,
                                textcoords="offset points")  # fmt: skip
            unit = "eV/Å" if quantity == "forces" else "meV/atom"
            ax.set(xscale="log", yscale="log", title=element,
                   xlabel="µs per atom and step (LAMMPS, one core, 4,000 atoms)",
                   ylabel=f"{quantity} RMSE ({unit})")  # fmt: skip
            low, high = ax.get_xlim()
            ax.set_xlim(low * 0.8, high * 2.5)
            tidy(ax)
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            ax.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    save_figure(figure, folder / "published.png", dpi=100)


def main() -> None:
    """Train, test, measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--element", choices=sorted(MARKS), default="Mo", help="(%(default)s)")
    add("--data", type=Path, default=DATA, help="folder of the sets (%(default)s)")
    add("--networks", nargs="+", choices=(*DESCRIPTORS, "teacher"), default=(),
        help="networks (none)")  # fmt: skip
    add("--seeds", type=int, default=1, help="of se_e2_a and dpa1 (%(default)s)")
    add("--steps", type=int, help="of se_e2_a and dpa1 (that of se_e2_a.json)")
    add("--epochs", type=int, help="of the teacher (its profile's)")
    add("--start", help="universal model that the teacher starts from (none: MACE from nothing)")
    add("--teach", type=int, default=0, help="bred frames that the teacher labels (%(default)s)")
    add("--frames", type=int, help="training frames at most (all)")
    add("--small", action="store_true", help="leave out the cost of 4,000 atoms")
    add("--seconds", type=float, default=5.0, help="of each measurement of the cost (%(default)s)")
    args = parser.parse_args()
    if args.teach and "teacher" not in args.networks:
        parser.error(f"--teach {args.teach}: needs the teacher; add --networks teacher")
    element, folder = args.element, args.folder / args.element
    folder.mkdir(parents=True, exist_ok=True)
    train = read_set(f"mlearn/{element}_training", args.data)
    if args.frames:
        train = train[:: -(-len(train) // args.frames)]
    test = read_set(f"mlearn/{element}_test", args.data)

    models: dict[str, tuple[list[Any], list[str] | None]] = {}
    for name, kind in (("SNAP (Zuo)", "snap"), ("qSNAP (Zuo)", "qsnap")):
        lines = published_lines(element, kind)
        models[name] = [LammpsPotential(lines, element)], lines
    for path in sorted(folder.glob("*.npz")):
        models[path.stem] = [dict(np.load(path))], None
    for name, model in fit_linear(train, test, folder).items():
        models[name] = [model], model.commands
    for name in sorted(set(args.networks) - {"teacher"}):
        students = networks(name, train, folder, args.seeds, args.steps)
        lines = [f'pair_style deepmd "{students[0].compressed.resolve()}"', "pair_coeff * *"]
        models[name] = [open_student(student) for student in students], lines
    if "teacher" in args.networks:
        calculator = teacher(train, folder, args.epochs, args.start)
        name = "TensorNet" if args.start else "MACE"
        first, second = (predict(model, test) for model in (calculator, models["POD large"][0][0]))
        models[f"{name} teacher"] = [first], None
        mean = {key: (first[key] + second[key]) / 2 for key in ("energy", "forces")}
        models[f"mean of {name} and POD large"] = [mean], None
        if args.teach:
            model = taught(train, test, folder, element, calculator, name, args.teach)
            models[f"POD taught by {name}"] = [model], model.commands

    path = folder / "published.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    known = {row["name"]: row for row in before}
    rows = []
    for name, (each, lines) in models.items():
        old = known.get(name, {})
        rows.append(row_of(name, each, lines, test, element, args.seconds, not args.small, old))
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)
        write_json(path, {
            "element": element, "training_frames": len(train), "test_frames": len(test),
            "rows": rows + [row for row in before if row["name"] not in models],
        })  # fmt: skip
    rows += [row for row in before if row["name"] not in models]
    text = advice(rows)
    with atomic_write(folder / "published.md") as file:
        file.write(f"{markdown(rows)}\n{text}")
    print(f"{element}: {text}", end="")
    draw(args.folder)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Learn from an MD trajectory or from the landscape: one model, equal numbers of frames, one test.

python library.py && python md_or_landscape.py

The same model is trained on frames of a melt and quench, drawn at random, and on frames spread
evenly over PolymorphGen's library. Both are tested on strained, compressed and expanded crystals in
cells of the landscape that neither source has a frame in, and by elastic constants and the equation
of state under large compression, compared with the potential of all labels. An interrupted run
resumes.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import ase.io
import matplotlib
import numpy as np
from ase import Atoms
from ase.build import bulk, find_optimal_cell_shape, make_supercell
from ase.neighborlist import neighbor_list
from library import ALUMINIUM, POTENTIAL, label

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.distillation.scaling import (
    Trial,
    learning_curve,
    mean_and_spread,
    model_settings,
    random,
    trainer,
    uniform,
)
from ase_calculators.figures import COLORS, save_figure, tidy
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import validate

matplotlib.use("Agg")
import matplotlib.pyplot as plt

MAX_ENERGY = 1.0  # eV per atom above the lowest test frame; frames beyond do not test a metal
CELL = (0.1, 0.005)  # a test frame's cell of this size holds no frame of either source
CONSTANTS = ("C11", "C12", "C44")
# Al_mm's own pressure falls below 0.82 of its volume and explodes below 0.75 (validation)
PROPERTIES = {
    "elastic_constants": {},
    "equation_of_state": {"n_curve": 11, "compression": 0.82, "expansion": 1.22},
}
SETS = ("MD", "landscape")
LATTICES = {"fcc": 16.5, "bcc": 17.0, "hcp": 16.6, "sc": 20.0}  # Å^3 per atom


def strained_crystals(n: int, seed: int) -> list[Atoms]:
    """Make crystals that are strained by up to 12 %, at 0.82 to 1.25 of their volume, and rattled.

    Parameters
    ----------
    n : int
        Number of crystals.
    seed : int
        Random seed.

    Returns
    -------
    list of ase.Atoms
        Crystals of about 32 atoms, none nearer to another than 2.3 Å.
    """
    rng = np.random.default_rng(seed)
    perfect = {}
    for name in LATTICES:
        unit = bulk("Al", name, a=4.0, **({"c": 6.53} if name == "hcp" else {}))
        perfect[name] = make_supercell(
            unit, find_optimal_cell_shape(unit.cell, 32 // len(unit), "sc")
        )
    found: list[Atoms] = []
    while len(found) < n:
        name = list(LATTICES)[len(found) % len(LATTICES)]
        atoms = perfect[name].copy()
        strain = rng.uniform(-0.12, 0.12, (3, 3))
        F = np.eye(3) + 0.5 * (strain + strain.T)
        volume = LATTICES[name] * rng.uniform(0.82, 1.25) * len(atoms)
        cell = atoms.cell.array @ F
        atoms.set_cell(cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3), scale_atoms=True)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.3), atoms.positions.shape)
        if len(neighbor_list("i", atoms, 2.3)) == 0:
            found.append(atoms)
    return found


def cells(table: LandscapeTable) -> set[tuple[float, float]]:
    """Return the cells that a table's frames lie in.

    Parameters
    ----------
    table : LandscapeTable
        The frames.

    Returns
    -------
    set of (float, float)
        Their numbers along sS and Q.
    """
    return set(map(tuple, np.floor(np.column_stack((table.sS, table.Q)) / CELL).tolist()))


def judged(report: object) -> dict[str, float]:
    """Return the numbers of a validation that are compared.

    Parameters
    ----------
    report : Report
        Report of `validate`.

    Returns
    -------
    dict of str to float
        Elastic constants and pressures in GPa; those that failed are missing.
    """
    found = {name: report.values[name] for name in CONSTANTS if name in report.values}
    curve = report.records["equation_of_state"]["data"]
    if curve:
        pairs = zip(curve["V/V0"], curve["pressure"], strict=True)
        found |= {f"P({x:.3f})": P for x, P in pairs}
    return found


def draw(
    records: list[dict], reference: dict, tables: dict[str, LandscapeTable], path: Path
) -> None:
    """Draw the places of the frames, the errors, the elastic constants and the pressure.

    Parameters
    ----------
    records : list of dict
        Records that `learning_curve` has returned so far.
    reference : dict
        The labelling potential's `judged`.
    tables : dict of str to LandscapeTable
        Landscapes of each source and of the test frames.
    path : pathlib.Path
        Figure file.
    """
    figure, axes = plt.subplots(2, 2, figsize=(8.6, 7.0), layout="constrained")
    colors = dict(zip(SETS, COLORS, strict=False))
    ax = axes[0, 0]
    for name, table in tables.items():
        ax.plot(table.sS, table.Q, ".", ms=3, mew=0, color=colors.get(name, "k"), label=name,
                zorder=1 + (name == "test"))  # fmt: skip
    ax.set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    ax.legend(frameon=False, fontsize=8, markerscale=3, loc="lower left")
    ax = axes[0, 1]
    kinds = [("energy", "all"), ("energy", "compressed"), ("forces", "all"),
             ("forces", "compressed"), ("virial", "all"), ("virial", "compressed")]  # fmt: skip
    for k, name in enumerate(SETS):
        bars = np.array([
            points[name][0, 1:3] if name in (points := mean_and_spread(records, "errors", g, q))
            else (np.nan, 0) for q, g in kinds
        ])  # fmt: skip
        ax.bar(np.arange(len(kinds)) + 0.38 * (k - 0.5), bars[:, 0], 0.36, yerr=bars[:, 1],
               capsize=3, color=colors[name], label=name)  # fmt: skip
    ax.set_xticks(range(len(kinds)), [f"{q}\n{g}" for q, g in kinds], fontsize=7)
    ax.set(ylabel="RMSE (meV/atom, meV/Å)", yscale="log")
    ax = axes[1, 0]
    for k, name in enumerate(SETS):
        bars = np.array([
            points[name][0, 1:3] if name in (points := mean_and_spread(records, "judged", c))
            else (np.nan, 0) for c in CONSTANTS
        ])  # fmt: skip
        ax.bar(np.arange(3) + 0.38 * (k - 0.5), bars[:, 0], 0.36, yerr=bars[:, 1], capsize=3,
               color=colors[name])  # fmt: skip
    for k, name in enumerate(CONSTANTS):
        ax.plot([k - 0.42, k + 0.42], [reference[name]] * 2, "k-", lw=1.6)
    ax.set_xticks(range(3), CONSTANTS)
    ax.set_ylabel("GPa")
    ax = axes[1, 1]
    at = sorted(key for key in reference if key.startswith("P("))
    x = [float(key[2:-1]) for key in at]
    for record in records:
        y = [record["judged"].get(key) for key in at]
        if None not in y:
            ax.plot(x, y, "-", lw=0.9, color=colors[record["name"]])
    ax.plot(x, [reference[key] for key in at], "k--", lw=1.4, label="labelling potential")
    ax.set(xlabel="V / V0", ylabel="pressure (GPa)")
    low, high = min(reference[key] for key in at), max(reference[key] for key in at)
    ax.set_ylim(2 * low, 1.4 * high)
    ax.legend(frameon=False, fontsize=8)
    for ax in axes.ravel():
        tidy(ax)
    save_figure(figure, path, dpi=100)
    plt.close(figure)


def arguments() -> argparse.Namespace:
    """Read the command line.

    Returns
    -------
    argparse.Namespace
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--library", type=Path, default=Path("library"), help="folder of library.py (%(default)s)"
    )
    parser.add_argument("--frames", type=int, default=200, help="of each set (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="models of each (%(default)s)")
    parser.add_argument(
        "--test", type=int, default=400, help="crystals made to test with (%(default)s)"
    )
    parser.add_argument("--model", default="student", choices=("student", "teacher"))
    parser.add_argument("--profile", default="small", help="of the model (%(default)s)")
    parser.add_argument("--steps", type=int, default=4000, help="of a student (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="models at once (%(default)s)")
    parser.add_argument(
        "--output", type=Path, default=Path("md_or_landscape"), help="(%(default)s)"
    )
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: must be 1 or more")
    for name in ("library", "trajectory"):
        if not (args.library / f"{name}.extxyz").is_file():
            parser.error(f"--library {args.library}: has no {name}.extxyz; run library.py")
    return args


def outside(
    crystals: list[Atoms], calc: EntropySymmetry, tables: dict[str, LandscapeTable]
) -> tuple[list[Atoms], int]:
    """Return the crystals of low energy in cells of the landscape that hold no frame of a source.

    Parameters
    ----------
    crystals : list of ase.Atoms
        Labelled crystals.
    calc : EntropySymmetry
        The parameters of the landscape.
    tables : dict of str to LandscapeTable
        Landscapes of the sources.

    Returns
    -------
    (list of ase.Atoms, int)
        Test frames, and the number of crystals of low energy.
    """
    table = map_landscape(crystals, calc, progress=False)
    taken = set().union(*map(cells, tables.values()))
    place = np.floor(np.column_stack((table.sS, table.Q)) / CELL)
    energies = np.array([atoms.get_potential_energy() / len(atoms) for atoms in crystals])
    low = energies < energies.min() + MAX_ENERGY
    test = [
        crystals[k] for k, cell in zip(table.frame, place.tolist(), strict=True)
        if tuple(cell) not in taken and low[k]
    ]  # fmt: skip
    return test, int(low.sum())


def results(records: list[dict], reference: dict, groups: Iterable[str]) -> list[str]:
    """Return the lines of the table of errors and properties.

    Parameters
    ----------
    records : list of dict
        Records that `learning_curve` has returned.
    reference : dict
        The labelling potential's `judged`.
    groups : iterable of str
        Parts of the test frames.

    Returns
    -------
    list of str
        Lines in Markdown.
    """
    lines = [f"| quantity | labels' potential | {' | '.join(SETS)} |", "|---" * 4 + "|"]
    rows = [(f"RMSE {q}, {g}", ("errors", g, q), None) for q in ("energy", "forces", "virial")
            for g in ("all", *groups)]  # fmt: skip
    compressed = min(key for key in reference if key.startswith("P("))
    rows += [(f"{c} (GPa)", ("judged", c), reference[c]) for c in (*CONSTANTS, compressed)]
    for name, path, known in rows:
        points = mean_and_spread(records, *path)
        text = [
            f"{points[s][0, 1]:.4g} ± {points[s][0, 2]:.2g}".replace(" ± nan", "")
            if s in points
            else ""
            for s in SETS
        ]
        lines.append(f"| {name} | {'' if known is None else f'{known:.4g}'} | {' | '.join(text)} |")
    return lines


def main() -> None:
    """Choose, train, test, validate, draw and print the results."""
    args = arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    calc = EntropySymmetry(**ALUMINIUM)
    sources = {
        "MD": ase.io.read(args.library / "trajectory.extxyz", ":"),
        "landscape": ase.io.read(args.library / "library.extxyz", ":"),
    }
    tables = {name: map_landscape(frames, calc) for name, frames in sources.items()}
    label(strained_crystals(args.test, 1), args.output / "test.extxyz", args.test)
    test, n_low = outside(ase.io.read(args.output / "test.extxyz", ":"), calc, tables)
    if not test:
        raise SystemExit(f"--test {args.test}: none lies outside both sources; make more")
    volumes = np.array([a.get_volume() / len(a) for a in test])
    groups = {"compressed": volumes < 15.0, "not compressed": volumes >= 15.0}
    groups = {name: mask for name, mask in groups.items() if mask.any()}

    settings = model_settings(args.model, args.profile, args.steps)
    try:
        known = validate(
            POTENTIAL, "Al", "fcc", PROPERTIES, workdir=args.output / "reference",
            settings=PROPERTIES, progress=False,
        )  # fmt: skip
        reference = judged(known)

        def judge(model: object, folder: Path) -> dict[str, float]:
            try:
                return judged(validate(
                    model, "Al", "fcc", PROPERTIES, known, folder / "validation", PROPERTIES,
                    progress=False,
                ))  # fmt: skip
            except (ValueError, RuntimeError) as error:  # such as a model without fcc
                print(f"\n{folder}: {error}")
                return {}

        train = trainer(args.model, args.profile, args.steps)
        first = {"MD": 0, "landscape": len(sources["MD"])}
        frames = sources["MD"] + sources["landscape"]
        records: list[dict] = []
        for seed in range(1, args.seeds + 1):
            chosen = {
                "MD": random(tables["MD"], args.frames, seed),
                "landscape": uniform(tables["landscape"], args.frames, seed),
            }
            trials = [
                Trial(name, first[name] + tables[name].frame[rows], seed)
                for name, rows in chosen.items()
            ]
            records += learning_curve(
                trials, frames, test, train, args.output, groups, settings, judge=judge,
                processes=args.processes,
            )  # fmt: skip
            shown = dict(tables)
            shown["test"] = map_landscape(test, calc, progress=False)
            draw(records, reference, shown, args.output / "md_or_landscape.png")
    except (ValueError, ImportError, OSError, ArithmeticError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    lines = [
        f"{len(test)} of {n_low} test frames lie outside both sources, "
        f"{np.sum(volumes < 15.0)} of them compressed (below 15 Å^3 per atom)", "",
        *results(records, reference, groups),
    ]  # fmt: skip
    text = "\n".join(lines)
    with atomic_write(args.output / "md_or_landscape.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

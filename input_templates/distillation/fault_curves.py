#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draw generalized stacking and planar fault energies of models over those of the labels.

python fault_curves.py labels.extxyz --model DNN=DNN-1 --model MACE=teacher
python fault_curves.py labels.extxyz --model "EAM=pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"

The labels are stacks with names, such as those of al_faults_pbe: fcc, intrinsic and extrinsic
fault (isf, esf), steps of the path from fcc to the first (gsf), from there to the second (gpf2) and
on to the third plane (gpf3). No atom relaxes. Models are those of compare.py; several of one name,
such as the seeds of a student, are drawn as their mean and spread. Writes fault_curves.png and .md.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from compare import named

from ase_calculators.distillation.models import Model
from ase_calculators.figures import save_figure
from ase_calculators.frame_source import read_frames
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import stacking_faults

# place along the path, in steps of a/6 <112>, at which each kind of stack begins
BEGIN = {"fcc": 0.0, "gsf": 0.0, "isf": 1.0, "gpf2": 1.0, "esf": 2.0, "gpf3": 2.0}
NAMED = {0.5: "USF", 1.0: "ISF", 1.5: "UTF", 2.0: "ESF"}


def path_of(frames: Sequence[Atoms], lattice: float) -> tuple[np.ndarray, list[Atoms]]:
    """Return the stacks of one lattice constant along the path, fcc first.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        Labelled stacks.
    lattice : float
        Lattice constant, Å.

    Returns
    -------
    ((n,) array, list of ase.Atoms)
        Places, ascending, and the stacks.

    Raises
    ------
    ValueError
        If there is no fcc among them.
    """
    found = {}
    pattern = re.compile(rf"(\w+)(?: t=([\d.]+))? a={lattice:g}(?: d=1\.0)?")
    for atoms in frames:
        match = pattern.fullmatch(str(atoms.info.get("name", "")))
        if match and match[1] in BEGIN and float(match[2] or 0.0) <= 1.0:
            found[BEGIN[match[1]] + float(match[2] or 0.0)] = atoms
    if 0.0 not in found:
        raise ValueError(f"lattice = {lattice:g}: no stack is named 'fcc a={lattice:g} d=1.0'")
    places = sorted(found)
    return np.array(places), [found[place] for place in places]


def twinnability(places: np.ndarray, curve: np.ndarray) -> float:
    """Return the twinnability of a curve.

    Parameters
    ----------
    places : (n,) array
        Places.
    curve : (n,) array
        Energies, mJ/m^2.

    Returns
    -------
    float
        As `validate` has it; NaN if USF, ISF or UTF is missing.
    """
    at = dict(zip(places.tolist(), curve.tolist(), strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        return stacking_faults.twinnability(
            *(np.float64(at.get(place, np.nan)) for place in (0.5, 1.0, 1.5))
        )


def table(places: np.ndarray, curves: dict[str, np.ndarray]) -> str:
    """Return the table of all curves.

    Parameters
    ----------
    places : (n,) array
        Places.
    curves : dict of str to (m, n) array
        Curves of each model; those of the labels first.

    Returns
    -------
    str
        The text.
    """
    columns = [place for place in NAMED if place in places]
    heads = [*(f"{NAMED[place]}, mJ/m^2" for place in columns), "rms off, mJ/m^2", "twinnability"]
    lines = [f"| model | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    reference = next(iter(curves.values()))[0]
    for name, found in curves.items():
        numbers = [found[:, places == place][:, 0] for place in columns]
        numbers.append(np.sqrt(((found - reference) ** 2).mean(axis=1)))
        numbers.append(np.array([twinnability(places, curve) for curve in found]))
        cells = []
        for values, digits in zip(numbers, [0] * len(columns) + [0, 2], strict=True):
            spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.{digits}f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line, calculate, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", help="labelled stacks")
    parser.add_argument("--model", action="append", required=True, metavar="NAME=MODEL")
    parser.add_argument("--element", default="Al", help="(%(default)s)")
    parser.add_argument("--lattice", type=float, default=4.04, help="Å (%(default)s)")
    parser.add_argument("--source", default="GPAW", help="name of the labels (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("faults"), help="(%(default)s)")
    args = parser.parse_args()
    try:
        places, stacks = path_of(list(read_frames(args.labels)), args.lattice)
        curves = {args.source: stacking_faults.fault_energies(stacks)[None]}
        for name, model in named("--model", args.model):
            calculator = Model(name, model, args.element).calculator
            curve = stacking_faults.fault_energies(stacks, calculator)
            curves[name] = np.vstack([*curves.get(name, np.empty((0, len(places)))), curve])
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        parser.error(str(error))
    args.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.output / "fault_curves.md") as file:
        file.write(table(places, curves))
    print(table(places, curves))
    figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for number, (name, found) in enumerate(curves.items()):
        style = (
            {"c": "k", "lw": 2, "marker": "o"} if not number else {"c": f"C{number - 1}", "lw": 1.2}
        )
        spread = found.std(axis=0, ddof=1) if len(found) > 1 else None
        ax.errorbar(places, found.mean(axis=0), spread, label=name, capsize=2, **style)
    for place, name in NAMED.items():
        ax.axvline(place, c="0.9", lw=0.8, zorder=0)
        ax.annotate(name, (place, 1), (0, 2), ("data", "axes fraction"), "offset points",
                    ha="center", fontsize=8)  # fmt: skip
    ax.set_xlabel("shift of the planes, one after the other (a/6 <112>)")
    ax.set_ylabel(r"energy of the fault (mJ/m$^2$)")
    ax.set_ylim(bottom=min(0.0, *(c.min() for c in curves.values())) - 10)
    ax.legend(frameon=False, fontsize=8)
    save_figure(figure, args.output / "fault_curves.png", dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()

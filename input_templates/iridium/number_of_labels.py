#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many labels of the landscape does a student of our own DFT need, alone and beside crystals?

python number_of_labels.py results

Draws 20, 40, 77 of the landscape's cells labelled in tests/reference/ir_pbe, and takes all; learns
from them alone, and together with the stacks, defects and strained crystals. Errors are those of
the test cells; elastic constants are taken at the student's own minimum. Writes
number_of_labels_KIND.json, .md, .png.

Run time of one core: 30 s.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from frames import LATTICE
from learning import CONSTANTS, Learning, elastic, model
from reference_sets import DATA, LEARNED, read_sets
from students import LINEAR, PROFILES, WEIGHTS
from tqdm import tqdm
from wide_or_even import errors_of, right, signs, spread

from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.provenance import atomic_write, write_json
from ase_calculators.validation import read_reference

SETS = ("landscape", "landscape and crystals")


def table(records: list[dict[str, Any]], source: dict[str, float]) -> str:
    """Return the table.

    Parameters
    ----------
    records : list of dict
        Of all students.
    source : dict of str to float
        Elastic constants of the labels.

    Returns
    -------
    str
        Markdown.
    """
    lines = [
        f"| set | cells of the landscape | test: meV/atom | meV/Å | {' | '.join(CONSTANTS)} "
        "| C12 < C44 |", "|" + "---|" * 8,
        f"| **labels** | | | | {' | '.join(f'{source[key]:.0f}' for key in CONSTANTS)} | |",
    ]  # fmt: skip
    for name, n in dict.fromkeys((r["set"], r["n"]) for r in records):
        rows = [r for r in records if (r["set"], r["n"]) == (name, n)]
        crystals = [r["elastic"] for r in rows if r["elastic"]]
        cells = [spread([r["errors"]["test"][q] for r in rows], 0) for q in ("energy", "forces")]
        cells += [spread([C[key] for C in crystals], 0) for key in CONSTANTS]
        brittle = f"{sum(map(right, rows))} of {len(rows)}"
        lines.append(f"| {name} | {n} | {' | '.join(cells)} | {brittle} |")
    return "\n".join(lines) + "\n"


def draw(records: list[dict[str, Any]], source: dict[str, float], path: Path) -> None:
    """Draw errors and C12 - C44 against the number of labels.

    Parameters
    ----------
    records : list of dict
        Of all students.
    source : dict of str to float
        Elastic constants of the labels.
    path : pathlib.Path
        Picture.
    """
    figure = new_figure(11.0, 3.6)
    panels = figure.subplots(1, 3)
    for color, name in zip(COLORS, SETS, strict=False):
        rows = [r for r in records if r["set"] == name]
        for ax, quantity in zip(panels, ("energy", "forces"), strict=False):
            errors_of(ax, rows, "test", color, name, quantity)
        signs(panels[2], rows, color)
    for ax, title in zip(panels, ("energy RMSE (meV/atom)", "forces RMSE (meV/Å)"), strict=False):
        ax.set(yscale="log", ylabel=title, title="test cells")
    panels[2].axhline(source["C12"] - source["C44"], color="0.3", ls="--", lw=1)
    panels[2].axhspan(0, panels[2].get_ylim()[1], color="0.93", lw=0)
    panels[2].set(ylabel="C12 - C44 (GPa)", title="grey: wrong sign; dashed: labels")
    panels[0].legend(frameon=False, fontsize=8)
    for ax in panels:
        ax.set(xlabel="labels of the landscape")
        tidy(ax)
    save_figure(figure, path, dpi=90)


def main() -> None:
    """Read the command line, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--data", type=Path, default=DATA, help="folder of ir_pbe (%(default)s)")
    add("--kind", choices=sorted(LINEAR.values()), default="pod", help="(%(default)s)")
    add("--numbers", type=int, nargs="+", default=[20, 40, 77], help="and all (20 40 77)")
    add("--draws", type=int, default=10, help="of each number (%(default)s)")
    args = parser.parse_args()
    [labelled] = read_sets(parser, args.data, "ir_pbe/labels.extxyz")
    parts = {part: [a for a in labelled if a.info["part"] == part] for part in (*LEARNED, "test")}
    most = len(parts["standard"])
    for number in args.numbers:
        if not 1 <= number < most:
            parser.error(f"--numbers {number}: must be 1 to {most - 1}, the cells less one")
    if args.draws < 1:
        parser.error(f"--draws {args.draws}: must be at least 1")
    learning, frames = Learning(args.kind, PROFILES.get(args.kind, "small")), []
    rows = {}
    for part, cells in parts.items():
        rows[part] = learning.add(cells)
        frames += cells
    learning.equations.shares = [WEIGHTS.get(a.info["part"], 0.0) for a in frames]
    crystals = [row for part in LEARNED if part != "standard" for row in rows[part]]
    students = [(n, k) for n in args.numbers for k in range(args.draws)] + [(most, 0)]
    records = []
    for n, k in tqdm(students, unit=" draws"):
        drawn = np.random.default_rng([k, n]).permutation(most)[:n]
        landscape = [rows["standard"][i] for i in sorted(drawn)]
        for name, learned in zip(SETS, (landscape, landscape + crystals), strict=True):
            fit = learning.equations.fit(learned)
            with TemporaryDirectory() as scratch:
                C = elastic(model(learning.commands(fit, Path(scratch))), LATTICE)
            errors = {"test": learning.equations.rms(fit, rows["test"])}
            records.append({"set": name, "n": n, "draw": k, "errors": errors, "elastic": C})
    records.sort(key=lambda record: SETS.index(record["set"]))
    reference = read_reference("Ir-PBE.json", "Ir")
    source = {key: reference[key]["value"] for key in CONSTANTS}
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"number_of_labels_{args.kind}"
    settings = {"kind": args.kind, "weights": WEIGHTS,
                "parts": {part: len(cells) for part, cells in parts.items()}}  # fmt: skip
    write_json(path.with_suffix(".json"), settings | {"records": records})
    text = table(records, source)
    with atomic_write(path.with_suffix(".md")) as file:
        file.write(text)
    draw(records, source, path.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()

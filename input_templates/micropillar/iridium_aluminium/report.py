#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Report on iridium against aluminium: six claims, each with its number and spread.

python report.py [FOLDER]

reads what run.py wrote to FOLDER (unfinished runs once they are past 13 % of strain), analyses what
is new, and writes report.md and four pictures to FOLDER. 10 s of one core for each pillar of 1,728
atoms.
Needs OVITO: pip install 'entsym[analysis]'.

What is measured of a pillar is in measurements.py and slip_order.py, the judgement of the claims in
verdicts.py, tables and pictures in report_tables.py and report_plots.py.
"""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import report_tables as tables
from measurements import Pillar
from report_plots import draw
from verdicts import verdicts

from ase_calculators.pillar import COLUMNS, PillarTable, analyse_pillar
from ase_calculators.provenance import atomic_write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from analyse import settings

NAME = re.compile(r"(?P<metal>[A-Z][a-z]?)_(?P<temperature>[\d.]+)K_(?P<rate>[^_]+)_(?P<seed>\w+)")
MIN_STRAIN = 0.13  # of a run in the report that goes on: one per cent after iridium's yield


def read_pillars(folder: Path, processes: int) -> tuple[list[Pillar], list[str]]:
    """Read and analyse the runs of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of run.py.
    processes : int
        Number of processes.

    Returns
    -------
    pillars : list of Pillar
        The runs, by metal, rate, temperature and seed.
    left_out : list of str
        Runs that have not come far enough, and how far they are.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    """
    analysed, lengths, left_out = {}, {}, []
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        name, curve = NAME.fullmatch(path.name), path / "stress_strain.txt"
        if not name or not curve.exists():
            continue
        finished, rows = (path / "finished").exists(), curve.read_text().splitlines()[1:-1]
        reached = float(rows[-1].split()[1]) if rows else 0.0
        if not finished and reached < MIN_STRAIN:
            left_out.append(f"{path.name} ({100 * reached:.1f} %)")
            continue
        with warnings.catch_warnings():
            # a run that goes on ends in half a frame; frames that are not fcc are in the report
            warnings.simplefilter("ignore", UserWarning)
            analysed[path] = _with_strain(analyse_pillar(
                path / "pillar.dump", curve, processes=processes, output=path / "pillar.csv",
                progress=False, dislocations=name["seed"] != "perfect",
            ))  # fmt: skip
        if (path / "length.txt").exists():
            length, cells = (path / "length.txt").read_text().split()
            lengths[path] = float(length) / float(cells)
    pillars = []
    for path, table in analysed.items():
        name = NAME.fullmatch(path.name)
        assert name is not None
        if name["seed"] == "perfect":
            continue
        metal, temperature, rate, seed = name.groups()
        perfect, prestrain = path.with_name(f"{path.name.rpartition('_')[0]}_perfect"), 0.0
        if perfect in lengths:
            given = settings(path)
            a, width, height = (float(given[key]) for key in ("a", "width", "height"))
            prestrain = 1 - _length(path) / (round(width * height / a) * lengths[perfect])
        pillars.append(Pillar(
            metal, float(temperature), float(rate), seed, table, analysed.get(perfect), prestrain
        ))  # fmt: skip
    if not pillars:
        raise FileNotFoundError(
            f"folder = {str(folder)!r}: has no run of run.py; start run.py first"
        )
    return sorted(pillars, key=lambda p: (p.metal, p.rate, p.temperature, p.seed)), left_out


def _with_strain(table: PillarTable) -> PillarTable:
    """Return the rows within the curve; the last frame of a run that goes on may be ahead of it."""
    known = np.flatnonzero(np.isfinite(table["strain"]))
    columns = {name: [table[name][k] for k in known] for name in COLUMNS}
    return PillarTable(columns, table.parameters, table.skipped)


def _length(path: Path) -> float:
    """Return the length of the relaxed pillar, Å."""
    with open(path / "pillar.dump", encoding="utf-8") as file:
        for line in file:
            if line.startswith("ITEM: BOX BOUNDS"):
                low, high = [next(file).split() for _ in range(3)][2]
                return float(high) - float(low)
    raise ValueError(f"{path / 'pillar.dump'}: has no box")


def write_report(pillars: Sequence[Pillar], left_out: Sequence[str], folder: Path) -> str:
    """Write report.md and its pictures.

    Parameters
    ----------
    pillars : sequence of Pillar
        All runs. The rate with most runs is the report's, the others are its last table.
    left_out : sequence of str
        Runs that are not among them.
    folder : pathlib.Path
        Folder of the files.

    Returns
    -------
    str
        The report.
    """
    rate = max({p.rate for p in pillars}, key=lambda r: sum(p.rate == r for p in pillars))
    main = [p for p in pillars if p.rate == rate]
    atoms = " and ".join(str(n) for n in sorted({int(p.table["n_atoms"][0]) for p in main}))
    counts = [int(p.table["n_interior"][0]) for p in main]
    interior = f"{min(counts)} to {max(counts)}"
    end = max(float(p.table["strain"][-1]) for p in main)
    lines = [
        "# Iridium against aluminium", "",
        f"{len(main)} pillar{'s' * (len(main) > 1)} of {atoms} atoms ({interior} interior), "
        f"compressed along [001] to {100 * end:.0f} % at {rate:.2g} 1/s. ± is the standard "
        "deviation of the seeds; in the verdicts it is the standard error of all runs. A claim "
        "holds, or does not, if its number is on one side of the limit by two standard errors, or "
        "if all runs say the same.", "",
        *([f"Left out, stopped or not yet past {100 * MIN_STRAIN:.0f} % of strain: "
           f"{', '.join(left_out)}.", ""] if left_out else []),
        "## Verdicts", "",
        *tables.table(
            ("", "claim", "verdict", "number"),
            [(str(k), v.claim, f"**{v.text}**", v.number) for k, v in enumerate(verdicts(main), 1)],
        ),
        "## Order of events", "",
        *tables.order_of_events(main), "![stress and events](order.png)", "",
        "## Twins against slip", "",
        *tables.twins_against_slip(main), "![twins and slip](twins.png)", "",
        "## BCC in the elastic range", "",
        *tables.bcc_content(main), "![BCC](bcc.png)", "",
        "## Transitions between frames", "",
        "Atoms that change, % of the atoms that were there before, over the whole run.", "",
        *tables.transitions(main),
        "## Stacking at the thickest twin", "",
        "Steps of the stacking in the order in which they slipped (1 is the lowest of the twin), "
        "and the letters before the first and after each.", "",
        *tables.stacking(main), "![stacking](stacking.png)", "",
    ]  # fmt: skip
    if len({p.rate for p in pillars}) > 1:
        lines += ["## Rates", "", *tables.rates(pillars)]
    text = "\n".join(lines).rstrip() + "\n"
    draw(main, folder)
    with atomic_write(folder / "report.md") as file:
        file.write(text)
    return text


def main() -> None:
    """Read the command line and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="(%(default)s)")
    args = parser.parse_args()
    try:
        pillars, left_out = read_pillars(args.folder, args.processes)
    except FileNotFoundError as error:
        parser.error(str(error))
    print(write_report(pillars, left_out, args.folder))


if __name__ == "__main__":
    main()

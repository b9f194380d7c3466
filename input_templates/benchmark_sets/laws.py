#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Number law and coverage law on the published frames, and molecular dynamics against landscape.

python laws.py results --element Mo
python laws.py results --element Mo --bred 2700
python laws.py results --element Mo --networks --seeds 3

Number: students of n frames, at random and evenly from the landscape; a power law with a plateau
is fitted. Coverage: students of equally many frames from the share of the pool nearest to the
middle of its landscape, and evenly from there. Sources: students of equally many frames of one
temperature, of all molecular dynamics at random and evenly from its landscape, and evenly from the
landscape of the whole pool. Pool, tests and student (POD of 215 coefficients) are those of
selection.py. Writes ELEMENT/laws.json, laws.md, and laws.png of all elements in the folder.

--bred: pool and tests are that many frames, bred over the landscape and labelled by the published
quadratic SNAP: labels without noise, as many as wanted. Number and coverage only; writes
ELEMENT/laws_bred.json and laws_bred.md, and laws_bred.png of all elements.

--networks: sources again with se_e2_a (se_e2_a.json): all molecular dynamics, at random and evenly,
and the whole pool evenly. Needs the environment of the extra `distillation`; resumes. Writes
ELEMENT/laws_networks.json and laws_networks.md.

Run time of one core: 3 minutes for each element; 10 minutes with --bred 2700, 4 minutes for each of
nine networks of 8,000 steps.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from learning import Learning, draw_curves, with_spread
from published_sets import DATA, LANDSCAPE
from tqdm import tqdm

from ase_calculators.distillation.scaling import (
    fit_knee,
    halvings,
    random,
    uniform,
)
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.provenance import atomic_write, write_json

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
EVEN = ", landscape, even"
NETWORKS = ("all MD", f"all MD{EVEN}", f"whole pool{EVEN}")  # sources of --networks
QUANTITIES = {"energy": "meV/atom", "forces": "meV/Å"}


def sources_of(learning: Learning) -> dict[str, np.ndarray]:
    """Return frames of the pool by where they come from.

    Parameters
    ----------
    learning : Learning
        The pool.

    Returns
    -------
    dict of str to (n,) int64 ndarray
        Numbers of the frames of each temperature, of all molecular dynamics, and of the pool.
    """
    T = np.array([atoms.info.get("temperature", 0) for atoms in learning.pool])
    found = {f"MD {t} K": np.flatnonzero(t == T) for t in sorted(set(T.tolist()) - {0})}
    return found | {"all MD": np.flatnonzero(T > 0), "whole pool": np.arange(len(T))}


def choices(learning: Learning, n: int, seeds: range) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield frames of each source.

    Parameters
    ----------
    learning : Learning
        The pool.
    n : int
        Number of frames, at most.
    seeds : range
        Seeds.

    Yields
    ------
    (str, int, (n,) int64 ndarray)
        Source, seed, numbers of the frames: of each source at random, of all molecular dynamics and
        of the pool evenly from the landscape as well.
    """
    for name, rows in sources_of(learning).items():
        number = min(n, len(rows))
        for seed in seeds:
            yield name, seed, random(learning.table, number, seed, rows)
        if name in ("all MD", "whole pool"):
            for seed in seeds:
                yield f"{name}{EVEN}", seed, uniform(learning.table, number, seed, rows)


def nearest_share(learning: Learning, share: float) -> np.ndarray:
    """Return the frames nearest to the middle of the landscape.

    Parameters
    ----------
    learning : Learning
        The pool.
    share : float
        Share of its frames.

    Returns
    -------
    (n,) int64 ndarray
        Numbers of the frames.
    """
    points = np.column_stack((learning.table.sS, learning.table.Q6))
    distance = (((points - np.median(points, axis=0)) / np.ptp(points, axis=0)) ** 2).sum(axis=1)
    return np.sort(np.argsort(distance)[: max(2, round(share * len(distance)))])


def markdown(records: list[dict[str, Any]], part: str, column: str) -> str:
    """Return a table: mean and standard deviation over the seeds.

    Parameters
    ----------
    records : list of dict
        Records.
    part : {"number", "coverage", "sources"}
        Part.
    column : str
        Heading of the first column.

    Returns
    -------
    str
        Text.
    """
    mine = [record for record in records if record["part"] == part]
    groups = [g for g in ("all", "published", "hot", "strained", "cold") if g in mine[0]["errors"]]
    lines = [f"| {column} | frames | energy, all | " + " | ".join(f"forces, {g}" for g in groups)
             + " |", "|" + "---|" * (3 + len(groups))]  # fmt: skip
    for name, n in dict.fromkeys((record["name"], record["number"]) for record in mine):
        rows = [r["errors"] for r in mine if (r["name"], r["number"]) == (name, n)]
        cells = [with_spread([row["all"]["energy"] for row in rows], 1)]
        cells += [with_spread([row[g]["forces"] for row in rows], 0) for g in groups]
        lines.append(f"| {name} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(folder: Path, name: str) -> None:
    """Draw the laws.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the results.
    name : str
        Name of the files without ending.
    """
    paths = sorted(folder.glob(f"*/{name}.json"))
    figure = new_figure(11.0, 3.5 * len(paths))
    for row, path in enumerate(paths):
        records = json.loads(path.read_text())["records"]
        number = [record for record in records if record["part"] == "number"]
        for column, quantity in enumerate(QUANTITIES):
            ax = figure.add_subplot(len(paths), 3, 3 * row + column + 1)
            draw_curves(ax, number, "all", quantity)
            ax.set(title=path.parent.name,
                   ylabel=f"{quantity} RMSE ({QUANTITIES[quantity]})")  # fmt: skip
            ax.legend(frameon=False, fontsize=8)
            tidy(ax)
        ax = figure.add_subplot(len(paths), 3, 3 * row + 3)
        covered = [record for record in records if record["part"] == "coverage"]
        groups = (
            ("hot", "strained", "cold") if name == "laws" else ("all", "hot", "strained", "cold")
        )
        for color, group in zip(COLORS, groups, strict=False):
            if group not in covered[0]["errors"]:
                continue
            shares = sorted({record["share"] for record in covered})
            label = f"{'bred' if group == 'all' else group} test frames"
            values = [[r["errors"][group]["forces"] for r in covered if r["share"] == share]
                      for share in shares]  # fmt: skip
            ax.errorbar(shares, [np.mean(v) for v in values], color=color, fmt="o-", ms=3.5,
                        yerr=[np.std(v, ddof=1) if len(v) > 1 else 0 for v in values],
                        capsize=2, lw=1.2, label=label)  # fmt: skip
        ax.set(yscale="log", xlabel="share of the pool",
               ylabel="forces RMSE (meV/Å)", title=path.parent.name)  # fmt: skip
        ax.legend(frameon=False, fontsize=8)
        tidy(ax)
    save_figure(figure, folder / f"{name}.png", dpi=90)


def main() -> None:
    """Fit students of more and more frames, of wider and wider parts, and of several sources."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--element", choices=sorted(LANDSCAPE), default="Mo", help="(%(default)s)")
    add("--data", type=Path, default=DATA, help="folder of the sets (%(default)s)")
    add("--least", type=int, default=6, help="frames of the number law (%(default)s)")
    add("--frames", type=int, default=30, help="of coverage and sources (%(default)s)")
    add("--seeds", type=int, default=5, help="(%(default)s)")
    add("--stride", type=int, default=1, help="use one in so many frames (%(default)s)")
    add("--bred", type=int, default=0, help="bred frames in place of the published (%(default)s)")
    add("--networks", action="store_true", help="sources with se_e2_a in place of POD")
    add("--steps", type=int, help="of these networks (that of se_e2_a.json)")
    args = parser.parse_args()
    if args.networks and args.bred:
        parser.error("--networks: learns from the published frames; leave out --bred")
    folder = args.folder / args.element
    file_name = "laws_bred" if args.bred else "laws"
    learning = Learning(args.element, args.data, folder, args.stride, args.bred)
    whole, n_pool = learning.table, len(learning.pool)
    records: list[dict[str, Any]] = []

    def test(part: str, name: str, number: int, seed: int, chosen: Any, **more: Any) -> None:
        records.append({"part": part, "name": name, "number": number, "n": len(chosen),
                        "seed": seed, "errors": learning.errors(chosen), **more})  # fmt: skip

    seeds = range(1, args.seeds + 1)
    if args.networks:
        for seed in seeds:  # seed by seed, so that a run stopped half-way has all sources
            each = choices(learning, args.frames, range(seed, seed + 1))
            for name, _, chosen in tqdm([one for one in each if one[0] in NETWORKS]):
                place = folder / "networks" / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}"
                found = learning.errors_of_network(chosen, seed, args.steps, place)
                records.append({"part": "sources", "name": name, "number": len(chosen),
                                "seed": seed, "steps": args.steps, "errors": found})  # fmt: skip
                write_json(folder / "laws_networks.json", {"records": records})
        text = markdown(records, "sources", "source")
        with atomic_write(folder / "laws_networks.md") as file:
            file.write(text)
        print(text)
        return
    for number in halvings(n_pool, args.least):
        for seed in seeds if number < n_pool else (1,):
            test("number", "random", number, seed, random(whole, number, seed))
            test("number", "landscape, even", number, seed, uniform(whole, number, seed))
    for share in SHARES:
        rows = nearest_share(learning, share)
        number = min(args.frames, len(rows))
        for seed in seeds:
            chosen = uniform(whole, number, seed, rows)
            test("coverage", f"{share:.0%}", number, seed, chosen, share=share)
    for name, seed, chosen in () if args.bred else choices(learning, args.frames, seeds):
        test("sources", name, len(chosen), seed, chosen)

    knees = {}
    for name in ("random", "landscape, even"):
        mine = [r for r in records if r["part"] == "number" and r["name"] == name]
        for quantity in QUANTITIES:
            if len({r["n"] for r in mine}) >= 4:
                values = [r["errors"]["all"][quantity] for r in mine]
                knees[f"{name}, {quantity}"] = str(fit_knee([r["n"] for r in mine], values))
    resolution = learning.resolution(range(n_pool))
    write_json(folder / f"{file_name}.json", {
        "pool": n_pool, "records": records, "knees": knees, "resolution": resolution,
    })  # fmt: skip
    headings = {"number": "choice", "coverage": "share", "sources": "source"}
    parts = dict.fromkeys(record["part"] for record in records)
    text = "\n".join([
        *(markdown(records, part, headings[part]) for part in parts),
        *(f"- {name}: {knee}" for name, knee in knees.items()),
        f"- standard error of the forces' error from {learning.groups['all'].sum()} test frames: "
        f"{100 * resolution:.1f} %", "",
    ])  # fmt: skip
    with atomic_write(folder / f"{file_name}.md") as file:
        file.write(text)
    print(f"{args.element}: pool of {n_pool} frames, {len(learning.tests)} for testing\n\n{text}")
    draw(args.folder, file_name)


if __name__ == "__main__":
    main()

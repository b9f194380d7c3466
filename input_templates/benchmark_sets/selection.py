#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Choose frames of one pool in several ways, and compare the students that learn from them.

python selection.py results --element Mo

The pool is three quarters of the published frames; the others and mlearn's test set are for tests.
Ways: at random; evenly from the landscape; farthest points of the landscape; farthest points of
(sS, Q4, Q6, Q8); coverage of the landscape of atoms (local sS and q6: each frame adds the most new
cells); farthest points of the mean SOAP, if DScribe is installed; and the choices of peers.py in
the folder. Same student each time, POD of 215 coefficients. Writes ELEMENT/selection.json and
selection.md, and selection.png of all elements in the folder.

Run time of one core: 2 minutes for each element.
"""

import argparse
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from learning import Learning, draw_curves, with_spread
from matplotlib.ticker import NullLocator, ScalarFormatter
from published_sets import DATA, LANDSCAPE

from ase_calculators import EntropySymmetry
from ase_calculators.distillation.scaling import farthest_point, random, uniform
from ase_calculators.figures import new_figure, save_figure, tidy
from ase_calculators.provenance import atomic_write, write_json

CELL = (0.25, 0.02)  # of the landscape of atoms
GROUPS = ("published", "hot", "strained")


def farthest(features: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Choose points one after the other, each farthest from those before it.

    Parameters
    ----------
    features : (n_frames, n_features) ndarray
        Points.
    n : int
        Number of points.
    seed : int
        Random seed of the first.

    Returns
    -------
    (n,) int64 ndarray
        Numbers of the points.
    """
    chosen = [int(np.random.default_rng(seed).integers(len(features)))]
    distance = np.full(len(features), np.inf)
    while len(chosen) < n:
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def covering(cells: list[set[tuple[int, int]]], n: int, seed: int) -> np.ndarray:
    """Choose frames one after the other, each with the most cells that none before it has.

    Parameters
    ----------
    cells : list of set
        Cells in which the atoms of each frame are.
    n : int
        Number of frames.
    seed : int
        Random seed of the order of frames that add equally many. When no frame adds a cell, the
        cells count from nothing again.

    Returns
    -------
    (n,) int64 ndarray
        Numbers of the frames.
    """
    order = np.random.default_rng(seed).permutation(len(cells)).tolist()
    chosen: list[int] = []
    covered: set[tuple[int, int]] = set()
    while len(chosen) < n:
        left = [k for k in order if k not in chosen]
        best = max(left, key=lambda k: len(cells[k] - covered))
        if covered and not cells[best] - covered:
            covered = set()
            continue
        covered |= cells[best]
        chosen.append(best)
    return np.array(chosen)


def ways_of(learning: Learning) -> dict[str, Callable[[int, int], Any]]:
    """Return the ways to choose, each a function of number and seed.

    Parameters
    ----------
    learning : Learning
        The pool.

    Returns
    -------
    dict of str to callable
        The ways.
    """
    table, settings = learning.table, LANDSCAPE[learning.element]
    columns, cells = [table.sS], []
    for degree in (4, 6, 8):
        calc = EntropySymmetry(**settings, degree=degree)
        columns.append(calc.evaluate(learning.pool)[f"Q{degree}"])
    features = np.column_stack(columns)
    features = features / np.ptp(features, axis=0)
    calc = EntropySymmetry(**settings)
    for atoms in learning.pool:
        calc.calculate(atoms, ["local_sS", "local_q6"])
        each = np.column_stack((calc.results["local_sS"], calc.results["local_q6"]))
        cells.append({(int(s), int(q)) for s, q in np.floor(each / CELL)})
    ways: dict[str, Callable[[int, int], Any]] = {
        "random": lambda n, seed: random(table, n, seed),
        "landscape, even": lambda n, seed: uniform(table, n, seed),
        "landscape, farthest": lambda n, seed: farthest_point(table, n, seed),
        "sS Q4 Q6 Q8, farthest": lambda n, seed: farthest(features, n, seed),
        "atoms' landscape": lambda n, seed: covering(cells, n, seed),
    }
    if find_spec("dscribe"):
        from dscribe.descriptors import SOAP

        soap = SOAP(species=[learning.element], r_cut=5.0, n_max=6, l_max=4, sigma=0.5,
                    periodic=True, average="outer")  # fmt: skip
        means = np.array([soap.create(atoms) for atoms in learning.pool])
        ways["SOAP, farthest"] = lambda n, seed: farthest(means, n, seed)
    return ways


def draw(folder: Path) -> None:
    """Draw the errors of the forces against the number of frames.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the results.
    """
    paths = sorted(folder.glob("*/selection.json"))
    figure = new_figure(11.0, 3.5 * len(paths))
    grid = figure.subplots(len(paths), len(GROUPS), squeeze=False)
    for axes, path in zip(grid, paths, strict=True):
        records = json.loads(path.read_text())["records"]
        for ax, group in zip(axes, GROUPS, strict=True):
            if group not in records[0]["errors"]:
                continue
            draw_curves(ax, records, group, "forces")
            ax.set(ylabel="forces RMSE (meV/Å)",
                   title=f"{path.parent.name}, {group} test frames")  # fmt: skip
            ticks = sorted({record["number"] for record in records})
            ax.set_xticks(ticks, [str(n) for n in ticks])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_minor_formatter(ScalarFormatter())
            ax.tick_params(axis="y", which="both", labelsize=7)
            tidy(ax)
    grid[0, 0].legend(frameon=False, fontsize=7)
    save_figure(figure, folder / "selection.png", dpi=80)


def markdown(records: list[dict[str, Any]]) -> str:
    """Return the table: mean and standard deviation over the seeds.

    Parameters
    ----------
    records : list of dict
        Records.

    Returns
    -------
    str
        Text.
    """
    numbers = sorted({record["number"] for record in records})
    lines = [f"| way | test frames | {' | '.join(map(str, numbers))} |",
             "|" + "---|" * (2 + len(numbers))]  # fmt: skip
    for group in GROUPS:
        for name in dict.fromkeys(record["name"] for record in records):
            cells = []
            for number in numbers:
                mine = [r["errors"] for r in records if (r["name"], r["number"]) == (name, number)]
                values = [errors[group]["forces"] for errors in mine if group in errors]
                cells.append(with_spread(values, 0) if values else "")
            lines.append(f"| {name} | {group} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Choose, fit, test, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--element", choices=sorted(LANDSCAPE), default="Mo", help="(%(default)s)")
    add("--data", type=Path, default=DATA, help="folder of the sets (%(default)s)")
    add("--numbers", type=int, nargs="+", default=[25, 50, 100, 200], help="(%(default)s)")
    add("--seeds", type=int, default=3, help="(%(default)s)")
    add("--stride", type=int, default=1, help="use one in so many frames (%(default)s)")
    args = parser.parse_args()
    folder = args.folder / args.element
    learning = Learning(args.element, args.data, folder, args.stride)
    records: list[dict[str, Any]] = []

    def test(name: str, number: int, seed: int, chosen: Any) -> None:
        errors = learning.errors(chosen)
        records.append({"name": name, "number": number, "n": len(chosen), "seed": seed,
                        "errors": errors})  # fmt: skip

    ways = ways_of(learning)
    for number in args.numbers:
        if number >= len(learning.pool):
            continue
        for name, way in ways.items():
            for seed in range(1, args.seeds + 1):
                test(name, number, seed, way(number, seed))
    for path in sorted(folder.glob("*.choice.json")):
        for number, chosen in json.loads(path.read_text()).items():
            if int(number) in args.numbers:
                test(path.name.removesuffix(".choice.json"), int(number), 1, chosen)
    all_of_it = learning.errors(range(len(learning.pool)))
    write_json(folder / "selection.json", {"pool": len(learning.pool), "records": records,
                                           "whole_pool": all_of_it})  # fmt: skip
    with atomic_write(folder / "selection.md") as file:
        file.write(markdown(records))
    print(f"{args.element}: pool of {len(learning.pool)} frames, {len(learning.tests)} for testing")
    print(f"all of the pool: {all_of_it}")
    print(markdown(records))
    draw(args.folder)


if __name__ == "__main__":
    main()

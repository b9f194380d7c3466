#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Learn iridium from aluminium's configurations with its atoms replaced, or from its own.

python substitution.py results                      SNAP
python substitution.py results --kind pod           POD

Both sources are landscapes of small cells that were bred for DFT (tests/reference/al_pbe and
ir_pbe). Aluminium's get iridium atoms and its volume. Each draw has equally many cells of each size
from both, and one potential labels all: Baskes's MEAM. Tests: iridium's own test cells, which were
bred with another seed, and the test frames of wide_or_even.py. Writes substitution_KIND.json, .md
and .png.

Run time of one core: 1 minute.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from frames import LATTICE, MEAM, hot_liquid, label, made, strained
from learning import CONSTANTS, Learning, elastic, model
from reference_sets import DATA, read_sets
from wide_or_even import OTHER_SEED, errors_of, right, spread

from ase_calculators.distillation.linear_students import KINDS
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.provenance import atomic_write, write_json
from ase_calculators.substitution import substitute

SETS = ("aluminium's, substituted", "iridium's own")
TESTS = ("landscape", "liquid", "strained")


def drawn(sizes: np.ndarray, shares: dict[int, float], n: int, rng: np.random.Generator) -> Any:
    """Draw cells with given shares of each size.

    Parameters
    ----------
    sizes : (n_cells,) int64 ndarray
        Atoms of each cell.
    shares : dict of int to float
        Share of each size.
    n : int
        Number of cells.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of int
        About n numbers of cells.
    """
    chosen: list[int] = []
    for size, share in shares.items():
        rows = np.flatnonzero(sizes == size)
        chosen += rng.choice(rows, min(len(rows), round(share * n)), replace=False).tolist()
    return chosen


def table(records: list[dict[str, Any]], source: dict[str, float]) -> str:
    """Return the table.

    Parameters
    ----------
    records : list of dict
        Records of the students.
    source : dict of str to float
        Elastic constants of the labels.

    Returns
    -------
    str
        Markdown, a row for each set and number.
    """
    lines = [
        "| cells | number | landscape: meV/atom | meV/Å | liquid: meV/atom | meV/Å "
        "| strained: meV/atom | meV/Å | C11 | C12 | C44 | right sign |",
        "|" + "---|" * 12,
        "| **labels** | | | | | | | | "
        + " | ".join(f"{source[key]:.0f}" for key in CONSTANTS) + " | |",
    ]  # fmt: skip
    for n in dict.fromkeys(r["n"] for r in records):
        for name in SETS:
            rows = [r for r in records if (r["set"], r["n"]) == (name, n)]
            cells = [spread([r["errors"][test][q] for r in rows], 0)
                     for test in TESTS for q in ("energy", "forces")]  # fmt: skip
            cells += [spread([r["elastic"][key] for r in rows if r["elastic"]], 0)
                      for key in CONSTANTS]  # fmt: skip
            good = f"{sum(map(right, rows))} of {len(rows)}"
            lines.append(f"| {name} | {n} | {' | '.join(cells)} | {good} |")
    return "\n".join(lines) + "\n"


def draw(records: list[dict[str, Any]], source: dict[str, float], path: Path) -> None:
    """Draw errors and elastic constants.

    Parameters
    ----------
    records : list of dict
        Records.
    source : dict of str to float
        Elastic constants of the labels.
    path : pathlib.Path
        Picture.
    """
    figure = new_figure(11.0, 3.4)
    panels, largest = figure.subplots(1, 3), max(r["n"] for r in records)
    for number, (color, name) in enumerate(zip(COLORS, SETS, strict=False)):
        rows = [r for r in records if r["set"] == name]
        for ax, test in zip(panels[:2], TESTS, strict=False):
            errors_of(ax, rows, test, color, name)
        last = [r["elastic"] for r in rows if r["n"] == largest and r["elastic"]]
        for place, key in enumerate(CONSTANTS):
            values = [C[key] for C in last]
            panels[2].plot(place + 0.2 * (number - 0.5) + np.zeros(len(values)), values, "o",
                           ms=4, color=color)  # fmt: skip
            panels[2].hlines(source[key], place - 0.3, place + 0.3, color="0.3", ls="--", lw=1)
    for ax, title in zip(panels, ("iridium's test cells", "hot liquid"), strict=False):
        ax.set(xlabel="cells", ylabel="forces RMSE (meV/Å)", yscale="log", title=title)
    panels[0].legend(frameon=False, fontsize=8)
    panels[2].set(xticks=range(3), xticklabels=CONSTANTS, ylabel="GPa",
                  title=f"{largest} cells; dashed: labels")  # fmt: skip
    for ax in panels:
        tidy(ax)
    save_figure(figure, path, dpi=90)


def main() -> None:
    """Label, draw, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--data", type=Path, default=DATA, help="folder of al_pbe and ir_pbe (%(default)s)")
    add("--kind", choices=KINDS, default="snap", help="(%(default)s)")
    add("--profile", default="small", help="(%(default)s)")
    add("--numbers", type=int, nargs="+", default=(24, 48, 72), help="of cells (24 48 72)")
    add("--draws", type=int, default=5, help="(%(default)s)")
    add("--tests", type=int, default=20, help="test frames of each kind (%(default)s)")
    args = parser.parse_args()
    calculator = model(MEAM)
    aluminium, own = read_sets(parser, args.data, "al_pbe/labels.extxyz", "ir_pbe/frames.extxyz")
    volumes = {"Al": 4.05**3 / 4, "Ir": LATTICE**3 / 4}
    pools = {
        SETS[0]: substitute(aluminium, {"Al": "Ir"}, scale=volumes),
        SETS[1]: [atoms for atoms in own if atoms.info["part"] == "standard"],
    }
    learning = Learning(args.kind, args.profile)
    tests = {"landscape": learning.add(
        [label(atoms, calculator) for atoms in own if atoms.info["part"] == "test"]
    )}  # fmt: skip
    for name, source in (("liquid", hot_liquid), ("strained", strained)):
        tests[name] = learning.add(made(
            args.folder / f"frames/test_{name}.extxyz", lambda source=source: source(OTHER_SEED),
            args.tests, calculator,
        ))  # fmt: skip
    rows = {name: learning.add([label(atoms, calculator) for atoms in pool])
            for name, pool in pools.items()}  # fmt: skip
    sizes = {name: np.array([len(atoms) for atoms in pool]) for name, pool in pools.items()}
    common = {size: min(int((of == size).sum()) for of in sizes.values())
              for size in np.intersect1d(*sizes.values()).tolist()}  # fmt: skip
    shares = {size: number / sum(common.values()) for size, number in common.items()}
    records = []
    for n in args.numbers:
        for seed in range(1, args.draws + 1):
            for name in SETS:
                rng = np.random.default_rng([seed, n])
                chosen = drawn(sizes[name], shares, n, rng)
                fit = learning.equations.fit([rows[name][k] for k in chosen])
                student = model(learning.commands(fit, args.folder / "student"))
                errors = {key: learning.equations.rms(fit, of) for key, of in tests.items()}
                records.append({"set": name, "n": n, "used": len(chosen), "seed": seed,
                                "errors": errors,
                                "elastic": elastic(student, LATTICE)})  # fmt: skip
    source = elastic(calculator, LATTICE)
    path = args.folder / f"substitution_{args.kind}.json"
    write_json(path, {"source": source, "shares": shares, "records": records})
    text = table(records, source)
    with atomic_write(path.with_suffix(".md")) as file:
        file.write(text)
    draw(records, source, path.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Iridium frames drawn by temperature and pressure, or evenly from the landscape: C12 against C44.

python wide_or_even.py results                      SNAP
python wide_or_even.py results --kind qsnap         quadratic SNAP

The same student learns from equally many frames of 32 atoms: drawn uniformly up to 15,500 K and 500
GPa ("wide"); chosen from these evenly over sS and Q6 ("wide, even"); chosen evenly from
PolymorphGen's library ("landscape"). Labels: Baskes's MEAM, whose C12 is below C44, as in
experiment. A seed is another draw of everything; the last rows join the draws of several seeds.
Writes KIND.json, KIND.md and KIND.png; resumes.

Run time of one core: 2 minutes for the frames, 1 for SNAP, 2 for quadratic SNAP, 10 for POD.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from frames import LATTICE, MEAM, VOLUME, even, hot_liquid, made, pools, strained, wide
from learning import CONSTANTS, Learning, elastic, model

from ase_calculators.distillation.linear_students import KINDS
from ase_calculators.figures import COLORS, new_figure, save_figure, tidy
from ase_calculators.provenance import atomic_write, write_json

NUMBERS = (20, 40, 77, 150)
TESTS = {"liquid": hot_liquid, "strained": strained, "wide": wide}
OTHER_SEED = 1000  # of the test frames
SETS = ("wide", "wide, even", "landscape")


def right(record: dict[str, Any]) -> bool:
    """Return whether a student has a fcc crystal with C12 below C44.

    Parameters
    ----------
    record : dict
        Record of a student.

    Returns
    -------
    bool
        Whether it has.
    """
    C = record["elastic"]
    return bool(C) and C["C12"] < C["C44"]


def spread(values: list[float], digits: int) -> str:
    """Return mean and standard deviation as text.

    Parameters
    ----------
    values : list of float
        Values.
    digits : int
        Digits after the point.

    Returns
    -------
    str
        Text, empty without values.
    """
    if not values:
        return ""
    more = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{more}"


def table(records: list[dict[str, Any]], source: dict[str, float]) -> str:
    """Return the table.

    Parameters
    ----------
    records : list of dict
        Records of the students.
    source : dict of str to float
        Elastic constants of the potential of the labels.

    Returns
    -------
    str
        Markdown, a row for each set and number.
    """
    lines = [
        "| set | frames | right sign | C12 - C44, GPa | C11 | C12 | C44 | off by, % | a, Å "
        "| liquid: meV/atom | meV/Å | strained: meV/atom | meV/Å | wide: meV/Å |",
        "|" + "---|" * 14,
        f"| **labels** | | | {source['C12'] - source['C44']:.1f} | {source['C11']:.0f} | "
        f"{source['C12']:.0f} | {source['C44']:.0f} | | {source['a']:.3f} | | | | | |",
    ]
    for name in SETS:
        for n in dict.fromkeys(r["n"] for r in records if r["set"] == name):
            rows = [r for r in records if (r["set"], r["n"]) == (name, n)]
            known = [r["elastic"] for r in rows if r["elastic"]]
            cells = [spread([C["C12"] - C["C44"] for C in known], 0)]
            cells += [spread([C[key] for C in known], 0) for key in CONSTANTS]
            off = [np.mean([abs(C[key] / source[key] - 1) for key in CONSTANTS]) for C in known]
            cells.append(spread([100 * float(x) for x in off], 0))
            cells.append(spread([C["a"] for C in known], 3))
            for test in ("liquid", "strained"):
                cells += [spread([r["errors"][test][q] for r in rows], 0)
                          for q in ("energy", "forces")]  # fmt: skip
            cells.append(spread([r["errors"]["wide"]["forces"] for r in rows], 0))
            good = f"{sum(map(right, rows))} of {len(rows)}"
            lines.append(f"| {name} | {n} | {good} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def enough(records: list[dict[str, Any]], name: str) -> int | None:
    """Return the number of frames from which on all students of a set have the right sign.

    Parameters
    ----------
    records : list of dict
        Records.
    name : str
        Set.

    Returns
    -------
    int or None
        Number; None if those of the largest number have not.
    """
    numbers = sorted({r["n"] for r in records if r["set"] == name})
    wrong = [r["n"] for r in records if r["set"] == name and not right(r)]
    good = [n for n in numbers if not wrong or n > max(wrong)]
    return good[0] if good else None


def near_share(folder: Path, seeds: int, most: int, name: str) -> float:
    """Return the share of frames within 10 % of the crystal's volume.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the results.
    seeds : int
        Number of seeds.
    most : int
        Frames of each.
    name : {"wide", "landscape"}
        Source.

    Returns
    -------
    float
        Share.
    """
    frames = [a for seed in range(1, seeds + 1)
              for a in pools(folder / "frames", seed, most, most)[name]]  # fmt: skip
    return float(np.mean([0.9 < a.get_volume() / len(a) / VOLUME < 1.1 for a in frames]))


def errors_of(
    ax: Any, rows: list[dict[str, Any]], test: str, color: str, name: str, quantity: str = "forces"
) -> None:
    """Draw errors against the number of frames, with their spread.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    rows : list of dict
        Records of one set.
    test : str
        Test frames.
    color, name : str
        Colour and label.
    quantity : {"forces", "energy", "virial"}
        Whose errors.
    """
    numbers = sorted({r["n"] for r in rows})
    of = [[r["errors"][test][quantity] for r in rows if r["n"] == n] for n in numbers]
    ax.errorbar(numbers, [np.mean(v) for v in of], fmt="o-", ms=4, color=color, label=name,
                yerr=[np.std(v, ddof=1) if len(v) > 1 else 0 for v in of], capsize=2)  # fmt: skip


def signs(ax: Any, rows: list[dict[str, Any]], color: str) -> None:
    """Draw C12 - C44 of all students against the number of frames, and a line through the means.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    rows : list of dict
        Records of one set.
    color : str
        Colour.
    """
    numbers = sorted({r["n"] for r in rows})
    values = [[r["elastic"]["C12"] - r["elastic"]["C44"] for r in rows
               if r["n"] == n and r["elastic"]] for n in numbers]  # fmt: skip
    ax.plot(numbers, [np.mean(v) if v else np.nan for v in values], "-", color=color)
    for n, of in zip(numbers, values, strict=True):
        ax.plot([n] * len(of), of, "o", ms=4, color=color, label=None)


def draw(records: list[dict[str, Any]], source: dict[str, float], path: Path) -> None:
    """Draw C12 - C44 and the errors against the number of frames.

    Parameters
    ----------
    records : list of dict
        Records.
    source : dict of str to float
        Elastic constants of the labels.
    path : pathlib.Path
        Picture.
    """
    figure = new_figure(11.0, 3.6)
    panels = figure.subplots(1, 3)
    for color, name in zip(COLORS, SETS, strict=False):
        rows = [r for r in records if r["set"] == name]
        signs(panels[0], rows, color)
        for ax, test in zip(panels[1:], ("liquid", "strained"), strict=True):
            errors_of(ax, rows, test, color, name)
    panels[0].axhline(source["C12"] - source["C44"], color="0.3", ls="--", lw=1)
    panels[0].axhspan(0, 1e4, color="0.93", lw=0)
    largest = [abs(r["elastic"]["C12"] - r["elastic"]["C44"]) for r in records if r["elastic"]]
    limit = min(400.0, 1.1 * max(largest, default=100.0))
    panels[0].set(ylim=(-limit, limit), ylabel="C12 - C44 (GPa)", xscale="log", xlabel="frames",
                  title="grey: wrong sign; dashed: labels")  # fmt: skip
    for ax, test in zip(panels[1:], ("hot liquid", "strained crystals"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel="frames", ylabel="forces RMSE (meV/Å)",
               title=test)  # fmt: skip
    panels[1].legend(frameon=False, fontsize=8)
    for ax in panels:
        tidy(ax)
    save_figure(figure, path, dpi=90)


def main() -> None:
    """Make the frames, fit the students, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="where everything is written")
    add("--kind", choices=KINDS, default="snap", help="(%(default)s)")
    add("--profile", default="small", help="(%(default)s)")
    add("--numbers", type=int, nargs="+", default=list(NUMBERS), help="of frames (20 40 77 150)")
    add("--seeds", type=int, default=3, help="(%(default)s)")
    add("--tests", type=int, default=20, help="test frames of each kind (%(default)s)")
    args = parser.parse_args()
    frames, most = args.folder / "frames", max(args.numbers)
    source = elastic(model(MEAM), LATTICE)
    record = args.folder / f"{args.kind}.json"
    asked = {key: str(value) for key, value in vars(args).items() if key != "folder"}
    records: list[dict[str, Any]] = []
    complete = False
    if record.exists():
        known = json.loads(record.read_text())
        if known["asked"] != asked:
            parser.error(f"folder {args.folder}: holds {record.name} of other options; use another")
        records, complete = known["records"], known["complete"]
    done = {(r["set"], r["n"], r["seed"]) for r in records}
    learning = Learning(args.kind, args.profile)
    rows: dict[int, dict[str, list[int]]] = {}
    tests: dict[str, list[int]] = {}

    def test(name: str, n: int, seed: str, chosen: list[int]) -> None:
        if (name, n, seed) in done:
            return
        fit = learning.equations.fit(chosen)
        student = model(learning.commands(fit, args.folder / f"student_{args.kind}"))
        errors = {key: learning.equations.rms(fit, of) for key, of in tests.items()}
        records.append({"set": name, "n": n, "used": len(chosen), "seed": seed,
                        "errors": errors, "elastic": elastic(student, LATTICE)})  # fmt: skip
        save(complete=False)

    def save(complete: bool) -> None:
        write_json(record, {"asked": asked, "complete": complete, "source": source,
                            "records": records})  # fmt: skip

    if not complete:
        for name, draws in TESTS.items():
            tests[name] = learning.add(made(
                frames / f"test_{name}.extxyz", lambda draws=draws: draws(OTHER_SEED), args.tests,
                model(MEAM),
            ))  # fmt: skip
        for seed in range(1, args.seeds + 1):
            pool = pools(frames, seed, most, most)
            rows[seed] = {name: learning.add(of) for name, of in pool.items()}
            for n in args.numbers:
                test("wide", n, str(seed), rows[seed]["wide"][:n])
                for name, of in (("wide, even", "wide"), ("landscape", "landscape")):
                    if n < most or name == "landscape":
                        chosen = even(pool[of], n, seed)
                        test(name, n, str(seed), [rows[seed][of][k] for k in chosen])
        for size in range(2, args.seeds + 1):
            for seeds in combinations(rows, size):
                for name in ("wide", "landscape"):
                    both = [k for seed in seeds for k in rows[seed][name]]
                    test(name, size * most, "+".join(map(str, seeds)), both)
        save(complete=True)
    text = table(records, source) + "\n"
    for name in SETS:
        number = enough(records, name)
        since = f"from {number} frames on" if number else "never"
        text += f"- {name}: right sign in all draws {since}\n"
    for name in ("wide", "landscape"):
        text += f"- {name}: {near_share(args.folder, args.seeds, most, name):.0%} of the frames "
        text += "within 10 % of the crystal's volume\n"
    with atomic_write(record.with_suffix(".md")) as file:
        file.write(text)
    draw(records, source, record.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Students of 77 frames and of all: liquid g(r), phonons, C12 - C44, against MEAM.

python wide_or_even.py results && python data_efficiency.py results

Frames are those of wide_or_even.py. From each source 77 frames of the first seed, and all of all
seeds. Properties by the validation suite; the liquid has 256 atoms at 3,000 K. Writes
data_efficiency.md and the suite's pictures in FOLDER/comparison.

Run time of one core: 4 minutes.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from frames import MEAM, even, pools
from learning import Learning, model

from ase_calculators.distillation.linear_students import KINDS
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import Report, compare, validate

SETTINGS: dict[str, dict[str, Any]] = {
    "elastic_constants": {},
    "phonons": {"length": 8.0, "mesh": 40.0},
    "liquid": {"temperature": 3000.0, "length": 15.4, "melting": 1.0, "equilibration": 1.0,
               "production": 2.0},
}  # fmt: skip


def deviation(report: Report, source: Report, name: str, *keys: str) -> float:
    """Return the root mean square difference of a curve from the source's.

    Parameters
    ----------
    report, source : Report
        Reports of the student and of the source of its labels.
    name : str
        Property.
    *keys : str
        Names of abscissa and curve in its data.

    Returns
    -------
    float
        Root mean square over the abscissas of the source; NaN if either is not there.
    """
    try:
        (x, y), (x0, y0) = ([np.array(r.records[name]["data"][key], float) for key in keys]
                            for r in (report, source))  # fmt: skip
    except (KeyError, TypeError):
        return np.nan
    shared = x0 <= x.max()
    return float(np.sqrt(np.mean((np.interp(x0[shared], x, y) - y0[shared]) ** 2)))


def main() -> None:
    """Fit, validate, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="folder of wide_or_even.py")
    add("--kind", choices=KINDS, default="pod", help="(%(default)s)")
    add("--profile", default="small", help="(%(default)s)")
    add("--frames", type=int, default=77, help="(%(default)s)")
    add("--most", type=int, default=150, help="frames of each seed (%(default)s)")
    add("--seeds", type=int, default=3, help="(%(default)s)")
    add("--properties", nargs="+", default=list(SETTINGS), choices=SETTINGS, help="(all)")
    args = parser.parse_args()
    if args.seeds < 1 or not 1 <= args.frames <= args.most:
        parser.error(
            f"--seeds {args.seeds} --frames {args.frames}: --seeds must be at least 1, --frames 1 "
            f"to --most, {args.most}"
        )
    learning = Learning(args.kind, args.profile)
    rows: dict[str, list[int]] = {"wide": [], "landscape": []}
    few: dict[str, list[int]] = {}
    for seed in range(1, args.seeds + 1):
        for name, pool in pools(args.folder / "frames", seed, args.most, args.most).items():
            added = learning.add(pool)
            if seed == 1:
                chosen = even(pool, args.frames, 1) if name == "landscape" else range(args.frames)
                few[name] = [added[k] for k in chosen]
            rows[name] += added
    given = {f"{name}, {len(of)}": of for name in rows for of in (few[name], rows[name])}
    models = {"MEAM": model(MEAM)}
    for name, of in given.items():
        folder = args.folder / "efficiency" / name.replace(", ", "_")
        models[name] = model(learning.commands(learning.equations.fit(of), folder))
    settings = {name: SETTINGS[name] for name in args.properties}
    reports = []
    for name, calculator in models.items():
        try:
            reports.append(validate(
                calculator.commands, "Ir", "fcc", args.properties, reports[0] if reports else None,
                args.folder / "efficiency" / "properties" / name, settings, name,
            ))  # fmt: skip
        except ValueError as error:
            print(f"{name}: {error}")
    lines = ["| student | C12 - C44, GPa | g(r), root mean square deviation |", "|---|---|---|"]
    for report in reports:
        C = report.values
        brittle = f"{C['C12'] - C['C44']:.0f}" if "C44" in C else "no crystal"
        g = deviation(report, reports[0], "liquid", "r", "g")
        lines.append(f"| {report.model} | {brittle} | {g:.3f} |")
    text = "\n".join(lines) + "\n\n" + compare(reports, args.folder / "comparison")
    with atomic_write(args.folder / "data_efficiency.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare properties of molybdenum by the potentials of published.py.

python properties.py results
python properties.py results --properties elastic_constants phonons

Potentials are those of LAMMPS in Mo/published.json, which published.py writes. Writes
Mo/properties.md, and a folder of records and figures for each potential; an interrupted run
resumes. The suite has no diamond, so that silicon is left out. Run time of one core: 2 minutes.
"""

import argparse
import json
from pathlib import Path

from published_sets import CRYSTALS

from ase_calculators.provenance import atomic_write
from ase_calculators.validation import PROPERTIES, Report, validate

# smaller cells than the suite's own, for a comparison
SETTINGS = {"vacancy": {"length": 12.0, "smaller": 9.0, "images": 3},
            "phonons": {"length": 12.0, "mesh": 40.0}}  # fmt: skip
PROPERTIES_OF = ("equation_of_state", "elastic_constants", "vacancy")


def table(reports: dict[str, Report]) -> str:
    """Return a table with a column for each potential.

    Parameters
    ----------
    reports : dict of str to Report
        Reports.

    Returns
    -------
    str
        Text; the last column is the reference that the suite knows, experiment or DFT.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, report in reports.items():
        for row in report.rows():
            key = row["quantity"], row["unit"]
            line = found.setdefault(key, {})
            line[name] = "" if row["value"] is None else f"{row['value']:.4g}"
            if row.get("reference") is not None:
                line["reference"] = f"{row['reference']:.4g} ({row['kind']})"
    names = [*reports, "reference"]
    lines = [f"| quantity | unit | {' | '.join(names)} |", "|" + "---|" * (2 + len(names))]
    for (quantity, unit), values in found.items():
        cells = [values.get(name, "") for name in names]
        lines.append(f"| {quantity} | {unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Calculate the properties and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("folder", type=Path, help="folder of published.py")
    add("--properties", nargs="+", choices=sorted(PROPERTIES), default=PROPERTIES_OF,
        help="(%(default)s)")  # fmt: skip
    args = parser.parse_args()
    folder = args.folder / "Mo"
    path = folder / "published.json"
    if not path.exists():
        raise SystemExit(f"{path}: there is no such file; run published.py before")
    structure, a = CRYSTALS["Mo"]
    reports = {}
    for row in json.loads(path.read_text())["rows"]:
        if row["lines"] is None or "deepmd" in row["lines"][0]:
            continue
        reports[row["name"]] = validate(
            row["lines"], "Mo", structure, args.properties, name=row["name"], a=a,
            workdir=folder / "properties" / row["name"].replace(" ", "_"), settings=SETTINGS,
            progress=False,
        )  # fmt: skip
        print(row["name"], flush=True)
        text = table(reports)
        with atomic_write(folder / "properties.md") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare properties of molybdenum or silicon by the potentials of published.py.

python properties.py results --element Mo
python properties.py results --element Mo --properties elastic_constants vacancy phonons
python properties.py results --element Si

Potentials are those of LAMMPS in ELEMENT/published.json, which published.py writes, without
networks. By the validation suite, with a folder of records and figures for each potential in
ELEMENT/properties; an interrupted run resumes. Writes ELEMENT/properties.md. Run time of one core:
2 minutes each; phonons 1 more.
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
    add("--element", choices=sorted(CRYSTALS), default="Mo", help="(%(default)s)")
    args = parser.parse_args()
    element, folder = args.element, args.folder / args.element
    path = folder / "published.json"
    if not path.exists():
        raise SystemExit(f"{path}: there is no such file; run published.py before")
    structure, a = CRYSTALS[element]
    reports = {}
    for row in json.loads(path.read_text())["rows"]:
        name, lines = row["name"], row["lines"]
        if lines is None or "deepmd" in lines[0]:
            continue
        reports[name] = validate(
            lines, element, structure, args.properties, name=name, a=a,
            workdir=folder / "properties" / name.replace(" ", "_"), settings=SETTINGS,
            progress=False,
        )  # fmt: skip
        text = table(reports)
        print(name, flush=True)
        with atomic_write(folder / "properties.md") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()

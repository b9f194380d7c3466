#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Calculate properties of a crystal by a potential: a table, and a record and figure of each.

python validate.py                                      all properties, of Al_mm
python validate.py vacancy phonons                      two properties
python validate.py --element Zr --crystal hcp --potential "pair_style eam/fs; pair_coeff * * F Zr"
"""

import argparse
import json
from pathlib import Path
from typing import Any

from ase_calculators.validation import PROPERTIES, Report, compare, validate

HERE = Path(__file__).resolve().parent
# short molecular dynamics and small cells, for a first look and for tests
QUICK: dict[str, dict[str, Any]] = {
    "equation_of_state": {"n_curve": 16},
    "elastic_at_temperature": {"length": 8.0, "equilibration": 1.0, "production": 2.0},
    "vacancy": {"length": 12.0, "smaller": 8.0, "images": 3},
    "phonons": {"length": 8.0, "mesh": 40.0},
    "thermodynamics": {
        "volumes": 5, "length": 8.0, "mesh": 30.0, "md_length": 8.0, "equilibration": 0.4,
        "production": 0.8,
    },
    "bain_path": {"n_points": 9},
    "surfaces": {"thickness": 15.0},
    "gamma_surface": {"n": 6, "thickness": 16.0},
    "stacking_faults": {"n": 6, "planes": 5},
    "liquid": {"length": 12.0, "melting": 1.0, "equilibration": 0.5, "production": 1.0},
}  # fmt: skip


def changes(text: str) -> dict[str, dict[str, Any]]:
    """Return changes of settings.

    Parameters
    ----------
    text : str
        Changes in JSON.

    Returns
    -------
    dict of str to dict
        Changes by property.
    """
    try:
        found = json.loads(text)
        if all(isinstance(value, dict) for value in found.values()):
            return dict(found)
    except (ValueError, AttributeError):
        pass
    raise argparse.ArgumentTypeError(
        f"{text}: must be JSON with changes by property, such as "
        '{"liquid": {"temperature": 1000}}'
    )


def main() -> None:
    """Read the command line and validate."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"properties: {', '.join(PROPERTIES)}"
    )
    parser.add_argument("properties", nargs="*", help="default: all that are possible")
    parser.add_argument(
        "--potential", default=str(HERE / "potential.mod"),
        help="LAMMPS commands separated by ;, or a file of them (potential.mod)",
    )  # fmt: skip
    parser.add_argument("--element", default="Al", help="symbol (%(default)s)")
    parser.add_argument("--crystal", default="fcc", help="fcc, bcc, hcp, diamond (%(default)s)")
    parser.add_argument("--a", type=float, help="guess of the lattice constant, Å")
    parser.add_argument("--c-over-a", type=float, help="guess of c/a of hcp")
    parser.add_argument("--reference", help="JSON file; default: the package's file of the element")
    parser.add_argument("--name", help="name of the model in tables and figures")
    parser.add_argument("--output", default="results", help="folder (%(default)s); runs resume")
    parser.add_argument("--test-set", help="file of labelled frames, for landscape_errors")
    parser.add_argument(
        "--settings", type=changes, default={}, metavar="JSON",
        help='changes of defaults, such as \'{"liquid": {"temperature": 1000}}\'',
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small cells and short runs")
    parser.add_argument(
        "--compare", nargs="+", metavar="FOLDER",
        help="calculate nothing; compare the reports in these folders, and write to OUTPUT",
    )  # fmt: skip
    args = parser.parse_args()
    try:
        if args.compare:
            print(compare([Report.read(folder) for folder in args.compare], args.output), end="")
            return
        settings: dict[str, dict[str, Any]] = {}
        if args.quick:
            settings = {key: dict(value) for key, value in QUICK.items()}
        for key, value in args.settings.items():
            settings[key] = {**settings.get(key, {}), **value}
        if args.test_set:
            settings.setdefault("landscape_errors", {})["test_set"] = args.test_set
        report = validate(
            args.potential, args.element, args.crystal, args.properties or None, args.reference,
            args.output, settings, args.name, a=args.a, c_over_a=args.c_over_a,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"\n{report.table()}\ntable, records and figures: {report.folder}")


if __name__ == "__main__":
    main()

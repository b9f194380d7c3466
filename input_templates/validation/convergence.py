#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Repeat the validation with settings twice as fine and compare it with the default settings.

python validate.py && python convergence.py
"""

import argparse
from pathlib import Path

from ase_calculators.provenance import atomic_write
from ase_calculators.validation import Report, validate

HERE = Path(__file__).resolve().parent
# Twice the mesh, number of points, thickness, length of the run; half the strain, displacement,
# force; 3.4 times the atoms for phonons and vacancy. The cell of the quasi-harmonic phonons stays.
FINER = {
    "equation_of_state": {"window": 0.005, "n_fit": 25},
    "elastic_constants": {"strain": 0.0005, "fmax": 5e-5},
    "vacancy": {
        "length": 24.0, "smaller": 16.0, "images": 11, "fmax": 5e-4, "neb_fmax": 0.005,
    },
    "phonons": {"length": 24.0, "displacement": 0.005, "mesh": 200.0},
    "thermodynamics": {
        "volumes": 16, "displacement": 0.005, "mesh": 120.0, "production": 32.0,
    },
    "bain_path": {"n_points": 65},
    "surfaces": {"thickness": 60.0, "vacuum": 24.0, "fmax": 5e-4},
    "gamma_surface": {"thickness": 56.0, "vacuum": 24.0, "fmax": 2.5e-3},
    "stacking_faults": {"n": 24, "planes": 18, "vacuum": 24.0, "fmax": 5e-4},
    "elastic_at_temperature": {"production": 120.0, "every": 50},
    "liquid": {"production": 20.0, "equilibration": 12.0},
}  # fmt: skip


def main() -> None:
    """Read the command line, calculate, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("properties", nargs="*", help=f"default: {', '.join(FINER)}")
    parser.add_argument("--results", default="results", help="folder of validate.py (%(default)s)")
    parser.add_argument("--output", default="finer", help="folder (%(default)s); runs resume")
    parser.add_argument("--potential", default=str(HERE / "potential.mod"))
    args = parser.parse_args()
    names = args.properties or list(FINER)
    for name in names:
        if name not in FINER:
            parser.error(f"properties: has no {name!r}; choose from {', '.join(FINER)}")
    try:
        coarse = Report.read(args.results)
        fine = validate(
            args.potential, coarse.element, coarse.structure, names, None, args.output,
            {name: FINER[name] for name in names}, coarse.model,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        parser.error(str(error))
    lines = [
        "| property | quantity | default | twice finer | difference |",
        "|---|---|---|---|---|",
    ]
    for row in fine.rows():
        old, new = coarse.values.get(row["quantity"]), row["value"]
        if old is None or new is None:
            continue
        off = f"{100 * (old / new - 1):+.2f} %" if abs(new) > 1e-3 else f"{old - new:+.1e}"
        lines.append(f"| {row['property']} | {row['quantity']} | {old:.5g} | {new:.5g} | {off} |")
    text = "\n".join(lines) + "\n"
    with atomic_write(Path(args.output) / "convergence.md") as file:
        file.write(text)
    print("\n" + text, end="")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Validate the best potential of LAMMPS for Al, Ir, Mo and Zr: one table with experiment and DFT.

python four_metals.py                    all, 4 min of one core; runs resume
python four_metals.py --metals Ir Zr     two metals
python four_metals.py --quick            small cells, short runs

Writes OUTPUT/four_metals.md and the report of each metal to OUTPUT/Al, OUTPUT/Ir, ...
"""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

from validate import QUICK

from ase_calculators.provenance import atomic_write
from ase_calculators.validation import Report, validate
from ase_calculators.validation.reference import read_reference

# Name, crystal and commands of each metal's potential. Of the three SNAPs of Mo in LAMMPS, Chen's
# has the best elastic constants and energies of fcc and hcp (Zuo's quadratic one: the vacancy).
METALS: dict[str, tuple[str, str, str]] = {
    "Al": ("Mendelev's EAM", "fcc", "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"),
    "Ir": ("Baskes's MEAM", "fcc", "pair_style meam; pair_coeff * * library.meam Ir NULL Ir"),
    "Mo": (
        "Chen's SNAP", "bcc",
        "pair_style snap; pair_coeff * * Mo_Chen_PRM2017.snapcoeff Mo_Chen_PRM2017.snapparam Mo; "
        "mass 1 95.95",
    ),
    "Zr": ("Mendelev's EAM", "hcp", "pair_style eam/fs; pair_coeff * * Zr_mm.eam.fs Zr"),
}  # fmt: skip
PROPERTIES = (
    "equation_of_state", "elastic_constants", "vacancy", "phonons", "thermodynamics", "bain_path",
    "surfaces", "stacking_faults",
)  # fmt: skip


def table(reports: dict[str, Report], properties: Collection[str]) -> str:
    """Return the table of all metals.

    Parameters
    ----------
    reports : dict of str to Report
        Reports by element.
    properties : collection of str
        Properties in the table.

    Returns
    -------
    str
        Markdown: a row per quantity, for each metal potential, experiment and DFT (PBE).
    """
    heads, columns = ["quantity", "unit"], {}
    units: dict[str, str] = {}
    for element, report in reports.items():
        heads += [f"{element}: {report.model}", "experiment", "DFT"]
        known, dft = read_reference(None, element), read_reference(f"{element}-PBE.json", element)
        # DFT of the first file only where the second, which is of one functional, has no value
        dft = {q: v for q, v in known.items() if v["kind"] == "DFT"} | {
            q: v for q, v in dft.items() if v["kind"] == "DFT"
        }
        known = {q: v for q, v in known.items() if v["kind"] != "DFT"}
        rows = [row for row in report.rows() if row["property"] in properties]
        columns[element] = {row["quantity"]: row["value"] for row in rows}, known, dft
        units |= {row["quantity"]: row["unit"] for row in rows}
    lines = [
        "# Al, Ir, Mo and Zr by potentials that ship with LAMMPS", "",
        "Written by `four_metals.py`. Experiment: or CALPHAD for energies of other crystals. DFT:",
        "PBE, or Vitos's GGA for surfaces that it has alone. Sources are in the references; those",
        "with `looked_up` false are quoted and were not looked up.", "",
        f"| {' | '.join(heads)} |", "|---" * len(heads) + "|",
    ]  # fmt: skip
    for quantity, unit in units.items():
        cells = []
        for values, known, dft in columns.values():
            value = values.get(quantity)
            cells.append("" if value is None else f"{value:.4g}")
            cells += [f"{f[quantity]['value']:.4g}" if quantity in f else "" for f in (known, dft)]
        lines.append(f"| {quantity} | {unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line and validate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metals", nargs="+", default=list(METALS), choices=list(METALS))
    parser.add_argument("--properties", nargs="+", default=list(PROPERTIES))
    parser.add_argument("--output", type=Path, default=Path("four_metals"), help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small cells and short runs")
    args = parser.parse_args()
    reports = {}
    for element in args.metals:
        name, crystal, commands = METALS[element]
        settings: dict[str, dict[str, Any]] = {}
        if args.quick:
            settings = {p: dict(QUICK[p]) for p in args.properties if p in QUICK}
        if element == "Mo" and "thermodynamics" in args.properties:
            # dynamics of a SNAP would take longer than all the rest
            settings.setdefault("thermodynamics", {})["temperatures"] = []
        try:
            reports[element] = validate(
                commands, element, crystal, args.properties, None, args.output / element,
                settings, name,
            )  # fmt: skip
        except ValueError as error:
            parser.error(str(error))
    text = table(reports, args.properties)
    with atomic_write(args.output / "four_metals.md") as file:
        file.write(text)
    print(f"\n{text}\ntable and reports: {args.output}")


if __name__ == "__main__":
    main()

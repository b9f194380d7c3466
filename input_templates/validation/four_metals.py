#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Validate potentials of Al, Ir, Mo and Zr, of LAMMPS and our own: one table with experiment, DFT.

python four_metals.py                       all, 20 min of one core; runs resume
python four_metals.py --metals Al Al-POD    two potentials
python four_metals.py --quick               small cells, short runs

Writes OUTPUT/four_metals.md and the report of each metal to OUTPUT/Al, OUTPUT/Ir, ...
"""

import argparse
from collections.abc import Collection
from itertools import groupby
from pathlib import Path
from typing import Any

from validate import HERE, QUICK

from ase_calculators.distillation import lammps_lines
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import Report, validate
from ase_calculators.validation.reference import read_reference

# Name, crystal and commands of each potential, or folder of a student in the templates. Of the
# SNAPs of Mo in LAMMPS, Chen's has the best elastic constants and energies of fcc and hcp (Zuo's
# quadratic one: the vacancy).
METALS: dict[str, tuple[str, str, str]] = {
    "Al": ("Mendelev's EAM", "fcc", "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"),
    "Al-POD": ("our POD of GPAW", "fcc", "distillation/al_pod"),
    "Ir": ("Baskes's MEAM", "fcc", "pair_style meam; pair_coeff * * library.meam Ir NULL Ir"),
    "Ir-POD": ("our POD of GPAW", "fcc", "iridium/ir_pod"),
    "Mo": (
        "Chen's SNAP", "bcc",
        "pair_style snap; pair_coeff * * Mo_Chen_PRM2017.snapcoeff Mo_Chen_PRM2017.snapparam Mo; "
        "mass 1 95.95",
    ),
    "Mo-POD": ("our POD of VASP", "bcc", "benchmark_sets/mo_pod"),
    "Zr": ("Mendelev's EAM", "hcp", "pair_style eam/fs; pair_coeff * * Zr_mm.eam.fs Zr"),
}  # fmt: skip
PROPERTIES = (
    "equation_of_state", "elastic_constants", "vacancy", "phonons", "thermodynamics", "bain_path",
    "surfaces", "stacking_faults",
)  # fmt: skip


def element_of(name: str) -> str:
    """Return the element of a name in `METALS`."""
    return name.partition("-")[0]


def table(reports: dict[str, Report], properties: Collection[str]) -> str:
    """Return the table of all metals.

    Parameters
    ----------
    reports : dict of str to Report
        Reports by name in `METALS`.
    properties : collection of str
        Properties in the table.

    Returns
    -------
    str
        Markdown: a row per quantity, for each metal potentials, experiment and DFT (PBE).
    """
    heads: list[str] = ["quantity", "unit"]
    columns: list[dict[str, float]] = []
    units: dict[str, str] = {}
    for element, names in groupby(reports, key=element_of):
        each = [reports[name] for name in names]
        heads += [*(f"{element}: {report.model}" for report in each), "experiment", "DFT"]
        known, dft = read_reference(None, element), read_reference(f"{element}-PBE.json", element)
        # DFT of the first file only where the second, which is of one functional, has no value
        dft = {q: v for q, v in known.items() if v["kind"] == "DFT"} | {
            q: v for q, v in dft.items() if v["kind"] == "DFT"
        }
        known = {q: v for q, v in known.items() if v["kind"] != "DFT"}
        rows = [[row for row in report.rows() if row["property"] in properties] for report in each]
        columns += [{row["quantity"]: row["value"] for row in some} for some in rows]
        columns += [{q: v["value"] for q, v in given.items()} for given in (known, dft)]
        units |= {row["quantity"]: row["unit"] for some in rows for row in some}
    lines = [
        "# Al, Ir, Mo and Zr by potentials of LAMMPS and our own", "",
        "Written by `four_metals.py`. Experiment: or CALPHAD for energies of other crystals. DFT:",
        "PBE, or Vitos's GGA for surfaces that it has alone. Sources are in the references; those",
        "with `looked_up` false are quoted and were not looked up.", "",
        f"| {' | '.join(heads)} |", "|---" * len(heads) + "|",
    ]  # fmt: skip
    for quantity, unit in units.items():
        values = [column.get(quantity) for column in columns]
        cells = ["" if value is None else f"{value:.4g}" for value in values]
        lines.append(f"| {quantity} | {unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line and validate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    there = [name for name, (*_, given) in METALS.items()
             if given.startswith("pair_style") or (HERE.parent / given).is_dir()]  # fmt: skip
    parser.add_argument("--metals", nargs="+", default=there, choices=list(METALS),
                        help="all, without students whose folder is not there")  # fmt: skip
    parser.add_argument("--properties", nargs="+", default=list(PROPERTIES))
    parser.add_argument("--output", type=Path, default=Path("four_metals"), help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small cells and short runs")
    args = parser.parse_args()
    reports = {}
    for metal in sorted(args.metals, key=list(METALS).index):
        name, crystal, commands = METALS[metal]
        element, is_ours = element_of(metal), not commands.startswith("pair_style")
        settings: dict[str, dict[str, Any]] = {}
        if args.quick:
            settings = {p: dict(QUICK[p]) for p in args.properties if p in QUICK}
        if (element == "Mo" or is_ours) and "thermodynamics" in args.properties:
            # dynamics of a SNAP or POD would take longer than all the rest
            settings.setdefault("thermodynamics", {})["temperatures"] = []
        try:
            model = lammps_lines(HERE.parent / commands) if is_ours else commands
            reports[metal] = validate(
                model, element, crystal, args.properties, None, args.output / metal, settings,
                name,
            )  # fmt: skip
        except ValueError as error:
            parser.error(str(error))
    text = table(reports, args.properties)
    with atomic_write(args.output / "four_metals.md") as file:
        file.write(text)
    print(f"\n{text}\ntable and reports: {args.output}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compare properties of molybdenum or silicon by the potentials of published.py.

python properties.py results --element Mo
python properties.py results --element Mo --properties elastic_constants vacancy phonons
python properties.py results --element Si

Potentials are those of LAMMPS in ELEMENT/published.json, which published.py writes. Writes
ELEMENT/properties.md. Molybdenum: by the validation suite, with a folder of records and figures for
each potential; an interrupted run resumes. The suite has no diamond: of silicon only lattice
constant and elastic constants, ions relaxed. Run time of one core: 2 minutes each; phonons 1 more.
"""

import argparse
import json
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from published_sets import CRYSTALS

from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.provenance import atomic_write
from ase_calculators.validation import PROPERTIES, Report, validate

# smaller cells than the suite's own, for a comparison
SETTINGS = {"vacancy": {"length": 12.0, "smaller": 9.0, "images": 3},
            "phonons": {"length": 12.0, "mesh": 40.0}}  # fmt: skip
# silicon at room temperature: lattice constant (Å), P. J. Mohr et al., Rev. Mod. Phys. 88, 035009
# (2016); elastic constants (GPa), J. J. Hall, Phys. Rev. 161, 756 (1967)
SILICON = {"a": 5.431, "C11": 165.6, "C12": 63.9, "C44": 79.5}
PROPERTIES_OF = ("equation_of_state", "elastic_constants", "vacancy")


def of_silicon(atoms: Atoms) -> dict[str, float]:
    """Calculate lattice constant and elastic constants of diamond.

    Parameters
    ----------
    atoms : ase.Atoms
        Conventional cell with its calculator; it is relaxed.

    Returns
    -------
    dict of str to float
        a in Å, C11, C12 and C44 in GPa.
    """
    from matscipy.elasticity import fit_elastic_constants

    BFGS(FrechetCellFilter(atoms, hydrostatic_strain=True), logfile=None).run(1e-5, 200)
    C, _ = fit_elastic_constants(
        atoms, symmetry="cubic", N_steps=5, delta=0.001, optimizer=_Quiet, fmax=1e-4,
        verbose=False,
    )  # fmt: skip
    C = C / GPa
    return {"a": atoms.cell.lengths()[0], "C11": C[0, 0], "C12": C[0, 1], "C44": C[3, 3]}


class _Quiet(BFGS):
    """BFGS without a log."""

    def __init__(self, atoms: Atoms, **kwargs: object) -> None:
        super().__init__(atoms, logfile=None)


def silicon_table(found: dict[str, dict[str, float]]) -> str:
    """Return the table of silicon.

    Parameters
    ----------
    found : dict of str to dict
        What `of_silicon` returns for each potential.

    Returns
    -------
    str
        Text, with experiment as the last column.
    """
    columns = found | {"experiment": SILICON}
    lines = [f"| quantity | unit | {' | '.join(columns)} |", "|" + "---|" * (2 + len(columns))]
    for name in SILICON:
        digits = 3 if name == "a" else 1
        cells = [f"{values[name]:.{digits}f}" for values in columns.values()]
        lines.append(f"| {name} | {'Å' if name == 'a' else 'GPa'} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
    reports, found = {}, {}
    for row in json.loads(path.read_text())["rows"]:
        name, lines = row["name"], row["lines"]
        if lines is None or "deepmd" in lines[0]:
            continue
        if element == "Si":
            atoms = bulk("Si", structure, a=a, cubic=True)
            atoms.calc = LammpsPotential(lines, "Si")
            found[name] = of_silicon(atoms)
            text = silicon_table(found)
        else:
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

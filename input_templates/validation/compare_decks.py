#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run the LAMMPS decks and compare their numbers with those of validate.py.

python validate.py && python compare_decks.py
python compare_decks.py --results zr          crystal and potential of that report
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from ase_calculators.provenance import atomic_write
from ase_calculators.validation import Report

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
# deck: property of validate.py
DECKS = {
    "equation_of_state": "equation_of_state", "elastic_constants": "elastic_constants",
    "vacancy": "vacancy", "migration": "vacancy", "phonons": "phonons", "bain_path": "bain_path",
    "surfaces": "surfaces", "stacking_faults": "stacking_faults", "gamma_surface": "gamma_surface",
    "elastic_at_temperature": "elastic_at_temperature", "thermal_expansion": "thermodynamics",
    "liquid": "liquid",
}  # fmt: skip
STATISTICAL = {"elastic_at_temperature", "thermal_expansion", "liquid"}


def lammps(name: str, folder: Path, variables: list[str]) -> str:
    """Run a deck, `migration` on three ranks, and return its output.

    Parameters
    ----------
    name : str
        Name of the deck without "in.".
    folder : pathlib.Path
        Working folder.
    variables : list of str
        Words for the command line of LAMMPS.

    Returns
    -------
    str
        Output and errors.

    Raises
    ------
    SystemExit
        If LAMMPS fails, with its message.
    """
    command = [str(BIN / "lmp"), "-nocite", "-in", str(HERE / f"in.{name}"), *variables]
    if name == "migration":
        command[1:1] = ["-partition", "3x1"]
        command = [str(BIN / "mpirun"), "-n", "3", *command]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    if done.returncode:
        errors = [line for line in said.split("\n") if "ERROR" in line] or said.split("\n")[-5:]
        raise SystemExit(f"in.{name}: {' '.join(errors)}")
    return said


def run_deck(name: str, folder: Path, variables: list[str], crystal: str) -> dict[str, float]:
    """Run a deck and return its results.

    Parameters
    ----------
    name : str
        Name of the deck without "in.".
    folder : pathlib.Path
        Working folder.
    variables : list of str
        Words for the command line of LAMMPS.
    crystal : str
        Structure; a vacancy in hcp has two jumps.

    Returns
    -------
    dict of str to float
        Value by quantity: the RESULT lines of the deck, and values derived from its files.
    """
    found = {}
    if name == "migration":
        jumps = {"": ""}
        if crystal == "hcp":
            jumps = {"basal": " (basal)", "out_of_plane": " (out of plane)"}
        for jump, suffix in jumps.items():
            lammps("vacancy", folder, [*variables, *(("-var", "jump", jump) if jump else ())])
            lammps(name, folder, variables)
            energies = []
            for k in range(3):
                text = (folder / f"log.lammps.{k}").read_text(errors="replace")
                energies.append(float(re.findall(r"^ENERGY \d (\S+)$", text, re.MULTILINE)[-1]))
            found[f"vacancy migration{suffix}"] = energies[1] - energies[0]
        return found
    said = lammps(name, folder, variables)
    for quantity, value in re.findall(r"^RESULT (.+?) (-?\d\S*)(?: \S+)?$", said, re.MULTILINE):
        found[quantity] = float(value)
    if name == "phonons":
        path = folder / "dynamical_matrix.dat"
        matrix = np.loadtxt(path).ravel()
        n = round(np.sqrt(matrix.size))
        matrix = matrix.reshape(n, n)
        # 10 J/mol/Å^2/g is (rad/ps)^2
        found["highest phonon"] = np.sqrt(np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[-1]) / (
            2 * np.pi
        )
    if name == "liquid":
        r, g = np.loadtxt(folder / "rdf.dat", skiprows=4, usecols=(1, 2)).T
        top = np.argmax(g)
        a, b, _ = np.polyfit(r[top - 3 : top + 4], g[top - 3 : top + 4], 2)
        found["liquid first peak"] = -b / (2 * a)
    if name == "stacking_faults":
        x, E = np.loadtxt(folder / "stacking_faults.dat").T
        spline = CubicSpline(x, E)
        for quantity, first in (("USF", 0), ("UTF", 1)):
            if crystal == "fcc" or quantity == "USF":
                found[quantity] = float(spline(np.linspace(first, first + 1, 501)).max())
        if crystal != "fcc":
            x, E = np.loadtxt(folder / "stacking_faults_alone.dat").T
            system = {"bcc": "(112)<111>", "hcp": "(10-10)<11-20>"}[crystal]
            found[f"USF {system}"] = float(CubicSpline(x, E)(np.linspace(0, x[-1], 1501)).max())
    return found


def potential(report: Report, folder: Path) -> None:
    """Write `potential.mod` with the commands of a report's model, if it has any.

    Parameters
    ----------
    report : Report
        Report of validate.py.
    folder : pathlib.Path
        Working folder of the decks.
    """
    record = next(iter(report.records.values()))
    commands = record["identity"].get("commands")
    if commands:
        mass = atomic_masses[atomic_numbers[report.element]]
        text = "\n".join([*commands, f"mass 1 {mass}"]) + "\n"
        with atomic_write(folder / "potential.mod") as file:
            file.write(text)


def main() -> None:
    """Read the command line, run the decks, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "decks", nargs="*",
        help=f"default: the decks of the properties in the report, from {', '.join(DECKS)}",
    )  # fmt: skip
    parser.add_argument("--results", default="results", help="folder of validate.py (%(default)s)")
    parser.add_argument("--output", default="decks", help="folder in which decks run (%(default)s)")
    parser.add_argument(
        "--var", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="variable of every deck, such as length 12",
    )  # fmt: skip
    args = parser.parse_args()
    for name in args.decks:
        if name not in DECKS:
            parser.error(f"decks: there is no in.{name}; choose from {', '.join(DECKS)}")
    try:
        report = Report.read(args.results)
    except OSError as error:
        parser.error(f"--results {args.results}: {error}")
    if not report.records:
        parser.error(f"--results {args.results}: has no property; run validate.py first")
    folder = Path(args.output)
    folder.mkdir(exist_ok=True)
    for path in HERE.glob("*.mod"):
        with atomic_write(folder / path.name) as file:
            file.write(path.read_text(encoding="utf-8"))
    potential(report, folder)
    record = next(iter(report.records.values()))
    given = {"crystal": report.structure, "a": record["lattice"]["a"]}
    given["c_over_a"] = record["lattice"]["c"] / record["lattice"]["a"]
    given |= dict(args.var)
    variables = [word for name, value in given.items() for word in ("-var", name, str(value))]
    decks = args.decks or [
        name for name, kind in DECKS.items()
        if kind in report.records and (name, report.structure) != ("elastic_at_temperature", "hcp")
    ]  # fmt: skip
    lines = ["| quantity | deck | ASE | difference | deck |", "|---|---|---|---|---|"]
    worst: dict[bool, tuple[float, str]] = {}
    with tqdm(decks, unit=" decks") as bar:
        for name in bar:
            bar.set_postfix_str(name)
            started = time.perf_counter()
            found = run_deck(name, folder, variables, report.structure)
            seconds = time.perf_counter() - started
            for quantity, value in found.items():
                other = report.values.get(quantity)
                if not other:
                    continue
                off = value / other - 1
                lines.append(
                    f"| {quantity} | {value:.6g} | {other:.6g} | {100 * off:+.3f} % | "
                    f"in.{name}, {seconds:.1f} s |"
                )
                kind = name in STATISTICAL
                worst[kind] = max(worst.get(kind, (0.0, "")), (abs(off), quantity))
    text = "\n".join(lines) + "\n\n"
    for kind, words in ((False, "static"), (True, "averages of dynamics")):
        if kind in worst:
            off, quantity = worst[kind]
            text += f"largest difference, {words}: {100 * off:.3f} % ({quantity})\n"
    with atomic_write(folder / "comparison.md") as file:
        file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()

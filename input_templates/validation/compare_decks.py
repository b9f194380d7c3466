#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run the LAMMPS decks and lay their numbers beside those of validate.py.

python validate.py && python compare_decks.py
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from ase_calculators.validation import Report

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
DECKS = (
    "equation_of_state", "elastic_constants", "vacancy", "migration", "phonons", "bain_path",
    "surfaces", "stacking_faults", "gamma_surface", "elastic_at_temperature", "thermal_expansion",
    "liquid",
)  # fmt: skip
STATISTICAL = {"elastic_at_temperature", "thermal_expansion", "liquid"}


def run_deck(name: str, folder: Path, variables: list[str]) -> dict[str, float]:
    """Run a deck and return what it prints as RESULT.

    Parameters
    ----------
    name : str
        Deck without "in.".
    folder : pathlib.Path
        Where it runs.
    variables : list of str
        Words for LAMMPS's command line.

    Returns
    -------
    dict of str to float
        Value by quantity.

    Raises
    ------
    SystemExit
        When LAMMPS fails, with its message.
    """
    command = [str(BIN / "lmp"), "-nocite", "-in", str(HERE / f"in.{name}"), *variables]
    if name == "migration":
        command[1:1] = ["-partition", "3x1"]
        command = [str(BIN / "mpirun"), "-n", "3", *command]
    done = subprocess.run(command, cwd=folder, capture_output=True)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    found = {
        quantity: float(value)
        for quantity, value in re.findall(r"^RESULT (.+?) (-?\d\S*)(?: \S+)?$", said, re.MULTILINE)
    }
    if name == "migration":
        energies = {}
        for k in range(3):
            text = (folder / f"log.lammps.{k}").read_text(errors="replace")
            energies[k] = float(re.findall(r"^ENERGY \d (\S+)$", text, re.MULTILINE)[-1])
        found["vacancy migration"] = energies[1] - energies[0]
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
            found[quantity] = float(spline(np.linspace(first, first + 1, 501)).max())
    if not found:
        errors = [line for line in said.split("\n") if "ERROR" in line] or said.split("\n")[-5:]
        raise SystemExit(f"in.{name}: {' '.join(errors)}")
    return found


def main() -> None:
    """Read the command line, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("decks", nargs="*", default=DECKS, help=f"default: {', '.join(DECKS)}")
    parser.add_argument("--results", default="results", help="folder of validate.py (%(default)s)")
    parser.add_argument("--output", default="decks", help="where decks run (%(default)s)")
    parser.add_argument(
        "--var", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="variable of every deck, such as npt 500",
    )  # fmt: skip
    args = parser.parse_args()
    for name in args.decks:
        if name not in DECKS:
            parser.error(f"decks: there is no in.{name}; choose from {', '.join(DECKS)}")
    try:
        report = Report.read(args.results)
    except OSError as error:
        parser.error(f"--results {args.results}: {error}")
    folder = Path(args.output)
    folder.mkdir(exist_ok=True)
    for path in HERE.glob("*.mod"):
        (folder / path.name).write_text(path.read_text())
    variables = [word for name, value in args.var for word in ("-var", name, value)]
    lines = ["| quantity | deck | ASE | difference | deck |", "|---|---|---|---|---|"]
    worst: dict[bool, tuple[float, str]] = {}
    with tqdm(args.decks, unit=" decks") as bar:
        for name in bar:
            bar.set_postfix_str(name)
            started = time.perf_counter()
            found = run_deck(name, folder, variables)
            seconds = time.perf_counter() - started
            for quantity, value in found.items():
                other = report.values.get(quantity)
                if other is None:
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
    (folder / "comparison.md").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()

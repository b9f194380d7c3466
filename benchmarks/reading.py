# SPDX-License-Identifier: BSD-3-Clause
"""From files to the table: `map_landscape` next to the readers of other packages.

Run as a script, ``reading.py FILE`` prints the peak memory of a map in bytes.
"""

import gzip
import subprocess
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, write
from memory import status
from structures import SIGMA, crystal, frames_of
from timing import interleave, stopwatch

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.frame_source import open_frames, read_block

TITLE = "Reading frames"
RMAX, RATTLE = 6.0, 0.02
# file: ASE's format, mark as a multiple of what
CASES = {
    "si.dump": ("lammps-dump-text", ("kernel + parse floor", 1.5)),
    "si.extxyz": ("extxyz", ("kernel + parse floor", 1.5)),
    "si.dump.gz": ("lammps-dump-text", ("kernel + parse floor", 1.5)),
    "si.extxyz.gz": ("extxyz", ("kernel + parse floor", 1.5)),
    "si.traj": ("traj", ("kernel + ASE", 1.3)),
    "al.dump": ("lammps-dump-text", ("kernel + OVITO", 1.4)),
}
# the columns of what a mark is a multiple of
COLUMNS = {"kernel + parse floor": "parse floor", "kernel + ASE": "ase", "kernel + OVITO": "ovito"}
MEMORY = 300  # MB beyond the text of the frame


# --- files ----------------------------------------------------------------------------------------


def write_dump(path, frames):
    """Write frames as LAMMPS's dump custom does, atoms in an order of their own."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="utf-8") as file:
        for step, atoms in enumerate(frames):
            file.write(
                f"ITEM: TIMESTEP\n{100 * step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n"
                "ITEM: BOX BOUNDS pp pp pp\n"
            )
            file.writelines(f"{0:.16e} {x:.16e}\n" for x in atoms.cell.lengths())
            file.write("ITEM: ATOMS id type element x y z\n")
            rows = zip(atoms.symbols, atoms.positions.tolist(), strict=True)
            lines = [
                f"{i + 1} 1 {symbol} {x:g} {y:g} {z:g}\n"
                for i, (symbol, (x, y, z)) in enumerate(rows)
            ]
            file.writelines(lines[k] for k in rng.permutation(len(lines)))


def make_files(folder, quick):
    """Write the files of all cases; return the numbers of frames."""
    rng = np.random.default_rng(0)
    n = 100 if quick else 500
    _, base = frames_of("Si 216, 24 frames")
    frames = []
    for k in range(n):
        atoms = base[k % len(base)].copy()
        atoms.positions += rng.normal(0.0, RATTLE, (len(atoms), 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-900.0 - 0.1 * k)
        frames.append(atoms)
    write_dump(folder / "si.dump", frames)
    write(folder / "si.extxyz", frames)
    write(folder / "si.traj", frames)
    for name in ("si.dump", "si.extxyz"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    write_dump(folder / "al.dump", crystal("Al", "fcc", 4.05, (20 if quick else 63,) * 3))
    return {name: 1 if name == "al.dump" else n for name in CASES}


# --- competitors ----------------------------------------------------------------------------------


def floor(path, format):
    """Return a function that reads the bytes of a file and the numbers of its rows, no more."""
    from ase_calculators.frame_arrays import SYMBOLS
    from cython_core._kernel import frame_rows

    dump = format.startswith("lammps")
    plan = np.array([-4, -1, -5, 0, 1, 2] if dump else [-5, 0, 1, 2], dtype=np.intc)
    opener = gzip.open if path.suffix == ".gz" else open
    jobs = []
    for frame in open_frames(path, format, 1, {})[0]:
        text = frame.content
        at = text.find(b"\n", text.find(b"ITEM: ATOMS" if dump else b"\n") + 1) + 1
        jobs.append((text, at, text.count(b"\n", at)))
    pieces = [[*zip(*jobs[k : k + 256], strict=True)] for k in range(0, len(jobs), 256)]

    def read():
        with opener(path, "rb") as file:
            while file.read1(1 << 20):
                pass
        for piece in pieces:
            assert frame_rows(*piece, plan, SYMBOLS)[2].all()

    return read


def ase(path, format):
    """Return ASE's reader, which takes minutes for compressed files."""
    if path.suffix == ".gz":
        return None
    return lambda: [atoms.positions for atoms in iread(path, ":", format=format)]


def ovito(path, format):
    """Return OVITO's reader; it has none of .traj."""
    if format == "traj":
        return None
    from ovito.io import import_file

    def read():
        pipeline = import_file(str(path))
        for k in range(pipeline.num_frames):
            pipeline.compute(k).particles.positions[...]

    return read


def chemfiles(path, format):
    """Return chemfiles' reader; it has none of .traj."""
    if format == "traj":
        return None
    from chemfiles import Trajectory

    name = {"extxyz": "XYZ", "lammps-dump-text": "LAMMPS"}[format]
    name += " / GZ" if path.suffix == ".gz" else ""

    def read():
        with Trajectory(str(path), "r", name) as trajectory:
            for k in range(trajectory.nsteps):
                _ = trajectory.read_step(k).positions

    return read


def mdanalysis(path, format):
    """Return MDAnalysis' reader, which needs a topology; it reads one of dumps only."""
    if format != "lammps-dump-text" or path.suffix == ".gz":
        return None
    import MDAnalysis

    def read():
        universe = MDAnalysis.Universe(str(path), format="LAMMPSDUMP", topology_format="LAMMPSDUMP")
        for step in universe.trajectory:
            _ = step.positions

    return read


READERS = {"ase": ase, "ovito": ovito, "chemfiles": chemfiles, "MDAnalysis": mdanalysis}


def measure(quick, progress):
    """Return one row per file: milliseconds per frame."""
    rows = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what readers guess
        folder = Path(name)
        numbers = make_files(folder, quick)
        for case in progress(list(CASES), "reading"):
            path, format = folder / case, CASES[case][0]
            calc = EntropySymmetry(rmax=RMAX, sigma=SIGMA, q6_cutoff=2.8 if "si" in case else 3.6)
            arrays, _, _ = read_block([*open_frames(path, format, 1, {})[0]], {}, True)
            competitors = {
                "map_landscape": lambda p=path, c=calc: map_landscape(p, c, progress=False),
                "kernel": lambda a=arrays, c=calc: c.evaluate(a),
            }
            if format != "traj":
                competitors["parse floor"] = floor(path, format)
            for package, reader in READERS.items():
                if find_spec(package) and (function := reader(path, format)):
                    competitors[package] = function
            watches = {k: stopwatch(f) for k, f in competitors.items()}
            marked = ("map_landscape", "kernel", COLUMNS[CASES[case][1][0]])
            t = interleave({k: watches[k] for k in marked if k in watches}, 3 if quick else 7)
            # the others are much slower, or do less
            t |= interleave({k: w for k, w in watches.items() if k not in t}, 2)
            n_atoms = len(arrays.numbers) // len(arrays)
            row = {"file": case, "frames": numbers[case], "atoms": n_atoms}
            names = ("map_landscape", "kernel", "parse floor", *READERS)
            row |= {n: 1e3 * t[n] / len(arrays) if n in t else "" for n in names}
            if len(arrays) == 1:
                command = [sys.executable, __file__, str(path)]
                peak = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                row["MB"] = (peak - path.stat().st_size) / 1e6
            rows.append({**row, "MB": row.get("MB", "")})
    return rows


def marks(rows):
    """Return (what, value, relation, mark)."""
    out = []
    for row in rows:
        what, mark = CASES[row["file"]][1]
        other = row[COLUMNS[what]]
        if other != "":
            ratio = row["map_landscape"] / (row["kernel"] + other)
            out.append((f"map_landscape / ({what}), {row['file']}", ratio, "<=", mark))
        if row["MB"] != "":
            out.append((f"MB beyond the text, {row['file']}", row["MB"], "<=", MEMORY))
    return out


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [
        (
            "Milliseconds per frame; the others only read it. Parse floor: the bytes of the file "
            "and `std::from_chars` over the rows of its atoms. MB: peak of `map_landscape` in "
            "addition to the memory before it and the text of the frame",
            rows,
        )
    ]


def peak_bytes(path):
    """Return the peak memory of a map less the memory before it."""
    calc = EntropySymmetry(rmax=RMAX, sigma=SIGMA, q6_cutoff=3.6)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    map_landscape(path, calc, progress=False)
    return status("VmHWM") - before


if __name__ == "__main__":
    print(peak_bytes(sys.argv[1]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Read mutated files: each is read, or refused by a one-line error, in bounded time and memory.

python tests/fuzz/readers.py --count 100000          all readers
python tests/fuzz/readers.py --only log --first 815 --count 1 --keep bad

Each file follows from its number, so that --first makes a failed file again. The kinds are dumps
(text and YAML), extended XYZ, logs, tables of landscapes, and machines of Auto-DFT. A file fails if
it takes longer than --seconds or more memory than --memory, or if it raises anything but ValueError
or FileNotFoundError with a text of one line. The exit status is 1 if a file has failed.
"""

import argparse
import gzip
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from ase_calculators import LandscapeTable
from ase_calculators.frame_source import open_frames, read_frames, read_thermo
from ase_calculators.training_sets import labels

BOX = "ITEM: BOX BOUNDS pp pp pp\n0.0 4.05\n0.0 4.05\n0.0 4.05\n"
ROWS = "1 1 0.1 0 0\n2 1 0 2.025 2.025\n3 1 2.025 0 2.025\n4 2 2.025 2.025 0\n"
TILTED = "ITEM: BOX BOUNDS xy xz yz pp pp ff\n0.0 5.05 1.0\n0.0 4.05 0.0\n0.0 4.05 0.0\n"
GENERAL = "ITEM: BOX BOUNDS abc origin pp pp pp\n4 0 0 0\n1 4 0 0\n0 0 4 0\n"


def frame(step: int, box: str = BOX, columns: str = "id type x y z", front: str = "") -> str:
    """Return a frame of a dump."""
    head = f"{front}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n4\n{box}"
    kind = {"type": r"\1 \2", "mass": r"\1 26.98"}.get(columns.split()[1], r"\1 Al")
    return f"{head}ITEM: ATOMS {columns}\n" + re.sub(r"(?m)^(\d) (\d)", kind, ROWS)


LATTICE = 'Lattice="4.05 0 0 0 4.05 0 0 0 4.05"'
XYZ = "".join(
    f"Al {x} {y} {z} 0 0 0.1\n" for x, y, z in ((0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0))
)
FORCES = "Properties=species:S:1:pos:R:3:forces:R:3"
LOG = (
    "LAMMPS (22 Jul 2025)\nunits metal\nthermo_modify norm no\nthermo_style custom step temp pe\n"
    "   Step          Temp          PotEng\n         0   300.0  -20.5\n       100   300.1  -20.6\n"
    "WARNING: something (src/x.cpp:1)\n       200   300.1  -20.7\nLoop time of 0.1 on 1 procs\n"
)
TABLE = (
    '# entsym: {"rmax": 4.5, "sigma": 0.25, "degree": 6}\n# units: sS k_B per atom\n'
    "frame,file,sS,Q6,n_atoms,volume,energy\n0,a.dump,-1.5,0.25,4,66.4,-3.0\n"
    '# skipped: ["a.dump", 1, "the frame ends early"]\n2,a.dump,-1.6,0.35,4,66.4,nan\n'
)
MACHINES = (
    "here:\n  capacity: 2\n  command: gpaw python\ncluster:\n  scheduler: slurm\n  cores: 16\n"
    "  codes: [gpaw, vasp]\n  environment: {OMP_NUM_THREADS: 1}\n  modules:\n    - gpaw\n"
    "  minutes: 90\n  root: /scratch\n  ssh: {host: a.b, user: me, port: 22}\n"
)
SEEDS = {
    "dump": [
        "".join(frame(100 * k) for k in range(3)),
        frame(0, TILTED, "id type xs ys zs"),
        frame(5, GENERAL, "id typelabel x y z", "ITEM: UNITS\nreal\nITEM: TIME\n0.5\n"),
        "ITEM: UNITS\nelectron\n" + frame(0) + frame(1, columns="id element xu yu zu"),
        frame(0, columns="id mass x y z"),
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ENTRIES\n1\n" + BOX + "ITEM: ENTRIES c_1\n0.5\n",
        "---\ncreator: LAMMPS\ntimestep: 0\nunits: metal\ntime: 0\nnatoms: 2\n"
        "boundary: [ p, p, p, p, p, p, ]\nthermo:\n  - keywords: [ Step, PotEng, ]\n"
        "  - data: [ 0, -1.5, ]\nbox:\n  - [ 0, 4 ]\n  - [ 0, 4 ]\n  - [ 0, 4 ]\n"
        "keywords: [ id, type, x, y, z, ]\ndata:\n  - [ 1 , 1 , 0 , 0 , 0, ]\n"
        "  - [ 2 , 1 , 2 , 2 , 2, ]\n...\n",
    ],
    "xyz": [
        f"4\n{LATTICE} energy=-1.5 {FORCES} pbc=\"T T F\"\n{XYZ}" * 3,
        f'4\n{LATTICE} dft_energy=-1.5 virial="1 0 0 0 1 0 0 0 1" stress="0 0 0 0 0 0" '
        f"{FORCES.replace('forces', 'dft_force')}\n{XYZ}",
        f"4\nTimestep=10 {LATTICE.lower()} Potential_energy=-2 {FORCES.replace('P', 'p')}\n{XYZ}",
        "4\nAtoms. Timestep: 10\n" + re.sub(r" 0 0 0.1\n", "\n", XYZ),
        f'4\n{LATTICE} free_energy=-1 note="5 \u00c5" m={{1 2}} deep=[[1,2],[3,4]] j="_JSON [1]" '
        f"{FORCES}:move_mask:L:1\n{XYZ.replace('0.1', '0.1 T')}",
    ],
    "log": [
        LOG,
        "units lj\n# Time-averaged data for fix 1\n# TimeStep c_temp c_thermo_pe\n0 1 -2\n1 1 -3\n",
        "units real\n------------ Step              0 ----- CPU =            0 (sec) --------\n"
        "TotEng   =      -1.0 KinEng   =   1.0 Temp     =   3.0\nPotEng   =      -2.0 E_bond = 0\n",
        "units metal\n---\nkeywords: ['Step', 'Temp', 'PotEng', ]\ndata:\n  - [0, 300, -1.5, ]\n"
        "  - [10, 300, -1.6, ]\n...\n",
    ],
    "table": [TABLE],
    "machines": [MACHINES],
}  # fmt: skip
TOKENS = (  # noqa: SIM905
    "nan inf -inf -1 0 1 2 99999999999 99999999999999999999999 1e400 -1e400 5e-324 1e308 1_0 0x10 "
    "\u0663 \u00b2 T F _JSON [ ] { } \" ' \\ = : , # - --- ... ITEM: ITEM:\\sTIMESTEP "
    "ITEM:\\sATOMS ITEM:\\sUNITS UNITS "
    "lj metal Lattice= Properties= species:S:1 pos:R:3 pos:R:99999999999 Step "
    "PotEng TimeStep keywords: energy energy= virial stress forces Zz X \x00 \xff \ufeff "
    "pp ff abc origin xy &a *a !!python !!set null true {a: xs x id element type"
).split(" ")


class Hang(BaseException):
    """A file took too long."""


def mutated(kind: str, rng: random.Random) -> bytes:
    """Return a file of a kind, with some of its bytes, words and lines changed."""
    data = rng.choice(SEEDS[kind]).encode()
    if rng.random() < 0.05:
        data += rng.choice(SEEDS[rng.choice(list(SEEDS))]).encode()
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5, 12))):
        data = _changed(data, rng)
    if rng.random() < 0.05:
        data = gzip.compress(data, mtime=0)
        if rng.random() < 0.5:
            data = _changed(data, rng)
    return data


def _changed(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one change."""
    at = rng.randrange(len(data) + 1)
    token = rng.choice(TOKENS).replace("\\s", " ").encode()
    how = rng.randrange(12)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if how == 2:
        return data[:at] + token + data[at:]
    if how == 3:
        return data[:at] + data[at + rng.randrange(1, 40) :]
    if how == 4:
        end = at + rng.randrange(1, 200)
        return data[:end] + data[at:end] * rng.choice((1, 2, 50)) + data[end:]
    if how == 5:
        return data[:at] + token * rng.choice((10, 1000, 20000)) + data[at:]
    if how == 6:
        return data.swapcase() if rng.random() < 0.2 else data[:at] + data[at:].swapcase()
    lines = data.splitlines(keepends=True) or [b""]
    k, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    if how == 7:
        lines[k], lines[j] = lines[j], lines[k]
    elif how == 8:
        del lines[k]
    elif how == 9:
        lines.insert(k, lines[j])
    elif how == 10:
        lines = [line.replace(b"\n", b"\r\n") for line in lines]
    words = re.split(rb"(\s+|=|,)", lines[k]) if how == 11 else []
    if words:
        words[rng.randrange(len(words))] = token
        lines[k] = b"".join(words)
    return b"".join(lines)


def read(kind: str, path: Path, rng: random.Random) -> int:
    """Read a file as the package does; return how many frames, rows or energies were good."""
    if kind == "log":
        return len(read_thermo(path, rng.choice((None, None, "lj", "metal"))).energies)
    if kind == "table":
        return len(LandscapeTable.read(path))
    if kind == "machines":
        from ase_calculators.autodft.machines import read_machines

        return len(read_machines(path))
    options = rng.choice(({}, {}, {"specorder": ["Al", "Cu"]}, {"units": "metal"}, {"units": "lj"}))
    good, reason = 0, None
    for found in open_frames(path, None, 1, options)[0]:
        try:
            content = found.atoms(options)
        except Exception as error:
            reason = error
            continue
        good += 1
        try:
            label = labels(content)
            assert label.forces.shape == (len(content), 3) and np.isfinite(label.energy)
        except ValueError as error:
            check(error)
    if reason is not None:
        check(reason)
    if rng.random() < 0.3:
        good = sum(1 for _ in read_frames(path))
    return good


_RAW = re.compile(
    r"(Key|Index|Type|Attribute|Memory|Recursion|Unbound|ZeroDivision|Overflow)\w*Error"
)


def check(error: BaseException) -> None:
    """Raise AssertionError unless the error is a proper refusal."""
    text = str(error)
    ours = isinstance(error, ValueError | FileNotFoundError) and not isinstance(error, UnicodeError)
    if (
        not ours
        or not text
        or "\n" in text
        or (len(text) > 2000 and not text.startswith("machines"))
        or _RAW.match(text)
    ):
        raise AssertionError(f"{type(error).__name__}: {text[:300]!r}") from error


def _alarm(*_: object) -> None:
    raise Hang


def main() -> None:
    """Read the command line, and as many files as it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="files (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (%(default)s)")
    parser.add_argument("--only", choices=list(SEEDS), help="kind of files")
    parser.add_argument("--seconds", type=float, default=5.0, help="for a file (%(default)s)")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB for a file (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, _alarm)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + int(args.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-readers-"))
    counts: Counter[str] = Counter()
    failed, start, slowest = 0, time.perf_counter(), (0.0, 0)
    kinds = [args.only] if args.only else list(SEEDS)
    for number in range(args.first, args.first + args.count):
        rng = random.Random(number)
        kind = kinds[number % len(kinds)]
        endings = {"dump": "dump", "xyz": "xyz", "log": "log", "table": "csv", "machines": "yaml"}
        path = folder / f"file.{endings[kind]}"
        path.write_bytes(mutated(kind, rng))
        signal.setitimer(signal.ITIMER_REAL, args.seconds)
        began = time.perf_counter()
        try:
            counts["read" if read(kind, path, rng) else "empty"] += 1
        except Exception as error:
            try:
                check(error)
                counts["refused"] += 1
            except AssertionError:
                failed += 1
                print(f"number {number} ({kind}):")
                traceback.print_exception(error, limit=-6)
        except Hang:
            failed += 1
            print(f"number {number} ({kind}): took more than {args.seconds:g} s")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, (time.perf_counter() - began, number))
        if args.keep and failed > sum(1 for _ in args.keep.glob("*")):
            args.keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, args.keep / f"{number}{path.suffix}")
    shutil.rmtree(folder)
    told = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    print(f"{args.count} files in {time.perf_counter() - start:.1f} s: {told}, {failed} failed")
    print(f"slowest {slowest[0]:.3f} s, number {slowest[1]}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

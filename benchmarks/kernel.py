# SPDX-License-Identifier: BSD-3-Clause
"""The kernel alone, with each instruction set: throughput, floor and cost of gradients.

get_property has a floor: "ASE alone" is that of a calculator of ASE's class which calculates
nothing, and "a copy of the atoms" is what a calculator must keep in order to notice that they move.

Run as a script, it measures the instruction set in ENTSYM_ISA and prints rows as JSON.
"""

import json
import os
import subprocess
import sys
from statistics import median

from ase.calculators.calculator import Calculator, all_changes
from peers import batch, over_frames
from structures import SIGMA, frames_of
from timing import interleave, stopwatch

from ase_calculators import EntropySymmetry
from cython_core import Kernel

TITLE = "The kernel"
# structure, rmax, mark in structures per second and core
CASES = [
    ("fcc 4", 6.0, 400_000),
    ("fcc 32", 6.0, 100_000),
    ("diamond 1,920", 5.0, 1_500),
    ("diamond 1,920", 8.0, 500),
    ("fcc 4,000", 6.0, None),
    ("fcc 4,000", 8.0, None),
    ("fcc 256,000", 6.0, None),
]


def single_frames(calculator, frames):
    """Return a competitor: EntropySymmetry.evaluate, called frame by frame."""
    return stopwatch(lambda: [calculator.evaluate([atoms]) for atoms in frames])


def properties(calculator, frames, name="sS"):
    """Return a competitor: get_property of a calculator, a new structure at each call."""
    return stopwatch(lambda: [calculator.get_property(name, atoms) for atoms in frames])


class Nothing(Calculator):
    """Calculate nothing, in the way of ASE."""

    implemented_properties = ("energy",)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Return zero."""
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0}


def calls_of_python(calculator, frames):
    """Return competitors: one small frame at a time from Python, and their floor."""
    return {
        "EntropySymmetry.evaluate": single_frames(calculator, frames),
        "get_property": properties(calculator, frames),
        "ASE alone": properties(Nothing(), frames, "energy"),
        "a copy of the atoms": stopwatch(lambda: [atoms.copy() for atoms in frames]),
    }


def measure_here(quick):
    """Return the rows of the instruction set in use."""
    rows = []
    for name, rmax, _ in CASES[:3] if quick else CASES:
        cutoff, frames = frames_of(name)
        kernel = Kernel(rmax, SIGMA, cutoff)
        calculator = EntropySymmetry(rmax, SIGMA, cutoff)
        calls = calls_of_python(calculator, frames) if len(frames[0]) < 200 else {}
        t = interleave(
            {
                "batch": batch(kernel, frames),
                "evaluate": over_frames(kernel.evaluate, frames),
                **calls,
                "traversal": over_frames(kernel.count_pairs, frames),
                "gradients": over_frames(kernel.gradients, frames),
                "local": over_frames(kernel.local, frames),
            },
            3 if quick else 5,
        )
        pairs = sum(kernel.count_pairs(a.positions, a.cell.array, a.pbc) for a in frames)
        rows.append(
            {
                "structure": name,
                "rmax": rmax,
                "isa": kernel.isa,
                "one call/batch": t["evaluate"] / t["batch"],
                **{
                    f"{call}/batch": t[call] / t["batch"] if calls else ""
                    for call in (
                        "EntropySymmetry.evaluate",
                        "get_property",
                        "ASE alone",
                        "a copy of the atoms",
                    )
                },
                "structures/s": len(frames) / t["batch"],
                "ns/pair": t["batch"] / pairs * 1e9,
                "traversal ns/pair": t["traversal"] / pairs * 1e9,
                "evaluate/traversal": t["evaluate"] / t["traversal"],
                "gradients/evaluate": t["gradients"] / t["evaluate"],
                "local/evaluate": t["local"] / t["evaluate"],
            }
        )
    return rows


def measure(quick, progress):
    """Return one row per instruction set and structure: medians over rounds of processes."""
    runs = {}
    rounds = [*["avx512", "avx2"] * (1 if quick else 3), "generic"]  # the last one has no mark
    for asked in progress(rounds, "kernel"):
        done = subprocess.run(
            [sys.executable, __file__, *(["--quick"] if quick else [])],
            env={**os.environ, "ENTSYM_ISA": asked},
            stdout=subprocess.PIPE,
            check=True,
        )
        for row in json.loads(done.stdout):
            if row["isa"] == asked:  # or the machine does not have it
                runs.setdefault((asked, row["structure"], row["rmax"]), []).append(row)
    return [
        {k: v if isinstance(v, str) else median(run[k] for run in same) for k, v in same[0].items()}
        for same in runs.values()
    ]


def marks(rows):
    """Return (what, value, relation, mark) for the machine's best instruction set."""
    best = [row for row in rows if row["isa"] == rows[0]["isa"]]
    out = []
    for row, (_, _, mark) in zip(best, CASES, strict=False):
        case = f"{row['structure']} rmax {row['rmax']:g}"
        if mark:
            out.append((f"structures/s, {case}", row["structures/s"], ">=", mark))
        if row["structure"] == "fcc 4":
            for call in ("one call", "EntropySymmetry.evaluate", "get_property"):
                out.append((f"{call} / batch, {case}", row[f"{call}/batch"], "<=", 2))
        out.append((f"evaluation / bare traversal, {case}", row["evaluate/traversal"], "<=", 3))
        out.append((f"gradient / value, {case}", row["gradients/evaluate"], "<=", 2.3))
    return out


def tables(rows):
    """Return the tables as (caption, rows)."""
    return [("One core; pairs: below rmax + 5 sigma, each once", rows)]


if __name__ == "__main__":
    print(json.dumps(measure_here("--quick" in sys.argv)))

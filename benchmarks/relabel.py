#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cost of relabelling in addition to the teacher, and memory for converting 10^5 frames.

python benchmarks/relabel.py                     installed teachers: EMT, EAM, MACE
python benchmarks/relabel.py --frames 100000     the conversion alone, of 100000 frames

Speeds refer to processor time, which stops while other processes have the core.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

import ase.io
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from memory import status

from ase_calculators.distillation import Committee, relabel
from ase_calculators.training_sets import write_deepmd
from ase_calculators.validation import LammpsPotential


def rattled(n: int, cells: int):
    """Yield aluminium cells of 4 cells^3 atoms."""
    parent = bulk("Al", a=4.05, cubic=True) * (cells, cells, cells)
    for seed in range(n):
        atoms = parent.copy()
        atoms.rattle(0.1, seed=seed)
        yield atoms


def untrained_mace():
    """Return a MACE of the small profile's size with random weights, as fast as a trained one."""
    import mace  # noqa: F401  first: it lets PyTorch load the constants of e3nn
    import torch
    from e3nn import o3
    from mace import modules
    from mace.calculators import MACECalculator

    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=2, num_interactions=2,
        num_elements=1, hidden_irreps=o3.Irreps("32x0e+32x1o"), MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(1), avg_num_neighbors=40.0, atomic_numbers=[13], correlation=2,
        gate=torch.nn.functional.silu, atomic_inter_scale=1.0, atomic_inter_shift=0.0,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
    )  # fmt: skip
    return MACECalculator(models=[model], device="cpu", default_dtype="float64")


def speeds(name: str, teacher, n: int, cells: int, folder: Path, repeats: int) -> dict:
    """Return the speed of a teacher alone and of relabel with it, measured in turns."""
    source = folder / f"{name}.extxyz"
    ase.io.write(source, list(rattled(n, cells)))
    frames = ase.io.read(source, ":")
    committee = Committee([teacher])
    bare, whole = [], []
    committee.evaluate(frames[:3])  # warm
    for _ in range(repeats):
        start = process_time()
        committee.evaluate(frames)
        bare.append(process_time() - start)
        (folder / "out.extxyz").unlink(missing_ok=True)
        start = process_time()
        relabel(source, committee, folder / "out.extxyz", progress=False)
        whole.append(process_time() - start)
    return {
        "teacher": name,
        "atoms": 4 * cells**3,
        "bare, ms/frame": 1e3 * median(bare) / n,
        "relabel, ms/frame": 1e3 * median(whole) / n,
        "share of the bare speed": median(b / w for b, w in zip(bare, whole, strict=True)),
    }


def convert(n: int) -> dict:
    """Convert n frames of 32 atoms from extended XYZ in this process; return time and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(1)
        start = process_time()
        with open(folder / "a.extxyz", "w") as file:
            for number, atoms in enumerate(rattled(1000, 2)):
                atoms.info["teacher_energy"] = float(number)
                atoms.info["teacher_stress"] = rng.normal(size=6)
                atoms.arrays["teacher_forces"] = rng.normal(size=(32, 3))
                ase.io.write(file, atoms, format="extxyz")
        text = (folder / "a.extxyz").read_text()
        with open(folder / "all.extxyz", "w") as file:
            for _ in range(n // 1000):
                file.write(text)
        del text
        write_deepmd(folder / "a.extxyz", folder / "warm", prefix="teacher_")
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        start = process_time()
        write_deepmd(folder / "all.extxyz", folder / "set", prefix="teacher_")
        seconds = process_time() - start
        return {
            "frames": n,
            "peak, MB": status("VmHWM") / 1e6,
            "above what was there, MB": (status("VmHWM") - before) / 1e6,
            "s": seconds,
            "input, MB": (folder / "all.extxyz").stat().st_size / 1e6,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, help="convert so many and print what it took")
    parser.add_argument("--repeats", type=int, default=3, help="(%(default)s)")
    args = parser.parse_args()
    if args.frames:
        print(json.dumps(convert(args.frames)))
        return
    rows = []
    teachers = {
        "EMT": (EMT, 100, 2),
        "EAM, pair_style": (
            lambda: LammpsPotential("pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al", "Al"),
            200, 2,
        ),
        "MACE 32x0e+32x1o, CPU": (untrained_mace, 20, 2),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, (build, n, cells) in teachers.items():
            try:
                teacher = build()
            except ImportError as error:
                print(f"{name}: left out, {error}")
                continue
            rows.append(speeds(name, teacher, n, cells, Path(folder), args.repeats))
            print(rows[-1])
    for n in (10_000, 100_000):
        command = [sys.executable, __file__, "--frames", str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()

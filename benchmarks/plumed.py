#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""sS, Q6 and their gradients by PLUMED on the same frames: values, gradients, time of a frame.

PLUMED=/path/to/plumed python benchmarks/plumed.py

Needs the command `plumed` (on PATH, or in the variable PLUMED) of version 2.10 or newer with the
modules gridtools, symfunc, adjmat, volumes and bias, for example from its source with
`./configure --disable-mpi --disable-openmp --enable-modules=reset:+symfunc:+adjmat:+volumes` and
`make lib`. Aluminium crystals are rattled by 0.1 to 0.28 Å. Both run on one core; processor time.
That of a PLUMED frame is the time of three frames less that of one, by two: it has lists and
memory by then. Two minutes.

PAIRENTROPY hands its CUTOFF to the pair list only. Its Gaussians end 6.25, by default, of the
exponent away: sqrt(12.5) sigma, rounded up to grid points and counted from the grid point below
the distance. "kernel of PLUMED" is plain NumPy with these ends, and our sum otherwise: what is
left is the whole difference. Q6 has the switching function of `smooth`; PLUMED leaves out the
factor 4 pi / 13.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.neighborlist import neighbor_list
from timing import stopwatch

from cython_core import Kernel

RMAX, SIGMA, BINS, CUTOFF, SMOOTH = 6.0, 0.1, 240, 3.6, 0.3
DR = RMAX / BINS
INPUTS = {
    "sS": "PAIRENTROPY GROUP=1-{n} MAXR={rmax} GRID_BIN={bins} KERNEL=gaussian BANDWIDTH={sigma}",
    "Q6": "Q6 SPECIES=1-{n} VMEAN SWITCH={{CUSTOM FUNC=1-x^3*(10-15*x+6*x^2) "
    "D_0={inner} R_0={smooth} D_MAX={cutoff}}}",
}
FACTOR = {"sS": 1.0, "Q6": np.sqrt(4 * np.pi / 13)}
RESULT = {"sS": "v", "Q6": "v_vmean"}
OURS = {"sS": "sS", "Q6": "Q"}


def crystals(cells, count):
    """Return fcc crystals of aluminium, each rattled with its own seed and further."""
    frames = [bulk("Al", "fcc", a=4.05, cubic=True).repeat(cells) for _ in range(count)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1 + 0.02 * seed, seed=seed)
    return frames


def plumed(command, name, frames, folder):
    """Return values, minus their gradients, and the seconds, by `plumed driver`."""
    n = len(frames[0])
    with open(folder / "frames.xyz", "w") as file:
        for atoms in frames:
            file.write(f"{n}\n" + " ".join(f"{x:.10f}" for x in atoms.cell.lengths()) + "\n")
            file.writelines("Al {:.10f} {:.10f} {:.10f}\n".format(*x) for x in atoms.positions)
    action = INPUTS[name].format(
        n=n, rmax=RMAX, bins=BINS, sigma=SIGMA, inner=CUTOFF - SMOOTH, smooth=SMOOTH, cutoff=CUTOFF
    )
    (folder / "in.plumed").write_text(
        f"UNITS LENGTH=A\nv: {action}\nPRINT ARG={RESULT[name]} FILE=values FMT=%.10f\n"
        f"BIASVALUE ARG={RESULT[name]}\n"
    )
    call = [command, "driver", "--ixyz", "frames.xyz", "--length-units", "A", "--plumed",
            "in.plumed", "--dump-forces", "forces", "--dump-forces-fmt", "%.12f"]  # fmt: skip
    for file in ("values", "forces"):  # PLUMED keeps an old file as a copy
        (folder / file).unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command}: {(done.stdout + done.stderr)[-2000:]}")
    values = np.loadtxt(folder / "values", ndmin=2)[:, 1]
    lines = (folder / "forces").read_text().splitlines()
    forces = [
        [line.split()[1:4] for line in lines[k * (n + 2) + 2 : (k + 1) * (n + 2)]]
        for k in range(len(frames))
    ]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return values * FACTOR[name], np.array(forces, float) * FACTOR[name], seconds


def pair_entropy(atoms):
    """Return sS with the ends of PLUMED's Gaussians, in plain NumPy."""
    grid = np.arange(BINS + 1)
    r = grid * DR
    reach = np.ceil(np.sqrt(12.5) * SIGMA / DR)
    distances = neighbor_list("d", atoms, RMAX + np.sqrt(12.5) * SIGMA)
    rho = len(atoms) / atoms.get_volume()
    g = np.zeros(BINS + 1)
    for part in np.array_split(distances, 1 + len(distances) // 20000):
        gaussian = np.exp(-((r[:, None] - part) ** 2) / (2 * SIGMA**2))
        gaussian[np.abs(grid[:, None] - np.floor(part / DR)) > reach] = 0
        g += gaussian.sum(1) / (np.sqrt(2 * np.pi) * SIGMA)
    g[1:] /= len(atoms) * rho * 4 * np.pi * r[1:] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        integrand = np.where(g > 0, g * np.log(g) - g + 1, 1.0) * r**2
    return -2 * np.pi * rho * np.trapezoid(integrand, r)


def rows(command, folder):
    """Yield one row per size and quantity."""
    kernel = Kernel(RMAX, SIGMA, CUTOFF, dr=DR, smooth=SMOOTH)
    for cells in (5, 10):
        frames = crystals(cells, 10 if cells == 5 else 3)
        arguments = [(atoms.positions, atoms.cell.array, atoms.pbc) for atoms in frames]
        results = [kernel.gradients(*a) for a in arguments]
        run = stopwatch(lambda arguments=arguments: [kernel.gradients(*a) for a in arguments])
        ours = np.median([run(1) for _ in range(7)]) / len(frames)
        for name in INPUTS:
            values, forces, _ = plumed(command, name, frames, folder)
            ends = [plumed(command, name, frames[:n], folder)[2] for n in (1, 3)]
            row = {
                "atoms": len(frames[0]), "quantity": name,
                "value, largest difference": np.abs(
                    values - [result[OURS[name]] for result in results]
                ).max(),
            }  # fmt: skip
            if name == "sS":
                row["with the kernel of PLUMED"] = np.abs(
                    values - [pair_entropy(atoms) for atoms in frames]
                ).max()
            else:
                row["with the kernel of PLUMED"] = ""
            gradients = np.array([result[f"{OURS[name]}_gradient"] for result in results])
            row["gradient, difference / gradient (rms)"] = np.sqrt(
                np.mean((forces + gradients) ** 2) / np.mean(gradients**2)
            )
            row["PLUMED, ms"] = (ends[1] - ends[0]) / 2 * 1e3
            row["kernel, sS and Q6, ms"] = ours * 1e3
            row["PLUMED / kernel"] = row["PLUMED, ms"] / row["kernel, sS and Q6, ms"]
            yield row


def main():
    """Find PLUMED, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    command = os.environ.get("PLUMED") or shutil.which("plumed")
    if command is None:
        parser.error("no plumed on PATH; set PLUMED to the path of the command")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        table = list(rows(command, Path(folder)))
    print("| " + " | ".join(table[0]) + " |\n" + "|---" * len(table[0]) + "|")
    for row in table:
        texts = [value if isinstance(value, str) else f"{value:.3g}" for value in row.values()]
        print("| " + " | ".join(texts) + " |")


if __name__ == "__main__":
    main()

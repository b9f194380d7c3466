#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check the landscape on rock salt with growing random displacements: it must be monotonic.

python sensitivity_displacement.py

sS must rise and Q6 must fall as the atoms of NaCl are displaced further. Each seed draws one
direction in configuration space, along which the crystal is displaced.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from scipy.stats import spearmanr

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

ROCK_SALT = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.4}


def main() -> None:
    """Map the displaced crystals, draw them and print the rank correlations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=float, default=0.6, help="Å rms (%(default)s)")
    parser.add_argument("--points", type=int, default=31, help="amplitudes (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="directions (%(default)s)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--output", default="sensitivity_displacement", help="name of .csv and .png"
    )
    args = parser.parse_args()
    if args.largest <= 0 or args.points < 3 or args.seeds < 1:
        parser.error(
            f"--largest {args.largest:g} --points {args.points} --seeds {args.seeds}: must be "
            "positive, 3 or more, 1 or more"
        )

    crystal = bulk("NaCl", "rocksalt", a=5.6402, cubic=True) * (3, 3, 3)
    amplitudes = np.linspace(0.0, args.largest, args.points)

    def frames():
        for seed in range(args.seeds):
            direction = np.random.default_rng(seed).normal(size=(len(crystal), 3))
            direction /= np.sqrt(np.mean(np.sum(direction**2, axis=1)))
            for amplitude in amplitudes:
                atoms = crystal.copy()
                atoms.positions += amplitude * direction
                yield atoms

    table = map_landscape(frames(), EntropySymmetry(**ROCK_SALT), processes=args.processes)
    curves = {
        "sS": table.sS.reshape(args.seeds, -1),
        "Q6": table.Q6.reshape(args.seeds, -1),
    }

    csv, png = Path(f"{args.output}.csv"), Path(f"{args.output}.png")
    columns = {"displacement": amplitudes} | {
        f"{name}_seed{seed}": curve
        for name, rows in curves.items()
        for seed, curve in enumerate(rows)
    }
    settings = " ".join(f"{name} {value:g} A" for name, value in ROCK_SALT.items())
    with atomic_write(csv) as file:
        np.savetxt(
            file, np.column_stack(list(columns.values())), fmt="%.15g", delimiter=",", comments="",
            header=f"# NaCl, rms displacement in A, sS in k_B per atom, {settings}\n"
            + ",".join(columns),
        )  # fmt: skip

    print(f"rank correlation with the displacement, {args.points} amplitudes, {args.seeds} seeds")
    for name, rows in curves.items():
        each = [spearmanr(amplitudes, row).statistic for row in rows]
        pooled = spearmanr(np.tile(amplitudes, args.seeds), rows.ravel()).statistic
        falls = np.diff(rows, axis=1) * np.sign(pooled) <= 0
        print(
            f"  {name}  within a seed {min(each):+.4f} to {max(each):+.4f}, all seeds together "
            f"{pooled:+.4f}, steps in the wrong direction {falls.sum()} of {falls.size}"
        )

    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.2), layout="constrained")
    labels = ("sS ($k_\\mathrm{B}$ per atom)", "Q6")
    for ax, rows, label, color in zip(
        axes, curves.values(), labels, ("#0072b2", "#d55e00"), strict=True
    ):
        ax.plot(amplitudes, rows.T, color=color, lw=0.7, alpha=0.5)
        ax.plot(amplitudes, rows.mean(axis=0), color=color, marker="o", ms=3, lw=0)
        ax.set(xlabel="rms displacement (Å)", ylabel=label)
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"NaCl, {len(crystal)} atoms, {args.seeds} seeds (lines) and their mean (dots), "
        f"{settings.replace(' A', ' Å')}",
        fontsize=7.5, color="0.4",
    )  # fmt: skip
    save_figure(figure, png, dpi=150)
    print(f"table {csv}, picture {png}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check the landscape on hcp magnesium under each of the six strains, from -x to +x.

python sensitivity_strain.py

Under shear, sS and Q6 must be exactly symmetric about the unstrained crystal, because a symmetry
operation of hcp turns each shear into its opposite (the twofold axis along z for yz and xz, the
mirror normal to x for xy). Normal strains need not be symmetric: a longer and a shorter c axis are
different crystals. The two in-plane strains must start with the same slope, because of the
threefold axis.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import bulk

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

MAGNESIUM = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.85}
STRAINS = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}


def strained(crystal: Atoms, component: tuple[int, int], amount: float) -> Atoms:
    """Return the crystal under one component of a symmetric strain.

    Parameters
    ----------
    crystal : ase.Atoms
        The crystal; not modified.
    component : tuple of int
        Row and column of the strain e; both off-diagonal elements are set.
    amount : float
        Its value: x becomes (1 + e) x, and a shear angle is twice the amount.

    Returns
    -------
    ase.Atoms
        A strained copy.
    """
    strain = np.zeros((3, 3))
    strain[component] = strain[component[::-1]] = amount
    atoms = crystal.copy()
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def asymmetry(values: np.ndarray) -> float:
    """Return the largest odd part of values at -x ... x relative to the largest even change.

    Parameters
    ----------
    values : (2 k + 1,) float64
        Values at evenly spaced strains about 0.

    Returns
    -------
    float
        ``max |f(x) - f(-x)| / max |f(x) + f(-x) - 2 f(0)|``; 0 for a symmetric pattern.
    """
    odd = np.abs(values - values[::-1])
    even = np.abs(values + values[::-1] - 2 * values[len(values) // 2])
    return float(odd.max() / even.max())


def main() -> None:
    """Map the strained crystals, draw them and print the asymmetries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=float, default=0.06, help="strain (%(default)s)")
    parser.add_argument("--points", type=int, default=30, help="on either side (%(default)s)")
    parser.add_argument("--output", default="sensitivity_strain", help="name of .csv and .png")
    args = parser.parse_args()
    if not 0 < args.largest < 0.5 or args.points < 1:
        parser.error(
            f"--largest {args.largest:g} --points {args.points}: must be between 0 and 0.5, and 1 "
            "or more"
        )

    crystal = bulk("Mg", "hcp", a=3.2094, c=5.2108)
    amounts = np.linspace(-args.largest, args.largest, 2 * args.points + 1)
    amounts[args.points] = 0.0
    frames = [strained(crystal, at, x) for at in STRAINS.values() for x in amounts]
    table = map_landscape(frames, EntropySymmetry(**MAGNESIUM), progress=False)
    curves = {
        "sS": table.sS.reshape(len(STRAINS), -1),
        "Q6": table.Q6.reshape(len(STRAINS), -1),
    }

    csv, png = Path(f"{args.output}.csv"), Path(f"{args.output}.png")
    columns = {"strain": amounts} | {
        f"{name}_{strain}": curve
        for name, rows in curves.items()
        for strain, curve in zip(STRAINS, rows, strict=True)
    }
    settings = " ".join(f"{name} {value:g} A" for name, value in MAGNESIUM.items())
    with atomic_write(csv) as file:
        np.savetxt(
            file, np.column_stack(list(columns.values())), fmt="%.15g", delimiter=",", comments="",
            header=f"# hcp Mg, sS in k_B per atom, {settings}\n" + ",".join(columns),
        )  # fmt: skip

    crystal.calc = EntropySymmetry(**MAGNESIUM)
    print("strain            " + "".join(f"{strain:>10}" for strain in STRAINS))
    for name, rows in curves.items():
        slopes = crystal.calc.get_property(f"{name}_strain_gradient", crystal)
        print(f"{name} asymmetry      " + "".join(f"{asymmetry(row):10.1e}" for row in rows))
        print(f"{name} slope at 0     " + "".join(f"{slopes[at]:10.2g}" for at in STRAINS.values()))

    # Okabe and Ito's colours, and dashes where curves lie upon each other
    looks = {
        "xx": ("#0072b2", "-"), "yy": ("#e69f00", "--"), "zz": ("#009e73", "-."),
        "yz": ("#d55e00", "-"), "xz": ("#56b4e9", "--"), "xy": ("#cc79a7", "-."),
    }  # fmt: skip
    figure, axes = plt.subplots(
        2, 2, sharex=True, sharey="row", figsize=(6.4, 5.2), layout="constrained"
    )
    for row, (name, label) in enumerate((("sS", "sS ($k_\\mathrm{B}$ per atom)"), ("Q6", "Q6"))):
        axes[row, 0].set_ylabel(label)
        for at, (strain, (color, dash)) in enumerate(looks.items()):
            axes[row, at // 3].plot(
                100 * amounts, curves[name][at], color=color, ls=dash, lw=1.6,
                label=f"$e_{{{strain}}}$",
            )  # fmt: skip
    for ax, title in zip(axes[0], ("normal strains", "shears"), strict=True):
        ax.set_title(title, fontsize=10)
        ax.legend(frameon=False)
    for ax in axes.flat:
        ax.grid(color="0.92", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[1]:
        ax.set_xlabel("strain (%)")
    figure.suptitle(f"hcp Mg, {settings.replace(' A', ' Å')}", fontsize=8, color="0.4")
    save_figure(figure, png, dpi=150)
    print(f"table {csv}, picture {png}")


if __name__ == "__main__":
    main()

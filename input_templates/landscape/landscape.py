#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Map the frames of a dump, or of any file that ASE reads, to the entropy-symmetry landscape.

python landscape.py melt.dump --energies log.melt
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape, plot_landscape
from ase_calculators.figures import save_figure

# Å, those of init.mod
SILICON = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.0}


def draw(table: LandscapeTable, path: Path, color: str | None = "energy") -> None:
    """Draw the landscape into a picture.

    Parameters
    ----------
    table : LandscapeTable
        The landscape.
    path : pathlib.Path
        The picture; its suffix sets the format.
    color : str or None
        As in `plot_landscape`.
    """
    ax = plot_landscape(table, color=color)
    save_figure(ax.figure, path, dpi=150)
    plt.close(ax.figure)


def main() -> None:
    """Read the command line and map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", help="dump, extended XYZ, ... or a quoted glob pattern")
    parser.add_argument("--energies", help="LAMMPS log with the columns Step and PotEng")
    parser.add_argument("--rmax", type=float, default=SILICON["rmax"], help="Å (%(default)s)")
    parser.add_argument("--sigma", type=float, default=SILICON["sigma"], help="Å (%(default)s)")
    parser.add_argument(
        "--q6-cutoff", type=float, default=SILICON["q6_cutoff"], help="Å (%(default)s)"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", default="landscape", help="name of the .csv and the .png")
    args = parser.parse_args()
    try:
        calc = EntropySymmetry(args.rmax, args.sigma, args.q6_cutoff)
        table = map_landscape(args.frames, calc, processes=args.processes, energies=args.energies)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    csv, png = Path(f"{args.output}.csv"), Path(f"{args.output}.png")
    table.write(csv)
    has_energy = (table.energy == table.energy).any()
    draw(table, png, color="energy" if has_energy else "frame")
    print(f"{len(table)} frames: table {csv}, picture {png}")


if __name__ == "__main__":
    main()

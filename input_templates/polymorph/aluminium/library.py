#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Breed a library of aluminium over all of the landscape and thin it out to training sets.

lmp -in in.parents
python library.py

Parents are fcc, bcc and hcp crystals and the frames that in.parents has written. An interrupted
run resumes the library where it stopped.
"""

import argparse
import warnings
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.build import bulk, find_optimal_cell_shape, make_supercell
from ase.calculators.lammpslib import LAMMPSlib
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    PolymorphGen,
    map_landscape,
    multi_resolution,
    plot_landscape,
    write_sets,
)
from ase_calculators.figures import save_figure
from ase_calculators.provenance import atomic_write

# as in in.parents, Å; README.md says how they were chosen
ALUMINIUM = {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.75, "smooth": 0.3}
POTENTIAL = "Al_mm.eam.fs"
MIN_DISTANCE = 2.0  # Å; the nearest atoms of the liquid at 1800 K are 2.1 Å apart
STRETCH = (0.85, 1.1)  # limits of the volume per atom, over the smallest and the largest parent's
# the paper's rounds
RESOLUTIONS = [(0.2, 0.006), (0.1, 0.005), (0.05, 0.0025), (0.04, 0.0024), (0.02, 0.0022)]
# standard deviations of the displacements of crystals that are parents, Å
RATTLES = (0.0, 0.05, 0.1, 0.15, 0.2)
# an atom is fcc, bcc or hcp if polyhedral template matching finds it within this RMSD
RMSD = 0.2
BASINS = ("liquid, glass", "fcc", "hcp", "bcc")  # in the order of OVITO's types
COLORS = dict(zip(BASINS, ("0.6", "#0072b2", "#e69f00", "#009e73"), strict=True))


def crystals(n_atoms: int, seed: int) -> list[Atoms]:
    """Return fcc, bcc and hcp crystals with the same number of atoms in nearly cubic cells.

    Parameters
    ----------
    n_atoms : int
        Number of atoms of each, even.
    seed : int
        Random seed of the displacements.

    Returns
    -------
    list of ase.Atoms
        Each crystal with the displacements of RATTLES.
    """
    found = []
    for unit in (
        bulk("Al", "fcc", a=4.045),
        bulk("Al", "bcc", a=3.24),
        bulk("Al", "hcp", a=2.86, c=4.67),
    ):
        shape = find_optimal_cell_shape(unit.cell, n_atoms // len(unit), "sc")
        for number, amplitude in enumerate(RATTLES):
            found.append(make_supercell(unit, shape))
            found[-1].rattle(amplitude, seed=seed + number)
    return found


def energies_and_basins(path: Path, n_frames: int, potential: str) -> np.ndarray:
    """Calculate potential energies and kinds of order, which breeding does not use.

    A frame belongs to a crystal if more than half of its atoms do, otherwise to the liquid and the
    glass.

    Parameters
    ----------
    path : pathlib.Path
        The frames, extended XYZ.
    n_frames : int
        Number of frames, for the progress bar.
    potential : str
        File of the embedded-atom potential.

    Returns
    -------
    (n, 2) float64
        eV per frame, and the number of the basin.
    """
    try:
        from ovito.io.ase import ase_to_ovito
        from ovito.modifiers import PolyhedralTemplateMatchingModifier
    except ImportError as error:
        raise SystemExit(
            f"OVITO cannot be loaded ({error}): pip install 'entsym[analysis]'"
        ) from error
    matching = PolyhedralTemplateMatchingModifier(rmsd_cutoff=RMSD)
    lammps = LAMMPSlib(
        lmpcmds=["pair_style eam/fs", f"pair_coeff * * {potential} Al"],
        atom_types={"Al": 1},
        keep_alive=True,
    )
    rows = []
    for atoms in tqdm(ase.io.iread(path), total=n_frames, unit=" energies"):
        bare = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, calculator=lammps)
        try:
            energy = bare.get_potential_energy()
        except Exception as error:  # the lammps module's own class
            raise SystemExit(f"potential = {potential}: LAMMPS says {error}") from None
        data = ase_to_ovito(bare)
        data.apply(matching)
        counts = np.bincount(data.particles["Structure Type"][...], minlength=len(BASINS))
        basin = counts[1:4].argmax() + 1 if 2 * counts[1:4].max() > len(bare) else 0
        rows.append((energy, basin))
    return np.array(rows)


def draw_basins(table: LandscapeTable, basins: np.ndarray, liquid: float, path: Path) -> None:
    """Draw the basins on the landscape and the energies of each.

    Parameters
    ----------
    table : LandscapeTable
        The library with its energies.
    basins : (n,) array of int
        Basins of its frames.
    liquid : float
        Energy of the hottest frame of the liquid, eV per atom.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.9), layout="constrained")
    energies = table.energy / table.n_atoms
    bins = np.linspace(energies.min(), liquid + 0.5, 60)
    for number, (name, color) in enumerate(COLORS.items()):
        of = basins == number
        label = f"{name}: {np.count_nonzero(of)}"
        axes[0].plot(table.sS[of], table.Q6[of], ".", ms=2.5, mew=0, color=color, rasterized=True)
        # the last bin holds what is beyond the axis
        axes[1].hist(
            np.minimum(energies[of], bins[-1]), bins, histtype="step", color=color, label=label
        )
    axes[0].set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    axes[1].axvline(liquid, color="0.3", lw=0.8, ls="--")
    axes[1].annotate(
        " hottest liquid", (liquid, 1.0), xycoords=("data", "axes fraction"), fontsize=8, va="top"
    )
    axes[1].set(xlabel="energy per atom (eV)", ylabel="frames", yscale="log")
    axes[1].xaxis.set_major_locator(MaxNLocator(5))
    axes[1].legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 0.93))
    for ax in axes:
        ax.grid(color="0.92", lw=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=120)
    plt.close(figure)


def draw_rounds(table: LandscapeTable, basins: np.ndarray, rounds: np.ndarray, path: Path) -> None:
    """Draw the share of the frames that is left at each resolution, and the frames of the first.

    Parameters
    ----------
    table : LandscapeTable
        The library.
    basins : (n,) array of int
        Basins of its frames.
    rounds : (n,) array of int
        Round in which each was kept, -1 for never.
    path : pathlib.Path
        The picture.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.7), layout="constrained")
    kept = [(rounds >= 0) & (rounds <= number) for number in range(len(RESOLUTIONS))]
    base = np.zeros(len(RESOLUTIONS))
    for number, (name, color) in enumerate(COLORS.items()):
        share = np.array([100 * np.mean(of & (basins == number)) for of in kept])
        axes[0].bar(range(len(share)), share, bottom=base, color=color, label=name, width=0.7)
        base += share
        first = kept[0] & (basins == number)
        axes[1].plot(table.sS[first], table.Q6[first], ".", ms=4, mew=0, color=color)
    for at, total in enumerate(base):
        axes[0].annotate(f"{total:.1f} %", (at, total), ha="center", va="bottom", fontsize=8)
    axes[0].set_xticks(
        range(len(RESOLUTIONS)), [f"{dsS:g}\n{dQ:g}" for dsS, dQ in RESOLUTIONS], fontsize=8
    )
    axes[0].set(xlabel="resolution (dsS above, dQ6 below)", ylabel="share of the library left (%)")
    axes[0].margins(y=0.1)
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set(xlabel="sS ($k_\\mathrm{B}$ per atom)", ylabel="Q6")
    axes[1].set_title(f"standard set: {np.count_nonzero(kept[0])} frames", fontsize=9)
    for ax in axes:
        ax.grid(color="0.92", lw=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Breed, classify, write, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parents", type=Path, nargs="?", default=Path("parents.extxyz"),
        help="frames of in.parents (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--per-edge", type=int, default=70,
        help="cells along both axes of the parents' window, each a target while it is empty "
        "(%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--generations", type=int, default=3,
        help="per target, fewer if it is hit (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--individuals", type=int, default=1, help="per generation (%(default)s)")
    parser.add_argument("--potential", default=POTENTIAL, help="eam/fs file (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder (%(default)s)")
    args = parser.parse_args()
    if not args.parents.exists():
        parser.error(f"parents = {args.parents}: there is no such file; run lmp -in in.parents")
    args.output.mkdir(parents=True, exist_ok=True)
    files = {
        name: args.output / f"{name}.extxyz"
        for name in ("start", "library", "standard", "supplementary")
    }

    calc = EntropySymmetry(**ALUMINIUM)
    try:
        melt = [Atoms(a.symbols, a.positions, cell=a.cell, pbc=True)
                for a in ase.io.iread(args.parents)]  # fmt: skip
        start = crystals(len(melt[0]), args.seed) + melt
        with atomic_write(files["start"]) as file:
            ase.io.write(file, start, format="extxyz")
        volumes = [atoms.get_volume() / len(atoms) for atoms in start]
        gen = PolymorphGen(
            start,
            calc,
            targets="gaps",
            targets_per_edge=args.per_edge,
            expand=0.0,
            generations=args.generations,
            individuals=args.individuals,
            min_distance=MIN_DISTANCE,
            volume_limits=(STRETCH[0] * min(volumes), STRETCH[1] * max(volumes)),
            seed=args.seed,
            processes=args.processes,
        )
        # before the library, so that a missing package or file is found at once
        of_start = energies_and_basins(files["start"], len(start), args.potential)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some cells cannot be hit: the last lines say how many
            n_children = len(gen.run(files["library"]))
    except (OSError, ValueError) as error:
        parser.error(str(error))

    # parents and children are one library
    table = map_landscape([files["start"], files["library"]], calc, processes=args.processes)
    of_children = energies_and_basins(files["library"], n_children, args.potential)
    table.energy, basins = np.vstack((of_start, of_children)).T
    basins = basins.astype(int)
    table.write(args.output / "landscape.csv")
    rounds = multi_resolution(table, RESOLUTIONS, score="energy")
    written = write_sets(table, rounds, files["standard"], files["supplementary"])
    with atomic_write(args.output / "basins.csv") as file:
        np.savetxt(
            file, np.column_stack((basins, rounds)), fmt="%d", delimiter=",",
            comments="", header=f"# a line per line of landscape.csv; basins 0 to 3: {BASINS}, PTM "
            f"RMSD {RMSD}; round in which it was kept, -1 never\nbasin,round",
        )  # fmt: skip

    energies = table.energy / table.n_atoms
    liquid = energies[len(start) - len(melt) : len(start)].max()
    ax = plot_landscape(table, "energy")
    ax.collections[-1].set_clim(energies.min(), liquid + 0.5)
    save_figure(ax.figure, args.output / "landscape.png", dpi=90)
    draw_basins(table, basins, liquid, args.output / "basins.png")
    draw_rounds(table, basins, rounds, args.output / "rounds.png")

    hit = sum(report.distance < gen.tolerance for report in gen.reports)
    evaluations = sum(report.evaluations for report in gen.reports)
    print(
        f"\n{len(start)} parents ({len(melt)} of in.parents), {len(table) - len(start)} children "
        f"of {len(melt[0])} atoms, {evaluations} evaluations; {hit} of {len(gen.targets)} empty "
        f"cells tried were hit; window sS {gen.window[0]:.2f} to {gen.window[1]:.2f}, Q6 "
        f"{gen.window[2]:.3f} to {gen.window[3]:.3f}"
    )
    print("resolution       left   share   " + "   ".join(f"{name:>13s}" for name in BASINS))
    whole = [("whole library ", np.full(len(table), True))]
    steps = [
        (f"{dsS:5g} {dQ:<7g} ", (rounds >= 0) & (rounds <= number))
        for number, (dsS, dQ) in enumerate(RESOLUTIONS)
    ]
    for name, of in whole + steps:
        counts = np.bincount(basins[of], minlength=len(BASINS))
        print(f"{name} {of.sum():6d}  {of.mean():6.1%}   " + "   ".join(f"{n:13d}" for n in counts))
    print(f"hottest frame of in.parents: {liquid:.3f} eV per atom; shares of the frames")
    for name, of in [*whole, ("standard set  ", rounds == 0), ("supplementary ", rounds > 0)]:
        above = energies[of] - liquid
        print(
            f"{name} {np.mean(above <= 0):.1%} not above it, {np.mean(above > 0.2):.1%} more than "
            f"0.2, {np.mean(above > 0.5):.1%} more than 0.5 eV above; the highest "
            f"{above.max():.2f} eV"
        )
    print(
        f"standard set: {written[0]} frames, {files['standard']}\n"
        f"supplementary set: {written[1]} frames, {files['supplementary']}\n"
        f"tables and pictures: {args.output}"
    )


if __name__ == "__main__":
    main()

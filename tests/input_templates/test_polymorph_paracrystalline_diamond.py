# SPDX-License-Identifier: BSD-3-Clause
"""Deck and scripts of input_templates/polymorph/paracrystalline_diamond, shortened, in a copy."""

import importlib.util
import re
import shutil
import sys

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from ase_calculators import EntropySymmetry, LandscapeTable

TEMPLATE = "polymorph/paracrystalline_diamond"
# 240 atoms: half of their compressed box
SHORT = (
    ("rmax", 6), ("load", 0.05), ("heat", 0.1), ("hold", 0.05), ("quench", 0.1), ("every", 10),
    ("save", 50), ("hot", 3000), ("dsS", 0.02), ("dQ", 0.001),
)  # fmt: skip
ROW = re.compile(r"\s*\d+(\s+[-+.\de]+){7}\s*")


def thermo(path):
    """Return step, time, temperature, pressure, density, energy, sS, Q6, each step once."""
    rows = (line.split() for line in path.read_text().splitlines() if ROW.fullmatch(line))
    by_step = {int(row[0]): [float(word) for word in row] for row in rows}
    return np.array([by_step[step] for step in sorted(by_step)]).T


@pytest.fixture(scope="module")
def folder(copy_of, script, lmp):
    """Return a user's copy of the template after a short run of one cell of C60."""
    folder = copy_of(TEMPLATE)
    script("c60.py", "--cells", 1, cwd=folder)
    lmp("in.paracrystalline", *SHORT, cwd=folder)
    return folder


# the molecules have not merged yet
BREED = ("--targets-per-edge", 2, "--generations", 2, "--individuals", 3, "--void", 9)


@pytest.fixture(scope="module")
def library(folder, script):
    """Breed a short library; return the folder and the output of breed.py."""
    return folder, script("breed.py", *BREED, cwd=folder)


@pytest.fixture(scope="module")
def analysis():
    """Skip if freud or OVITO cannot be loaded."""
    for package in ("freud", "ovito.modifiers"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            pytest.skip(f"{package} cannot be loaded: {error}")


def test_crystal_is_made_of_molecules_on_fcc(folder):
    atoms = ase.io.read(folder / "c60.data", format="lammps-data")
    assert len(atoms) == 240
    i, d = neighbor_list("id", atoms, 1.6)
    assert np.all(np.bincount(i, minlength=240) == 3)
    assert 1.38 < d.min() < d.max() < 1.46
    molecule = np.arange(240) // 60
    i, j, d = neighbor_list("ijd", atoms, 5.0)
    assert d[molecule[i] != molecule[j]].min() > 14.17 / np.sqrt(2) - 2 * 3.52
    # the molecules are turned each in its own way, and otherwise by another seed
    first = atoms[:60].get_all_distances(mic=True)
    np.testing.assert_allclose(atoms[60:120].get_all_distances(mic=True), first, atol=1e-6)


def test_another_seed_turns_the_molecules(script, folder, tmp_path):
    for seed in (1, 2):
        script("c60.py", "--cells", 1, "--seed", seed, "--output", tmp_path / f"{seed}", cwd=folder)
    assert (tmp_path / "1").read_bytes() == (folder / "c60.data").read_bytes()
    assert (tmp_path / "2").read_bytes() != (folder / "c60.data").read_bytes()


def test_the_deck_keeps_its_schedule(folder):
    step, time, temperature, _, density, *_ = thermo(folder / "log.paracrystalline")
    np.testing.assert_array_equal(step, np.arange(0, 601, 10))
    np.testing.assert_allclose(time, 5e-4 * step, rtol=1e-9)
    np.testing.assert_allclose(density[0], 240 * 12.011 * 1.66054 / 14.17**3, rtol=1e-4)
    assert density[step == 300] > 1.3 * density[0]
    # the thermostat takes 0.1 ps: the temperature follows, it does not arrive
    assert temperature[step == 300] > 2 * temperature[step == 100]


def test_parents_are_even_and_those_of_the_log(folder):
    frames = ase.io.read(folder / "parents.extxyz", index=":")
    points = np.array([[atoms.info["sS"], atoms.info["Q6"]] for atoms in frames])
    cells = np.floor(points / (0.02, 0.001))
    assert len(np.unique(cells, axis=0)) == len(frames) > 10
    assert min(atoms.info["timestep"] for atoms in frames) == 100  # none while loading
    values = EntropySymmetry(6.0, 0.125, 2.4).evaluate(frames)
    # 12 digits of positions of 10 Å
    np.testing.assert_allclose(points, np.column_stack(list(values.values())), rtol=1e-8)
    step, *_, sS, Q6 = thermo(folder / "log.paracrystalline")
    rows = np.searchsorted(step, [atoms.info["timestep"] for atoms in frames])
    np.testing.assert_allclose(points, np.column_stack((sS, Q6))[rows], rtol=1e-10)


@pytest.mark.parametrize("at", [200, 350, 500], ids=["heating", "holding", "quenching"])
def test_a_stopped_run_goes_on(lmp, folder, tmp_path, at):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.glob("*.restart"):
        if int(path.name.split(".")[1]) > at:
            path.unlink()
    (copy / "final.data").unlink()
    said = lmp("in.paracrystalline", *SHORT, ("restart", "yes"), cwd=copy)
    assert "600 steps done" in said
    assert (copy / "final.data").exists()
    before, after = (thermo(f / "log.paracrystalline") for f in (folder, copy))
    np.testing.assert_array_equal(after[0], before[0])
    # LAMMPS takes the mass of its barostat from the temperature at which a run starts, so that a
    # ramp resumes as another trajectory; at a constant temperature only rounding differs
    there = before[0] <= {350: 400}.get(at, at)
    np.testing.assert_allclose(after[:, there], before[:, there], rtol=1e-6)
    np.testing.assert_allclose(after[4], before[4], rtol=0.1)
    # the frames that are there stay, and those of another trajectory are added
    old, new = (ase.io.read(f / "parents.extxyz", index=":") for f in (folder, copy))
    points = np.array([[atoms.info["sS"], atoms.info["Q6"]] for atoms in new])
    assert all(a == b for a, b in zip(old, new[: len(old)], strict=True))
    assert len(np.unique(np.floor(points / (0.02, 0.001)), axis=0)) == len(new)


def test_breed_spreads_beyond_the_dynamics(library, is_picture):
    folder, said = library
    frames = ase.io.read(folder / "library.extxyz", index=":")
    table = LandscapeTable.read(folder / "library.csv")
    assert len(frames) == len(table) == 4 * 2 * 3
    values = EntropySymmetry(6.0, 0.125, 2.4).evaluate(frames)
    np.testing.assert_allclose(table.sS, values["sS"], rtol=1e-9)
    np.testing.assert_allclose(table.Q6, values["Q6"], rtol=1e-9)
    sS = thermo(folder / "log.paracrystalline")[6]
    assert table.sS.max() > sS[10:].max()
    assert np.ptp(table.sS) > 0.5 * np.ptp(sS[10:])
    # the window is that of the parents and a tenth on every side
    parents = ase.io.read(folder / "parents.extxyz", index=":")
    low, high = (f([a.info["sS"] for a in parents]) for f in (min, max))
    window = re.search(r"sS (-[\d.]+) to (-[\d.]+), Q6", said).groups()
    ends = (low - 0.1 * (high - low), high + 0.1 * (high - low))
    np.testing.assert_allclose(np.array(window, float), ends, atol=6e-4)
    assert is_picture(folder / "library.png")


def module(folder, name):
    """Return a script of the folder as a module."""
    specification = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    found = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(found)
    return found


def test_void_radius_of_known_crystals(folder):
    """Compare with the tetrahedral sites of diamond and with the inside of a molecule of C60."""
    breed = module(folder, "breed")
    diamond = bulk("C", "diamond", a=4.0, cubic=True)  # its sites are points of the grid
    for atoms in (diamond, diamond * (2, 1, 3), bulk("C", "diamond", a=4.0)):
        assert breed.void_radius(atoms) == pytest.approx(np.sqrt(3), abs=0.02)
    c60 = ase.io.read(folder / "c60.data", format="lammps-data")
    c60.translate([1.0, 2.0, 3.0])
    # radius of the molecule; at the octahedral sites between them there is less room
    assert 3.54 - 0.2 < breed.void_radius(c60) < 3.54 + 0.01


def test_parents_with_voids_are_refused(folder, script, tmp_path):
    said = script("breed.py", cwd=folder, fails=True)
    assert re.search(r"--void 2\.6: [01] of \d+ parents have no empty sphere beyond this", said)
    assert "Traceback" not in said
    breed = module(folder, "breed")
    parents = ase.io.read(folder / "parents.extxyz", index=":")
    solid = [bulk("C", "diamond", cubic=True), bulk("C", "diamond", a=3.6)]
    assert breed.without_voids([*parents[:2], *solid], 2.6) == solid


def test_an_interrupted_library_resumes(script, library, tmp_path):
    folder, _ = library
    whole = (folder / "library.extxyz").read_bytes()
    (tmp_path / "library.extxyz").write_bytes(whole[: len(whole) // 2])
    inputs = ("--parents", folder / "parents.extxyz", "--log", folder / "log.paracrystalline")
    script("breed.py", *BREED, *inputs, "--output", tmp_path / "library", cwd=folder)
    assert (tmp_path / "library.extxyz").read_bytes() == whole


def test_structure_of_known_crystals(script, analysis, library, is_picture):
    """Replace the frames of the dynamics by hexagonal and cubic diamond."""
    folder, _ = library
    a = 3.567
    c = np.sqrt(8 / 3) * a / np.sqrt(2)
    u = [[1 / 3, 2 / 3, z] for z in (1 / 16, 7 / 16)] + [
        [2 / 3, 1 / 3, z] for z in (9 / 16, 15 / 16)
    ]
    h = a / np.sqrt(2)
    cell = [[h, 0, 0], [-h / 2, np.sqrt(3) / 2 * h, 0], [0, 0, c]]
    hexagonal = Atoms("C4", scaled_positions=u, cell=cell, pbc=True) * (5, 5, 3)
    cubic = bulk("C", "diamond", a=a, cubic=True) * (3, 3, 3)
    for name, atoms in (("hexagonal", hexagonal), ("cubic", cubic)):
        ase.io.write(folder / f"{name}.data", atoms, format="lammps-data", masses=True)
    said = script(
        "structure.py", "--hot", "hexagonal.data", "--final", "cubic.data", "--models", 2,
        "--k-max", 6, cwd=folder,
    )  # fmt: skip
    lines = (folder / "structure.csv").read_text().splitlines()
    assert lines[1].startswith("name,sS,Q6,density,under3,sp2,sp3,over4,cubic,hexagonal,shells")
    rows = np.array([line.split(",")[-8:] for line in lines[2:]], float)
    assert len(rows) == 24 + 2
    density = 8 * 12.011 * 1.66054 / a**3
    np.testing.assert_allclose(rows[-2], [density, 0, 0, 1, 0, 0, 1, 1], rtol=1e-4)
    np.testing.assert_allclose(rows[-1], [density, 0, 0, 1, 0, 1, 0, 1], rtol=1e-4)
    np.testing.assert_allclose(rows[:, 1:5].sum(axis=1), 1.0, rtol=1e-12)
    # the 111 peak, in bins of 0.1
    peak = next(line for line in said.splitlines() if line.startswith("MD, end of quench")).split()
    assert abs(float(peak[-1]) - 2 * np.pi * np.sqrt(3) / a) < 0.06
    assert is_picture(folder / "structure.png")


def test_structure_factor_is_that_of_the_equation(analysis, folder):
    """Use vectors without negative indices, as far as freud finds all of them in a tilted cell."""
    specification = importlib.util.spec_from_file_location("structure", folder / "structure.py")
    structure = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(structure)
    rng = np.random.default_rng(1)
    cell = [[6.0, 0.5, 0.0], [0.3, 7.0, 1.0], [-0.8, 0.2, 8.0]]
    atoms = Atoms("C40", scaled_positions=rng.random((40, 3)), cell=cell, pbc=True)
    Q, S = structure.structure_factor(atoms, 5.0)
    grid = np.array(np.meshgrid(*[np.arange(9)] * 3)).reshape(3, -1).T
    vectors = 2 * np.pi * grid @ np.linalg.inv(cell).T
    length = np.linalg.norm(vectors, axis=1)
    S_of = np.abs(np.exp(1j * vectors @ atoms.positions.T).sum(axis=1)) ** 2 / 40
    there = (length > 0.1) & (length < 5.0)
    sums, counts = (
        np.histogram(length[there], np.linspace(0.1, 5.0, 51), weights=w)[0]
        for w in (S_of[there], None)
    )
    middles = np.linspace(0.1, 5.0, 51)[1:] - 0.049
    expected = (counts > 0) & (middles < 0.8 * 5.0)
    np.testing.assert_allclose(Q[Q < 0.8 * 5.0], middles[expected], atol=1e-5)
    # freud computes in single precision
    reference = sums[expected] / counts[expected]
    np.testing.assert_allclose(S[Q < 0.8 * 5.0], reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("package, name", [("freud", "freud"), ("ovito", "OVITO")])
def test_a_missing_package_names_the_extra(run, library, tmp_path, analysis, package, name):
    folder, _ = library
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')")
    said = run(
        sys.executable, "structure.py", cwd=folder, fails=True, PYTHONPATH=str(tmp_path)
    )  # fmt: skip
    assert f"{name} cannot be loaded (not here): pip install 'entsym[analysis]'" in said
    assert "Traceback" not in said


WRONG = {
    "c60, lattice constant": (("c60.py", "--a", 9), "--cells 2 --a 9 --seed 1: cells must be"),
    "breed, no parents": (("breed.py", "--parents", "nowhere.extxyz"), "nowhere.extxyz"),
    "breed, other frames": (
        ("breed.py", "--parents", "c60.extxyz"), "frame 0 has no dr, q6_cutoff, rmax, sigma",
    ),
    "breed, no log": (("breed.py", "--log", "init.mod"), "log = init.mod: has no thermo output"),
    "breed, generations": (
        ("breed.py", "--generations", 0, "--void", 9), "generations = 0: must be a whole",
    ),
    "structure, no library": (("structure.py", "--library", "no.extxyz"), "no.csv"),
    "structure, models": (("structure.py", "--models", 0), "n = 0: must be a whole number"),
    "structure, k": (("structure.py", "--k-max", 0), "--k-max 0: must lie between"),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(script, analysis, library, arguments, message):
    folder, _ = library
    ase.io.write(folder / "c60.extxyz", ase.io.read(folder / "c60.data", format="lammps-data"))
    said = script(*arguments, cwd=folder, fails=True)
    assert message in said
    assert "Traceback" not in said


def test_without_its_potential_the_deck_says_where_to_give_it(lmp, folder):
    copy = shutil.copytree(folder, folder.parent / "lost")
    said = lmp("in.paracrystalline", cwd=copy, fails=True, LAMMPS_POTENTIALS="/nowhere")
    assert "potential = SiC.tersoff: no such file here or in LAMMPS_POTENTIALS = /nowhere" in said


def test_without_a_crystal_the_deck_fails(lmp, copy_of):
    said = lmp("in.paracrystalline", cwd=copy_of(TEMPLATE), fails=True)
    assert "c60.data" in said

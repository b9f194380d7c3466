# SPDX-License-Identifier: BSD-3-Clause
"""The pillar: stress, ends, ranks, interruptions, wrong inputs, the demo; the reference faults."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from scipy.spatial import KDTree

BIN = Path(sys.executable).parent
# 448 atoms, 500 steps of relaxation and 375 of compression
SMALL = {"width": 17, "rate": 4e10, "relax": 1, "strain": 0.03, "dump_strain": 0.01}
A = 4.045


def rows(folder):
    """Return the stress-strain file as an array with named columns."""
    with open(folder / "stress_strain.txt", encoding="utf-8") as file:
        names = file.readline().lstrip("# ").split()
    return dict(zip(names, np.loadtxt(folder / "stress_strain.txt").T, strict=True))


def frames(folder):
    """Return the dump as a list of (step, header, {column: values})."""
    found = []
    for text in (folder / "pillar.dump").read_text().split("ITEM: TIMESTEP\n")[1:]:
        head, _, body = text.partition("ITEM: ATOMS ")
        names, *lines = body.splitlines()
        numbers = [line.split() for line in lines if line[:1].isdigit()]
        # the unit and time of the next frame end this one
        numbers = [line for line in numbers if len(line) == len(names.split())]
        columns = np.array(numbers, float).T
        found.append((int(head.split()[0]), head, dict(zip(names.split(), columns, strict=True))))
    return found


@pytest.fixture
def folder(copy_of):
    """Return a user's copy of the template."""
    return copy_of("micropillar")


@pytest.fixture(scope="module")
def compress(copy_of, lmp):
    """Run the deck in a fresh copy and return the folder."""

    def compress(ranks=1, **variables):
        folder = copy_of("micropillar")
        lmp("in.micropillar", *(SMALL | variables).items(), cwd=folder, ranks=ranks)
        return folder

    return compress


@pytest.fixture(scope="module")
def small(compress):
    """Return the folder of the small pillar at 300 K."""
    return compress()


def layer_heights(frame):
    """Return heights of the top of the bottom layer and of the bottom of the top layer."""
    z, layer = frame["z"], frame["layer"]
    return z[layer == 1].max(), z[layer == 2].min()


def test_files_are_what_readme_says(small):
    curve = rows(small)
    assert list(curve) == [
        "step", "strain", "stress_GPa", "layer_stress_GPa", "temperature_K", "sS", "Q6",
    ]  # fmt: skip
    np.testing.assert_allclose(curve["strain"], curve["step"] * 4e10 * 2e-15, atol=1e-8)
    assert abs(curve["temperature_K"].mean() - 300) < 20
    steps = [step for step, _, _ in frames(small)]
    assert steps == [0, 120, 240, 360]
    text = (small / "pillar.dump").read_text()
    assert text.startswith("ITEM: UNITS\nmetal\nITEM: TIME\n")
    assert text.count("ITEM: UNITS") == 1
    columns = frames(small)[-1][2]
    assert list(columns) == ["id", "type", "x", "y", "z", "local_sS", "local_q6", "layer"]
    np.testing.assert_array_equal(columns["id"], np.arange(1, 449))
    assert np.all(columns["local_sS"] < 0) and np.all(columns["local_q6"] > 0.1)


def test_layers_are_rigid_and_carry_the_strain(small):
    (_, _, first), *_, (step, head, last) = frames(small)
    for layer in (1, 2):
        moved = np.array([last[x] - first[x] for x in "xyz"])[:, first["layer"] == layer]
        # the dump has six digits
        np.testing.assert_allclose(moved - moved.mean(1, keepdims=True), 0, atol=2e-4)
        np.testing.assert_allclose(moved[:2], 0, atol=2e-4)
    # three planes of 32 atoms at each end, of 14 planes: the gauge length is 8 / 14 of the box
    assert np.count_nonzero(first["layer"]) == 2 * 3 * 32
    zlo, zhi = (float(word) for word in head.rstrip().split("\n")[-1].split())
    shortened = np.ptp(layer_heights(first)) - np.ptp(layer_heights(last))
    gauge = 8 / 14 * (zhi - zlo + shortened)
    np.testing.assert_allclose(shortened / gauge, step * 4e10 * 2e-15, rtol=1e-3)


def test_a_hot_pillar_has_no_atoms_on_top_of_each_other(compress):
    folder = compress(width=16, temperature=800, relax=10, rate=2e11, strain=0.05)
    log = [line.split() for line in (folder / "log.micropillar").read_text().splitlines()]
    # step, temperature, pressure, energy; heated to twice the temperature at rest, then at mean
    # positions, whose energy was 60 eV above that of 800 K
    energies = {row[1]: float(row[3]) for row in log if len(row) == 7 and row[0].isdigit()}
    assert energies.pop("1600") <= min(energies.values())
    # the layers
    (_, _, first), *_ = frames(folder)
    places = np.array([first[x] for x in "xyz"]).T
    nearest = KDTree(places).query(places[first["layer"] > 0], k=2)[0][:, 1]
    # neighbours of the crystal are 2.86 apart; mean places of atoms that jump were 0.27 apart
    assert nearest.min() > 2.2


@pytest.mark.parametrize("ends", ["periodic", "open"])
def test_stress_of_the_gauge_volume_is_the_force_on_the_layers(compress, ends):
    folder = compress(width=21, temperature=50, rate=1e10, relax=2, strain=0.03, ends=ends)
    curve = rows(folder)
    elastic = curve["strain"] > 0.005
    stress, force = (curve[name][elastic].mean() for name in ("stress_GPa", "layer_stress_GPa"))
    assert force == pytest.approx(stress, rel=0.05)
    modulus = np.polyfit(curve["strain"][elastic], curve["stress_GPa"][elastic], 1)[0]
    # perfect Al_mm along [100], lateral faces free: 69 GPa at 0 to 109 GPa at 2.75 % of strain, the
    # surface stress adding some percent of strain
    assert 70 < modulus < 125
    boundary = frames(folder)[0][1].split("BOX BOUNDS ")[1][:8]
    assert boundary == {"periodic": "pp pp pp", "open": "pp pp ff"}[ends]


@pytest.fixture(scope="module")
def elastic(compress):
    """Return the curve of the first percent of strain on one rank."""
    return rows(compress(relax=0.2, strain=0.01))


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_agree(compress, elastic, ranks):
    other = rows(compress(ranks=ranks, relax=0.2, strain=0.01))
    np.testing.assert_array_equal(other["step"], elastic["step"])
    # trajectories part by rounding, which grows; the file has six digits
    for name in ("stress_GPa", "layer_stress_GPa", "sS", "Q6"):
        np.testing.assert_allclose(other[name], elastic[name], atol=1e-4)


def test_round_and_turned_pillars(compress, small):
    assert len(frames(small)[0][2]["id"]) == 448
    disc = frames(compress(shape="round", width=33, relax=0.2, strain=0.01))[0][2]
    # the share of a circle in a square of 8 cells, 13 cells high, and that atoms are discrete
    assert len(disc["id"]) == pytest.approx(np.pi / 4 * 33**2 / A**3 * 4 * 13 * A, rel=0.05)
    assert set(disc["layer"]) == {0, 1, 2}
    axis = {"orient_x": "1,-1,0", "orient_y": "1,1,-2", "orient_z": "1,1,1"}
    turned = frames(compress(**axis, relax=0.2, strain=0.01))[0][2]
    # four periods of three planes, three of them within 6 Å
    share = np.count_nonzero(turned["layer"] == 1) / len(turned["id"])
    assert share == pytest.approx(3 / 12, abs=0.01)


def kill_after(folder, file, text, variables):
    """Start the deck and kill all its processes by SIGKILL once `file` holds `text`."""
    command = [BIN / "lmp", "-nocite", "-in", "in.micropillar"]
    for name, value in variables.items():
        command += ["-var", name, value]
    process = subprocess.Popen(
        [str(word) for word in command], cwd=folder, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ((folder / file).exists() and text in (folder / file).read_text(errors="ignore")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_an_interrupted_run_resumes_without_gap_or_overlap(lmp, folder, small):
    variables = SMALL | {"restart_strain": 0.01}
    kill_after(folder, "stress_strain.txt", "\n180 ", variables)
    # a row and a frame cut short
    with open(folder / "stress_strain.txt", "a", encoding="utf-8") as file:
        file.write("37")
    with open(folder / "pillar.dump", "a", encoding="utf-8") as file:
        file.write("ITEM: TIME\n0.72\nITEM: TIMESTEP\n360\nITEM: NUMBER OF ATOMS\n44")
    said = lmp("in.micropillar", ("restart", "pillar.*.restart"), cwd=folder)
    assert "compressed to a strain of" in said
    continued, whole = rows(folder), rows(small)
    np.testing.assert_array_equal(continued["step"], whole["step"])
    before = continued["step"] <= 120
    for name in continued:
        np.testing.assert_array_equal(continued[name][before], whole[name][before])
    # fix nvt resumes from a restart to 1e-4 GPa, not to the last bit
    for name, tolerance in (("stress_GPa", 2e-3), ("layer_stress_GPa", 5e-3), ("sS", 1e-4)):
        np.testing.assert_allclose(continued[name], whole[name], atol=tolerance)
    ours, theirs = frames(folder), frames(small)
    assert [step for step, _, _ in ours] == [step for step, _, _ in theirs]
    for (_, _, one), (_, _, other) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one["id"], other["id"])
        np.testing.assert_allclose(one["z"], other["z"], atol=2e-3)


def test_a_run_interrupted_while_it_relaxed_resumes(lmp, folder, small):
    kill_after(folder, "log.micropillar", "\n       350 ", SMALL)
    assert not (folder / "stress_strain.txt").exists()
    lmp("in.micropillar", ("restart", "relax.*.restart"), cwd=folder)
    continued, whole = rows(folder), rows(small)
    np.testing.assert_array_equal(continued["step"], whole["step"])
    np.testing.assert_allclose(continued["stress_GPa"], whole["stress_GPa"], atol=0.05)
    # another rate or other ends would break the curve
    for name, value in (("rate", 1e10), ("ends", "open"), ("rmax", 7)):
        said = lmp(
            "in.micropillar", ("restart", "pillar.*.restart"), (name, value), cwd=folder, fails=True
        )
        assert "dump_strain and restart_strain can change; pillar.settings has" in said


def test_a_run_resumes_from_any_of_its_restarts(lmp, small, folder):
    shutil.copytree(small, folder, dirs_exist_ok=True)
    gauge = 15.8  # Å: 8 planes of a / 2, shortened by the tension of the sides
    restarts = ("relax.400.restart", "relax.200.restart", "relax.*.restart", "pillar.0.restart")
    for restart in restarts:
        # the second and third start where averages end, and relax a fifth longer
        lmp("in.micropillar", ("restart", restart), cwd=folder)
        _, _, first = frames(folder)[0]
        # from plane to plane: half a spacing longer at either end than the gauge length
        assert np.diff(layer_heights(first)) == pytest.approx(gauge * 9 / 8, rel=0.05)
        curve, whole = rows(folder), rows(small)
        np.testing.assert_array_equal(curve["step"], whole["step"])
        if restart == "relax.400.restart":
            for name in curve:
                np.testing.assert_allclose(curve[name], whole[name], atol=5e-3, err_msg=name)
    # frames at other intervals, here every 255 steps: none that is there is lost
    lmp("in.micropillar", ("restart", "pillar.240.restart"), ("dump_strain", 0.02), cwd=folder)
    assert [step for step, _, _ in frames(folder)] == [0, 120, 240, 255]


WRONG = {
    "rate": (
        {"rate": 1e13},
        "dt = 0.002 ps: 1 steps of compression, at least 100 wanted; lower -var rate",
    ),
    "relax": ({"relax": 0}, "relax = 0 ps, strain = 0.03: must be above 0, strain below 1"),
    "strain": ({"strain": 1.2}, "strain = 1.2: must be above 0, strain below 1"),
    "size": ({"width": 4}, "layer = 6 A: two layers leave less than a lattice constant"),
    "layers": ({"layer": 14}, "which is 28.3 A high; lower -var layer or raise -var width"),
    "thin": ({"layer": 3}, "layer = 3 A: mobile atoms meet through the two layers"),
    "vacuum": ({"vacuum": 3}, "vacuum = 3 A on each side: the pillar meets its images within"),
    "shape": ({"shape": "star"}, "shape = star: must be square or round"),
    "ends": ({"ends": "shut"}, "ends = shut: must be periodic or open"),
    "pair": ({"pair": "lj"}, "pair = lj: must be eam, meam, deepmd, snap or pod"),
    "potential": ({"potential": "no.fs"}, "potential = no.fs: no such file here or in LAMMPS_POT"),
    "orient": ({"orient_x": "1,1,0"}, "orient vectors are not orthogonal"),
}


@pytest.mark.parametrize("variables, message", WRONG.values(), ids=WRONG)
def test_wrong_input(lmp, folder, variables, message):
    said = lmp("in.micropillar", *(SMALL | variables).items(), cwd=folder, fails=True)
    assert message in said
    assert not (folder / "stress_strain.txt").exists()


def test_a_run_that_goes_wrong_names_its_last_restart(lmp, folder):
    hot = SMALL | {"temperature": 20000, "ends": "open", "vacuum": 100}
    said = lmp("in.micropillar", *hot.items(), cwd=folder, fails=True)
    assert "atoms were lost, " in said
    last = said.split("last restart ")[1].split()[0]
    assert (folder / last).is_file()


def test_a_pillar_that_meets_its_images_stops(lmp, folder):
    wide = SMALL | {"strain": 0.5, "vacuum": 3.6, "rate": 1e11}
    said = lmp("in.micropillar", *wide.items(), cwd=folder, fails=True)
    assert "the pillar meets its images; raise -var vacuum; last restart pillar." in said


def steps_down(path):
    """Read the stacking of a reference cell: True where a plane steps down."""
    atoms = ase.io.read(path, format="lammps-data", atom_style="atomic")
    height = atoms.cell[1, 1] / 4  # of one of ny = 4 cells: three levels A, B, C
    z, y = atoms.positions[:, 2], atoms.positions[:, 1]
    order = np.argsort(z)
    planes = np.split(order, np.flatnonzero(np.diff(z[order]) > 1.0) + 1)
    angles = [np.angle(np.mean(np.exp(4j * np.pi * y[plane] / height))) for plane in planes]
    # rows of a plane are half a cell apart: y counts modulo that; a step up is a third of the cell
    rise = np.diff([*angles, angles[0]]) / (2 * np.pi) % 1
    np.testing.assert_allclose(np.abs(rise - 0.5), 1 / 6, atol=0.02)
    return rise < 0.5


def test_reference_faults(lmp, folder):
    lmp("in.fault_reference", ("around", 12), ("nx", 2), cwd=folder)
    lines = [line.split() for line in (folder / "faults.txt").read_text().splitlines()[1:]]
    energies = {name: float(energy) for name, *_, energy in lines}
    # REFERENCE: 127.0 and 127.8 mJ/m^2
    assert energies["perfect"] == pytest.approx(0, abs=0.01)
    assert energies["isf"] == pytest.approx(127.0, abs=0.5)
    assert energies["esf"] == pytest.approx(127.8, abs=0.5)
    # two twin boundaries apart from each other, whatever is between
    assert energies["twin8"] == pytest.approx(energies["twin3"], rel=0.01)
    for name, slipped in (
        ("perfect", 0), ("isf", 1), ("esf", 2), ("twin2", 3), ("twin3", 4), ("twin8", 9),
    ):  # fmt: skip
        down = steps_down(folder / f"{name}.data")
        if np.count_nonzero(down) > len(down) / 2:
            down = ~down
        assert np.count_nonzero(down) == slipped
        # all in a row
        assert np.count_nonzero(np.diff(down.astype(int))) == (2 if slipped else 0)


def test_reference_faults_are_those_of_fcc(lmp, folder):
    said = lmp("in.fault_reference", ("crystal", "bcc"), cwd=folder, fails=True)
    assert "crystal = bcc: these faults are those of fcc" in said


def test_snap(lmp, folder):
    copper = {
        "pair": "snap", "potential": "Cu_Zuo_JPCA2020", "element": "Cu", "mass": 63.546, "a": 3.621,
        "around": 6, "nx": 1, "ny": 1,
    }  # fmt: skip
    lmp("in.fault_reference", *copper.items(), cwd=folder)
    lines = [line.split() for line in (folder / "faults.txt").read_text().splitlines()[1:]]
    energies = {name: float(energy) for name, *_, energy in lines}
    assert 10 < energies["isf"] < 80  # copper: 41 mJ/m^2 in density functional theory


def test_student_of_the_distillation(lmp, folder):
    student = Path(__file__).parents[2] / "input_templates" / "distillation" / "al_pod" / "student"
    lmp("in.fault_reference", ("pair", "pod"), ("potential", student), ("a", 4.04), ("around", 6),
        ("nx", 1), ("ny", 1), cwd=folder)  # fmt: skip
    lines = [line.split() for line in (folder / "faults.txt").read_text().splitlines()[1:]]
    energies = {name: float(energy) for name, *_, energy in lines}
    # its README.md; GPAW: 127 mJ/m^2, eight layers, not relaxed
    assert 100 < energies["isf"] < 140


IRIDIUM = {
    "pair": "meam", "potential": "library.meam", "element": "Ir", "mass": 192.217, "a": 3.84,
}  # fmt: skip


def test_meam_of_iridium(lmp, compress, folder):
    lmp("in.fault_reference", *IRIDIUM.items(), ("around", 12), ("nx", 2), cwd=folder)
    lines = [line.split() for line in (folder / "faults.txt").read_text().splitlines()[1:]]
    energies = {name: float(energy) for name, *_, energy in lines}
    # validate, another program for it, at fixed cell: 201.5 and 202.0 mJ/m^2
    assert energies["isf"] == pytest.approx(201.5, rel=0.02)
    assert energies["esf"] == pytest.approx(202.0, rel=0.02)
    curve = rows(compress(**IRIDIUM, q6cut=3.2, width=16))
    # C11 - 2 C12^2 / (C11 + C12) = 446 GPa at 0 K along [100]; a pillar of four cells is softer and
    # its stress oscillates (aluminium: 100 GPa)
    assert 200 < curve["stress_GPa"][-1] / curve["strain"][-1] < 500


@pytest.fixture(scope="module")
def demo(copy_of, script):
    """Run the demo with a small pillar; return its folder and its output."""
    try:
        import ovito  # noqa: F401
    except ImportError as error:
        pytest.skip(f"OVITO cannot be loaded: {error}")
    folder = copy_of("micropillar")
    said = script(
        "demo.py", "demo", "--width", 21, "--rate", 1e11, "--relax", 1, "--ranks", 1,
        "--no-pictures", cwd=folder,
    )  # fmt: skip
    return folder, said


def test_demo_yields(demo, is_picture):
    from ase_calculators.pillar import PillarTable

    folder, said = demo
    assert "highest stress" in said
    table = PillarTable.read(folder / "demo" / "pillar.csv")
    assert len(table) == len(frames(folder / "demo")) > 20
    assert table["FCC"][0] > 0.9 > table["FCC"][-1]
    curve = rows(folder / "demo")
    top = np.argmax(curve["stress_GPa"])
    assert 0.03 < curve["strain"][top] < 0.149
    for name in ("curves.png", "pillar.png"):
        assert is_picture(folder / "demo" / name)


def test_analyse_compares_runs(script, demo, is_picture):
    folder, _ = demo
    shutil.copytree(folder / "demo", folder / "other")
    script(
        "analyse.py", "demo", "other", "--output", "both", "--processes", 1, "--no-pictures",
        "--rmsd", 0.15, cwd=folder,
    )  # fmt: skip
    assert is_picture(folder / "both" / "pillar.png")
    from ase_calculators.pillar import PillarTable

    table = PillarTable.read(folder / "other" / "pillar.csv")
    assert table.parameters["rmsd_cutoff"] == 0.15
    head, _, *lines = (folder / "both" / "summary.md").read_text().split("\n\n")[0].splitlines()
    assert head == "| | demo | other |"
    found = {name.strip(): cells for name, *cells in (line.strip("|").split("|") for line in lines)}
    curve = rows(folder / "demo")
    assert {len(set(cells)) for cells in found.values()} == {1}, "the two runs are the same"
    assert float(found["highest stress, GPa"][0]) == pytest.approx(
        curve["stress_GPa"].max(), abs=0.006
    )
    assert float(found["most BCC, % of the interior"][0]) == pytest.approx(
        100 * table["BCC"].max(), abs=0.006
    )
    said = script("analyse.py", "figures", cwd=folder, fails=True)
    assert "folder = figures: has no pillar.dump; run in.micropillar there" in said

# SPDX-License-Identifier: BSD-3-Clause
"""The template sampling: freezing by metadynamics, four ways of sampling, cost of labels."""

import importlib.util
import json
import shutil
import sys

import ase.io
import numpy as np
import pytest
from ase.units import kB

from ase_calculators import EntropySymmetry, LandscapeTable
from ase_calculators.lammps_potential import LammpsPotential

# a run of eight hills, stopped and continued, and some of everything else
PIECES = ("--piece", 900, "--blocks", 2, "--split", 0.1, "--fusion", 0.33)
SHORT = ("results", "--temperatures", 300, 4000, "--parent", 200, "--steps", 200, "--rounds", 2,
         "--learn", 60, "--take", 3, "--targets", 2, "--generations", 1,
         "--individuals", 3)  # fmt: skip


@pytest.fixture(scope="module")
def folder(copy_of):
    return copy_of("sampling")


@pytest.fixture(scope="module")
def frozen(folder, script):
    """Return the folder of a run of metadynamics, and what it printed."""
    script("freezing.py", "results/silicon", "--steps", 1000, *PIECES, cwd=folder)
    before = (folder / "results" / "silicon" / "hills").read_text()
    said = script("freezing.py", "results/silicon", "--steps", 2400, *PIECES, cwd=folder)
    run = folder / "results" / "silicon"
    assert (run / "hills").read_text().startswith(before)
    return run, said


@pytest.fixture(scope="module")
def sampled(folder, frozen, script):
    """Return the folder of a comparison, and what it printed."""
    return folder / "results", script("sampling.py", *SHORT, cwd=folder)


def module(folder, name):
    """Load a script of the folder."""
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"sampling_{name}", folder / f"{name}.py")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("freezing", None)
    return loaded


def hills_of(run):
    return np.loadtxt(run / "hills", ndmin=2)


# --- freezing -------------------------------------------------------------------------------------


def test_run_goes_on(folder, frozen, is_picture):
    run, said = frozen
    assert hills_of(run)[:, 0].tolist() == list(range(300, 2401, 300))
    lines = [json.loads(line) for line in (run / "runs.jsonl").read_text().splitlines()]
    assert [(r["from"], r["steps"]) for r in lines] == [(0, 900), (900, 1000), (1000, 1800),
                                                        (1800, 2400)]  # fmt: skip
    assert all(r["seconds"] > 0 for r in lines) and "microseconds_per_step" in said
    assert is_picture(run / "freezing.png")
    frames = module(folder, "freezing").frames_of(run)
    assert [a.info["step"] for a in frames] == [0, 1000, 2000]
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.2, smooth=0.5)
    lines = (run / "log.metadynamics").read_text().splitlines()
    thermo = next(line.split() for line in lines if line.split()[:1] == ["2000"])
    assert calc.get_property("sS", frames[-1]) == pytest.approx(float(thermo[6]), abs=1e-4)
    assert calc.get_property("Q6", frames[-1]) == pytest.approx(float(thermo[7]), abs=1e-4)


def test_a_killed_run_is_told_once(folder, frozen, tmp_path):
    """What came after the last restart file was made again, and counts once."""
    run, _ = frozen
    for path in run.glob("frames.*.dump"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / "frames.0.dump").read_text()
    late = text.replace("TIMESTEP\n0\n", "TIMESTEP\n950\n")
    (tmp_path / "frames.0.dump").write_text(text + late + "ITEM: TIMESTEP\n960\nITEM: NUM")
    frames = module(folder, "freezing").frames_of(tmp_path)
    assert [a.info["step"] for a in frames] == [0, 1000, 2000]


def test_difference_of_free_energies(frozen):
    """Weights exp((V - c)/kT) of the hills with exact sums, and their jackknife over two blocks."""
    run, _ = frozen
    result = json.loads((run / "result.json").read_text())
    _, sS, Q, heights = hills_of(run).T
    kT, factor = kB * 1700, 60.0
    points = np.column_stack((sS, Q)) / (0.1, 0.025)
    nodes = np.array([(x, y) for x in np.arange(-3, 0, 0.02) for y in np.arange(-0.1, 0.4, 0.005)])
    squares = (((nodes / (0.1, 0.025))[:, None] - points) ** 2).sum(axis=2)
    logs = []
    for k in range(len(sS)):
        V = (heights[:k] * np.exp(-0.5 * ((points[:k] - points[k]) ** 2).sum(axis=1))).sum()
        c = 0.0
        if k:
            some = squares[:, :k].min(axis=1) < 4
            bias = np.exp(-0.5 * squares[some, :k]) @ heights[:k]
            up, down = (np.exp(bias * f / ((factor - 1) * kT)).sum() for f in (factor, 1))
            c = kT * np.log(up / down)
        logs.append((V - c) / kT)
    first = int(0.2 * len(sS))
    weights, solid = np.exp(logs)[first:], (Q > 0.1)[first:]
    if not 0 < solid.sum() < len(solid):
        assert np.isnan(result["F_solid_minus_liquid"])
        return
    expected = -kT * np.log(weights[solid].sum() / weights[~solid].sum())
    assert result["F_solid_minus_liquid"] == pytest.approx(expected, abs=0.02)
    # where N fusion (T / T_melting - 1) is the difference
    assert 64 * 0.33 * (1700 / result["melting"] - 1) == pytest.approx(
        result["F_solid_minus_liquid"]
    )


def test_crossings(folder):
    freezing = module(folder, "freezing")
    walk = np.array([0.0, 0.5, 0.1, 0.9, 0.5, 0.8, 0.5, 0.2, 0.05, 1.0])
    assert freezing.crossings(walk, 0.25, 0.75) == [3, 7, 9]
    assert freezing.crossings(walk, -1, 2) == []


def test_aluminium(folder, script):
    """Biased in sS alone."""
    script("freezing.py", "results/al", "--system", "aluminium.mod", "--steps", 750, "--blocks",
           2, "--skip", 0, "--split", 0, "--relax", 1, "--model", "eam.mod",
           cwd=folder)  # fmt: skip
    run = folder / "results" / "al"
    result = json.loads((run / "result.json").read_text())
    assert (result["variable"], result["natoms"], result["hills"]) == ("sS", 108, 3)
    assert "width_Q6=0 " in (run / "hills").read_text().splitlines()[1]
    # all is solid below 0: the liquid of the first frame becomes a glass, above the crystal
    (record,) = map(json.loads, (run / "relaxed.jsonl").read_text().splitlines())
    assert record["step"] == 0 and -3.411 < record["relaxed"] < record["energy"] - 0.05


# --- the four ways --------------------------------------------------------------------------------


def test_table(sampled, is_picture):
    """Counts, cells, energies and cost of each way, from its own files."""
    results, said = sampled
    data = json.loads((results / "sampling.json").read_text())
    rows = {row["way"]: row for row in data["rows"]}
    assert list(rows) == ["md", "committee", "metadynamics", "roulette", "guided"]
    assert [row["configurations"] for row in rows.values()] == [8, 12, 3, 12, rows["guided"][
        "configurations"]]  # fmt: skip
    calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.2, smooth=0.5)
    sw, tersoff = (LammpsPotential(results / f"{name}.mod", "Si") for name in
                   ("potential", "tersoff"))  # fmt: skip
    for name, row in rows.items():
        frames = ase.io.read(results / f"{name}.extxyz", ":")
        assert len(frames) == row["configurations"]
        table = LandscapeTable.read(results / f"{name}.csv")
        cells = np.floor(np.column_stack((table.sS, table.Q6)) / (0.25, 0.025))
        assert row["cells"] == len(np.unique(cells, axis=0))
        energies = np.array([a.get_potential_energy() / 64 for a in frames])
        assert row["lowest"] == pytest.approx(energies.min(), abs=1e-6)
        assert row["median"] == pytest.approx(np.median(energies), abs=1e-6)
        seconds = json.loads((results / f"{name}.json").read_text())["seconds"]
        assert row["milliseconds"] == pytest.approx(1000 * seconds / len(frames))
        atoms = frames[int(energies.argmin())]
        atoms.calc = None
        assert calc.get_property("Q6", atoms) == pytest.approx(
            table.Q6[int(energies.argmin())], abs=1e-6
        )
        atoms.calc = sw
        assert atoms.get_potential_energy() / 64 == pytest.approx(energies.min(), abs=1e-6)
        atoms.calc = tersoff
        assert row["lowest_second"] <= atoms.get_potential_energy() / 64 + 1e-9
    fewest = min(row["configurations"] for row in rows.values())
    assert rows["metadynamics"][f"cells_of_{fewest}"] == rows["metadynamics"]["cells"]
    assert is_picture(results / "sampling.png") and "correlation" in said


def test_committee(folder, sampled):
    """Equations are those of pair_style snap; the spread is that of the forces of the students."""
    results, _ = sampled
    sampling = module(folder, "sampling")
    frames = ase.io.read(results / "committee.extxyz", ":")
    assert [a.info["round"] for a in frames] == [1] * 6 + [2] * 6
    rows = sampling.rows_of(frames[:4])
    students = sampling.fit(rows, frames[:4], 3, 7)
    student = np.loadtxt(results / "student.snapcoeff", skiprows=2)
    commands = (results / "student.mod").read_text().split("pair_style", 1)[1]
    potential = LammpsPotential(
        "pair_style" + commands.replace("${student}", str(results / "student")), "Si"
    )
    for (matrix, repulsion), atoms in zip(rows, frames, strict=False):
        atoms = atoms.copy()
        atoms.calc = potential
        found = matrix @ student + repulsion
        assert found[0] == pytest.approx(atoms.get_potential_energy() / 64, abs=1e-6)
        np.testing.assert_allclose(found[1:], atoms.get_forces().ravel(), atol=1e-6)
        forces = np.array([(matrix @ s + repulsion)[1:].reshape(-1, 3) for s in students])
        distance = ((forces - forces.mean(axis=0)) ** 2).sum(axis=2)
        expected = np.sqrt(distance.mean(axis=0)).max()
        assert sampling.spread_of(matrix, repulsion, students) == pytest.approx(expected)
        assert expected > 1e-3


def test_it_resumes(folder, sampled, script):
    """Ways that are complete are not made again."""
    results, said = sampled
    before = {p.name: p.read_bytes() for p in results.glob("*.extxyz")}
    again = script("sampling.py", *SHORT, cwd=folder)
    assert {p.name: p.read_bytes() for p in results.glob("*.extxyz")} == before
    assert "round 1" in said and "round 1" not in again


@pytest.mark.parametrize(("arguments", "message"), [
    (("other",), "other/silicon: has no run of metadynamics; run python freezing.py"),
    (("results", "--members", 1), "--members 1: a committee has 2 or more"),
    (("results", "--steps", 0), "--steps 0: must be 1 or more"),
])  # fmt: skip
def test_wrong_input(folder, script, arguments, message):
    assert message in script("sampling.py", *arguments, cwd=folder, fails=True)


# --- cost of labels -------------------------------------------------------------------------------


def test_dft_cost(folder, script):
    pytest.importorskip("gpaw")
    few = ("results", "--primitive", "--cutoff", 200, "--rattle", 0.1)
    script("dft_cost.py", *few, "--meshes", 1, cwd=folder)
    said = script("dft_cost.py", *few, "--meshes", 1, 2, cwd=folder)
    lines = (folder / "results" / "dft.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["mesh"] for r in records] == [1, 2]
    # without symmetry, k and -k are one: (8 + 8) / 2 points of 2 x 2 x 2 that contains them
    assert records[0]["k_points"] == 1 and 4 <= records[1]["k_points"] <= 8
    assert all(r["seconds"] > 0 and r["force"] > 0.1 for r in records)
    assert said.splitlines()[-1].split()[:3] == [str(records[1]["k_points"]), "2", "1"]

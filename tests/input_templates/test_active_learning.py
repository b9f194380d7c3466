# SPDX-License-Identifier: BSD-3-Clause
"""The template active_learning: its loop, resumed, and the numbers that it tells."""

import importlib.util
import json

import ase.io
import numpy as np
import pytest

from ase_calculators import EntropySymmetry, LandscapeTable, map_landscape
from ase_calculators.lammps_potential import LammpsPotential

SHORT = ("results", "--steps", 600, "--stop", 3, "--start", 4)
CELL = (0.5, 0.05)


@pytest.fixture(scope="module")
def folder(copy_of, script):
    """Return a copy of the template in which one round was run, and then another two."""
    folder = copy_of("active_learning")
    first = script("active_learning.py", *SHORT, "--rounds", 1, cwd=folder)
    assert "not covered after 1 rounds; give more by --rounds and run again" in first
    results = folder / "results"
    for name in ("train.extxyz", "test.extxyz", "student.snapcoeff", "known.csv"):
        (results / f"first.{name}").write_bytes((results / name).read_bytes())
    script("active_learning.py", *SHORT, "--rounds", 2, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def records(folder):
    lines = (folder / "results" / "rounds.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def cells_of(points):
    return [tuple(cell) for cell in np.floor(np.asarray(points) / CELL).tolist()]


def student_of(results, name):
    """Return the student in LAMMPS."""
    commands = (results / "student.mod").read_text().split("pair_style", 1)[1]
    coefficients = results / name
    return LammpsPotential(
        "pair_style" + commands.replace("${student}.snapcoeff", str(coefficients)).replace(
            "${student}", str(results / "student")
        ), "Al",
    )  # fmt: skip


def test_it_resumes_and_labels_once(folder, records, is_picture):
    results = folder / "results"
    assert [r["round"] for r in records] == [1, 2]
    assert [r["frames"] for r in records] == [4, 4 + records[0]["new"]]
    before = (results / "first.train.extxyz").read_text()
    after = (results / "train.extxyz").read_text()
    assert after.startswith(before) and len(after) > len(before)
    assert (results / "test.extxyz").read_text() == (results / "first.test.extxyz").read_text()
    rounds = [atoms.info["round"] for atoms in ase.io.read(results / "train.extxyz", ":")]
    assert rounds == sorted(rounds) and rounds.count(1) == records[0]["new"] == 3
    assert is_picture(results / "active_learning.png")


def test_new_frames_leave_the_coverage(folder, records):
    """Each has a cell of its own that known.csv lacks; the run stopped at the last of them."""
    results = folder / "results"
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.5)
    for number, name in ((1, "first.known.csv"), (2, "known.csv")):
        known = LandscapeTable.read(results / name)
        train = ase.io.read(results / "train.extxyz", ":")
        inside = [atoms for atoms in train if atoms.info["round"] < number]
        table = map_landscape(inside, calc, progress=False)
        np.testing.assert_allclose(known.sS, table.sS, rtol=1e-6)
        new = map_landscape(
            [atoms for atoms in train if atoms.info["round"] == number], calc, progress=False
        )
        cells = cells_of(np.column_stack((new.sS, new.Q6)))
        assert len(set(cells)) == len(cells) == records[number - 1]["new"]
        assert not set(cells) & set(cells_of(np.column_stack((known.sS, known.Q6))))
        assert records[number - 1]["cells"] == len(
            set(cells_of(np.column_stack((known.sS, known.Q6))))
        )
    last = ase.io.read(results / "new.extxyz", -1)
    assert records[-1]["steps"] == last.info["timestep"] < 600


def test_errors_inside_and_outside(folder, records):
    """Those of round 1, from the student in LAMMPS and the teacher's labels."""
    results = folder / "results"
    student = student_of(results, "first.student.snapcoeff")
    test = ase.io.read(results / "test.extxyz", ":")
    teacher = LammpsPotential(folder / "potential.mod", "Al")
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.5)
    known = LandscapeTable.read(results / "first.known.csv")
    covered = set(cells_of(np.column_stack((known.sS, known.Q6))))
    errors = {True: [], False: []}
    for k, atoms in enumerate(test):
        label = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        place = calc.get_property("sS", atoms), calc.get_property("Q6", atoms)
        if k == len(test) - 1:
            atoms.calc = teacher
            assert label[0] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        atoms.calc = student
        energy = 1000 * (atoms.get_potential_energy() - label[0]) / len(atoms)
        force = np.sqrt(np.mean((atoms.get_forces() - label[1]) ** 2))
        errors[cells_of([place])[0] in covered].append((energy, force))
    assert records[0]["test_inside"] == len(errors[True])
    assert 0 < len(errors[True]) < len(test)
    for name, inside in (("inside", True), ("outside", False)):
        expected = np.sqrt(np.mean(np.square(errors[inside]), axis=0))
        np.testing.assert_allclose(records[0][name], expected, rtol=1e-5)


def test_linear_equations_are_those_of_the_student_in_lammps(folder):
    """Energy, virial and forces of a matrix and of pair_style snap agree; so does the fit."""
    spec = importlib.util.spec_from_file_location("learning", folder / "active_learning.py")
    learning = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(learning)
    results = folder / "results"
    frames = ase.io.read(results / "first.train.extxyz", ":4")
    design = learning.equations_of(frames)
    coefficients = np.loadtxt(results / "first.student.snapcoeff", skiprows=2)
    # minimum of least squares: the weighted residuals are orthogonal to the columns
    weight = np.concatenate([[100.0] + 6 * [30.0] + [1.0] * (len(t) - 7) for t in design.targets])
    matrix = np.concatenate(design.matrices) * weight[:, None]
    rest = matrix @ coefficients - np.concatenate(design.targets) * weight
    scale = np.linalg.norm(matrix, axis=0) * np.linalg.norm(rest)
    np.testing.assert_allclose(matrix.T @ rest / scale, 0, atol=1e-6)

    atoms, n = frames[-1], len(frames[-1])
    repulsion = (
        -design.targets[-1]
        + np.r_[
            atoms.get_potential_energy() / n,
            -atoms.get_stress() * atoms.get_volume() / n,
            atoms.get_forces().ravel(),
        ]
    )
    found = design.matrices[-1] @ coefficients + repulsion
    atoms.calc = student_of(results, "first.student.snapcoeff")
    assert found[0] == pytest.approx(atoms.get_potential_energy() / n, abs=1e-6)
    np.testing.assert_allclose(found[7:], atoms.get_forces().ravel(), atol=1e-6)
    np.testing.assert_allclose(found[1:7], -atoms.get_stress() * atoms.get_volume() / n, atol=2e-6)


def test_it_ends_when_a_run_is_covered(copy_of, script):
    """Cells as large as the landscape: the first run is covered, and nothing is labelled."""
    folder = copy_of("active_learning")
    options = ("done", "--steps", 50, "--start", 2, "--cell", 100, 10)
    output = script("active_learning.py", *options, cwd=folder)
    [line] = (folder / "done" / "rounds.jsonl").read_text().splitlines()
    assert json.loads(line)["steps"] == 50 and json.loads(line)["new"] == 0
    assert json.loads(line)["share"] == 0 and "covered after" not in output
    again = script("active_learning.py", *options, cwd=folder)
    assert (folder / "done" / "rounds.jsonl").read_text().splitlines() == [line]
    assert "training set, landscape, student, table and picture: done" in again
    other = script("active_learning.py", *options, "--stop", 2, cwd=folder, fails=True)
    assert "was made with" in other and "use the same options or another folder" in other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", 0), "--steps 0: must be 1 or more"),
        (("--cells", 2), "--cells 2: the box must be twice rmax; give 3 or more"),
        (("--cell", 0, 0.05), "--cell 0.0 0.05: must be positive"),
    ],
    ids=["steps", "cells", "cell"],
)
def test_bad_options(copy_of, script, options, message):
    output = script("active_learning.py", "x", *options, cwd=copy_of("active_learning"), fails=True)
    assert message in output

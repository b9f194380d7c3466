# SPDX-License-Identifier: BSD-3-Clause
"""The library and the scripts that learn from it, with a model that learns in milliseconds.

It stands where the scripts train students or teachers; tests/ase_calculators/test_trainer.py trains
those.
"""

import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest

from ase_calculators import LandscapeTable

PAIR_MODEL = Path(__file__).parents[1] / "ase_calculators" / "pair_model.py"
# a script with another trainer in it
DRIVER = """
import sys
import {name}
import pair_model
{name}.trainer = pair_model.trainer
sys.argv = ["{name}.py", *sys.argv[1:]]
{name}.main()
"""


@pytest.fixture(scope="module")
def folder(copy_of, script):
    """A user's copy of the template with a small library, made in two runs."""
    folder = copy_of("distillation")
    shutil.copy(PAIR_MODEL, folder)
    script("library.py", "--per-edge", 14, "--heat", 1000, cwd=folder)
    # as after a kill in the middle of a frame: the labelling resumes
    library = folder / "library" / "library.extxyz"
    whole = library.read_text()
    library.with_suffix(".writing").write_text(whole[: len(whole) // 2 + 7])
    library.unlink()
    script("library.py", "--per-edge", 14, "--heat", 1000, cwd=folder)
    assert library.read_text() == whole
    return folder


@pytest.fixture(scope="module")
def learning(script, folder):
    """Run a script with the pair model: ``learning("scaling_number", "--seeds", 2)``."""

    def run(name, *arguments, fails=False):
        (folder / f"run_{name}.py").write_text(DRIVER.format(name=name))
        return script(f"run_{name}.py", *arguments, cwd=folder, fails=fails)

    return run


def curve(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def test_library(folder, is_picture):
    table = LandscapeTable.read(folder / "library" / "landscape.csv")
    frames = ase.io.read(folder / "library" / "library.extxyz", ":")
    assert len(frames) == len(table) > 100
    assert {len(atoms) for atoms in frames} == {32}
    energies = [atoms.get_potential_energy() / 32 for atoms in frames]
    assert np.allclose(energies, table.energy / 32)
    # from the perfect crystal of Al_mm to what is bred without an energy
    assert min(energies) == pytest.approx(-3.411, abs=1e-3) and max(energies) < -2.5
    assert np.ptp(table.Q6) > 0.3 and np.ptp(table.sS) > 4
    assert len(ase.io.read(folder / "library" / "trajectory.extxyz", ":")) == 101
    assert is_picture(folder / "library" / "landscape.png")


def test_error_against_number(learning, folder, is_picture):
    said = learning(
        "scaling_number", "--largest", 48, "--least", 6, "--seeds", 2, "--test", 10,
        "--farthest", 2,
    )  # fmt: skip
    records = curve(folder / "number" / "curve.jsonl")
    assert len(records) == 2 * (4 + 4 + 2)
    assert {r["name"] for r in records} == {"uniform", "random", "farthest point"}
    assert "| uniform | 6 |" in said and "uniform: " in said
    assert is_picture(folder / "number" / "number.png")
    learning(
        "scaling_number", "--largest", 48, "--least", 6, "--seeds", 2, "--test", 10,
        "--farthest", 2,
    )  # fmt: skip
    assert len(curve(folder / "number" / "curve.jsonl")) == 20


def test_error_against_coverage(learning, folder, is_picture):
    said = learning(
        "scaling_coverage", "--frames", 30, "--seeds", 2, "--test", 30,
        "--gap", -7, -3, 0.15, 0.5,
    )  # fmt: skip
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| gap")]
    assert [row[0] for row in rows] == ["| gap 0 %", "| gap 50 %", "| gap 100 %"]
    coverage = [float(row[2]) for row in rows]
    assert coverage[0] > coverage[2]
    records = curve(folder / "coverage" / "curve.jsonl")
    groups = records[0]["groups"]
    assert groups["inside"] + groups["outside"] == groups["all"] == 30
    assert is_picture(folder / "coverage" / "coverage.png")


@pytest.fixture(scope="module")
def md_or_landscape(learning):
    """Output of the script."""
    return learning("md_or_landscape", "--frames", 30, "--seeds", 1, "--test", 24)


def test_md_or_landscape(md_or_landscape, folder, is_picture):
    said = md_or_landscape
    assert "| C11 (GPa) | 110.3 |" in said
    records = curve(folder / "md_or_landscape" / "curve.jsonl")
    assert [r["name"] for r in records] == ["MD", "landscape"]
    assert is_picture(folder / "md_or_landscape" / "md_or_landscape.png")


@pytest.mark.usefixtures("md_or_landscape")
def test_md_or_landscape_learns_from_the_frames_that_were_chosen(learning, folder, tmp_path):
    """A frame that cannot be mapped has no row; those after it keep their numbers."""
    for name in ("trajectory", "library"):
        frames = ase.io.read(folder / "library" / f"{name}.extxyz", ":")
        broken = frames[0].copy()
        broken.positions[0, 0] = np.nan
        ase.io.write(tmp_path / f"{name}.extxyz", [broken, *frames])
    learning("md_or_landscape", "--library", tmp_path, "--frames", 30, "--seeds", 1, "--test", 24,
             "--output", tmp_path / "out")  # fmt: skip
    direct, shifted = (
        {record["name"]: record["frames"] for record in curve(path / "curve.jsonl")}
        for path in (folder / "md_or_landscape", tmp_path / "out")
    )
    assert shifted == direct


@pytest.mark.usefixtures("md_or_landscape")
def test_kept_files_of_other_options_are_refused(script, learning, folder):
    said = script(
        "library.py", "--per-edge", 14, "--heat", 1000, "--seed", 2, cwd=folder, fails=True
    )
    assert "--output library: holds a library of other options; use another folder" in said
    for test in (23, 25):
        said = learning("md_or_landscape", "--frames", 30, "--seeds", 1, "--test", test, fails=True)
        assert f"test.extxyz: holds 24 frames and {test} are asked for; use another folder" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("scaling_number", ("--seeds", 0), "--seeds 0: must be 1 or more"),
        ("scaling_number", ("--test", 999), "--test 999: must be 1 to "),
        ("scaling_coverage", ("--test", 10, "--frames", 9, "--shares", 2), "share = 2.0: must be"),
    ],
)
def test_numbers_that_are_none(learning, name, arguments, message):
    said = learning(name, *arguments, "--output", "refused", fails=True)
    assert message in said and "Traceback" not in said


def test_compare(script, folder, is_picture):
    said = script(
        "compare.py", "--test", "library/trajectory.extxyz", "--model",
        "Al_mm=pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al", "--model",
        "EMT=ase.calculators.emt:EMT", "--align", "--speed", "--sizes", 2, "--dft-seconds", 100, 4,
        "a guess", cwd=folder,
    )  # fmt: skip
    assert "| EMT |" in said and "| DFT | label |" in said and "a guess, 100 s for 4 atoms" in said
    for name in ("histograms", "boxes", "parity", "landscape", "speed"):
        assert is_picture(folder / "comparison" / f"{name}.png")


WRONG = {
    "library": (("scaling_number.py", "--library", "no"), "--library no: there is no such file"),
    "number": (
        ("scaling_number.py", "--largest", 9999, "--test", 9), ": must be a whole number from 1 to",
    ),
    "gap": (
        ("scaling_coverage.py", "--gap", 1, 0, 0, 1, "--test", 9),
        "gap = (1.0, 0.0, 0.0, 1.0): must be",
    ),
    "trajectory": (("md_or_landscape.py", "--library", "no"), "no: has no library.extxyz"),
    "model": (
        ("compare.py", "--model", "x"), "--model x: must be NAME=MODEL, such as DNN=student.pb",
    ),
    "models": (("compare.py",), "--model: none of alone/student.pb"),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(script, folder, arguments, message):
    said = script(*arguments, cwd=folder, fails=True)
    assert message in said
    assert "Traceback" not in said

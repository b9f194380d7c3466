# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of the iridium template, shortened."""

import json
import shutil
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "reference"
TEMPLATE = ROOT / "input_templates" / "iridium"


@pytest.fixture(scope="module")
def folder(copy_of):
    """A user's copy of the template, with the sets next to the scripts."""
    folder = copy_of("iridium")
    for name in ("al_pbe", "ir_pbe"):
        shutil.copytree(REFERENCE / name, folder / "reference" / name)
    return folder


@pytest.fixture(scope="module")
def template():
    """The modules of the template."""
    sys.path.insert(0, str(TEMPLATE))
    import frames
    import learning
    import wide_or_even

    yield frames, learning, wide_or_even
    sys.path.remove(str(TEMPLATE))
    for module in ("frames", "learning", "wide_or_even"):
        del sys.modules[module]


def test_elastic_constants_are_those_of_the_suite(template):
    frames, learning, _ = template
    found = learning.elastic(learning.model(frames.MEAM), frames.LATTICE)
    # input_templates/validation/four_metals.md, by matscipy: 600, 256, 269; GPa
    assert found["a"] == pytest.approx(3.84, abs=1e-3)
    assert [found[key] for key in learning.CONSTANTS] == pytest.approx(
        [599.8, 256.4, 269.4], abs=0.3
    )


def test_a_model_without_a_crystal_has_no_constants(template):
    _, learning, _ = template
    # repulsion alone
    assert learning.elastic(learning.model("pair_style zbl 5 6; pair_coeff * * 77 77"), 3.84) == {}


def test_wide_frames_have_their_temperature_and_pressure(template):
    frames, learning, _ = template
    calculator = learning.model(frames.MEAM)
    drawn = frames.wide(5)
    for _ in range(3):
        atoms = frames.label(next(drawn), calculator)
        assert len(atoms) == 32 and 50 <= atoms.info["T"] <= frames.HOTTEST
        # the ideal gas's part of the pressure is not in the stress: n k T / V, GPa
        ideal = atoms.info["T"] * 8.617e-5 * len(atoms) / atoms.get_volume() * 160.2
        pressure = -atoms.get_stress()[:3].mean() * 160.2 + ideal
        # fluctuations of 32 atoms
        assert pressure == pytest.approx(atoms.info["P"], abs=60)
    again, same = next(frames.wide(5)), next(frames.wide(5))
    assert np.array_equal(again.positions, same.positions)


def test_crystals_have_32_atoms_and_their_coordination(template):
    from ase.neighborlist import neighbor_list

    frames, _, _ = template
    for atoms, cutoff, number in zip(
        frames.crystals(), (3.2, 2.85, 3.2, 3.0, 2.9), (12, 8, 12, 6, 4), strict=True
    ):
        assert len(atoms) == 32
        assert set(np.bincount(neighbor_list("i", atoms, cutoff))) == {number}


def test_sign_and_number_that_is_enough(template):
    _, _, wide_or_even = template

    def record(name, n, c12, c44):
        return {"set": name, "n": n, "elastic": {"C12": c12, "C44": c44}}

    records = [record("wide", 20, 3, 2), record("wide", 20, 1, 2), record("wide", 40, 1, 2),
               record("wide", 80, 2, 1), record("wide", 160, 1, 2),
               record("landscape", 20, 1, 2), record("landscape", 40, 2, 1)]  # fmt: skip
    assert [wide_or_even.right(r) for r in records] == [
        False, True, True, False, True, True, False
    ]  # fmt: skip
    assert not wide_or_even.right({"elastic": {}})
    assert wide_or_even.enough(records, "wide") == 160
    assert wide_or_even.enough(records, "landscape") is None


def test_wide_or_even(folder, script, is_picture):
    arguments = ("results", "--kind", "snap", "--numbers", 4, 8, "--seeds", 2, "--tests", 2)
    script("wide_or_even.py", *arguments, cwd=folder)
    content = json.loads((folder / "results/snap.json").read_text())
    numbers = {(r["set"], r["n"]): r["used"] for r in content["records"]}
    assert numbers[("wide", 4)] == 4 and numbers[("wide", 16)] == 16
    assert ("wide, even", 4) in numbers and ("landscape", 8) in numbers
    assert content["source"]["C12"] < content["source"]["C44"]
    for record in content["records"]:
        assert all(np.isfinite(e["forces"]) for e in record["errors"].values())
    assert (
        "| **labels** | | | -13.0 | 600 | 256 | 269 |" in (folder / "results/snap.md").read_text()
    )
    assert is_picture(folder / "results/snap.png")
    before = (folder / "results/snap.json").stat().st_mtime_ns
    script("wide_or_even.py", *arguments, cwd=folder)  # what is there is not made again
    assert (folder / "results/snap.json").stat().st_mtime_ns == before


def test_substitution(folder, script, is_picture):
    script("substitution.py", "results", "--kind", "snap", "--numbers", 8, 16, "--draws", 2,
           "--tests", 2, cwd=folder)  # fmt: skip
    content = json.loads((folder / "results/substitution_snap.json").read_text())
    assert sum(content["shares"].values()) == pytest.approx(1)
    used = [r["used"] for r in content["records"]]
    # both sources have equally many cells in each draw
    assert used[::2] == used[1::2]
    assert is_picture(folder / "results/substitution_snap.png")
    output = script("substitution.py", "results", "--data", "nowhere", cwd=folder, fails=True)
    assert "name the folder of al_pbe and ir_pbe" in output and "Traceback" not in output


def test_rhenium(folder, script):
    script("rhenium.py", "results", "--tests", 4, "--draws", 2, cwd=folder)
    content = json.loads((folder / "results/rhenium_snap.json").read_text())
    records = [r for r in content["records"] if r["draw"] == 0]
    assert [r["n"] for r in records[:3]] == [0, 2, 4]
    # without a cell of rhenium: its atoms are iridium's, errors are of the order of iridium's own
    assert 0 < records[0]["errors"]["forces"] < 3 * content["own"]["forces"]
    # cells of rhenium change the student
    assert len({r["errors"]["forces"] for r in records}) == len(records)
    assert "| 0 | " in (folder / "results/rhenium_snap.md").read_text()
    output = script("rhenium.py", "results", "--tests", 99, cwd=folder, fails=True)
    assert "--tests 99: must be 1 to" in output and "Traceback" not in output


def test_number_of_labels(folder, script, is_picture):
    script("number_of_labels.py", "results", "--kind", "snap", "--numbers", 20, "--draws", 2,
           cwd=folder)  # fmt: skip
    content = json.loads((folder / "results/number_of_labels_snap.json").read_text())
    sets = [(r["set"], r["n"], r["draw"]) for r in content["records"]]
    most = content["parts"]["standard"]
    assert sets == [(name, n, k) for name in ("landscape", "landscape and crystals")
                    for n, k in ((20, 0), (20, 1), (most, 0))]  # fmt: skip
    alone, beside = (content["records"][k] for k in (2, 5))
    # the strained crystals, without which C44 is too low; labels 276
    assert abs(beside["elastic"]["C44"] - 276) < abs(alone["elastic"]["C44"] - 276)
    assert len({r["errors"]["test"]["forces"] for r in content["records"]}) == len(sets)
    text = (folder / "results/number_of_labels_snap.md").read_text()
    assert "| **labels** | | | | 591 | 219 | 276 | |" in text
    assert f"| landscape | {most} | " in text
    assert is_picture(folder / "results/number_of_labels_snap.png")
    for option, value in (("--numbers", most), ("--draws", 0)):
        said = script("number_of_labels.py", "other", option, value, cwd=folder, fails=True)
        assert f"{option} {value}: must be" in said and "Traceback" not in said


@pytest.mark.slow
def test_data_efficiency(folder, script):
    script("data_efficiency.py", "results", "--kind", "snap", "--frames", 6, "--most", 8,
           "--seeds", 2, "--properties", "elastic_constants", cwd=folder)  # fmt: skip
    text = (folder / "results/data_efficiency.md").read_text()
    rows = ("MEAM", "wide, 6", "wide, 16", "landscape, 6", "landscape, 16")
    assert all(f"| {name} | " in text for name in rows)
    # four_metals.md: 256 less 269; no liquid was asked for
    assert "| MEAM | -13 |" in text


@pytest.mark.slow
def test_students_and_a_teacher(folder, script):
    labels = ase.io.read(folder / "reference/ir_pbe/labels.extxyz", ":")
    from ase_calculators.distillation import train_student

    # a linear model stands in for the teacher
    train_student([a for a in labels if a.info["part"] == "standard"], labels[:1],
                  folder / "teacher",
                  "small", kind="snap")  # fmt: skip
    script("students.py", "dft", "--only", "POD", "--teacher", "teacher", "--bred", 5,
           "--around", 1, "--properties", "elastic_constants", cwd=folder)  # fmt: skip
    text = (folder / "dft/students.md").read_text()
    assert all(f"| {name} | " in text for name in ("POD", "teacher", "POD-KD", "MEAM"))
    taught = ase.io.read(folder / "dft/taught_teacher_5_1.extxyz", ":")
    # none of DFT's cells is among them, nor one of the test part, of the alloy, or a stack
    assert not any(a.info.get("part") in ("test", "rhenium", "stacks") for a in taught)
    learned = ("standard", "defects", "strained")
    n_rest = sum(a.info["part"] in learned for a in ase.io.read(
        folder / "reference/ir_pbe/frames.extxyz", ":"))  # fmt: skip
    parts = [a.info["part"] for a in labels]
    n_done = sum(part in learned for part in parts)
    n_around = parts.count("defects") + 6  # wires and clusters
    assert len(taught) == n_rest - n_done + 5 + n_around
    # what cannot work says so before anything is trained, and leaves what is there
    for option, value, message in (
        ("--bred", 0, "--bred 0: must be at least 1"), ("--teacher", "nowhere", "nowhere"),
    ):  # fmt: skip
        said = script("students.py", "other", option, value, cwd=folder, fails=True)
        assert message in said and "Traceback" not in said
    assert not (folder / "other/students").exists()
    fewer = list(labels)
    fewer.pop(parts.index("test"))
    ase.io.write(folder / "reference/ir_pbe/labels.extxyz", fewer)
    said = script("students.py", "dft", "--only", "POD", cwd=folder, fails=True)
    assert "POD: folder = " in said and "holds a student with another validation" in said
    assert "Traceback" not in said
    ase.io.write(folder / "reference/ir_pbe/labels.extxyz", labels[:-40])
    said = script("students.py", "dft", "--only", "POD", cwd=folder, fails=True)
    assert "dft: has students of other labels; give another folder" in said
    assert (folder / "dft/students.md").read_text() == text

# SPDX-License-Identifier: BSD-3-Clause
"""All decks and scripts of input_templates/validation, with short runs, in a copy of the folder."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from ase_calculators.validation import Report

JEA = "pair_style eam/alloy; pair_coeff * * NiAlH_jea.eam.alloy Al"
STATIC = ("equation_of_state", "elastic_constants", "bain_path", "surfaces", "stacking_faults")
SHORT = (
    ("--var", "npt", 300), ("--var", "nvt", 1000), ("--var", "settle", 200),
    ("--var", "average", 400), ("--var", "melting", 300), ("--var", "length", 12),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(copy_of):
    """A user's copy of the template."""
    return copy_of("validation")


@pytest.fixture(scope="module")
def results(script, folder):
    """The static properties with default settings; cells and number of points are small."""
    settings = {
        "vacancy": {"length": 12.0, "smaller": 8.0, "images": 1},
        "phonons": {"length": 12.0, "mesh": 20.0, "n_points": 5},
        "gamma_surface": {"n": 3},
    }
    changes = json.dumps(settings | {"stacking_faults": {"n": 3}})
    said = script(
        "validate.py", *STATIC, *settings, "--settings", changes, "--name", "Al_mm", cwd=folder,
    )  # fmt: skip
    return folder / "results", said


@pytest.fixture
def difference(script, folder):
    """Deviation of the decks from validate.py, %, by quantity: ``difference("results", 12)``."""

    def difference(results, length):
        static = (*STATIC, "vacancy", "migration", "phonons", "gamma_surface")
        said = script(
            "compare_decks.py", *static, "--results", results, "--output", f"{results}_decks",
            "--var", "length", length, "--var", "points", 3, cwd=folder,
        )  # fmt: skip
        rows = dict(re.findall(r"^\| (.+?) \| \S+ \| \S+ \| (\S+) % \|", said, re.MULTILINE))
        return {quantity: abs(float(value)) for quantity, value in rows.items()}

    return difference


@pytest.mark.slow
def test_validate_prints_the_table_and_a_line_per_property(results, is_picture):
    folder, said = results
    assert "| C11 | 110.3 | GPa | 114.3 | -3.5 % | experiment |" in said
    assert re.search(r"\[ 1/8\] equation of state +\d+\.\d s  a0 4.045 Å", said)
    assert "! exploding branch" in said
    for name in (*STATIC, "vacancy", "phonons", "gamma_surface"):
        assert is_picture(folder / f"{name}.png")


def test_decks_give_the_same_numbers(results, difference, folder):
    rows = difference("results", 12)
    assert len(rows) == 19
    # B by pressures, and B by energies; the band is relaxed to a threshold
    loose = {"B": 0.5, "vacancy migration": 0.5}
    for quantity, value in rows.items():
        assert value < loose.get(quantity, 0.1), quantity
    table = (folder / "results_decks" / "comparison.md").read_text()
    assert "largest difference, static" in table


OTHERS = {
    "hcp": ("Zr", "pair_style eam/fs; pair_coeff * * Zr_mm.eam.fs Zr", 22),
    "bcc": ("Fe", "pair_style eam/fs; pair_coeff * * Fe_mm.eam.fs Fe", 17),
}


@pytest.mark.slow
@pytest.mark.parametrize("crystal", OTHERS)
def test_decks_of_other_crystals_give_the_same_numbers(script, folder, difference, crystal):
    element, potential, n_rows = OTHERS[crystal]
    settings = {
        "vacancy": {"length": 9.0, "smaller": 8.0, "images": 1},
        "phonons": {"length": 9.0, "mesh": 20.0, "n_points": 5},
        "equation_of_state": {"n_curve": 13}, "bain_path": {"n_points": 3},
        "stacking_faults": {"n": 3}, "gamma_surface": {"n": 3},
    }  # fmt: skip
    script(
        "validate.py", "elastic_constants", "surfaces", *settings, "--element", element,
        "--crystal", crystal, "--potential", potential, "--output", crystal,
        "--settings", json.dumps(settings), cwd=folder,
    )  # fmt: skip
    rows = difference(crystal, 9)
    assert len(rows) == n_rows
    # B by pressures, and B by energies; forces to which ions and bands are relaxed; phonons along
    # the path, and those that fit into the supercell; slabs of other thickness under a twin
    loose = {"B": 1.0, "highest phonon": 1.0, "twin energy after 4 planes": 1.0}
    for quantity, value in rows.items():
        limit = 0.5 if "migration" in quantity else loose.get(quantity, 0.15)
        assert value < limit, quantity


def test_decks_of_dynamics_run(script, results, folder):
    words = [word for triple in SHORT for word in triple]
    script(
        "compare_decks.py", "elastic_at_temperature", "thermal_expansion", "liquid", *words,
        cwd=folder,
    )  # fmt: skip
    decks = folder / "decks"
    a = re.search(r"RESULT a\(300 K, MD\) (\S+)", (decks / "log.thermal_expansion").read_text())
    assert 4.05 < float(a[1]) < 4.10
    log = (decks / "log.elastic_at_temperature").read_text()
    C = {k: float(v) for k, v in re.findall(r"^RESULT (C\d\d)\(300 K\) (\S+)", log, re.MULTILINE)}
    assert C["C11"] > C["C12"] > 0 and 10 < C["C44"] < 60
    assert (decks / "rdf.dat").stat().st_size > 1000


def test_landscape_errors_of_the_test_set(script, folder, is_picture):
    script("test_set.py", "--frames", 6, cwd=folder)
    script(
        "validate.py", "landscape_errors", "--test-set", "test_set.extxyz", "--output", "errors",
        cwd=folder,
    )  # fmt: skip
    values = Report.read(folder / "errors").values
    assert values["RMSE force"] > 50  # meV/Å
    # frames labelled by the model itself have no error
    script(
        "validate.py", "landscape_errors", "--test-set", "test_set.extxyz", "--output", "self",
        "--potential", JEA, cwd=folder,
    )  # fmt: skip
    assert Report.read(folder / "self").values["RMSE force"] < 1e-3
    assert is_picture(folder / "errors" / "landscape_errors.png")


@pytest.mark.slow
def test_quick_run_of_another_crystal_and_comparison(script, results, folder, is_picture):
    script(
        "validate.py", "bain_path", "stacking_faults", "--quick", "--output", "jea", "--name",
        "jea", "--potential", JEA, cwd=folder,
    )  # fmt: skip
    said = script("validate.py", "--compare", "results", "jea", "--output", "both", cwd=folder)
    assert "| quantity | unit | reference | Al_mm | jea |" in said
    assert is_picture(folder / "both" / "stacking_faults.png")
    said = script(
        "validate.py", "liquid", "thermodynamics", "--quick", "--element", "Zr", "--crystal", "hcp",
        "--output", "zr", "--c-over-a", 1.7, "--settings", '{"thermodynamics": {"temperatures": '
        '[300.0]}}', "--potential", "pair_style eam/fs; pair_coeff * * Zr_mm.eam.fs Zr", cwd=folder,
    )  # fmt: skip
    assert "c/a = 1.7 is not the minimum" in said
    report = Report.read(folder / "zr")
    assert report.failed == {}
    assert 3.2 < report.values["a(300 K, MD)"] < 3.27
    # the nearest neighbours of the crystal are at 3.2 Å
    assert 2.8 < report.values["liquid first peak"] < 3.4


WRONG = {
    "property": (("validate.py", "hardness"), "properties: has no 'hardness'"),
    "potential": (("validate.py", "--potential", "nowhere.mod"), "pair_style: got 'nowhere.mod'"),
    "compare": (("validate.py", "--compare", "nowhere"), "folder = 'nowhere': has no report.json"),
    "deck": (("compare_decks.py", "hardness"), "decks: there is no in.hardness"),
    "results": (("compare_decks.py", "--results", "no"), "--results no: folder = 'no': has no"),
    "frames": (("test_set.py", "--frames", 1), "--frames 1: must be 4 or more"),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(folder, arguments, message, monkeypatch, capsys):
    """In this process, which saves the imports of each script; a traceback would end the test."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(word) for word in arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(arguments[0], run_name="__main__")
    assert stop.value.code not in (0, None)
    assert message in f"{stop.value.code} {capsys.readouterr().err}"


def test_decks_with_the_meam_of_iridium(lmp, folder):
    given = {"pair": "meam", "potential": "library.meam", "element": "Ir", "a": 3.8}
    said = lmp("in.elastic_constants", *given.items(), cwd=folder)
    C = {k: float(v) for k, v in re.findall(r"RESULT (C\d\d) (\S+)", said)}
    # fitted to experiment by Baskes (Phys. Rev. B 46, 2727): C12 below C44
    assert C["C11"] == pytest.approx(600, rel=0.01)
    assert C["C12"] == pytest.approx(256, rel=0.01) and C["C44"] == pytest.approx(269, rel=0.01)
    said = lmp("in.elastic_constants", ("pair", "lj"), cwd=folder, fails=True)
    assert "ERROR: pair = lj: must be eam or meam, or add a block to potential.mod" in said


def test_four_metals(script, folder):
    said = script(
        "four_metals.py", "--metals", "Al", "Ir", "--properties", "elastic_constants", "--quick",
        "--output", "four", cwd=folder,
    )  # fmt: skip
    text = (folder / "four" / "four_metals.md").read_text()
    assert text.strip() in said
    table = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    rows = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in table}
    # potential, experiment, DFT of Al; of Ir
    assert rows["C11"][1:] == ["110.3", "114.3", "104", "599.8", "580", "591.1"]
    # beside the templates of the students: two potentials of one metal, then its references
    templates = Path(__file__).parents[2] / "input_templates"
    shutil.copytree(
        templates / "distillation" / "al_pod", folder.parent / "distillation" / "al_pod"
    )
    script("four_metals.py", "--metals", "Al-POD", "Al", "--properties", "elastic_constants",
           "--quick", "--output", "two", cwd=folder)  # fmt: skip
    lines = (folder / "two" / "four_metals.md").read_text().splitlines()
    assert "| Al: Mendelev's EAM | Al: our POD of GPAW | experiment | DFT |" in "".join(lines)
    [row] = [line.split("|")[3:7] for line in lines if line.startswith("| C11 |")]
    # of the student's card
    assert [float(cell) for cell in row] == pytest.approx([110.3, 120, 114.3, 104], abs=0.5)
    said = script("four_metals.py", "--properties", "nothing", cwd=folder, fails=True)
    assert "nothing" in said.splitlines()[-1]

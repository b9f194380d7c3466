# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of the benchmark sets, shortened."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def folder(copy_of):
    """A user's copy of the template, with the sets next to the scripts."""
    folder = copy_of("benchmark_sets")
    for name in ("mlearn", "maml_mo"):
        shutil.copytree(REFERENCE / name, folder / "reference" / name)
    # small students learn in a second
    for element in ("Mo", "Si"):
        path = folder / f"pod_{element}.yaml"
        lines = path.read_text().split("\n")
        kept = [x for x in lines if not x.strip().startswith(("four", "five"))]
        text = "\n".join(kept).replace("functions: 8", "functions: 3")
        path.write_text(text.replace("degree: 6", "degree: 2"))
    shutil.copy(path, folder / "pod_large.yaml")
    return folder


@pytest.mark.slow
def test_published(folder, script, is_picture):
    script("published.py", "results", "--element", "Si", "--frames", 12, "--seconds", 0.01,
           "--small", cwd=folder)  # fmt: skip
    rows = json.loads((folder / "results/Si/published.json").read_text())["rows"]
    assert [row["name"] for row in rows] == [
        "SNAP (Zuo)", "qSNAP (Zuo)", "SNAP", "qSNAP", "POD small", "POD", "POD large"
    ]  # fmt: skip
    # measured once for the issue by another script: 7.3 meV/atom, 0.205 eV/Å, and 5.3, 0.177
    errors = [row["errors"]["all"] for row in rows]
    assert errors[0]["energy"] == pytest.approx(7.3, abs=0.1)
    assert errors[0]["forces"] == pytest.approx(0.205, abs=0.001)
    assert errors[1]["energy"] == pytest.approx(5.3, abs=0.1)
    assert errors[1]["forces"] == pytest.approx(0.177, abs=0.001)
    assert all(error["forces"] < 1 for error in errors)
    assert all(row["cost"] > 1 for row in rows)
    text = (folder / "results/Si/published.md").read_text()
    assert text.count("\n") == 11
    assert text.splitlines()[-1].startswith("Most accurate in the forces: ")
    assert is_picture(folder / "results/published.png")
    # what is there is not made again
    student = folder / "results/Si/pod/student.json"
    before = student.stat().st_mtime_ns
    script("published.py", "results", "--element", "Si", "--frames", 12, "--seconds", 0.01,
           "--small", cwd=folder)  # fmt: skip
    assert student.stat().st_mtime_ns == before
    again = json.loads((folder / "results/Si/published.json").read_text())["rows"]
    assert [row["cost"] for row in again] == [row["cost"] for row in rows]


def test_selection_with_a_peers_choice(folder, script, is_picture):
    arguments = ("results", "--element", "Mo", "--stride", 8, "--numbers", 6, 12, "--seeds", 2)
    script("selection.py", *arguments, cwd=folder)
    path = folder / "results/Mo/peer.choice.json"
    path.write_text(json.dumps({"6": list(range(6))}))
    script("selection.py", *arguments, cwd=folder)
    content = json.loads((folder / "results/Mo/selection.json").read_text())
    names = {record["name"] for record in content["records"]}
    assert {"random", "landscape, even", "landscape, farthest", "sS Q4 Q6 Q8, farthest",
            "atoms' landscape", "peer"} <= names  # fmt: skip
    assert all(np.isfinite(e["forces"]) for r in content["records"] for e in r["errors"].values())
    assert "| peer | published |" in (folder / "results/Mo/selection.md").read_text()
    assert is_picture(folder / "results/selection.png")


def test_laws(folder, script, is_picture):
    script("laws.py", "results", "--element", "Mo", "--stride", 8, "--seeds", 2, "--frames", 8,
           "--least", 4, cwd=folder)  # fmt: skip
    content = json.loads((folder / "results/Mo/laws.json").read_text())
    assert {record["part"] for record in content["records"]} == {"number", "coverage", "sources"}
    assert len(content["knees"]) == 4
    text = (folder / "results/Mo/laws.md").read_text()
    assert "| 20% |" in text and "| MD 3000 K |" in text
    assert is_picture(folder / "results/laws.png")


def test_frames_of_two_sets_have_one_zero(folder, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(folder)
    learning = importlib.import_module("learning").Learning("Mo", folder / "reference", tmp_path, 8)
    # networks learn from the frames what POD learns from the equations
    frames = [*learning.pool, *learning.tests]
    rows = [*learning.rows, *learning.test_rows]
    of_frames = [atoms.get_potential_energy() / len(atoms) for atoms in frames]
    of_equations = [learning.equations.targets[row][0] for row in rows]
    np.testing.assert_allclose(of_frames, of_equations, rtol=0, atol=1e-9)
    for name in ("learning", "published_sets"):
        del sys.modules[name]


def test_laws_of_bred_frames(folder, script, is_picture):
    script("laws.py", "results", "--element", "Mo", "--bred", 40, "--seeds", 2, "--frames", 6,
           "--least", 3, cwd=folder)  # fmt: skip
    content = json.loads((folder / "results/Mo/laws_bred.json").read_text())
    assert {record["part"] for record in content["records"]} == {"number", "coverage"}
    assert len(content["knees"]) == 4 and 0 < content["resolution"] < 1
    groups = content["records"][0]["errors"]
    assert {"all", "published", "hot", "strained", "cold"} == set(groups)
    # the published frames with labels of quadratic SNAP: POD comes near to them
    whole = [r["errors"] for r in content["records"] if r["number"] == content["pool"]]
    assert whole[0]["strained"]["forces"] < 100
    assert "standard error of the forces' error" in (folder / "results/Mo/laws_bred.md").read_text()
    assert is_picture(folder / "results/laws_bred.png")


def test_advice_and_table(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    advice = importlib.import_module("published").advice
    rows = [
        {"name": name, "errors": {"all": {"forces": error}}, "cost": cost, "cost_large": large}
        for name, error, cost, large in (
            ("SNAP", 0.38, 70, 99), ("POD small", 0.23, 53, 53), ("POD", 0.19, 100, 110),
            ("qSNAP", 0.33, 107, 100), ("teacher", 0.1, None, None), ("fast", 0.3, 39, None),
        )
    ]  # fmt: skip
    assert advice(rows) == (
        "Most accurate in the forces: POD (0.190 eV/Å, 110 µs). Worth it if that is too slow: "
        "POD small (0.230 eV/Å, 53 µs), fast (0.300 eV/Å, 39 µs). Not worth it, since one of "
        "these is better and as fast: qSNAP, SNAP.\n"
    )
    each = [{"all": {"energy": e, "forces": f}} for e, f in ((3.0, 0.2), (5.0, 0.4))]
    row = {"name": "dpa1", "of_seeds": each, "cost": 39.6, "cost_large": None}
    lines = importlib.import_module("published").markdown([row]).splitlines()
    assert lines[-1] == "| dpa1 | 4.0 ± 1.4 | 0.300 ± 0.141 |  |  |  | 40 |  |"
    for name in ("published", "published_sets", "learning"):
        del sys.modules[name]


def test_peers_usage(folder, script):
    output = script("peers.py", "SOAP", "pool", "choice", 5, cwd=folder, fails=True)
    assert "python peers.py DIRECT" in output and "Traceback" not in output


def test_direct(folder, script):
    pytest.importorskip("maml", reason="pip install maml")
    np.savez(folder / "pool.npz", features=np.random.default_rng(1).normal(size=(40, 6)))
    script("peers.py", "DIRECT", "pool.npz", "DIRECT.choice.json", 5, 10, 50, cwd=folder)
    found = json.loads((folder / "DIRECT.choice.json").read_text())
    assert {name: len(set(chosen)) for name, chosen in found.items()} == {"5": 5, "10": 10}


def test_teach_without_a_teacher(folder, script):
    output = script("published.py", "results", "--teach", 5, cwd=folder, fails=True)
    assert "add --networks teacher" in output


def test_data_that_is_missing(folder, script):
    output = script("laws.py", "results", "--data", "nowhere", cwd=folder, fails=True)
    assert "there is no such set" in output and "Traceback" not in output


def test_properties(folder, script):
    output = script("properties.py", "crystals", cwd=folder, fails=True)
    assert "run published.py before" in output
    (folder / "crystals/Mo").mkdir(parents=True)
    rows = [
        {"name": "SNAP (Zuo)", "lines": ["pair_style snap", "pair_coeff * * "
         "Mo_Zuo_JPCA2020.snapcoeff Mo_Zuo_JPCA2020.snapparam Mo"]},
        {"name": "TensorNet (zero-shot)", "lines": None},
    ]  # fmt: skip
    (folder / "crystals/Mo/published.json").write_text(json.dumps({"rows": rows}))
    script("properties.py", "crystals", "--properties", "elastic_constants",
           cwd=folder)  # fmt: skip
    text = (folder / "crystals/Mo/properties.md").read_text()
    assert "| quantity | unit | SNAP (Zuo) | reference |" in text
    [c11] = [float(line.split("|")[3]) for line in text.split("\n") if line.startswith("| C11")]
    assert c11 == pytest.approx(457, abs=15)  # DFT 472, experiment 464 GPa


def test_properties_of_silicon(folder, script):
    (folder / "crystals/Si").mkdir(parents=True)
    name = "Si_Zuo_JPCA2020.quadratic"
    lines = ["pair_style snap", f"pair_coeff * * {name}.snapcoeff {name}.snapparam Si"]
    (folder / "crystals/Si/published.json").write_text(
        json.dumps({"rows": [{"name": "qSNAP (Zuo)", "lines": lines}]})
    )
    script("properties.py", "crystals", "--element", "Si", "--properties", "equation_of_state",
           "elastic_constants", cwd=folder)  # fmt: skip
    rows = (folder / "crystals/Si/properties.md").read_text().split("\n")
    assert rows[0] == "| quantity | unit | qSNAP (Zuo) | reference |"
    found = {row.split("|")[1].strip(): float(row.split("|")[3]) for row in rows[2:] if row}
    # PBE, as the potential's training set, by the Materials Project (mp-149)
    assert found["a0"] == pytest.approx(5.469, abs=0.01)
    assert found["C11"] == pytest.approx(153, abs=8)
    assert found["C12"] == pytest.approx(57, abs=5)
    assert found["C44"] == pytest.approx(75, abs=8)


@pytest.mark.slow
@pytest.mark.distillation
def test_networks(folder, script):
    for module in ("deepmd", "mace"):
        pytest.importorskip(module, reason="pip install 'entsym[distillation]'")
    script(
        "published.py", "networks", "--element", "Si", "--frames", 8, "--small",
        "--networks", "se_e2_a", "dpa1", "teacher", "--seconds", 0.01, "--steps", 20, "--epochs", 1,
        "--teach", 3, cwd=folder,
    )  # fmt: skip
    rows = json.loads((folder / "networks/Si/published.json").read_text())["rows"]
    assert {
        "se_e2_a", "dpa1", "MACE teacher", "mean of MACE and POD large", "POD taught by MACE"
    } <= {row["name"] for row in rows}  # fmt: skip


@pytest.mark.slow
@pytest.mark.distillation
def test_laws_of_networks(folder, script):
    pytest.importorskip("deepmd", reason="pip install 'entsym[distillation]'")
    arguments = ("networks", "--element", "Mo", "--stride", 8, "--seeds", 1, "--frames", 6,
                 "--networks", "--steps", 20)  # fmt: skip
    text = script("laws.py", *arguments, cwd=folder)
    assert "| whole pool, landscape, even | 6 |" in text
    path = folder / "networks/Mo/laws_networks.json"
    records = json.loads(path.read_text())["records"]
    assert [record["name"] for record in records] == [
        "all MD", "all MD, landscape, even", "whole pool, landscape, even"
    ]  # fmt: skip
    # hardly trained, but with the energies of bulk frames
    assert all(record["errors"]["all"]["energy"] < 2000 for record in records)


def test_mtp_nnp_usage(folder, script):
    frames = REFERENCE / "mlearn" / "Mo_test.extxyz.xz"
    said = script("mtp_nnp.py", "MTP", "nowhere", frames, "out.npz", cwd=folder, fails=True)
    assert "folder = nowhere: there is no such folder; give that of MTP" in said
    (folder / "nnp").mkdir()
    said = script("mtp_nnp.py", "NNP", "nnp", frames, "out.npz", cwd=folder, fails=True)
    assert "nnp-predict: is not on PATH" in said and "Traceback" not in said

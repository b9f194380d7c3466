# SPDX-License-Identifier: BSD-3-Clause
"""MACE as a DeePMD model, the paper's teacher, and others of PyTorch: train, calculate, LAMMPS.

Needs an environment of its own, and room for it: ``make test-deepmd-gnn``.
"""

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

pytest.importorskip("deepmd_gnn", reason="deepmd-gnn has its own environment: make test-deepmd-gnn")
pytest.importorskip("dpdata", reason="dpdata: make test-deepmd-gnn")

from ase_calculators.distillation import open_student, relabel, train_student
from ase_calculators.training_sets import write_deepmd

TEMPLATE = Path(__file__).parents[2] / "input_templates" / "distillation"
STEPS = 20


def rattled(n, seed):
    """Return rattled and strained cells of 8 Al atoms with EMT's labels."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1, 1)
        strain = np.eye(3) + 0.04 * rng.uniform(-1, 1, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, seed=int(rng.integers(1 << 30)))
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                   "stress": atoms.get_stress()}  # fmt: skip
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def call(*command, cwd, **environment):
    """Run a command of this environment."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def settings():
    """Return the small input, saved twice."""
    found = json.loads((TEMPLATE / "deepmd_gnn" / "input_small.json").read_text())
    found["training"] |= {"disp_freq": STEPS // 2, "save_freq": STEPS // 2}
    return found


def train(folder, name="model", **changes):
    """Train in a folder."""
    return train_student(
        folder / "training", folder / "validation", folder / name,
        **({"profile": settings(), "steps": STEPS} | changes),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sets and the frozen model of them."""
    folder = tmp_path_factory.mktemp("gnn")
    write_deepmd(rattled(8, 1), folder / "training")
    write_deepmd(rattled(2, 2), folder / "validation")
    trained = train(folder)
    assert trained.model == trained.compressed == folder / "model" / "frozen.pth"
    return folder


def test_it_learns_and_goes_on_where_it_was(folder):
    model = folder / "model"
    rows = np.loadtxt(model / "lcurve.out")
    assert int(rows[-1, 0]) == STEPS and np.isfinite(rows).all()
    record = json.loads((model / "student.json").read_text())
    assert record["model"] == hashlib.sha256((model / "frozen.pth").read_bytes()).hexdigest()
    assert record["deepmd-gnn"] == version("deepmd-gnn")
    (model / "frozen.pth").unlink()
    last = model / f"model.ckpt-{STEPS}.pt"
    last.write_bytes(last.read_bytes()[:-1000])  # killed while it was written
    train(folder)
    resumed = f"Resuming from {model / f'model.ckpt-{STEPS // 2}.pt'}"
    assert resumed in (model / "train.log").read_text()
    assert int(np.loadtxt(model / "lcurve.out")[-1, 0]) == STEPS


def test_it_is_where_others_start(folder):
    still = settings() | {"learning_rate": {"type": "exp", "start_lr": 1e-12, "stop_lr": 1e-13}}
    start = folder / "model" / "frozen.pth"
    same = open_student(train(folder, "same", profile=still, start=start, steps=1, seed=2))
    fresh = open_student(train(folder, "fresh", profile=still, steps=1, seed=2))
    atoms = rattled(1, 11)[0]
    energies = [model.get_potential_energy(atoms) for model in (open_student(start), same, fresh)]
    assert energies[1] == pytest.approx(energies[0], abs=1e-6)
    assert energies[2] != pytest.approx(energies[0], abs=1e-3)


def test_small_sel_is_refused(folder):
    profile = settings()
    profile["model"]["sel"] = 5
    with pytest.raises(ValueError, match=r"sel = 5: atoms of the data have up to \[\d+\]"):
        train(folder, "small", profile=profile)


@pytest.mark.parametrize("name", ["input_nequip.json", "input_dpa3.json"])
def test_others_that_pytorch_trains(folder, name):
    profile = json.loads((TEMPLATE / "deepmd_gnn" / name).read_text())
    trained = train(folder, name, profile=profile, steps=3)
    atoms = rattled(1, 7)[0]
    atoms.calc = open_student(trained.folder)
    assert np.isfinite(atoms.get_potential_energy()) and np.abs(atoms.get_forces()).max() > 1e-4


def test_the_paper_s_input_is_valid():
    """Names and types of the large input, which no test can train."""
    from deepmd.utils.argcheck import normalize

    paper = json.loads((TEMPLATE / "deepmd_gnn" / "input.json").read_text())
    assert normalize(paper)["model"]["hidden_irreps"] == "128x0e + 128x1o"


def test_forces_and_stress_are_derivatives(folder):
    """Central differences at two steps: their error falls fourfold."""
    from deepmd.calculator import DP

    calc = DP(str(folder / "model" / "frozen.pth"))
    atoms = rattled(1, 3)[0]
    atoms.calc = calc
    force, stress = atoms.get_forces()[2, 1], atoms.get_stress()[1]
    assert abs(force) > 1e-4 and abs(stress) > 1e-5
    for h, tolerance in ((0.02, 2e-2), (0.005, 2e-3)):
        energies, strained = [], []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[2, 1] += sign * h
            moved.calc = calc
            energies.append(moved.get_potential_energy())
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ np.diag([1, 1 + sign * h, 1]), scale_atoms=True)
            moved.calc = calc
            strained.append(moved.get_potential_energy())
        assert (energies[1] - energies[0]) / (2 * h) == pytest.approx(force, rel=tolerance)
        slope = (strained[0] - strained[1]) / (2 * h) / atoms.get_volume()
        assert slope == pytest.approx(stress, rel=tolerance)


@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_labels_as_ase_does(folder, ranks):
    """in.relabel by pair_style deepmd, in this environment's lmp, against the ASE calculator."""
    import deepmd_gnn
    from deepmd.calculator import DP

    ase.io.write(folder / "frames.extxyz", rattled(3, 5))
    frames = ase.io.read(folder / "frames.extxyz", ":")  # with the digits of the file
    model = folder / "model" / "frozen.pth"
    (folder / "gnn.mod").write_text(f"pair_style deepmd {model}\npair_coeff * * Al\n")
    operators = Path(deepmd_gnn.__file__).parent / "lib" / "libdeepmd_gnn.so"
    call(
        sys.executable, TEMPLATE / "relabel_lammps.py", "frames.extxyz", "--potential", "gnn.mod",
        "--ranks", ranks, "--output", f"lammps_{ranks}.extxyz",
        cwd=folder, DP_PLUGIN_PATH=str(operators),
    )  # fmt: skip
    relabel(frames, DP(str(model)), folder / f"ase_{ranks}.extxyz", progress=False)
    found = [
        ase.io.read(folder / f"{way}_{ranks}.extxyz", ":", format="extxyz")
        for way in ("lammps", "ase")
    ]
    assert len(found[0]) == len(found[1]) == len(frames)
    for one, other in zip(*found, strict=True):
        forces = one.arrays["teacher_forces"]
        assert np.abs(forces).max() > 1e-3
        np.testing.assert_allclose(forces, other.arrays["teacher_forces"], atol=2e-8)
        energy, stress = one.info["teacher_energy"], one.info["teacher_stress"]
        assert energy == pytest.approx(other.info["teacher_energy"], rel=1e-12)
        scale = np.abs(stress).max()
        np.testing.assert_allclose(stress, other.info["teacher_stress"], atol=1e-6 * scale)

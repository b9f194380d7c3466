# SPDX-License-Identifier: BSD-3-Clause
"""Relabelling by networks: MACE through fix external, a DeePMD model by its pair_style."""

import json
import os
import subprocess
import sys

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_calculators.distillation import Committee, relabel
from ase_calculators.training_sets import labels, write_deepmd

pytestmark = pytest.mark.distillation
pytest.importorskip("mace", reason="mace-torch: pip install 'entsym[distillation]'")
pytest.importorskip("deepmd", reason="deepmd-kit: pip install 'entsym[distillation]'")

# networks of random weights: their results are smooth and good enough to be compared
TEACHERS = """
import numpy as np
from ase_calculators.distillation import Committee

def mace(seed):
    import mace  # noqa: F401  first: it lets PyTorch load the constants of e3nn
    import torch
    from e3nn import o3
    from mace import modules
    from mace.calculators import MACECalculator

    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float64)
    kinds = modules.interaction_classes
    model = modules.ScaleShiftMACE(
        r_max=4.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=2, num_interactions=2,
        num_elements=1, hidden_irreps=o3.Irreps("4x0e+4x1o"), MLP_irreps=o3.Irreps("4x0e"),
        atomic_energies=np.array([-3.0]), avg_num_neighbors=18.0, atomic_numbers=[13],
        correlation=2, gate=torch.nn.functional.silu, atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        interaction_cls=kinds["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=kinds["RealAgnosticInteractionBlock"],
    )
    return MACECalculator(models=[model], device="cpu", default_dtype="float64")

def open_teacher():
    return Committee([mace(1), mace(2)])
"""

INPUT = {
    "model": {
        "type_map": ["Al"],
        "descriptor": {
            "type": "se_e2_a", "rcut": 4.0, "rcut_smth": 1.0, "sel": [60], "neuron": [4, 8],
            "axis_neuron": 2, "seed": 1, "precision": "float64",
        },
        "fitting_net": {"neuron": [8, 8], "seed": 1, "precision": "float64"},
    },
    "learning_rate": {"type": "exp", "start_lr": 1e-3, "stop_lr": 1e-4, "decay_steps": 5},
    "loss": {},
    "training": {
        "training_data": {"systems": "set", "batch_size": 1}, "numb_steps": 1, "seed": 1,
    },
}  # fmt: skip


def cells(n):
    """Return triclinic cells of 8 or 16 atoms in any orientation."""
    rng = np.random.default_rng(4)
    found = []
    for seed in range(n):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1 + seed % 2, 1)
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        strain = np.eye(3) + 0.05 * rng.uniform(-1, 1, (3, 3))
        atoms.set_cell(
            atoms.cell.array @ strain @ rotation * np.sign(np.linalg.det(rotation)),
            scale_atoms=True,
        )
        atoms.rattle(0.1, seed=seed)
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def folder(copy_of):
    """A user's copy of the template with frames and teachers."""
    folder = copy_of("distillation")
    ase.io.write(folder / "frames.extxyz", cells(5))
    (folder / "teachers.py").write_text(TEACHERS)
    return folder


@pytest.fixture(scope="module")
def python(folder):
    """Run Python in the folder; imports of networks take long on a busy machine."""
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(folder))))

    def python(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=900,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]

    return python


def assert_same(path, direct, energy, forces, stress):
    found = ase.io.read(path, ":")
    assert len(found) == len(direct)
    for one, two in zip(found, direct, strict=True):
        a, b = labels(one, "teacher_"), labels(two, "teacher_")
        assert a.energy == pytest.approx(b.energy, abs=energy * len(one))
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=forces)
        np.testing.assert_allclose(a.stress, b.stress, rtol=0, atol=stress)
        assert np.abs(b.forces).max() > 1e4 * forces and np.abs(b.stress).max() > 1e3 * stress


def test_mace_through_fix_external_agrees_with_relabel(python, folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    import teachers

    done = relabel(folder / "frames.extxyz", teachers.open_teacher(), folder / "mace.extxyz",
                   batch_size=2, progress=False)  # fmt: skip
    assert done.n == 5
    direct = ase.io.read(done.path, ":")
    committee = teachers.open_teacher()
    for frame, labelled in zip(cells(5), direct, strict=True):
        energies, forces = [], []
        for member in committee.members:
            frame.calc = member
            energies.append(frame.get_potential_energy())
            forces.append(frame.get_forces())
        label = labels(labelled, "teacher_")
        # positions went through 8 digits
        assert label.energy == pytest.approx(np.mean(energies), abs=1e-6)
        np.testing.assert_allclose(label.forces, np.mean(forces, axis=0), atol=1e-6)
        spread = np.linalg.norm(forces[0] - forces[1], axis=1).max() / 2
        assert labelled.info["teacher_forces_spread"] == pytest.approx(spread, abs=1e-6)
    python("relabel_lammps.py", "frames.extxyz", "--teacher", "teachers:open_teacher",
           "--output", "mace-l.extxyz")  # fmt: skip
    # e3nn's rotations hold to double precision; forces are written with 8 digits, and LAMMPS's
    # bar is 8e-8 of itself off CODATA's
    assert_same(folder / "mace-l.extxyz", direct, 1e-10, 3e-8, 1e-8)
    for one, two in zip(ase.io.read(folder / "mace-l.extxyz", ":"), direct, strict=True):
        for name in ("teacher_energy_spread", "teacher_forces_spread"):
            assert one.info[name] == pytest.approx(two.info[name], rel=1e-6)


def test_pair_style_deepmd_agrees_with_relabel(python, folder):
    """From a teacher's labels to DeePMD data, to a model, to labels of this model."""
    relabel(folder / "frames.extxyz", EMT(), folder / "emt.extxyz", progress=False)
    write_deepmd(folder / "emt.extxyz", folder / "set", prefix="teacher_")
    (folder / "input.json").write_text(json.dumps(INPUT))
    python("-m", "deepmd", "train", "input.json", "--skip-neighbor-stat")
    python("-m", "deepmd", "freeze", "-o", "model.pb")
    (folder / "student.mod").write_text("pair_style deepmd model.pb\npair_coeff * * Al\n")
    from deepmd.calculator import DP

    committee = Committee([DP(str(folder / "model.pb"))], [folder / "model.pb"])
    done = relabel(folder / "frames.extxyz", committee, folder / "dp.extxyz", progress=False)
    python("relabel_lammps.py", "frames.extxyz", "--potential", "student.mod", "--output",
           "dp-l.extxyz")  # fmt: skip
    assert_same(folder / "dp-l.extxyz", ase.io.read(done.path, ":"), 1e-9, 3e-8, 1e-8)

# SPDX-License-Identifier: BSD-3-Clause
"""Universal models fine-tuned: matgl's, with a tiny one, interrupted, resumed, opened; MACE's."""

import json
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
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_calculators.committee import Committee
from ase_calculators.distillation import (
    matgl_training,
    open_teacher,
    relabel,
    train_teacher,
    training,
)
from ase_calculators.distillation.models import Model
from ase_calculators.distillation.teacher import _write_frames

sys.path.insert(0, str(Path(__file__).parent))
from emt_cells import derivatives, labelled

pytestmark = [pytest.mark.distillation, pytest.mark.slow]  # 7 processes, each imports for 7 s
matgl = pytest.importorskip("matgl", reason="pip install 'entsym[matgl]'")
import torch  # noqa: E402
from matgl.apps.pes import Potential  # noqa: E402
from matgl.ext.ase import PESCalculator  # noqa: E402
from matgl.models import TensorNet  # noqa: E402

TRAIN, VALIDATION = labelled(8), labelled(4, seed=100)
PROFILE = {
    "energy_weight": 10, "forces_weight": 1, "stress_weight": 0.005, "loss": "huber_loss",
    "batch_size": 3, "lr": 0.01, "lr_last": 0.001, "warmup_epochs": 1, "ema_decay": 0.5,
    "clip_grad": 10.0, "freeze": [], "max_num_epochs": 6,
}  # fmt: skip
REAL = os.environ.get("ENTSYM_UNIVERSAL_MODEL")

DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from test_teacher_finetuning import PROFILE, TRAIN, VALIDATION
from ase_calculators.distillation import train_teacher
train_teacher(TRAIN, VALIDATION, {folder!r}, PROFILE, (1,), "cpu", start={start!r}, trust=True)
"""


@pytest.fixture(scope="module")
def universal(tmp_path_factory):
    """A TensorNet that knows three elements and nothing about them."""
    torch.manual_seed(0)
    network = TensorNet(
        element_types=("Al", "Cu", "Ir"), units=8, nblocks=1, cutoff=4.0, is_intensive=False,
        num_rbf=6,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("universal") / "TensorNet"
    Potential(network, data_std=2.0, element_refs=[-3.0, -4.0, -8.0]).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(universal, tmp_path_factory):
    """Two models; the fine-tuning of the first was killed after an epoch or two."""
    folder = tmp_path_factory.mktemp("teacher")
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(
            tests=str(Path(__file__).parent), folder=str(folder), start=str(universal)
        )]
    )  # fmt: skip
    limit = time.monotonic() + 300  # two cores may be busy with other things
    while not (folder / "seed-1" / "checkpoint.pt").exists():
        assert driver.poll() is None and time.monotonic() < limit
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    models = train_teacher(
        TRAIN, VALIDATION, folder, PROFILE, (1, 2), "cpu", start=universal, trust=True
    )
    assert [model.name for model in models] == ["teacher-1", "teacher-2"]
    return folder


@pytest.fixture(scope="module")
def teacher(folder):
    return open_teacher(folder, "cpu")


def weights(model):
    """Return the weights of a matgl model."""
    return torch.load(model / "state.pt", weights_only=True)


def test_a_killed_training_gives_the_same_model(folder, universal, tmp_path):
    train_teacher(TRAIN, VALIDATION, tmp_path, PROFILE, (1,), "cpu", start=universal, trust=True)
    one, other = (weights(path / "seed-1" / "teacher-1") for path in (folder, tmp_path))
    assert one.keys() == other.keys()
    # the same operations in the same order: not a bit differs
    assert all(torch.equal(one[key], other[key]) for key in one)
    two = weights(folder / "seed-2" / "teacher-2")
    assert any(not torch.equal(one[key], two[key]) for key in one)


def test_record(folder, universal):
    record = json.loads((folder / "teacher.json").read_text())
    assert record["start"]["name"] == "TensorNet" and len(record["start"]["sha256"]) == 64
    assert record["matgl"] and list(record["models"]) == ["1", "2"]
    log = (folder / "seed-2" / "train.log").read_text()
    losses = [float(line.partition("loss=")[2].partition(",")[0]) for line in log.splitlines()
              if line.startswith("Epoch ")]  # fmt: skip
    entry = record["models"]["2"]
    assert len(losses) == 6 and entry["kept_epoch"] == int(np.argmin(losses))
    # one element: the shift is the mean difference per atom of labels and model
    start = PESCalculator(matgl.load_model(universal), stress_unit="eV/A3", use_voigt=True)
    off = [(a.get_potential_energy() - start.get_potential_energy(a.copy())) / len(a)
           for a in TRAIN]  # fmt: skip
    # single precision
    assert entry["energy_shifts"] == {"Al": pytest.approx(np.mean(off), abs=1e-5)}
    assert abs(np.mean(off)) > 0.1


def test_it_learns(folder, universal):
    """Energies are right after the shift already; forces have to be learned."""
    teacher, start = open_teacher(folder), open_teacher(universal, trust=True)
    known = np.concatenate([atoms.get_forces() for atoms in TRAIN])
    before, after = (
        np.sqrt(
            np.mean((np.concatenate([r["forces"] for r in model.evaluate(TRAIN)]) - known) ** 2)
        )
        for model in (start, teacher)
    )
    assert after < 0.8 * before


def test_weights_of_energies(universal, tmp_path):
    from matgl.utils.training import PotentialLightningModule

    frames, given = [atoms.copy() for atoms in TRAIN[:4]], [1.0, 20.0, 0.0, 3.0]
    for copy, atoms, weight in zip(frames, TRAIN, given, strict=False):
        copy.calc = atoms.calc
        if weight != 1:
            copy.info["config_energy_weight"] = weight
    losses = {}
    for name, part in (("weighed", frames), ("plain", TRAIN[:4])):
        _write_frames(part, tmp_path / f"{name}.extxyz", "")
        read = ase.io.read(tmp_path / f"{name}.extxyz", ":")
        potential = matgl.load_model(universal)
        module = PotentialLightningModule(
            potential.model, energy_weight=7.0, stress_weight=0.1, loss="huber_loss",
            data_std=2.0, element_refs=potential.element_refs.property_offset.numpy(),
            allow_missing_labels=True,
        )  # fmt: skip
        data = matgl_training.graphs(module.model, read)
        (batch,) = matgl_training._Set(module.model, read, data).batches(4, range(4))
        losses[name] = float(matgl_training._loss(module, batch))
    start = PESCalculator(matgl.load_model(universal))
    off = np.array([
        (start.get_potential_energy(a.copy()) - a.get_potential_energy()) / len(a)
        for a in TRAIN[:4]
    ])  # fmt: skip
    huber = np.where(abs(off) < 1, off**2 / 2, abs(off) - 0.5)
    assert losses["weighed"] - losses["plain"] == pytest.approx(
        7 * np.mean((np.array(given) - 1) * huber), rel=1e-4
    )
    frames[0].info["config_energy_weight"] = "often"
    with pytest.raises(ValueError, match="config_energy_weight = 'often' of a frame: must be"):
        _write_frames(frames, tmp_path / "bad.extxyz", "")


def test_models_that_are_there_are_kept(folder, universal):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/*/*")}
    for start in (universal, str(universal)):
        train_teacher(TRAIN, VALIDATION, folder, PROFILE, (2,), "cpu", start=start, trust=True)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/*/*")} == before
    with pytest.raises(ValueError, match="holds a teacher with another start; use another"):
        train_teacher(
            TRAIN, VALIDATION, folder, PROFILE, (2,), "cpu",
            start=folder / "seed-1" / "teacher-1",  # known by its record: no trust is needed
        )  # fmt: skip


def test_batches_are_what_matgl_says_of_each_frame(folder, teacher):
    frames = labelled(3, seed=7)
    frames[1] = frames[1] * (2, 1, 1)  # of different size
    frames += [bulk("Al", cubic=True) * (2, 2, 2)] * 4  # more atoms than a batch has
    members = [
        PESCalculator(matgl.load_model(folder / f"seed-{k}" / f"teacher-{k}")) for k in (1, 2)
    ]
    for atoms, result in zip(frames, teacher.evaluate(frames), strict=True):
        each = [member.get_property("energy", atoms) for member in members]
        forces = [member.get_property("forces", atoms) for member in members]
        stress = np.mean([member.get_property("stress", atoms) for member in members], axis=0)
        # single precision: 1e-6 of sums of some 10 eV
        assert result["energy"] == pytest.approx(np.mean(each), abs=1e-4)
        np.testing.assert_allclose(result["forces"], np.mean(forces, axis=0), atol=1e-4)
        full = stress.flat[[0, 4, 8, 5, 2, 1]] * units.GPa
        np.testing.assert_allclose(result["stress"], full, atol=1e-5)
    assert result["energy_spread"] > 0


def test_forces_and_stress_are_derivatives(folder):
    teacher = open_teacher(folder / "seed-1" / "teacher-1", "cpu")
    teacher.members[0].potential.double()
    atoms = labelled(1, seed=3)[0]
    (result,) = teacher.evaluate([atoms])
    force, shear = derivatives(teacher, atoms, step=1e-3)
    # the frame itself has single precision, 1e-7 of its positions
    assert -force == pytest.approx(result["forces"][1, 2], abs=1e-3)
    assert shear / atoms.get_volume() == pytest.approx(result["stress"][5], abs=1e-4)
    assert abs(result["forces"][1, 2]) > 1e-2 and abs(result["stress"][5]) > 1e-3


def test_elements_and_periods(folder, teacher, universal):
    atoms = labelled(1, seed=300)[0]
    stranger = atoms.copy()
    stranger.numbers[0] = 29  # the start knows copper, in another zero of energy
    with pytest.raises(ValueError, match="atoms: Cu is not among the elements that the teacher"):
        teacher.get_potential_energy(stranger)
    assert np.isfinite(open_teacher(universal, trust=True).get_potential_energy(stranger))
    slab = atoms.copy()
    slab.rotate(37, (1, 2, 3), rotate_cell=True)
    slab.pbc = (True, True, False)
    large = slab.copy()
    large.pbc = True
    large.cell[2] *= 12
    one, other = teacher.evaluate([slab, large])
    assert one["energy"] == pytest.approx(other["energy"], abs=1e-4)
    np.testing.assert_allclose(one["stress"], other["stress"] * 12, atol=1e-4)
    assert np.abs(one["stress"]).max() > 1e-3


def test_pickles_from_outside_are_not_opened(folder, universal, tmp_path):
    with pytest.raises(
        ValueError, match=r"TensorNet.*is a pickle whose hash is in no teacher.json"
    ):
        open_teacher(universal)
    with pytest.raises(ValueError, match=r"start = .*TensorNet.*set trust=True if you know"):
        train_teacher(TRAIN, VALIDATION, tmp_path / "a", PROFILE, (1,), "cpu", start=universal)
    assert not list((tmp_path / "a").glob("start*"))
    # matgl calls whatever a model names as the class of a part
    shutil.copytree(folder, tmp_path / "copy")
    exploded, model = tmp_path / "exploded", tmp_path / "copy" / "seed-2" / "teacher-2" / "model.pt"
    trap = {"@class": "mkdir", "@module": "os", "init_args": {"path": str(exploded)}}
    torch.save({"model": trap}, model)
    with pytest.raises(ValueError, match=r"teacher-2.*is a pickle whose hash is in no"):
        open_teacher(tmp_path / "copy")
    assert not exploded.exists()
    with pytest.raises(Exception):  # noqa: B017, it is no model
        open_teacher(tmp_path / "copy", trust=True)
    assert exploded.exists()  # so the check is needed


def test_files_of_the_model(folder, universal, teacher):
    names = [path.name for path in Model("teacher", folder).files]
    assert names == ["model.json", "model.pt", "state.pt"] * 2
    assert [path.name for path in teacher.checkpoints] == names
    assert len(Model("teacher", folder).identity["files"]) == 6


def test_it_labels(folder, teacher, tmp_path):
    frames = [a.copy() for a in labelled(5, seed=50)]
    done = relabel(frames, lambda: open_teacher(folder, "cpu"), tmp_path / "out.extxyz")
    assert done.n == 5 and "teacher_stress" in done.path.read_text()


def config_of(frames, folder, start, **changes):
    """Write what the program for one model reads, to run it without the imports of a process."""
    _write_frames(frames, folder / "train.extxyz", "")
    return PROFILE | {
        "start": str(start), "seed": 1, "device": "cpu", "output": "model", "max_num_epochs": 1,
        "train_file": folder / "train.extxyz", "valid_file": folder / "train.extxyz",
    } | changes  # fmt: skip


def test_frozen_layers_stay(universal, tmp_path):
    frozen = ["tensor_embedding", "layers.0"]
    matgl_training.train(config_of(TRAIN, tmp_path, universal, freeze=frozen), tmp_path)
    before, after = weights(universal), weights(tmp_path / "model")
    moved = {key: not torch.equal(value, after[key]) for key, value in before.items()}
    embedding = [key for key in moved if key.startswith(("model.tensor_emb", "model.layers.0"))]
    head = [key for key in moved if key.startswith("model.final_layer") and "weight" in key]
    assert embedding and not any(moved[key] for key in embedding)
    assert head and all(moved[key] for key in head)
    with pytest.raises(ValueError, match="freeze: head is none of the model's parts, "):
        matgl_training.train(config_of(TRAIN, tmp_path, universal, freeze=["head"]), tmp_path)


def test_frames_without_stress_are_learned(universal, tmp_path):
    frames = labelled(4)
    for atoms in frames:
        del atoms.calc.results["stress"]
    matgl_training.train(config_of(frames, tmp_path, universal), tmp_path)
    for found in open_teacher(tmp_path / "model", "cpu", trust=True).evaluate(frames):
        assert np.isfinite(found["forces"]).all() and np.abs(found["stress"]).max() > 0


def test_elements_that_the_start_does_not_know(tmp_path, universal):
    silver = labelled(2)
    for atoms in silver:
        atoms.calc.atoms.numbers[:] = atoms.numbers[:] = 47
    with pytest.raises(ValueError, match="start: Ag is not among its elements, Al, Cu, Ir"):
        matgl_training.train(config_of(silver, tmp_path, universal), tmp_path)


def test_divergence_stops_and_leaves_the_last_good_checkpoint(universal, tmp_path):
    profile = PROFILE | {"max_num_epochs": 500, "lr": 1e30, "warmup_epochs": 20, "clip_grad": 1e9}
    with pytest.raises(FloatingPointError, match="seed 1: the loss is not finite at epoch") as told:
        train_teacher(
            TRAIN, VALIDATION, tmp_path, profile, (1,), "cpu", start=universal, trust=True
        )
    last = str(told.value).partition("last good checkpoint: ")[2].partition(";")[0]
    if last != "there is none":
        kept = torch.load(last, weights_only=True)
        assert all(value.isfinite().all() for value in kept["average"].values())
    assert not (tmp_path / "seed-1" / "teacher-1").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": {"lr": 1.0}}, "profile: batch_size, .* is missing; give exactly"),
        ({"profile": PROFILE | {"r_max": 5}}, "profile: r_max is unknown; give exactly"),
        ({"profile": PROFILE | {"loss": "rmse"}}, "loss = 'rmse': must be huber_loss or mse_loss"),
        ({"profile": PROFILE | {"freeze": "x"}}, "freeze = 'x': must be a list of names of parts"),
        ({"profile": PROFILE | {"ema_decay": 1}}, "ema_decay = 1: must be below 1"),
        ({"profile": PROFILE | {"stress_weight": -1}}, "stress_weight = -1: must be a number of 0"),
        ({"profile": PROFILE | {"batch_size": 2.5}}, "batch_size = 2.5: must be a whole number"),
        ({"profile": PROFILE | {"lr": 0}}, "profile: lr = 0: must be a number above 0; see prof"),
        ({"profile": "small"}, "profile = 'small': must be 'finetune', a file that exists"),
        ({"start": "nothing.model"}, "start = 'nothing.model': there is no such file or folder"),
        ({"start": "/nothing"}, "start = '/nothing': there is no such file or folder"),
        ({"start": "."}, r"start = '.': is a folder without model.json, model.pt, state.pt"),
    ],
    ids=[
        "missing",
        "unknown",
        "loss",
        "freeze",
        "average",
        "weight",
        "batch",
        "zero",
        "profile",
        "file",
        "path",
        "folder",
    ],
)
def test_bad_input(tmp_path, universal, arguments, message):
    good = {"profile": PROFILE, "start": universal, "device": "cpu", "seeds": (1,), "trust": True}
    with pytest.raises(ValueError, match=message):
        train_teacher(TRAIN, VALIDATION, tmp_path, **(good | arguments))


def test_missing_extra_is_named(monkeypatch, tmp_path, universal):
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    message = r"the teacher needs matgl: pip install 'entsym\[matgl\]'"
    with pytest.raises(ImportError, match=message):
        train_teacher(TRAIN, VALIDATION, tmp_path, start=universal, trust=True)
    with pytest.raises(ImportError, match=message):
        open_teacher(universal, trust=True)


def test_any_calculator_is_a_teacher():
    atoms = labelled(1)[0]
    teacher = open_teacher(EMT())
    assert teacher.get_potential_energy(atoms.copy()) == pytest.approx(atoms.get_potential_energy())
    both = open_teacher([EMT(), EMT()])
    assert isinstance(both, Committee) and open_teacher(both) is both
    with pytest.raises(ValueError, match="calculators and files cannot be mixed"):
        open_teacher([EMT(), "teacher"])
    with pytest.raises(ValueError, match="teacher: there are no models"):
        open_teacher([])


def test_models_of_both_packages(folder, universal, tmp_path):
    pytest.importorskip("mace", reason="pip install 'entsym[distillation]'")
    from test_teacher import PROFILE as SMALL

    (mace,) = train_teacher(TRAIN, VALIDATION, tmp_path, SMALL, (1,), "cpu")
    model = folder / "seed-1" / "teacher-1"
    both = open_teacher([mace, model], "cpu")
    atoms = labelled(1, seed=5)[0]
    (found,) = both.evaluate([atoms])
    each = [open_teacher(part, "cpu").evaluate([atoms])[0] for part in (mace, model)]
    assert found["energy"] == pytest.approx(np.mean([part["energy"] for part in each]))
    np.testing.assert_allclose(found["stress"], np.mean([part["stress"] for part in each], axis=0))


@pytest.mark.skipif(
    not REAL or not Path(REAL).is_dir(),
    reason="set ENTSYM_UNIVERSAL_MODEL to the folder of TensorNet-MatPES-PBE-v2025.1-PES",
)
def test_a_real_universal_model_knows_aluminium():
    teacher = open_teacher(REAL, trust=True)
    energies = [
        found["energy"]
        for found in teacher.evaluate([bulk("Al", "fcc", a=a) for a in (3.95, 4.04, 4.13)])
    ]
    # PBE: 4.04 Å, 77 GPa; the parabola through three points, in eV/Å^2
    curvature = (energies[0] - 2 * energies[1] + energies[2]) / 0.09**2
    lowest = 4.04 - 0.09 * (energies[2] - energies[0]) / (2 * 0.09**2 * curvature)
    assert lowest == pytest.approx(4.04, abs=0.03)
    # B = (4 / 9 a) d2E/da2 of an atom in a cell of a^3 / 4
    assert 4 / (9 * 4.04) * curvature / units.GPa == pytest.approx(77, rel=0.15)
    (gas,) = teacher.evaluate([Atoms("Al", cell=np.eye(3) * 20, pbc=True)])
    assert gas["energy"] - energies[1] > 2

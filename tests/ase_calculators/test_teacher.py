# SPDX-License-Identifier: BSD-3-Clause
"""The teacher: MACE models trained, interrupted, resumed, opened; divergence."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from ase_calculators.distillation import open_teacher, train_teacher, training

sys.path.insert(0, str(Path(__file__).parent))
from emt_cells import derivatives, labelled

pytestmark = pytest.mark.distillation
pytest.importorskip("mace", reason="pip install 'entsym[distillation]'")

PROFILE = {
    "model": "MACE", "r_max": 4.0, "num_interactions": 1, "num_channels": 4, "max_L": 0,
    "max_ell": 1, "correlation": 1, "num_radial_basis": 4, "radial_MLP": [8],
    "default_dtype": "float64", "E0s": {"Al": -0.5}, "loss": "stress", "batch_size": 2,
    "valid_batch_size": 4, "lr": 0.01, "max_num_epochs": 3,
}  # fmt: skip


TRAIN, VALIDATION = labelled(8), labelled(4, seed=100)

DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from test_teacher import PROFILE, TRAIN, VALIDATION
from ase_calculators.distillation import train_teacher
print("ready", flush=True)
train_teacher(TRAIN, VALIDATION, {folder!r}, PROFILE | {{"max_num_epochs": 500}}, (1,), "cpu")
"""


def children(pid):
    """Return the child processes of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def is_alive(pid):
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models; the training of the first was interrupted and left a torn checkpoint."""
    folder = tmp_path_factory.mktemp("teacher")
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(tests=str(Path(__file__).parent), folder=str(folder))]
    )
    checkpoints = folder / "seed-1" / "checkpoints"
    limit = time.monotonic() + 300  # two cores may be busy with other things
    while not list(checkpoints.glob("*_epoch-[2-9]*.pt")):
        assert driver.poll() is None and time.monotonic() < limit
        time.sleep(0.05)
    (trainer,) = children(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    while is_alive(trainer):  # the training dies with whoever asked for it
        assert time.monotonic() < limit
        time.sleep(0.05)
    last = max(
        int(path.stem.rpartition("-")[2])
        for path in checkpoints.glob("*.pt")
        if zipfile.is_zipfile(path)  # the kill may have torn the last one
    )
    # a checkpoint that was being written
    torn = checkpoints / f"teacher-1_run-1_epoch-{last + 1}.pt"
    whole = max(checkpoints.glob("*.pt"), key=lambda path: path.stat().st_mtime)
    torn.write_bytes(whole.read_bytes()[:1000])
    # requested are 500 epochs; the record is changed to two more than there are
    record = json.loads((folder / "teacher.json").read_text())
    record["profile"]["max_num_epochs"] = last + 3
    (folder / "teacher.json").write_text(json.dumps(record))
    models = train_teacher(
        TRAIN, VALIDATION, folder, PROFILE | {"max_num_epochs": last + 3}, (1, 2), "cpu",
        processes=2,
    )  # fmt: skip
    assert [model.name for model in models] == ["teacher-1.model", "teacher-2.model"]
    assert not torn.exists() or torn.stat().st_size > 1000
    log = (folder / "seed-1" / "train.log").read_text()
    assert f"epoch-{last}.pt" in log.partition("Loading checkpoint")[2]
    return folder


@pytest.fixture(scope="module")
def teacher(folder):
    return open_teacher(folder, "cpu")


def test_record(folder):
    record = json.loads((folder / "teacher.json").read_text())
    assert record["train"]["n_frames"] == 8 and record["train"]["elements"] == ["Al"]
    assert record["receptive_field"] == 4.0 and record["mace-torch"] and record["torch"]
    assert list(record["models"]) == ["1", "2"]  # whichever ended first
    # the errors are those of the model's epoch, the one with the lowest loss
    log = (folder / "seed-2" / "logs" / "teacher-2_run-2.log").read_text()
    losses = re.findall(r"Epoch (\d+): .*loss=\s*([\d.e-]+), RMSE_E_per_atom=\s*(\S+) meV", log)
    epoch, _, energy = min(losses, key=lambda line: float(line[1]))
    entry = record["models"]["2"]
    assert entry["kept_epoch"] == int(epoch) and entry["epochs"] == len(losses)
    assert entry["validation"].startswith(f"{energy} meV/atom, ")


def test_models_that_are_there_are_kept(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/*")}
    epochs = json.loads((folder / "teacher.json").read_text())["profile"]["max_num_epochs"]
    profile = PROFILE | {"max_num_epochs": epochs}
    assert len(train_teacher(TRAIN, VALIDATION, folder, profile, (2,), "cpu")) == 1
    assert {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/*")} == before
    for name, arguments in {
        "profile": (TRAIN, VALIDATION, folder, profile | {"lr": 0.1}),
        "train": (TRAIN[1:], VALIDATION, folder, profile),
        "validation": (TRAIN, TRAIN, folder, profile),
    }.items():
        with pytest.raises(ValueError, match=f"holds a teacher with another {name}; use another"):
            train_teacher(*arguments, (2,), "cpu")


def test_batches_are_what_each_model_says_of_each_frame(teacher):
    frames = labelled(3, seed=7)
    frames[1] = frames[1] * (2, 1, 1)  # of different size
    for atoms, result in zip(frames, teacher.evaluate(frames), strict=True):
        each = [
            {name: member.get_property(name, atoms) for name in ("energy", "forces", "stress")}
            for member in teacher.members
        ]
        mean = teacher.mean(each, len(atoms))
        assert mean["forces_spread"] > 1e-4  # the seeds differ
        for name, value in mean.items():  # double precision, other order of the sums
            np.testing.assert_allclose(result[name], value, rtol=1e-9, atol=1e-10)


def test_forces_and_stress_are_derivatives(teacher):
    atoms = labelled(1, seed=3)[0]
    (result,) = teacher.evaluate([atoms])
    force, shear = derivatives(teacher, atoms, step=1e-4)
    # central differences of a step of 1e-4: errors of about 1e-8 of the third derivative
    assert -force == pytest.approx(result["forces"][1, 2], abs=1e-5)
    assert shear / atoms.get_volume() == pytest.approx(result["stress"][5], abs=1e-6)
    assert abs(result["forces"][1, 2]) > 1e-3 and abs(result["stress"][5]) > 1e-5


def test_divergence_stops_and_leaves_the_last_good_checkpoint(tmp_path):
    """The second stage's learning rate is absurd: only the first epochs are good."""
    profile = PROFILE | {"max_num_epochs": 500, "swa": True, "start_swa": 2, "swa_lr": 1e300}
    with pytest.raises(FloatingPointError, match="seed 1: the loss is not finite at epoch") as told:
        train_teacher(TRAIN, VALIDATION, tmp_path, profile, (1,), "cpu")
    last = Path(str(told.value).partition("last good checkpoint: ")[2].partition(";")[0])
    import torch

    weights = torch.load(last, weights_only=False)["model"]
    assert all(
        torch.isfinite(value).all() for value in weights.values() if value.is_floating_point()
    )
    epoch = int(str(told.value).partition("at epoch ")[2].partition(";")[0])
    left = [
        int(path.stem.partition("epoch-")[2].partition("_")[0]) for path in last.parent.glob("*.pt")
    ]
    assert left and max(left) < epoch < 100


def test_the_best_epoch_survives_a_restart(tmp_path):
    """In the log the last epoch before the interruption is better than any other can be."""
    train_teacher(TRAIN, VALIDATION, tmp_path, PROFILE, (1,), "cpu")
    run = tmp_path / "seed-1"
    log = next((run / "logs").glob("*-1.log"))
    text, number = re.subn(r"(Epoch 2: .*?loss=\s*)[^,\s]+", r"\g<1>0.00000001", log.read_text())
    assert number == 1
    log.write_text(text)
    (model,) = run.glob("teacher-1.model")
    expected = open_teacher([model], "cpu").evaluate(VALIDATION)
    # the record of a training that was interrupted in its third epoch
    record = json.loads((tmp_path / "teacher.json").read_text())
    before = record["models"].pop("1")
    record["profile"]["max_num_epochs"] = 6
    (tmp_path / "teacher.json").write_text(json.dumps(record))
    train_teacher(TRAIN, VALIDATION, tmp_path, PROFILE | {"max_num_epochs": 6}, (1,), "cpu")
    after = json.loads((tmp_path / "teacher.json").read_text())["models"]["1"]
    assert after["epochs"] == 6 and after["kept_epoch"] == before["kept_epoch"] == 2
    assert after["validation"] == before["validation"]
    found = open_teacher([model], "cpu").evaluate(VALIDATION)
    for one, other in zip(expected, found, strict=True):
        assert one["energy"] == other["energy"]
        np.testing.assert_array_equal(one["forces"], other["forces"])


def test_a_mace_model_is_fine_tuned(tmp_path):
    """Labels have a zero that lies 2 eV per atom higher than that of the start."""
    alloys = labelled(4)
    for atoms in alloys:  # E0s: estimated fails for a start with one element
        atoms.numbers[0] = atoms.calc.atoms.numbers[0] = 29
    (start,) = train_teacher(
        alloys, alloys, tmp_path / "start",
        PROFILE | {"E0s": {"Al": -0.5, "Cu": -0.7}, "max_num_epochs": 1}, (1,), "cpu",
    )  # fmt: skip
    frames, checked = labelled(8, seed=60), labelled(4, seed=80)
    for atoms in frames + checked:
        atoms.calc.results["energy"] += 2.0 * len(atoms)
    profile = {
        "E0s": "estimated", "multiheads_finetuning": False, "default_dtype": "float64",
        "loss": "stress", "batch_size": 2, "valid_batch_size": 4, "lr": 0.001, "freeze": 1,
        "max_num_epochs": 2,
    }  # fmt: skip
    stranger = tmp_path / "stranger.model"
    shutil.copy(start, stranger)
    with pytest.raises(ValueError, match=r"start = .*stranger.model.*set trust=True if you know"):
        train_teacher(frames, checked, tmp_path / "a", profile, (1,), "cpu", start=stranger)
    (model,) = train_teacher(frames, checked, tmp_path, profile, (1,), "cpu", start=start)
    record = json.loads((tmp_path / "teacher.json").read_text())
    assert record["start"]["name"] == "teacher-1.model" and "receptive_field" not in record
    teacher, before = open_teacher(tmp_path, "cpu"), open_teacher([start], "cpu")
    off = [(atoms.get_potential_energy() - found["energy"]) / len(atoms)
           for atoms, found in zip(frames, before.evaluate(frames), strict=True)]  # fmt: skip
    shift = record["models"]["1"]["energy_shifts"]["Al"]
    # all frames have as many atoms: least squares is the mean; the log has six digits
    assert shift == pytest.approx(np.mean(off), abs=2e-6) and shift > 1
    (found,) = teacher.evaluate(checked[:1])
    assert found["energy"] == pytest.approx(checked[0].get_potential_energy(), abs=2.0)
    import torch

    one, other = (torch.load(path, weights_only=False).state_dict() for path in (start, model))
    # the start has a row for each of its two elements; e3nn divides by the root of their number
    row = one["node_embedding.linear.weight"].reshape(2, -1)[0] / 2**0.5
    assert torch.allclose(row, other["node_embedding.linear.weight"], rtol=1e-12)
    assert not torch.equal(one["readouts.0.linear.weight"], other["readouts.0.linear.weight"])


class Trap:
    """An object whose pickle writes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_from_outside_are_not_opened(folder, tmp_path):
    model = folder / "seed-1" / "teacher-1.model"
    assert len(open_teacher([model], "cpu").members) == 1
    shutil.copy(model, tmp_path / "stranger.model")
    with pytest.raises(
        ValueError, match=r"stranger.model.*is a pickle whose hash is in no teacher.json"
    ):
        open_teacher(tmp_path / "stranger.model")
    assert len(open_teacher(tmp_path / "stranger.model", "cpu", trust=True).members) == 1
    # a model exchanged for ours
    shutil.copytree(folder, tmp_path / "copy")
    exploded = tmp_path / "exploded"
    (tmp_path / "copy" / "seed-2" / "teacher-2.model").write_bytes(pickle.dumps(Trap(exploded)))
    with pytest.raises(ValueError, match=r"teacher-2.model.*set trust=True if you know"):
        open_teacher(tmp_path / "copy")
    assert not exploded.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": ()}, "seeds = .*different whole numbers"),
        ({"seeds": (1, 1)}, "seeds = .*different whole numbers"),
        ({"seeds": (-1,)}, "seeds = .*from 0 to 2"),
        ({"processes": 0}, "processes = 0: must be a whole number"),
        ({"profile": "large"}, "profile = 'large': must be 'small', 'paper', 'finetune', a file"),
        ({"profile": {"r_max": -1}}, "profile: r_max = -1: must be a number above 0"),
        ({"device": "tpu"}, "device = 'tpu': must be 'cpu', 'cuda' or None"),
        ({"train": [bulk("Al")]}, r"train: frames: energy is missing \(frame 0\)"),
        ({"prefix": "teacher_"}, "train: frames: teacher_energy is missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_input(tmp_path, arguments, message):
    good = {"train": TRAIN, "validation": VALIDATION, "profile": PROFILE, "device": "cpu"}
    with pytest.raises(ValueError, match=message):
        train_teacher(folder=tmp_path, **(good | arguments))


def test_nothing_to_open(tmp_path):
    with pytest.raises(ValueError, match="has no trained models"):
        open_teacher(tmp_path)
    with pytest.raises(ValueError, match="there is no such file"):
        open_teacher(tmp_path / "none.model")


def test_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    message = r"the teacher needs mace-torch: pip install 'entsym\[distillation\]'"
    with pytest.raises(ImportError, match=message):
        train_teacher(TRAIN, VALIDATION, tmp_path)
    (tmp_path / "teacher.model").touch()
    with pytest.raises(ImportError, match=message):
        open_teacher(tmp_path / "teacher.model")


def test_elements_that_are_not_learned(tmp_path):
    copper = labelled(2, seed=300)
    for atoms in copper:
        atoms.calc.atoms.numbers[0] = atoms.numbers[0] = 29
    with pytest.raises(ValueError, match="validation: has Cu, which no training frame has"):
        train_teacher(TRAIN, copper, tmp_path / "a", PROFILE)
    with pytest.raises(ValueError, match=r"E0s = .* Cu of the frames is missing"):
        train_teacher(copper, copper, tmp_path / "b", PROFILE)
    with pytest.raises(ValueError, match="must be a symbol and eV for each element"):
        train_teacher(TRAIN, VALIDATION, tmp_path / "c", PROFILE | {"E0s": {"Xx": 1.0}})


def test_an_element_that_was_not_learned_and_frames_without_periods(folder):
    teacher = open_teacher(folder)
    atoms = labelled(1, seed=300)[0]
    stranger = atoms.copy()
    stranger.numbers[0] = 29
    with pytest.raises(ValueError, match="atoms: Cu is not among the elements that the teacher"):
        teacher.get_potential_energy(stranger)
    # rotated, so that no axis is along a vector
    slab = atoms.copy()
    slab.rotate(37, (1, 2, 3), rotate_cell=True)
    slab.pbc = (True, True, False)
    large = slab.copy()
    large.pbc = True
    large.cell[2] *= 12
    one, other = teacher.evaluate([slab, large])
    assert one["energy"] == pytest.approx(other["energy"], abs=1e-9)
    np.testing.assert_allclose(one["stress"], other["stress"] * 12, atol=1e-9)
    assert np.abs(one["stress"]).max() > 1e-4
    slab.cell[2] = 0.0
    (flat,) = teacher.evaluate([slab])
    assert "stress" not in flat and flat["energy"] == pytest.approx(one["energy"], abs=1e-9)


def test_a_slab_is_learned_with_its_virial(tmp_path):
    slab = labelled(1, seed=300)[0]
    slab.pbc = slab.calc.atoms.pbc = (True, True, False)
    with pytest.raises(ValueError, match="E0s"):  # written before the E0s are looked at
        train_teacher([slab], [slab], tmp_path, PROFILE | {"E0s": {"Cu": 1.0}})
    written = ase.io.read(tmp_path / "train.extxyz")
    assert written.pbc.all() and written.cell.volume > 5 * slab.cell.volume
    np.testing.assert_allclose(
        written.info["REF_stress"] * written.cell.volume, slab.get_stress() * slab.cell.volume,
        rtol=1e-6,
    )  # fmt: skip

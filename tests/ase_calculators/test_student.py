# SPDX-License-Identifier: BSD-3-Clause
"""The student: a DeePMD network trained, interrupted, resumed, compressed; refused input."""

import json
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators.distillation import (
    Committee,
    check_compression,
    open_model,
    open_student,
    train_student,
    training,
)
from ase_calculators.distillation import student as student_module
from ase_calculators.distillation.training import read_profile
from ase_calculators.training_sets import write_deepmd

sys.path.insert(0, str(Path(__file__).parent))
import emt_cells

pytestmark = pytest.mark.distillation
pytest.importorskip("deepmd", reason="pip install 'entsym[distillation]'")

STEPS = 300
labelled = partial(emt_cells.labelled, strain=0.02)


def profile(**learning_rate):
    """Return the settings of a very small network."""
    return {
        "model": {
            "descriptor": {"type": "se_e2_a", "rcut": 4.5, "rcut_smth": 1.0, "sel": [60],
                           "neuron": [4, 8], "axis_neuron": 2},
            "fitting_net": {"neuron": [16, 16]},
        },
        "learning_rate": {"type": "exp", "start_lr": 5e-3, "stop_lr": 1e-4} | learning_rate,
        "loss": {"type": "ener", "start_pref_e": 1, "limit_pref_e": 1, "start_pref_f": 100,
                 "limit_pref_f": 1, "start_pref_v": 1, "limit_pref_v": 1},
        "training": {"training_data": {"batch_size": 1}, "validation_data": {"batch_size": 4},
                     "disp_freq": 20, "save_freq": 20},
    }  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """DeePMD data: standard, relabelled, validation."""
    folder = tmp_path_factory.mktemp("sets")
    for name, n, seed in (("standard", 10, 1), ("relabelled", 30, 100), ("validation", 4, 200)):
        write_deepmd(labelled(n, seed), folder / name)
    return folder


def arguments(folder, /, **changes):
    """Return the arguments of the student of these tests."""
    return {
        "sets": {folder / "standard": 3.0, folder / "relabelled": 1.0},
        "validation": folder / "validation", "profile": profile(), "steps": STEPS,
    } | changes  # fmt: skip


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_student import arguments
from ase_calculators.distillation import train_student
train_student(folder={folder!r}, **arguments(Path({sets!r})))
"""


@pytest.fixture(scope="module")
def student(sets, tmp_path_factory):
    """A student whose training was interrupted once."""
    folder = tmp_path_factory.mktemp("student")
    code = DRIVER.format(tests=str(Path(__file__).parent), folder=str(folder), sets=str(sets))
    driver = subprocess.Popen([sys.executable, "-c", code])
    limit = time.monotonic() + 300  # two cores may be busy with other things
    while not list(folder.glob("model.ckpt-*.meta")):
        assert driver.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not (folder / "frozen.pb").exists()  # killed while it was training
    return train_student(folder=folder, **arguments(sets))


def test_killed_training_went_on(student):
    assert "restart" in (student.folder / "train.log").read_text().lower()
    rows = [line.split() for line in (student.folder / "lcurve.out").read_text().splitlines()]
    steps = [int(row[0]) for row in rows if row[0] != "#"]
    assert steps[0] == 0 and steps[-1] == STEPS
    assert len(steps) <= STEPS // 20 + 3  # at most a checkpoint's steps were done twice


def test_record(student):
    record = json.loads((student.folder / "student.json").read_text())
    assert record["neighbours"][0] <= 60 and record["nearest"] > 2
    assert [part["n_frames"] for part in record["sets"]] == [10, 30]
    # 10 frames of weight 3 against 30 of weight 1
    assert record["input"]["training"]["training_data"]["sys_probs"] == [0.5, 0.5]
    assert record["deepmd-kit"] and record["seed"] == 1
    assert max(record["deviations"].values()) < 1e-4


def test_it_has_learned(student):
    """Forces are far better than zero."""
    calc, frames = open_student(student), labelled(5, seed=300)
    errors = [calc.get_property("forces", atoms) - atoms.get_forces() for atoms in frames]
    scale = np.sqrt(np.mean([atoms.get_forces() ** 2 for atoms in frames]))
    assert np.sqrt(np.mean(np.square(errors))) < 0.5 * scale


def test_a_teacher_is_known_by_its_file(student):
    models = [student.model, student.compressed]
    teachers = [Committee([open_student(path)]) for path in models]
    assert [teacher.checkpoints for teacher in teachers] == [[path] for path in models]
    assert teachers[0].hash != teachers[1].hash


def test_compressed_model_is_another_one_that_agrees(student):
    frames = labelled(3, seed=400)
    found = check_compression(student.model, student.compressed, frames)
    assert max(found) < 1e-4
    assert student.compressed.read_bytes() != student.model.read_bytes()
    assert b"TabulateFusion" in student.compressed.read_bytes()
    with pytest.raises(ValueError, match=r"deviates from .* tolerance 1e-18; compress it again"):
        check_compression(student.model, student.compressed, frames, 1e-18)
    with pytest.raises(ValueError, match="frames: there are none"):
        check_compression(student.model, student.compressed, [])


def test_again_nothing_is_done_and_others_are_refused(student, sets):
    before = {path: path.stat().st_mtime_ns for path in student.folder.glob("*.pb")}
    assert train_student(folder=student.folder, **arguments(sets)) == student
    assert {path: path.stat().st_mtime_ns for path in student.folder.glob("*.pb")} == before
    for name, changes in {
        "input": {"steps": STEPS + 1},
        "validation": {"validation": sets / "relabelled"},
        "start": {"start": student},
    }.items():
        with pytest.raises(ValueError, match=f"holds a student with another {name}"):
            train_student(folder=student.folder, **arguments(sets, **changes))


@pytest.mark.slow
def test_fine_tuning_goes_on_where_the_student_is(student, sets, tmp_path):
    changes = {"sets": sets / "standard", "start": student, "steps": 20, "compress": False,
               "profile": profile(start_lr=1e-6, stop_lr=1e-7)}  # fmt: skip
    tuned = train_student(folder=tmp_path, **arguments(sets, **changes))
    atoms = labelled(1, seed=500)[0]
    one, other = (
        open_student(path).get_property("forces", atoms) for path in (student, tuned.model)
    )
    # 20 steps of at most 1e-6: nearly the same network; a new one would differ by 100 %
    np.testing.assert_allclose(one, other, atol=0.02 * np.abs(one).max())
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("sel, said", [([10], r"\[10\]"), (10, "10")])
def test_small_sel_is_refused_with_the_numbers(sets, tmp_path, sel, said):
    """A list with a number for each element, or one number for all, as in se_atten."""
    small = profile()
    small["model"]["descriptor"]["sel"] = sel
    with pytest.raises(ValueError, match=rf"sel = {said}: atoms of the data have up to \[\d\d\]"):
        train_student(folder=tmp_path, **arguments(sets, profile=small, sets=sets / "validation"))


def test_divergence_stops_and_leaves_the_last_good_checkpoint(sets, tmp_path):
    """One frame in 150 has forces whose square overflows: training first goes well."""
    poison = labelled(1, seed=600)
    poison[0].calc.results["forces"][0] = 1e200
    write_deepmd(poison, tmp_path / "poison")
    changes = {"sets": {sets / "standard": 1.0, tmp_path / "poison": 10 / 149}, "steps": 1500}
    folder = tmp_path / "student"
    with pytest.raises(FloatingPointError, match="the loss is not finite at step") as told:
        train_student(folder=folder, **arguments(sets, **changes))
    last = Path(str(told.value).partition("last good checkpoint: ")[2].partition(";")[0])
    assert last.with_name(last.name + ".index").exists()
    rows = [line.split() for line in (folder / "lcurve.out").read_text().splitlines()]
    good = {int(row[0]): np.isfinite(float(row[2])) for row in rows if row[0] != "#"}
    number = int(last.name.rpartition("-")[2])
    assert all(finite for step, finite in good.items() if step <= number) and number in good


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": []}, "sets: there are none"),
        ({"sets": ["standard"]}, "must be a pair of a folder of DeePMD data and its weight"),
        ({"sets": {"nowhere": 1.0}}, "sets = 'nowhere': is not DeePMD data"),
        ({"validation": "nowhere"}, "validation = 'nowhere': is not DeePMD data"),
        ({"steps": 0}, "steps = 0: must be a whole number"),
        ({"seed": -1}, "seed = -1: must be a whole number from 0 to 4294967295"),
        ({"profile": {}}, "profile: 'model' is missing"),
        ({"profile": "huge"}, "profile = 'huge': must be 'small', 'paper'"),
        ({"start": "nothing.pb"}, "must be a student, its folder, a frozen model"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_input(sets, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train_student(folder=tmp_path, **arguments(sets, **changes))


def test_bad_weight_and_elements(sets, tmp_path):
    with pytest.raises(ValueError, match=r"sets: weight = 0.* must be a number above 0"):
        train_student(folder=tmp_path, **arguments(sets, sets={sets / "standard": 0.0}))
    other = profile()
    other["model"]["type_map"] = ["Cu"]
    with pytest.raises(ValueError, match=r"type_map = \['Cu'\]: Al of the data is not in it"):
        train_student(folder=tmp_path, **arguments(sets, profile=other))
    with pytest.raises(ValueError, match="there is no such file; name a frozen model"):
        open_student(tmp_path)


def with_copper(atoms, n=2):
    """Return a frame with some copper atoms and unchanged labels."""
    other = atoms.copy()
    other.numbers[:n] = 29
    other.calc = SinglePointCalculator(other, **atoms.calc.results)
    return other


def test_validation_of_what_is_not_learned_is_refused(sets, tmp_path):
    write_deepmd([with_copper(a) for a in labelled(2, 700)], tmp_path / "v", type_map=["Al", "Cu"])
    with pytest.raises(ValueError, match=r"validation: .*holds Cu, which no training frame has"):
        train_student(folder=tmp_path / "s", **arguments(sets, validation=tmp_path / "v"))
    # a type map may name more elements
    write_deepmd(labelled(2, 700), tmp_path / "more", type_map=["Cu", "Al"])
    changes = {"sets": {sets / "standard": 1.0, tmp_path / "more": 1.0}}
    with pytest.raises(ValueError, match=r"validation: .*holds Cu"):
        train_student(
            folder=tmp_path / "s", **arguments(sets, validation=tmp_path / "v", **changes)
        )


def test_mixed_sets_are_refused_by_what_cannot_read_them(sets, tmp_path):
    write_deepmd(labelled(2, 700), tmp_path / "mixed", format="deepmd/npy/mixed")
    with pytest.raises(ValueError, match=r"is deepmd/npy/mixed, .*se_e2_a cannot read.*npy'\)"):
        train_student(folder=tmp_path / "s", **arguments(sets, sets=tmp_path / "mixed"))
    other = profile()
    other["model"]["descriptor"] = {"type": "se_atten"}
    with pytest.raises(ValueError, match="write all of them in one format"):
        train_student(
            folder=tmp_path / "s", **arguments(sets, sets=tmp_path / "mixed", profile=other)
        )


@pytest.mark.slow
def test_mixed_sets_are_learned_by_se_atten(tmp_path):
    both = [with_copper(atoms, k % 5) for k, atoms in enumerate(labelled(10, 700))]
    write_deepmd(both, tmp_path / "mixed", format="deepmd/npy/mixed")
    write_deepmd(both[:2], tmp_path / "validation", format="deepmd/npy/mixed")
    attention = profile()
    attention["model"]["descriptor"] |= {"type": "se_atten", "sel": 60, "attn_layer": 0}
    trained = train_student(
        tmp_path / "mixed", tmp_path / "validation", tmp_path / "s", attention, steps=20,
        compress=False,
    )  # fmt: skip
    assert np.isfinite(open_student(trained).get_potential_energy(both[3]))


@pytest.mark.slow
def test_two_elements_and_frames_without_periods(tmp_path):
    """Two elements, a slab, a cluster and an atom: learned, compressed, with the periods kept."""
    frames = [with_copper(atoms, k % 5) for k, atoms in enumerate(labelled(6, 700))]
    for pbc in ((True, True, False), (False, False, False)):
        other = frames[1].copy()
        other.pbc = pbc
        other.calc = SinglePointCalculator(other, **frames[1].calc.results)
        frames.append(other)
    atom = Atoms("Cu", cell=[5, 5, 5])
    atom.calc = SinglePointCalculator(atom, energy=0.0, forces=np.zeros((1, 3)), stress=np.zeros(6))
    write_deepmd([*frames, atom], tmp_path / "set")
    write_deepmd(frames[5:], tmp_path / "validation")
    small = profile()
    small["model"]["descriptor"]["sel"] = [60]
    trained = train_student(
        tmp_path / "set", tmp_path / "validation", tmp_path / "s", small, steps=20
    )
    record = json.loads((tmp_path / "s" / "student.json").read_text())
    assert len(record["neighbours"]) == 2 and min(record["neighbours"]) > 10
    assert sorted(record["elements"]) == ["Al", "Cu"]
    calc, slab = open_student(trained), frames[6]
    large = slab.copy()
    large.cell[2] *= 10
    large.pbc = True
    # float64 network: equal up to the rounding of sums
    assert calc.get_potential_energy(slab) == pytest.approx(calc.get_potential_energy(large))
    stress = calc.get_stress(large) * 10  # of a tenth of the volume
    np.testing.assert_allclose(calc.get_stress(slab), stress, atol=1e-8)
    small_box = slab.copy()
    small_box.pbc = True
    assert abs(calc.get_potential_energy(small_box) - calc.get_potential_energy(slab)) > 1e-3
    cluster = frames[7].copy()
    large.cell = np.diag([60.0, 60.0, 60.0])
    assert calc.get_potential_energy(cluster) == pytest.approx(calc.get_potential_energy(large))
    stress = calc.get_stress(large) * large.cell.volume / cluster.cell.volume
    np.testing.assert_allclose(calc.get_stress(cluster), stress, atol=1e-8)
    cluster.numbers[0] = 79
    with pytest.raises(ValueError, match="atoms: Au is not among the elements that"):
        calc.get_potential_energy(cluster)


@pytest.mark.parametrize("name", ["a.pt2", "a.pte", "a.pt", "a.model"])
def test_native_code_is_opened_only_when_trusted(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"may run code .*; set trust=True if you know where"):
        open_student(tmp_path / name)
    if not name.endswith("model"):
        with pytest.raises(ValueError, match="set trust=True"):
            open_model(tmp_path / name)


@pytest.mark.parametrize("name", ["a.pb", "a.pth", "a.dp"])
def test_a_file_that_is_no_model_is_told_in_a_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"cannot be opened .*; name a frozen model$") as told:
        open_student(tmp_path / name)
    assert "\n" not in str(told.value)


def test_missing_extra_is_named(monkeypatch, sets, tmp_path):
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    message = r"the student needs deepmd-kit: pip install 'entsym\[distillation\]'"
    with pytest.raises(ImportError, match=message):
        train_student(folder=tmp_path, **arguments(sets))
    with pytest.raises(ImportError, match=message):
        open_student(tmp_path)


def test_a_model_of_deepmd_gnn_is_refused_without_it(sets, tmp_path):
    if find_spec("deepmd_gnn"):
        pytest.skip("deepmd-gnn is installed")
    mace = profile() | {"model": {"type": "mace", "r_max": 4.0, "sel": 60}}
    with pytest.raises(ImportError, match="a model of type mace needs deepmd-gnn"):
        train_student(folder=tmp_path, **arguments(sets, profile=mace))


def test_pytorch_s_checkpoints_are_kept_and_known(tmp_path):
    for step in (20, 40, 60):
        with zipfile.ZipFile(tmp_path / f"model.ckpt-{step}.pt", "w") as file:
            file.writestr("data", "weights")
    whole = (tmp_path / "model.ckpt-60.pt").read_bytes()
    (tmp_path / "model.ckpt-60.pt").write_bytes(whole[:-10])  # killed while it was written
    assert student_module._keep(tmp_path, None) == tmp_path / "model.ckpt-40.pt"
    assert student_module._keep(tmp_path, 40) == tmp_path / "model.ckpt-20.pt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.ckpt-20.pt"]


def test_paper_profiles_follow_the_model_cards():
    """Of github.com/LZYUCL/PolymorphGen-MLPKD: MLPs/DNN/Ir and MLPs/MPNN/Al."""
    dnn = read_profile("paper", "student")
    template = Path(__file__).parents[2] / "input_templates/distillation/deepmd_gnn/input.json"
    mpnn = json.loads(template.read_text())
    for card, steps, start in ((dnn, 5_000_000, 0.01), (mpnn, 1_000_000, 0.02)):
        assert card["training"]["numb_steps"] == steps
        assert card["training"]["training_data"]["batch_size"] == "auto"
        rate = {"type": "exp", "start_lr": 1e-3, "stop_lr": 3.51e-8, "decay_steps": 5000}
        assert card["learning_rate"] == rate
        assert card["loss"] == {
            "type": "ener", "start_pref_e": start, "limit_pref_e": 1, "start_pref_f": 1000,
            "limit_pref_f": 1, "start_pref_v": start, "limit_pref_v": 1,
        }  # fmt: skip
    assert dnn["model"]["descriptor"]["rcut"] == 8.0
    assert dnn["model"]["fitting_net"]["neuron"] == [240] * 5
    assert mpnn["model"]["r_max"] == 8.0 and mpnn["model"]["sel"] == "auto"
    mace = read_profile("paper", "mace")
    assert mace["r_max"] == 8.0
    assert mace["hidden_irreps"] == mpnn["model"]["hidden_irreps"] == "128x0e + 128x1o"

# SPDX-License-Identifier: BSD-3-Clause
"""Relabelling by real potentials: values, interrupted runs, processes, thresholds, refusals."""

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import EntropySymmetry, map_landscape
from ase_calculators.distillation import Committee, open_model, relabel
from ase_calculators.lammps_potential import LammpsPotential
from ase_calculators.training_sets import check_labels, labels

MENDELEV = "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"
MISHIN = "pair_style eam/alloy; pair_coeff * * NiAlH_jea.eam.alloy Al"
# extended XYZ as ASE writes it has 8 digits behind the point
DIGITS = 1e-8


def open_committee(*commands):
    """Open EAMs; a function at the top of a module can be sent to other processes."""
    return Committee([LammpsPotential(each, "Al") for each in commands])


def some_frames(n, amplitude=0.1):
    """Return rattled cells of 8 Al atoms; every fifth is shaken."""
    found = []
    for seed in range(n):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1, 1)
        atoms.rattle(amplitude * (4 if seed % 5 == 4 else 1), seed=seed)
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with 30 frames in a.extxyz."""
    folder = tmp_path_factory.mktemp("relabel")
    ase.io.write(folder / "a.extxyz", some_frames(30))
    return folder


@pytest.fixture(scope="module")
def committee():
    return open_committee(MENDELEV, MISHIN)


@pytest.fixture(scope="module")
def expected(folder, committee):
    """Files of an uninterrupted run."""
    done = relabel(folder / "a.extxyz", committee, folder / "b.extxyz", batch_size=4, max_force=4.0,
                   progress=False)  # fmt: skip
    assert done.n + done.n_rejected == 30 and 3 <= done.n_rejected <= 6
    return done.path.read_bytes(), done.rejected_path.read_bytes()


# --- the committee --------------------------------------------------------------------------------


def test_committee_is_the_mean_and_its_spread(committee):
    atoms = some_frames(1)[0]
    energies, forces, stresses = [], [], []
    for calc in committee.members:
        copy = atoms.copy()
        copy.calc = calc
        energies.append(copy.get_potential_energy())
        forces.append(copy.get_forces())
        stresses.append(copy.get_stress())
    atoms.calc = committee
    assert atoms.get_potential_energy() == pytest.approx(np.mean(energies), rel=1e-13)
    np.testing.assert_allclose(atoms.get_forces(), np.mean(forces, axis=0), atol=1e-12)
    np.testing.assert_allclose(atoms.get_stress(), np.mean(stresses, axis=0), atol=1e-14)
    # of two models: half of their difference
    spread = abs(energies[0] - energies[1]) / 2 / 8
    assert committee.results["energy_spread"] == pytest.approx(spread, rel=1e-9)
    spread = np.linalg.norm(forces[0] - forces[1], axis=1).max() / 2
    assert committee.results["forces_spread"] == pytest.approx(spread, rel=1e-9)
    assert spread > 0.01


def test_committee_of_one_has_no_spread():
    result = Committee([EMT()]).evaluate([some_frames(1)[0]])[0]
    assert sorted(result) == ["energy", "forces", "stress"]
    with pytest.raises(ValueError, match="members: there are none"):
        Committee([])


def test_hash_belongs_to_the_models(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("weights")
    other.write_text("weights")
    assert Committee([EMT()], [one]).hash == Committee([EMT()], [other]).hash
    other.write_text("weights after another epoch")
    assert Committee([EMT()], [one]).hash != Committee([EMT()], [other]).hash
    assert Committee([LennardJones()]).hash != Committee([LennardJones(sigma=2.0)]).hash
    assert open_committee(MENDELEV).hash != open_committee(MISHIN).hash


# --- what is written ------------------------------------------------------------------------------


def test_labels_are_the_teachers(folder, committee, expected):
    source = ase.io.read(folder / "a.extxyz", ":")
    kept = ase.io.read(folder / "b.extxyz", ":")
    rejected = ase.io.read(folder / "b.rejected.extxyz", ":")
    numbers = [atoms.info["teacher_frame"] for atoms in kept + rejected]
    assert sorted(numbers) == list(range(30))
    assert numbers[: len(kept)] == sorted(numbers[: len(kept)])
    for atoms in kept + rejected:
        frame = source[atoms.info["teacher_frame"]]
        result = committee.evaluate([frame])[0]
        label = labels(atoms, "teacher_")
        np.testing.assert_array_equal(atoms.positions, frame.positions)
        assert label.energy == pytest.approx(result["energy"], rel=1e-14)
        np.testing.assert_allclose(label.forces, result["forces"], atol=DIGITS)
        np.testing.assert_allclose(label.stress, result["stress"], atol=1e-15)
        for name in ("energy_spread", "forces_spread"):
            assert atoms.info[f"teacher_{name}"] == pytest.approx(result[name], rel=1e-9)
        assert atoms.info["teacher_hash"] == committee.hash
        largest = np.linalg.norm(result["forces"], axis=1).max()
        assert (largest > 4.0) == ("teacher_rejected" in atoms.info)
    assert re.fullmatch(r"force \d+\.\d+ > 4 eV/Å", rejected[0].info["teacher_rejected"])
    assert check_labels(folder / "b.extxyz", "teacher_") == len(kept)


def test_labels_of_first_principles_stay_next_to_the_teachers(tmp_path):
    atoms = some_frames(1)[0]
    atoms.info |= {"sS": -2.0, "lineage": "p3"}
    atoms.calc = SinglePointCalculator(
        atoms, energy=-1.5, forces=np.ones((8, 3)), stress=np.arange(6.0)
    )
    ase.io.write(tmp_path / "dft.extxyz", atoms)
    relabel(tmp_path / "dft.extxyz", EMT(), tmp_path / "both.extxyz", progress=False)
    both = ase.io.read(tmp_path / "both.extxyz")
    assert labels(both).energy == -1.5 and (labels(both).forces == 1.0).all()
    np.testing.assert_array_equal(labels(both).stress, np.arange(6.0))
    atoms.calc = EMT()
    assert labels(both, "teacher_").energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert both.info["lineage"] == "p3"


def test_frames_come_from_files_dumps_and_generators(tmp_path, folder, committee, expected):
    frames = ase.io.read(folder / "a.extxyz", ":")
    relabel((a for a in frames), committee, tmp_path / "g.extxyz", max_force=4.0, progress=False)
    assert (tmp_path / "g.extxyz").read_bytes() == expected[0]
    ase.io.write(tmp_path / "1.extxyz", frames[:13])
    ase.io.write(tmp_path / "2.extxyz", frames[13:])
    parts = [tmp_path / "1.extxyz", str(tmp_path / "2.extxyz")]
    relabel(parts, committee, tmp_path / "p.extxyz", max_force=4.0, progress=False)
    assert (tmp_path / "p.extxyz").read_bytes() == expected[0]
    ase.io.write(tmp_path / "a.traj", frames)
    relabel(tmp_path / "a.traj", committee, tmp_path / "t.extxyz", max_force=4.0, progress=False)
    new = ase.io.read(tmp_path / "t.extxyz", ":")
    old = ase.io.read(folder / "b.extxyz", ":")
    for one, two in zip(new, old, strict=True):
        assert one.info["teacher_energy"] == two.info["teacher_energy"]


# --- kills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [1, 57, 300, 2100, -1, -30, -500])
def test_a_frame_left_unfinished_is_cut_off(tmp_path, folder, committee, expected, where):
    kept, rejected = expected
    (tmp_path / "b.extxyz").write_bytes(kept[:where])
    if where % 2:
        (tmp_path / "b.rejected.extxyz").write_bytes(rejected[: where // 2])
    relabel(folder / "a.extxyz", committee, tmp_path / "b.extxyz", max_force=4.0, progress=False)
    assert (tmp_path / "b.extxyz").read_bytes() == kept
    assert (tmp_path / "b.rejected.extxyz").read_bytes() == rejected


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from test_relabel import MENDELEV, MISHIN, open_committee
from ase_calculators.distillation import relabel

committee = open_committee(MENDELEV, MISHIN)
slowly = committee.evaluate
committee.evaluate = lambda frames: [time.sleep(0.05 * len(frames)), slowly(frames)][1]
relabel({source!r}, committee, {target!r}, batch_size=2, max_force=4.0, progress=False)
"""


def test_kill_9_and_on(tmp_path, folder, committee, expected):
    """However often a run is killed, the files are those of an uninterrupted one."""
    target = tmp_path / "b.extxyz"
    tests = str(Path(__file__).parent)
    code = KILLED.format(tests=tests, source=str(folder / "a.extxyz"), target=str(target))
    sizes = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code])
        before = target.stat().st_size if target.exists() else 0
        while process.poll() is None:
            if target.exists() and target.stat().st_size > before:
                process.kill()
                process.wait()
            time.sleep(0.02)
        sizes.append(target.stat().st_size)
    assert 0 < sizes[0] < sizes[1] < len(expected[0])
    relabel(folder / "a.extxyz", committee, target, max_force=4.0, progress=False)
    assert target.read_bytes() == expected[0]
    assert target.with_suffix(".rejected.extxyz").read_bytes() == expected[1]


def test_nothing_is_calculated_twice(tmp_path, folder):
    counted = []

    class Counting(EMT):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            counted.append(atoms.positions[1, 0])
            super().calculate(atoms, properties, system_changes)

    for _ in range(2):
        relabel(folder / "a.extxyz", Counting(), tmp_path / "b.extxyz", progress=False)
    assert len(counted) == len(set(counted)) == 30


# --- processes ------------------------------------------------------------------------------------


def test_processes_write_the_same_file(tmp_path, folder):
    """An EAM in separate processes, opened there by a function that they can import."""
    (tmp_path / "al.mod").write_text(MENDELEV.replace("; ", "\n"))
    teacher = partial(open_model, str(tmp_path / "al.mod"), "Al")
    files = []
    for processes in (1, 2):
        path = tmp_path / f"{processes}.extxyz"
        done = relabel(folder / "a.extxyz", teacher, path, processes=processes, batch_size=3,
                       max_force=4.0, progress=False)  # fmt: skip
        files.append((done.path.read_bytes(), done.rejected_path.read_bytes()))
    assert files[0] == files[1]


def test_a_teacher_that_cannot_be_sent(tmp_path, folder, committee):
    with pytest.raises(ValueError, match=r"teacher: cannot be sent to 2 processes .*give a func"):
        relabel(folder / "a.extxyz", committee, tmp_path / "b.extxyz", processes=2)
    assert not (tmp_path / "b.extxyz").exists()


# --- thresholds -----------------------------------------------------------------------------------


def test_frames_on_which_the_committee_disagrees(tmp_path, folder, committee):
    spreads = [result["forces_spread"] for result in
               committee.evaluate(ase.io.read(folder / "a.extxyz", ":"))]  # fmt: skip
    limit = float(np.sort(spreads)[-4:-2].mean())  # between the third and the fourth
    done = relabel(folder / "a.extxyz", committee, tmp_path / "b.extxyz", max_spread=limit,
                   progress=False)  # fmt: skip
    assert (done.n, done.n_rejected, done.map_path) == (27, 3, None)
    rejected = ase.io.read(done.rejected_path, ":")
    assert {a.info["teacher_frame"] for a in rejected} == set(np.argsort(spreads)[-3:].tolist())
    assert "forces_spread" in rejected[0].info["teacher_rejected"]


def test_the_map_shows_where_they_lie(tmp_path, folder, committee):
    calc = EntropySymmetry(rmax=6.0, sigma=0.2, q6_cutoff=3.6)
    source = folder / "a.extxyz"
    table = map_landscape(source, calc, progress=False)
    frames = ase.io.read(source, ":")
    for atoms, sS, Q in zip(frames, table.sS, table.Q, strict=True):
        atoms.info |= {"sS": sS, "Q6": Q}
    one = relabel(source, committee, tmp_path / "1.extxyz", max_force=4.0, table=table,
                  progress=False)  # fmt: skip
    two = relabel(frames, committee, tmp_path / "2.extxyz", max_force=4.0, progress=False)
    assert one.map_path.read_bytes().startswith(b"\x89PNG")
    # the same figure, from the table and from the info of the frames
    assert one.map_path.read_bytes() == two.map_path.read_bytes()
    two.map_path.unlink()
    again = relabel(frames, committee, tmp_path / "2.extxyz", max_force=4.0, progress=False)
    assert one.map_path.read_bytes() == again.map_path.read_bytes()
    with pytest.raises(ValueError, match="table: has 30 rows for 3 frames"):
        relabel(frames[:3], committee, tmp_path / "3.extxyz", table=table)


class Singular(EMT):
    """EMT with the results of a diverging model."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        if atoms.positions[1, 0] < -0.5:
            self.results["forces"][3] = np.nan


def test_labels_that_are_not_finite_are_rejected(tmp_path):
    frames = some_frames(4)
    frames[2].positions[1, 0] = -0.6
    done = relabel(frames, Singular(), tmp_path / "b.extxyz", progress=False)
    assert (done.n, done.n_rejected) == (3, 1)
    rejected = ase.io.read(done.rejected_path)
    assert rejected.info["teacher_rejected"] == "labels are not finite"
    assert "teacher_forces" not in rejected.arrays and "teacher_energy" not in rejected.info


# --- what is refused ------------------------------------------------------------------------------


class WithoutStress(Calculator):
    """A teacher of energy and forces."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        copy = atoms.copy()
        copy.calc = EMT()
        self.results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}


def test_a_teacher_without_stress_is_refused_unless_told(tmp_path, folder):
    with pytest.raises(ValueError, match="frame 0: the teacher gives no stress.*stress=False"):
        relabel(folder / "a.extxyz", WithoutStress(), tmp_path / "b.extxyz", progress=False)
    relabel(folder / "a.extxyz", WithoutStress(), tmp_path / "b.extxyz", stress=False,
            progress=False)  # fmt: skip
    assert labels(ase.io.read(tmp_path / "b.extxyz"), "teacher_").stress is None


def test_a_frame_that_cannot_be_labelled_is_named(tmp_path):
    frames = some_frames(11)
    frames[6].numbers[0] = 92  # EMT has no uranium
    with pytest.raises(ValueError, match=r"frame 6: the teacher cannot label it \(\w+Error: "):
        relabel(frames, EMT(), tmp_path / "b.extxyz", batch_size=4, progress=False)
    assert len(ase.io.read(tmp_path / "b.extxyz", ":")) == 4  # the batch before
    frames[6].numbers[0] = 13
    assert relabel(frames, EMT(), tmp_path / "b.extxyz", progress=False).n == 11


def test_another_teacher_or_other_frames_are_refused(tmp_path, folder):
    source = ase.io.read(folder / "a.extxyz", ":")
    target = tmp_path / "b.extxyz"
    relabel(source[:10], EMT(), target, progress=False)
    with pytest.raises(ValueError, match="labelled by another teacher, teacher_hash"):
        relabel(source[:10], LennardJones(), target, progress=False)
    with pytest.raises(ValueError, match="holds labels of other frames, number 9 differs"):
        relabel(source[1:12], EMT(), target, progress=False)
    with pytest.raises(ValueError, match="holds labels of 10 frames and there are 4"):
        relabel(source[:4], EMT(), target, progress=False)
    strained = [atoms.copy() for atoms in source[:10]]
    strained[9].set_cell(strained[9].cell * 1.01)  # the atoms stay where they are
    with pytest.raises(ValueError, match="holds labels of other frames, number 9 differs"):
        relabel(strained, EMT(), target, progress=False)
    assert relabel(source[:12], EMT(), target, progress=False).n == 12
    with pytest.raises(ValueError, match="is not a file that relabel has written"):
        relabel(source, EMT(), folder / "a.extxyz", progress=False)
    assert len(ase.io.read(folder / "a.extxyz", ":")) == 30
    (tmp_path / "notes.extxyz").write_text("not even extended XYZ")
    with pytest.raises(ValueError, match="is not a file that relabel has written"):
        relabel(source, EMT(), tmp_path / "notes.extxyz", progress=False)
    assert (tmp_path / "notes.extxyz").read_text() == "not even extended XYZ"


def test_frames_without_a_cell_go_on(tmp_path):
    atoms = Atoms("Al4", 2.8 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
    for n in (1, 2):
        done = relabel([atoms] * n, EMT(), tmp_path / "b.extxyz", stress=False, progress=False)
        assert done.n == n


LIMITS = {
    "max_force": ({"max_force": 4.0}, {"max_force": 2}, "max_force=4.0 stress=True"),
    "none before": ({}, {"max_force": 4.0}, "max_force=None stress=True"),
    "max_spread": ({"max_spread": 0.1}, {}, "max_spread=0.1 max_force=None stress=True"),
    "stress": ({"stress": False}, {}, "max_force=None stress=False"),
}


@pytest.mark.parametrize("first, then, said", LIMITS.values(), ids=LIMITS)
def test_other_limits_are_refused(tmp_path, committee, first, then, said):
    """Frames on disk were checked against the limits of their run, and are not checked again."""
    frames, target = some_frames(5), tmp_path / "b.extxyz"
    relabel(frames[:4], committee, target, **first, progress=False)
    before = target.read_bytes()
    with pytest.raises(
        ValueError, match=rf"labelled with .*{said}, requested is .*; use another file"
    ):
        relabel(frames, committee, target, **then, progress=False)
    assert target.read_bytes() == before
    done = relabel(frames, committee, target, **first, progress=False)
    assert done.n + done.n_rejected == 5


WRONG = {
    "processes": ({"processes": 0}, "processes = 0: must be a whole number"),
    "batch_size": ({"batch_size": 1.5}, "batch_size = 1.5: must be a whole number"),
    "max_force": ({"max_force": -1}, "max_force = -1: must be a number above 0"),
    "max_spread": ({"max_spread": 0.1}, "max_spread = 0.1: one model has no spread"),
}


@pytest.mark.parametrize("options, message", WRONG.values(), ids=WRONG)
def test_wrong_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        relabel(some_frames(1), EMT(), tmp_path / "b.extxyz", **options)
    assert not list(tmp_path.iterdir())


def test_wrong_frames_and_paths(tmp_path, folder):
    source = folder / "a.extxyz"
    with pytest.raises(ValueError, match=r"path = .*must end in \.extxyz"):
        relabel(source, EMT(), tmp_path / "b.xyz")
    with pytest.raises(ValueError, match="is a file of the frames"):
        relabel(source, EMT(), source)
    with pytest.raises(ValueError, match="frames: there are none"):
        relabel([], EMT(), tmp_path / "b.extxyz", progress=False)
    with pytest.raises(TypeError, match="not one Atoms"):
        relabel(Atoms("Al"), EMT(), tmp_path / "b.extxyz")
    with pytest.raises(ValueError, match="teacher: must be an ASE calculator"):
        relabel(source, "teacher", tmp_path / "b.extxyz")
    with pytest.raises(FileNotFoundError, match="no file"):
        relabel(tmp_path / "nowhere.extxyz", EMT(), tmp_path / "b.extxyz")
    assert not list(tmp_path.iterdir())


# --- models by name -------------------------------------------------------------------------------


def test_models_by_name(tmp_path):
    (tmp_path / "al.mod").write_text(MENDELEV.replace("; ", "\n") + "\n")
    atoms = some_frames(1)[0]
    atoms.calc = open_model(tmp_path / "al.mod", "Al")
    energy = atoms.get_potential_energy()
    atoms.calc = LammpsPotential(MENDELEV, "Al")
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert isinstance(open_model("ase.calculators.emt:EMT"), EMT)
    for name, message in (
        ("nowhere", "there is no such file or folder"),
        ("no.such:Thing", "No module named 'no'"),
        ("ase.calculators.emt:Emt", "has no attribute 'Emt'"),
        (tmp_path / "al.mod", "element = None"),
    ):
        with pytest.raises(ValueError, match=message):
            open_model(name)


def test_several_models_of_any_kind_are_one_committee(tmp_path):
    (tmp_path / "al.mod").write_text(MENDELEV.replace("; ", "\n") + "\n")
    names = [tmp_path / "al.mod", "ase.calculators.emt:EMT"]
    assert isinstance(open_model(names[1:]), EMT)
    atoms, other = some_frames(2)
    members = [open_model(name, "Al") for name in names]
    both = open_model(names, "Al")
    energies = [member.get_potential_energy(atoms) for member in members]
    found = both.evaluate([atoms, other])
    assert found[0]["energy"] == pytest.approx(np.mean(energies), rel=1e-12)
    assert found[0]["energy_spread"] == pytest.approx(np.std(energies) / len(atoms))
    # the model with a file and the one without both count in the hash
    assert len({both.hash, *(Committee([member]).hash for member in members)}) == 3
    nested = Committee([both, EMT()])
    forces = 0.5 * (found[0]["forces"] + members[1].get_forces(atoms))
    assert nested.evaluate([atoms])[0]["forces"] == pytest.approx(forces, abs=1e-12)
    done = relabel([atoms, other], partial(open_model, names, "Al"), tmp_path / "b.extxyz")
    assert done.n == 2

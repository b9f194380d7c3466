# SPDX-License-Identifier: BSD-3-Clause
"""Linear students: what they learn, what LAMMPS then calculates with them, and refused input."""

import json
import shutil
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators.distillation import open_model, open_student, train_student
from ase_calculators.distillation import student as student_module
from ase_calculators.distillation.linear_students import (
    FILES,
    KINDS,
    Equations,
    checked_settings,
    lammps_lines,
    potential_lines,
)
from ase_calculators.distillation.training import read_profile
from ase_calculators.lammps_potential import LammpsPotential

sys.path.insert(0, str(Path(__file__).parent))
import emt_cells

POD = {"rin": 1.0, "rcut": 4.5, "twobody_number_radial_basis_functions": 5,
       "threebody_number_radial_basis_functions": 3, "threebody_angular_degree": 2}  # fmt: skip
SNAP = {"rcutfac": 4.5, "twojmax": 4}
WEIGHTS = {"energy": 100.0, "forces": 1.0, "virial": 10.0}


def settings(kind, **changes):
    descriptors = POD if kind == "pod" else SNAP | {"twojmax": 2 if kind == "qsnap" else 4}
    return {"descriptors": descriptors, "weights": WEIGHTS, "ridge": 1e-12} | changes


def by_emt(n, seed, symbols="AlCu"):
    """Return triclinic rattled cells of two elements with EMT's labels."""
    from ase.calculators.emt import EMT

    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Al", "fcc", a=rng.uniform(3.7, 4.1), cubic=True) * (2, 1, 1)
        atoms.symbols[:] = rng.permutation([symbols[:2]] * 4 + [symbols[2:] or symbols[:2]] * 4)
        atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
        atoms.calc = EMT()
        known = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                 "stress": atoms.get_stress()}  # fmt: skip
        atoms.calc = SinglePointCalculator(atoms, **known)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def frames():
    return by_emt(40, 1)


@pytest.fixture(scope="module", params=KINDS)
def student(request, frames, tmp_path_factory):
    return train_student(
        frames[:32], frames[32:], tmp_path_factory.mktemp(request.param) / "student",
        settings(request.param), kind=request.param,
    )  # fmt: skip


def strange_cells():
    """Return cells that are skewed, small, or not periodic along some direction."""
    skewed, slab, cluster = (by_emt(1, seed)[0].copy() for seed in (5, 6, 7))
    skewed.set_cell(skewed.cell @ [[1, 0, 0], [0.9, 1, 0], [-0.7, 0.6, 1]])
    slab.pbc = (True, True, False)
    cluster.pbc = False
    turned = by_emt(1, 8)[0].copy()
    turned.rotate(70, (1, 2, 3), rotate_cell=True)
    return [skewed, slab, cluster, turned]


@pytest.mark.parametrize("repulsion", [None, [1.5, 2.6]], ids=["bare", "zbl"])
@pytest.mark.parametrize("kind", KINDS)
def test_equations_are_what_the_pair_style_calculates(kind, repulsion, tmp_path):
    changes = {"repulsion": repulsion} if repulsion else {}
    equations = Equations(kind, ["Al", "Cu"], settings(kind, **changes))
    cells = strange_cells()
    for atoms in cells:
        known = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}
        atoms.calc = SinglePointCalculator(atoms, **known)
    equations.extend(cells)
    rng = np.random.default_rng(2)
    scale = np.sqrt(np.mean(equations.matrices[0] ** 2, axis=0)) + 1e-6
    coefficients = rng.normal(size=len(scale)) / scale
    files = equations.write(coefficients, tmp_path)
    lines = potential_lines(kind, equations.settings, ["Al", "Cu"], files)
    calc = LammpsPotential(lines, ["Al", "Cu"])
    for atoms, matrix, target in zip(cells, equations.matrices, equations.targets, strict=True):
        ours = matrix @ coefficients - target  # labels of zero: the target is minus the repulsion
        atoms.calc = calc
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        assert ours[0] * len(atoms) == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(ours[7:].reshape(-1, 3), forces, atol=1e-9)
        # LAMMPS's unit of pressure is 1e-7 off; differences of POD's strain add as much
        virial = -atoms.get_stress() * atoms.get_volume() / len(atoms)
        assert np.abs(virial).max() > 1
        np.testing.assert_allclose(ours[1:7], virial, atol=1e-6 * np.abs(virial).max())


def test_published_potential_is_found_again(tmp_path):
    """Labels by SNAP of Zuo et al. (doi:10.1021/acs.jpca.9b08723) give its coefficients."""
    given = "pair_style snap\npair_coeff * * Mo_Zuo_JPCA2020.snapcoeff Mo_Zuo_JPCA2020.snapparam Mo"
    teacher = LammpsPotential(given, "Mo")
    known = next(p for p in teacher.files() if p.suffix == ".snapcoeff").read_text()
    numbers = [float(line) for line in known.split("\n")
               if line and not line.startswith("#") and len(line.split()) == 1]  # fmt: skip
    text = next(p for p in teacher.files() if p.suffix == ".snapparam").read_text()
    pairs = dict(line.split()[:2] for line in text.split("\n") if line and line[0].islower())
    descriptors = {
        name: float(pairs[name]) if name == "rcutfac" else int(float(pairs[name]))
        for name in ("rcutfac", "twojmax", "bzeroflag")
    } | {"rfac0": float(pairs["rfac0"])}  # fmt: skip
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(25):
        atoms = bulk("Mo", "bcc", a=rng.uniform(2.9, 3.4), cubic=True) * (2, 2, 1)
        atoms.positions += rng.normal(0, 0.2, atoms.positions.shape)
        atoms.calc = teacher
        label = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                 "stress": atoms.get_stress()}  # fmt: skip
        atoms.calc = SinglePointCalculator(atoms, **label)
        frames.append(atoms)
    equations = Equations("snap", ["Mo"], settings("snap", descriptors=descriptors, ridge=0.0))
    equations.extend(frames)
    found = equations.fit()
    assert len(found) == len(numbers) > 10
    np.testing.assert_allclose(found, numbers, rtol=1e-3, atol=1e-4)
    assert equations.rms(found, range(25))["forces"] < 1e-3  # meV/Å, of forces of 2 eV/Å


def test_it_learns_and_its_forces_are_derivatives(student, frames):
    record = json.loads((student.folder / "student.json").read_text())
    assert record["elements"] == ["Al", "Cu"] or record["elements"] == ["Cu", "Al"]
    spread = 1e3 * np.std([a.get_potential_energy() / len(a) for a in frames])
    forces = 1e3 * np.sqrt(np.mean([a.get_forces() ** 2 for a in frames]))
    assert record["errors"]["validation"]["energy"] < 0.4 * spread
    assert record["errors"]["validation"]["forces"] < 0.6 * forces
    calc = open_student(student)
    atoms = frames[33].copy()
    atoms.calc = calc
    known = atoms.get_forces()
    assert np.abs(known).max() > 0.5
    errors = []
    for step in (2e-3, 1e-3):
        numeric = np.zeros((2, 3))
        for atom in range(2):
            for axis in range(3):
                energies = []
                for sign in (1, -1):
                    moved = atoms.copy()
                    moved.positions[atom, axis] += sign * step
                    moved.calc = calc
                    energies.append(moved.get_potential_energy())
                numeric[atom, axis] = (energies[1] - energies[0]) / (2 * step)
        errors.append(np.abs(numeric - known[:2]).max())
    assert errors[1] < 1e-4 and errors[1] < 0.4 * errors[0] + 1e-7  # fourfold less at half the step


def test_errors_of_the_record_are_those_of_the_calculator(student, frames):
    record = json.loads((student.folder / "student.json").read_text())
    calc = open_student(student.folder)
    differences = []
    for atoms in frames[32:]:
        copy = atoms.copy()
        copy.calc = calc
        differences.append(copy.get_forces() - atoms.get_forces())
    rms = 1e3 * np.sqrt(np.mean(np.square(differences)))
    assert rms == pytest.approx(record["errors"]["validation"]["forces"], rel=1e-6)


def test_all_ways_to_open_it_and_lines_for_lammps(student, frames):
    energies = []
    for calc in (open_student(student), open_student(student.folder), open_model(student.folder),
                 LammpsPotential(lammps_lines(student.folder), "Al")):  # fmt: skip
        atoms = frames[0].copy()
        atoms.calc = calc
        energies.append(atoms.get_potential_energy())
        assert len(calc.files()) == 2
    assert np.ptp(energies) == 0


def test_isolated_atoms_and_pairs_do_not_crash_lammps(student):
    kind = json.loads((student.folder / "student.json").read_text())["kind"]
    for n in (1, 2):
        atoms = Atoms(["Al", "Cu"][:n], [[0, 0, 0], [0, 0, 2.6]][:n], cell=[30] * 3, pbc=True)
        atoms.calc = open_student(student)
        if kind == "pod":
            with pytest.raises(ValueError, match="no atom has two neighbours within .* Å"):
                atoms.get_potential_energy()
        else:
            assert np.isfinite(atoms.get_potential_energy())


def test_moved_folder_works_and_changed_files_do_not(student, tmp_path):
    moved = shutil.copytree(student.folder, tmp_path / "moved, with spaces")
    assert len(open_student(moved).files()) == 2
    path = moved / FILES[json.loads((moved / "student.json").read_text())["kind"]][1]
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(ValueError, match="is not what student.json records"):
        open_student(moved)
    path.unlink()
    with pytest.raises(ValueError, match="holds no complete linear student"):
        open_student(moved)
    (moved / "student.json").write_text('{"elements": ["Al"]}')
    with pytest.raises(ValueError, match="a network: use pair_style deepmd"):
        lammps_lines(moved)


def test_same_call_returns_it_and_another_is_refused(student, frames, monkeypatch):
    kind = json.loads((student.folder / "student.json").read_text())["kind"]
    monkeypatch.setattr(student_module, "Equations", None)  # nothing is calculated again
    again = train_student(frames[:32], frames[32:], student.folder, settings(kind), kind=kind)
    assert again == student
    for change, name in (
        ({"sets": frames[:31]}, "sets"), ({"validation": frames[33:]}, "validation"),
        ({"profile": settings(kind, ridge=1e-3)}, "profile"), ({"seed": 2}, "seed"),
        ({"kind": "pod" if kind != "pod" else "snap",
          "profile": settings("pod" if kind != "pod" else "snap")}, "kind"),
    ):  # fmt: skip
        arguments = {"sets": frames[:32], "validation": frames[32:], "profile": settings(kind),
                     "kind": kind} | change  # fmt: skip
        with pytest.raises(ValueError, match=f"holds a student with another {name}"):
            train_student(folder=student.folder, **arguments)


def test_file_that_is_written_is_whole_or_absent(frames, tmp_path, monkeypatch):
    arguments = {"validation": frames[:2], "profile": settings("snap"), "kind": "snap"}
    monkeypatch.setattr(student_module, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_student(frames[:4], folder=tmp_path / "s", **arguments)
    monkeypatch.undo()
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == sorted(FILES["snap"])
    train_student(frames[:4], folder=tmp_path / "s", **arguments)
    open_student(tmp_path / "s")


def test_weights_of_sets_and_of_repeated_frames():
    """A frame of weight 2 counts as the frame twice; a committee draws frames several times."""
    frames = by_emt(6, 11)
    one, other = (Equations("snap", ["Al", "Cu"], settings("snap", ridge=0)) for _ in range(2))
    one.extend(frames[:3], weight=2.0)
    one.extend(frames[3:])
    other.extend(frames)
    twice = other.fit([0, 0, 1, 1, 2, 2, 3, 4, 5])
    np.testing.assert_allclose(one.matrices[0] @ one.fit(), one.matrices[0] @ twice, atol=1e-8)
    assert np.abs(one.matrices[0] @ one.fit() - one.matrices[0] @ other.fit()).max() > 1e-4


def test_frames_without_stress_and_teachers_labels(tmp_path):
    frames = by_emt(4, 12)
    for atoms in frames:
        atoms.info["teacher_energy"] = atoms.get_potential_energy() + 1
        atoms.arrays["teacher_forces"] = atoms.get_forces()
        atoms.calc = None
    ase.io.write(tmp_path / "frames.extxyz", frames)
    student = train_student(
        {tmp_path / "frames.extxyz": 1.0}, tmp_path / "frames.extxyz", tmp_path / "s",
        settings("snap"), kind="snap", prefix="teacher_",
    )  # fmt: skip
    record = json.loads((student.folder / "student.json").read_text())
    assert record["errors"]["training"]["virial"] is None
    assert record["errors"]["training"]["energy"] < 1


@pytest.mark.parametrize("kind", KINDS)
def test_profiles_of_the_package(kind):
    found = checked_settings(kind, read_profile("small", kind))
    assert found["weights"]["energy"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "gap"}, "kind = 'gap': must be one of se_e2_a, snap, qsnap, pod"),
        ({"start": "model"}, "start = 'model': a student of kind 'snap' has none"),
        ({"steps": 100}, "steps = 100: a student of kind 'snap' has none"),
        ({"seed": -1}, "seed"),
        ({"sets": []}, "sets: there are none"),
        ({"sets": 3}, "sets = 3: must be labelled frames"),
        ({"validation": []}, "validation: there are no frames"),
        ({"sets": [(by_emt(1, 1), 0.0)]}, "weight = 0.0: must be a number above 0"),
        ({"validation": by_emt(1, 1, "AlAu")}, "validation: holds Au, which no training frame"),
        ({"sets": [bulk("Al")]}, "energy is missing"),
        ({"profile": {"descriptors": SNAP}}, "energy = None: must be a number of 0 or more"),
        ({"profile": settings("snap", ridge=-1)}, "ridge = -1: must be a number of 0 or more"),
        ({"profile": settings("snap", ridge=float("nan"))}, "ridge = nan"),
        ({"profile": settings("snap", rigde=1)}, "profile: rigde is unknown; known are"),
        ({"profile": settings("pod")}, "descriptors: rcut, rin, .* is unknown"),
        ({"profile": settings("snap", descriptors=3)}, "descriptors = 3: must be settings by name"),
        ({"profile": settings("snap", descriptors={"twojmax": 4})}, "rcutfac = None"),
        ({"profile": settings("snap", descriptors=SNAP | {"rcutfac": 40})}, "rcutfac = 40"),
        ({"profile": settings("snap", weights=dict.fromkeys(WEIGHTS, 0))}, "are both 0"),
        ({"profile": settings("snap", repulsion=[2.0, 1.0])}, "inner and the outer cutoff"),
        ({"profile": settings("snap", repulsion=2.0)}, "inner and the outer cutoff"),
    ],
)  # fmt: skip
def test_refused(changes, message, tmp_path):
    arguments = {"sets": by_emt(2, 1), "validation": by_emt(1, 2), "profile": settings("snap"),
                 "kind": "snap"} | changes  # fmt: skip
    with pytest.raises(ValueError, match=message):
        train_student(folder=tmp_path / "s", **arguments)
    assert not (tmp_path / "s").exists()


def test_what_lammps_refuses_is_told_with_the_frame(tmp_path):
    bad = settings("snap", descriptors=SNAP | {"twojmax": 2.5})
    with pytest.raises(RuntimeError, match="frame 0: LAMMPS cannot calculate .* snap: ERROR"):
        train_student(by_emt(2, 1), by_emt(1, 2), tmp_path / "s", bad, kind="snap")


def test_fit_without_frames_and_foreign_elements():
    equations = Equations("snap", ["Al"], settings("snap"))
    with pytest.raises(ValueError, match="there are none"):
        equations.fit()
    with pytest.raises(ValueError, match="frame 0: Cu is not among the elements"):
        equations.extend([Atoms("Cu")])


@pytest.mark.distillation
def test_deepmd_data_gives_the_same_student(tmp_path):
    pytest.importorskip("dpdata", reason="pip install 'entsym[distillation]'")
    from ase_calculators.training_sets import write_deepmd

    frames = emt_cells.labelled(6, 1, strain=0.02)
    write_deepmd(frames, tmp_path / "data")
    found = []
    for name, given in (("a", frames), ("b", {tmp_path / "data": 1.0})):
        student = train_student(given, frames[:1], tmp_path / name, settings("snap"), kind="snap")
        record = json.loads((student.folder / "student.json").read_text())
        found.append(record["errors"]["training"])
    assert found[0] == pytest.approx(found[1], rel=1e-3)

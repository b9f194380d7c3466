# SPDX-License-Identifier: BSD-3-Clause
"""Labels of frames, shifts of their reference, and DeePMD data written frame by frame."""

import json
import signal
import subprocess
import sys
import weakref

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators.frame_source import read_frames, stored_energy
from ase_calculators.training_sets import (
    check_labels,
    labels,
    reference_shift,
    virial,
    write_deepmd,
)

dpdata = pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")


def labelled(n, name="Al", seed=0, stress=True, settings="one", repeat=(1, 1, 1)):
    """Yield rattled and strained cells with EMT's labels."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        atoms = bulk(name, cubic=True) * repeat
        strain = np.eye(3) + rng.uniform(-0.06, 0.06, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, seed=int(rng.integers(1 << 30)))
        if name == "Al" and number % 3 == 2:
            atoms.numbers[[1, 2]] = 29  # Cu, between the others
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        if stress:
            results["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info["settings"] = settings
        yield atoms


@pytest.fixture(scope="module")
def frames():
    return list(labelled(12))


def as_teacher(atoms):
    """Return the frame with its labels as a teacher's."""
    found = labels(atoms)
    copy = atoms.copy()
    copy.info["teacher_energy"] = found.energy
    copy.info["teacher_stress"] = found.stress
    copy.arrays["teacher_forces"] = found.forces
    copy.info["teacher_hash"] = "abc"
    return copy


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["f.extxyz", "f.traj", "f.db", "f.json"])
def test_the_energy_is_the_one_of_the_forces(frames, tmp_path, name):
    """VASP and GPAW also have an energy extrapolated to zero smearing."""
    atoms = frames[0].copy()
    atoms.calc = SinglePointCalculator(
        atoms, energy=-14.9, free_energy=-15.0, forces=np.zeros((4, 3))
    )
    ase.io.write(tmp_path / name, atoms)
    (found,) = read_frames(tmp_path / name)
    assert labels(found).energy == stored_energy(found) == -15.0


def test_the_energy_of_a_vasprun(tmp_path):
    """The part of VASP's output that ASE reads."""

    def rows(x):
        return "".join("<v> {} {} {} </v>\n".format(*row) for row in x)

    cell, n = 4.05 * np.eye(3), 1
    structure = (
        f'<structure{{}}><crystal><varray name="basis">{rows(cell)}</varray></crystal>'
        f'<varray name="positions">{rows(np.zeros((n, 3)))}</varray></structure>'
    )
    energy = '<energy><i name="e_fr_energy"> -15.00 </i><i name="e_wo_entrp"> -14.80 </i>'
    energy += '<i name="e_0_energy"> -14.90 </i></energy>'
    (tmp_path / "vasprun.xml").write_text(
        '<?xml version="1.0"?><modeling><kpoints><varray name="kpointlist"><v> 0 0 0 </v></varray>'
        '<varray name="weights"><v> 1 </v></varray></kpoints><atominfo><array name="atoms"><set>'
        "<rc><c>Al</c><c>1</c></rc></set></array></atominfo>"
        + structure.format(' name="initialpos"') + f"<calculation><scstep>{energy}</scstep>"
        + structure.format("") + f'<varray name="forces">{rows(np.zeros((n, 3)))}</varray>'
        + f'<varray name="stress">{rows(np.eye(3))}</varray>{energy}</calculation></modeling>'
    )  # fmt: skip
    (found,) = read_frames(tmp_path / "vasprun.xml")
    assert labels(found).energy == stored_energy(found) == -15.0
    # VASP's stress is in kB (0.1 GPa), above 0 under compression
    assert labels(found).stress[:3] == pytest.approx(-0.1 / 160.21766208, rel=1e-5)


@pytest.mark.parametrize(
    ("line", "column", "prefix"),
    [("energy=-1.5", "forces", ""), ("free_energy=-1.5 energy=-1.4", "force", ""),
     ("dft_energy=-1.5", "dft_force", ""), ("REF_energy=-1.5", "REF_forces", ""),
     ("Energy=-1.5", "Forces", ""), ("Timestep=3 Potential_energy=-1.5", "forces", ""),
     ("REF_energy=-1.5 energy=-9", "REF_forces", "REF_"),
     ("free_energy=-1.5 REF_energy=-1.5 energy=-1.4", "forces", "")],
)  # fmt: skip
@pytest.mark.parametrize("numbers", [3, 6, 9])
@pytest.mark.parametrize("name", ["virial", "stress"])
def test_dialects_of_labels(tmp_path, line, column, prefix, numbers, name):
    """In the names of NEP, GAP, MACE and LAMMPS; virial = -volume * stress, above 0 compressed."""
    stress = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]]) / 64
    value = stress if name == "stress" else -64 * stress
    shape = {3: value.tolist(), 6: value.ravel()[[0, 4, 8, 5, 2, 1]], 9: value.ravel()}[numbers]
    text = str(shape) if numbers == 3 else " ".join(map(repr, map(float, shape)))
    (tmp_path / "f.xyz").write_text(
        f'1\nlattice="4 0 0 0 4 0 0 0 4" {line} {prefix}{name}="{text}" '
        f"properties=species:S:1:pos:R:3:{column}:R:3\nAl 0 0 0 0.25 0 -0.5\n"
    ) if numbers > 3 else ase.io.write(
        tmp_path / "f.xyz", _with_info(line, column, {f"{prefix}{name}": value}), format="extxyz"
    )
    (atoms,) = read_frames(tmp_path / "f.xyz")
    found = labels(atoms, prefix)
    assert found.energy == -1.5 and found.forces.tolist() == [[0.25, 0.0, -0.5]]
    np.testing.assert_allclose(found.stress, stress.ravel()[[0, 4, 8, 5, 2, 1]], rtol=1e-7)
    assert check_labels(tmp_path / "f.xyz", prefix) == 1


def _with_info(line, column, more):
    atoms = Atoms("Al", cell=[4, 4, 4], pbc=True)
    atoms.info = {k: float(v) for k, v in (word.split("=") for word in line.split())} | more
    atoms.arrays[column] = np.array([[0.25, 0.0, -0.5]])
    return atoms


@pytest.mark.parametrize(
    ("change", "message"),
    [({"virial": -65 * np.eye(3), "stress": np.eye(3)}, "stress and virial are both there and"),
     ({"virial": "one"}, "virial = 'one': must be numbers"),
     ({"virial": np.ones(5)}, "virial has 5 numbers; must have 9 or 6"),
     ({"virial": np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0.0]])}, "virial is not symmetric"),
     ({"REF_energy": -3.0}, "energy and REF_energy are both there and differ"),
     ({"free_energy": -1.6, "dft_energy": -3.0}, "dft_energy and free_energy are both there and"),
     ({"energy": True}, "energy = 'True': must be a number")],
    ids=["both", "word", "five", "skew", "energies", "free", "flag"],
)  # fmt: skip
def test_labels_that_are_refused(change, message):
    atoms = _with_info("energy=-1.5", "forces", change)
    with pytest.raises(ValueError, match=message):
        labels(atoms)
    atoms.info = {"energy": -1.5, "virial": -64 * np.eye(3), "stress": 1.0001 * np.eye(3)}
    assert labels(atoms).stress == pytest.approx([1, 1, 1, 0, 0, 0], rel=1e-3)


def test_frames_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "f.extxyz").write_text("1\n\nAl 0 0 0\n1\n\nZz 0 0 0\n")
    with pytest.raises(ValueError, match=r"f.extxyz: frame 1 cannot be read: 'Zz' is not a chem"):
        check_labels(tmp_path / "f.extxyz")
    (tmp_path / "f.traj").write_bytes(b"- of Ulm" + bytes(40))
    with pytest.raises(ValueError, match=r"f.traj: frame 0 cannot be read: .*; fix or remove it"):
        check_labels(tmp_path / "f.traj")
    (tmp_path / "words.txt").write_text("to be or not to be")
    with pytest.raises(ValueError, match="words.txt: frame 0 cannot be read: does not have"):
        check_labels(tmp_path / "words.txt")


def test_labels_of_a_result_and_of_a_teacher(frames):
    for atoms in frames[:3]:
        found, teacher = labels(atoms), labels(as_teacher(atoms), "teacher_")
        assert found.energy == teacher.energy == atoms.get_potential_energy()
        np.testing.assert_array_equal(found.forces, atoms.get_forces())
        np.testing.assert_array_equal(found.stress, atoms.get_stress())
        np.testing.assert_array_equal(teacher.stress, found.stress)


def test_labels_are_never_calculated(frames):
    bare = frames[0].copy()
    bare.calc = EMT()
    with pytest.raises(ValueError, match=r"^energy is missing$"):
        labels(bare)
    bare.get_potential_energy()
    assert labels(bare).energy == frames[0].get_potential_energy()
    bare.positions[0] += 0.1  # what was calculated belongs to other positions
    with pytest.raises(ValueError, match="energy is missing"):
        labels(bare)


def test_labels_that_are_not_numbers(frames):
    atoms = as_teacher(frames[0])
    atoms.arrays["teacher_forces"][1, 1] = np.nan
    with pytest.raises(ValueError, match="teacher_forces is not finite"):
        labels(atoms, "teacher_")
    del atoms.arrays["teacher_forces"]
    with pytest.raises(ValueError, match="teacher_forces is missing"):
        labels(atoms, "teacher_")


def test_a_stress_of_nine_numbers_is_one_of_six(frames):
    atoms = as_teacher(frames[0])
    atoms.info["teacher_stress"] = frames[0].get_stress(voigt=False)
    np.testing.assert_array_equal(labels(atoms, "teacher_").stress, frames[0].get_stress())


# --- what is refused ------------------------------------------------------------------------------


def without(atoms, *names):
    copy = atoms.copy()
    results = {k: v for k, v in atoms.calc.results.items() if k not in names}
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def flat(atoms):
    copy = as_teacher(atoms)
    copy.cell[2] = 0.0
    return copy


def test_missing_labels_name_the_frames(frames):
    mixed = [without(a, "forces") if k in (2, 7) else a for k, a in enumerate(frames)]
    with pytest.raises(ValueError, match=r"forces is missing \(frames 2, 7\); label them or leave"):
        check_labels(mixed)
    many = [without(a, "energy") for a in frames]
    with pytest.raises(ValueError, match=r"frames 0, 1, 2, 3, 4, 5, 6, 7 and 4 more\)"):
        check_labels(many)


def test_other_faults(frames):
    with pytest.raises(ValueError, match=r"stress is missing, which frame 0 has \(frame 4\)"):
        check_labels([*frames[:4], without(frames[4], "stress")])
    with pytest.raises(ValueError, match=r"stress is there, which frame 0 lacks \(frame 1\)"):
        check_labels([without(frames[4], "stress"), frames[1]])
    with pytest.raises(ValueError, match=r"Cu is not in type_map \(frames 2, 5, 8, 11\)"):
        check_labels(frames, type_map=["Al"])
    with pytest.raises(ValueError, match=r"three cell vectors are needed.*frame 0"):
        check_labels([flat(frames[0])], "teacher_")
    with pytest.raises(ValueError, match="type_map: 'Xy' is not a chemical element"):
        check_labels(frames, type_map=["Al", "Xy"])
    with pytest.raises(ValueError, match="frames: there are none"):
        check_labels([])
    with pytest.raises(TypeError, match="not one Atoms"):
        check_labels(frames[0])
    with pytest.raises(FileNotFoundError, match=r"no file 'nowhere.xyz'"):
        check_labels("nowhere.xyz")
    assert check_labels(frames, type_map=["Cu", "Al"]) == 12


def test_mixed_settings_are_refused_unless_told(frames):
    other = list(labelled(6, seed=3, settings="another"))
    both = [*frames, *other]
    with pytest.raises(ValueError, match=r"of 2 settings, one \(12 frames\), another \(6 frames\)"):
        check_labels(both)
    assert check_labels(both, mixed=True) == 18


# --- energies of another reference ----------------------------------------------------------------


def shifted(frames, **shifts):
    """Return frames whose energies have a shift for each atom of an element."""
    found = []
    for atoms in frames:
        copy = atoms.copy()
        energy = labels(atoms).energy + sum(shifts.get(s, 0.0) for s in atoms.symbols)
        copy.calc = SinglePointCalculator(copy, **(atoms.calc.results | {"energy": energy}))
        found.append(copy)
    return found


def test_a_shift_is_found_element_by_element():
    one, other = list(labelled(60, seed=1)), list(labelled(60, seed=2))
    none = reference_shift(one, other)
    # the pair sums leave some 17 meV/atom of EMT's energies, which spread over 0.34 eV/atom
    assert not none.significant and none.uncertainty < 0.08
    assert np.ptp([labels(a).energy / len(a) for a in one]) > 5 * none.uncertainty
    found = reference_shift(one, shifted(other, Al=0.3, Cu=-1.5))
    # a sixth of the atoms is Cu: in the mean over all frames the two cancel
    assert found.significant
    assert found.energies["Al"] == pytest.approx(0.3, abs=none.uncertainty)
    assert found.energies["Cu"] == pytest.approx(-1.5, abs=3 * none.uncertainty)
    assert "Al +0." in str(found) and "Cu -1." in str(found)


def test_other_structures_are_no_shift():
    """Compressed against expanded cells: means differ by more than the shift."""
    one = list(labelled(80, seed=1))
    volume = np.median([a.get_volume() for a in one])
    dense = [a for a in one if a.get_volume() < volume]
    loose = [a for a in one if a.get_volume() >= volume]
    assert not reference_shift(dense, loose).significant
    assert reference_shift(dense, shifted(loose, Al=0.3, Cu=0.3)).significant


def test_shift_between_first_principles_and_teacher():
    one = list(labelled(30, seed=1))
    other = [as_teacher(a) for a in shifted(labelled(30, seed=2), Al=10.0, Cu=10.0)]
    found = reference_shift(one, other, "", "teacher_")
    assert found.significant and found.rms == pytest.approx(10.0, abs=0.1)


def test_too_few_frames_say_nothing(frames):
    found = reference_shift(frames[:1], frames[1:3])
    assert not found.significant and found.uncertainty == np.inf


def test_a_set_of_two_references_is_refused_though_mixed_settings_are_not():
    one = list(labelled(40, seed=1))
    other = shifted(labelled(40, seed=2, settings="another"), Al=0.5, Cu=0.5)
    with pytest.raises(ValueError, match=r"energies of another lie Al \+0\.\d+ eV.*reference"):
        check_labels([*one, *other], mixed=True)


# --- DeePMD sets ----------------------------------------------------------------------------------


def load(folder, format):
    """Return the frames of DeePMD data by energy."""
    found = {}
    for path in folder.glob("*/type.raw"):
        if format.endswith("mixed"):
            systems = dpdata.MultiSystems()
            systems.load_systems_from_file(str(path.parent), fmt=format)
        else:
            systems = [dpdata.LabeledSystem(str(path.parent), fmt=format)]
        for system in systems:
            data = system.data
            for k, energy in enumerate(data["energies"]):
                symbols = [data["atom_names"][kind] for kind in data["atom_types"]]
                found[float(energy)] = (
                    symbols, data["coords"][k], data["cells"][k], data["forces"][k],
                    data["virials"][k] if "virials" in data else None,
                )  # fmt: skip
    return found


@pytest.mark.parametrize("format", ["deepmd/npy", "deepmd/npy/mixed"])
@pytest.mark.parametrize("type_map", [None, ["Cu", "Ag", "Al"]])
def test_set_holds_all_digits(tmp_path, frames, format, type_map):
    more = [*frames, *labelled(5, repeat=(2, 1, 1), seed=9)]
    systems = write_deepmd(iter(more), tmp_path / "set", format=format, chunk=4, type_map=type_map)
    names = ["4", "8"] if format.endswith("mixed") else ["Al2Cu2", "Al4", "Al6Cu2", "Al8"]
    assert [path.name for path in systems] == names
    found = load(tmp_path / "set", format)
    assert len(found) == 17
    elements = type_map or ["Al", "Cu"]
    for atoms in more:
        label = labels(atoms)
        symbols, positions, cell, forces, w = found[label.energy]
        order = np.argsort([elements.index(s) for s in atoms.symbols], kind="stable")
        assert symbols == [atoms.symbols[i] for i in order]
        np.testing.assert_array_equal(positions, atoms.positions[order])
        np.testing.assert_array_equal(forces, label.forces[order])
        np.testing.assert_array_equal(cell, atoms.cell.array)
        np.testing.assert_allclose(w, virial(atoms), rtol=1e-13, atol=1e-14)
    content = json.loads((tmp_path / "set" / "set.json").read_text())
    assert content["n_frames"] == 17 == sum(content["systems"].values())
    assert content["type_map"] == elements and content["settings"] == ["one"]
    for path in systems:
        assert (path / "type_map.raw").read_text().split() == elements


def test_chunks_change_nothing_but_the_number_of_sets(tmp_path, frames):
    hashes, found = set(), []
    for chunk in (1, 5, 100):
        write_deepmd(frames, tmp_path / f"{chunk}", chunk=chunk)
        hashes.add(json.loads((tmp_path / f"{chunk}" / "set.json").read_text())["hash"])
        found.append(load(tmp_path / f"{chunk}", "deepmd/npy"))
    assert len(hashes) == 1 and found[0].keys() == found[1].keys() == found[2].keys()
    assert len(list((tmp_path / "1" / "Al4").glob("set.*"))) == 8
    assert len(list((tmp_path / "100" / "Al4").glob("set.*"))) == 1
    write_deepmd(shifted(frames, Al=1e-9), tmp_path / "x")
    assert json.loads((tmp_path / "x" / "set.json").read_text())["hash"] not in hashes


def test_set_of_a_file_with_a_teacher(tmp_path, frames):
    ase.io.write(tmp_path / "a.extxyz", [as_teacher(a) for a in frames])
    write_deepmd(tmp_path / "a.extxyz", tmp_path / "set", prefix="teacher_")
    content = json.loads((tmp_path / "set" / "set.json").read_text())
    assert content["teacher_hash"] == ["abc"] and content["virial"]
    found = load(tmp_path / "set", "deepmd/npy")
    # energies are written with all digits; forces of extended XYZ with 8 behind the point
    for atoms in frames:
        energy = labels(atoms).energy
        order = np.argsort([s for s in atoms.symbols], kind="stable")
        np.testing.assert_allclose(found[energy][3], atoms.get_forces()[order], atol=1e-8)


def test_set_without_stress(tmp_path):
    write_deepmd(labelled(3, stress=False), tmp_path / "set")
    assert not list((tmp_path / "set").glob("*/set.*/virial.npy"))
    assert not json.loads((tmp_path / "set" / "set.json").read_text())["virial"]


def test_set_is_replaced_and_nothing_else_is(tmp_path, frames):
    write_deepmd(frames, tmp_path / "set")
    (tmp_path / "set.part").mkdir()
    (tmp_path / "set.part" / "left by a kill").touch()
    write_deepmd(frames[:1], tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(load(tmp_path / "set", "deepmd/npy")) == 1
    (tmp_path / "mine").mkdir()
    write_deepmd(frames[:1], tmp_path / "mine")  # empty
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="exists and is not data of write_deepmd"):
        write_deepmd(frames, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_set_that_is_refused_leaves_the_old_one(tmp_path, frames):
    write_deepmd(frames, tmp_path / "set")
    with pytest.raises(ValueError, match=r"energy is missing \(frame 12\)"):
        write_deepmd([*frames, Atoms("Al", cell=[3, 3, 3], pbc=True)], tmp_path / "set", chunk=2)
    with pytest.raises(ValueError, match="their labels are of 2 settings"):
        write_deepmd([*frames, *labelled(2, settings="b")], tmp_path / "set", chunk=2)
    with pytest.raises(ValueError, match="format = 'vasp': must be one of deepmd/npy"):
        write_deepmd(frames, tmp_path / "set", format="vasp")
    with pytest.raises(ValueError, match="chunk = 0: must be"):
        write_deepmd(frames, tmp_path / "set", chunk=0)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert len(load(tmp_path / "set", "deepmd/npy")) == 12


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_training_sets import labelled
from ase_calculators.training_sets import write_deepmd

def slow():
    for number, atoms in enumerate(labelled(1000)):
        if number == 20:
            print("now", flush=True)
            sys.stdin.read()
        yield atoms

write_deepmd(slow(), {folder!r}, chunk=4)
"""


def test_a_killed_conversion_leaves_nothing_half_written(tmp_path, frames):
    tests = str(__file__).rpartition("/")[0]
    code = KILLED.format(tests=tests, folder=str(tmp_path / "set"))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "set.part").is_dir() and not (tmp_path / "set").exists()
    write_deepmd(frames, tmp_path / "set")
    assert not (tmp_path / "set.part").exists()
    assert len(load(tmp_path / "set", "deepmd/npy")) == 12


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, frames):
    """Frames alive at a time; benchmarks/relabel.py measures the memory of 10^5."""
    teacher = [as_teacher(atoms) for atoms in frames]
    alive, most = weakref.WeakValueDictionary(), 0

    def stream():
        nonlocal most
        for number in range(1000):
            atoms = teacher[number % len(teacher)].copy()
            alive[number] = atoms
            yield atoms
            del atoms
            most = max(most, len(alive))

    write_deepmd(stream(), tmp_path / "set", prefix="teacher_", chunk=50)
    # those of a chunk, and the 100 by which energies of settings are compared
    assert 100 <= most <= 155


def test_a_broken_frame_of_a_file_is_named(tmp_path, frames):
    ase.io.write(tmp_path / "a.extxyz", [as_teacher(a) for a in frames[:3]])
    text = (tmp_path / "a.extxyz").read_text()
    (tmp_path / "a.extxyz").write_text(text[:-40])
    with pytest.raises(ValueError, match=r"a.extxyz: frame 2 cannot be read"):
        check_labels(tmp_path / "a.extxyz", "teacher_")

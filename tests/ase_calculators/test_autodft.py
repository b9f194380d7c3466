# SPDX-License-Identifier: BSD-3-Clause
"""Auto-DFT: settings, ledger, machines, export, what a frame or a file may not do."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from ase_calculators.autodft import AutoDFT, DFTSettings, read_machines, virial
from ase_calculators.autodft import machines as autodft_machines
from ase_calculators.autodft.autodft import unreasonable
from ase_calculators.autodft.worker import LADDERS, read_lines, rung_of, write_line

EXTERNAL = DFTSettings(code="ase.calculators.emt:EMT")
HERE = {"here": {"capacity": 1}}


def rattled(n=3, symbol="Al"):
    """A few cells."""
    frames = []
    for seed in range(n):
        atoms = bulk(symbol, cubic=True)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    return frames


# --- settings -----------------------------------------------------------------------------------


def test_mesh_is_the_papers_and_vasps():
    """VASP: N_i = max(1, ceil(|b_i| / KSPACING)), with KSPACING = 2 pi x 0.04 and b_i with 2 pi."""
    settings = DFTSettings.paper("vasp")
    rng = np.random.default_rng(1)
    for _ in range(50):
        atoms = Atoms("Al", cell=rng.normal(size=(3, 3)) * 5 + np.eye(3) * 4, pbc=True)
        b = 2 * np.pi * np.linalg.inv(atoms.cell.array).T
        expected = np.maximum(1, np.ceil(np.linalg.norm(b, axis=1) / (2 * np.pi * 0.04)))
        assert settings.mesh(atoms) == tuple(expected)
    # 25 points to the Å: exactly 5, not 6 for a rounding
    assert settings.mesh(Atoms("Al", cell=[5.0, 5.0 + 1e-9, 5.0 - 1e-9], pbc=True)) == (5, 5, 5)
    assert settings.mesh(Atoms("Al", cell=[5, 5, 20], pbc=(1, 1, 0))) == (5, 5, 1)


def test_paper_is_the_same_for_all_codes():
    for code in ("vasp", "gpaw", "espresso", "abinit"):
        settings = DFTSettings.paper(code)
        assert (settings.xc, settings.cutoff, settings.energy_tolerance) == ("PBE", 600.0, 1e-6)
        assert (settings.k_spacing, settings.spin) == (0.04, False)
        assert len(LADDERS[code]) == 3
    assert len({DFTSettings.paper(code).hash for code in LADDERS}) == 4


def test_ladder_changes_options_and_marks_altered_smearing():
    settings = json.loads(DFTSettings.paper("vasp", options={"algo": "Fast"}).to_json())
    assert rung_of(settings, 0) == (settings, {})
    second, changed = rung_of(settings, 1)
    assert second["options"] == {"algo": "Fast", "amix": 0.1, "bmix": 0.0001, "nelm": 200}
    assert changed and second["smearing"] == 0.05
    last, changed = rung_of(settings, 3)
    assert last["smearing"] == 0.1 and "smearing_factor" not in last["options"]
    assert rung_of(settings, 9) == (last, changed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"code": "wasp"}, r"code = 'wasp': must be one of gpaw, vasp"),
        ({"code": "os:system; ls"}, r"code = 'os:system; ls': must be"),
        ({"cutoff": -1}, r"cutoff = -1: must be a number above 0"),
        ({"spin": "no"}, r"spin = 'no': must be True or False"),
        ({"smearing": float("nan")}, r"smearing = nan: must be"),
        ({"k_spacing": "0.04"}, r"k_spacing = '0.04': must be"),
        ({"pseudopotentials": {"Al": "../../etc/passwd"}}, r"pseudopotentials = .* without a f"),
        ({"options": {"a": {1, 2}}}, r"options, ladder: .* JSON"),
    ],
)  # fmt: skip
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        DFTSettings(**arguments)


def test_key_is_by_content():
    settings = DFTSettings.paper("gpaw")
    (atoms,) = rattled(1)
    key = settings.key(atoms)
    same = atoms.copy()
    same.positions += 1e-9
    same.info["name"] = "other"
    same.calc = EMT()
    assert settings.key(same) == key
    for changed in (
        settings.but(cutoff=500.0), settings.but(code="vasp"), settings.but(spin=True),
        settings.but(pseudopotentials={"Al": "_sv"}), settings.but(options={"algo": "All"}),
    ):  # fmt: skip
        assert changed.key(atoms) != key
    moved = atoms.copy()
    moved.positions[0, 0] += 1e-5
    strained = atoms.copy()
    strained.cell[0, 0] += 1e-5
    other = atoms.copy()
    other.symbols[0] = "Cu"
    assert len({key, *(settings.key(a) for a in (moved, strained, other))}) == 4


def test_key_survives_extended_xyz(tmp_path):
    """Eight decimals: of 3,000 numbers some lie where they would fall to the other side."""
    settings = DFTSettings.paper("gpaw")
    frames = []
    for seed in range(30):
        atoms = bulk("Al", cubic=True) * (2, 2, 2)
        atoms.set_cell(atoms.cell.array * 1.01234567, scale_atoms=True)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    ase.io.write(tmp_path / "a.xyz", frames, format="extxyz")
    read = ase.io.read(tmp_path / "a.xyz", ":")
    assert max(abs(a.positions - b.positions).max() for a, b in zip(frames, read)) > 4e-9
    assert [settings.key(atoms) for atoms in read] == [settings.key(atoms) for atoms in frames]


def test_whole_numbers_are_the_same_settings():
    assert DFTSettings(cutoff=300, spin=0).hash == DFTSettings(cutoff=300.0, spin=False).hash
    assert DFTSettings(cutoff=np.int64(300)).hash == DFTSettings(cutoff=np.float64(300.0)).hash


def test_converged_returns_the_cheapest_that_holds(tmp_path):
    """EMT knows neither cutoff nor mesh: all hold, and the least are chosen; nothing runs again."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    arguments = {
        "machines": HERE, "ledger": tmp_path / "l.db", "cutoffs": (200.0, 300.0),
        "k_spacings": (0.1, 0.05), "figure": tmp_path / "scan.png", "smearing": 0.2,
    }  # fmt: skip
    settings = DFTSettings.converged(EXTERNAL.code, {"Al"}, rattled(2), **arguments)
    assert settings == EXTERNAL.but(cutoff=200.0, k_spacing=0.1, smearing=0.2)
    scan = json.loads((tmp_path / "scan.json").read_text())
    assert scan["chosen"]["cutoff"] == 200.0 and np.all(np.array(scan["errors of the mesh"]) == 0)
    assert (tmp_path / "scan.png").stat().st_size > 10_000
    n_jobs = len(list((tmp_path / "l.db.files" / "jobs").iterdir()))
    assert DFTSettings.converged(EXTERNAL.code, {"Al"}, rattled(2), **arguments) == settings
    assert len(list((tmp_path / "l.db.files" / "jobs").iterdir())) == n_jobs
    with pytest.raises(ValueError, match=r"elements = \['Cu'\]: in none of the frames"):
        DFTSettings.converged(EXTERNAL.code, {"Al", "Cu"}, rattled(1), **arguments)


# --- ledger -------------------------------------------------------------------------------------


def test_adding_twice_and_other_settings(tmp_path):
    frames = rattled(5)
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    assert (dft.add(frames).new, dft.add([*frames, *rattled(6)]).new) == (5, 1)
    added = dft.add(iter([frames[0], frames[0]]))
    assert (added.new, added.known) == (0, 2)
    other = AutoDFT(tmp_path / "l.db", EXTERNAL.but(cutoff=300.0))
    assert sum(other.status().states.values()) == 0
    assert other.add(frames).new == 5
    assert sum(dft.status().states.values()) == 6


def test_ledger_is_an_ase_database_with_a_row_per_task(tmp_path):
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    frames = rattled(3)
    frames[1].info.update(generation=np.int64(7), lineage="a b", nested={"a": 1})
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, HERE, poll=0.1)
    dft.add(frames)
    dft.run()
    rows = list(ase.db.connect(tmp_path / "l.db").select())
    assert len(rows) == 3
    for row, frame in zip(rows, frames, strict=True):
        frame.calc = EMT()
        assert row.energy == frame.get_potential_energy()
        assert row.calculator == EXTERNAL.code.lower()  # as ASE keeps it
        assert row.data["label"]["host"] and row.data["label"]["version"]
    labels = dft.labelled()
    assert labels[1].info["generation"] == 7 and labels[1].info["lineage"] == "a b"
    assert labels[1].info["key"] == EXTERNAL.key(frames[1])
    assert Path(labels[1].info["folder"], "results.jsonl").is_file()
    assert "3 tasks" in str(dft.status()) and "done" in str(dft.status())
    (state,) = sqlite3.connect(tmp_path / "l.db").execute("SELECT DISTINCT state FROM tasks")
    assert state == ("done",)


def test_geometry_is_refused_before_it_is_paid_for(tmp_path):
    frames = rattled(2)
    frames[1].positions[0] = frames[1].positions[1] + [0.3, 0, 0]
    frames.append(Atoms("Al", cell=[3, 3, 0], pbc=True))
    added = AutoDFT(tmp_path / "l.db", EXTERNAL).add(frames)
    assert added.new == 1
    assert [number for number, _ in added.refused] == [1, 2]
    assert "are 0.300 Å apart: less than 0.5 of the sum" in added.refused[0][1]
    assert "no volume" in added.refused[1][1]


def test_shortest_distance_in_small_skewed_and_open_cells():
    """Against a plain count of images, in cells far from orthogonal."""
    rng = np.random.default_rng(2)
    grid = np.array(np.meshgrid(*[range(-4, 5)] * 3)).reshape(3, -1).T
    n_refused = 0
    for case in range(120):
        cell = rng.normal(size=(3, 3)) + np.diag([2.0, 1.5, 2.5])
        pbc = rng.random(3) < 0.8
        if abs(np.linalg.det(cell)) < 1.5:
            continue
        atoms = Atoms("AlCu", scaled_positions=rng.random((2, 3)) * 3, cell=cell, pbc=pbc)
        radii = np.array([1.21, 1.32])
        vectors = atoms.positions[None, :, None] - atoms.positions[None, None, :]
        vectors = vectors + ((grid * pbc) @ cell)[:, None, None]
        distances = np.linalg.norm(vectors, axis=-1)
        shares = distances / (radii[:, None] + radii[None, :])
        shares[distances < 1e-10] = np.inf
        expected = shares.min() < 0.5
        assert bool(unreasonable(atoms, 0.5)) == expected, case
        n_refused += expected
    assert 20 < n_refused < 110


def test_two_processes_add_the_same_frames_at_once(tmp_path):
    ase.io.write(tmp_path / "frames.traj", rattled(60))
    code = (
        "import ase.io\nfrom ase_calculators.autodft import *\n"
        "dft = AutoDFT('l.db', DFTSettings(code='ase.calculators.emt:EMT'))\n"
        "for start in range(0, 60, 5): dft.add(ase.io.read('frames.traj', ':')[start:start + 5])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert sum(AutoDFT(tmp_path / "l.db", EXTERNAL).status().states.values()) == 60
    assert ase.db.connect(tmp_path / "l.db").count() == 60


def test_postgresql(tmp_path):
    """The same on a server of our own, two drivers at once."""
    pytest.importorskip("psycopg2", reason="pip install 'entsym[postgresql]'")
    pytest.importorskip("ase_db_backends", reason="pip install 'entsym[postgresql]'")
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or os.geteuid():
        pytest.skip("no PostgreSQL server here, or not root: apt-get install postgresql")
    folder = Path("/tmp") / f"entsym-pg-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, "postgres", "postgres")
    user = ["runuser", "-u", "postgres", "--"]

    def server(*command):
        subprocess.run(
            [*user, *map(str, command)], cwd="/", check=True, timeout=60, capture_output=True
        )

    control = [found[-1].with_name("pg_ctl"), "-D", folder / "data", "-w", "-l", folder / "log"]
    server(found[-1], "-D", folder / "data", "-A", "trust")
    try:
        server(*control, "-o", f"-k {folder} -p 54399 -c listen_addresses=", "start")
        url = f"postgresql://postgres@/postgres?host={folder}&port=54399"
        (tmp_path / "go.py").write_text(
            "import sys\nfrom ase_calculators.autodft import *\n"
            "from ase.build import bulk\nframes = []\n"
            "for seed in range(40):\n"
            "    a = bulk('Al', cubic=True); a.rattle(0.1, seed=seed); frames.append(a)\n"
            f"dft = AutoDFT({url!r}, DFTSettings(code='ase.calculators.emt:EMT'),"
            " {'here': {'python': sys.executable, 'frames': 5, 'capacity': 2}}, poll=0.1)\n"
            "dft.add(frames); dft.run()\n"
        )
        drivers = [
            subprocess.Popen([sys.executable, "go.py"], cwd=tmp_path, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        said = [driver.communicate(timeout=100)[1] for driver in drivers]
        assert [driver.returncode for driver in drivers] == [0, 0], said
        os.chdir(tmp_path)
        labels = AutoDFT(url, EXTERNAL).labelled()
        assert len(labels) == 40
        for label in labels:
            direct = label.copy()
            direct.calc = EMT()
            assert direct.get_potential_energy() == label.get_potential_energy()
    finally:
        server(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_postgresql_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ase_db_backends.postgresql", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match=r"pip install 'entsym\[postgresql\]'"):
        AutoDFT("postgresql://nobody@localhost/nothing", EXTERNAL)


# --- results ------------------------------------------------------------------------------------


def test_lines_are_whole_or_not_there(tmp_path):
    path = tmp_path / "r"
    for number in range(3):
        write_line(path, {"key": str(number), "text": "a\nb é"})
    text = path.read_text()
    assert len(read_lines(text)) == 3
    for end in range(len(text)):
        entries = read_lines(text[:end])
        assert entries == read_lines(text)[: len(entries)]
    assert read_lines(text.replace('"1"', '"7"'))[1]["key"] == "2"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Labels of two formulas, atoms in mixed order."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    folder = tmp_path_factory.mktemp("labelled")
    frames = rattled(3)
    for seed in range(2):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[[0, 2]] = "Al"
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    dft = AutoDFT(folder / "l.db", EXTERNAL, HERE, poll=0.1)
    dft.add(frames)
    dft.run()
    return dft, folder


def test_virial_is_minus_the_derivative_by_strain(labelled):
    dft, _ = labelled
    for label in dft.labelled()[1:4:2]:
        h = 1e-4
        for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * h
                atoms = label.copy()
                atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                atoms.calc = EMT()
                energies.append(atoms.get_potential_energy())
            derivative = (energies[0] - energies[1]) / (2 * h)
            assert virial(label)[a, b] == pytest.approx(-derivative, abs=1e-4)
        assert np.abs(virial(label)).max() > 0.1


@pytest.mark.parametrize("format", ["deepmd/npy", "deepmd/npy/mixed"])
def test_export_to_deepmd(labelled, format, tmp_path):
    dpdata = pytest.importorskip("dpdata")
    dft, _ = labelled
    assert dft.export(tmp_path / "set", format) == 5
    systems = dpdata.MultiSystems()
    if format.endswith("mixed"):
        systems.load_systems_from_file(str(tmp_path / "set"), fmt="deepmd/npy/mixed")
    else:
        for folder in sorted(path.parent for path in (tmp_path / "set").glob("*/type.raw")):
            systems.append(dpdata.LabeledSystem(str(folder), fmt="deepmd/npy"))
    assert systems.get_nframes() == 5
    expected = {round(a.get_potential_energy(), 6): a for a in dft.labelled()}
    for system in systems:
        data = system.data
        for number in range(system.get_nframes()):
            atoms = expected.pop(round(float(data["energies"][number]), 6))
            names = [data["atom_names"][kind] for kind in data["atom_types"]]
            order = np.argsort(atoms.get_chemical_symbols(), kind="stable")
            assert names == [atoms.get_chemical_symbols()[i] for i in order]
            # dpdata may write single precision
            for name, value in (
                ("coords", atoms.positions[order]), ("cells", atoms.cell.array),
                ("forces", atoms.get_forces()[order]), ("virials", virial(atoms)),
            ):  # fmt: skip
                np.testing.assert_allclose(data[name][number], value, atol=2e-6, err_msg=name)
    assert not expected
    assert json.loads((tmp_path / "set" / "settings.json").read_text())["code"] == EXTERNAL.code
    assert len(json.loads((tmp_path / "set" / "provenance.json").read_text())) == 5


def test_export_to_extxyz(labelled, tmp_path):
    dft, _ = labelled
    dft.export(tmp_path / "a.xyz", "extxyz")
    for read, label in zip(ase.io.read(tmp_path / "a.xyz", ":"), dft.labelled(), strict=True):
        assert read.get_potential_energy() == pytest.approx(label.get_potential_energy(), abs=1e-7)
        np.testing.assert_allclose(read.get_forces(), label.get_forces(), atol=1e-7)
        np.testing.assert_allclose(read.get_stress(), label.get_stress(), atol=1e-7)
        np.testing.assert_allclose(read.info["virial"], virial(label), atol=1e-6)
        assert read.info["folder"] == label.info["folder"]


def test_altered_labels_stay_out_unless_asked_for(laboratory, tmp_path):
    settings = EXTERNAL.but(
        code="counting:Counting", options={"fails": 1}, ladder=({"smearing_factor": 2.0},)
    )
    dft = AutoDFT(tmp_path / "l.db", settings, {"here": laboratory.machine()}, poll=0.1)
    dft.add(laboratory.frames[:2])
    assert dft.run().states["done"] == 2
    assert len(dft.labelled()) == 0 and len(dft.labelled(altered=True)) == 2
    assert dft.export(tmp_path / "x.xyz", "extxyz", altered=True) == 2


def test_export_of_nothing_and_unknown_format(tmp_path):
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    with pytest.raises(ValueError, match="there are no labelled frames"):
        dft.export(tmp_path / "x")
    with pytest.raises(ValueError, match="format = 'vasp': must be one of deepmd/npy"):
        dft.export(tmp_path / "x", "vasp")


# --- machines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schedule": "slurm"}, r"m.schedule = 'slurm': is unknown; known are scheduler, root"),
        ({"scheduler": "slum"}, r"m.scheduler = 'slum': must be one of shell, slurm, pbs, lsf"),
        ({"capacity": 0}, r"m.capacity = 0: must be a whole number of 1 or more"),
        ({"capacity": "4"}, r"m.capacity = '4': must be a whole number"),
        ({"cores": True}, r"m.cores = True: must be"),
        ({"minutes": -1}, r"m.minutes = -1: must be"),
        ({"memory": "lots"}, r"m.memory = 'lots': must be like 4G"),
        ({"partition": "cpu\n#SBATCH --uid=0"}, r"m.partition = .*one line"),
        ({"partition": "cpu; id"}, r"m.partition = 'cpu; id': must be a word"),
        ({"codes": ["vaps"]}, r"m.codes = 'vaps': must each be one of gpaw, vasp"),
        ({"flags": ["--a=b\ntouch x"]}, r"m.flags = .*one option"),
        ({"flags": ["--wrap=$(id)"]}, r"m.flags = .*one option"),
        ({"flags": "--a"}, r"m.flags = '--a': must be a list"),
        ({"modules": ["vasp; id"]}, r"m.modules = 'vasp; id': must be plain words"),
        ({"source": ["$(id)"]}, r"m.source = .* plain words"),
        ({"environment": {"A B": 1}}, r"m.environment.A B = 1: must be the name"),
        ({"environment": {"A": "x\ny"}}, r"m.environment.A = 'x\\ny': must be"),
        ({"command": "vasp 'x"}, r"m.command = .* quotation"),
        ({"python": "python\nid"}, r"m.python = .*one line"),
        ({"ssh": {"host": "a", "password": "secret"}}, r"m.ssh.password = '...': .* password"),
        ({"ssh": {"host": "a b"}, "root": "/x"}, r"m.ssh.host = 'a b': must be a word"),
        ({"ssh": {"host": "a"}}, r"m.root = 'jobs': must start with / on a machine"),
        ({"ssh": {"user": "a"}, "root": "/x"}, r"m.ssh = .*: must name the host"),
    ],
)
def test_bad_machines(keys, message):
    with pytest.raises(ValueError, match=message) as error:
        read_machines({"m": keys})
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_bad_files_of_machines(tmp_path):
    path = tmp_path / "machines.yaml"
    for text, message in (
        ("a: [", "is no plain YAML"),
        ("- a\n", "must hold machines by name"),
        ("a: 3\n", "machines: a = 3: must be keys and values"),
        (f"a: !!python/object/apply:os.system ['touch {tmp_path}/owned']\n", "is no plain YAML"),
        ("'a;b': {}\n", "names are letters"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_machines(path)
    assert not (tmp_path / "owned").exists()
    with pytest.raises(ValueError, match=r"machines = '.*/none.yaml': cannot be read: .*No such"):
        read_machines(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="none of here lists 'vasp' among its codes"):
        AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), {"here": {"codes": ["gpaw"]}})


def test_nothing_reaches_a_shell_unquoted(tmp_path):
    """Folders, values and frames full of shell, on the machine that has one."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    evil = "x' ;touch owned; $(touch owned) `touch owned` \" & touch owned #"
    folder = tmp_path / evil
    folder.mkdir()
    frames = rattled(2)
    frames[0].info["name"] = f"$(touch {tmp_path}/owned)"
    frames[0].info["`touch owned`"] = evil
    machine = {
        "python": sys.executable,
        "root": f"jobs {evil}",
        "potentials": evil,
        "environment": {"EVIL": evil, "OMP_NUM_THREADS": 1},
    }
    dft = AutoDFT(folder / f"{evil}.db", EXTERNAL, {"here": machine}, poll=0.1)
    dft.add(frames)
    assert dft.run().states["done"] == 2
    dft.export(folder / evil, "extxyz")
    assert not list(tmp_path.rglob("owned"))
    assert not Path("owned").exists()
    # a command is words, not a shell's language
    machine["command"] = f"{sys.executable} ; touch {tmp_path}/owned"
    other = AutoDFT(folder / "other.db", EXTERNAL, {"here": machine}, poll=0.1, attempts=1)
    other.add(frames[:1])
    other.run()
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempts": 0}, "attempts = 0: must be a whole number of 1 or more"),
        ({"closest": 1.5}, "closest = 1.5: must be at least 0 and below 1"),
        ({"poll": 0}, "poll = 0: must be a number above 0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        AutoDFT(tmp_path / "l.db", EXTERNAL, **arguments)


def test_ledger_that_is_none(tmp_path):
    (tmp_path / "text.db").write_text("some other file of the user " * 10)
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("text.db", "file is not a database; give a file that"),
        ("folder", "unable to open database file; give a file that"),
        ("text.db/l.db", "cannot be made there: .*Not a directory"),
    ):
        with pytest.raises(ValueError, match=f"ledger = '{tmp_path / name}': {message}"):
            AutoDFT(tmp_path / name, EXTERNAL)
    assert (tmp_path / "text.db").read_text().startswith("some other file of the user")


def test_run_without_machines_and_one_frame_instead_of_many(tmp_path):
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    with pytest.raises(TypeError, match=r"frames: must be an iterable of Atoms, .* pass \[atoms\]"):
        dft.add(molecule("H2"))
    dft.add(rattled(1))
    with pytest.raises(ValueError, match="machines = None: give machines.yaml"):
        dft.run()


def test_missing_dpdispatcher_names_the_extra(tmp_path):
    code = (
        "import sys; sys.modules['dpdispatcher.dlog'] = None\n"
        "from ase_calculators.autodft import *\nfrom ase.build import bulk\n"
        "dft = AutoDFT('l.db', machines={'here': {}}); dft.add([bulk('Al')]); dft.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "pip install 'entsym[dft]'" in done.stderr.splitlines()[-1]


@pytest.fixture
def ssh(tmp_path):
    """A server of our own, and a machine that is reached through it with a key."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    if shutil.which("sshd") is None or os.geteuid():
        pytest.skip("no sshd here, or not root: apt-get install openssh-server")
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    Path("/run/sshd").mkdir(exist_ok=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    server = subprocess.Popen(
        [shutil.which("sshd"), "-D", "-e", "-f", "/dev/null", "-p", "22022",
         "-h", tmp_path / "host", "-o", f"AuthorizedKeysFile={tmp_path}/authorized",
         "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no", "-o", "PermitRootLogin=yes",
         "-o", "Subsystem=sftp internal-sftp"], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(0.5)
    keys = {"host": "127.0.0.1", "port": 22022, "key": str(tmp_path / "user")}
    root = str(tmp_path / "far" / "jobs")
    yield server, {"python": sys.executable, "ssh": keys, "root": root, "frames": 3}
    server.terminate()
    server.wait()


def test_ssh(ssh, tmp_path):
    """A machine over SSH."""
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, {"far": ssh[1]}, poll=0.2)
    frames = rattled(6)
    dft.add(frames)
    assert dft.run().machines == {"far": {"done": 6}}
    for frame, label in zip(frames, dft.labelled(), strict=True):
        frame.calc = EMT()
        assert label.get_potential_energy() == frame.get_potential_energy()


def test_host_that_hangs_keeps_nobody_waiting(ssh, tmp_path, monkeypatch):
    """Its connections stay open and nothing comes; the others go on, and it does when it wakes."""
    server, far = ssh
    monkeypatch.setattr(autodft_machines, "ANSWER", 4.0)
    here = {"python": sys.executable, "frames": 3}
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, {"far": far, "here": here}, poll=0.2)
    dft.add(rattled(12))
    stopped = []

    def stop_and_go():
        while not list(Path(far["root"]).glob("*/started")):
            time.sleep(0.05)
        sessions = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        stopped.extend([*map(int, sessions), server.pid])
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        # 12 frames, 3 of which are where nothing answers
        other = AutoDFT(tmp_path / "l.db", EXTERNAL)
        while other.status().machines.get("here", {}).get("done", 0) < 9:
            time.sleep(0.1)
        for process in stopped:
            os.kill(process, signal.SIGCONT)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    assert dft.run().states["done"] == 12
    thread.join()
    assert len(stopped) > 1

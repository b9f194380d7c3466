# SPDX-License-Identifier: BSD-3-Clause
"""Auto-DFT: settings, ledger, machines, export, and harmful frames and files."""

import ast
import doctest
import gc
import graphlib
import importlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from ase_calculators.autodft import (
    AutoDFT,
    DFTSettings,
    converged_settings,
    read_machines,
    virial,
    worker,
)
from ase_calculators.autodft import machines as autodft_machines
from ase_calculators.autodft.autodft import unreasonable
from ase_calculators.autodft.export import export
from ase_calculators.autodft.worker import LADDERS, read_lines, rung_of, write_line

EXTERNAL = DFTSettings(code="ase.calculators.emt:EMT")
HERE = {"here": {"capacity": 1}}


def rattled(n=3, symbol="Al"):
    """Return a few rattled cells."""
    frames = []
    for seed in range(n):
        atoms = bulk(symbol, cubic=True)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    return frames


# --- modules ------------------------------------------------------------------------------------

PACKAGE = "ase_calculators.autodft"
MODULES = sorted(path.stem for path in Path(worker.__file__).parent.glob("[!_]*.py"))


def test_modules_import_in_one_direction():
    """Imports inside functions count; `TopologicalSorter` raises `CycleError` for a circle."""
    imports = graphlib.TopologicalSorter()
    for module in MODULES:
        source = Path(worker.__file__).with_name(f"{module}.py").read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                if f"{name}.".startswith(f"{PACKAGE}."):
                    target = name.split(".")[2:3]
                    assert target and target[0] in MODULES, f"{module} imports the package itself"
                    imports.add(module, *target)
    order = list(imports.static_order())
    layers = ["worker", "settings", "machines", "autodft", "convergence"]
    assert [module for module in order if module in layers] == layers


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"{PACKAGE}.{module}")).failed == 0


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
    # exactly 5 points, not 6 because of rounding
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
        ({"pseudopotentials": {"Al": ".."}}, r"pseudopotentials = .* without a folder"),
        ({"pseudopotentials": {5: "x"}}, r"pseudopotentials = {5: 'x'}: must be an element"),
        ({"pseudopotentials": {"Xx": "x"}}, r"pseudopotentials = {'Xx': 'x'}: must be an element"),
        ({"pseudopotentials": ["Al"]}, r"pseudopotentials = \['Al'\]: must be names by element"),
        ({"code": 5}, r"code = 5: must be one of"),
        ({"xc": "../.."}, r"xc = '../..': must be the code's name of a functional"),
        ({"xc": "PBE\n"}, r"xc = 'PBE\\n': must be"),
        ({"xc": ".."}, r"xc = '..': must be"),
        ({"xc": None}, r"xc = None: must be"),
        ({"code": "abinit", "xc": "LDA"}, r"xc = 'LDA': must be 'PBE' with abinit"),
        ({"cutoff": True}, r"cutoff = True: must be a number above 0"),
        ({"options": {"a": {1, 2}}}, r"options, ladder: .* JSON"),
        ({"options": ["a"]}, r"options = \['a'\]: must be a dictionary"),
        ({"options": {"a b": 1}}, r"options: 'a b' is not the name of a parameter"),
        ({"options": {"smearing_factor": 2.0}}, r"options\['smearing_factor'\] = 2.0: belongs"),
        ({"code": "vasp", "options": {"encut": 200}}, r"options\['encut'\] = 200: is not an"),
        ({"code": "vasp", "options": {"directory": "/tmp"}}, r"options\['directory'\] = '/tmp'"),
        ({"code": "vasp", "options": {"algo": "All\nNSW = 9"}}, r"algo.* must be text of one line"),
        ({"code": "espresso", "options": {"ecutwfc": 9}}, r"options\['ecutwfc'\] = 9: is"),
        ({"ladder": ({"txt": "../x"},)}, r"ladder\[0\]\['txt'\] = '../x': is not an option"),
        ({"ladder": "abc"}, r"ladder = 'abc': must be a list of dictionaries"),
        ({"ladder": [5]}, r"ladder\[0\] = 5: must be a dictionary"),
        ({"ladder": [{"smearing_factor": "2"}]}, r"ladder\[0\]\['smearing_factor'\] = '2': must"),
    ],
)  # fmt: skip
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        DFTSettings(**arguments)
    assert "\n" not in str(error.value)


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
    """Of 3,000 numbers with eight decimals, some lie next to a rounding border of the key."""
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
    """EMT ignores cutoff and mesh: the cheapest of both are chosen; a second call runs nothing."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    arguments = {
        "machines": HERE, "ledger": tmp_path / "l.db", "cutoffs": (200.0, 300.0),
        "k_spacings": (0.1, 0.05), "figure": tmp_path / "scan.png", "smearing": 0.2,
    }  # fmt: skip
    settings = converged_settings(EXTERNAL.code, {"Al"}, rattled(2), **arguments)
    assert settings == EXTERNAL.but(cutoff=200.0, k_spacing=0.1, smearing=0.2)
    scan = json.loads((tmp_path / "scan.json").read_text())
    assert scan["chosen"]["cutoff"] == 200.0 and np.all(np.array(scan["errors of the mesh"]) == 0)
    assert (tmp_path / "scan.png").stat().st_size > 10_000
    n_jobs = len(list((tmp_path / "l.db.files" / "jobs").iterdir()))
    assert converged_settings(EXTERNAL.code, {"Al"}, rattled(2), **arguments) == settings
    assert len(list((tmp_path / "l.db.files" / "jobs").iterdir())) == n_jobs
    with pytest.raises(ValueError, match=r"elements = \['Cu'\]: in none of the frames"):
        converged_settings(EXTERNAL.code, {"Al", "Cu"}, rattled(1), **arguments)


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


# infos that are returned unchanged with the label: numbers and text
INFOS = [
    *({name: "x"} for name in ("__ndarray__", "__complex__", "__datetime__", "__ase_objtype__",
                               "__complex_ndarray__", "", " ", "a.b", "a b", "a=b", 'a"b', "a\nb",
                               "é", "\u2028", "\x00", "\ud800", "Lattice", "Properties", "pbc",
                               "1", "_JSON", "data", "info", "label")),
    *({name: 1.5} for name in ("__ndarray__", "energy", "free_energy", "stress", "forces", "virial",
                               "dipole", "magmom", "key", "machine", "settings", "altered",
                               "wall")),
    *({"note": text} for text in ("", " ", "x\ny", "b\\", "=", "\r", "\x00", "\ud800", "\u2028",
                                  "\x85", "5", "T", "1 2 3", '{"__ndarray__": 1}', "_JSON {}",
                                  "x" * 20_000)),
    *({"number": value} for value in (np.nan, np.inf, -np.inf, 10**30, -(10**4000), 1e-300, True)),
]  # fmt: skip
LEFT_OUT = [
    {"array": np.arange(3)}, {"nested": {"__ndarray__": [1, [2]]}}, {"bytes": b"x"},
    {"object": object()}, {"function": len}, {"complex": 1j}, {"list": [[1], [2.0, "x"]]},
    {5: "x"}, {None: 1}, {("a", 1): 2}, {"array": np.full((2, 2), np.nan)}, {"none": None},
    {"objects": np.array([object()], dtype=object)}, {"precise": np.longdouble(1) / 3},
]  # fmt: skip


def same(a, b):
    """Return whether two values are the same, NaN included."""
    return type(a) is type(b) and (a == b or (a != a and b != b))


def test_no_info_stops_a_ledger(tmp_path):
    """One frame per info: all are labelled, info is unchanged, every export is complete."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    infos = [*INFOS, *LEFT_OUT]
    frames = rattled(len(infos))
    for frame, info in zip(frames, infos, strict=True):
        frame.info = {"number of the frame": 7, **info}
        # none of these is part of a calculation
        frame.set_constraint(FixAtoms([0]))
        frame.set_array("weird", np.full(4, np.nan))
        frame.calc = SinglePointCalculator(frame, energy=np.nan, forces=np.full((4, 3), np.inf))
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, HERE, poll=0.1)
    added = dft.add(frames)
    assert (added.new, added.refused) == (len(infos), [])
    assert dft.run().states["done"] == len(infos)
    labels = dft.labelled()
    for label, frame, info in zip(labels, frames, infos, strict=True):
        assert label.info["number of the frame"] == 7
        for name, value in info.items() if info in INFOS else ():
            given = label.info.get(name)
            assert same(given, value) or same(label.info[f"source_{name}"], value), name
        assert label.info["key"] == EXTERNAL.key(frame) and label.info["machine"] == "here"
        direct = frame.copy()
        direct.calc = EMT()
        assert label.get_potential_energy() == direct.get_potential_energy()
    with pytest.warns(
        UserWarning, match="info: extended XYZ cannot hold 'note' of 9, .* left out, dft"
    ):
        assert dft.export(tmp_path / "x.xyz", "extxyz") == len(infos)
    for read, label in zip(ase.io.read(tmp_path / "x.xyz", ":"), labels, strict=True):
        assert read.get_potential_energy() == pytest.approx(label.get_potential_energy(), abs=1e-7)
        np.testing.assert_allclose(read.positions, label.positions, atol=1e-7)
        np.testing.assert_allclose(read.cell, label.cell, atol=1e-7)
        assert read.info["key"] == label.info["key"]
    assert dft.export(tmp_path / "set") == len(infos)
    provenance = json.loads((tmp_path / "set" / "provenance.json").read_text())
    assert [entry["key"] for entry in provenance] == [label.info["key"] for label in labels]


def test_frames_that_cannot_be_kept_are_refused_alone(tmp_path):
    frames = rattled(8)
    frames[1].info["story"] = "x" * 200_000
    frames[2].info["number"] = 10**6000
    frames[3].info = None
    frames[4].positions[0] = 1e12
    frames[5].numbers[0] = 200
    frames[6].set_initial_magnetic_moments([np.nan, 0, 0, 0])
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL.but(spin=True))
    added = dft.add(frames)
    assert added.new == 2 and [number for number, _ in added.refused] == [1, 2, 3, 4, 5, 6]
    reasons = dict(added.refused)
    assert "info['story'] has 200005 characters" in reasons[1] and "100000" in reasons[1]
    assert "reach 1e+12 Å" in reasons[4] and "without an element" in reasons[5]
    assert "moments are not finite" in reasons[6]
    assert not any("\n" in reason for reason in reasons.values())


def test_mesh_is_calculated_once(tmp_path, monkeypatch):
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    calls = []
    mesh = DFTSettings.mesh
    monkeypatch.setattr(DFTSettings, "mesh", lambda *a: (calls.append(1), mesh(*a))[1])
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, HERE, poll=0.1)
    dft.add(rattled(3))
    dft.run()
    assert len(calls) == 3
    (job,) = (tmp_path / "l.db.files" / "jobs").glob("*/job.json")
    meshes = [tuple(task["mesh"]) for task in json.loads(job.read_text())["tasks"]]
    assert meshes == [mesh(EXTERNAL, atoms) for atoms in rattled(3)]


@pytest.mark.parametrize("format", ["extxyz", "deepmd/npy"])
def test_export_holds_few_frames_at_a_time(tmp_path, format):
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    alive, most = set(), 0

    def frames():
        nonlocal most
        for number in range(3500):
            atoms = Atoms("Al", cell=[3, 3, 3 + 1e-3 * number], pbc=True, info={"key": "x"})
            results = {"energy": 1.0, "forces": np.zeros((1, 3)), "stress": np.zeros(6)}
            atoms.calc = SinglePointCalculator(atoms, **results)
            alive.add(number)
            weakref.finalize(atoms, alive.discard, number)
            most = max(most, len(alive))
            yield atoms
            del atoms
            if number % 100 == 0:
                gc.collect()  # atoms and their calculator hold each other

    assert export(frames(), tmp_path / "set", format, EXTERNAL, ["Al"]) == 3500
    assert most < 2100  # DeePMD data are written a thousand at a time


def test_import_is_light():
    """The package imports no plotting library and nothing that is needed only sometimes."""
    code = "import sys, ase_calculators.autodft; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"matplotlib", "matplotlib.pyplot", "dpdispatcher", "dpdata", "yaml", "pandas", "torch"}
    assert not heavy & set(done.stdout.split())


# --- equivalent cells ---------------------------------------------------------------------------


def hot(seed, n_cells=(2, 1, 1)):
    """Return an alloy in a strained, triclinic cell, its atoms far from any site."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Al", cubic=True) * n_cells
    atoms.symbols[:2] = "Cu"
    strain = np.eye(3) + rng.normal(0, 0.06, (3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.rattle(0.15, seed=seed)
    return atoms


def rewritten(atoms, how, seed):
    """Return an equivalent cell; or another one, nearly the same."""
    rng = np.random.default_rng(seed)
    new = atoms.copy()
    cell = new.cell.array
    if how == "shifted":
        new.positions += rng.normal(size=3)
    elif how == "wrapped":
        new.positions += rng.integers(-2, 3, (len(new), 3)) @ cell
    elif how == "reordered":
        new = new[rng.permutation(len(new))]
    elif how == "axes":
        new.set_cell(cell[[1, 2, 0]])
    elif how == "lattice":
        new.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-1, 0, 1]]) @ cell)
    elif how in ("rotated", "mirrored"):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn *= np.sign(np.linalg.det(turn)) * (-1 if how == "mirrored" else 1)
        new.positions, new.cell = new.positions @ turn, cell @ turn
    elif how == "all":
        for step in ("shifted", "reordered", "lattice", "mirrored", "wrapped"):
            new = rewritten(new, step, seed)
    elif how == "moved":
        new.positions[3] += [1e-4, 0, 0]
    elif how == "strained":
        new.set_cell(cell @ np.diag([1 + 1e-5, 1 - 1e-5, 1]), scale_atoms=True)
    elif how == "swapped":
        new.numbers[[0, -1]] = new.numbers[[-1, 0]]
    return new


SAME = ("shifted", "wrapped", "reordered", "axes", "lattice", "rotated", "mirrored", "all")


@pytest.mark.parametrize("how", [*SAME, "moved", "strained", "swapped"])
def test_equivalent_cells(tmp_path, how):
    """On request they are found, in the ledger and in the same call; EMT agrees."""
    frames = [hot(1), hot(2, (2, 2, 2)), bulk("Al", cubic=True)]
    frames[2].symbols[:2] = "Cu"
    others = [rewritten(atoms, how, 5) for atoms in (frames[:2] if how not in SAME else frames)]
    energies = []
    for atoms in (*frames, *others):
        atoms = atoms.copy()
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    equal = np.abs(np.subtract(energies[: len(others)], energies[3:])) < 1e-6
    assert equal.all() == (how in SAME)
    plain = AutoDFT(tmp_path / "plain.db", EXTERNAL)
    assert plain.add([*frames, *others]).new == len(frames) + len(others)
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    keys = [EXTERNAL.key(atoms) for atoms in frames]
    found = list(enumerate(keys[: len(others)], start=3)) if how in SAME else []
    assert dft.add([*frames, *others], equivalent=True).equivalent == found
    assert sum(dft.status().states.values()) == len(frames) + len(others) - len(found)
    again = AutoDFT(tmp_path / "l.db", EXTERNAL)
    added = again.add([*frames, *others], equivalent=True)
    assert (added.new, added.equivalent) == (0, found)
    assert added.known == len(frames) + len(others) - len(found)


def test_equivalent_cells_are_not_sought_with_spin_or_without_periods(tmp_path):
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL.but(spin=True))
    with pytest.raises(ValueError, match="equivalent = True: moments are not compared"):
        dft.add([hot(1)], equivalent=True)
    slab = hot(1)
    slab.pbc = (True, True, False)
    added = AutoDFT(tmp_path / "l.db", EXTERNAL).add(
        [slab, rewritten(slab, "shifted", 1)], equivalent=True
    )
    assert added.new == 2


@pytest.mark.parametrize("seed", range(40))
def test_closest_pair_of_any_cell(seed):
    """The pairs are those of ASE's neighbour list; skewed and small cells, any periods."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    cell = rng.choice([2.0, 4.0, 9.0]) * (np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3)))
    atoms = Atoms(rng.choice([1, 6, 77], n), rng.uniform(-9, 9, (n, 3)), cell=cell,
                  pbc=rng.random(3) < 0.7)  # fmt: skip
    closest = 0.9
    i, j, d = neighbor_list("ijd", atoms, 2 * covalent_radii[77])
    shares = d / (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])
    reason = unreasonable(atoms, closest)
    if shares.size == 0 or shares.min() >= closest:
        assert reason == ""
        return
    least = min(zip(shares.round(9), i, j, d, strict=True))
    assert reason.startswith(f"atoms {least[1]} and {least[2]} (")
    assert f" are {least[3]:.3f} Å apart" in reason


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
    """Compare with a plain sum over images, in cells far from orthogonal."""
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
    """Two drivers at once on a server that the test starts."""
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
    """Return labels of two formulas, atoms in mixed order."""
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
        ({"ssh": {"host": "-x"}, "root": "/x"}, r"m.ssh.host = '-x': must be a word"),
        ({"ssh": {"host": "a", "port": 70000}, "root": "/x"}, r"m.ssh.port = 70000: .* to 65535"),
        ({"scheduler": ["slurm"]}, r"m.scheduler = \['slurm'\]: must be one of shell"),
        ({"minutes": True}, r"m.minutes = True: must be a number"),
        ({"modules": ["vasp 'x"]}, r"m.modules = \"vasp 'x\": must be plain words"),
        ({"partition": "-x"}, r"m.partition = '-x': must be a word"),
    ],
)
def test_bad_machines(keys, message):
    with pytest.raises(ValueError, match=message) as error:
        read_machines({"m": keys})
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_bad_files_of_machines(tmp_path):
    path = tmp_path / "machines.yaml"
    for text, message in (
        ("a: [", "is not plain YAML"),
        ("- a\n", "must hold machines by name"),
        ("a: 3\n", "machines: a = 3: must be keys and values"),
        (f"a: !!python/object/apply:os.system ['touch {tmp_path}/owned']\n", "is not plain YAML"),
        ("'a;b': {}\n", "names are letters"),
        (
            "a: {cores: 1}\nb: {}\na: {cores: 2}\n",
            "'a' occurs twice in the mapping that begins at line 1",
        ),
        (
            "a: {cores: 1, cores: 2}\n",
            "'cores' occurs twice in the mapping that begins at line 1; keep one",
        ),
        ("a: {environment: {A: 1, A: 2}}\n", "'A' occurs twice"),
        ("", "must hold machines by name"),
        ("# nothing\n", "must hold machines by name"),
        ("a:\n\tcores: 1\n", "is not plain YAML: .*cannot start any token"),
        ("a: {}\n---\nb: {}\n", "is not plain YAML: expected a single document"),
        ("a: 0\n", "machines: a = 0: must be keys and values"),
        ("a: 2026-13-45\n", "is not plain YAML: month must be in 1..12"),
        ("[" * 5000, "is not plain YAML: nested too deeply"),
        ("a: {flags: &f [*f]}\n", r"machines: a.flags = \[\[...\]\]: must be a list"),
        ("? [a]\n: {}\n", "is not plain YAML: .*unhashable"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message) as error:
            read_machines(path)
        assert "\n" not in str(error.value) and str(error.value).startswith("machines")
    assert not (tmp_path / "owned").exists()
    with pytest.raises(ValueError, match=r"machines = '.*/none.yaml': cannot be read: .*No such"):
        read_machines(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="none of here lists 'vasp' among its codes"):
        AutoDFT(tmp_path / "l.db", DFTSettings.paper("vasp"), {"here": {"codes": ["gpaw"]}})


def test_machines_may_share_keys_by_yamls_merge(tmp_path):
    """A key that is merged in and given again does not count as given twice."""
    path = tmp_path / "m.yaml"
    path.write_text("a: &a {cores: 2, frames: 5}\nb:\n  <<: *a\n  cores: 3\n")
    machines = read_machines(path)
    assert (machines["b"].cores, machines["b"].frames) == (3, 5)
    with pytest.raises(ValueError, match="machines: 5 occurs twice"):
        read_machines({"5": {}, 5: {}})


def test_nothing_reaches_a_shell_unquoted(tmp_path):
    """Folders, values and frames contain shell code, on a machine that uses a shell."""
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
    # a command is split into words, without a shell
    machine["command"] = f"{sys.executable} ; touch {tmp_path}/owned"
    other = AutoDFT(folder / "other.db", EXTERNAL, {"here": machine}, poll=0.1, attempts=1)
    other.add(frames[:1])
    other.run()
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempts": 0}, "attempts = 0: must be a whole number, 1 or more"),
        ({"closest": 1.5}, "closest = 1.5: must be at least 0 and below 1"),
        ({"poll": 0}, "poll = 0: must be a number above 0"),
        ({"poll": "x"}, "poll = 'x': must be a number above 0"),
        ({"closest": None}, "closest = None: must be at least 0 and below 1"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        AutoDFT(tmp_path / "l.db", EXTERNAL, **arguments)


def test_arguments_of_another_kind(tmp_path):
    for ledger, settings, machines, message in (
        (5, None, None, "ledger = 5: must be a file"), (b"x", None, None, "ledger = b'x': must be"),
        (tmp_path / "l.db", "vasp", None, "settings = 'vasp': must be DFTSettings, such as"),
        (tmp_path / "l.db", None, 5, "machines = 5: must be a file or a dictionary"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            AutoDFT(ledger, settings, machines)


def test_damaged_ledgers_are_reported_in_a_line(tmp_path):
    """Ledgers cut at any length; then one that is cut while a driver has it open."""
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    dft.add(rattled(60))
    dft.close()
    whole = (tmp_path / "l.db").read_bytes()
    n_told = 0
    for size in (50, 100, 4096, *range(10_000, len(whole), len(whole) // 9)):
        (tmp_path / "cut.db").write_bytes(whole[:size])
        with pytest.raises((ValueError, RuntimeError), match="ledger = '.*cut.db': ") as error:
            cut = AutoDFT(tmp_path / "cut.db", EXTERNAL)
            cut.add(rattled(90))
            cut.labelled()
        assert "\n" not in str(error.value)
        n_told += 1
    assert n_told >= 12
    (tmp_path / "cut.db").write_bytes(b"")  # SQLite makes a new one of an empty file
    assert AutoDFT(tmp_path / "cut.db", EXTERNAL).add(rattled(1)).new == 1
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL)
    os.truncate(tmp_path / "l.db", 5000)
    for call in (dft.status, dft.labelled, dft.failures, dft.retry, lambda: dft.add(rattled(1))):
        with pytest.raises(RuntimeError, match="l.db': database disk image is malformed; its con"):
            call()


def test_a_row_that_is_damaged_costs_no_other(tmp_path):
    """Damage the positions of one frame, one label and one info."""
    pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, HERE, poll=0.1)
    frames = rattled(4)
    dft.add(frames)
    with sqlite3.connect(tmp_path / "l.db") as database:
        database.execute("UPDATE systems SET positions = x'00' WHERE id = 2")
        # an info with a name of ASE's JSON, as earlier versions kept it
        bad = ase.db.connect(tmp_path / "l.db").encode({"info": {"__ndarray__": "x"}}, binary=True)
        database.execute("UPDATE systems SET data = ? WHERE id = 3", (bad,))
    status = dft.run()
    assert status.states["done"] == 3 and status.states["given up"] == 1
    assert status.reasons == {"its row in the ledger is damaged": 1}
    assert [label.info["key"] for label in dft.labelled()] == [
        EXTERNAL.key(frames[number]) for number in (0, 2, 3)
    ]
    with sqlite3.connect(tmp_path / "l.db") as database:
        database.execute("UPDATE systems SET data = x'00' WHERE id = 1")
    with pytest.warns(UserWarning, match=f"key {EXTERNAL.key(frames[0])} is damaged, and left"):
        assert dft.export(tmp_path / "x.xyz", "extxyz") == 2


def test_the_database_of_another_program_is_not_touched(tmp_path):
    path = tmp_path / "history.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE visits (id)")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds the tables visits of another program; give a file"):
        AutoDFT(path, EXTERNAL)
    assert path.read_bytes() == before
    with sqlite3.connect(tmp_path / "ase.db") as database:
        ase.db.connect(tmp_path / "ase.db").write(bulk("Cu"))
        database.execute("CREATE TABLE tasks (id)")
    with pytest.raises(ValueError, match="no such column: settings; give a file that can be writt"):
        AutoDFT(tmp_path / "ase.db", EXTERNAL)


def test_files_that_are_not_ledgers(tmp_path):
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
    """Start a server; yield it and a machine that is reached through it with a key."""
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
    """Label on a machine over SSH."""
    dft = AutoDFT(tmp_path / "l.db", EXTERNAL, {"far": ssh[1]}, poll=0.2)
    frames = rattled(6)
    dft.add(frames)
    assert dft.run().machines == {"far": {"done": 6}}
    for frame, label in zip(frames, dft.labelled(), strict=True):
        frame.calc = EMT()
        assert label.get_potential_energy() == frame.get_potential_energy()


def test_host_that_hangs_keeps_nobody_waiting(ssh, tmp_path, monkeypatch):
    """Its connections hang; the others continue, and it does when it wakes."""
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
        # 12 frames, 3 of which are on the host that hangs
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

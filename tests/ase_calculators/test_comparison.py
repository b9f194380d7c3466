# SPDX-License-Identifier: BSD-3-Clause
"""Comparison of models by a test set and by speed, with potentials that ship with LAMMPS."""

import csv
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import EntropySymmetry, LandscapeTable
from ase_calculators.distillation import (
    Committee,
    LabelTime,
    compare_models,
    label_time,
    speed_ladder,
)
from ase_calculators.distillation.coverage import Visits
from ase_calculators.validation import LammpsPotential

MM = "pair_style eam/fs; pair_coeff * * Al_mm.eam.fs Al"
JEA = "pair_style eam/alloy; pair_coeff * * NiAlH_jea.eam.alloy Al"
# a test set read from a file has forces of eight decimals, 1e-5 meV/Å
TIGHT = {"rel": 1e-6, "abs": 1e-5}


class Counting(Calculator):
    """EMT with a scale, which counts its calls and may fail or be slow."""

    implemented_properties = ("energy", "forces")

    def __init__(self, scale=1.0, fails=None, seconds=0.0, shift=0.0):
        super().__init__()
        self.scale, self.fails, self.seconds, self.n = scale, fails, seconds, 0
        self.shift = shift

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Calculate as ASE asks for it."""
        super().calculate(atoms, properties, system_changes)
        self.n += 1
        time.sleep(self.seconds)
        if self.fails == "raises":
            raise RuntimeError("the network\nis lost")
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces"])
        self.results = {
            "energy": self.scale * emt.results["energy"] + self.shift,
            "forces": self.scale * emt.results["forces"],
        }
        if self.fails == "NaN":
            self.results["forces"][0, 0] = np.nan


@pytest.fixture(scope="module")
def frames():
    """Cells of 4 to 16 Al atoms, labelled by Al_mm."""
    calculator, rng = LammpsPotential(MM, "Al"), np.random.default_rng(3)
    found = []
    for size in ((2, 2, 1), (1, 1, 1), (2, 1, 1)) * 4:
        atoms = bulk("Al", cubic=True, a=4.05) * size
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3))), True)
        atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)
        atoms.calc = calculator
        results = {k: atoms.calc.get_property(k, atoms) for k in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def compared(frames, tmp_path_factory):
    """Two potentials and one that fails, on the landscape and by an elastic property."""
    folder = tmp_path_factory.mktemp("comparison")
    models = {
        "Al_mm": MM, "jea": LammpsPotential(JEA, "Al"), "EMT": Counting(),
        "lost": Counting(fails="raises"), "NaN": Counting(fails="NaN"),
    }  # fmt: skip
    ase.io.write(folder / "test.extxyz", frames)
    return compare_models(
        folder / "test.extxyz", models, folder / "out", EntropySymmetry(5.5, 0.2, 3.5),
        ["elastic_constants"], "Al", progress=False,
    )  # fmt: skip


def test_errors_are_those_calculated_by_hand(compared, frames):
    calculator = LammpsPotential(JEA, "Al")
    energy, forces, virial, rms = [], [], [], []
    for atoms in frames:
        copy = atoms.copy()
        copy.calc = calculator
        n = len(atoms)
        energy.append((copy.get_potential_energy() - atoms.get_potential_energy()) / n)
        difference = copy.get_forces() - atoms.get_forces()
        forces += difference.ravel().tolist()
        rms.append(np.sqrt(np.mean(difference**2)))
        sigma = copy.get_stress(voigt=False) - atoms.get_stress(voigt=False)
        virial += (-sigma * atoms.cell.volume / n).ravel().tolist()
    summary = compared.errors["jea"].summary()
    for name, by_hand in (("energy", energy), ("forces", forces), ("virial", virial)):
        by_hand = 1e3 * np.array(by_hand)
        assert np.abs(by_hand).max() > 10
        expected = {
            "RMSE": np.sqrt(np.mean(by_hand**2)), "MAE": np.abs(by_hand).mean(),
            "mean": by_hand.mean(),
        }  # fmt: skip
        assert summary[name] == pytest.approx(expected, **TIGHT)
    per_frame = compared.errors["jea"].of_frames()
    assert per_frame["forces"] == pytest.approx(1e3 * np.array(rms), **TIGHT)
    # the model that made the labels; the file of the test set keeps eight decimals
    own = compared.errors["Al_mm"].summary()
    assert max(kinds["RMSE"] for kinds in own.values()) < 1e-3
    half = np.arange(12) < 6
    part = compared.errors["jea"].take(half)
    assert part.energy == pytest.approx(compared.errors["jea"].energy[:6])
    assert len(part.forces) == sum(len(atoms) for atoms in frames[:6])


def test_failures_are_told_and_the_others_go_on(compared):
    assert list(compared.errors) == ["Al_mm", "jea", "EMT"]
    assert compared.failed == {
        "lost": "frame 0: the calculator failed: the network is lost",
        "NaN": "frame 0: the forces is not finite",
    }
    assert compared.errors["EMT"].virial is None
    assert "- lost: FAILED: frame 0" in compared.markdown()


def test_files(compared):
    folder = compared.folder
    for name in ("histograms", "boxes", "parity", "landscape"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
    with open(folder / "errors.csv", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 12 and float(rows[3]["sS"]) == compared.table.sS[3]
    assert float(rows[3]["jea energy"]) == pytest.approx(compared.errors["jea"].energy[3], 1e-5)
    text = (folder / "comparison.md").read_text()
    assert "| C11 | GPa | 114.3 | 110.3 |" in text
    record = json.loads((folder / "comparison.json").read_text())
    assert record["models"]["jea"]["forces"]["RMSE"] > 10 and record["versions"]["lammps"]
    model = json.loads((folder / "Al_mm.json").read_text())
    assert len(model["identity"]["files"]["Al_mm.eam.fs"]) == 64 and model["n_frames"] == 12


def test_a_model_is_asked_once(frames, tmp_path):
    model = Counting()
    first = compare_models(frames, {"EMT": model}, tmp_path, progress=False)
    assert model.n == 12
    again = compare_models(frames, {"EMT": model}, tmp_path, progress=False)
    assert model.n == 13  # one frame tells that it is the same model
    assert (again.errors["EMT"].energy == first.errors["EMT"].energy).all()
    other = Counting(scale=1.1)
    changed = compare_models(frames, {"EMT": other}, tmp_path, progress=False)
    assert other.n == 12 and (changed.errors["EMT"].energy != first.errors["EMT"].energy).all()
    # a record without its end, as after a kill
    (tmp_path / "EMT.json").write_text("{")
    compare_models(frames, {"EMT": other}, tmp_path, progress=False)
    assert other.n == 24
    compare_models(frames[:5], {"EMT": other}, tmp_path, progress=False)
    assert other.n == 29
    # a model with files is known by them and calculates nothing
    compare_models(frames[:2], {"jea": JEA}, tmp_path, element="Al", progress=False)
    record = tmp_path / "jea.json"
    before = record.stat().st_mtime_ns
    compare_models(frames[:2], {"jea": JEA}, tmp_path, element="Al", progress=False)
    assert record.stat().st_mtime_ns == before


def test_a_perfect_crystal_tells_models_apart_by_its_energy(frames, tmp_path):
    crystal = bulk("Al", cubic=True)
    crystal.calc = SinglePointCalculator(crystal, energy=0.0, forces=np.zeros((4, 3)))
    for model in (Counting(), Counting(shift=0.01)):  # no forces, of either
        compare_models([crystal, *frames[:2]], {"EMT": model}, tmp_path, progress=False)
        assert model.n >= 3


def test_a_file_of_commands_is_known_by_the_files_that_it_names(frames, tmp_path, monkeypatch):
    import lammps_plugin

    lammps_plugin.plugin_folder()  # names the folder of potentials
    parameters = Path(os.environ["LAMMPS_POTENTIALS"], "NiAlH_jea.eam.alloy").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "al.mod").write_text("pair_style eam/alloy\npair_coeff * * mine.eam.alloy Al\n")
    seen = []
    for comment in ("", "", "trained again "):
        (tmp_path / "mine.eam.alloy").write_text(comment + parameters)
        compared = compare_models(
            frames[:2], {"EAM": "al.mod"}, "out", element="Al", progress=False
        )
        assert not compared.failed
        ladder = speed_ladder({"EAM": "al.mod"}, (1,), "out", seconds=0.01, progress=False)
        assert not ladder.notes
        record = json.loads((tmp_path / "out" / "EAM.json").read_text())
        seen.append((record["asked"], ladder.rows[0]["wall"]))
    assert set(record["identity"]["files"]) == {"al.mod", "mine.eam.alloy"}
    assert seen[0] == seen[1] != seen[2] and seen[1][1] != seen[2][1]


def test_a_model_is_opened_and_hashed_once(frames, tmp_path, monkeypatch):
    """A file of commands, commands and a callable, each also compared by a property."""
    import lammps_plugin

    lammps_plugin.plugin_folder()
    parameters = Path(os.environ["LAMMPS_POTENTIALS"], "NiAlH_jea.eam.alloy").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("one.eam.alloy", "two.eam.alloy"):
        (tmp_path / name).write_text(parameters)
    (tmp_path / "al.mod").write_text("pair_style eam/alloy\npair_coeff * * one.eam.alloy Al\n")
    (tmp_path / "counted_model.py").write_text(
        "from ase.calculators.emt import EMT\n\nopened = []\n\n\ndef model():\n"
        "    opened.append(EMT())\n    return opened[-1]\n"
    )
    opened, start = [], LammpsPotential.__init__

    def counted(self, *arguments):
        opened.append(arguments)
        start(self, *arguments)

    monkeypatch.setattr(LammpsPotential, "__init__", counted)
    read: list[str] | None = []

    def note(event, arguments):
        if read is not None and event == "open" and str(arguments[0]).endswith(".eam.alloy"):
            read.append(Path(arguments[0]).name)

    sys.addaudithook(note)
    models = {
        "file": "al.mod", "commands": "pair_style eam/alloy; pair_coeff * * two.eam.alloy Al",
        "callable": "counted_model:model",
    }  # fmt: skip
    compared = compare_models(frames[:2], models, "out", None, ["bain_path"], "Al", progress=False)
    hashed, read = read, None
    assert not compared.failed and not any(report.failed for report in compared.reports)
    assert len(opened) == 2
    assert sorted(hashed) == ["one.eam.alloy", "two.eam.alloy"]
    import counted_model

    assert len(counted_model.opened) == 1


def test_files_of_one_name_have_entries_of_their_own(frames, tmp_path, monkeypatch):
    import lammps_plugin

    lammps_plugin.plugin_folder()
    parameters = Path(os.environ["LAMMPS_POTENTIALS"], "NiAlH_jea.eam.alloy").read_text()
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "eam.alloy").write_text(f"{folder} {parameters}")
    commands = ["pair_style hybrid/overlay eam/alloy eam/alloy",
                "pair_coeff * * eam/alloy 1 a/eam.alloy Al",
                "pair_coeff * * eam/alloy 2 b/eam.alloy Al"]  # fmt: skip
    members = [EMT(), EMT()]
    for name, model in (
        ("hybrid", commands), ("committee", Committee(members, ["a/eam.alloy", "b/eam.alloy"]))
    ):  # fmt: skip
        compared = compare_models(
            frames[:1], {name: model}, "out", None, ["bain_path"], "Al", progress=False
        )
        assert not compared.failed
        properties = tmp_path / "out" / "properties" / name / "bain_path.json"
        for record in (tmp_path / "out" / f"{name}.json", properties):
            files = json.loads(record.read_text())["identity"]["files"]
            assert files == {
                f"{folder}/eam.alloy":
                hashlib.sha256((tmp_path / folder / "eam.alloy").read_bytes()).hexdigest()
                for folder in ("a", "b")
            }  # fmt: skip


def test_align_takes_the_mean_away(frames, tmp_path):
    models = {"EMT": Counting()}
    plain = compare_models(frames, models, tmp_path, progress=False).errors["EMT"]
    aligned = compare_models(frames, models, tmp_path, align=True, progress=False).errors["EMT"]
    assert aligned.energy == pytest.approx(plain.energy - plain.energy.mean())
    assert abs(plain.energy.mean()) > 1000 and (aligned.forces == plain.forces).all()


def test_properties_outside_the_coverage_are_named(frames, tmp_path):
    calc = EntropySymmetry(5.5, 0.2, 3.5)
    crystals = [bulk("Al", a=a) for a in np.linspace(3.2, 4.7, 76)]

    def shares(train, **options):
        compared = compare_models(
            frames[:1], {"jea": JEA}, tmp_path, calc, ["equation_of_state", "bain_path"], "Al",
            train=train, progress=False, **options,
        )  # fmt: skip
        said = (tmp_path / "comparison.md").read_text()
        record = json.loads((tmp_path / "comparison.json").read_text())
        assert record["outside"] == compared.outside
        return compared.outside["jea"], said

    found, said = shares(crystals)
    # isotropic strains of fcc are all between two of its frames; the way to bcc leaves them
    assert found["equation_of_state"] == 0 and 0.5 < found["bain_path"] < 1
    share = f"{100 * found['bain_path']:.0f} %"
    assert f"- jea, bain_path: outside the coverage: {share} of its structures" in said
    assert "equation_of_state: outside" not in said
    # by hand, from the structures that were seen: nearest frame, in cells
    seen = LandscapeTable.read(tmp_path / "properties" / "jea" / "equation_of_state.landscape.csv")
    assert 10 < len(seen) <= 64
    # results that are there are not calculated again, and their places are known still
    (tmp_path / "properties" / "jea" / "bain_path.landscape.csv").unlink()
    again, said = shares(crystals[30:32])
    assert again["bain_path"] is None
    assert "- jea, bain_path: outside the coverage: not known" in said
    places = [
        [calc.get_property(name, atoms) for name in ("sS", "Q6")] for atoms in crystals[30:32]
    ]
    far = [min(np.hypot((sS - s) / 0.4, (Q - q) / 0.02) for s, q in places) > 1
           for sS, Q in zip(seen.sS, seen.Q, strict=True)]  # fmt: skip
    assert again["equation_of_state"] == np.mean(far) > 0
    assert shares(crystals[:1], cell=(100.0, 1.0))[0]["equation_of_state"] == 0


def test_structures_are_kept_evenly(tmp_path):
    visits = Visits(tmp_path, EntropySymmetry(5.5, 0.2, 3.5))
    for k in range(1000):
        visits("one", bulk("Al", a=3.5 + k / 1000))
    kept = [round(1000 * (atoms.cell[0].max() * 2 - 3.5)) for atoms in visits.frames]
    assert 32 <= len(kept) < 64 and set(np.diff(kept)) == {16} and kept[0] == 0
    visits("two", bulk("Al"))
    assert len(LandscapeTable.read(tmp_path / "one.landscape.csv")) == len(kept)


def test_bad_input(frames, tmp_path):
    bare = [frames[0], frames[1].copy(), frames[2]]
    bad = [
        ((bare, {"a": EMT()}), {}, "test_set: frame 1: energy is missing; label them"),
        (([], {"a": EMT()}), {}, "test_set: there are no frames"),
        ((frames, {}), {}, "models: there are none"),
        ((frames, {"a b": EMT(), "a_b": EMT()}), {}, "models: a b, a_b give the same file names"),
        ((frames, {"a": EMT()}), {"properties": ["vacancy"]}, "element = None: properties need"),
        ((frames, {"a": EMT()}), {"train": frames}, "calc = None: train needs it"),
        ((frames, {"a": EMT()}), {"cell": (0, 1)}, r"cell = \(0, 1\): must be"),
    ]
    for arguments, options, message in bad:
        with pytest.raises(ValueError, match=message):
            compare_models(*arguments, tmp_path, **options)
    failed = compare_models(
        frames[:1], {"a": JEA, "b": 3, "c": "nowhere.pb"}, tmp_path, progress=False
    ).failed
    assert failed["a"].startswith("element = None: LAMMPS commands need")
    assert failed["b"].startswith("model = 3: is neither an ASE calculator nor a path")
    assert failed["c"].startswith("model = 'nowhere.pb': there is no such file")


# --- speed ----------------------------------------------------------------------------------------


def test_speed_ladder(tmp_path):
    models = {
        "Al_mm": MM, "Al_mm in ASE": LammpsPotential(MM, "Al"), "slow": Counting(seconds=0.05),
        "lost": Counting(fails="raises"),
    }  # fmt: skip
    dft = LabelTime(900.0, 3, "a number of ours")
    ladder = speed_ladder(models, (2, 1), tmp_path, dft=dft, seconds=0.2, progress=False)
    by = {(row["model"], row["n_atoms"]): row for row in ladder.rows}
    assert by["DFT", 3]["wall"] == 3e8
    # each step sleeps 0.05 s, which counts as wall time but not as processor time
    slow = by["slow", 32]
    assert slow["wall"] > 0.05e6 / 32 and slow["cpu"] < slow["wall"]
    assert by["Al_mm", 32]["steps"] > 10 and by["Al_mm", 32]["host"] == "LAMMPS"
    # the same potential, called through Python
    assert by["Al_mm in ASE", 32]["cpu"] > by["Al_mm", 32]["cpu"]
    assert ("lost", 4) not in by
    assert any("lost, 1: FAILED: the network is lost" in note for note in ladder.notes)
    text = ladder.markdown()
    assert text.index("| DFT |") < text.index("| slow |") < text.index("| Al_mm in ASE |")
    assert "- DFT: a number of ours, 900 s for 3 atoms" in text
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    # measured once
    n = models["slow"].n
    again = speed_ladder(models, (2, 1), tmp_path, dft=dft, seconds=0.2, progress=False)
    assert again.rows == ladder.rows
    assert models["slow"].n == n + 2  # a calculation in each cell tells that it is the same model


def test_speeds_of_models_without_files_are_told_apart(tmp_path):
    """Two networks of one class under one name."""
    fast, slow = Counting(), Counting(scale=1.1, seconds=0.05)
    rows = [
        speed_ladder({"network": model}, (1,), tmp_path, seconds=0.1, progress=False).rows[0]
        for model in (fast, slow)
    ]
    assert rows[1]["wall"] > 0.05e6 / 4 > rows[0]["wall"]  # microseconds, four atoms


def test_time_of_labels(frames):
    timed = [atoms.copy() for atoms in frames[:3]]  # 16, 4 and 8 atoms
    for atoms, seconds in zip(timed, (32.0, 4.0, 80.0), strict=True):
        atoms.info["wall"] = seconds
    found = label_time(timed, cores=8)
    assert found.seconds / found.n_atoms == 16.0 and "median of 3 labels" in found.source
    with pytest.raises(ValueError, match=r"none has info\['wall'\]"):
        label_time(frames)


def test_speed_of_nothing(tmp_path):
    for arguments, options, message in (
        (({}, (2,)), {}, "models, sizes: give at least one"),
        (({"a": EMT()}, (2,)), {"clock": "sun"}, "clock = 'sun': must be wall or cpu"),
        (({"a": EMT()}, (2,)), {"crystal": "hcp"}, "crystal = 'hcp': must be fcc or bcc"),
    ):
        with pytest.raises(ValueError, match=message):
            speed_ladder(*arguments, tmp_path, **options)

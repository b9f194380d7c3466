# SPDX-License-Identifier: BSD-3-Clause
"""Stacks of aluminium, more test frames, and the run that labels them and resumes."""

import sys
from argparse import Namespace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from ase_calculators.training_sets import check_labels

REFERENCE = Path(__file__).parent
FAULTS = REFERENCE / "al_faults_pbe"


@pytest.fixture(scope="module")
def stacks():
    pytest.importorskip("dpdispatcher", reason="pip install 'entsym[dft]'")
    sys.path.insert(0, str(FAULTS))
    import stacks

    return stacks


def settings_of(stacks):
    return stacks.StackSettings(
        "gpaw", cutoff=300.0, k_spacing=0.0215, smearing=0.2, in_plane=20, layers=24,
        options={"eigensolver": {"name": "rmm-diis"}},
    )  # fmt: skip


def test_stacks_are_close_packed_and_have_one_mesh(stacks):
    frames = ase.io.read(FAULTS / "labels.extxyz", ":")
    check_labels(frames)
    settings = settings_of(stacks)
    perfect = [a for a in frames if a.info["name"].endswith("d=1.0")]
    assert len(perfect) >= 16
    for atoms in perfect:
        assert settings.mesh(atoms) == (20, 20, -(-24 // len(atoms)))
        # twelve neighbours, all as far
        a = float(atoms.info["name"].split("a=")[1].split()[0])
        images = (atoms * (3, 3, 3)).get_all_distances(mic=True)
        near = np.sort(images + 9 * np.eye(len(images)), axis=1)[:, :12]
        assert near == pytest.approx(a / np.sqrt(2), rel=1e-6)


def test_a_finished_set_is_written_again_without_a_calculation(stacks, tmp_path, capsys):
    known = ase.io.read(FAULTS / "labels.extxyz", ":3")
    output = tmp_path / "labels.extxyz"
    ase.io.write(output, known)
    cells = []
    for atoms in known:
        cells.append(atoms.copy())
        cells[-1].info = {"name": atoms.info["name"]}
    args = Namespace(
        folder=tmp_path, output=output, labels=None, collect=False, cheapest=False, cores=1
    )
    stacks.label(cells, settings_of(stacks), args)
    assert "3 of 3 cells are labelled" in capsys.readouterr().out
    again = ase.io.read(output, ":")
    for old, new in zip(known, again, strict=True):
        assert new.get_potential_energy() == old.get_potential_energy()
        assert new.get_forces() == pytest.approx(old.get_forces(), abs=1e-8)
    assert (tmp_path / "labels.settings.json").exists()


def test_more_test_frames_keep_the_split(stacks, monkeypatch):
    monkeypatch.syspath_prepend(str(REFERENCE / "al_pbe"))
    frames = ase.io.read(REFERENCE / "al_pbe" / "labels.extxyz", ":")
    more = ase.io.read(REFERENCE / "al_pbe" / "test.extxyz", ":")
    check_labels([*frames, *more])  # of the same settings
    from make import CALCULATOR
    from make_held_out import SPLIT

    from ase_calculators import EntropySymmetry, map_landscape
    from ase_calculators.distillation import split_sets

    parts = []
    for library in (frames, [*frames, *more]):
        table = map_landscape(library, EntropySymmetry(**CALCULATOR), progress=False)
        parts.append(split_sets(table, labelled=np.ones(len(library), dtype=bool), **SPLIT))
    before, after = parts
    assert np.array_equal(before.standard, after.standard) and len(before.standard) == 125
    assert set(after.test) == {*before.test, *range(len(frames), len(frames) + len(more))}


def test_iridium_has_cells_of_its_own_making(stacks, monkeypatch):
    monkeypatch.syspath_prepend(str(REFERENCE / "ir_pbe"))
    monkeypatch.delitem(sys.modules, "make", raising=False)  # al_pbe has one too
    import make

    frames = ase.io.read(REFERENCE / "ir_pbe" / "frames.extxyz", ":")
    names = ("standard", "test", "stacks", "defects", "rhenium", "strained", "elastic", "phonons",
             "compressed")  # fmt: skip
    parts = {part: [a for a in frames if a.info["part"] == part] for part in names}
    assert [len(cells) for cells in parts.values()] == [120, 30, 32, 10, 24, 22, 4, 4, 6]
    made = {"stacks": make.stacks(np.random.default_rng(make.SEED)),
            "defects": make.defects(np.random.default_rng(make.SEED)),
            "rhenium": make.rhenium(parts["standard"]),
            "strained": make.strained(np.random.default_rng(make.SEED)),
            "elastic": make.elastic(), "phonons": make.phonons(),
            "compressed": make.compressed()}  # fmt: skip
    for part, cells in made.items():
        for (atoms, name), kept in zip(cells, parts[part], strict=True):
            assert name == kept.info["name"] and list(atoms.symbols) == list(kept.symbols)
            assert atoms.cell.array == pytest.approx(kept.cell.array, abs=1e-7)
            assert atoms.positions == pytest.approx(kept.positions, abs=1e-7)
    for atoms in parts["rhenium"]:
        assert atoms.symbols.formula.count()["Re"] == 1


def test_the_cheapest_cells_come_first(stacks, monkeypatch, tmp_path):
    batches = []
    monkeypatch.setattr(stacks.AutoDFT, "add", lambda self, cells: batches.append(cells) or Added())
    monkeypatch.setattr(stacks.AutoDFT, "run", lambda self: "")
    frames = ase.io.read(REFERENCE / "ir_pbe" / "frames.extxyz", ":24")
    args = Namespace(
        folder=tmp_path, output=tmp_path / "labels.extxyz", labels=None, collect=False,
        cheapest=True, cores=1,
    )  # fmt: skip
    settings = settings_of(stacks)
    stacks.label(frames, settings, args)
    costs = [settings.cost(atoms) for batch in batches for atoms in batch]
    assert len(costs) == 24 and costs == sorted(costs)


class Added:
    """What AutoDFT.add returns, nothing refused."""

    refused = ()

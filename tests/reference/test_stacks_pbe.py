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
    args = Namespace(folder=tmp_path, output=output, labels=None, collect=False, cheapest=False, cores=1)
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

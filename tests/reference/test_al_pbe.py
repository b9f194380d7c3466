# SPDX-License-Identifier: BSD-3-Clause
"""The aluminium data set: the claims of its README, and one label computed again."""

import json
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from ase_calculators import EntropySymmetry
from ase_calculators.training_sets import check_labels

FOLDER = Path(__file__).parent / "al_pbe"
SETTINGS = json.loads((FOLDER / "labels.settings.json").read_text())


@pytest.fixture(scope="module")
def frames():
    return ase.io.read(FOLDER / "labels.extxyz", ":")


def test_all_are_there_complete_and_of_one_kind(frames):
    check_labels(frames)
    assert [sum(len(a) == n for a in frames) for n in (2, 4, 6, 8)] == [39] * 4
    assert len({a.info["key"] for a in frames}) == 156
    for name in ("settings", "version", "pseudopotentials"):
        assert len({str(a.info[name]) for a in frames}) == 1
    for atoms in frames:
        # net force of a plane-wave code on a grid
        assert np.abs(atoms.get_forces().sum(axis=0)).max() < 0.02
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        np.testing.assert_allclose(atoms.info["virial"], virial, atol=1e-9)


def test_they_are_where_they_say_and_spread_over_the_landscape(frames):
    calc = EntropySymmetry(rmax=6.0, sigma=0.25, q6_cutoff=3.6)
    places = []
    for atoms in frames:
        calc.calculate(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True))
        places.append((calc.results["sS"], calc.results["Q6"]))
        assert places[-1] == pytest.approx((atoms.info["sS"], atoms.info["Q6"]), abs=1e-6)
    assert np.ptp(places, axis=0) == pytest.approx([6.6, 0.61], abs=0.1)
    assert len(np.unique(np.floor(np.array(places) / (0.5, 0.05)), axis=0)) > 60


@pytest.mark.slow
def test_a_label_is_what_gpaw_says_again(frames, tmp_path):
    pytest.importorskip("gpaw", reason="install GPAW as input_templates/autodft/README.md says")
    pytest.importorskip("dpdispatcher", reason="pip install 'entsym[dft]'")
    from ase_calculators.autodft import AutoDFT, DFTSettings

    settings = DFTSettings(**{k: v for k, v in SETTINGS.items() if v is not None})
    machine = {"python": sys.executable, "capacity": 1, "environment": {"OMP_NUM_THREADS": 1}}
    dft = AutoDFT(tmp_path / "labels.db", settings, {"here": machine})
    known = min(frames, key=settings.cost)
    dft.add([Atoms(known.numbers, known.positions, cell=known.cell, pbc=True)])
    dft.run()
    (again,) = dft.labelled()
    assert again.get_potential_energy() == pytest.approx(known.get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(again.get_forces(), known.get_forces(), atol=2e-3)
    np.testing.assert_allclose(again.get_stress(), known.get_stress(), atol=2e-5)

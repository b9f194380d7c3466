# SPDX-License-Identifier: BSD-3-Clause
"""The published sets of Mo and Si: sizes, and elastic constants from their stresses."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import units

from ase_calculators.training_sets import check_labels

FOLDER = Path(__file__).parent
SETS = {
    "mlearn/Mo_training": (194, 10087), "mlearn/Mo_test": (23, 1189),
    "mlearn/Si_training": (214, 13233), "mlearn/Si_test": (25, 1525),
    "maml_mo/Mo_AIMD": (200, 10800), "maml_mo/Mo_Elastic": (121, 242),
}  # fmt: skip
PLACES = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def read(name):
    return ase.io.read(FOLDER / f"{name}.extxyz.xz", ":")


@pytest.mark.parametrize("name", SETS)
def test_size_and_labels(name):
    frames = read(name)
    assert (len(frames), sum(map(len, frames))) == SETS[name]
    check_labels(frames[:5])  # the format; a check of all takes a minute
    for atoms in frames:
        assert atoms.pbc.all()
        assert np.abs(atoms.get_forces().sum(axis=0)).max() < 0.1


def elastic(frames, reference):
    """Fit C11, C12, C44 (GPa) to stresses of cells that are small strains of a cubic one."""
    rows, values = [], []
    for atoms in frames:
        if len(atoms) != len(reference):
            continue
        deformation = np.linalg.solve(reference.cell.array, atoms.cell.array)
        strain = 0.5 * (deformation @ deformation.T - np.eye(3))
        if np.abs(strain).max() > 0.03:
            continue
        e = np.array([strain[k] * (1 if k[0] == k[1] else 2) for k in PLACES])
        stress = (atoms.get_stress() - reference.get_stress()) / units.GPa
        for k in range(3):
            rows.append([e[k], e[:3].sum() - e[k], 0.0])
        rows += [[0.0, 0.0, e[k]] for k in (3, 4, 5)]
        values += stress.tolist()
    return np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0], len(values) // 6


def test_elastic_constants_of_molybdenum():
    """Experiment at 300 K (Landolt-Boernstein): 464, 159, 109 GPa; a wrong sign or order shows."""
    frames = [a for a in read("mlearn/Mo_training") if a.info["group"] == "Elastic"]
    reference = next(a for a in frames if a.info["description"] == "Ground state crystal")
    constants, n = elastic(frames, reference)
    assert n > 10
    np.testing.assert_allclose(constants, (480, 164, 106), rtol=0.06)


@pytest.mark.parametrize(("name", "frames_of"), [
    ("mlearn/Mo_training", "Mo 3x3x3"), ("mlearn/Si_training", "Si 2x2x2"),
])  # fmt: skip
def test_each_shear_has_its_own_stress(name, frames_of):
    """The three shears of a cubic crystal are alike, and none has the stress of another."""
    found = {}
    for atoms in read(name):
        shear = (atoms.cell.array - np.diag(atoms.cell.lengths())) / atoms.cell.lengths()[0]
        e = np.array([shear[k] + shear[k[::-1]] for k in PLACES[3:]])
        if not atoms.info["description"].startswith(frames_of) or not 0 < np.abs(e).max() < 0.09:
            continue
        stress = atoms.get_stress()[3:] / units.GPa
        k = int(np.abs(e).argmax())
        assert np.abs(np.delete(stress, k)).max() < 0.5
        found.setdefault(k, []).append(stress[k] / e[k])
    means = [np.mean(found[k]) for k in range(3)]
    assert min(means) > 30
    np.testing.assert_allclose(means, means[0], rtol=0.02)


def test_energy_and_stress_agree():
    """Along a series of strains, the energy's slope is volume x stress: units, sign, order."""
    frames = read("maml_mo/Mo_Elastic")
    by_mode = {}
    for atoms in frames:
        mode, _, strain = atoms.info["description"].partition("--")
        by_mode.setdefault(mode, []).append((float(strain), atoms))
    checked = 0
    for series in by_mode.values():
        series.sort(key=lambda pair: pair[0])
        for (a, low), (b, middle), (c, high) in zip(series, series[1:], series[2:], strict=False):
            if not np.isclose(c - b, b - a) or c - b > 0.021:
                continue
            change = np.linalg.solve(low.cell.array, high.cell.array) - np.eye(3)
            strain = 0.5 * (change + change.T)
            work = np.sum(strain * middle.get_stress(voigt=False)) * middle.get_volume()
            energy = high.get_potential_energy() - low.get_potential_energy()
            if abs(energy) > 0.02:
                assert work == pytest.approx(energy, rel=0.1, abs=0.01)
                checked += 1
    assert checked > 20

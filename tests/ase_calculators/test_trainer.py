# SPDX-License-Identifier: BSD-3-Clause
"""Students and teachers at the points of a learning curve, for a few steps."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators.distillation.scaling import Trial, learning_curve, trainer
from ase_calculators.distillation.training import read_profile

pytestmark = pytest.mark.distillation
for name in ("mace", "deepmd"):
    pytest.importorskip(name, reason=f"{name} is missing: pip install 'entsym[distillation]'")

STEPS = 20


@pytest.fixture(scope="module")
def frames():
    """Rattled Al cells with EMT's labels."""
    found = []
    for seed in range(14):
        atoms = bulk("Al", cubic=True) * (2, 1, 1)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        results = {k: atoms.calc.get_property(k, atoms) for k in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def small(kind):
    """The small profile, shortened."""
    profile = read_profile("small", "mace" if kind == "teacher" else "student")
    return profile | {"max_num_epochs": 1} if kind == "teacher" else profile


@pytest.mark.parametrize("kind", ["student", "teacher"])
def test_a_point_of_a_curve(frames, tmp_path, kind):
    train = trainer(kind, small(kind), STEPS)
    trials = [Trial("all", np.arange(4, 14), 1)]
    arguments = (trials, frames, frames[:4], train, tmp_path)
    (record,) = learning_curve(*arguments, progress=False)
    rmse = record["errors"]["all"]
    # after so few steps any model passes: EMT's force on these atoms is 400 meV/Å
    assert 0 < rmse["forces"] < 5000 and min(rmse.values()) > 0
    # interrupted before its line was written, it is tested but not trained again
    files = [p for p in (tmp_path / record["key"]).rglob("*") if p.suffix in (".pb", ".model")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert files
    (tmp_path / "curve.jsonl").unlink()
    (again,) = learning_curve(*arguments, progress=False)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    # TensorFlow and torch may sum in another order
    assert again["errors"]["all"] == pytest.approx(rmse, rel=1e-5)
    if kind == "student":
        used = json.loads((tmp_path / record["key"] / "student" / "student.json").read_text())
        assert used["seed"] == 1 and used["input"]["training"]["numb_steps"] == STEPS
        assert "deviations" not in used  # not compressed

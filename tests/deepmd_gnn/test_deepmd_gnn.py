# SPDX-License-Identifier: BSD-3-Clause
"""MACE as a DeePMD model, the paper's teacher: train, freeze, calculate, run in LAMMPS.

Needs an environment of its own, and room for it: ``make test-deepmd-gnn``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

pytest.importorskip("deepmd_gnn", reason="deepmd-gnn has its own environment: make test-deepmd-gnn")
pytest.importorskip("dpdata", reason="dpdata: make test-deepmd-gnn")

TEMPLATE = Path(__file__).parents[2] / "input_templates" / "distillation"
STEPS = 20


def rattled(n, seed):
    """Return rattled and strained cells of 8 Al atoms with EMT's labels."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        atoms = bulk("Al", a=4.05, cubic=True) * (2, 1, 1)
        strain = np.eye(3) + 0.04 * rng.uniform(-1, 1, (3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, seed=int(rng.integers(1 << 30)))
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(),
                   "stress": atoms.get_stress()}  # fmt: skip
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def call(*command, cwd):
    """Run a command of this environment."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sets, the small input shortened, and the frozen model of it."""
    from ase_calculators.training_sets import write_deepmd

    folder = tmp_path_factory.mktemp("gnn")
    write_deepmd(rattled(8, 1), folder / "training")
    write_deepmd(rattled(2, 2), folder / "validation")
    settings = json.loads((TEMPLATE / "deepmd_gnn" / "input_small.json").read_text())
    training = settings["training"]
    training |= {"numb_steps": STEPS, "disp_freq": STEPS, "save_freq": STEPS}
    training["training_data"]["systems"] = ["training/Al8"]
    training["validation_data"]["systems"] = ["validation/Al8"]
    (folder / "input.json").write_text(json.dumps(settings))
    dp = Path(sys.executable).parent / "dp"
    call(dp, "--pt", "train", "input.json", "--skip-neighbor-stat", cwd=folder)
    call(dp, "--pt", "freeze", "-o", "frozen_model.pth", cwd=folder)
    return folder


def test_it_learns(folder):
    rows = np.loadtxt(folder / "lcurve.out")
    assert int(rows[-1, 0]) == STEPS and np.isfinite(rows).all()


def test_the_paper_s_input_is_valid():
    """Names and types of the large input, which no test can train."""
    from deepmd.utils.argcheck import normalize

    settings = json.loads((TEMPLATE / "deepmd_gnn" / "input.json").read_text())
    assert normalize(settings)["model"]["hidden_irreps"] == "128x0e + 128x1o"


def test_forces_and_stress_are_derivatives(folder):
    """Central differences at two steps: their error falls fourfold."""
    from deepmd.calculator import DP

    calc = DP(str(folder / "frozen_model.pth"))
    atoms = rattled(1, 3)[0]
    atoms.calc = calc
    force, stress = atoms.get_forces()[2, 1], atoms.get_stress()[1]
    assert abs(force) > 1e-4 and abs(stress) > 1e-5
    for h, tolerance in ((0.02, 2e-2), (0.005, 2e-3)):
        energies, strained = [], []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[2, 1] += sign * h
            moved.calc = calc
            energies.append(moved.get_potential_energy())
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ np.diag([1, 1 + sign * h, 1]), scale_atoms=True)
            moved.calc = calc
            strained.append(moved.get_potential_energy())
        assert (energies[1] - energies[0]) / (2 * h) == pytest.approx(force, rel=tolerance)
        slope = (strained[0] - strained[1]) / (2 * h) / atoms.get_volume()
        assert slope == pytest.approx(stress, rel=tolerance)


def test_lammps_labels_as_ase_does(folder):
    """in.relabel by pair_style deepmd, in this environment's lmp."""
    from deepmd.calculator import DP

    atoms = bulk("Al", a=4.05, cubic=True) * (3, 3, 3)
    atoms.rattle(0.1, seed=5)
    ase.io.write(folder / "atoms.data", atoms, format="lammps-data", masses=True)
    (folder / "in.gnn").write_text("""
        units metal
        atom_modify map yes
        read_data atoms.data
        pair_style deepmd frozen_model.pth
        pair_coeff * * Al
        thermo_style custom step pe
        thermo_modify format float %20.15g
        dump d all custom 1 forces.dump id type x y z fx fy fz
        dump_modify d sort id format float %.17g
        fix 1 all nve
        run 2
    """)
    lmp = Path(sys.executable).parent / "lmp"
    call(lmp, "-in", "in.gnn", "-log", "log.gnn", cwd=folder)
    first = ase.io.read(folder / "forces.dump", index=0, format="lammps-dump-text")
    atoms.calc = DP(str(folder / "frozen_model.pth"))
    np.testing.assert_allclose(first.get_forces(), atoms.get_forces(), atol=1e-6)
    assert np.abs(first.get_forces()).max() > 1e-3
    lines = (folder / "log.gnn").read_text().split("PotEng", 1)[1].splitlines()
    energy = next(float(line.split()[1]) for line in lines if line.split()[:1] == ["0"])
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)

# SPDX-License-Identifier: BSD-3-Clause
"""Scripts and examples of input_templates/autodft, shortened, in a copy of the folder."""

import json
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from ase_calculators.autodft import read_machines

pytest.importorskip("dpdata", reason="pip install 'entsym[dft]'")
TEMPLATE = Path(__file__).parents[2] / "input_templates" / "autodft"


@pytest.fixture(scope="module")
def folder(copy_of):
    """Return a user's copy of the template."""
    return copy_of("autodft")


@pytest.mark.parametrize("path", sorted(TEMPLATE.glob("machines.*.yaml")), ids=lambda p: p.name)
def test_examples_of_machines_are_valid(path):
    machines = read_machines(path)
    assert machines
    for machine in machines.values():
        if "vasp" in machine.codes:
            assert machine.command and machine.potentials and machine.ssh


def test_demo(script, folder):
    """Label a Si2 and an Al2 cell by GPAW; a second run calculates nothing."""
    pytest.importorskip("gpaw", reason="install GPAW as README.md says")
    rough = ("--each", 1, "--cutoff", 200, "--k-spacing", 0.15, "--capacity", 1)
    said = script("demo.py", "demo", *rough, cwd=folder)
    assert "2 frames are new, 0 were in the ledger" in said
    for name, low, high in (("Si2", -6, -4.5), ("Al2", -4.5, -2.5)):
        energies = np.load(folder / "demo" / "deepmd" / name / "set.000" / "energy.npy")
        assert energies.shape in ((1,), (1, 1)) and low < energies.ravel()[0] / 2 < high
        virial = np.load(folder / "demo" / "deepmd" / name / "set.000" / "virial.npy")
        assert np.isfinite(virial).all() and np.abs(virial).max() > 0.1
    settings = json.loads((folder / "demo" / "deepmd" / "settings.json").read_text())
    assert settings["cutoff"] == 200 and settings["xc"] == "PBE"
    again = script("demo.py", "demo", *rough, cwd=folder)
    assert "0 frames are new, 2 were in the ledger" in again
    jobs = list((folder / "demo" / "labels.db.files" / "jobs").iterdir())
    assert len(list(job for job in jobs if (job / "started").exists())) == len(jobs) <= 2


def test_label_with_any_calculator(script, folder):
    """Label two files with common frames and one frame that is refused."""
    frames = []
    for seed in range(4):
        atoms = bulk("Al", cubic=True)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    ase.io.write(folder / "a.traj", frames[:3])
    frames[2].positions[0] = frames[2].positions[1]
    ase.io.write(folder / "b.traj", frames)
    (folder / "m.yaml").write_text(f"here: {{python: '{sys.executable}'}}\n")
    said = script(
        "label.py", "a.traj", "b.traj", "--machines", "m.yaml", "--format", "extxyz",
        "--code", "ase.calculators.emt:EMT", "--output", "labels.extxyz", cwd=folder,
    )  # fmt: skip
    assert "a.traj: 3 new, 0 known, 0 refused" in said
    assert "b.traj: 1 new, 2 known, 1 refused" in said
    assert "frame 2: atoms 0 and 1 (Al, Al) are 0.000 Å apart" in said
    assert len(ase.io.read(folder / "labels.extxyz", ":")) == 4


def test_label_reports_errors_in_a_line(script, folder):
    (folder / "bad.yaml").write_text("here: {interpreter: python3}\n")
    said = script("label.py", "a.traj", "--machines", "bad.yaml", cwd=folder, fails=True)
    assert "here.interpreter = 'python3': is unknown; known are scheduler" in said
    assert "Traceback" not in said
    (folder / "garbage.xyz").write_text("garbage\n")
    emt = ("--code", "ase.calculators.emt:EMT")
    for arguments, message in (
        (("no.xyz", *emt), "no.xyz: cannot be read: "),
        (("garbage.xyz", *emt), "garbage.xyz: cannot be read: "),
        (("a.traj", "--cutoff", -3), "cutoff = -3.0: must be a number above 0"),
        (("a.traj", "--ledger", "garbage.xyz"), "ledger = 'garbage.xyz': file is not a database"),
    ):
        said = script("label.py", *arguments, cwd=folder, fails=True)
        assert message in said and "Traceback" not in said


def test_scan(script, folder, is_picture):
    pytest.importorskip("gpaw", reason="install GPAW as README.md says")
    said = script(
        "scan.py", "--number", 1, "--cutoffs", 150, 200, 250, "--k-spacings", 0.3, 0.2,
        "--smearing", 0.5, cwd=folder, fails=True,
    )  # fmt: skip
    # such a rough scan finds nothing and reports it; the errors fall with the cutoff
    assert "only these references hold the tolerances" in said
    scan = json.loads((folder / "convergence.json").read_text())
    errors = np.array(scan["errors of the cutoff"])
    assert (errors[0] > errors[1]).all() and (errors[2] == 0).all()
    assert is_picture(folder / "convergence.png")

# SPDX-License-Identifier: BSD-3-Clause
"""The wheel that `make wheel` builds, in an environment of its own without compilers.

`make wheel` runs this file with ENTSYM_WHEEL set to the wheel; without it the tests are skipped, so
that the wheel is not built twice.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cython_core", "lammps_plugin", "ase_calculators")
# Steinhardt, Nelson, Ronchetti, Phys. Rev. B 28, 784 (1983): Q6 of fcc, with all its digits
FCC_Q6 = 0.57452425971407
DECK = """
units metal
lattice fcc 4.05
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 27.0
pair_style zero 3.0
pair_coeff * *
compute es all entsym rmax 5.0 sigma 0.2 q6cut 3.5
compute loc all entsym/atom rmax 5.0 sigma 0.2 q6cut 3.5
compute mean all reduce ave c_loc[5]
thermo_style custom step c_es[1] c_es[2] c_mean
thermo_modify format float %20.15g
run 0
"""
SCRIPT = """
from ase.build import bulk
from ase_calculators import EntropySymmetry
calc = EntropySymmetry(rmax=5.0, sigma=0.2, q6_cutoff=3.5)
values = calc.evaluate([bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2)])
print(values["sS"][0], values["Q6"][0])
"""


@pytest.fixture(scope="module")
def wheel():
    """Return the path of the wheel."""
    path = os.environ.get("ENTSYM_WHEEL")
    if not path:
        pytest.skip("make wheel builds the wheel and runs these tests")
    return Path(path)


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """Install the wheel where nothing but Python is on PATH; return a function that runs there."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True, timeout=120)
    BIN = folder / "env" / "bin"
    left_out = ("PYTHON", "ENTSYM", "LAMMPS", "VIRTUAL_ENV")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    environment |= {"PATH": str(BIN), "OMP_NUM_THREADS": "1"}
    for compiler in ("cc", "gcc", "g++", "c++", "clang++", "mpicxx"):
        assert shutil.which(compiler, path=environment["PATH"]) is None

    def run(*command, fails=False):
        done = subprocess.run(
            [BIN / command[0], *command[1:]], cwd=folder, env=environment,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    return run


def test_every_module_is_in_the_wheel(wheel):
    """Every Python file of the tree, whatever package it is in, and no file that is gone."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".py")}
    tree = {str(p.relative_to(ROOT)) for name in PACKAGES for p in Path(ROOT, name).rglob("*.py")}
    assert packed == tree


def test_data_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    patterns = (
        "lammps_plugin/*.md", "ase_calculators/distillation/profiles/*",
        "ase_calculators/validation/references/*.json", "cython_core/include/entsym/*.hpp",
        "*/py.typed", "*/*.pyi",
    )  # fmt: skip
    for pattern in patterns:
        files = {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)}
        assert files, pattern
        assert files <= packed, files - packed


def test_tag_names_python_and_platform(wheel):
    assert re.fullmatch(r"entsym-[\d.]+-cp3\d+-cp3\d+-(many)?linux\w*\.whl", wheel.name), wheel.name


def test_diagnostics(clean):
    report = clean("python", "-m", "lammps_plugin")
    assert "THE STYLES DO NOT LOAD" not in report


@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_and_ase_agree(clean, tmp_path, ranks):
    deck = tmp_path / "in.smoke"
    deck.write_text(DECK)
    output = clean("mpirun", "-n", str(ranks), "lmp", "-log", "none", "-in", deck)
    step, sS, Q6, neighbors = map(float, re.search(r"^ +0( +\S+){3}$", output, re.M)[0].split())
    assert (step, neighbors) == (0, 12)
    assert pytest.approx(FCC_Q6, abs=1e-12) == Q6
    ase_sS, ase_Q6 = map(float, clean("python", "-c", SCRIPT).split())
    assert ase_sS == pytest.approx(sS, rel=1e-12)
    assert ase_Q6 == pytest.approx(FCC_Q6, abs=1e-12)

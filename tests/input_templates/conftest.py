# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of every template do: copy its folder, run its decks and scripts there, look."""

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from scipy.special import erfc

BIN = Path(sys.executable).parent
TEMPLATES = Path(__file__).parents[2] / "input_templates"


@pytest.fixture(scope="session")
def copy_of(tmp_path_factory):
    """A user's copy of a template: ``copy_of("landscape")`` is its folder."""

    def copy(template):
        folder = tmp_path_factory.mktemp("copy") / Path(template).name
        shutil.copytree(TEMPLATES / template, folder)
        return folder

    return copy


@pytest.fixture(scope="session")
def run():
    """Run a command of the environment in `cwd` and return what it says."""

    def run(*command, cwd, fails=False, **environment):
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"} | environment,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    return run


@pytest.fixture(scope="session")
def lmp(run):
    """Run a deck: ``lmp("in.melt", ("seed", 7), cwd=folder, ranks=2)``."""

    def lmp(deck, *variables, cwd, ranks=1, fails=False, **environment):
        command = (BIN / "mpirun", "-n", ranks, BIN / "lmp", "-nocite", "-in", deck)
        flags = [word for name, value in variables for word in ("-var", name, value)]
        return run(*command, *flags, cwd=cwd, fails=fails, **environment)

    return lmp


@pytest.fixture(scope="session")
def script(run):
    """Run a script: ``script("demo.py", "results", cwd=folder)``."""

    def script(name, *arguments, cwd, fails=False):
        return run(sys.executable, name, *arguments, cwd=cwd, fails=fails)

    return script


@pytest.fixture(scope="session")
def is_picture():
    """Say whether a file is a PNG with something in it."""
    return lambda path: path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


@pytest.fixture(scope="session")
def ewald_energy():
    """Sum point charges in a periodic cell by Ewald's method, in eV: a plain reference."""

    def energy(atoms, charges, alpha=0.4, real=9.0, reciprocal=3.0):
        charges = np.array(charges)
        i, j, d = neighbor_list("ijd", atoms, real)
        total = 0.5 * np.sum(charges[i] * charges[j] * erfc(alpha * d) / d)
        total -= alpha / np.sqrt(np.pi) * (charges**2).sum()
        lattice = 2 * np.pi * np.linalg.inv(atoms.cell.array).T
        limits = [int(reciprocal / np.linalg.norm(row)) + 1 for row in lattice]
        for index in product(*(range(-n, n + 1) for n in limits)):
            k = np.array(index) @ lattice
            k2 = k @ k
            if index != (0, 0, 0) and k2 < reciprocal**2:
                structure = (charges * np.exp(1j * atoms.positions @ k)).sum()
                weight = np.exp(-k2 / (4 * alpha**2)) / k2
                total += 2 * np.pi / atoms.get_volume() * weight * abs(structure) ** 2
        return 14.39964 * float(total)

    return energy

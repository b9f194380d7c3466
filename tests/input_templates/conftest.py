# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of every template do: copy its folder, run its decks and scripts there, look."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
            [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120,
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

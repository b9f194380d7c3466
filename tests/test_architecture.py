# SPDX-License-Identifier: BSD-3-Clause
"""The floors of CONTRIBUTING.md hold: no import circle, no module imports from a later floor."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# the packages, each with those that it may import
PACKAGES = {
    "cython_core": (),
    "lammps_plugin": ("cython_core",),
    "ase_calculators": ("cython_core", "lammps_plugin"),
}


def read_floors():
    """Return the floor of each module of `ase_calculators` that CONTRIBUTING.md names."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split("### Floors of `ase_calculators`\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| *(\d+) *\|(.*)\|$", section, re.MULTILINE)
    return {
        f"ase_calculators.{name}": int(number)
        for number, modules in rows
        for name in re.findall(r"`(\w+)`", modules)
    }


def read_sources():
    """Return the source of each module by its name; a package has the name of its folder."""
    sources = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            sources[name] = path.read_text()
    return sources


def imports_of(sources):
    """Return the modules that each module imports, anywhere in its code."""
    graph = {}
    for name, source in sources.items():
        found = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: relative import; write the module's whole name"
                found |= {
                    full if (full := f"{node.module}.{alias.name}") in sources else node.module
                    for alias in node.names
                }
        graph[name] = found & set(sources) - {name}
    return graph


def floor_of(name, floors):
    """Return the floor of a module: its own, or that of the package that it is part of."""
    while name not in floors and "." in name:
        name = name.rpartition(".")[0]
    return floors.get(name, 0)


def wrong_imports(sources, floors):
    """Return the imports of `ase_calculators` from a later floor, and those between hosts."""
    wrong = []
    for name, others in imports_of(sources).items():
        package = name.partition(".")[0]
        for other in sorted(others):
            if other.partition(".")[0] != package:
                later = other.partition(".")[0] not in PACKAGES[package]
            else:  # the package itself, ase_calculators, shows what all floors have
                later = name != package and floor_of(name, floors) < floor_of(other, floors)
            if later:
                wrong.append(f"{name} imports {other}")
    return wrong


def test_every_module_has_a_floor():
    floors, sources = read_floors(), read_sources()
    of_hosts = [name for name in sources if name.startswith("ase_calculators.")]
    assert [name for name in of_hosts if floor_of(name, floors) == 0] == []
    assert [name for name in floors if name not in sources] == []


def test_no_import_leads_to_a_later_floor():
    assert wrong_imports(read_sources(), read_floors()) == []


def test_no_import_circle():
    graph = imports_of(read_sources())
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_the_checks_find_what_they_look_for():
    sources, floors = read_sources(), read_floors()
    sources["ase_calculators.autodft.ledger"] += (
        "\ndef f():\n    from ase_calculators.distillation import relabel\n"
    )
    assert wrong_imports(sources, floors) == [
        "ase_calculators.autodft.ledger imports ase_calculators.distillation.relabel"
    ]
    sources["ase_calculators.provenance"] += "\nimport ase_calculators.landscape\n"
    with pytest.raises(CycleError):
        TopologicalSorter(imports_of(sources)).prepare()


def test_the_kernel_imports_nothing():
    """Neither Python nor a host may be named in the C++ of the core."""
    for path in (ROOT / "cython_core").rglob("*.[hc]pp"):
        if path.name == "_kernel.cpp":  # what Cython writes
            continue
        for header in re.findall(r"#include\s*[<\"]([^>\"]+)", path.read_text()):
            assert not re.search(r"Python|numpy|lammps|mpi\.h", header), f"{path.name}: {header}"

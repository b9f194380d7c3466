# SPDX-License-Identifier: BSD-3-Clause
"""Landscapes: every kind of source, energies, broken frames, tables and pictures."""

import bz2
import doctest
import gzip
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import ase.io
import matplotlib
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    frame_source,
    landscape,
    map_landscape,
    plot_landscape,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PARAMETERS = dict(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
N_FRAMES = 7


@pytest.fixture
def calc():
    return EntropySymmetry(**PARAMETERS)


@pytest.fixture
def frames():
    """Return cells of Al with a Cu atom, increasingly rattled, each with its own energy."""
    frames = []
    for k in range(N_FRAMES):
        atoms = bulk("Al", "fcc", a=4.05 + 0.01 * k, cubic=True)
        atoms.symbols[3] = "Cu"
        atoms.rattle(0.05 * k, seed=k)
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - k)
        frames.append(atoms)
    return frames


@pytest.fixture
def expected(calc, frames):
    return calc.evaluate(frames)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def dump_text(atoms, step, columns="id element x y z fx fy fz"):
    """Return one frame of a LAMMPS text dump, atoms in reverse order."""
    n = len(atoms)
    text = f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS pp pp pp\n"
    text += "".join(f"0.0 {length}\n" for length in atoms.cell.lengths().tolist())
    text += f"ITEM: ATOMS {columns}\n"
    types = {"Al": 1, "Cu": 2}
    for i in reversed(range(n)):
        name = atoms.symbols[i]
        words = {"id": i + 1, "element": name, "type": types[name], "fx": 0, "fy": 0, "fz": 0}
        words.update(zip("xyz", atoms.positions[i].tolist(), strict=True))
        text += " ".join(str(words[column]) for column in columns.split()) + "\n"
    return text


@pytest.fixture
def dump(frames, tmp_path):
    path = tmp_path / "run.dump"
    path.write_text("".join(dump_text(a, 100 * k) for k, a in enumerate(frames)))
    return path


@pytest.fixture
def log(tmp_path):
    """Write a LAMMPS log with two runs and a warning between them, in metal units."""
    path = tmp_path / "log.lammps"
    rows = [f"   {100 * k}   300.0  {-20.5 - k}  1.0" for k in range(N_FRAMES)]
    head = "   Step          Temp          PotEng         Press"
    path.write_text("\n".join([
        "LAMMPS (22 Jul 2025)", "units metal", head, *rows[:4],
        "WARNING: something (src/x.cpp:1)", "Loop time of 0.1 on 1 procs for 300 steps with 4",
        "", "Pair    | 0.1  | 0.1  | 0.1  |   0.0 | 50.00", head, *rows[3:], "Loop time of 0.1", "",
    ]))  # fmt: skip
    return path


def assert_rows(table, expected, rows=slice(None)):
    np.testing.assert_allclose(table.sS, expected["sS"][rows], rtol=1e-7)
    np.testing.assert_allclose(table.Q6, expected["Q6"][rows], rtol=1e-7)


def run(source, calc, **options):
    return map_landscape(source, calc, progress=False, **options)


def test_doctests():
    assert doctest.testmod(landscape).failed == 0
    assert doctest.testmod(frame_source).failed == 0


# --- sources --------------------------------------------------------------------------------------


def test_iterables(calc, frames, expected):
    for source in (frames, tuple(frames), iter(frames)):
        table = run(source, calc)
        assert_rows(table, expected)
        assert len(table) == N_FRAMES
        assert table.frame.tolist() == list(range(N_FRAMES))
        assert set(table.file) == {""}
        assert table.n_atoms.tolist() == [4] * N_FRAMES
        np.testing.assert_allclose(table.volume, [a.cell.volume for a in frames])
        assert table.energy.tolist() == [-10.0 - k for k in range(N_FRAMES)]
        assert table.skipped == []


def test_a_generator_that_moves_one_object(calc):
    def md():
        atoms = bulk("Al", "fcc", a=4.05, cubic=True)
        atoms.calc = EMT()
        for seed in range(6):
            atoms.rattle(0.05, seed=seed)
            atoms.get_potential_energy()
            yield atoms

    copies = [atoms.copy() for atoms in md()]
    table = run(md(), calc)
    assert_rows(table, calc.evaluate(copies))
    assert len(set(table.energy)) == 6


def test_no_energy_is_ever_calculated(calc):
    """A live calculator without a result for these atoms leaves NaN."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.calc = EMT()
    assert np.isnan(run([atoms], calc).energy).all()
    atoms.get_potential_energy()
    atoms.rattle(0.1)
    assert np.isnan(run([atoms], calc).energy).all()


@pytest.mark.parametrize("name", ["f.extxyz", "f.traj", "f.xyz", "f.db", "XDATCAR"])
def test_formats(calc, frames, expected, tmp_path, name):
    path = tmp_path / name
    if name == "XDATCAR":
        for atoms in frames:  # one list of species for all frames
            atoms.set_cell(frames[0].cell)
        expected = calc.evaluate(frames)
        write(path, frames, format="vasp-xdatcar")
        table = run(path, calc)
        np.testing.assert_allclose(table.sS, expected["sS"], rtol=1e-4)
        return
    for atoms in frames:
        write(path, atoms if name == "f.db" else frames, append=name == "f.db")
    table = run(path, calc)
    # eight decimals in text
    np.testing.assert_allclose(table.sS, expected["sS"], rtol=1e-6)
    assert table.energy == pytest.approx([-10.0 - k for k in range(N_FRAMES)])
    assert set(table.file) == {str(path)}


def test_lists_and_patterns(calc, frames, expected, tmp_path):
    for k, atoms in enumerate(frames):
        write(tmp_path / f"POSCAR_{k}", atoms, format="vasp", direct=True)
    table = run(str(tmp_path / "POSCAR_*"), calc)
    np.testing.assert_allclose(table.sS, expected["sS"], rtol=1e-6)
    assert table.frame.tolist() == [0] * N_FRAMES
    assert table.file.tolist() == [str(tmp_path / f"POSCAR_{k}") for k in range(N_FRAMES)]
    table = run([tmp_path / "POSCAR_2", tmp_path / "POSCAR_1"], calc)
    np.testing.assert_allclose(table.sS, expected["sS"][[2, 1]], rtol=1e-6)


def test_dump(calc, dump, expected):
    table = run(dump, calc)
    assert_rows(table, expected)
    # ASE stores an energy of 0 with the forces of a dump: it must not show up
    assert np.isnan(table.energy).all()


@pytest.mark.parametrize("compress", [gzip, bz2], ids=["gz", "bz2"])
def test_compressed_dump(calc, dump, expected, compress):
    packed = dump.with_name(dump.name + (".gz" if compress is gzip else ".bz2"))
    packed.write_bytes(compress.compress(dump.read_bytes()))
    assert_rows(run(packed, calc, format="lammps-dump-text"), expected)


def test_triclinic_dump(calc, frames, tmp_path):
    """LAMMPS bounds of a tilted box contain the tilt."""
    atoms = frames[3]
    cell = np.array([[4.0, 0, 0], [0.7, 4.2, 0], [-0.4, 0.9, 4.1]])
    atoms.set_cell(cell, scale_atoms=True)
    text = dump_text(atoms, 0).split("\n")
    text[4:8] = [
        "ITEM: BOX BOUNDS xy xz yz pp pp pp",
        "-0.4 4.7 0.7", "0.0 5.1 -0.4", "0.0 4.1 0.9",
    ]  # fmt: skip
    path = tmp_path / "tilted.dump"
    path.write_text("\n".join(text))
    assert_rows(run(path, calc), calc.evaluate([atoms]))


def test_types_of_a_dump(frames, tmp_path):
    """Types become elements by `specorder`, and lengths follow `units`."""
    path = tmp_path / "types.dump"
    path.write_text("".join(dump_text(a, k, "id type x y z") for k, a in enumerate(frames)))
    calc = EntropySymmetry(**PARAMETERS, elements="Al")
    assert_rows(run(path, calc, specorder=["Al", "Cu"]), calc.evaluate(frames))
    with pytest.raises(ValueError, match="elements: Al is not in the structure, which has H, He"):
        run(path, calc)
    bohr = run(path, EntropySymmetry(**PARAMETERS), units="electron")
    assert bohr.volume[0] == pytest.approx(frames[0].cell.volume * 0.529177**3, rel=1e-5)


def test_stride(calc, frames, dump, expected, tmp_path):
    write(tmp_path / "f.traj", frames)
    for source in (frames, dump, tmp_path / "f.traj"):
        table = run(source, calc, stride=3)
        assert table.frame.tolist() == [0, 3, 6]
        assert_rows(table, expected, slice(None, None, 3))


@pytest.mark.parametrize("kind", ["dump", "frames", "traj"])
def test_processes_do_not_change_a_bit(calc, frames, dump, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(landscape, "FRAMES_PER_PIECE", 2)
    write(tmp_path / "f.traj", frames)
    frames[3].positions[0, 0] = np.nan
    source = {"dump": dump, "frames": frames, "traj": tmp_path / "f.traj"}[kind]
    tables = []
    for processes in (1, 2, 3):
        path = tmp_path / f"{processes}.csv"
        if kind == "frames":
            with pytest.warns(UserWarning, match="1 of 7 frames skipped: frame 3: .*finite"):
                tables.append(run(source, calc, processes=processes, output=path))
        else:
            tables.append(run(source, calc, processes=processes, output=path))
    for table in tables[1:]:
        for name, column in tables[0].columns.items():
            np.testing.assert_array_equal(table.columns[name], column)
        assert table.skipped == tables[0].skipped
    texts = {(tmp_path / f"{processes}.csv").read_text() for processes in (1, 2, 3)}
    assert len(texts) == 1


def test_frames_are_not_hoarded(calc, monkeypatch):
    """A generator is read no faster than the frames are calculated, also with processes."""
    monkeypatch.setattr(landscape, "FRAMES_PER_PIECE", 4)
    atoms = bulk("Al", "fcc", a=4.05)
    done, furthest = [0], [0]
    map_piece = landscape._write_rows

    def counted(file, rows, skipped):
        done[0] += len(rows)
        map_piece(file, rows, skipped)

    monkeypatch.setattr(landscape, "_write_rows", counted)

    def generate():
        for k in range(200):
            furthest[0] = max(furthest[0], k - done[0])
            yield atoms

    for processes, ahead in ((1, 4), (2, 24)):
        done[0] = furthest[0] = 0
        run(generate(), calc, processes=processes, output="/dev/null")
        assert furthest[0] <= ahead


MEMORY = """
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from ase_calculators import EntropySymmetry, map_landscape

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

calc = EntropySymmetry(rmax=3.5, sigma=0.3, q6_cutoff=3.0)
before = status("VmRSS")
if sys.argv[1] == "processes":
    table = map_landscape("f.dump", calc, processes=2, progress=False)
else:
    with ProcessPoolExecutor(2) as executor:
        table = map_landscape("f.dump", calc, executor=executor, progress=False)
print(len(table), status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["processes", "executor"])
def test_memory_of_the_parent(tmp_path, way):
    """The memory for 100,000 frames is that for a few and for the columns of the table."""
    rng = np.random.default_rng(0)
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (2, 2, 2)
    texts = []
    for _ in range(100):
        atoms.positions = rng.normal(atoms.positions, 0.02)
        texts.append(dump_text(atoms, 0, "id element x y z").split("0\n", 1)[1])
    with open(tmp_path / "f.dump", "w") as file:
        for step in range(100_000):
            file.write(f"ITEM: TIMESTEP\n{step}\n{texts[step % 100]}")
    assert (tmp_path / "f.dump").stat().st_size > 150e6
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, way], cwd=tmp_path, check=True, stdout=subprocess.PIPE
    )
    n, peak = map(int, done.stdout.split())
    assert n == 100_000
    assert peak < 60e6


def test_progress_bar(calc, frames, capsys):
    map_landscape(frames, calc)
    assert "7/7" in capsys.readouterr().err
    map_landscape(frames, calc, progress=False)
    assert capsys.readouterr().err == ""


# --- energies -------------------------------------------------------------------------------------


def test_energies_of_a_log(calc, dump, log, expected):
    table = run(dump, calc, energies=log)
    assert_rows(table, expected)
    assert table.energy == pytest.approx([-20.5 - k for k in range(N_FRAMES)])
    assert run(dump, calc, energies=log, processes=2).energy.tolist() == table.energy.tolist()


@pytest.mark.parametrize(
    ("units", "norm", "factor"),
    [("real", "", 0.0433641), ("lj", "", 4.0), ("lj", "thermo_modify norm no\n", 1.0),
     ("metal", "thermo_modify line one norm yes\n", 4.0)],
    ids=["real", "lj", "lj-norm-no", "metal-norm-yes"],
)  # fmt: skip
def test_units_of_a_log(calc, dump, log, units, norm, factor):
    """kcal/mol become eV; energies per atom become those of the frame."""
    log.write_text(norm + log.read_text().replace("units metal", f"units {units}"))
    table = run(dump, calc, energies=log)
    assert table.energy == pytest.approx(factor * (-20.5 - np.arange(N_FRAMES)), rel=1e-5)


def test_energies_of_a_fix(calc, dump, tmp_path):
    """The file of fix ave/time or fix print: a comment names the columns."""
    path = tmp_path / "thermo.txt"
    rows = "".join(f"{100 * k} 300 {-k}.5\n" for k in range(N_FRAMES))
    path.write_text(f"# Time-averaged data for fix 1\n# TimeStep c_thermo_temp c_thermo_pe\n{rows}")
    assert run(dump, calc, energies=path, units="metal").energy[2] == -2.5


def test_energies_that_do_not_match(calc, dump, log, frames, tmp_path):
    dump.write_text(dump.read_text() + dump_text(frames[0], 12345))
    with pytest.warns(UserWarning, match="has no line for the timestep of 1 of 8 frames"):
        table = run(dump, calc, energies=log)
    assert np.isnan(table.energy).tolist() == [False] * 7 + [True]
    write(tmp_path / "f.extxyz", frames)
    with pytest.raises(ValueError, match="frame 0 of .*f.extxyz has no timestep to match; map"):
        run(tmp_path / "f.extxyz", calc, energies=log)
    (tmp_path / "empty.log").write_text("LAMMPS\nStep Temp\n0 300\n")
    with pytest.raises(ValueError, match="has no table with the columns Step and PotEng; give"):
        run(dump, calc, energies=tmp_path / "empty.log")
    with pytest.raises(FileNotFoundError):
        run(dump, calc, energies=tmp_path / "none.log")


def test_timesteps_of_atoms(calc, frames, log):
    for k, atoms in enumerate(frames):
        atoms.info["timestep"] = 100 * k
    assert run(frames, calc, energies=log).energy[1] == -21.5
    assert run(frames, calc, energies="extxyz").energy[1] == -11.0


def test_energy_in_info(calc, frames):
    bare = [atoms.copy() for atoms in frames]
    bare[2].info["energy"] = -3.5
    energy = run(bare, calc).energy
    assert energy[2] == -3.5 and np.isnan(energy).sum() == N_FRAMES - 1


# --- units ----------------------------------------------------------------------------------------

BOHR, HARTREE, KCAL = 0.529177210903, 27.211386245988, 0.0433641153  # CODATA 2018


@pytest.mark.parametrize("said", ["dump", "option", "log"])
def test_lengths_in_bohr(calc, frames, expected, log, tmp_path, said):
    """Units of ITEM: UNITS, units= or the log; LAMMPS names them once, before the first frame."""
    scaled = [atoms.copy() for atoms in frames]
    for atoms in scaled:
        atoms.set_cell(atoms.cell / BOHR, scale_atoms=True)
    path = tmp_path / "electron.dump"
    head = "ITEM: UNITS\nelectron\n" if said == "dump" else ""
    path.write_text(head + "".join(dump_text(a, 100 * k) for k, a in enumerate(scaled)))
    log.write_text(log.read_text().replace("units metal", "units electron"))
    options = {"option": {"units": "electron"}, "log": {"energies": log}}.get(said, {})
    table = run(path, calc, **options)
    np.testing.assert_allclose(table.sS, expected["sS"], rtol=1e-6)
    np.testing.assert_allclose(table.volume, [a.cell.volume for a in frames], rtol=1e-7)
    if said == "log":
        assert table.energy == pytest.approx(HARTREE * (-20.5 - np.arange(N_FRAMES)), rel=1e-7)
    with pytest.raises(ValueError, match="units = 'bohr': must be one of lj, real, metal"):
        run(path, calc, units="bohr")
    if said == "dump":
        with pytest.raises(ValueError, match="'electron', units= or the log says 'metal'"):
            run(path, calc, units="metal")


def test_reduced_units(calc, frames, expected, log, tmp_path):
    """Lengths stay as they are and the table records lj; energies become those of the frame."""
    path = tmp_path / "lj.dump"
    path.write_text("".join(dump_text(a, 100 * k) for k, a in enumerate(frames)))
    text = log.read_text()
    log.write_text(text.replace("units metal\n", ""))
    with pytest.raises(ValueError, match="does not name its units, nor do units= or the dump"):
        run(path, calc, energies=log)
    table = run(path, calc, energies=log, units="lj")
    assert_rows(table, expected)
    assert table.energy == pytest.approx(4 * (-20.5 - np.arange(N_FRAMES)))
    assert table.parameters["units"] == "lj"
    table.write(tmp_path / "lj.csv")
    assert "volume sigma^3, energy epsilon per frame" in (tmp_path / "lj.csv").read_text()
    log.write_text("Unit style    : lj\n" + text.replace("units metal\n", ""))
    assert run(path, calc, energies=log).energy.tolist() == table.energy.tolist()
    with pytest.raises(ValueError, match="is in units lj, and units= or the dump says 'real'"):
        run(path, calc, energies=log, units="real")
    path.write_text("ITEM: UNITS\nlj\n" + path.read_text())
    assert run(path, calc).parameters["units"] == "lj"
    with pytest.raises(ValueError, match="ITEM: UNITS of the dump says 'lj', lengths in sigma"):
        list(frame_source.read_frames(path))


def test_energies_of_a_fix_in_reduced_units(calc, dump, tmp_path):
    """A compute in the file of a fix is the sum over all atoms, in any units."""
    path = tmp_path / "thermo.txt"
    path.write_text("# Time-averaged data for fix 1\n# TimeStep c_thermo_pe\n0 -2.5\n100 -3.5\n")
    with pytest.warns(UserWarning, match="has no line for the timestep of 5"):
        assert run(dump, calc, energies=path, units="lj").energy[:2].tolist() == [-2.5, -3.5]


MULTI = (
    "------------ Step {} ----- CPU =            0 (sec) -------------\n"
    "TotEng   =      -1.0000 KinEng   =     0.5000 Temp     =   300.0000\n"
    "PotEng   =      {} E_bond   =     0.0000 E_angle  =     0.0000\n"
)


@pytest.mark.parametrize("style", ["multi", "yaml", "renamed", "last", "crlf"])
def test_styles_of_a_log(calc, dump, tmp_path, style):
    rows = [(100 * k, -20.5 - k) for k in range(N_FRAMES)]
    text = "LAMMPS\nunits metal\n" + {
        "multi": "".join(MULTI.format(*row) for row in rows),
        "yaml": "---\nkeywords: ['Step', 'Temp', 'PotEng', ]\ndata:\n"
        + "".join(f"  - [{step}, 300, {energy}, ]\n" for step, energy in rows) + "...\n",
        "renamed": "thermo_modify colname pe Epot colname step when\nTemp when Epot\n"
        + "".join(f"300 {step} {energy}\n" for step, energy in rows),
        "last": "Temp PotEng Step\n" + "".join(f"1 {energy} {step}\n" for step, energy in rows),
        "crlf": "Step PotEng\n" + "".join(f"{step} {energy}\n" for step, energy in rows),
    }[style]  # fmt: skip
    path = tmp_path / "log.styles"
    path.write_text(text, newline="\r\n" if style == "crlf" else "\n")
    assert run(dump, calc, energies=path).energy == pytest.approx(-20.5 - np.arange(N_FRAMES))


def test_steps_that_come_twice(calc, dump, log):
    """If energies differ for a step, as after reset_timestep, none of them is used."""
    log.write_text(log.read_text() + "Step PotEng\n200 -1.0\n300 -23.50000001\n400 -2")
    with pytest.warns(UserWarning, match="1 of 7 frames, or several that differ"):
        energy = run(dump, calc, energies=log).energy
    assert np.isnan(energy).tolist() == [False, False, True, *[False] * 4] and energy[4] == -24.5


# --- dialects -------------------------------------------------------------------------------------


def test_timesteps_of_extended_xyz(calc, frames, log, tmp_path):
    """Timesteps of dump extxyz (which writes LAMMPS's units), of this package, of dump xyz."""
    path = tmp_path / "f.xyz"
    write(path, frames, format="extxyz")
    bare = re.sub(r" energy=\S+", "", path.read_text())
    for line, stored in (("Timestep={} Potential_energy=-7", -7), ("timestep={}", np.nan)):
        text = bare
        for k in range(N_FRAMES):
            text = text.replace("\nLattice", f"\n{line.format(100 * k)} @", 1)
        path.write_text(text.replace("@", "Lattice"))
        for source in (path, ase.io.read(path, ":")):
            energy = run(source, calc, energies=log, units="metal").energy
            assert energy == pytest.approx(-20.5 - np.arange(N_FRAMES))
            np.testing.assert_equal(run(source, calc).energy, np.full(N_FRAMES, stored))
    path.write_text(path.read_text().replace("timestep=", "Potential_energy=-7 Timestep="))
    assert run(path, calc, units="real").energy == pytest.approx([-7 * KCAL] * N_FRAMES)
    text = "4\nAtoms. Timestep: 300\n" + "".join(bare.splitlines(keepends=True)[2:6])
    path.write_text(text)
    cluster = EntropySymmetry(**PARAMETERS, number_density=0.06)
    assert run(path, cluster, energies=log).energy.tolist() == [-23.5]


@pytest.mark.parametrize(
    "kind",
    ["typelabel", "type", "mass", "scaled", "no-flags", "time", "yaml", "bom", "triclinic", "abc",
     "yaml-triclinic"],
)  # fmt: skip
def test_dumps_of_every_kind(calc, frames, tmp_path, kind):
    """The same frame, as LAMMPS, VMD and editors write it."""
    atoms = frames[3]
    a = atoms.cell.lengths().tolist()
    if kind in ("triclinic", "abc", "yaml-triclinic"):
        atoms.set_cell([[a[0], 0, 0], [1.0, a[1], 0], [-0.5, 0.25, a[2]]], scale_atoms=True)
    plain = dump_text(atoms, 5)
    text = {
        "typelabel": plain.replace("element", "typelabel"),
        "type": dump_text(atoms, 5, "id type x y z fx fy fz"),
        "mass": plain.replace("element", "mass").replace("Al", "26.98").replace("Cu", "63.5"),
        "no-flags": plain.replace(" pp pp pp", ""),
        "time": "ITEM: UNITS\nmetal\nITEM: TIME\n0.5\n" + plain,
        "bom": "\ufeff" + plain.replace("\n", " \t\r\n"),
    }.get(kind, plain)  # fmt: skip
    if kind == "scaled":
        lines = text.replace("x y z", "xs ys zs").splitlines()
        for at in range(9, 13):
            words = lines[at].split()
            words[2:5] = [repr(float(word) / a[0]) for word in words[2:5]]
            lines[at] = " ".join(words)
        text = "\n".join([*lines, ""])
    if kind == "triclinic":
        rows = f"-0.5 {a[0] + 1.0!r} 1.0\n0.0 {a[1] + 0.25!r} -0.5\n0.0 {a[2]!r} 0.25\n"
        text = re.sub(r"BOUNDS pp pp pp\n(.*\n){3}", f"BOUNDS xy xz yz pp pp pp\n{rows}", text)
    if kind == "abc":
        rows = "".join(" ".join(map(repr, row)) + " 0.0\n" for row in atoms.cell.tolist())
        text = re.sub(r"BOUNDS pp pp pp\n(.*\n){3}", f"BOUNDS abc origin pp pp pp\n{rows}", text)
    if kind.startswith("yaml"):
        box = f"  - [ 0, {a[0]!r} ]\n" * 3
        if kind == "yaml-triclinic":  # LAMMPS writes the bounds of the parallelepiped
            box = (
                f"  - [ -0.5, {a[0] + 1.0!r} ]\n  - [ 0, {a[1] + 0.25!r} ]\n  - [ 0, {a[2]!r} ]\n"
                "  - [ 1.0, -0.5, 0.25 ]\n"
            )
        rows = "".join(f"  - [ {' , '.join(r.split())}, ]\n" for r in plain.splitlines()[9:])
        text = (
            "---\ncreator: LAMMPS\ntimestep: 5\nnatoms: 4\nboundary: [ p, p, p, p, p, p, ]\nbox:\n"
            + box + "keywords: [ id, element, x, y, z, fx, fy, fz, ]\n"
            + f"data:\n{rows}...\n"
        )  # fmt: skip
    path = tmp_path / "f.dump"
    path.write_text(text, newline="")
    options = {"specorder": ["Al", "Cu"]} if kind == "type" else {}
    (frame,) = frame_source.open_frames(path, None, 1, options)[0] if kind != "no-flags" else [None]
    if frame is not None:
        found = frame_source.read_text(frame.content, frame.format, options)
        assert sorted(found.symbols) == ["Al", "Al", "Al", "Cu"]
        np.testing.assert_allclose(found.positions, atoms.positions, atol=1e-12)
        np.testing.assert_allclose(found.cell.array, atoms.cell.array, atol=1e-12)
        assert found.pbc.all() and found.info["timestep"] == frame.step == 5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = run(path, calc, **options)
    assert ["does not name boundaries" in str(w.message) for w in caught] == [True] * (
        kind == "no-flags"
    )
    assert_rows(table, calc.evaluate([atoms]))


@pytest.mark.parametrize(
    ("text", "message"),
    [("ITEM: TIMESTEP\n0\nITEM: NUMBER OF ENTRIES\n1\nITEM: ENTRIES a\n1\n", "is of dump local"),
     ("\x28\xb5\x2f\xfd1234", "compressed"),  # or the package is not installed
     ("99999999999\nLattice=\"1 0 0 0 1 0 0 0 1\"\nAl 0 0 0\n", "1 of 99999999999 atoms were read"),
     ("1\nProperties=species:S:1:pos:R:99999999999\nAl 0 0 0\n", "Properties: must be"),
     ("1\nLattice=\"1 0 0\"\nAl 0 0 0\n", "Lattice: must have 9 numbers, has 3"),
     ("1\nx\n1 0 0 0\n", "'1' is a type, not an element; give specorder="),
     ("1\n" + "x" * 2_000_000 + "\nAl 0 0 0\n", "line 2 has more than 1048576 characters")],
    ids=["local", "zstd", "count", "columns", "lattice", "types", "line"],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["xyz", "xyz.gz"])
def test_files_that_are_refused(calc, tmp_path, text, message, ending):
    """Broken frames are refused at once, for counts of any size."""
    path = tmp_path / f"f.{ending}"
    data = text.encode("latin-1")
    path.write_bytes(
        gzip.compress(data) if ending == "xyz.gz" and message != "compressed" else data
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        run(path, calc)
    with pytest.raises(ValueError, match=re.escape(message)):
        list(frame_source.read_frames(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [(("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n99999999999"), "4 of 99999999999 atoms were read"),
     (("NUMBER OF ATOMS\n4", "NUMBER OF ATOMS\n3"), "has 4 lines for its 3 atoms"),
     (("id element", "id type"), "'Al': must be a whole number"),
     (("\n2 Al", "\n1 Al"), "atom 1 is there twice"),
     (("id element x y z", "id element xs y z"), "without x y z (or xs, xu, xsu and so on)"),
     (("BOUNDS pp pp pp", "BOUNDS pp pp"), "must name three boundaries")],
    ids=["more", "fewer", "type", "twice", "columns", "flags"],
)  # fmt: skip
def test_dump_frames_that_are_refused(calc, frames, tmp_path, change, message):
    path = tmp_path / "f.dump"
    path.write_text(dump_text(frames[0], 0).replace(*change))
    with pytest.raises(ValueError, match=re.escape(message)):
        run(path, calc)


def test_types_without_an_element(calc, frames, tmp_path):
    path = tmp_path / "f.dump"
    path.write_text(dump_text(frames[0], 0, "id type x y z"))
    with pytest.raises(ValueError, match="type 2 is not among the 1 of specorder, Al; name an"):
        run(path, calc, specorder=["Al"])
    with pytest.raises(ValueError, match="specorder: 'Zz' is not a chemical element"):
        run(path, calc, specorder=["Al", "Zz"])
    with pytest.raises(ValueError, match="colour: is not an option of the reader of dumps"):
        run(path, calc, colour=1)


def test_pipes_and_doubled_files(calc, dump, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is not a regular file; write a pipe's output to one"):
        run(tmp_path / "pipe", calc)
    with pytest.raises(ValueError, match=r"names the file '.*run.dump' twice"):
        run([dump, dump], calc)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(calc, frames, tmp_path, monkeypatch):
    """Nothing starts if the output cannot be written, and nothing computed is lost."""
    with pytest.raises(OSError, match="output = '/dev/full': cannot be written: .*No space"):
        run(frames, calc, output="/dev/full")
    table = run(frames, calc)
    with pytest.raises(OSError, match="No space"):
        table.write("/dev/full")
    assert not os.path.isfile("/dev/full")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landscape, "_write_rows", full)
    with pytest.warns(
        UserWarning, match="cannot be written any more: .*the table that is returned"
    ):
        assert len(run(frames, calc, output=tmp_path / "t.csv")) == N_FRAMES


# --- broken frames --------------------------------------------------------------------------------


def mapped_with_skips(source, calc, n_skipped, **options):
    with pytest.warns(UserWarning, match=f"^{n_skipped} of .* frames skipped: "):
        table = run(source, calc, **options)
    assert len(table.skipped) == n_skipped
    return table


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("cut", ["line", "word", "header"])
def test_dump_cut_short(calc, dump, expected, cut, processes):
    text = dump.read_text()
    last = text.rindex("ITEM: TIMESTEP")
    at = {"line": text.rindex("\n", 0, -1) + 1, "word": len(text) - 12, "header": last + 20}[cut]
    dump.write_text(text[:at])
    table = mapped_with_skips(dump, calc, 1, processes=processes)
    assert_rows(table, expected, slice(6))
    file, frame, reason = table.skipped[0]
    assert (file, frame) == (str(dump), 6) and reason


def test_dump_number_cut_short(calc, dump):
    """A number without its last digits is still a number: the missing line end shows it."""
    dump.write_text(dump.read_text().replace(" 0 0 0\n", "\n").replace(" fx fy fz", "")[:-2])
    table = mapped_with_skips(dump, calc, 1)
    assert "the frame ends early" in table.skipped[0][2]


def test_dump_continued_after_a_crash(calc, dump, expected, frames):
    """A frame ends in the middle of a line, and the run was continued into the same file."""
    texts = [dump_text(a, k) for k, a in enumerate(frames)]
    texts[2] = texts[2][:-30]
    dump.write_text("".join(texts))
    table = mapped_with_skips(dump, calc, 1)
    assert table.frame.tolist() == [0, 1, 3, 4, 5, 6]
    assert_rows(table, expected, table.frame)


@pytest.mark.parametrize("kind", ["nan", "word", "timestep", "box", "columns"])
def test_broken_dump_frames(calc, dump, expected, frames, kind):
    texts = [dump_text(a, k) for k, a in enumerate(frames)]
    number = repr(frames[1].positions[0, 0].item())
    texts[1] = {
        "nan": texts[1].replace(number, "nan"),
        "word": texts[1].replace(number, "what"),
        "timestep": texts[1].replace("TIMESTEP\n1\n", "TIMESTEP\none\n"),
        "box": texts[1].replace(f"0.0 {frames[1].cell[2, 2].item()!r}", "0.0 0.0"),
        "columns": texts[1].replace("element x y z", "element a b c"),
    }[kind]
    dump.write_text("".join(texts))
    table = mapped_with_skips(dump, calc, 1)
    assert table.frame.tolist() == [0, 2, 3, 4, 5, 6]
    assert_rows(table, expected, table.frame)


@pytest.mark.parametrize("kind", ["missing-line", "word", "end"])
def test_broken_xyz_frames(calc, frames, tmp_path, kind):
    path = tmp_path / "f.extxyz"
    write(path, frames)
    lines = path.read_text().splitlines(keepends=True)
    if kind == "missing-line":
        del lines[2 * 6 + 3]
    elif kind == "word":
        lines[2 * 6 + 3] = "Al 0.0 what 0.0\n"
    else:
        lines = lines[: 6 * 6 + 4]
    path.write_text("".join(lines))
    table = mapped_with_skips(path, calc, 1)
    bad = 6 if kind == "end" else 2
    assert table.skipped[0][:2] == (str(path), bad)
    assert table.frame.tolist() == [k for k in range(N_FRAMES) if k != bad]
    np.testing.assert_allclose(
        table.sS, calc.evaluate([frames[k] for k in table.frame])["sS"], rtol=1e-6
    )


def test_broken_trajectory(calc, frames, tmp_path):
    """In a format that ASE reads, the frames before and after a broken one are also kept."""
    frames[2].positions[1] = np.inf
    write(tmp_path / "f.traj", frames)
    table = mapped_with_skips(tmp_path / "f.traj", calc, 1)
    assert table.frame.tolist() == [0, 1, 3, 4, 5, 6]
    assert "finite" in table.skipped[0][2]


def test_reader_that_stumbles(calc, frames, monkeypatch, tmp_path):
    """After one failure of a reader the next frame is tried; after two, the file is left."""
    bad = {2}

    def iread(path, index, **options):
        for k in range(index.start, N_FRAMES, index.step):
            if k in bad:
                raise OSError("bad block")
            yield frames[k]

    (tmp_path / "f.traj").write_text("")
    monkeypatch.setattr(frame_source.ase.io, "iread", iread)
    table = mapped_with_skips(tmp_path / "f.traj", calc, 1, format="traj")
    assert table.frame.tolist() == [0, 1, 3, 4, 5, 6]
    assert table.skipped == [(str(tmp_path / "f.traj"), 2, "bad block")]
    bad.update(range(3, N_FRAMES))
    table = mapped_with_skips(tmp_path / "f.traj", calc, 1, format="traj")
    assert table.frame.tolist() == [0, 1]
    assert "nothing after it could be read" in table.skipped[0][2]


def test_xyz_number_cut_short(calc, frames, tmp_path):
    """An interrupted run leaves half a number, which reads as another number."""
    path = tmp_path / "f.xyz"
    write(path, frames[:2], format="extxyz")
    path.write_text(path.read_text()[:-6])
    table = mapped_with_skips(path, calc, 1)
    assert table.frame.tolist() == [0]
    assert "the last line has no end; add a line feed" in table.skipped[0][2]
    write(path, frames[0], format="extxyz")
    path.write_text(path.read_text().rstrip())
    assert len(run(path, calc)) == 1


def test_reasons_say_what_they_are(calc, frames, tmp_path):
    """ASE raises KeyError for an unknown element, which does not say what is wrong."""
    path = tmp_path / "f.xyz"
    write(path, frames[:2], format="extxyz")
    path.write_text(re.sub("^[A-Z][a-z]? ", "Zz ", path.read_text(), count=1, flags=re.M))
    table = mapped_with_skips(path, calc, 1)
    assert table.frame.tolist() == [1]
    reason = "'Zz' is not a chemical element; name types by specorder=['Al', ...]"
    assert table.skipped == [(str(path), 0, reason)]


def test_bad_files_among_good_ones(calc, dump, frames, tmp_path):
    (tmp_path / "empty.dump").write_text("")
    (tmp_path / "words.txt").write_text("to be or not to be\n" * 100)
    sources = [tmp_path / "empty.dump", dump, tmp_path / "words.txt"]
    table = mapped_with_skips(sources, calc, 2)
    assert len(table) == N_FRAMES
    assert [file for file, *_ in table.skipped] == [str(sources[0]), str(sources[2])]


def test_warning_stays_short(calc, frames):
    for atoms in frames[:5]:
        atoms.positions[0] = np.nan
    with pytest.warns(UserWarning) as caught:
        table = run(frames, calc)
    text = str(caught[0].message)
    assert text.startswith("5 of 7 frames skipped: frame 0: ") and "frame 2" in text
    assert "frame 3" not in text and text.endswith("; ... (all of them in table.skipped)")
    assert caught[0].filename == __file__
    assert [frame for _, frame, _ in table.skipped] == [0, 1, 2, 3, 4]


def test_nothing_to_map(calc, frames, tmp_path):
    empty = tmp_path / "empty.extxyz"
    empty.write_text("")
    with pytest.raises(ValueError, match=r"^source: no frame is good; the first: .*empty.extxyz"):
        run(empty, calc)
    headless = tmp_path / "no.dump"
    headless.write_text("nothing here\n")
    with pytest.raises(ValueError, match="the file holds no frames"):
        run(headless, calc, format="lammps-dump-text")
    with pytest.raises(ValueError, match=r"^source: it has no frames; check the path"):
        run([], calc)
    frames[0].positions[0] = np.nan
    with pytest.raises(ValueError, match=r"^source: no frame is good; the first: frame 0: .*finit"):
        run(frames[:1], calc)


def test_bad_sources(calc, frames, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file '.*none.dump'"):
        run(tmp_path / "none.dump", calc)
    with pytest.raises(FileNotFoundError, match=r"source = '.*\*.dump': matches no file"):
        run(str(tmp_path / "*.dump"), calc)
    with pytest.raises(FileNotFoundError):
        run([tmp_path / "none.dump"], calc)
    with pytest.raises(TypeError, match=r"not one Atoms; pass \[atoms\]"):
        run(frames[0], calc)
    with pytest.raises(TypeError, match="must yield ase.Atoms, got int"):
        run([1, 2], calc)
    for name in ("processes", "stride"):
        for value in (0, -1, 1.5):
            with pytest.raises(ValueError, match=f"{name} = {value}: must be a whole number"):
                run(frames, calc, **{name: value})


# --- tables ---------------------------------------------------------------------------------------


def test_write_and_read(calc, frames, dump, tmp_path):
    odd = tmp_path / 'a, "b" #c.dump'
    odd.write_text(dump.read_text() + dump_text(frames[0], 1)[:-40])
    calc = EntropySymmetry(**PARAMETERS, degree=4, elements=["Al"], number_density=0.05)
    table = mapped_with_skips(odd, calc, 1, output=tmp_path / "output.csv")
    table.write(tmp_path / "table.csv")
    for name in ("table.csv", "output.csv"):
        copy = LandscapeTable.read(tmp_path / name)
        assert copy.parameters == table.parameters
        assert copy.skipped == table.skipped
        for column, values in table.columns.items():
            assert copy.columns[column].dtype.kind == values.dtype.kind
            np.testing.assert_array_equal(copy.columns[column], values)
    lines = (tmp_path / "table.csv").read_text().splitlines()
    parameters = json.loads(lines[0].removeprefix("# entsym: "))
    assert parameters.pop("version")
    assert parameters == calc.todict()
    assert lines[1] == "# units: sS k_B per atom, volume Å^3, energy eV per frame"
    assert lines[2] == "frame,file,sS,Q4,n_atoms,volume,energy"


def test_interrupted_output(calc, frames, tmp_path, monkeypatch):
    """Frames that are done when a job is interrupted can be read."""
    monkeypatch.setattr(landscape, "FRAMES_PER_PIECE", 2)
    path = tmp_path / "part.csv"

    def dying():
        yield from frames[:5]
        raise KeyboardInterrupt

    for processes in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(dying(), calc, output=path, processes=processes)
        if processes == 1:
            assert LandscapeTable.read(path).frame.tolist() == [0, 1, 2, 3]
        else:
            LandscapeTable.read(path)
    run(frames, calc, output=path)
    text = path.read_text()
    path.write_text(text[:-5])
    assert len(LandscapeTable.read(path)) == N_FRAMES - 1


def test_files_that_are_no_table(tmp_path):
    path = tmp_path / "x.csv"
    head = "frame,file,sS,Q6,n_atoms,volume,energy\n"
    for text in ("", "frame,sS\n1,2\n", *(f"# entsym: {x}\n{head}" for x in ("{}", "{", "[]"))):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not a landscape table, which starts with"):
            LandscapeTable.read(path)
    for rows in ("frame,sS\n", "frame,file,sS,Q6,n_atoms,volume,energy\n1,2,3\n"):
        path.write_text('# entsym: {"degree": 6}\n' + rows)
        with pytest.raises(ValueError, match="must have the columns frame, file, sS, Q6"):
            LandscapeTable.read(path)
    path.write_text('# entsym: {"degree": 6}\n' + head + "0,a.dump,-1.5,zero,4,66.0,-3.0\n")
    with pytest.raises(ValueError, match=r"x.csv: could not convert .*zero.*; repair that row"):
        LandscapeTable.read(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [("0,a,nan,0.2,4,66,-3\n", "row 1: sS must be a finite number"),
     ("0,a,-1,0.2,4,66,-3\n1,a,-1,nan,4,66,-3\n", "row 2: Q6 must be from 0 to 1"),
     ("0,a,-1,0.2,4,66,inf\n", "row 1: energy must be finite, or nan"),
     ("0,a,-1,0.2,0,66,-3\n", "row 1: n_atoms must be 1 or more"),
     ("0,a,-1,0.2,4,-6,-3\n", "row 1: volume must be above 0"),
     ("0,a,-1,0.2,4,66,-3\n0,a,-1,0.2,4,66,-3\n", "row 2: frame 0 of a is in row 1 already"),
     ("0,a,-1,0.2,4,66,-3\n# skipped: [\"a\", 0, \"x\"]\n", "frame 0 of a is in row 1 already"),
     ("".join(f"{k},a,-1,0.2,4,66,-3\n" for k in (0, 1, 3, 4)), "row 2: frame 2 of a is missing"),
     ("0,a,-1,0.2,4,66,-3\n# skipped: [1]\n", "must be followed by [file, number, reason]"),
     ("0.5,a,-1,0.2,4,66,-3\n", "in row 1, column frame")],
    ids=["nan", "Q", "energy", "atoms", "volume", "twice", "both", "missing", "skipped", "half"],
)  # fmt: skip
def test_rows_that_no_frame_gives(tmp_path, rows, message):
    path = tmp_path / "x.csv"
    head = '# entsym: {"degree": 6}\nframe,file,sS,Q6,n_atoms,volume,energy\n'
    path.write_text(head + rows)
    with pytest.raises(ValueError, match=f"x.csv: .*{re.escape(message)}.*repair that"):
        LandscapeTable.read(path)
    path.write_text(head + "".join(f"{k},a,-1,0.2,4,66,nan\n" for k in (0, 10, 20)))  # a stride
    assert len(LandscapeTable.read(path)) == 3


def test_empty_table_can_be_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('# entsym: {"degree": 6}\nframe,file,sS,Q6,n_atoms,volume,energy\n')
    assert len(LandscapeTable.read(path)) == 0


def test_columns_of_another_degree(frames):
    table = run(frames, EntropySymmetry(**PARAMETERS, degree=4))
    assert list(table.columns)[3] == "Q4"
    with pytest.raises(AttributeError, match="Q6: this table holds Q4; read it from .Q"):
        _ = table.Q6
    assert len(table.Q) == N_FRAMES


def test_columns_must_match():
    good = dict(
        frame=[0, 1], file=["", ""], sS=[0, 0], Q=[0, 0], n_atoms=[1, 1], volume=[1, 1],
        energy=[0, 0], parameters={"degree": 6},
    )  # fmt: skip
    assert len(LandscapeTable(**good)) == 2
    with pytest.raises(ValueError, match=r"Q: has shape \(3,\); every column must be as long"):
        LandscapeTable(**{**good, "Q": [0, 1, 2]})


def test_dataframe(calc, frames, monkeypatch):
    pytest.importorskip("pandas")
    table = run(frames, calc)
    frame = table.to_dataframe()
    assert list(frame.columns) == ["frame", "file", "sS", "Q6", "n_atoms", "volume", "energy"]
    assert frame["sS"].tolist() == table.sS.tolist()
    assert frame.attrs == table.parameters
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'entsym\[tables\]'"):
        table.to_dataframe()


def test_clusters_have_no_volume():
    cluster = Atoms("Al3", positions=[[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0]])
    table = run([cluster], EntropySymmetry(**PARAMETERS, number_density=0.05))
    assert np.isnan(table.volume).all() and np.isfinite(table.sS).all()


@pytest.mark.parametrize("rows", [[4, 0], slice(1, None, 2), np.arange(N_FRAMES) > 4, []],
                         ids=["numbers", "slice", "mask", "none"])  # fmt: skip
def test_rows_are_taken(calc, frames, rows):
    table = run(frames, calc)
    table.skipped.append(("", 9, "broken"))
    taken = table.take(rows)
    kept = np.arange(N_FRAMES)[rows]
    assert taken.frame.tolist() == kept.tolist() and taken.skipped == []
    for name in ("sS", "Q", "energy", "volume", "n_atoms", "file"):
        expected = [getattr(table, name)[k] for k in kept]
        assert getattr(taken, name).tolist() == expected
        assert getattr(taken, name).dtype == getattr(table, name).dtype
    taken.sS[:] = taken.parameters["rmax"] = 0.0
    assert (table.sS != 0).all() and table.parameters["rmax"] == 4.5
    with pytest.raises(IndexError):
        table.take([N_FRAMES])


# --- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def table(calc, frames):
    return run(frames, calc)


@pytest.mark.parametrize("style", ["points", "density"])
@pytest.mark.parametrize("color", ["energy", "volume", "n_atoms", "frame", None])
@pytest.mark.parametrize("marginals", [True, False])
def test_pictures(table, style, color, marginals, tmp_path):
    ax = plot_landscape(table, color=color, style=style, marginals=marginals)
    ax.figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
    assert ax.get_xlabel() == r"sS ($k_\mathrm{B}$ per atom)" and ax.get_ylabel() == "Q6"
    assert len(ax.child_axes) == (2 if marginals else 0)
    bars = [a for a in ax.figure.axes if a is not ax and a not in ax.child_axes]
    assert len(bars) == (0 if color is None and style == "points" else 1)
    if color == "energy":
        label = "energy per atom (eV)"
        assert bars[0].get_ylabel() == (label if style == "points" else f"mean {label}")
    (caption,) = ax.texts
    assert caption.get_text() == (
        "7 frames, rmax 4.5 Å, sigma 0.25 Å, dr 0.0625 Å, Q6 cutoff 3.5 Å"
    )


def test_points_are_where_the_table_says(table):
    ax = plot_landscape(table)
    offsets = np.concatenate([c.get_offsets() for c in ax.collections])
    np.testing.assert_allclose(offsets, np.column_stack([table.sS, table.Q]))
    np.testing.assert_allclose(ax.collections[-1].get_array(), table.energy / table.n_atoms)
    top, right = ax.child_axes
    assert top.get_xlim() == ax.get_xlim() and right.get_ylim() == ax.get_ylim()


def test_frames_without_energy_are_grey(table):
    table.energy[2] = np.nan
    ax = plot_landscape(table)
    grey, colored = ax.collections
    assert len(grey.get_offsets()) == 1 and len(colored.get_offsets()) == N_FRAMES - 1


def test_given_axes_and_degree(frames):
    calc = EntropySymmetry(**PARAMETERS, degree=4, smooth=0.3, elements="Al", number_density=0.05)
    _, ax = plt.subplots()
    assert plot_landscape(run(frames, calc), ax=ax) is ax
    assert ax.get_ylabel() == "Q4"
    assert "Q4 cutoff 3.5 Å, smooth 0.3 Å, Al, density 0.05" in ax.texts[0].get_text()


def test_pictures_of_a_table_in_lj_units(table):
    table.parameters.update(units="lj", number_density=0.8, smooth=0.1)
    for color, label in (("energy", r"energy per atom ($\epsilon$)"),
                         ("volume", r"volume per atom ($\sigma$$^3$)")):  # fmt: skip
        figure = plot_landscape(table, color).figure
        assert figure.axes[-1].get_ylabel() == label
        texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
        assert any(text.startswith(r"7 frames, rmax 4.5 $\sigma$, sigma") for text in texts)
        assert not any(unit in text for text in texts for unit in ("Å", "eV"))


def test_bad_pictures(table):
    with pytest.raises(ValueError, match="color = 'blue': choose from energy, volume, n_atoms"):
        plot_landscape(table, color="blue")
    with pytest.raises(ValueError, match="style = 'line': choose points or density"):
        plot_landscape(table, style="line")
    table.energy[:] = np.nan
    text = "choose another or None, or map the landscape with energies="
    with pytest.raises(ValueError, match=f"color = 'energy': no frame of the table has it; {text}"):
        plot_landscape(table)


# --- any file -------------------------------------------------------------------------------------


def test_mutated_files():
    """Each file is read, or refused in one line, within seconds and limited memory."""
    driver = Path(__file__).parents[1] / "fuzz" / "readers.py"
    done = subprocess.run(
        [sys.executable, driver, "--count", "400"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

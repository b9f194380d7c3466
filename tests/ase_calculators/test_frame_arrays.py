# SPDX-License-Identifier: BSD-3-Clause
"""Frames read by the core: the same numbers and errors as by Python and ASE."""

import gzip
import importlib.util
import random
import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from ase_calculators import (
    EntropySymmetry,
    LandscapeTable,
    extended_xyz,
    lammps_dump,
    map_landscape,
    text_file,
)
from ase_calculators.extended_xyz import xyz_blocks
from ase_calculators.frame_arrays import FrameArrays
from ase_calculators.frame_source import (
    Frame,
    open_frames,
    read_arrays,
    read_block,
    read_frames,
    read_text,
    stored_energy,
)
from ase_calculators.lammps_dump import dump_blocks

ROOT = Path(__file__).parents[2]
OPTIONS = (
    {}, {"specorder": ["Al", "Cu"]}, {"units": "metal"}, {"units": "real", "pbc": [1, 0, 1]},
    {"units": "lj"}, {"specorder": ["Si"], "pbc": True},
)  # fmt: skip


def fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "tests" / "fuzz" / "readers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(function, *arguments):
    """Return a result, or the text of a ValueError; any other error fails the test."""
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


def by_python(text, format, options, energy):
    """Return the frame as atoms make it, without the core."""
    atoms = read_text(text, format, options)
    return FrameArrays.of(atoms, stored_energy(atoms) if energy else np.nan)


def by_block(text, format, options, energy):
    """Return the frame as it comes out of a block, between a broken frame and one like it."""
    frames = [Frame("", k, content, format) for k, content in enumerate([text, b"junk", text])]
    block, places, errors = read_block(frames, options, energy)
    assert len(block) == len(places) == 3 - len(errors) and [*places, *dict(errors)].count(1) == 1
    if errors[0][0] == 0:
        raise errors[0][1]
    first, last = block
    assert_same(first, last)
    assert last.numbers.base is block.numbers or last.numbers is block.numbers
    return last


def blocks(text, format, options):
    """Return the frames that the core has read at once."""
    if format.startswith("lammps-dump"):
        return [*dump_blocks([text] * 2, **options)]
    return [*xyz_blocks([text] * 2, format, **options)]


def assert_same(a, b):
    if isinstance(a, str) or isinstance(b, str):
        assert a == b
        return
    assert a.numbers.dtype == b.numbers.dtype
    for name in ("numbers", "positions", "cell", "pbc", "energy"):
        one, other = getattr(a, name), getattr(b, name)
        np.testing.assert_array_equal(one, other, strict=True, err_msg=name)


def assert_same_atoms(a, b):
    if isinstance(a, str) or isinstance(b, str):
        assert a == b
        return
    assert a.info.keys() == b.info.keys() and a.arrays.keys() == b.arrays.keys()
    results = [{} if atoms.calc is None else atoms.calc.results for atoms in (a, b)]
    assert results[0].keys() == results[1].keys()
    for one, other in ((a.info, b.info), results):
        for name, value in one.items():
            assert type(value) is type(other[name])
            np.testing.assert_array_equal(value, other[name], err_msg=name)
    for name, values in a.arrays.items():
        np.testing.assert_array_equal(values, b.arrays[name], strict=True, err_msg=name)
    np.testing.assert_array_equal(a.cell.array, b.cell.array)
    np.testing.assert_array_equal(a.get_celldisp(), b.get_celldisp())
    assert (a.pbc == b.pbc).all()


def not_called(*_):
    raise AssertionError("the core was asked")


def compare(text, format, options, monkeypatch):
    """Compare both ways to read a frame; return whether the core could."""
    dump = format.startswith("lammps-dump")
    calls = []

    def spied(*arguments):
        calls.append(atom_rows(*arguments))
        return calls[-1]

    atom_rows = lammps_dump.atom_rows
    with monkeypatch.context() as patch:
        patch.setattr(lammps_dump, "atom_rows", spied)
        ways = [(way, energy) for way in (read_arrays, by_block) for energy in (True, False)]
        fast = [outcome(way, text, format, options, energy) for way, energy in ways]
        atoms = outcome(read_text, text, format, options)
        for module in (lammps_dump, extended_xyz):
            patch.setattr(module, "atom_rows", lambda *_: None)
            patch.setattr(module, "frame_rows", not_called)
        slow = [outcome(by_python, text, format, options, energy) for _, energy in ways]
        assert_same_atoms(atoms, outcome(read_text, text, format, options))
    for a, b in zip(fast, slow, strict=True):
        if not isinstance(a, str) and not dump and a.energy == a.energy and b.energy != b.energy:
            b = FrameArrays(b.numbers, b.positions, b.cell, b.pbc, a.energy)  # was not asked for
        assert_same(a, b)
    found = outcome(blocks, text, format, options)
    fast = not isinstance(found, str) and len(found) > 0
    if fast:
        assert found[0][0] == [0, 1]
    return (bool(calls) and calls[0] is not None) if dump else fast


def frames_in(path, format=None):
    for frame in open_frames(path, format, 1, {})[0]:
        if isinstance(frame.content, bytes):
            yield frame.content, frame.format


def assert_block_of(path, options):
    """Check that all frames of a file come out of one call as they come one by one."""
    frames = [*open_frames(path, None, 1, {})[0]]
    block, places, errors = read_block(frames, options, True)
    found = dict(zip(places, block, strict=True)) | {k: str(error) for k, error in errors}
    assert len(found) == len(frames)
    for k, frame in enumerate(frames):
        assert_same(found[k], outcome(frame.arrays, options, True))


@pytest.mark.filterwarnings("ignore:.*does not name boundaries")
@pytest.mark.parametrize("kind", ["dump", "xyz"])
def test_mutated_files(kind, tmp_path, monkeypatch):
    """The kinds of files that are known, and a few hundred changed at random."""
    fuzz = fuzzer()
    path = tmp_path / f"f.{kind}"
    n_frames = n_fast = 0
    files = [seed.encode() for seed in fuzz.SEEDS[kind]]
    files += [fuzz.mutated(kind, random.Random(number)) for number in range(300)]
    for number, data in enumerate(files):
        path.write_bytes(data)
        options = OPTIONS[number % len(OPTIONS)]
        assert_block_of(path, options)
        for text, format in frames_in(path):
            fast = compare(text, format, options, monkeypatch)
            n_frames, n_fast = n_frames + 1, n_fast + fast
    assert n_fast > 50 and n_frames > n_fast + 50


FILES = sorted(path for path in (ROOT / "tests").rglob("*.extxyz"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_files_of_the_tests(path, monkeypatch):
    """The labels of these files are of GPAW; all frames are plain."""
    n_frames = 0
    for (text, format), atoms in zip(frames_in(path), ase.io.iread(path, ":"), strict=True):
        assert compare(text, format, {}, monkeypatch)
        arrays = read_arrays(text, format, {}, True)
        np.testing.assert_array_equal(arrays.positions, atoms.positions)
        np.testing.assert_array_equal(arrays.cell, atoms.cell.array)
        np.testing.assert_equal(arrays.energy, stored_energy(atoms))
        n_frames += 1
    assert n_frames


@pytest.fixture(scope="module")
def frames():
    """Return cells of AlCu with coordinates of many sizes, each with an energy."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(6):
        atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (2, 1, 1)
        atoms.symbols[::3] = "Cu"
        atoms.positions *= 10.0 ** rng.integers(-9, 9, (8, 3))
        atoms.positions += rng.normal(size=(8, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - k / 3, forces=rng.random((8, 3)))
        found.append(atoms)
    return found


NUMBERS = ("{!r}", "{:.17g}", "{:.3f}", "{:.6e}", "{:.20f}", "{:.0f}", "{:.0f}.", "{:.25e}")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("order", ["x y z", "z x y"])
@pytest.mark.parametrize(
    "columns", ["{} id element", "id type {}", "element {} q vx vy vz", "type {} id c_pe[1] i_k"]
)
def test_dumps(frames, monkeypatch, columns, order, number):
    """Columns in any order, numbers of any form, atoms in any order."""
    rng = np.random.default_rng(1)
    names = columns.format(order).split()
    for step, atoms in enumerate(frames):
        ids = np.arange(1, 9) if step < 2 else rng.permutation(8) + 1
        ids = ids * 1000003 if step == 3 else ids  # too far apart for a table
        words = {"id": ids, "element": [*atoms.symbols], "type": (atoms.numbers == 29) + 1,
                 "i_k": rng.integers(-9, 9, 8)}  # fmt: skip
        for k, axis in enumerate("xyz"):
            words[axis] = [number.format(x) for x in atoms.positions[:, k].tolist()]
        rows = zip(*(words.get(n, rng.normal(size=8).round(3)) for n in names), strict=True)
        text = (
            f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n8\n"
            "ITEM: BOX BOUNDS xy xz yz pp pp ff\n0 8.1 0.5\n-1 4.05 0\n0 4.05 0\n"
            f"ITEM: ATOMS {' '.join(names)} \n"
            + "".join(" ".join(map(str, row)) + " \n" for row in rows)
        ).encode()
        options = {"specorder": ["Al", "Cu"]} if "type" in names else {}
        assert compare(text, "lammps-dump-text", options, monkeypatch)
        assert [places for places, _ in blocks(text, "lammps-dump-text", options)] == [[0, 1]]
        if number == "{!r}":
            arrays = read_arrays(text, "lammps-dump-text", options, False)
            by_id = np.argsort(ids) if "id" in names else slice(None)
            np.testing.assert_array_equal(arrays.positions, atoms.positions[by_id])
            np.testing.assert_array_equal(arrays.numbers, atoms.numbers[by_id])


PLAIN = 'Lattice="8.1 0 0 0 4.05 0 0 0 4.05" '
COMMENTS = {
    PLAIN + 'Properties=species:S:1:pos:R:3 pbc="T F T" energy=-1.5': True,
    PLAIN + "Properties=species:S:1:pos:R:3:k:I:1 energy=-3 free_energy=-3.5 type=bulk": True,
    'properties=k:I:1:pos:R:3:species:S:1 LATTICE="8 0 0 0 4 0 0 0 4" Dft_Energy=1e2': True,
    PLAIN + "Timestep=10 Properties=species:S:1:pos:R:3:vel:R:3 Potential_energy=-7": True,
    PLAIN + 'stress="1 2 3 4 5 6" virial="1 0 0 0 1 0 0 0 1" energy=-1 REF_energy=-1': True,
    "Atoms. Timestep: 5": True,
    "": True,
    PLAIN + r'energy=-1 note="{\"Al\": [1, 2]}" d="' + '\u00c5"': True,
    PLAIN + 'name="a=4.04 d=1.0" energy=-1': True,
    PLAIN + 'name="a=4.04 Stress = 1" energy=-1': False,
    PLAIN + "energy=-1.5 dft_energy=-2": False,
    PLAIN + "energy=T": False,
    PLAIN + "energy=nan": False,
    PLAIN + 'energy="1 2"': False,
    PLAIN + "energy=1 energy=2": False,
    PLAIN + 'stress="1 2 3"': False,
    PLAIN + 'note="_JSON [1" energy=1': False,
    PLAIN + 'note="pbc=F" energy=1': True,
    PLAIN + 'note="no pbc=F" energy=1': False,
    PLAIN + "note='a b' m={1 2} energy=1": False,
    PLAIN + "Properties=species:S:1:pos:R:3:move_mask:L:1": False,
    PLAIN + "Properties=species:S:1:pos:R:3:forces:S:3": False,
    PLAIN + 'pbc="T T" energy=1': False,
    'Lattice="8 0 0 0 4 0 0 0" energy=1': False,
    PLAIN + "dipole=no energy=1": False,
    PLAIN + "energy = 1": False,
    PLAIN + "\u00c5=1 energy=1": False,
}


@pytest.mark.parametrize(("comment", "plain"), COMMENTS.items(), ids=COMMENTS.keys())
@pytest.mark.parametrize("options", OPTIONS, ids=map(str, OPTIONS))
def test_comments(frames, monkeypatch, comment, plain, options):
    """Keys of all programs; what the core leaves to ASE gives ASE's numbers or its error."""
    rows = [f"{a.symbol} {float(a.x)!r} {a.y:.8f} {a.z:.3e}" for a in frames[0]]
    if "k:I:1:pos" in comment:
        rows = [f"3 {' '.join(row.split()[1:])} {row.split()[0]}" for row in rows]
    elif "k:I:1" in comment:
        rows = [f"{row} 4" for row in rows]
    elif "move_mask" in comment:
        rows = [f"{row} T" for row in rows]
    elif ":R:3:" in comment:
        rows = [f"{row} 0.5 -1 2e-3" for row in rows]
    text = f"8\n{comment}\n{chr(10).join(rows)}\n".encode()
    assert compare(text, "extxyz", options, monkeypatch) == plain


@pytest.mark.parametrize("kind", ["Cu", "cu", "X", "2", "0", "1000", "D", "\u0663"])
@pytest.mark.parametrize("where", ["xyz", "element", "type", "typelabel", "mass"])
def test_kinds(monkeypatch, kind, where):
    """Symbols, types and what is neither."""
    for options in OPTIONS:
        if where == "xyz":
            compare(f"2\n\n{kind} 0 0 0\nAl 1 1 1\n".encode(), "extxyz", options, monkeypatch)
            continue
        for other in ("1", "Al", "26.98"):
            text = (
                "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n"
                f"0 4\n0 4\n0 4\nITEM: ATOMS id {where} x y z\n1 {kind} 0 0 0\n2 {other} 1 1 1\n"
            )
            compare(text.encode(), "lammps-dump-text", options, monkeypatch)


@pytest.mark.parametrize("ending", ["dump", "extxyz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_blocks(frames, tmp_path, monkeypatch, ending, line_end):
    """Frames do not depend on where the file is cut when it is read."""
    path, other = tmp_path / f"f.{ending}", tmp_path / f"g.{ending}.gz"
    fuzz = fuzzer()
    text = "".join(fuzz.SEEDS["dump"][:4]) if ending == "dump" else "".join(fuzz.SEEDS["xyz"])
    if ending == "dump":
        text = "junk\n" + text + "ITEM: TIME\n0ITEM: UNITS\nmetal\n" + fuzz.frame(7)
    expected, format = None, "lammps-dump-text" if ending == "dump" else None
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + text.replace("\n", line_end).encode())
        other.write_bytes(gzip.compress(path.read_bytes()))
        for size in (1 << 20, 1, 2, 3, 7, 100):
            monkeypatch.setattr(text_file, "BYTES_PER_BLOCK", size)
            for file in (path, other):
                found = [f[1:] for f in open_frames(file, format, 1, {})[0]]
                expected = expected or found
                assert found == expected
    texts = [content for _, content, *_ in expected]
    assert len(texts) == (8 if ending == "dump" else 7) and not any(
        b"\r" in text or b"junk" in text for text in texts
    )
    if ending == "dump":
        # LAMMPS names units once; a time that a crash cut short does not count
        units = [re.findall(rb"ITEM: UNITS\n(.*)\n", text) for text in texts]
        assert units == [[]] * 4 + [
            [b"real"],
            [b"electron"],
            [b"electron"],
            [b"electron", b"metal"],
        ]
        assert b"\nelectron\nITEM: TIME\nITEM: UNITS\nmetal\nITEM: TIMESTEP" in texts[-1]


def test_long_lines(tmp_path, monkeypatch):
    """A line without end is refused, whatever the blocks."""
    monkeypatch.setattr(text_file, "BYTES_PER_LINE", 1000)
    path = tmp_path / "f.xyz"
    for size in (1, 999, 1000):
        monkeypatch.setattr(text_file, "BYTES_PER_BLOCK", size)
        path.write_text("1\nenergy=1\nAl 0 0 0\n1\n" + "x" * 1000 + "\nAl 0 0 0\n")
        first, *others = open_frames(path, None, 1, {})[0]
        assert first.content == b"1\nenergy=1\nAl 0 0 0\n"
        (error,) = [frame.content for frame in others]
        assert str(error).startswith("line 5 has more than 1000 characters")


def test_large_frames(tmp_path, monkeypatch):
    """A frame that never ends is refused before it fills the memory."""
    monkeypatch.setattr(text_file, "BYTES_PER_FRAME", 5000)
    monkeypatch.setattr(text_file, "BYTES_PER_BLOCK", 100)
    for ending, start in (("xyz", "1\n\n"), ("dump", "ITEM: TIMESTEP\n0\n")):
        path = tmp_path / f"f.{ending}"
        path.write_text(start + "Al 0 0 0\n" * 1000)
        (frame,) = open_frames(path, None, 1, {})[0]
        assert "a frame takes more than 0 MiB and does not end" in str(frame.content)


@pytest.mark.parametrize("options", [{}, {"elements": ["Cu"], "number_density": 0.05}])
def test_kernel_takes_arrays(frames, options):
    """Arrays and atoms give the same values; a frame may be aperiodic."""
    calc = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5, **options)
    cells = [bulk("Al", "fcc", a=4 + k / 10, cubic=True) for k in range(3)]
    for atoms in cells:
        atoms.symbols[[0, 2]] = "Cu"
    if options:
        cells[1].pbc = [True, False, True]
    values = calc.evaluate(cells)
    for name, column in calc.evaluate(map(FrameArrays.of, cells)).items():
        np.testing.assert_array_equal(column, values[name])
    with pytest.raises(ValueError, match="frame 1: elements: Ni is not in the structure"):
        calc.set(elements=["Ni"])
        calc.evaluate([FrameArrays.of(Atoms("Ni2", [[0, 0, 0], [1, 1, 1]], cell=[3] * 3, pbc=True)),
                       FrameArrays.of(cells[0])])  # fmt: skip


def test_table_of_both_ways(tmp_path, monkeypatch):
    """The landscape of a dump is the same to the last bit without the core's reader."""
    text = "".join(fuzzer().frame(k, columns="id element x y z") for k in range(9))
    path = tmp_path / "f.dump"
    path.write_text(text.replace("0.1 0 0", "0.123456789 0 0"))
    calc = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
    fast = map_landscape(path, calc, progress=False)
    monkeypatch.setattr(lammps_dump, "atom_rows", lambda *_: None)
    monkeypatch.setattr(lammps_dump, "_PLAIN_HEAD", re.compile(b"(?!)"))
    slow = map_landscape(path, calc, progress=False)
    assert len(fast) == 9
    for name, column in fast.columns.items():
        np.testing.assert_array_equal(column, slow.columns[name], strict=True)


@pytest.mark.parametrize(
    ("results", "info"),
    [({"energy": -1.5}, {}), ({"energy": -1.5, "free_energy": -1.75}, {}), ({}, {}),
     ({}, {"REF_energy": -2.5}), ({"energy": -1.5}, {"dft_energy": -1.5}),
     ({}, {"energy": 3}), ({"energy": -1.5}, {"dft_energy": -2.0}), ({}, {"energy": "low"})],
    ids=["energy", "free", "none", "info", "twice", "whole", "differ", "word"],
)  # fmt: skip
def test_energies_of_other_files(tmp_path, results, info):
    """Frames of a trajectory have the energy of `stored_energy`, or its error."""
    atoms = bulk("Al", "fcc", a=4.05, cubic=True)
    atoms.info |= info
    atoms.calc = SinglePointCalculator(atoms, **results) if results else None
    ase.io.write(tmp_path / "f.traj", atoms)
    (frame,) = open_frames(tmp_path / "f.traj", None, 1, {})[0]
    expected = outcome(stored_energy, ase.io.read(tmp_path / "f.traj"))
    if isinstance(expected, str):
        assert str(frame.content) == expected
    else:
        np.testing.assert_equal(frame.content.energy, expected)


def test_whole_numbers_of_64_bits(monkeypatch):
    """IDs beyond 32 bits, which ASE refuses, cost no frame and no digit."""
    rows = [("Al", 0, 7, 2**31), ("Cu", 1, -(2**31) - 1, 10**15 + 1), ("Al", 2, 3, 2**63 - 1)]
    for head in ("energy=-1.5", "energy = -1.5"):  # plain, and only for ASE
        for n in (2, 3):
            text = (
                f'{n}\nLattice="8 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:small:I:1:id:I:2 '
                f"{head}\n" + "".join(f"{s} {x} 0 0 {k} {a} {b}\n" for k, (s, x, a, b) in
                                      enumerate(rows[:n]))
            ).encode()  # fmt: skip
            atoms = read_text(text, "extxyz", {})
            assert atoms.arrays["small"].dtype == atoms.arrays["id"].dtype == np.int64
            assert atoms.arrays["small"].tolist() == [*range(n)]
            assert atoms.arrays["id"].tolist() == [[a, b] for _, _, a, b in rows[:n]]
            assert read_arrays(text, "extxyz", {}, True).energy == -1.5
            if head == "energy=-1.5":
                assert compare(text, "extxyz", {}, monkeypatch) == (n == 2)
    text = text.replace(str(2**63 - 1).encode(), str(2**63).encode())
    with pytest.raises(ValueError, match="column id: "):
        read_text(text, "extxyz", {})


def dump(head, a, step=0):
    """Return a dump of fcc Al in a box whose lengths are in units of its head."""
    atoms = bulk("Al", "fcc", a=a, cubic=True) * (2, 2, 2)
    rows = "".join(f"{k + 1} Al {x!r} {y!r} {z!r}\n"
                   for k, (x, y, z) in enumerate(atoms.positions.tolist()))  # fmt: skip
    box = f"0 {2 * a!r}\n" * 3
    return (
        f"{head}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n"
        f"ITEM: BOX BOUNDS pp pp pp\n{box}ITEM: ATOMS id element x y z\n{rows}"
    )


def test_units_of_several_files(tmp_path):
    """A file without units is in Å or in units=, whatever the others say and in any order."""
    bohr = 0.529177210903
    texts = {
        "electron": dump("ITEM: UNITS\nelectron\n", 4.05 / bohr) + dump("", 4.1 / bohr, 1),
        "none": dump("", 4.05),
        "real": dump("ITEM: UNITS\nreal\n", 4.1),
        "xyz": '1\nTimestep=0 Lattice="4.05 0 0 0 4.05 0 0 0 4.05"\nAl 0 0 0\n',
        "yaml": "---\ncreator: LAMMPS\ntimestep: 0\nunits: electron\nnatoms: 1\n"
        "boundary: [ p, p, p, p, p, p, ]\nbox:\n" + f"  - [ 0, {4.05 / bohr!r} ]\n" * 3
        + "keywords: [ id, element, x, y, z, ]\ndata:\n  - [ 1 , Al , 0 , 0 , 0, ]\n...\n",
    }  # fmt: skip
    lengths = {"electron": [8.1, 8.2], "none": [8.1], "real": [8.2], "xyz": [4.05], "yaml": [4.05]}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    calc = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
    for order in (["electron", "none", "real"], ["none", "electron"], ["yaml", "none", "xyz"],
                  ["electron", "xyz", "yaml", "none"]):  # fmt: skip
        table = map_landscape([tmp_path / n for n in order], calc, progress=False)
        expected = [a**3 for name in order for a in lengths[name]]
        np.testing.assert_allclose(table.volume, expected, rtol=1e-7, err_msg=str(order))
    # units= is for those that say nothing, the log for all of them, whichever dump comes first
    with pytest.warns(UserWarning, match="1 of 3 frames skipped"):
        table = map_landscape(
            [tmp_path / n for n in ("none", "electron", "real")][::2] + [tmp_path / "xyz"], calc,
            progress=False, units="electron",
        )  # fmt: skip
    np.testing.assert_allclose(table.volume, [(8.1 * bohr) ** 3, (4.05 * bohr) ** 3], rtol=1e-7)
    (tmp_path / "log").write_text("Step PotEng\n0 -1.0\n1 -2.0\n")
    for order in (["none", "electron"], ["electron", "none"]):
        table = map_landscape(
            [tmp_path / n for n in order], calc, progress=False, energies=tmp_path / "log"
        )
        volumes = {"none": [(8.1 * bohr) ** 3], "electron": [8.1**3, 8.2**3]}
        np.testing.assert_allclose(table.volume, [v for n in order for v in volumes[n]], rtol=1e-7)


DECK = """units metal
lattice custom 4.05 a1 1 {tilt} 0.1 a2 -{tilt} 1 {tilt} a3 0.1 -{tilt} 1 &
 basis 0 0 0 basis 0.5 0.5 0 triclinic/general
create_box 1 NULL 0 4 0 4 0 4
create_atoms 1 box
mass 1 26.98
pair_style zero 5.0
pair_coeff * *
dump 1 all custom 1 text.dump id type x y z
dump 2 all yaml 1 inside.yaml id type x y z
dump 3 all yaml 1 scaled.yaml id type xs ys zs
dump 4 all yaml 1 rotated.yaml id type x y z
dump_modify 3 triclinic/general yes
dump_modify 4 triclinic/general yes units yes time yes
run 1
"""


@pytest.mark.parametrize("tilt", [0.05, 0.3])
def test_yaml_of_rotated_atoms(tmp_path, tilt):
    """LAMMPS rotates atoms for triclinic/general, and YAML holds the box that is not rotated."""
    (tmp_path / "in.lmp").write_text(DECK.format(tilt=tilt))
    subprocess.run(
        [Path(sys.executable).with_name("lmp"), "-in", "in.lmp", "-log", "none"],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
    )
    calc = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
    options = {"specorder": ["Al"], "progress": False}
    expected = map_landscape(tmp_path / "text.dump", calc, **options)
    assert len(expected) == 2
    for name in ("inside", "scaled"):
        table = map_landscape(tmp_path / f"{name}.yaml", calc, **options)
        np.testing.assert_allclose(table.sS, expected.sS, rtol=1e-3)
        np.testing.assert_allclose(table.volume, expected.volume, rtol=1e-12)
    message = "outside a periodic box, as after dump_modify triclinic/general"
    for reader in (map_landscape, lambda path, *_, **__: [*read_frames(path)]):
        with pytest.raises(ValueError, match=message):
            reader(tmp_path / "rotated.yaml", calc, **options)


@pytest.mark.skipif(text_file._ZSTD is None, reason="needs entsym[zstd]")
@pytest.mark.parametrize("ending", ["dump", "extxyz"])
def test_zstd(frames, tmp_path, ending):
    """Files that zstd has compressed, also in several parts, damaged or cut short."""
    path, packed = tmp_path / f"f.{ending}", tmp_path / f"f.{ending}.zst"
    if ending == "dump":
        path.write_text("".join(dump("", 4.05 + step / 100, step) for step in range(4000)))
    else:
        ase.io.write(path, frames)
    whole = [f[1:] for f in open_frames(path, None, 1, {})[0]]
    data = path.read_bytes()
    half = len(data) // 2
    compress = text_file._ZSTD.compress
    packed.write_bytes(compress(data[:half]) + compress(data[half:]))
    assert [f[1:] for f in open_frames(packed, None, 1, {})[0]] == whole
    assert len([*read_frames(packed)]) == len(whole)
    if ending == "extxyz":
        return
    packed.write_bytes(packed.read_bytes()[:-20])
    *found, last = open_frames(packed, None, 1, {})[0]
    assert len(found) > 1000 and [f[1:] for f in found[:-1]] == whole[: len(found) - 1]
    assert "cannot be decompressed to its end" in str(last.content)


def test_zstd_is_missing(frames, tmp_path, monkeypatch):
    """Without the package, one line says what to install."""
    monkeypatch.setattr(text_file, "_ZSTD", None)
    (tmp_path / "f.dump").write_bytes(b"\x28\xb5\x2f\xfd1234")
    (frame,) = open_frames(tmp_path / "f.dump", None, 1, {})[0]
    assert str(frame.content).endswith("zstd; pip install 'entsym[zstd]', or run 'zstd -d' first")


def test_line_ends_of_windows(frames, tmp_path):
    """A table that an editor of Windows has written is the same."""
    calc = EntropySymmetry(rmax=4.5, sigma=0.25, q6_cutoff=3.5)
    cells = [bulk("Al", "fcc", a=4 + k / 10, cubic=True) for k in range(3)]
    table = map_landscape(cells, calc, progress=False, output=tmp_path / "f.csv")
    text = (tmp_path / "f.csv").read_bytes()
    (tmp_path / "g.csv").write_bytes(text.replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(LandscapeTable.read(tmp_path / "g.csv").sS, table.sS)

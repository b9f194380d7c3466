# SPDX-License-Identifier: BSD-3-Clause
"""Frames of XYZ and extended XYZ files: their texts, and arrays or atoms of a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from io import StringIO
from itertools import chain
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import (
    REV_PROPERTY_NAME_MAP,
    key_val_str_to_dict,
    per_config_properties,
    set_calc_and_arrays,
)

from ase_calculators.frame_arrays import SYMBOLS, FrameBlock, offsets_of
from ase_calculators.lammps_dump import symbols_of
from ase_calculators.lammps_units import UNITS, check_units, factor_to_ase
from ase_calculators.stored_labels import energy_of, is_energy
from ase_calculators.text_file import check_frame_size, decoded, is_count, numbers_of, reason_of
from cython_core._kernel import XyzCut, atom_rows, frame_rows

# "Timestep=10" of dump extxyz, "timestep=10" of ours, "Atoms. Timestep: 10" of dump xyz
STEP = re.compile(rb"(?:^|\s)timestep\s*[=:]\s*\"?(-?\d{1,18})\"?(?=\s|$)", re.IGNORECASE)
_PROPERTIES = re.compile(r"(?:^|\s)Properties\s*=\s*\"?([^\s\"]+)")
_LATTICE = re.compile(r"(?:^|\s)Lattice\s*=\s*\"([^\"]*)\"")


def xyz_texts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut an (extended) XYZ file into its frames; each starts with a number alone on its line.

    Parameters
    ----------
    blocks : iterable of bytes
        The file, as `read_blocks` has it.

    Yields
    ------
    bytes
        Text of a frame.
    """
    buffer = bytearray()
    cut = XyzCut()
    begun = False
    for block in chain(blocks, (b"",)):
        buffer += block
        done = 0
        for start in cut.scan(buffer, not block):
            if begun:
                yield bytes(memoryview(buffer)[done:start])
            begun, done = True, start
        if done:
            del buffer[:done]
            cut.drop(done)
        check_frame_size(len(buffer))
    if begun:
        yield bytes(buffer)


# --- texts to arrays ------------------------------------------------------------------------------

# a comment of plain words: no brackets, escapes or further "=" but within double quotes
_WORD = r"[!#-&(-<>-Z^-z|~]"
_QUOTED = r'"([^"\\\n]*(?:\\[^\n][^"\\\n]*)*)"'
_PAIR = rf"([A-Za-z_][\w-]*)=(?:{_QUOTED}|({_WORD}+))(?:[ \t]+|$)"
_PAIRS = re.compile(rf"[ \t]*(?:{_PAIR})+", re.ASCII)
_EACH_PAIR = re.compile(_PAIR, re.ASCII)
_KEYS = ("lattice", "properties", "pbc", "stress", "virial")
_EACH_KEY = re.compile(rf"(?:^|\s)(?:{'|'.join(_KEYS)})\s*=", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_FLAGS = {"T": True, "True": True, "F": False, "False": False}
# added to the place of a whole number that is kept
_WHOLE = 1 << 16
# properties that change what ASE makes of a frame
_SPECIAL = {"Z", "numbers", "symbols", "positions", "initial_charges", "move_mask"}


class _Properties(NamedTuple):
    """What the columns of the atoms are read as."""

    plan: np.ndarray  # for positions and elements, as atom_rows takes it
    whole: np.ndarray | None  # for all columns; None if some hold words
    columns: tuple[tuple[str, str, int], ...]  # name, type and number of the other columns
    more: bool  # whether there may be further columns


_FOUR = np.array([-5, 0, 1, 2], dtype=np.intc)
_BARE = _Properties(_FOUR, _FOUR, (), True)


@lru_cache(maxsize=64)
def _plan(properties: str, converted: bool) -> _Properties | None:
    """Return how the columns of `Properties` are read; None if ASE has to see the frame."""
    fields = properties.split(":")
    names, kinds, counts = fields[::3], fields[1::3], fields[2::3]
    codes = {"R": -2, "I": -3, "L": -1}
    plan: list[int] = []
    whole: list[int] = []
    columns = []
    place = 3
    wanted = {"species": ("S", "1"), "pos": ("R", "3")}
    for name, kind, count in zip(names, kinds, counts, strict=False):
        given = (kind, count)
        if name in wanted:
            if wanted.pop(name) != given:
                return None
            plan += [-5] if name == "species" else [0, 1, 2]
            whole += plan[len(whole) :]
        elif (
            name in _SPECIAL
            or not name
            or kind not in codes
            or not re.fullmatch("[1-9][0-9]?", count)
            or (converted and name in ("vel", "forces") and given != ("R", "3"))
        ):
            return None
        else:
            n = int(count)
            plan += [codes[kind]] * n
            whole += [k + (_WHOLE if kind == "I" else 0) for k in range(place, place + n)]
            columns.append((name, kind, n))
            place += n
    if wanted or len(fields) % 3 or len(set(names)) != len(names):
        return None
    every = None if "L" in kinds else np.array(whole, dtype=np.intc)
    return _Properties(np.array(plan, dtype=np.intc), every, tuple(columns), False)


def _pairs(comment: str) -> dict[str, str] | None:
    """Return the keys and values of a comment of plain words, as ASE takes it apart."""
    if not _PAIRS.fullmatch(comment):
        return None
    found = _EACH_PAIR.findall(comment)
    pairs = {key: quoted or word for key, quoted, word in found}
    if len(pairs) != len(found):
        return None
    if comment.count("=") > len(pairs):  # what looks like a key of xyz_atoms may be quoted
        n_keys = sum(key.lower() in _KEYS for key in pairs)
        if len(_EACH_KEY.findall(comment)) > n_keys:
            return None
    for name in ("Lattice", "Properties", "pbc"):  # some programs use small letters
        if name not in pairs:
            small = name.lower()
            key = next((key for key in pairs if key.lower() == small), "")
            if key:
                pairs = {name if k == key else k: value for k, value in pairs.items()}
    return pairs


@lru_cache(maxsize=64)
def _numbers(text: str) -> np.ndarray | None:
    """Return the words of a text as numbers if all of them are plain."""
    words = text.split()
    if not all(map(_NUMBER.fullmatch, words)):
        return None
    return np.array([*map(float, words)])


class _Head(NamedTuple):
    """What is known of a frame before its rows."""

    n_atoms: int
    pairs: dict[str, str]
    converted: bool  # from LAMMPS's units
    properties: _Properties
    start: int  # of the rows


def _head(text: bytes, format: str, units: str | None, options: dict[str, Any]) -> _Head | None:
    """Return what is known of a plain frame before its rows; None for any other."""
    end = text.find(b"\n")
    start = text.find(b"\n", end + 1) + 1
    if options or format != "extxyz" or units not in (None, *UNITS) or end < 0 or not start:
        return None
    count = text[:end].strip(b" \t")
    comment = text[end + 1 : start - 1].decode("latin-1").strip(" \t")
    if not (count.isdigit() and len(count) <= 18):
        return None
    pairs: dict[str, str] | None = {}
    if "=" in comment:  # else not extended XYZ: the comment may be anything
        pairs = _pairs(comment)
    if pairs is None:
        return None
    converted = bool(units) and any(k.lower() == "timestep" != k for k in pairs)
    properties: _Properties | None = _BARE
    if "Properties" in pairs:
        properties = _plan(pairs["Properties"], converted)
    if properties is None:
        return None
    return _Head(int(count), pairs, converted, properties, start)


def _rows(
    text: bytes, head: _Head, plan: np.ndarray, specorder: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the numbers of plain rows, and the atomic numbers; None for any other."""
    more = head.properties.more
    found = atom_rows(text, head.start, head.n_atoms, plan, SYMBOLS, more)
    if found is None or not head.n_atoms:
        return None
    values, _, kinds = found
    assert kinds is not None
    numbers = _numbers_of(kinds, specorder)
    return None if numbers is None else (values, numbers)


def _numbers_of(kinds: np.ndarray, specorder: Sequence[str] | None) -> np.ndarray | None:
    """Return the atomic numbers of what the core has read; None if it is not all of one kind."""
    if kinds.min() >= 0:
        return kinds.astype(int)
    if isinstance(specorder, str) or not specorder or kinds.max() >= 0:
        return None
    of_type = [atomic_numbers.get(symbol, -1) for symbol in specorder]
    if min(of_type) < 0 or kinds.min() < -len(of_type):
        return None
    return np.array([0, *of_type])[-kinds]


class _Comment(NamedTuple):
    """What the comment of a plain frame says."""

    cell: np.ndarray  # (9,)
    pbc: list[bool | None]  # one, or three; none is None
    energy: float


def _comment(head: _Head, units: str | None) -> _Comment | None:
    """Return what a comment says, in Å and eV; None if ASE has to see the frame."""
    pairs = head.pairs
    cell: np.ndarray | None = np.zeros(9)
    if "Lattice" in pairs:
        cell = _numbers(pairs["Lattice"])
    if cell is None or len(cell) != 9:
        return None
    flags = [_FLAGS.get(word) for word in pairs["pbc"].split()] if "pbc" in pairs else None
    if flags is None:
        flags = ["Lattice" in pairs]
    if len(flags) not in (1, 3) or None in flags:
        return None
    energies: dict[str, float] = {}
    for key, value in pairs.items():
        if is_energy(key):
            if not _NUMBER.fullmatch(value):
                return None
            energies[key] = float(value)
        elif key in per_config_properties or key == "virial":
            numbers = _numbers(value)
            if numbers is None or not len(numbers):
                return None
            if key in ("stress", "virial") and len(numbers) not in (6, 9):
                return None
        elif "_JSON" in value:
            return None
    if head.converted:
        cell = cell * factor_to_ase("distance", units)
        for key in energies:
            if key.lower() == "potential_energy":
                energies[key] *= factor_to_ase("energy", units)
    try:
        return _Comment(cell, flags, energy_of(energies))
    except ValueError:  # for those who need it
        return None


def xyz_blocks(
    texts: Sequence[bytes],
    format: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    **options: Any,
) -> Iterator[tuple[list[int], FrameBlock]]:
    """Read the plain ones among the texts of many frames, those with the same columns at once.

    Parameters
    ----------
    texts : sequence of bytes
        Texts of frames.
    format : str
        Name of ASE's reader; frames of "extxyz" may be plain.
    specorder : sequence of str, optional
        Elements of the types 1, 2 and so on, if the species are types.
    units : str, optional
        LAMMPS unit style of a frame of ``dump extxyz``. Default: Å and eV.
    pbc : bool or (3,) bool, optional
        Periodic directions. Default: those of the text.
    **options
        Options of ASE's reader; with any, no frame is plain.

    Yields
    ------
    places : list of int
        Places of frames in `texts`.
    block : FrameBlock
        These frames as `xyz_atoms` has them, which reads the frames that are in no block or says
        what is wrong with them.
    """
    alike: dict[tuple[int, bool], list[tuple[int, _Head, _Comment]]] = {}
    for place, text in enumerate(texts):
        head = _head(text, format, units, options)
        comment = None if head is None else _comment(head, units)
        if head is not None and comment is not None:
            # the heads keep their properties, so that no other ones get the same id
            key = id(head.properties), head.converted
            alike.setdefault(key, []).append((place, head, comment))
    for (_, converted), found in alike.items():
        properties = found[0][1].properties
        positions, kinds, plain = frame_rows(
            [texts[place] for place, _, _ in found],
            [head.start for _, head, _ in found],
            [head.n_atoms for _, head, _ in found],
            properties.plan, SYMBOLS, properties.more,
        )  # fmt: skip
        assert kinds is not None
        numbers = _numbers_of(kinds, specorder) if len(kinds) else None
        if numbers is None:
            continue
        if not plain.all():
            found = [frame for frame, good in zip(found, plain.tolist(), strict=True) if good]
        if converted:
            positions *= factor_to_ase("distance", units)
        periodic = np.zeros((len(found), 3), dtype=bool)
        for flags, (_, _, comment) in zip(periodic, found, strict=True):
            flags[:] = comment.pbc if pbc is None else pbc
        block = FrameBlock(
            numbers,
            positions,
            offsets_of([head.n_atoms for _, head, _ in found]),
            np.array([comment.cell for _, _, comment in found]).reshape(-1, 3, 3),
            periodic,
            np.array([comment.energy for _, _, comment in found]),
        )
        yield [place for place, _, _ in found], block


# --- texts to atoms -------------------------------------------------------------------------------


def xyz_atoms(
    text: bytes,
    format: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    **options: Any,
) -> Atoms:
    """Return the atoms of the text of one frame, as ASE reads it.

    Parameters
    ----------
    text : bytes
        Text of the frame.
    format : str
        Name of ASE's reader, "extxyz" or "xyz".
    specorder : sequence of str, optional
        Elements of the types 1, 2 and so on, if the species are types.
    units : str, optional
        LAMMPS unit style of a frame of ``dump extxyz``. Default: Å and eV.
    pbc : bool or (3,) bool, optional
        Periodic directions. Default: those of the text.
    **options
        Options of ASE's reader.

    Returns
    -------
    ase.Atoms
        The frame, in Å and eV; in sigma and epsilon with ``units="lj"``.

    Raises
    ------
    ValueError
        If the text is not a complete frame, or its elements or units are unknown.
    """
    check_units(units)
    atoms: Any = None
    with suppress(Exception):  # of ASE; below it says which
        atoms = _plain_atoms(text, format, specorder, units, options)
    if atoms is None:
        atoms = _any_atoms(text, format, specorder, options)
    if pbc is not None:
        atoms.pbc = pbc
        if atoms.calc is not None:  # its labels are still those of the frame
            atoms.calc.atoms.pbc = pbc
    if units and any(key.lower() == "timestep" and key != "timestep" for key in atoms.info):
        _convert(atoms, units)  # dump extxyz writes LAMMPS's units
    return atoms


def _plain_atoms(
    text: bytes,
    format: str,
    specorder: Sequence[str] | None,
    units: str | None,
    options: dict[str, Any],
) -> Atoms | None:
    """Return the atoms of a plain frame, as ASE makes them of its comment and its columns."""
    head = _head(text, format, units, options)
    if head is None or head.properties.whole is None:
        return None
    rows = _rows(text, head, head.properties.whole, specorder)
    if rows is None:
        return None
    values, numbers = rows
    comment = decoded(text[text.find(b"\n") + 1 : head.start - 1])
    info = key_val_str_to_dict(_as_ase_reads(comment).strip()) if "=" in comment else {}
    has_cell = "Lattice" in info
    cell = info.pop("Lattice").T if has_cell else None
    info.pop("Properties", None)
    atoms = Atoms(
        numbers, values[:, :3], cell=cell, pbc=info.pop("pbc", has_cell or None), info=info
    )
    arrays = {}
    place = 3
    for name, kind, n in head.properties.columns:
        column = values[:, place] if n == 1 else values[:, place : place + n]
        arrays[REV_PROPERTY_NAME_MAP.get(name, name)] = column.astype(
            np.int64 if kind == "I" else float
        )
        place += n
    set_calc_and_arrays(atoms, arrays)
    return atoms


def _as_ase_reads(comment: str) -> str:
    """Return a comment with the keys and the numbers that ASE's reader wants."""
    for key in ("Lattice", "Properties", "pbc"):  # some programs use small letters
        if not re.search(rf"(?:^|\s){key}\s*=", comment):
            comment = re.sub(rf"(?i)(^|\s){key}(\s*=)", rf"\g<1>{key}\g<2>", comment, count=1)
    return _SIX.sub(_nine, comment)  # of six numbers ASE reads nine


def _any_atoms(
    text: bytes, format: str, specorder: Sequence[str] | None, options: dict[str, Any]
) -> Atoms:
    """Return the atoms of any frame, which ASE reads once it is known to be complete."""
    count, _, rest = decoded(text).partition("\n")
    comment, _, body = rest.partition("\n")
    if not is_count(count) or len(count.strip()) > 18:
        raise ValueError(f"must start with its number of atoms, starts with {count.strip()[:40]!r}")
    n_atoms = int(count)
    rows = body.split("\n")
    while rows and not rows[-1].strip():
        del rows[-1]
    if len(rows) < n_atoms:
        raise ValueError(f"the frame ends early: {len(rows)} of {n_atoms} atoms were read")
    if not n_atoms:
        raise ValueError("the frame has no atoms")
    if not all(row.startswith("VEC") for row in rows[n_atoms:]):
        raise ValueError(f"the frame has {len(rows)} lines for its {n_atoms} atoms")
    comment = _as_ase_reads(comment)
    if found := _LATTICE.search(comment):
        if len(found[1].split()) != 9:
            raise ValueError(f"Lattice: must have 9 numbers, has {len(found[1].split())}")
        numbers_of("Lattice", found[1].split())
    species: int | None = 0
    width, exact = 4, False
    if found := _PROPERTIES.search(comment):
        species, width = _xyz_columns(found[1])
        exact = True
    words = [row.split() for row in rows[:n_atoms]]
    for number, row in enumerate(words):
        if len(row) < width or (exact and len(row) > width):
            raise ValueError(
                f"line {number + 1} of its atoms has {len(row)} columns and must have {width}"
            )
    if species is not None:
        kinds = [row[species] for row in words]
        if any(kind.capitalize() not in atomic_numbers for kind in set(kinds)):
            for row, symbol in zip(words, symbols_of(kinds, specorder), strict=True):
                row[species] = symbol
            rows[:n_atoms] = [" ".join(row) for row in words]
    if "=" not in comment:  # not extended XYZ: the comment may be anything
        comment = ""
    comment, large = _large_numbers(comment, words)
    whole = "\n".join([str(n_atoms), comment, *rows, ""])
    atoms: Any = ase.io.read(StringIO(whole), index=0, format=format, **options)
    for name, values in atoms.arrays.items():
        if name in large:
            atoms.arrays[name] = large[name].reshape(values.shape)
        elif values.dtype == np.int32:
            atoms.arrays[name] = values.astype(np.int64)
    return atoms


def _large_numbers(comment: str, words: list[list[str]]) -> tuple[str, dict[str, np.ndarray]]:
    """Return whole numbers of more than 32 bits by array, and a comment without their type.

    ASE reads 32 bits; it gets these columns as real numbers.
    """
    large: dict[str, np.ndarray] = {}
    if not (found := _PROPERTIES.search(comment)):
        return comment, large
    fields = found[1].split(":")
    place = 0
    for k in range(0, len(fields), 3):
        name, n = fields[k], int(fields[k + 2])
        columns = [row[place : place + n] for row in words]
        place += n
        if fields[k + 1] == "I" and any(len(word) > 9 for row in columns for word in row):
            try:
                values = np.array([[int(word) for word in row] for row in columns], dtype=np.int64)
            except (ValueError, OverflowError) as error:
                raise ValueError(f"column {name}: {reason_of(error)}") from error
            if max(abs(int(values.min())), int(values.max())) >= 1 << 31:
                large[REV_PROPERTY_NAME_MAP.get(name, name)] = values
                fields[k + 1] = "R"
    properties = ":".join(fields)
    return comment[: found.start(1)] + properties + comment[found.end(1) :], large


_SIX = re.compile(r"((?:^|\s)(?:stress|virial)\s*=\s*)\"([^\"]*)\"")


def _nine(found: re.Match[str]) -> str:
    """Return a stress or virial xx, yy, zz, yz, xz, xy with all 9 numbers."""
    words = found[2].split()
    if len(words) != 6:
        return found[0]
    return f'{found[1]}"{" ".join(words[k] for k in (0, 5, 4, 5, 1, 3, 4, 3, 2))}"'


def _xyz_columns(properties: str) -> tuple[int | None, int]:
    """Return the column of the species and the number of columns."""
    fields = properties.split(":")
    species, width = None, 0
    for name, kind, n in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if (
            not name
            or kind not in ("S", "R", "I", "L")
            or not (is_count(n) and 1 <= int(n[:9]) < 1000)
        ):
            raise ValueError(
                f"Properties: must be name:type:columns, ..., got {name}:{kind}:{n}"[:200]
            )
        if name in ("species", "symbols"):
            species = width
        width += int(n)
    if len(fields) % 3 or len(set(fields[::3])) != len(fields[::3]):
        raise ValueError(
            f"Properties = {properties[:80]!r}: must be name:type:columns, each name once"
        )
    return species, width


def _convert(atoms: Atoms, units: str) -> None:
    """Convert a frame of LAMMPS's ``dump extxyz`` to Å and eV."""
    length, energy = factor_to_ase("distance", units), factor_to_ase("energy", units)
    atoms.set_cell(atoms.cell * length)
    atoms.positions *= length
    for key in [key for key in atoms.info if key.lower() == "potential_energy"]:
        value = atoms.info[key]
        if isinstance(value, bool | str):
            raise ValueError(f"{key} = {str(value)[:40]!r}: must be a number")
        atoms.info[key] = np.asarray(value, dtype=float) * energy
    if atoms.calc is not None and "forces" in atoms.calc.results:
        atoms.calc.results["forces"] *= factor_to_ase("force", units)
    if "vel" in atoms.arrays:
        atoms.arrays["vel"] *= factor_to_ase("velocity", units)
    if atoms.calc is not None:
        atoms.calc.atoms = atoms.copy()

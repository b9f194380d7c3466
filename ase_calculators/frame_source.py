# SPDX-License-Identifier: BSD-3-Clause
"""Frames one after the other from any file that ASE reads, and their energies from LAMMPS logs.

Text formats with many frames are cut into frames here, so that memory holds a few of them and a
broken one costs no other. `read_text` makes atoms of such a text. Lengths are in Å and energies in
eV: what a file or the caller names in other LAMMPS units is converted, ``lj`` is taken as it is.
"""

import bz2
import codecs
import gzip
import lzma
import re
import stat
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from glob import glob, has_magic
from io import StringIO
from os import PathLike, fspath
from os import stat as file_status
from os.path import exists, isdir
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lammps import convert
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.io.formats import filetype, ioformats
from ase.stress import full_3x3_to_voigt_6_stress

# LAMMPS's unit styles
UNITS = ("lj", "real", "metal", "si", "cgs", "electron", "micro", "nano")

# no line of a frame or a log, and no frame as it lies in memory, is longer than so many bytes
BYTES_PER_LINE = 1 << 20
EMPTY_LINES = 10_000
BYTES_PER_FRAME = 1 << 30
# what an object of a line takes beside its characters
_BYTES_OF_LINE = 64


class Frame(NamedTuple):
    """A frame on its way to the kernel: atoms, or the text of one frame, or what went wrong.

    Attributes
    ----------
    file : str
        File of the frame, empty for one of an iterable.
    number : int
        Number of the frame in it, from 0.
    content : ase.Atoms, str or Exception
        What there is of it.
    format : str
        ASE's name of the format of a text.
    step : int or None
        LAMMPS timestep, where known.
    """

    file: str
    number: int
    content: Atoms | str | Exception
    format: str = ""
    step: int | None = None


# --- lines of files -------------------------------------------------------------------------------


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode what is no UTF-8 as Latin-1, which old programs write into comments."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("entsym-latin-1", _as_latin_1)

_MAGIC: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def _opener(path: str) -> Callable[..., Any]:
    """Return what opens a file, by its first bytes and not by its name."""
    if not stat.S_ISREG(file_status(path).st_mode):
        raise ValueError(f"{path}: is not a regular file; write a pipe's output to one first")
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        raise ValueError(f"{path}: is compressed by zstd; run 'zstd -d' first")
    return next((opener for magic, opener in _MAGIC if start.startswith(magic)), open)


def read_lines(path: str) -> Iterator[str]:
    """Read the lines of a text, compressed or not, none of them longer than a line can be.

    Parameters
    ----------
    path : str
        The file, in UTF-8; what is none is taken for Latin-1.

    Yields
    ------
    str
        A line with its end.

    Raises
    ------
    ValueError
        When the file is not a regular one, a line is too long or the compression is damaged.
    """
    try:
        with _opener(path)(path, "rt", encoding="utf-8-sig", errors="entsym-latin-1") as file:
            number = n_empty = 0
            while line := file.readline(BYTES_PER_LINE):
                number += 1
                if len(line) == BYTES_PER_LINE and line[-1] != "\n":
                    raise ValueError(
                        f"line {number} has more than {BYTES_PER_LINE} characters; no frame or "
                        "log has such lines"
                    )
                n_empty = 0 if line.strip() else n_empty + 1
                if n_empty > EMPTY_LINES:
                    raise ValueError(f"line {number} follows {EMPTY_LINES} empty ones")
                yield line
    except _DAMAGED as error:
        raise ValueError(f"the file cannot be decompressed to its end: {error}") from error


class _Lines:
    """The lines of a frame, as long as they fit into memory."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.size = 0

    def add(self, line: str) -> None:
        self.size += len(line) + _BYTES_OF_LINE
        if self.size > BYTES_PER_FRAME:
            raise ValueError(
                f"a frame takes more than {BYTES_PER_FRAME >> 20} MiB and does not end; the file "
                "is damaged or no file of frames"
            )
        self.lines.append(line)

    def __str__(self) -> str:
        return "".join(self.lines)


_HEAD = re.compile(r"ITEM: (TIMESTEP|TIME|UNITS)\b")


def _dump_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut a LAMMPS text dump into its frames, also where a killed run left one unfinished.

    LAMMPS names the units in front of the first frame alone; here each frame says them.
    """
    frame: _Lines | None = None
    begun = False  # the timestep was there
    units, units_follow = "", False
    for line in lines:
        head = _HEAD.search(line)
        if not head:
            if units_follow:
                units = line.strip()
            units_follow = False
            if frame:
                frame.add(line)
            continue
        units_follow = head[1] == "UNITS"
        if frame and not begun:  # the lines in front of the timestep are there already
            frame.add(line[head.start() :])
        else:
            if frame:
                frame.add(line[: head.start()])
                yield str(frame)
            stated = (f"ITEM: UNITS\n{units}\n",) if units and not units_follow else ()
            frame = _Lines(*stated, line[head.start() :])
        begun = head[1] == "TIMESTEP"
    if frame:
        yield str(frame)


def _is_count(line: str) -> bool:
    word = line.strip()
    return word.isascii() and word.isdecimal()


def _xyz_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut an (extended) XYZ file into its frames: each starts with a number alone on its line."""
    frame: _Lines | None = None
    for line in lines:
        # the second line of a frame is its comment, which may be anything
        if _is_count(line) and not (frame and len(frame.lines) == 1):
            if frame:
                yield str(frame)
            frame = _Lines()
        elif frame is None and line.strip():
            frame = _Lines()
        if frame is not None:
            frame.add(line)
    if frame:
        yield str(frame)


def _yaml_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut a YAML dump of LAMMPS into its frames, as text dumps."""
    frame = _Lines()
    section, units, flags = "", "", "pp pp pp"
    for line in lines:
        if line.startswith("---"):
            if frame.lines:
                yield str(frame)
            frame, section, units = _Lines(), "", ""
            continue
        if line.startswith("..."):
            continue
        words = re.sub(r"[\[\],:]", " ", line).split()
        if line[:1].isalpha() and words:
            section = words[0]
            value = " ".join(words[1:])
            if section == "units":
                units = value
            elif section == "timestep":
                stated = f"ITEM: UNITS\n{units}\n" if units else ""
                frame.add(f"{stated}ITEM: TIMESTEP\n{value}\n")
            elif section == "natoms":
                frame.add(f"ITEM: NUMBER OF ATOMS\n{value}\n")
            elif section == "boundary":
                flags = " ".join("".join(words[k : k + 2]) for k in (1, 3, 5))
            elif section == "keywords":
                frame.add(f"ITEM: ATOMS {value}\n")
            elif section == "box":
                frame.add(f"ITEM: BOX BOUNDS {flags}\n")
        elif section in ("box", "data") and words[:1] == ["-"]:
            complete = "]" in line or "," not in line
            frame.add(" ".join(words[1:]) + ("\n" if complete else ""))
    if frame.lines:
        yield str(frame)


_TEXTS = {
    "lammps-dump-text": _dump_texts,
    "lammps-dump-yaml": _yaml_texts,
    "extxyz": _xyz_texts,
    "xyz": _xyz_texts,
}


# --- text to atoms --------------------------------------------------------------------------------


def read_text(text: str, format: str, options: dict[str, Any]) -> Atoms:
    """Make atoms of the text of one frame.

    Parameters
    ----------
    text : str
        The frame.
    format : str
        ASE's name of its format.
    options : dict
        ``specorder``, the elements of LAMMPS's types 1, 2 and so on; ``units``, the LAMMPS units of
        what LAMMPS wrote; ``pbc`` in place of boundaries that a dump does not name. Others go to
        ASE's reader of XYZ files.

    Returns
    -------
    ase.Atoms
        The frame, in Å and eV; in sigma and epsilon with ``units="lj"``. What computes, fixes,
        variables and custom properties have put into a dump is in ``arrays``.

    Raises
    ------
    ValueError
        When the text is no complete frame, or its elements or units are unknown or contradictory.
    """
    try:
        if format in ("lammps-dump-text", "lammps-dump-yaml"):
            return _dump_atoms(text, **options)
        return _xyz_atoms(text, format, **options)
    except Exception as error:  # ASE's readers raise whatever they stumble over
        raise ValueError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Say an error in a line; where it is of Python's making, with its kind.

    Parameters
    ----------
    error : Exception
        The error.

    Returns
    -------
    str
        Its text.
    """
    text = " ".join(str(error).split())
    if len(text) > 400:
        text = f"{text[:400]} ..."
    if text and isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError):
        return text
    kind = f"{type(error).__name__}: {text}".removesuffix(": ")
    return f"it cannot be read ({kind})"


def check_units(units: str | None, name: str = "units") -> None:
    """Refuse units that LAMMPS does not have.

    Parameters
    ----------
    units : str or None
        LAMMPS unit style; None says nothing.
    name : str
        Where it stands.

    Raises
    ------
    ValueError
        When there is no such style.
    """
    if units is not None and units not in UNITS:
        raise ValueError(f"{name} = {units!r}: must be one of {', '.join(UNITS)}")


def _factor(quantity: str, units: str | None) -> float:
    """Return what one LAMMPS unit is in ASE's; those of lj have none."""
    return 1.0 if units in (None, "lj") else float(convert(1.0, quantity, units, "ASE"))


def _symbols(kinds: Sequence[str], specorder: Sequence[str] | None) -> list[str]:
    """Return the elements of symbols, or of types with their elements in `specorder`."""
    names: dict[str, str] = {}
    order = [specorder] if isinstance(specorder, str) else list(specorder or ())
    for name in order:
        if name not in atomic_numbers:
            raise ValueError(f"specorder: {name!r} is no chemical element; use symbols like 'Al'")
    for kind in dict.fromkeys(kinds):
        if kind.capitalize() in atomic_numbers:
            names[kind] = kind.capitalize()
        elif not _is_count(kind):
            raise ValueError(
                f"{kind[:40]!r} is no chemical element; name types by specorder=['Al', ...]"
            )
        elif not order:
            raise ValueError(
                f"{kind[:40]!r} is a type and no element; say specorder=['Al', ...], the elements "
                "of types 1, 2, ..."
            )
        elif len(kind) > 9 or not 1 <= int(kind) <= len(order):
            raise ValueError(
                f"type {kind[:40]} is not among the {len(order)} of specorder, "
                f"{', '.join(order)}; name an element for each type"
            )
        else:
            names[kind] = order[int(kind) - 1]
    return [names[kind] for kind in kinds]


class _Box(NamedTuple):
    cell: np.ndarray
    origin: np.ndarray
    pbc: tuple[bool, ...] | None


def _numbers(what: str, words: Sequence[str]) -> np.ndarray:
    try:
        return np.array(words, dtype=float)
    except ValueError as error:
        raise ValueError(f"{what}: {reason_of(error)}") from error


def _box(flags: Sequence[str], rows: Sequence[str]) -> _Box:
    """Return the box of a dump, of any of LAMMPS's three kinds."""
    words = [row.split() for row in rows[:3]]
    general = list(flags[:2]) == ["abc", "origin"]
    widths = {len(row) for row in words}
    if len(words) < 3 or len(widths) > 1 or not widths <= ({4} if general else {2, 3}):
        raise ValueError("BOX BOUNDS: must have three lines of two, three or (abc) four numbers")
    numbers = _numbers("BOX BOUNDS", [word for row in words for word in row]).reshape(3, -1)
    if not np.isfinite(numbers).all():
        raise ValueError("BOX BOUNDS: must be finite numbers")
    tilts = [word for word in flags if word in ("xy", "xz", "yz")]
    bounds = [word for word in flags if re.fullmatch("[pfsm]{2}", word)]
    if len(bounds) not in (0, 3):
        raise ValueError(
            f"BOX BOUNDS: must name three boundaries like pp, got {' '.join(flags)[:80]}"
        )
    pbc = tuple(word == "pp" for word in bounds) or None
    if general:
        return _Box(numbers[:, :3], numbers[:, 3], pbc)
    tilt = {"xy": 0.0, "xz": 0.0, "yz": 0.0}
    if numbers.shape[1] == 3:
        names = tilts if len(tilts) == 3 else ["xy", "xz", "yz"]
        tilt.update(zip(names, numbers[:, 2].tolist(), strict=True))
    xy, xz, yz = tilt["xy"], tilt["xz"], tilt["yz"]
    # LAMMPS writes the bounds of the parallelepiped
    low = numbers[:, 0] - (min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0)
    high = numbers[:, 1] - (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
    x, y, z = (high - low).tolist()
    return _Box(np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]]), low, pbc)


def _dump_head(head: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return the sections in front of the atoms: what stands behind each name, and its lines."""
    sections = {}
    for text in head.split("ITEM: ")[1:]:
        title, *lines = f"{text}\n".split("\n")
        for name in ("UNITS", "TIMESTEP", "TIME", "NUMBER OF ATOMS", "BOX BOUNDS"):
            if title.startswith(name):
                sections[name] = (title.removeprefix(name).split(), lines)
                break
    return sections


def _dump_rows(body: str, n_atoms: int, n_columns: int) -> list[list[str]]:
    """Return the words of each atom; a last line without its end may lack digits."""
    rows = body.split("\n")[:-1]
    while len(rows) > n_atoms and not rows[-1].strip():
        del rows[-1]
    words = [row.split() for row in rows]
    if len(words) < n_atoms:
        raise ValueError(f"the frame ends early: {len(words)} of {n_atoms} atoms were read")
    if len(words) > n_atoms:
        raise ValueError(f"the frame has {len(words)} lines for its {n_atoms} atoms")
    for number, row in enumerate(words):
        if len(row) != n_columns:
            raise ValueError(
                f"line {number + 1} of its atoms has {len(row)} columns and must have {n_columns}"
            )
    return words


def _dump_atoms(
    text: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    order: bool = True,
    **unknown: Any,
) -> Atoms:
    """Make atoms of a frame of a dump."""
    if unknown:
        raise ValueError(
            f"{next(iter(unknown))}: is no option of a dump's reader; use specorder, units, pbc or "
            "order"
        )
    check_units(units)
    head, found, body = text.partition("ITEM: ATOMS")
    if not found:
        for name, what in (("ENTRIES", "dump local"), ("GRID CELLS", "dump grid")):
            if f"ITEM: {name}" in head:
                raise ValueError(f"is of {what}, which holds no atoms; write dump custom")
        raise ValueError("the frame ends early: before its atoms")
    sections = _dump_head(head)
    for name in ("TIMESTEP", "NUMBER OF ATOMS", "BOX BOUNDS"):
        if name not in sections:
            raise ValueError(f"the frame has no 'ITEM: {name}'")
    stated = sections["UNITS"][1][0].strip() if "UNITS" in sections else None
    check_units(stated, "ITEM: UNITS")
    if stated and units and stated != units:
        raise ValueError(
            f"ITEM: UNITS of the dump says {stated!r}, and units= or the log {units!r}; take "
            "files of one run, or the right units="
        )
    if stated == "lj" and units is None:
        raise ValueError(
            "ITEM: UNITS of the dump says 'lj', lengths in sigma; scale it to Å, or say units='lj' "
            "where lengths are taken as they are"
        )
    units = stated or units
    count = sections["NUMBER OF ATOMS"][1][0]
    if not _is_count(count) or len(count.strip()) > 18:
        raise ValueError(f"NUMBER OF ATOMS = {count.strip()[:40]!r}: must be a whole number")
    n_atoms = int(count)
    names, found, body = body.partition("\n")
    columns = {name: k for k, name in enumerate(names.split())}
    if len(columns) != len(names.split()):
        raise ValueError(f"its columns {names.strip()[:200]} hold a name twice")
    rows = _dump_rows(body, n_atoms, len(columns))
    if not rows:
        raise ValueError("the frame has no atoms")
    if "id" in columns:
        at = columns["id"]
        try:
            ids = np.array([int(row[at]) for row in rows])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"column id: {reason_of(error)}") from error
        places = np.argsort(ids, kind="stable")
        doubled = ids[places][1:] == ids[places][:-1]
        if doubled.any():
            raise ValueError(f"atom {ids[places][1:][doubled][0]} is there twice")
        if order:
            rows = [rows[k] for k in places]

    def values(*wanted: str) -> np.ndarray:
        numbers = [_numbers(f"column {w}", [row[columns[w]] for row in rows]) for w in wanted]
        return numbers[0] if len(wanted) == 1 else np.column_stack(numbers)

    def has(*wanted: str) -> bool:
        return all(name in columns for name in wanted)

    box = _box(*sections["BOX BOUNDS"])
    length = _factor("distance", units)
    kind = next(
        (k for k in ("x", "xs", "xu", "xsu") if has(*(k.replace("x", a) for a in "xyz"))), None
    )
    if kind is None:
        raise ValueError(
            f"its columns are {names.strip()[:200]}, without x y z (or xs, xu, xsu and so on); "
            "write dump custom ... id element x y z"
        )
    positions = values(*(kind.replace("x", axis) for axis in "xyz"))
    if kind.startswith("xs"):
        positions = positions @ box.cell + box.origin
    atoms = Atoms(
        numbers=_dump_elements(rows, columns, specorder, units),
        positions=positions * length,
        cell=box.cell * length,
        pbc=(True if box.pbc is None else box.pbc) if pbc is None else pbc,
        celldisp=box.origin * length,
    )
    if has("vx", "vy", "vz"):
        atoms.set_velocities(values("vx", "vy", "vz") * _factor("velocity", units))
    if has("q"):
        atoms.set_initial_charges(values("q") * _factor("charge", units))
    for name in columns:
        if name == "type" or re.match("[cfvdi]2?_", name):
            try:
                atoms.arrays[name] = values(name).astype(
                    int if name == "type" or name[0] == "i" else float
                )
            except ValueError:  # words
                continue
    step = sections["TIMESTEP"][1][0].strip()
    if not re.fullmatch(r"-?\d{1,18}", step):
        raise ValueError("the frame has no timestep")
    atoms.info["timestep"] = int(step)
    return atoms


def _dump_elements(
    rows: list[list[str]],
    columns: dict[str, int],
    specorder: Sequence[str] | None,
    units: str | None,
) -> list[int]:
    """Return the elements of a dump's atoms: by name, label, mass or type, the first there is."""

    def words(name: str) -> list[str]:
        return [row[columns[name]] for row in rows]

    def known(name: str) -> bool:
        return name in columns and all(word in atomic_numbers for word in set(words(name)))

    if known("element"):
        symbols = words("element")
    elif "type" in columns and specorder:
        symbols = _symbols(words("type"), specorder)
    elif "element" in columns:
        symbols = _symbols(words("element"), specorder)
    elif known("typelabel"):
        symbols = words("typelabel")
    elif "typelabel" in columns and "type" not in columns:
        symbols = _symbols(words("typelabel"), specorder)
    elif "mass" in columns and units in (None, "metal", "real", "electron"):
        masses = _numbers("column mass", words("mass"))
        nearest = {m: int(np.argmin(np.abs(atomic_masses - m))) for m in set(masses.tolist())}
        for mass, number in nearest.items():
            if not abs(atomic_masses[number] - mass) < 0.5:
                raise ValueError(f"column mass: no element has {mass:g}; dump the element")
        return [nearest[m] for m in masses.tolist()]
    elif "type" in columns:
        kinds = words("type")
        for kind in dict.fromkeys(kinds):
            if not _is_count(kind) or len(kind) > 3 or not 1 <= int(kind) < len(chemical_symbols):
                raise ValueError(f"type {kind[:40]!r}: must be a whole number from 1 to 118")
        return [int(kind) for kind in kinds]
    else:
        raise ValueError(
            "its columns name no element or type; write dump custom ... element or type"
        )
    return [atomic_numbers[symbol] for symbol in symbols]


# "Timestep=10" of dump extxyz, "timestep=10" of ours, "Atoms. Timestep: 10" of dump xyz
_STEP = re.compile(r"(?:^|\s)timestep\s*[=:]\s*\"?(-?\d{1,18})\"?(?=\s|$)", re.IGNORECASE)
_PROPERTIES = re.compile(r"(?:^|\s)Properties\s*=\s*\"?([^\s\"]+)")
_LATTICE = re.compile(r"(?:^|\s)Lattice\s*=\s*\"([^\"]*)\"")


def _xyz_atoms(
    text: str,
    format: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    **options: Any,
) -> Atoms:
    """Make atoms of a frame of an (extended) XYZ file, which ASE reads once it is whole."""
    check_units(units)
    count, _, rest = text.partition("\n")
    comment, _, body = rest.partition("\n")
    if not _is_count(count) or len(count.strip()) > 18:
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
    for key in ("Lattice", "Properties", "pbc"):  # some programs write them in small letters
        if not re.search(rf"(?:^|\s){key}\s*=", comment):
            comment = re.sub(rf"(?i)(^|\s){key}(\s*=)", rf"\g<1>{key}\g<2>", comment, count=1)
    if found := _LATTICE.search(comment):
        if len(found[1].split()) != 9:
            raise ValueError(f"Lattice: must have 9 numbers, has {len(found[1].split())}")
        _numbers("Lattice", found[1].split())
    comment = _SIX.sub(_nine, comment)  # of which ASE reads nine
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
            for row, symbol in zip(words, _symbols(kinds, specorder), strict=True):
                row[species] = symbol
            rows[:n_atoms] = [" ".join(row) for row in words]
    if "=" not in comment:  # no extended XYZ: the comment may be anything
        comment = ""
    text = "\n".join([str(n_atoms), comment, *rows, ""])
    atoms: Any = ase.io.read(StringIO(text), index=0, format=format, **options)
    if pbc is not None:
        atoms.pbc = pbc
    if units and any(key.lower() == "timestep" and key != "timestep" for key in atoms.info):
        _convert(atoms, units)  # dump extxyz writes LAMMPS's units
    return atoms


_SIX = re.compile(r"((?:^|\s)(?:stress|virial)\s*=\s*)\"([^\"]*)\"")


def _nine(found: re.Match[str]) -> str:
    """Return stress or virial of xx, yy, zz, yz, xz, xy with its 9 numbers."""
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
            or not (_is_count(n) and 1 <= int(n[:9]) < 1000)
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
    """Convert a frame of LAMMPS's dump extxyz to Å and eV."""
    length, energy = _factor("distance", units), _factor("energy", units)
    atoms.set_cell(atoms.cell * length)
    atoms.positions *= length
    for key in [key for key in atoms.info if key.lower() == "potential_energy"]:
        value = atoms.info[key]
        if isinstance(value, bool | str):
            raise ValueError(f"{key} = {str(value)[:40]!r}: must be a number")
        atoms.info[key] = np.asarray(value, dtype=float) * energy
    if atoms.calc is not None and "forces" in atoms.calc.results:
        atoms.calc.results["forces"] *= _factor("force", units)
    if "vel" in atoms.arrays:
        atoms.arrays["vel"] *= _factor("velocity", units)
    if atoms.calc is not None:
        atoms.calc.atoms = atoms.copy()


# --- files to frames ------------------------------------------------------------------------------


def _kind(path: str) -> str:
    """Guess the format of a file; where it is none for ASE, say what it is."""
    if isdir(path):
        return filetype(path)
    try:
        with _opener(path)(path, "rb") as file:
            head = file.read(4096)
    except _DAMAGED as error:
        raise ValueError(f"the file cannot be decompressed: {error}") from error
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"ITEM:"):
        return "lammps-dump-text"
    if text.startswith(b"---") and b"creator: LAMMPS" in text[:200]:
        return "lammps-dump-yaml"
    if head[8:12] == b"DUMP":
        found = re.search(rb"\0(id [ -~]+|[a-z][ -~]* x [ -~]+)", head[:1024])
        columns = f", colnames={found[1].decode().split()}" if found else ""
        raise ValueError(
            "is a binary dump of LAMMPS; say format='lammps-dump-binary'"
            f"{columns} and its units=, or make a text of it by binary2txt"
        )
    is_xyz = _is_count(text.split(b"\n", 1)[0].decode("latin-1"))
    try:
        kind = filetype(path)
    except Exception:  # ASE's own kind of error, which names no remedy
        kind = ""
    if kind in ioformats or (kind == "" and not is_xyz and not head):
        return kind or "extxyz"
    if is_xyz:
        return "extxyz"
    raise ValueError("is of no format that ASE knows; say format=, ASE's name of it")


def _ase_frames(
    path: str, format: str, stride: int, options: dict[str, Any]
) -> Iterator[tuple[int, Atoms | Exception]]:
    """Read a file of any other format, stepping over a broken frame where ASE can."""
    number = 0
    broken: tuple[int, Exception] | None = None
    while True:
        try:
            index = slice(number, None, stride)
            for atoms in ase.io.iread(path, index=index, format=format, **options):
                if broken:
                    yield broken
                    broken = None
                yield number, atoms
                number += stride
        except Exception as error:  # ASE's readers raise whatever they stumble over
            if broken:
                reason = f"{reason_of(broken[1])}; nothing after it could be read"
                yield broken[0], ValueError(reason)
                return
            if format not in ioformats or ioformats[format].single:
                yield number, error
                return
            broken = number, error
            number += stride
        else:
            if broken:
                yield broken
            return


_NO_FLAGS = re.compile(r"ITEM: BOX BOUNDS(?: xy xz yz| abc origin)?[ \t]*\n")


def _file_frames(
    paths: list[str], format: str | None, stride: int, options: dict[str, Any]
) -> Iterator[Frame]:
    for path in paths:
        n_found = 0
        try:
            kind = format or _kind(path)
            if kind in _TEXTS:
                for number, text in enumerate(_TEXTS[kind](read_lines(path))):
                    if n_found == 0 and "pbc" not in options and _NO_FLAGS.search(text, 0, 4096):
                        warnings.warn(
                            f"{path}: names no boundaries (BOX BOUNDS pp pp pp); the cell is taken "
                            "as periodic, which pbc= can change",
                            stacklevel=2,
                        )
                    n_found += 1
                    if number % stride:
                        continue
                    yield _text_frame(path, number, text, kind)
            else:
                of_ase = dict(options)
                if kind != "lammps-dump-binary" or options.get("units") == "lj":
                    of_ase.pop("units", None)  # those of the log; ASE's other readers have none
                for number, content in _ase_frames(path, kind, stride, of_ase):
                    n_found += 1
                    yield _atoms_frame(path, number, content)
        except Exception as error:  # unknown format, unreadable file: the other files are kept
            yield Frame(path, n_found, error)
            continue
        if n_found == 0:
            yield Frame(path, 0, ValueError("the file holds no frames"))


_DUMP_STEP = re.compile(r"ITEM: TIMESTEP[ \t]*\n[ \t]*(-?\d{1,18})[ \t]*\n")


def _text_frame(file: str, number: int, text: str, format: str) -> Frame:
    """Pack the text of a frame with its timestep."""
    if not format.startswith("lammps-dump"):
        # a number cut short still is a number; a single frame may have been written by hand
        if number and not text.endswith("\n"):
            reason = "the last line has no end; add a line feed if its last number is complete"
            return Frame(file, number, ValueError(reason))
        found = _STEP.search(text.split("\n", 2)[1]) if "\n" in text else None
        return Frame(file, number, text, format, int(found[1]) if found else None)
    step = _DUMP_STEP.search(text, 0, 4096)
    if step is None:
        return Frame(file, number, ValueError("the frame has no timestep"))
    return Frame(file, number, text, format, int(step[1]))


def _step(info: dict[str, Any]) -> int | None:
    """Return the timestep of atoms, as LAMMPS, this package or the caller has put it there."""
    for key, value in info.items():
        if isinstance(key, str) and key.lower() == "timestep":
            try:
                if int(value) == float(value):
                    return int(value)
            except (TypeError, ValueError, OverflowError):
                continue
    return None


def _atoms_frame(file: str, number: int, content: Atoms | Exception) -> Frame:
    """Pack atoms without their calculator; a copy, as the source may move them in between."""
    if isinstance(content, Exception):
        return Frame(file, number, content)
    if not isinstance(content, Atoms):
        raise TypeError(f"source: must give ase.Atoms, got {type(content).__name__}")
    atoms = Atoms(
        numbers=content.numbers, positions=content.positions, cell=content.cell, pbc=content.pbc
    )
    try:
        atoms.info["energy"] = stored_energy(content)
    except ValueError as error:
        return Frame(file, number, error)
    return Frame(file, number, atoms, "", _step(content.info))


# --- labels that frames hold ----------------------------------------------------------------------

# names of labels in small letters, as ASE, LAMMPS and the trainers GAP, NEP and MACE write them
_PREFIXES = ("", "ref_", "dft_")
_ENERGIES = ("energy", "potential_energy")
_FORCES = ("forces", "force")
_STRESSES, _VIRIALS = ("stress",), ("virial", "virials")


def _stored(
    atoms: Atoms, names: Sequence[str], prefix: str, shape: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    """Return what the frame holds under these names, as numbers of one shape."""
    found: dict[str, Any] = {}
    if not prefix and atoms.calc is not None:
        for name in names:
            try:
                value = atoms.calc.get_property(name, atoms, allow_calculation=False)
            except (AttributeError, PropertyNotImplementedError):  # not in it
                continue
            if value is not None:
                found[name] = value
    wanted = {p + name for p in ((prefix.lower(),) if prefix else _PREFIXES) for name in names}
    place = atoms.arrays if shape == (len(atoms), 3) else atoms.info
    for key, value in place.items():
        if isinstance(key, str) and key.lower() in wanted and value is not None:
            found.setdefault(key, value)
    numbers = {}
    for name, value in found.items():
        try:
            if isinstance(value, bool | str):
                raise ValueError
            number = np.asarray(value, dtype=float)
            numbers[name] = number if shape is None else number.reshape(shape)
        except (TypeError, ValueError):
            what = (
                "a number" if shape == () else "numbers" if shape is None else "3 numbers an atom"
            )
            raise ValueError(f"{name} = {str(value)[:40]!r}: must be {what}") from None
    return numbers


def _agreed(values: dict[str, np.ndarray], tolerance: float) -> np.ndarray | None:
    """Return the one value that all names have."""
    if not values:
        return None
    (name, value), *others = values.items()
    for other, its in others:
        scale = max(1.0, float(np.abs(value).max())) if np.isfinite(value).all() else 1.0
        if not np.allclose(value, its, rtol=0, atol=tolerance * scale, equal_nan=True):
            raise ValueError(f"{name} and {other} are both there and differ; keep the right one")
    return value


def stored_labels(atoms: Atoms, prefix: str = "") -> dict[str, np.ndarray | None]:
    """Return energy, forces and stress that came with the atoms; never calculate one.

    They are results of a calculator, or entries of ``info`` and ``arrays`` under the names that
    programs use, in letters of any size: energy, dft_energy, ref_energy, LAMMPS's
    potential_energy; forces, force; stress, and virial, of the same prefixes. The energy is the one
    that the forces belong to: the free energy where the frame has it (VASP, GPAW and others also
    give one that is extrapolated to zero smearing). A virial, in eV, is -volume * stress: 9 numbers
    or xx, yy, zz, yz, xz, xy.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame.
    prefix : str
        What stands in front of the names; empty for the frame's own labels.

    Returns
    -------
    dict
        "energy" () eV, "forces" (n, 3) eV/Å, "stress" (6,) eV/Å^3 xx, yy, zz, yz, xz, xy with ASE's
        sign; None for what is not there.

    Raises
    ------
    ValueError
        When a label is not of numbers, or two names say different things.
    """
    forces = _agreed(_stored(atoms, _FORCES, prefix, (len(atoms), 3)), 1e-4)
    return {"energy": _energy(atoms, prefix), "forces": forces, "stress": _stress(atoms, prefix)}


def _energy(atoms: Atoms, prefix: str) -> np.ndarray | None:
    free = _agreed(_stored(atoms, ("free_energy",), prefix, ()), 1e-6)
    energies = _stored(atoms, _ENERGIES, prefix, ())
    if free is None:
        return _agreed(energies, 1e-6)
    own = next((v for k, v in energies.items() if k.lower() == f"{prefix}energy".lower()), free)
    for name, value in energies.items():
        if not any(
            np.isclose(value, its, rtol=1e-6, atol=1e-6, equal_nan=True) for its in (own, free)
        ):
            raise ValueError(
                f"{name} and free_energy are both there and differ; keep the right one"
            )
    return free


def _voigt(name: str, value: np.ndarray) -> np.ndarray:
    if value.size == 9:
        full = value.reshape(3, 3)
        if not np.allclose(
            full, full.T, rtol=0, atol=1e-3 * np.abs(full).max() + 1e-12, equal_nan=True
        ):
            raise ValueError(f"{name} is not symmetric")
        return np.asarray(full_3x3_to_voigt_6_stress(full))
    if value.shape != (6,):
        raise ValueError(f"{name} has {value.size} numbers; must have 9 or 6")
    return value


def _stress(atoms: Atoms, prefix: str) -> np.ndarray | None:
    found = {k: _voigt(k, v) for k, v in _stored(atoms, _STRESSES, prefix, None).items()}
    virials = _stored(atoms, _VIRIALS, prefix, None)
    if virials and (atoms.cell.rank < 3 or not atoms.cell.volume > 0):
        raise ValueError(f"{next(iter(virials))}: needs a cell to be made a stress")
    found |= {k: -_voigt(k, v) / atoms.cell.volume for k, v in virials.items()}
    largest = max((float(np.nanmax(np.abs(v), initial=0.0)) for v in found.values()), default=0.0)
    # to a thousandth, or 1e-6 eV/Å^3 where there is next to none
    return _agreed(found, 1e-3 * min(1.0, largest) + 1e-6)


def stored_energy(atoms: Atoms) -> float:
    """Return the potential energy that came with the atoms; never calculate one.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame, with the results of a calculator or an energy in its ``info``, as in
        `stored_labels`.

    Returns
    -------
    float
        Energy, eV, the free energy where there is one; NaN where there is none.

    Raises
    ------
    ValueError
        When it is no number, or two names say different things.

    Examples
    --------
    >>> stored_energy(Atoms("Si", info={"energy": -4.5}))
    -4.5
    """
    energy = _energy(atoms, "")
    return np.nan if energy is None else float(energy)


def frame_files(source: Any) -> list[str] | None:
    """Return the files of a source.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        File, glob pattern, files or structures.

    Returns
    -------
    list of str or None
        Their paths; None for structures.

    Raises
    ------
    FileNotFoundError
        When a file does not exist or a pattern matches none.
    TypeError
        When the source is a single structure.
    """
    if isinstance(source, Atoms):
        raise TypeError(
            "source: must be files or an iterable of Atoms, not one Atoms; pass [atoms]"
        )
    if isinstance(source, str | PathLike):
        path = fspath(source)
        paths = sorted(glob(path)) if has_magic(path) and not exists(path) else [path]
        if not paths:
            raise FileNotFoundError(f"source = {path!r}: matches no file")
    elif isinstance(source, list | tuple) and all(isinstance(p, str | PathLike) for p in source):
        paths = [fspath(path) for path in source]
    else:
        return None
    for path in paths:
        if not exists(path):
            raise FileNotFoundError(f"source: there is no file {path!r}")
    return paths


def source_units(source: Any, format: str | None, units: str | None) -> str | None:
    """Return the LAMMPS units of a source, as the caller or the first of its dumps says them.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        As in `open_frames`.
    format : str or None
        ASE's name of the files' format; None to guess.
    units : str or None
        What the caller says.

    Returns
    -------
    str or None
        The units; None where nobody says any.

    Raises
    ------
    ValueError
        When there are no such units.
    """
    check_units(units)
    paths = frame_files(source)
    if units is None and paths:
        try:
            kind = format or _kind(paths[0])
            if kind.startswith("lammps-dump") and kind in _TEXTS:
                head = next(iter(_TEXTS[kind](read_lines(paths[0]))), "")
                if found := re.match(r"ITEM: UNITS[ \t]*\n[ \t]*(\S+)", head):
                    check_units(found[1], "ITEM: UNITS")
                    return found[1]
        except (OSError, ValueError):  # told with its frame
            return None
    return units


def open_frames(
    source: Any, format: str | None, stride: int, options: dict[str, Any]
) -> tuple[Iterator[Frame], int | None]:
    """Return the frames of a source and, where that is known, their number.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        File, glob pattern, files or structures.
    format : str or None
        ASE's name of the files' format; None to guess.
    stride : int
        Take every so many frames of each file or of the iterable.
    options : dict
        Keyword arguments of ASE's reader.

    Returns
    -------
    frames : iterator of Frame
        The frames, read as they are asked for.
    n_frames : int or None
        Their number.

    Raises
    ------
    FileNotFoundError
        When a file does not exist or a pattern matches none.
    TypeError
        When the source is a single structure or, later, not made of structures.
    """
    paths = frame_files(source)
    if paths is None:
        total = -(-len(source) // stride) if hasattr(source, "__len__") else None
        frames = (
            _atoms_frame("", number, atoms)
            for number, atoms in enumerate(source)
            if number % stride == 0
        )
        return frames, total
    return _file_frames(paths, format, stride, options), None


def read_frames(source: Any) -> Iterator[Atoms]:
    """Read whole frames, with the labels and notes they have, one after the other.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        As in `open_frames`.

    Yields
    ------
    ase.Atoms
        The frames; those of an iterable are handed on as they are.

    Raises
    ------
    FileNotFoundError
        When a file does not exist or a pattern matches none.
    TypeError
        When the source is a single structure or not made of structures.
    ValueError
        When a frame cannot be read.
    """
    paths = frame_files(source)
    if paths is None:
        for number, atoms in enumerate(source):
            if not isinstance(atoms, Atoms):
                raise TypeError(f"frames: must be ase.Atoms, number {number} is {type(atoms)}")
            yield atoms
        return
    for path in paths:
        number = 0
        try:
            kind = _kind(path)
            if kind not in _TEXTS:
                for atoms in ase.io.iread(path, index=":", format=kind):
                    yield atoms
                    number += 1
                continue
            for frame in _file_frames([path], kind, 1, {}):
                number = frame.number
                if isinstance(frame.content, Exception):
                    raise frame.content
                yield read_text(frame.content, kind, {})  # type: ignore[arg-type]
        except Exception as error:  # ASE's readers raise whatever they stumble over
            raise ValueError(
                f"{path}: frame {number} cannot be read: {reason_of(error)}; mend or remove it"
            ) from error


# --- energies of logs -----------------------------------------------------------------------------


class Thermo(NamedTuple):
    """Potential energies of a LAMMPS log.

    Attributes
    ----------
    energies : dict of int to float
        Energy by timestep, eV; in epsilon with ``units lj``. NaN for a step with several that
        differ.
    per_atom : bool
        Whether LAMMPS divided them by the number of atoms.
    units : str
        LAMMPS unit style of the log.
    """

    energies: dict[int, float]
    per_atom: bool
    units: str


_ENERGY_COLUMNS = ("PotEng", "c_thermo_pe", "v_pe", "pe")
_MULTI_STEP = re.compile(r"-+ Step\s+(-?\d{1,18})\s+-+ CPU")


class _Log:
    """What the lines of a log say, in any of the styles of its tables."""

    def __init__(self) -> None:
        self.rows: dict[int, float] = {}
        self.units: dict[str, None] = {}  # in the order in which they come
        self.norms: set[bool | None] = set()
        self.tables: list[str] = []
        self._norm: bool | None = None
        self._renamed: dict[str, str] = {}
        self._columns: tuple[int, int, int] | None = None  # of step, energy, and their number
        self._of_fix = False
        self._step: int | None = None  # of thermo_modify line multi

    def take(self, line: str) -> None:
        words = line.split("#", 1)[-1].split() if line.startswith("#") else line.split()
        if not words:
            return
        if words[0] in ("units", "thermo_modify", "thermo_style", "Unit", "Loop"):
            self._setting(line, words)
        elif found := _MULTI_STEP.match(line):
            self._step, self._columns = int(found[1]), None
            self._begin(["line multi,"])
        elif self._step is not None and "=" in words:
            found = re.search(rf"(?:^|\s){re.escape(self._name('PotEng'))}\s*=\s*(\S+)", line)
            if found:
                self._add(str(self._step), found[1])
            elif not self.rows and len(self.tables[-1]) < 200:
                names = [words[k - 1] for k, word in enumerate(words) if k and word == "="]
                self.tables[-1] = f"{self.tables[-1]} {' '.join(names)}"[:200]
        elif words[0] == "keywords:" or "TimeStep" in words or self._name("Step") in words:
            self._table(line, words)
        elif self._columns:
            if words[0] == "-":  # YAML
                words = re.sub(r"[\[\],]", " ", line).split()[1:]
            step, energy, width = self._columns
            if len(words) == width:
                self._add(words[step], words[energy])

    def _name(self, column: str) -> str:
        return self._renamed.get(column, column)

    def _setting(self, line: str, words: list[str]) -> None:
        if words[0] == "units" and len(words) > 1 and words[1] in UNITS:
            self.units[words[1]] = None
        elif words[:2] == ["Unit", "style"] and words[-1] in UNITS:
            self.units[words[-1]] = None
        elif words[0] == "thermo_style":
            self._norm, self._renamed = None, {}
        elif words[0] == "thermo_modify":
            if found := re.search(r"\bnorm\s+(yes|no|on|off|true|false)\b", line):
                self._norm = found[1] in ("yes", "on", "true")
            for column, name in re.findall(r"\bcolname\s+(\S+)\s+(\S+)", line):
                column = {"pe": "PotEng", "step": "Step"}.get(column, column)
                self._renamed[column] = name.strip("'\"")
        elif words[:2] == ["Loop", "time"]:
            self._columns = self._step = None

    def _table(self, line: str, words: list[str]) -> None:
        """Note where step and energy stand, if this is the head of a table."""
        of_yaml = words[0] == "keywords:"
        if of_yaml:
            words = [word.strip("'\"") for word in re.sub(r"[\[\],]", " ", line).split()[1:]]
        steps = [word for word in (self._name("Step"), "TimeStep") if word in words]
        if not steps:
            return
        names = [self._name(name) for name in _ENERGY_COLUMNS]
        names = [name for name in names if name in words]
        if not names and words[0] != steps[0]:
            return  # a sentence
        self._of_fix = line.startswith("#") and bool(names) and names[0].startswith("c_")
        self._begin(words)
        self._step = None
        self._columns = (
            (words.index(steps[0]), words.index(names[0]), len(words)) if names else None
        )

    def _begin(self, words: list[str]) -> None:
        if len(self.tables) < 5:
            self.tables.append(" ".join(words)[:200])

    def _add(self, step: str, energy: str) -> None:
        try:
            number, value = int(step[:20]), float(energy)
        except ValueError:  # a sentence between the rows
            return
        old = self.rows.get(number, value)
        same = abs(old - value) <= 1e-6 * max(1.0, abs(old)) or old == value
        self.rows[number] = value if same else np.nan
        self.norms.add(False if self._of_fix else self._norm)


def read_thermo(path: str | PathLike[str], units: str | None) -> Thermo:
    """Read the potential energies of a LAMMPS log or of a table written by a fix.

    Parameters
    ----------
    path : path-like
        Text with at least one table with a column Step or TimeStep and a column PotEng,
        c_thermo_pe, v_pe or pe (or what ``thermo_modify colname`` called them), in the styles one,
        multi or yaml of thermo_modify. A step that comes twice with energies that differ has none.
    units : str or None
        LAMMPS units of the energies; None for those that the log names (its `units` line, or "Unit
        style" above a run).

    Returns
    -------
    Thermo
        The energies. In lj units LAMMPS prints them per atom unless ``thermo_modify norm no`` is in
        the log; a compute in the file of a fix never is.

    Raises
    ------
    ValueError
        When there is no such table, or the units are not known or contradictory.
    """
    name = f"energies = {fspath(path)!r}"
    check_units(units)
    log, line = _Log(), ""
    try:
        for line in read_lines(fspath(path)):
            if line.endswith("\n"):  # else a killed run may have cut its last number
                log.take(line)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not log.rows:
        told = f" (its tables: {'; '.join(log.tables)})" if log.tables else ""
        raise ValueError(
            f"{name}: has no table with the columns Step and PotEng; give a LAMMPS log with "
            f"thermo_style custom step pe ...{told}"
        )
    styles = list(dict.fromkeys([*([units] if units else []), *log.units]))
    if not styles:
        raise ValueError(
            f"{name}: does not name its units, nor do units= or the dump; say units='metal', or "
            "real, lj, ..."
        )
    if len(styles) > 1:
        said = f"is in units {' and '.join(log.units)}"
        raise ValueError(
            f"{name}: {said}" + (f", and units= or the dump says {units!r}" if units else "")
            + "; give files of one run, or the right units="
        )  # fmt: skip
    norms = {styles[0] == "lj" if norm is None else norm for norm in log.norms}
    if len(norms) > 1:
        raise ValueError(f"{name}: thermo_modify norm changes in it; give a log of one kind")
    factor = _factor("energy", styles[0])
    return Thermo(
        {step: factor * energy for step, energy in log.rows.items()}, norms.pop(), styles[0]
    )


def with_step(frames: Iterable[Frame], energies: Any) -> Iterator[Frame]:
    """Hand on frames, each of which must have a timestep to match an energy by.

    Parameters
    ----------
    frames : iterable of Frame
        The frames.
    energies : path-like
        File of the energies, for the message.

    Yields
    ------
    Frame
        The frames as they are.

    Raises
    ------
    ValueError
        At the first good frame without a timestep.
    """
    for frame in frames:
        if frame.step is None and not isinstance(frame.content, Exception):
            raise ValueError(
                f"energies = {fspath(energies)!r}: frame {frame.number} of "
                f"{frame.file or 'the source'} has no timestep to match; map a LAMMPS dump, or set "
                "atoms.info['timestep']"
            )
        yield frame

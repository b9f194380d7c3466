# SPDX-License-Identifier: BSD-3-Clause
"""Frames of LAMMPS dumps, text and YAML: their texts, and atoms of a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from ase_calculators.frame_arrays import SYMBOLS, FrameArrays, FrameBlock, offsets_of
from ase_calculators.lammps_units import check_units, factor_to_ase
from ase_calculators.text_file import (
    FrameLines,
    check_frame_size,
    decoded,
    is_count,
    numbers_of,
    reason_of,
)
from cython_core._kernel import atom_rows, frame_rows

NO_BOUNDARIES = re.compile(rb"ITEM: BOX BOUNDS(?: xy xz yz| abc origin)?[ \t]*\n")
STEP_OF_DUMP = re.compile(rb"ITEM: TIMESTEP[ \t]*\n[ \t]*(-?\d{1,18})[ \t]*\n")


# --- files to texts of frames ---------------------------------------------------------------------


_HEAD = re.compile(rb"ITEM: (TIMESTEP|TIME|UNITS)\b")
_UNITS = re.compile(rb"ITEM: UNITS[ \t]*\n[ \t]*(\S+)")


def units_in(text: bytes) -> str | None:
    """Return the units that a dump names in front of its first frame.

    Parameters
    ----------
    text : bytes
        The beginning of the dump.

    Returns
    -------
    str or None
        The units, which LAMMPS may not know; None if it names none.
    """
    head = _HEAD.search(text)
    found = _UNITS.match(text, head.start()) if head else None
    return decoded(found[1]) if found else None


def dump_texts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a LAMMPS text dump into its frames, even if an interrupted run left one unfinished.

    LAMMPS names the units in front of the first frame only. Here each frame names them.

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
    seen = 0  # of the buffer
    start = -1  # of the frame, if there is one
    front = b""  # of its text, not in the buffer
    begun = False  # the timestep was there
    units = b""
    units_at = -1  # of the last head, if the units follow it

    def text_until(end: int) -> bytes:
        with memoryview(buffer) as view:
            return b"".join((front, view[start:end]))

    for block in chain(blocks, (b"",)):
        buffer += block
        end = max(buffer.rfind(b"\n", seen) + 1, seen) if block else len(buffer)
        for head in _heads(buffer, seen, end):
            at, kind = head.start(), head[1]
            if units_at >= 0:
                first = buffer.find(b"\n", units_at) + 1
                last = buffer.find(b"\n", first, at)
                units = bytes(buffer[first:last].strip()) if last >= 0 else units
            units_at = at if kind == b"UNITS" else -1
            if start >= 0 and not begun:
                line = max(buffer.rfind(b"\n", start, at) + 1, start)
                if line < at:  # of an interrupted run
                    front, start = front + buffer[start:line], at
            else:
                if start >= 0:
                    yield text_until(at)
                front = b"ITEM: UNITS\n%b\n" % units if units and kind != b"UNITS" else b""
                start = at
            begun = kind == b"TIMESTEP"
        seen = end
        done = seen if start < 0 else start
        if done:
            del buffer[:done]
            seen, start, units_at = seen - done, min(start, 0), max(units_at - done, -1)
        check_frame_size(len(buffer))
    if start >= 0:
        yield text_until(len(buffer))


def _heads(buffer: bytearray, start: int, end: int) -> list[re.Match[bytes]]:
    """Return what `_HEAD` finds; rows of atoms have no colon, which is found much faster."""
    found = []
    at = start - 1
    while (at := buffer.find(b":", at + 1, end)) >= 0:
        if head := _HEAD.match(buffer, max(at - 4, start), end):
            found.append(head)
    return found


_OF_YAML = "of-yaml"  # a box that may be without the rotation of the atoms


def yaml_texts(lines: Iterable[str]) -> Iterator[bytes]:
    """Cut a YAML dump of LAMMPS into its frames, each as a text dump has it.

    Parameters
    ----------
    lines : iterable of str
        Lines of the file.

    Yields
    ------
    bytes
        Text of a frame.
    """
    frame = FrameLines()
    section, units, flags, box = "", "", "pp pp pp", ""
    for line in lines:
        if line.startswith("---"):
            if frame.lines:
                yield f"{units}{frame}".encode()
            frame, section, units, box = FrameLines(), "", "", ""
            continue
        if line.startswith("..."):
            continue
        words = re.sub(r"[\[\],:]", " ", line).split()
        if line[:1].isalpha() and words:
            section = words[0]
            value = " ".join(words[1:])
            if section == "units":  # LAMMPS writes them behind the timestep
                units = f"ITEM: UNITS\n{value}\n"
            elif section == "timestep":
                frame.add(f"ITEM: TIMESTEP\n{value}\n")
            elif section == "natoms":
                frame.add(f"ITEM: NUMBER OF ATOMS\n{value}\n")
            elif section == "boundary":
                flags = " ".join("".join(words[k : k + 2]) for k in (1, 3, 5))
            elif section == "box":
                box = ""
            elif section == "keywords":
                frame.add(f"{_yaml_box(box, flags)}ITEM: ATOMS {value}\n")
        elif section in ("box", "data") and words[:1] == ["-"]:
            complete = "]" in line or "," not in line
            row = " ".join(words[1:]) + ("\n" if complete else "")
            if section == "box":
                box += row
            else:
                frame.add(row)
    if frame.lines:
        yield f"{units}{frame}".encode()


def _yaml_box(rows: str, flags: str) -> str:
    """Return the box of a YAML dump, whose fourth row holds the tilts, as a text dump has it.

    With ``dump_modify triclinic/general``, LAMMPS rotates the atoms, but writes the box that is not
    rotated, without a word of it: hence the mark.
    """
    lines = rows.split("\n")[:-1]
    if len(lines) == 4 and len(tilts := lines[3].split()) == 3:
        rows = "".join(f"{row} {tilt}\n" for row, tilt in zip(lines[:3], tilts, strict=True))
        return f"ITEM: BOX BOUNDS xy xz yz {flags} {_OF_YAML}\n{rows}"
    return f"ITEM: BOX BOUNDS {flags}\n{rows}"


# --- text to atoms --------------------------------------------------------------------------------


def symbols_of(kinds: Sequence[str], specorder: Sequence[str] | None) -> list[str]:
    """Return the elements of symbols or of LAMMPS's atom types.

    Parameters
    ----------
    kinds : sequence of str
        Symbols, in letters of any size, or types from 1.
    specorder : sequence of str or None
        Elements of the types 1, 2 and so on.

    Returns
    -------
    list of str
        The symbols.

    Raises
    ------
    ValueError
        If a symbol is not an element, or a type has none.
    """
    names: dict[str, str] = {}
    order = [specorder] if isinstance(specorder, str) else list(specorder or ())
    for name in order:
        if name not in atomic_numbers:
            raise ValueError(
                f"specorder: {name!r} is not a chemical element; use symbols like 'Al'"
            )
    for kind in dict.fromkeys(kinds):
        if kind.capitalize() in atomic_numbers:
            names[kind] = kind.capitalize()
        elif not is_count(kind):
            raise ValueError(
                f"{kind[:40]!r} is not a chemical element; name types by specorder=['Al', ...]"
            )
        elif not order:
            raise ValueError(
                f"{kind[:40]!r} is a type, not an element; give specorder=['Al', ...], the "
                "elements of types 1, 2, ..."
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


@lru_cache(maxsize=64)
def _directions(flags: tuple[str, ...]) -> tuple[tuple[bool, ...] | None, list[str]]:
    """Return the periodic directions, if they are named, and the names of the tilts."""
    bounds = [word for word in flags if re.fullmatch("[pfsm]{2}", word)]
    if len(bounds) not in (0, 3):
        raise ValueError(
            f"BOX BOUNDS: must name three boundaries like pp, got {' '.join(flags)[:80]}"
        )
    tilts = [word for word in flags if word in ("xy", "xz", "yz")]
    return tuple(word == "pp" for word in bounds) or None, tilts


@lru_cache(maxsize=64)
def _box(flags: tuple[str, ...], rows: tuple[str, ...]) -> _Box:
    """Return the box of a dump, in any of LAMMPS's three forms."""
    words = [row.split() for row in rows]
    general = flags[:2] == ("abc", "origin")
    widths = {len(row) for row in words}
    if len(words) < 3 or len(widths) > 1 or not widths <= ({4} if general else {2, 3}):
        raise ValueError("BOX BOUNDS: must have three lines of two, three or (abc) four numbers")
    numbers = numbers_of("BOX BOUNDS", [word for row in words for word in row]).reshape(3, -1)
    if not np.isfinite(numbers).all():
        raise ValueError("BOX BOUNDS: must be finite numbers")
    pbc, _ = _directions(flags)
    cells, origins = _cells(flags, numbers[None])
    return _Box(cells[0], origins[0], pbc)


def _cells(flags: tuple[str, ...], bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells and origins of boxes of one form, whose lines are `bounds` (m, 3, 2..4)."""
    if flags[:2] == ("abc", "origin"):
        return bounds[:, :, :3].copy(), bounds[:, :, 3].copy()
    _, tilts = _directions(flags)
    tilt = dict.fromkeys(("xy", "xz", "yz"), np.zeros(len(bounds)))
    if bounds.shape[2] == 3:
        tilt.update(zip(tilts if len(tilts) == 3 else [*tilt], bounds[:, :, 2].T, strict=True))
    xy, xz, yz = tilt["xy"], tilt["xz"], tilt["yz"]
    # LAMMPS writes the bounds of the parallelepiped
    corners = np.array([np.zeros(len(bounds)), xy, xz, xy + xz])
    flat = np.zeros_like(xy)
    low = bounds[:, :, 0] - np.array([corners.min(0), np.minimum(flat, yz), flat]).T
    high = bounds[:, :, 1] - np.array([corners.max(0), np.maximum(flat, yz), flat]).T
    cells = np.zeros((len(bounds), 3, 3))
    cells[:, [0, 1, 2], [0, 1, 2]] = high - low
    cells[:, 1, 0], cells[:, 2, 0], cells[:, 2, 1] = xy, xz, yz
    return cells, low


def _check_inside(positions: np.ndarray, box: _Box) -> None:
    """Check that wrapped atoms are not as far out of their box as only a rotation brings them."""
    if not np.linalg.det(box.cell):
        return
    scaled = (positions - box.origin) @ np.linalg.inv(box.cell)
    out = np.maximum(-scaled, scaled - 1.0).max(axis=0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(box.cell), axis=0)
    # between two neighbour lists, LAMMPS lets atoms leave by half a skin
    far = (out > 0.1) & (out * heights > 1.5) & (True if box.pbc is None else box.pbc)
    if far.any():
        raise ValueError(
            f"atoms are {(out * heights)[far].max():.3g} outside a periodic box, as after "
            "dump_modify triclinic/general, whose rotation YAML does not hold; write dump custom"
        )


_SECTION = re.compile("UNITS|TIMESTEP|TIME|NUMBER OF ATOMS|BOX BOUNDS")


def _dump_head(head: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return the sections before the atoms: the words after each name, and its lines."""
    sections = {}
    for text in head.split("ITEM: ")[1:]:
        if found := _SECTION.match(text):
            title, *lines = f"{text}\n".split("\n")
            sections[found[0]] = (title[found.end() :].split(), lines)
    return sections


# the names of coordinates: as they are, scaled, unwrapped, both
_COORDINATES = {
    name: tuple(name.replace("x", axis) for axis in "xyz") for name in ("x", "xs", "xu", "xsu")
}
_VELOCITY = ("vx", "vy", "vz")
_KEPT = re.compile("[cfvdi]2?_")


class _Columns(NamedTuple):
    """What the columns of a dump are read as."""

    names: tuple[str, ...]
    coordinates: str | None  # a key of _COORDINATES
    kinds: str | None  # the column that tells the elements
    numbers: dict[str, int]  # the columns read as numbers
    plan: np.ndarray  # as atom_rows takes it


@lru_cache(maxsize=64)
def _columns(title: str, have_specorder: bool, units: str | None, whole: bool) -> _Columns:
    """Return how columns are read: those that positions and elements need, or the `whole` frame."""
    names = title.split()
    if len(set(names)) != len(names):
        raise ValueError(f"its columns {title.strip()[:200]} hold a name twice")
    coordinates = next((c for c, axes in _COORDINATES.items() if {*axes} <= {*names}), None)
    kinds = None
    if "element" in names:
        kinds = "element"
    elif "type" in names and have_specorder:
        kinds = "type"
    elif "typelabel" in names:
        kinds = "typelabel"
    elif "mass" in names and units in (None, "metal", "real", "electron"):
        kinds = "mass"
    elif "type" in names:
        kinds = "type"
    read = [*_COORDINATES.get(coordinates or "", ()), *(["mass"] if kinds == "mass" else [])]
    checked = [*(_VELOCITY if {*_VELOCITY} <= {*names} else ()), *(["q"] if "q" in names else [])]
    if whole:
        read += checked
        read += [name for name in names if name == "type" != kinds or _KEPT.match(name)]
    numbers = {name: place for place, name in enumerate(read)}
    codes = {**dict.fromkeys(checked, -2), **numbers, "id": -4}
    if kinds and kinds != "mass":
        codes[kinds] = -5
    plan = np.array([codes.get(name, -1) for name in names], dtype=np.intc)
    return _Columns(tuple(names), coordinates, kinds, numbers, plan)


class _AtomColumns:
    """Hold the columns of the atoms of a frame by name; all other code asks for them here.

    Rows that are written plainly are read by the core. If anything is odd, and for columns that are
    rarely asked for, the words of all rows are taken apart here.
    """

    def __init__(self, text: bytes, start: int, n_atoms: int, columns: _Columns) -> None:
        self._text, self._start, self._n_atoms = text, start, n_atoms
        self._columns = columns
        self.names = columns.names
        self._order: np.ndarray | None = None
        self._words: list[list[str]] | None = None
        self._numbers = self._by_id = self._kinds = None
        found = None
        if n_atoms:
            found = atom_rows(text, start, n_atoms, columns.plan, SYMBOLS)
        if found is None:
            self._rows  # noqa: B018  # says what is wrong
        else:
            self._numbers, self._by_id, self._kinds = found

    @property
    def _rows(self) -> list[list[str]]:
        if self._words is None:
            body = decoded(self._text[self._start :])
            self._words = _atom_rows(body, self._n_atoms, len(self.names))
        return self._words

    def words(self, name: str) -> list[str]:
        k, rows = self.names.index(name), self._rows
        order = range(len(rows)) if self._order is None else self._order.tolist()
        return [rows[row][k] for row in order]

    def numbers(self, *names: str) -> np.ndarray:
        """Return one column, or several as (n_atoms, n_columns)."""
        kinds = self._kinds
        if names == ("type",) == (self._columns.kinds,) and kinds is not None and kinds.max() < 0:
            return -self._sorted(kinds.astype(float))
        places = [self._columns.numbers.get(name, -1) for name in names]
        if self._numbers is None or min(places) < 0:
            columns = [numbers_of(f"column {name}", self.words(name)) for name in names]
            return columns[0] if len(names) == 1 else np.column_stack(columns)
        found = self._numbers
        if len(names) == 1:
            found = found[:, places[0]]
        elif places != [*range(found.shape[1])]:
            found = found[:, places]
        return self._sorted(np.ascontiguousarray(found))

    def kinds(self) -> np.ndarray | None:
        """Return atomic numbers, or types as -type, if all of them are plain."""
        return None if self._kinds is None else self._sorted(self._kinds)

    def _sorted(self, values: np.ndarray) -> np.ndarray:
        return values if self._order is None else values[self._order]

    def check_ids(self, order: bool) -> None:
        """Check that no atom is there twice, and sort the atoms by ID if `order`."""
        if self._numbers is not None:  # the core has seen them
            self._order = self._by_id if order else None
            return
        try:
            ids = np.array([int(word) for word in self.words("id")])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"column id: {reason_of(error)}") from error
        places = np.argsort(ids, kind="stable")
        doubled = ids[places][1:] == ids[places][:-1]
        if doubled.any():
            raise ValueError(f"atom {ids[places][1:][doubled][0]} is there twice")
        if order:
            self._order = places


def _atom_rows(body: str, n_atoms: int, n_columns: int) -> list[list[str]]:
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
    if not words:
        raise ValueError("the frame has no atoms")
    return words


def _known_units(stated: str | None, units: str | None) -> str | None:
    """Return the units of a frame, which its text states or the caller names."""
    check_units(stated, "ITEM: UNITS")
    if stated and units and stated != units:
        raise ValueError(
            f"ITEM: UNITS of the dump says {stated!r}, units= or the log says {units!r}; use "
            "files of one run, or the right units="
        )
    if stated == "lj" and units is None:
        raise ValueError(
            "ITEM: UNITS of the dump says 'lj', lengths in sigma; scale it to Å, or give "
            "units='lj' to keep lengths as they are"
        )
    return stated or units


class _Dump(NamedTuple):
    """A frame of a dump in Å, its columns and what they are measured in."""

    arrays: FrameArrays
    origin: np.ndarray
    columns: _AtomColumns
    units: str | None
    step: int


def _read(
    text: bytes,
    whole: bool,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    order: bool = True,
    **unknown: Any,
) -> _Dump:
    """Read the text of one frame; the `whole` one if more than positions and elements is needed."""
    if unknown:
        raise ValueError(
            f"{next(iter(unknown))}: is not an option of the reader of dumps; use specorder, "
            "units, pbc or order"
        )
    check_units(units)
    at = text.find(b"ITEM: ATOMS")
    head = decoded(text[:at] if at >= 0 else text)
    if at < 0:
        for name, what in (("ENTRIES", "dump local"), ("GRID CELLS", "dump grid")):
            if f"ITEM: {name}" in head:
                raise ValueError(f"is of {what}, which does not hold atoms; write dump custom")
        raise ValueError("the frame ends early: before its atoms")
    sections = _dump_head(head)
    for name in ("TIMESTEP", "NUMBER OF ATOMS", "BOX BOUNDS"):
        if name not in sections:
            raise ValueError(f"the frame has no 'ITEM: {name}'")
    units = _known_units(sections["UNITS"][1][0].strip() if "UNITS" in sections else None, units)
    count = sections["NUMBER OF ATOMS"][1][0]
    if not is_count(count) or len(count.strip()) > 18:
        raise ValueError(f"NUMBER OF ATOMS = {count.strip()[:40]!r}: must be a whole number")
    end = text.find(b"\n", at) + 1 or len(text)
    title = decoded(text[at + len("ITEM: ATOMS") : end])
    plan = _columns(title, bool(specorder), units, whole)
    columns = _AtomColumns(text, end, int(count), plan)
    if "id" in columns.names:
        columns.check_ids(order)

    flags, bounds = sections["BOX BOUNDS"]
    box = _box(tuple(flags), tuple(bounds[:3]))
    length = factor_to_ase("distance", units)
    if plan.coordinates is None:
        raise ValueError(
            f"its columns are {title.strip()[:200]}, without x y z (or xs, xu, xsu and so on); "
            "write dump custom ... id element x y z"
        )
    positions = columns.numbers(*_COORDINATES[plan.coordinates])
    if plan.coordinates.startswith("xs"):
        positions = positions @ box.cell + box.origin
    elif plan.coordinates == "x" and _OF_YAML in flags:
        _check_inside(positions, box)
    if length != 1.0:
        positions = positions * length
    numbers = _elements(columns, plan.kinds, specorder, units)
    arrays = FrameArrays(numbers, positions, box.cell * length, _periodic(box.pbc, pbc))
    step = sections["TIMESTEP"][1][0].strip()
    if not re.fullmatch(r"-?\d{1,18}", step):
        raise ValueError("the frame has no timestep")
    return _Dump(arrays, box.origin * length, columns, units, int(step))


def _periodic(stated: tuple[bool, ...] | None, pbc: Any) -> np.ndarray:
    """Return the periodic directions, which the caller or the box names."""
    periodic = np.zeros(3, dtype=bool)
    periodic[:] = (True if stated is None else stated) if pbc is None else pbc
    return periodic


def dump_arrays(text: bytes, **options: Any) -> FrameArrays:
    """Return the elements, positions and cell of the text of one frame of a dump.

    Parameters
    ----------
    text : bytes
        Text of the frame.
    **options
        As in `dump_atoms`.

    Returns
    -------
    FrameArrays
        The frame as `dump_atoms` has it.

    Raises
    ------
    ValueError
        As in `dump_atoms`.
    """
    return _read(text, False, **options).arrays


_NUMBER = rb"-?[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?"
_LINE = rb"(%b(?: %b){1,3})[ \t]*\n" % (_NUMBER, _NUMBER)
_PLAIN_HEAD = re.compile(
    rb"(?:ITEM: UNITS\n(\w+)\n)?(?:ITEM: TIME\n[-+.\w]+\n)?ITEM: TIMESTEP\n-?[0-9]{1,18}\n"
    rb"ITEM: NUMBER OF ATOMS\n([0-9]{1,18})\nITEM: BOX BOUNDS([^\n]*)\n"
    + 3 * _LINE
    + rb"ITEM: ATOMS([^\n]*)\n"
)


class _Head(NamedTuple):
    """What stands before the atoms of a plain frame."""

    place: int  # of the frame among others
    start: int  # of its rows
    n_atoms: int
    bounds: list[list[bytes]]  # the words of the lines of its box


def dump_blocks(texts: Sequence[bytes], **options: Any) -> Iterator[tuple[list[int], FrameBlock]]:
    """Read the plain ones among the texts of many frames, those that are alike at once.

    Parameters
    ----------
    texts : sequence of bytes
        Texts of frames.
    **options
        As in `dump_atoms`.

    Yields
    ------
    places : list of int
        Places of frames in `texts`.
    block : FrameBlock
        These frames as `dump_arrays` has them, which reads the frames that are in no block or says
        what is wrong with them.

    Raises
    ------
    ValueError
        If the options or the frames that are alike are bad; `dump_arrays` says which frame is.
    """
    alike: dict[tuple[Any, ...], list[_Head]] = {}
    for place, text in enumerate(texts):
        if head := _PLAIN_HEAD.match(text):
            stated, count, flags, x, y, z, title = head.groups()
            bounds = [x.split(), y.split(), z.split()]
            width = len(bounds[0])
            if len(bounds[1]) == len(bounds[2]) == width:
                found = _Head(place, head.end(), int(count), bounds)
                alike.setdefault((stated, flags, title, width), []).append(found)
    for (stated, flags, title, _), heads in alike.items():
        words = decoded(stated) if stated else None, decoded(flags).split(), decoded(title)
        if (block := _block(texts, heads, *words, **options)) is not None:
            yield block


def _block(
    texts: Sequence[bytes],
    heads: list[_Head],
    stated: str | None,
    flags: list[str],
    title: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    order: bool = True,
) -> tuple[list[int], FrameBlock] | None:
    """Return the frames that can be read among those of the same columns and the same box."""
    check_units(units)
    units = _known_units(stated, units)
    plan = _columns(title, bool(specorder), units, False)
    if plan.coordinates is None or plan.kinds in (None, "mass"):
        return None
    if plan.coordinates == "x" and _OF_YAML in flags:  # each frame is looked at
        return None
    bounds = np.array([[[*map(float, row)] for row in head.bounds] for head in heads])
    general = flags[:2] == ["abc", "origin"]
    if (bounds.shape[2] == 4) != general or not np.isfinite(bounds).all():
        return None
    positions, kinds, plain = frame_rows(
        [texts[head.place] for head in heads],
        [head.start for head in heads],
        [head.n_atoms for head in heads],
        plan.plan, SYMBOLS, False, order,
    )  # fmt: skip
    if not len(positions):
        return None
    assert kinds is not None
    numbers = _numbers_of(kinds, plan.kinds, specorder)
    if numbers is None:
        return None
    cells, origins = _cells(tuple(flags), bounds[plain])
    heads = [head for head, good in zip(heads, plain.tolist(), strict=True) if good]
    offsets = offsets_of([head.n_atoms for head in heads])
    if plan.coordinates.startswith("xs"):
        for k, (a, b) in enumerate(pairwise(offsets.tolist())):
            positions[a:b] = positions[a:b] @ cells[k] + origins[k]
    length = factor_to_ase("distance", units)
    if length != 1.0:
        positions *= length
    periodic = np.tile(_periodic(_directions(tuple(flags))[0], pbc), (len(heads), 1))
    unknown = np.full(len(heads), np.nan)
    block = FrameBlock(numbers, positions, offsets, cells * length, periodic, unknown)
    return [head.place for head in heads], block


def dump_atoms(text: bytes, **options: Any) -> Atoms:
    """Return the atoms of the text of one frame of a dump.

    Parameters
    ----------
    text : bytes
        Text of the frame.
    **options
        ``specorder``, the elements of the types 1, 2 and so on; ``units``, the LAMMPS unit style,
        by default the one that the text names, or Å; ``pbc``, the periodic directions, by default
        those of the text, or all; ``order``, whether atoms are sorted by ID, as they are by
        default.

    Returns
    -------
    ase.Atoms
        The frame, in Å and eV; in sigma and epsilon with ``units="lj"``.

    Raises
    ------
    ValueError
        If the text is not a complete frame, or its elements or units are unknown or contradictory.
    """
    frame = _read(text, True, **options)
    arrays, columns, units = frame.arrays, frame.columns, frame.units
    atoms = Atoms(
        numbers=arrays.numbers,
        positions=arrays.positions,
        cell=arrays.cell,
        pbc=arrays.pbc,
        celldisp=frame.origin,
    )
    if {*_VELOCITY} <= {*columns.names}:
        atoms.set_velocities(columns.numbers(*_VELOCITY) * factor_to_ase("velocity", units))
    if "q" in columns.names:
        atoms.set_initial_charges(columns.numbers("q") * factor_to_ase("charge", units))
    for name in columns.names:
        if name == "type" or _KEPT.match(name):
            try:
                atoms.arrays[name] = columns.numbers(name).astype(
                    int if name == "type" or name[0] == "i" else float
                )
            except ValueError:  # words
                continue
    atoms.info["timestep"] = frame.step
    return atoms


def _numbers_of(
    kinds: np.ndarray, source: str | None, specorder: Sequence[str] | None
) -> np.ndarray | None:
    """Return the atomic numbers of what the core has read; None if it is not all of one kind."""
    if source != "type" and kinds.min() >= 0:
        return kinds.astype(int)
    if source == "type" and kinds.max() < 0:
        of_type = [*range(1, len(chemical_symbols))]
        if specorder:
            order = [specorder] if isinstance(specorder, str) else specorder
            of_type = [atomic_numbers.get(symbol, -1) for symbol in order]
        if min(of_type) >= 0 and kinds.min() >= -len(of_type):
            return np.array([0, *of_type])[-kinds]
    return None


def _elements(
    columns: _AtomColumns, source: str | None, specorder: Sequence[str] | None, units: str | None
) -> np.ndarray:
    """Return the atomic numbers, from names, labels, masses or types, whichever comes first."""
    kinds = columns.kinds()
    if kinds is not None and (numbers := _numbers_of(kinds, source, specorder)) is not None:
        return numbers

    def known(name: str) -> bool:
        return name in columns.names and all(w in atomic_numbers for w in set(columns.words(name)))

    if known("element"):
        symbols = columns.words("element")
    elif "type" in columns.names and specorder:
        symbols = symbols_of(columns.words("type"), specorder)
    elif "element" in columns.names:
        symbols = symbols_of(columns.words("element"), specorder)
    elif known("typelabel"):
        symbols = columns.words("typelabel")
    elif "typelabel" in columns.names and "type" not in columns.names:
        symbols = symbols_of(columns.words("typelabel"), specorder)
    elif "mass" in columns.names and units in (None, "metal", "real", "electron"):
        masses, places = np.unique(columns.numbers("mass"), return_inverse=True)
        nearest = [int(np.argmin(np.abs(atomic_masses - mass))) for mass in masses]
        for mass, number in zip(masses, nearest, strict=True):
            if not abs(atomic_masses[number] - mass) < 0.5:
                raise ValueError(f"column mass: no element has {mass:g}; dump the element")
        return np.array(nearest)[places]
    elif "type" in columns.names:
        words = columns.words("type")
        for kind in dict.fromkeys(words):
            if not is_count(kind) or len(kind) > 3 or not 1 <= int(kind) < len(chemical_symbols):
                raise ValueError(f"type {kind[:40]!r}: must be a whole number from 1 to 118")
        return np.array([int(kind) for kind in words])
    else:
        raise ValueError(
            "its columns name no element or type; write dump custom ... element or type"
        )
    return np.array([atomic_numbers[symbol] for symbol in symbols])

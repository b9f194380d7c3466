# SPDX-License-Identifier: BSD-3-Clause
"""Frames of LAMMPS dumps, text and YAML: their texts, and atoms of a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from ase_calculators.lammps_units import check_units, factor_to_ase
from ase_calculators.text_file import FrameLines, is_count, numbers_of, reason_of

NO_BOUNDARIES = re.compile(r"ITEM: BOX BOUNDS(?: xy xz yz| abc origin)?[ \t]*\n")
STEP_OF_DUMP = re.compile(r"ITEM: TIMESTEP[ \t]*\n[ \t]*(-?\d{1,18})[ \t]*\n")


# --- files to texts of frames ---------------------------------------------------------------------


_HEAD = re.compile(r"ITEM: (TIMESTEP|TIME|UNITS)\b")


def dump_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut a LAMMPS text dump into its frames, even if an interrupted run left one unfinished.

    LAMMPS names the units in front of the first frame only. Here each frame names them.

    Parameters
    ----------
    lines : iterable of str
        Lines of the file.

    Yields
    ------
    str
        Text of a frame.
    """
    frame: FrameLines | None = None
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
            frame = FrameLines(*stated, line[head.start() :])
        begun = head[1] == "TIMESTEP"
    if frame:
        yield str(frame)


def yaml_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut a YAML dump of LAMMPS into its frames, each as a text dump has it.

    Parameters
    ----------
    lines : iterable of str
        Lines of the file.

    Yields
    ------
    str
        Text of a frame.
    """
    frame = FrameLines()
    section, units, flags = "", "", "pp pp pp"
    for line in lines:
        if line.startswith("---"):
            if frame.lines:
                yield str(frame)
            frame, section, units = FrameLines(), "", ""
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


def _box(flags: Sequence[str], rows: Sequence[str]) -> _Box:
    """Return the box of a dump, in any of LAMMPS's three forms."""
    words = [row.split() for row in rows[:3]]
    general = list(flags[:2]) == ["abc", "origin"]
    widths = {len(row) for row in words}
    if len(words) < 3 or len(widths) > 1 or not widths <= ({4} if general else {2, 3}):
        raise ValueError("BOX BOUNDS: must have three lines of two, three or (abc) four numbers")
    numbers = numbers_of("BOX BOUNDS", [word for row in words for word in row]).reshape(3, -1)
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
    """Return the sections before the atoms: the words after each name, and its lines."""
    sections = {}
    for text in head.split("ITEM: ")[1:]:
        title, *lines = f"{text}\n".split("\n")
        for name in ("UNITS", "TIMESTEP", "TIME", "NUMBER OF ATOMS", "BOX BOUNDS"):
            if title.startswith(name):
                sections[name] = (title.removeprefix(name).split(), lines)
                break
    return sections


class _AtomColumns:
    """Hold the columns of the atoms of a frame by name; all other code asks for them here."""

    def __init__(self, text: str, n_atoms: int) -> None:
        title, _, body = text.partition("\n")
        names = title.split()
        self.title = title.strip()[:200]
        self._places = {name: k for k, name in enumerate(names)}
        if len(self._places) != len(names):
            raise ValueError(f"its columns {self.title} hold a name twice")
        self._rows = _atom_rows(body, n_atoms, len(names))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def words(self, name: str) -> list[str]:
        k = self._places[name]
        return [row[k] for row in self._rows]

    def numbers(self, *names: str) -> np.ndarray:
        """Return one column, or several as (n_atoms, n_columns)."""
        columns = [numbers_of(f"column {name}", self.words(name)) for name in names]
        return columns[0] if len(names) == 1 else np.column_stack(columns)

    def check_ids(self, order: bool) -> None:
        """Check that no atom is there twice, and sort the atoms by ID if `order`."""
        try:
            ids = np.array([int(word) for word in self.words("id")])
        except (ValueError, OverflowError) as error:
            raise ValueError(f"column id: {reason_of(error)}") from error
        places = np.argsort(ids, kind="stable")
        doubled = ids[places][1:] == ids[places][:-1]
        if doubled.any():
            raise ValueError(f"atom {ids[places][1:][doubled][0]} is there twice")
        if order:
            self._rows = [self._rows[k] for k in places]


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


def dump_atoms(
    text: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    order: bool = True,
    **unknown: Any,
) -> Atoms:
    """Return the atoms of the text of one frame of a dump.

    Parameters
    ----------
    text : str
        Text of the frame.
    specorder : sequence of str, optional
        Elements of the types 1, 2 and so on.
    units : str, optional
        LAMMPS unit style. Default: the one that the text names, or Å.
    pbc : bool or (3,) bool, optional
        Periodic directions. Default: those of the text; all if it names none.
    order : bool
        Whether atoms are sorted by ID.
    **unknown
        Any other option, which is refused.

    Returns
    -------
    ase.Atoms
        The frame, in Å and eV; in sigma and epsilon with ``units="lj"``.

    Raises
    ------
    ValueError
        If the text is not a complete frame, or its elements or units are unknown or contradictory.
    """
    if unknown:
        raise ValueError(
            f"{next(iter(unknown))}: is not an option of the reader of dumps; use specorder, "
            "units, pbc or order"
        )
    check_units(units)
    head, found, body = text.partition("ITEM: ATOMS")
    if not found:
        for name, what in (("ENTRIES", "dump local"), ("GRID CELLS", "dump grid")):
            if f"ITEM: {name}" in head:
                raise ValueError(f"is of {what}, which does not hold atoms; write dump custom")
        raise ValueError("the frame ends early: before its atoms")
    sections = _dump_head(head)
    for name in ("TIMESTEP", "NUMBER OF ATOMS", "BOX BOUNDS"):
        if name not in sections:
            raise ValueError(f"the frame has no 'ITEM: {name}'")
    stated = sections["UNITS"][1][0].strip() if "UNITS" in sections else None
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
    units = stated or units
    count = sections["NUMBER OF ATOMS"][1][0]
    if not is_count(count) or len(count.strip()) > 18:
        raise ValueError(f"NUMBER OF ATOMS = {count.strip()[:40]!r}: must be a whole number")
    columns = _AtomColumns(body, int(count))
    if "id" in columns:
        columns.check_ids(order)

    def has(*wanted: str) -> bool:
        return all(name in columns for name in wanted)

    box = _box(*sections["BOX BOUNDS"])
    length = factor_to_ase("distance", units)
    kind = next(
        (k for k in ("x", "xs", "xu", "xsu") if has(*(k.replace("x", a) for a in "xyz"))), None
    )
    if kind is None:
        raise ValueError(
            f"its columns are {columns.title}, without x y z (or xs, xu, xsu and so on); "
            "write dump custom ... id element x y z"
        )
    positions = columns.numbers(*(kind.replace("x", axis) for axis in "xyz"))
    if kind.startswith("xs"):
        positions = positions @ box.cell + box.origin
    atoms = Atoms(
        numbers=_elements(columns, specorder, units),
        positions=positions * length,
        cell=box.cell * length,
        pbc=(True if box.pbc is None else box.pbc) if pbc is None else pbc,
        celldisp=box.origin * length,
    )
    if has("vx", "vy", "vz"):
        atoms.set_velocities(columns.numbers("vx", "vy", "vz") * factor_to_ase("velocity", units))
    if has("q"):
        atoms.set_initial_charges(columns.numbers("q") * factor_to_ase("charge", units))
    for name in columns:
        if name == "type" or re.match("[cfvdi]2?_", name):
            try:
                atoms.arrays[name] = columns.numbers(name).astype(
                    int if name == "type" or name[0] == "i" else float
                )
            except ValueError:  # words
                continue
    step = sections["TIMESTEP"][1][0].strip()
    if not re.fullmatch(r"-?\d{1,18}", step):
        raise ValueError("the frame has no timestep")
    atoms.info["timestep"] = int(step)
    return atoms


def _elements(
    columns: _AtomColumns, specorder: Sequence[str] | None, units: str | None
) -> list[int]:
    """Return the atomic numbers, from names, labels, masses or types, whichever comes first."""

    def known(name: str) -> bool:
        return name in columns and all(word in atomic_numbers for word in set(columns.words(name)))

    if known("element"):
        symbols = columns.words("element")
    elif "type" in columns and specorder:
        symbols = symbols_of(columns.words("type"), specorder)
    elif "element" in columns:
        symbols = symbols_of(columns.words("element"), specorder)
    elif known("typelabel"):
        symbols = columns.words("typelabel")
    elif "typelabel" in columns and "type" not in columns:
        symbols = symbols_of(columns.words("typelabel"), specorder)
    elif "mass" in columns and units in (None, "metal", "real", "electron"):
        masses = columns.numbers("mass")
        nearest = {m: int(np.argmin(np.abs(atomic_masses - m))) for m in set(masses.tolist())}
        for mass, number in nearest.items():
            if not abs(atomic_masses[number] - mass) < 0.5:
                raise ValueError(f"column mass: no element has {mass:g}; dump the element")
        return [nearest[m] for m in masses.tolist()]
    elif "type" in columns:
        kinds = columns.words("type")
        for kind in dict.fromkeys(kinds):
            if not is_count(kind) or len(kind) > 3 or not 1 <= int(kind) < len(chemical_symbols):
                raise ValueError(f"type {kind[:40]!r}: must be a whole number from 1 to 118")
        return [int(kind) for kind in kinds]
    else:
        raise ValueError(
            "its columns name no element or type; write dump custom ... element or type"
        )
    return [atomic_numbers[symbol] for symbol in symbols]

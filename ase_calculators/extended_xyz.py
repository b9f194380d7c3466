# SPDX-License-Identifier: BSD-3-Clause
"""Frames of XYZ and extended XYZ files: their texts, and atoms of a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ase_calculators.lammps_dump import symbols_of
from ase_calculators.lammps_units import check_units, factor_to_ase
from ase_calculators.text_file import FrameLines, is_count, numbers_of

# "Timestep=10" of dump extxyz, "timestep=10" of ours, "Atoms. Timestep: 10" of dump xyz
STEP = re.compile(r"(?:^|\s)timestep\s*[=:]\s*\"?(-?\d{1,18})\"?(?=\s|$)", re.IGNORECASE)
_PROPERTIES = re.compile(r"(?:^|\s)Properties\s*=\s*\"?([^\s\"]+)")
_LATTICE = re.compile(r"(?:^|\s)Lattice\s*=\s*\"([^\"]*)\"")


def xyz_texts(lines: Iterable[str]) -> Iterator[str]:
    """Cut an (extended) XYZ file into its frames; each starts with a number alone on its line.

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
    for line in lines:
        # the second line of a frame is its comment, which may be anything
        if is_count(line) and not (frame and len(frame.lines) == 1):
            if frame:
                yield str(frame)
            frame = FrameLines()
        elif frame is None and line.strip():
            frame = FrameLines()
        if frame is not None:
            frame.add(line)
    if frame:
        yield str(frame)


def xyz_atoms(
    text: str,
    format: str,
    specorder: Sequence[str] | None = None,
    units: str | None = None,
    pbc: Any = None,
    **options: Any,
) -> Atoms:
    """Return the atoms of the text of one frame, which ASE reads once it is known to be complete.

    Parameters
    ----------
    text : str
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
    count, _, rest = text.partition("\n")
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
    for key in ("Lattice", "Properties", "pbc"):  # some programs use small letters
        if not re.search(rf"(?:^|\s){key}\s*=", comment):
            comment = re.sub(rf"(?i)(^|\s){key}(\s*=)", rf"\g<1>{key}\g<2>", comment, count=1)
    if found := _LATTICE.search(comment):
        if len(found[1].split()) != 9:
            raise ValueError(f"Lattice: must have 9 numbers, has {len(found[1].split())}")
        numbers_of("Lattice", found[1].split())
    comment = _SIX.sub(_nine, comment)  # of six numbers ASE reads nine
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
    text = "\n".join([str(n_atoms), comment, *rows, ""])
    atoms: Any = ase.io.read(StringIO(text), index=0, format=format, **options)
    if pbc is not None:
        atoms.pbc = pbc
    if units and any(key.lower() == "timestep" and key != "timestep" for key in atoms.info):
        _convert(atoms, units)  # dump extxyz writes LAMMPS's units
    return atoms


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

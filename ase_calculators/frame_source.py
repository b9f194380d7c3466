# SPDX-License-Identifier: BSD-3-Clause
"""Frames one after the other from any file that ASE reads, and their energies from LAMMPS logs.

Text formats with many frames are cut into frames here, so that memory holds a few of them and a
broken one costs no other; ASE reads each piece.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from glob import glob, has_magic
from io import StringIO
from os import PathLike, fspath
from os.path import exists
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.lammps import convert
from ase.io.formats import filetype, ioformats, open_with_compression


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


def _dump_texts(file: Iterable[str]) -> Iterator[str]:
    """Cut a LAMMPS text dump into its frames, also where a killed run left one unfinished."""
    lines: list[str] = []
    for line in file:
        start = line.find("ITEM: TIMESTEP")
        if start >= 0:
            if lines:
                yield "".join(lines) + line[:start]
            lines = [line[start:]]
        elif lines:
            lines.append(line)
    if lines:
        yield "".join(lines)


def _xyz_texts(file: Iterable[str]) -> Iterator[str]:
    """Cut an (extended) XYZ file into its frames: each starts with a number alone on its line."""
    lines: list[str] = []
    for line in file:
        # the second line of a frame is its comment, which may be anything
        if line.strip().isdigit() and len(lines) != 1:
            if lines:
                yield "".join(lines)
            lines = []
        if lines or line.strip():
            lines.append(line)
    if lines:
        yield "".join(lines)


_TEXTS = {"lammps-dump-text": _dump_texts, "extxyz": _xyz_texts, "xyz": _xyz_texts}


def read_text(text: str, format: str, options: dict[str, Any]) -> Atoms:
    """Let ASE read the text of one frame.

    Parameters
    ----------
    text : str
        The frame.
    format : str
        ASE's name of its format.
    options : dict
        Keyword arguments of ASE's reader.

    Returns
    -------
    ase.Atoms
        The frame.

    Raises
    ------
    Exception
        Whatever ASE's reader raises; ValueError for a dump frame that ends early.
    """
    atoms: Any = ase.io.read(StringIO(text), index=0, format=format, **options)
    if format == "lammps-dump-text":
        # ASE takes a frame that ends early for a smaller one
        stated = int(text.split("ITEM: NUMBER OF ATOMS", 1)[1].split(maxsplit=1)[0])
        if len(atoms) != stated or not text.endswith("\n"):
            raise ValueError(f"the frame ends early: {len(atoms)} of {stated} atoms were read")
        atoms.calc = None  # ASE stores an energy of 0 with forces
    return atoms


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
                reason = f"{broken[1]}; nothing after it could be read"
                yield broken[0], ValueError(reason)
                return
            if ioformats[format].single:
                yield number, error
                return
            broken = number, error
            number += stride
        else:
            if broken:
                yield broken
            return


def _file_frames(
    paths: list[str], format: str | None, stride: int, options: dict[str, Any]
) -> Iterator[Frame]:
    for path in paths:
        n_found = 0
        try:
            kind = format or filetype(path)
            if kind in _TEXTS:
                with open_with_compression(path, "rt") as file:
                    for number, text in enumerate(_TEXTS[kind](file)):
                        n_found += 1
                        if number % stride:
                            continue
                        yield _text_frame(path, number, text, kind)
            else:
                for number, content in _ase_frames(path, kind, stride, options):
                    n_found += 1
                    yield _atoms_frame(path, number, content)
        except Exception as error:  # unknown format, unreadable file: the other files are kept
            yield Frame(path, n_found, error)
            continue
        if n_found == 0:
            yield Frame(path, 0, ValueError("the file holds no frames"))


def _text_frame(file: str, number: int, text: str, format: str) -> Frame:
    """Pack the text of a frame; that of a dump starts with its timestep."""
    if format != "lammps-dump-text":
        # a number cut short still is a number; a single frame may have been written by hand
        if number and not text.endswith("\n"):
            reason = "the last line has no end; add a line feed if its last number is complete"
            return Frame(file, number, ValueError(reason))
        return Frame(file, number, text, format)
    try:
        return Frame(file, number, text, format, int(text.split("\n", 2)[1]))
    except (IndexError, ValueError):
        return Frame(file, number, ValueError("the frame has no timestep"))


def _atoms_frame(file: str, number: int, content: Atoms | Exception) -> Frame:
    """Pack atoms without their calculator; a copy, as the source may move them in between."""
    if isinstance(content, Exception):
        return Frame(file, number, content)
    if not isinstance(content, Atoms):
        raise TypeError(f"source: must give ase.Atoms, got {type(content).__name__}")
    atoms = Atoms(
        numbers=content.numbers, positions=content.positions, cell=content.cell, pbc=content.pbc
    )
    atoms.info["energy"] = stored_energy(content)
    step = content.info.get("timestep")
    return Frame(file, number, atoms, "", None if step is None else int(step))


def stored_energy(atoms: Atoms) -> float:
    """Return the potential energy that came with the atoms; never calculate one.

    Parameters
    ----------
    atoms : ase.Atoms
        The frame, with the results of a calculator or an energy in its ``info``.

    Returns
    -------
    float
        Energy, eV; NaN where there is none.

    Examples
    --------
    >>> stored_energy(Atoms("Si", info={"energy": -4.5}))
    -4.5
    """
    energy = None
    if atoms.calc is not None:
        with contextlib.suppress(PropertyNotImplementedError):
            energy = atoms.calc.get_property("energy", atoms, allow_calculation=False)
    if energy is None:
        energy = atoms.info.get("energy")
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
        kind = filetype(path)
        if kind not in _TEXTS:
            yield from ase.io.iread(path, index=":", format=kind)
            continue
        for frame in _file_frames([path], kind, 1, {}):
            try:
                if isinstance(frame.content, Exception):
                    raise frame.content
                yield read_text(frame.content, kind, {})  # type: ignore[arg-type]
            except Exception as error:  # ASE's readers raise whatever they stumble over
                raise ValueError(
                    f"{path}: frame {frame.number} cannot be read: {error}; mend or remove it"
                ) from error


class Thermo(NamedTuple):
    """Potential energies of a LAMMPS log.

    Attributes
    ----------
    energies : dict of int to float
        Energy by timestep, eV; with ``units lj`` in those.
    per_atom : bool
        Whether LAMMPS divided them by the number of atoms.
    """

    energies: dict[int, float]
    per_atom: bool


def read_thermo(path: str | PathLike[str], units: str | None) -> Thermo:
    """Read the potential energies of a LAMMPS log or of a table written by a fix.

    Parameters
    ----------
    path : path-like
        Text with at least one table whose first column is Step or TimeStep and which has a column
        PotEng, c_thermo_pe, v_pe or pe. Where a step comes twice, the last one counts.
    units : str or None
        LAMMPS units of the energies; None for those of the `units` line in the log, or metal.

    Returns
    -------
    Thermo
        The energies.

    Raises
    ------
    ValueError
        When there is no such table.
    """
    raw: dict[int, float] = {}
    echoed_units, norm = None, None
    energy_at, width = 0, 0
    with open_with_compression(fspath(path), "rt") as file:
        for line in file:
            words = line.lstrip("# ").split()
            if not words:
                continue
            if words[0] in ("Step", "TimeStep"):
                names = [w for w in ("PotEng", "c_thermo_pe", "v_pe", "pe") if w in words]
                energy_at, width = (words.index(names[0]), len(words)) if names else (0, 0)
            elif words[0] == "units" and len(words) == 2:
                echoed_units = words[1]
            elif words[0] == "thermo_modify" and (found := re.search(r"\bnorm\s+(yes|no)", line)):
                norm = found[1] == "yes"
            elif len(words) == width:
                with contextlib.suppress(ValueError):  # a sentence between the rows
                    raw[int(words[0])] = float(words[energy_at])
    if not raw:
        raise ValueError(
            f"energies = {fspath(path)!r}: has no table with the columns Step and PotEng; give a "
            "LAMMPS log with thermo_style custom step pe ..."
        )
    units = units or echoed_units or "metal"
    factor = 1.0 if units == "lj" else convert(1.0, "energy", units, "ASE")
    # LAMMPS prints energies per atom in lj units unless told otherwise
    return Thermo(
        {step: factor * energy for step, energy in raw.items()},
        per_atom=units == "lj" if norm is None else norm,
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

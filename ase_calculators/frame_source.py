# SPDX-License-Identifier: BSD-3-Clause
"""Frames of any file that ASE reads, one after the other.

Text formats with many frames are cut into frames here, so that memory holds only a few of them and
a broken one does not cost the others. `read_block` makes arrays of many such texts,
`read_arrays` of one, and `read_text` atoms with all that a frame holds. Lengths are in Å and
energies in eV. If a file or the caller names other LAMMPS units, they are converted; ``lj`` stays
as it is.
"""

import codecs
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from glob import glob, has_magic
from os import PathLike, fspath
from os.path import exists, isdir
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import filetype, ioformats

from ase_calculators.extended_xyz import STEP, xyz_atoms, xyz_blocks, xyz_texts
from ase_calculators.frame_arrays import FrameArrays, FrameBlock
from ase_calculators.lammps_dump import (
    NO_BOUNDARIES,
    STEP_OF_DUMP,
    dump_arrays,
    dump_atoms,
    dump_blocks,
    dump_texts,
    units_in,
    yaml_texts,
)
from ase_calculators.lammps_log import Thermo, read_thermo
from ase_calculators.lammps_units import check_units
from ase_calculators.stored_labels import energy_of, is_energy, stored_energy, stored_labels
from ase_calculators.text_file import (
    DAMAGED,
    is_count,
    opener_of,
    read_blocks,
    read_lines,
    reason_of,
)

__all__ = [
    "Frame",
    "Thermo",
    "frame_files",
    "open_frames",
    "read_arrays",
    "read_block",
    "read_frames",
    "read_text",
    "read_thermo",
    "source_units",
    "stored_energy",
    "stored_labels",
    "with_step",
]

# what cuts a file of a format into the texts of its frames
_TEXTS: dict[str, Callable[[str], Iterator[bytes]]] = {
    "lammps-dump-text": lambda path: dump_texts(read_blocks(path)),
    "lammps-dump-yaml": lambda path: yaml_texts(read_lines(path)),
    "extxyz": lambda path: xyz_texts(read_blocks(path)),
    "xyz": lambda path: xyz_texts(read_blocks(path)),
}


class Frame(NamedTuple):
    """Hold a frame on its way to the kernel: arrays, the text of one frame, or an error.

    Attributes
    ----------
    file : str
        File of the frame, empty for one of an iterable.
    number : int
        Number of the frame in it, from 0.
    content : FrameArrays, bytes or Exception
        The frame, or why there is none.
    format : str
        ASE's name of the format of a text.
    step : int or None
        LAMMPS timestep, if known.
    """

    file: str
    number: int
    content: FrameArrays | bytes | Exception
    format: str = ""
    step: int | None = None

    def atoms(self, options: dict[str, Any]) -> Atoms:
        """Return the atoms of the frame.

        Parameters
        ----------
        options : dict
            Options of `read_text`, for a frame of text.

        Returns
        -------
        ase.Atoms
            The atoms.

        Raises
        ------
        Exception
            Error of the reader of the file; ValueError if the text is not a complete frame.
        """
        if isinstance(self.content, Exception):
            raise self.content
        if isinstance(self.content, bytes):
            return read_text(self.content, self.format, options)
        return self.content.atoms()

    def arrays(self, options: dict[str, Any], energy: bool) -> FrameArrays:
        """Return the elements, positions and cell of the frame.

        Parameters
        ----------
        options : dict
            Options of `read_text`, for a frame of text.
        energy : bool
            Whether the energy that came with the frame is needed.

        Returns
        -------
        FrameArrays
            The frame.

        Raises
        ------
        Exception
            As in `atoms`; ValueError if there are energies that differ.
        """
        if isinstance(self.content, Exception):
            raise self.content
        if isinstance(self.content, bytes):
            return read_arrays(self.content, self.format, options, energy)
        return self.content


def read_arrays(text: bytes, format: str, options: dict[str, Any], energy: bool) -> FrameArrays:
    """Return the elements, positions and cell of the text of one frame.

    Parameters
    ----------
    text : bytes
        The frame.
    format : str
        ASE's name of its format.
    options : dict
        As in `read_text`.
    energy : bool
        Whether the energy that came with the frame is needed.

    Returns
    -------
    FrameArrays
        The frame as `read_text` has it.

    Raises
    ------
    ValueError
        As in `read_text`; if there are energies that differ.
    """
    try:
        if format in ("lammps-dump-text", "lammps-dump-yaml"):
            return dump_arrays(text, **options)
        for _, (arrays, *_) in xyz_blocks([text], format, **options):
            return arrays
    except Exception as error:
        raise ValueError(reason_of(error)) from error
    atoms = read_text(text, format, options)
    return FrameArrays.of(atoms, stored_energy(atoms) if energy else np.nan)


def read_block(
    frames: Sequence[Frame], options: dict[str, Any], energy: bool
) -> tuple[FrameBlock, list[int], list[tuple[int, Exception]]]:
    """Return the elements, positions and cells of many frames.

    Parameters
    ----------
    frames : sequence of Frame
        The frames.
    options : dict
        Options of `read_text`, for frames of text.
    energy : bool
        Whether the energies that came with the frames are needed.

    Returns
    -------
    block : FrameBlock
        The good frames, each as `Frame.arrays` has it.
    places : list of int
        Their places in `frames`.
    errors : list of (int, Exception)
        Places of the other frames, and why each cannot be read.
    """
    texts: dict[str, list[int]] = {}
    for k, frame in enumerate(frames):
        if isinstance(frame.content, bytes):
            texts.setdefault(frame.format, []).append(k)
    found: dict[int, FrameArrays] = {}
    for format, places in texts.items():
        with suppress(Exception):  # `Frame.arrays` says of which frame it is
            for inner, block in _blocks([frames[k].content for k in places], format, options):
                if len(inner) == len(frames):
                    return block, inner, []
                found |= zip((places[k] for k in inner), block, strict=True)
    errors: list[tuple[int, Exception]] = []
    for k, frame in enumerate(frames):
        if k not in found:
            try:
                found[k] = frame.arrays(options, energy)
            except Exception as error:  # ASE's readers raise errors of any kind
                errors.append((k, error))
    good = sorted(found)
    return FrameBlock.of([found[k] for k in good]), good, errors


def _blocks(
    texts: Any, format: str, options: dict[str, Any]
) -> Iterator[tuple[list[int], FrameBlock]]:
    """Read the plain frames of a format in blocks, with their places."""
    if format in ("lammps-dump-text", "lammps-dump-yaml"):
        return dump_blocks(texts, **options)
    return xyz_blocks(texts, format, **options)


def read_text(text: bytes, format: str, options: dict[str, Any]) -> Atoms:
    """Return the atoms of the text of one frame.

    Parameters
    ----------
    text : bytes
        The frame.
    format : str
        ASE's name of its format.
    options : dict
        ``specorder``, the elements of LAMMPS's types 1, 2 and so on; ``units``, the LAMMPS units of
        a file that LAMMPS wrote; ``pbc``, the boundaries if a dump does not name them. Any other
        goes to ASE's reader of XYZ files.

    Returns
    -------
    ase.Atoms
        The frame, in Å and eV; in sigma and epsilon with ``units="lj"``. Columns of
        computes, fixes, variables and custom properties of a dump are in ``arrays``.

    Raises
    ------
    ValueError
        If the text is not a complete frame, or its elements or units are unknown or contradictory.
    """
    try:
        if format in ("lammps-dump-text", "lammps-dump-yaml"):
            return dump_atoms(text, **options)
        return xyz_atoms(text, format, **options)
    except Exception as error:  # ASE's readers raise errors of any kind
        raise ValueError(reason_of(error)) from error


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
        If a file does not exist or a pattern matches none.
    TypeError
        If the source is a single structure.
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
    """Return the LAMMPS units of the energies of a source, as the caller or one of its dumps says.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        As in `open_frames`.
    format : str or None
        ASE's name of the files' format; None to guess.
    units : str or None
        Units that the caller names.

    Returns
    -------
    str or None
        The units; None if nobody names any.

    Raises
    ------
    ValueError
        If there are no such units.
    """
    check_units(units)
    if units is not None:
        return units
    for path in frame_files(source) or []:
        try:
            kind = format or _kind(path)
            if kind in ("lammps-dump-text", "lammps-dump-yaml"):
                text = kind == "lammps-dump-text"
                head = next(read_blocks(path) if text else _TEXTS[kind](path), b"")
                units = units_in(head)
                check_units(units, "ITEM: UNITS")
        except (OSError, ValueError):  # reported with its frame
            return None
        if units is not None:
            return units
    return None


def open_frames(
    source: Any, format: str | None, stride: int, options: dict[str, Any]
) -> tuple[Iterator[Frame], int | None]:
    """Return the frames of a source and, if it is known, their number.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        File, glob pattern, files or structures.
    format : str or None
        ASE's name of the files' format; None to guess.
    stride : int
        Step between the frames taken of each file or of the iterable.
    options : dict
        Options of `read_text` and of ASE's readers.

    Returns
    -------
    frames : iterator of Frame
        The frames, each read when it is asked for.
    n_frames : int or None
        Their number; None for files.

    Raises
    ------
    FileNotFoundError
        If a file does not exist or a pattern matches none.
    TypeError
        If the source is a single structure or, later, yields anything but structures.
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
    """Read whole frames one after the other, with their labels and notes.

    Parameters
    ----------
    source : path-like, or iterable of path-like, or iterable of ase.Atoms
        As in `open_frames`.

    Yields
    ------
    ase.Atoms
        The frames; those of an iterable stay as they are.

    Raises
    ------
    FileNotFoundError
        If a file does not exist or a pattern matches none.
    TypeError
        If the source is a single structure or not made of structures.
    ValueError
        If a frame cannot be read.
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
                yield frame.atoms({})
        except Exception as error:  # ASE's readers raise errors of any kind
            raise ValueError(
                f"{path}: frame {number} cannot be read: {reason_of(error)}; fix or remove it"
            ) from error


def with_step(frames: Iterable[Frame], energies: Any) -> Iterator[Frame]:
    """Check that each frame has a timestep, by which its energy is found.

    Parameters
    ----------
    frames : iterable of Frame
        The frames.
    energies : path-like
        File of energies, for the message.

    Yields
    ------
    Frame
        The frames as they are.

    Raises
    ------
    ValueError
        If a frame without an error has no timestep.
    """
    for frame in frames:
        if frame.step is None and not isinstance(frame.content, Exception):
            raise ValueError(
                f"energies = {fspath(energies)!r}: frame {frame.number} of "
                f"{frame.file or 'the source'} has no timestep to match; map a LAMMPS dump, or set "
                "atoms.info['timestep']"
            )
        yield frame


# --- files to frames ------------------------------------------------------------------------------


def _kind(path: str) -> str:
    """Return ASE's name of the format of a file; the error for any other says what it is."""
    if isdir(path):
        return filetype(path)
    try:
        with opener_of(path)(path, "rb") as file:
            head = file.read(4096)
    except DAMAGED as error:
        raise ValueError(f"the file cannot be decompressed: {error}") from error
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"ITEM:"):
        return "lammps-dump-text"
    if text.startswith(b"---") and b"creator: LAMMPS" in text[:200]:
        return "lammps-dump-yaml"
    if head.startswith(b"- of UlmASE-Trajectory"):  # ASE takes longer to find this out
        return "traj"
    if head[8:12] == b"DUMP":
        found = re.search(rb"\0(id [ -~]+|[a-z][ -~]* x [ -~]+)", head[:1024])
        columns = f", colnames={found[1].decode().split()}" if found else ""
        raise ValueError(
            "is a binary dump of LAMMPS; give format='lammps-dump-binary'"
            f"{columns} and its units=, or convert it to text by binary2txt"
        )
    is_xyz = is_count(text.split(b"\n", 1)[0].decode("latin-1"))
    if is_xyz and re.search(r"\.(ext)?xyz(\.(gz|bz2|xz|zst))?$", path):
        return "extxyz"  # ASE takes longer to find this out than the frames take
    try:
        kind = filetype(path)
    except Exception:  # an error of ASE, which does not name a remedy
        kind = ""
    if kind in ioformats or (kind == "" and not is_xyz and not head):
        return kind or "extxyz"
    if is_xyz:
        return "extxyz"
    raise ValueError("does not have a format that ASE knows; give format=, ASE's name of it")


def _ase_frames(
    path: str, format: str, stride: int, options: dict[str, Any]
) -> Iterator[tuple[int, Atoms | Exception]]:
    """Read a file of any other format; step over a broken frame if ASE can."""
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
        except Exception as error:  # ASE's readers raise errors of any kind
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


def _file_frames(
    paths: list[str], format: str | None, stride: int, options: dict[str, Any]
) -> Iterator[Frame]:
    for path in paths:
        n_found = 0
        try:
            kind = format or _kind(path)
            if kind in _TEXTS:
                for number, text in enumerate(_TEXTS[kind](path)):
                    if (
                        n_found == 0
                        and "pbc" not in options
                        and NO_BOUNDARIES.search(text, 0, 4096)
                    ):
                        warnings.warn(
                            f"{path}: does not name boundaries (BOX BOUNDS pp pp pp); the cell is "
                            "taken as periodic, which pbc= can change",
                            stacklevel=2,
                        )
                    n_found += 1
                    if number % stride:
                        continue
                    yield _text_frame(path, number, text, kind)
            else:
                of_ase = dict(options)
                if kind != "lammps-dump-binary" or options.get("units") == "lj":
                    of_ase.pop(
                        "units", None
                    )  # units of the log; ASE's other readers do not take them
                for number, content in _ase_frames(path, kind, stride, of_ase):
                    n_found += 1
                    yield _atoms_frame(path, number, content, _energy_in_file)
        except Exception as error:  # unknown format or unreadable file: go on with the others
            yield Frame(path, n_found, error)
            continue
        if n_found == 0:
            yield Frame(path, 0, ValueError("the file holds no frames"))


def _text_frame(file: str, number: int, text: bytes, format: str) -> Frame:
    """Return the text of a frame with its timestep."""
    if not format.startswith("lammps-dump"):
        # a number cut short is still a number; a single frame may have been written by hand
        if number and not text.endswith(b"\n"):
            reason = "the last line has no end; add a line feed if its last number is complete"
            return Frame(file, number, ValueError(reason))
        # the line feed before the comment is the blank that may stand before the step
        start = text.find(b"\n")
        end = text.find(b"\n", start + 1)
        found = STEP.search(text, start, end if end >= 0 else len(text)) if start >= 0 else None
        return Frame(file, number, text, format, int(found[1]) if found else None)
    step = STEP_OF_DUMP.search(text, 0, 4096)
    if step is None:
        return Frame(file, number, ValueError("the frame has no timestep"))
    return Frame(file, number, text, format, int(step[1]))


def _step(info: dict[str, Any]) -> int | None:
    """Return the timestep of atoms that LAMMPS, this package or the caller has stored there."""
    for key, value in info.items():
        if isinstance(key, str) and key.lower() == "timestep":
            try:
                if int(value) == float(value):
                    return int(value)
            except (TypeError, ValueError, OverflowError):
                continue
    return None


def _energy_in_file(atoms: Atoms) -> float:
    """Return `stored_energy` of atoms that nobody has moved since they were read."""
    found = {} if atoms.calc is None else getattr(atoms.calc, "results", {})
    energies = {key: found[key] for key in ("energy", "free_energy") if key in found}
    for key, value in atoms.info.items():
        if isinstance(key, str) and is_energy(key):
            energies.setdefault(key, value)
    if not all(isinstance(value, float) for value in energies.values()):
        return stored_energy(atoms)
    return energy_of(energies)


def _atoms_frame(
    file: str,
    number: int,
    content: Atoms | Exception,
    energy: Callable[[Atoms], float] = stored_energy,
) -> Frame:
    """Return a copy of the arrays of atoms; the source may move them later."""
    if isinstance(content, Exception):
        return Frame(file, number, content)
    if not isinstance(content, Atoms):
        raise TypeError(f"source: must yield ase.Atoms, got {type(content).__name__}")
    try:
        arrays = FrameArrays.of(content, energy(content))
    except ValueError as error:
        return Frame(file, number, error)
    return Frame(file, number, arrays, "", _step(content.info))

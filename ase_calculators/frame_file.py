# SPDX-License-Identifier: BSD-3-Clause
"""Extended XYZ files that only grow, the twin of ``lammps_plugin/frame_file``.

A run that was interrupted leaves whole frames, and perhaps the start of one. What is on disk is
therefore all the state that the next run needs.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from os import PathLike, fspath
from typing import NamedTuple


class StoredFrame(NamedTuple):
    """Text of a frame in a file that grows.

    Attributes
    ----------
    offset : int
        Start of the frame in the file, bytes.
    head : bytes
        First line, without the zeros that a crash of the machine leaves.
    comment : bytes
        Second line, empty or without its end if the frame ends there.
    atoms : sequence of bytes
        Lines of the atoms.
    complete : bool
        Whether every line is there; the first line is then the number of atoms.
    """

    offset: int
    head: bytes
    comment: bytes = b""
    atoms: Sequence[bytes] = ()
    complete: bool = False

    @property
    def end(self) -> int:
        """Return the place where the next frame starts, bytes.

        Returns
        -------
        int
            The place; only of use if the frame is complete.
        """
        return self.offset + len(self.text)

    @property
    def text(self) -> bytes:
        """Return all lines.

        Returns
        -------
        bytes
            The lines with their ends.
        """
        return b"".join([self.head, self.comment, *self.atoms])


class FrameFile:
    """Extended XYZ file of one run, which other runs cannot write to while it is open.

    Parameters
    ----------
    path : path-like
        The file; made if there is none.

    Attributes
    ----------
    path : str
        The file.
    size : int
        Bytes that belong to this run; `append` refuses if somebody else has changed the file.

    Raises
    ------
    ValueError
        If another run is writing to it.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> with FrameFile("library.extxyz") as file:  # doctest: +SKIP
    ...     whole = [frame for frame in file if frame.complete]
    ...     file.cut(whole[-1].end if whole else 0)
    ...     file.append(text)
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._reader = open(self.path, "rb")  # noqa: SIM115
        except BaseException as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise ValueError(
                    f"{self.path}: another run is writing to it; wait for it or use another file"
                ) from error
            raise
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> "FrameFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
        self._file.close()

    def __iter__(self) -> Iterator[StoredFrame]:
        """Read the frames, from the first to the last complete one and what stands behind it."""
        offset = 0
        while (frame := self.read(offset)).head:
            yield frame
            if not frame.complete:
                return
            offset = frame.end

    def read(self, offset: int) -> StoredFrame:
        """Read the frame at a place.

        Parameters
        ----------
        offset : int
            Place in the file, bytes.

        Returns
        -------
        StoredFrame
            The frame; its head is empty at the end of the file.
        """
        self._reader.seek(offset)
        head = self._reader.readline(32).rstrip(b"\0")
        if not (head.endswith(b"\n") and head.strip().isdigit()):
            return StoredFrame(offset, head)
        comment = self._reader.readline().rstrip(b"\0")
        if not comment.endswith(b"\n"):
            return StoredFrame(offset, head, comment)
        n_atoms = int(head)
        atoms: list[bytes] = []
        while len(atoms) < n_atoms and (line := self._reader.readline()).endswith(b"\n"):
            atoms.append(line)
        return StoredFrame(offset, head, comment, atoms, len(atoms) == n_atoms)

    def cut(self, size: int) -> None:
        """Remove what stands behind a place.

        Parameters
        ----------
        size : int
            The place, bytes.

        Raises
        ------
        OSError
            If the file cannot be changed.
        """
        self._file.truncate(size)
        self.size = size

    def append(self, *frames: bytes) -> int:
        """Add frames in one write; if that fails, the file ends with the last that fits.

        Parameters
        ----------
        *frames : bytes
            Whole frames.

        Returns
        -------
        int
            Place in the file where the first starts, bytes.

        Raises
        ------
        ValueError
            If somebody else has changed the file.
        OSError
            If it cannot be written.
        """
        self.check()
        offset, rest = self.size, memoryview(b"".join(frames))
        try:
            while rest:
                written = self._file.write(rest)
                self.size += written
                rest = rest[written:]
        except OSError as error:
            ends = accumulate(map(len, frames), initial=offset)
            self.cut(max(end for end in ends if end <= self.size))
            raise OSError(error.errno, error.strerror, self.path) from error
        return offset

    def check(self) -> None:
        """Check that nobody else has changed the file.

        Raises
        ------
        ValueError
            If it was removed, renamed, replaced, cut or written to.
        """
        own = os.fstat(self._file.fileno())
        try:
            what = None if os.path.samestat(own, os.stat(self.path)) else "replaced"
        except FileNotFoundError:
            what = "removed or renamed"
        if what is None and own.st_size != self.size:
            what = "cut, emptied or written to"
        if what is not None:
            raise ValueError(
                f"{self.path}: was {what} by somebody else in the meantime; leave it alone while "
                "it grows, and run again"
            )

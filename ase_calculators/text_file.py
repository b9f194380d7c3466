# SPDX-License-Identifier: BSD-3-Clause
"""Lines of text files, compressed or not, and what a reader says about a broken one."""

import bz2
import codecs
import gzip
import importlib
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from os import stat as file_status
from typing import Any

import numpy as np

from ase_calculators.argument_checks import one_line

# what is read of a file of frames at once
BYTES_PER_BLOCK = 1 << 20
# limits of a line of a frame or a log, and of a frame in memory
BYTES_PER_LINE = 1 << 20
EMPTY_LINES = 10_000
BYTES_PER_FRAME = 1 << 30
# memory that a line takes in addition to its characters
_BYTES_OF_LINE = 64


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Decode what is not UTF-8 as Latin-1, which old programs write into comments."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("entsym-latin-1", _as_latin_1)


def _zstd() -> Any:
    """Return the module that decompresses zstd: the standard library's from Python 3.14 on."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return importlib.import_module(name)
    return None


_ZSTD = _zstd()
_MAGIC: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


DAMAGED: tuple[type[Exception], ...] = (
    EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, *([_ZSTD.ZstdError] if _ZSTD else []),
)  # fmt: skip


def opener_of(path: str) -> Callable[..., Any]:
    """Return the function that opens a file, by its first bytes and not by its name.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    callable
        `open`, or the function of that name of the module that decompresses the file.

    Raises
    ------
    ValueError
        If the file is not a regular one, or its compression is not known here.
    """
    if not stat.S_ISREG(file_status(path).st_mode):
        raise ValueError(f"{path}: is not a regular file; write a pipe's output to one first")
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        if _ZSTD is None:
            raise ValueError(
                f"{path}: is compressed by zstd; pip install 'entsym[zstd]', or run 'zstd -d' first"
            )
        return _ZSTD.open
    return next((opener for magic, opener in _MAGIC if start.startswith(magic)), open)


def read_lines(path: str) -> Iterator[str]:
    """Read the lines of a text file, compressed or not.

    Parameters
    ----------
    path : str
        Path of the file, in UTF-8; what is not UTF-8 is read as Latin-1.

    Yields
    ------
    str
        A line with its end.

    Raises
    ------
    ValueError
        If the file is not a regular one, a line is too long or the compressed data are damaged.
    """
    try:
        with opener_of(path)(path, "rt", encoding="utf-8-sig", errors="entsym-latin-1") as file:
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
    except DAMAGED as error:
        raise ValueError(f"the file cannot be decompressed to its end: {error}") from error


def read_blocks(path: str) -> Iterator[bytes]:
    """Read a text file, compressed or not, in blocks.

    Parameters
    ----------
    path : str
        Path of the file.

    Yields
    ------
    bytes
        The next part of the file, without a byte order mark; lines end with a line feed alone.

    Raises
    ------
    ValueError
        If the file is not a regular one, a line is too long or the compressed data are damaged.
    """
    started = ends_with_return = False
    n_blocks = 0
    line = 0  # bytes so far of the line that the block ends in
    try:
        with opener_of(path)(path, "rb") as file:
            # what was read before damage is not lost: read1 waits for no full block
            while block := file.read1(BYTES_PER_BLOCK):
                if not started:
                    while len(block) < 3 and (byte := file.read1(1)):
                        block += byte
                    block, started = block.removeprefix(codecs.BOM_UTF8), True
                if ends_with_return or b"\r" in block:
                    block = block[ends_with_return and block[:1] == b"\n" :]
                    ends_with_return = block.endswith(b"\r")
                    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                first = block.find(b"\n")
                if line + (len(block) if first < 0 else first) >= BYTES_PER_LINE:
                    n_lines = sum(b.count(b"\n") for b in islice(read_blocks(path), n_blocks))
                    raise ValueError(
                        f"line {n_lines + 1} has more than {BYTES_PER_LINE} characters; no frame "
                        "or log has such lines"
                    )
                line = line + len(block) if first < 0 else len(block) - block.rfind(b"\n") - 1
                n_blocks += 1
                yield block
    except DAMAGED as error:
        raise ValueError(f"the file cannot be decompressed to its end: {error}") from error


def decoded(text: bytes) -> str:
    """Return text in UTF-8; what is not UTF-8 is read as Latin-1.

    Parameters
    ----------
    text : bytes
        The text.

    Returns
    -------
    str
        The same.
    """
    return text.decode("utf-8", "entsym-latin-1")


def check_frame_size(size: int) -> None:
    """Check that a frame fits into memory.

    Parameters
    ----------
    size : int
        Its bytes so far.

    Raises
    ------
    ValueError
        If the frame takes too much memory.
    """
    if size > BYTES_PER_FRAME:
        raise ValueError(
            f"a frame takes more than {BYTES_PER_FRAME >> 20} MiB and does not end; the file "
            "is damaged or does not hold frames"
        )


class FrameLines:
    """Collect the lines of a frame, as long as they fit into memory.

    Parameters
    ----------
    *lines : str
        First lines.
    """

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.size = 0

    def add(self, line: str) -> None:
        """Add a line.

        Parameters
        ----------
        line : str
            The line.

        Raises
        ------
        ValueError
            If the frame takes too much memory.
        """
        self.size += len(line) + _BYTES_OF_LINE
        check_frame_size(self.size)
        self.lines.append(line)

    def __str__(self) -> str:
        return "".join(self.lines)


def is_count(line: str) -> bool:
    """Return whether a line holds digits only.

    Parameters
    ----------
    line : str
        The line; white space around the digits does not matter.

    Returns
    -------
    bool
        Whether it does.
    """
    word = line.strip()
    return word.isascii() and word.isdecimal()


def numbers_of(what: str, words: Sequence[str]) -> np.ndarray:
    """Return words as numbers.

    Parameters
    ----------
    what : str
        Name of the words, for the message.
    words : sequence of str
        The words.

    Returns
    -------
    (n_words,) float64
        The numbers.

    Raises
    ------
    ValueError
        If a word is not a number.
    """
    try:
        return np.array(words, dtype=float)
    except ValueError as error:
        raise ValueError(f"{what}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return why a file or a frame cannot be read, on one line.

    Parameters
    ----------
    error : Exception
        Error of a reader.

    Returns
    -------
    str
        The message of a ValueError or an OSError; of any other error, its kind as well.
    """
    text = one_line(error)
    if len(text) > 400:
        text = f"{text[:400]} ..."
    kind = type(error).__name__
    ours = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError)
    if ours and text != kind:
        return text
    return f"it cannot be read ({kind if text == kind else f'{kind}: {text}'})"

# SPDX-License-Identifier: BSD-3-Clause
"""What numbers were made of: versions, hashes of files, records that no kill leaves in halves."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages.

    Parameters
    ----------
    *packages : str
        Their names.

    Returns
    -------
    dict of str to str
        Those that are installed.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def file_hash(*paths: Path) -> str:
    """Hash files, one after the other.

    Parameters
    ----------
    *paths : pathlib.Path
        The files.

    Returns
    -------
    str
        SHA-256 over their contents, hexadecimal.
    """
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "w", **options: Any
) -> Iterator[IO[Any]]:
    """Open a file that replaces `path` when it is closed, whole or not at all.

    Everything is written to a hidden draft in the same folder. An error or an interrupt inside the
    ``with`` block removes the draft, a killed process leaves it behind; `path` keeps its old
    content in both cases. A device such as /dev/full is written to and stays.

    Parameters
    ----------
    path : str or path-like
        The file to replace; a symbolic link is followed.
    mode : str
        "w" or "wb".
    **options
        Passed to `open`; text is UTF-8 unless `encoding` says otherwise.

    Yields
    ------
    file object
        The draft.

    Raises
    ------
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, mode, **options) as file:
            yield file
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    try:
        with open(draft, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file at once or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : object
        What JSON can hold.
    """
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def add_json_line(path: Path, content: Any) -> None:
    """Add a line to a file of JSON lines.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : object
        What JSON can hold.
    """
    with open(path, "a", encoding="utf-8") as file:
        # begun on a line of its own, whatever was left unfinished
        file.write("\n" + json.dumps(content) + "\n")


def json_lines(path: Path) -> Iterator[Any]:
    """Read a file of JSON lines; one that a kill left unfinished is passed over.

    Parameters
    ----------
    path : pathlib.Path
        The file; there may be none.

    Yields
    ------
    object
        What a line holds.
    """
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                yield json.loads(line)
            except ValueError:  # empty, or unfinished
                continue

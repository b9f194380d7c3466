# SPDX-License-Identifier: BSD-3-Clause
"""What numbers were made of: versions, hashes of files, records that no kill leaves in halves."""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


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


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file at once or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    content : object
        What JSON can hold.
    """
    draft = path.with_suffix(".writing")
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


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

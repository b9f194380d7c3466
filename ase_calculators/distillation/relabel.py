# SPDX-License-Identifier: BSD-3-Clause
"""Labelling of frames by a teacher, alone or as a committee; an interrupted run resumes.

The labelled file only grows, one complete frame after the other. Each frame has its number in the
source and the hash of its teacher. There is no other state than these files.
"""

import os
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from io import StringIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import ase.io
import numpy as np
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.committee import Committee
from ase_calculators.figures import save_figure
from ase_calculators.frame_file import FrameFile
from ase_calculators.frame_source import frame_files, open_frames, read_text
from ase_calculators.landscape import LandscapeTable
from ase_calculators.parallel import OrderedPool
from ase_calculators.training_sets import TEACHER


class Relabelled(NamedTuple):
    """Numbers and files of the labelled and the rejected frames.

    Attributes
    ----------
    n : int
        Number of labelled frames in `path`.
    n_rejected : int
        Number of frames in `rejected_path`.
    path : pathlib.Path
        File of the labelled frames.
    rejected_path : pathlib.Path or None
        File of the frames beyond a threshold; None if there are none.
    map_path : pathlib.Path or None
        Figure of their places on the landscape; None if there are none, or no places are known.
    """

    n: int
    n_rejected: int
    path: Path
    rejected_path: Path | None
    map_path: Path | None


class _Limits(NamedTuple):
    """Limits of a label, and whether it must have a stress."""

    spread: float | None
    force: float | None
    stress: bool

    def __str__(self) -> str:
        return f"max_spread={self.spread} max_force={self.force} stress={self.stress}"


class _Labelled(NamedTuple):
    """A labelled frame: its text, the reason if it is rejected, and its ``info``."""

    number: int
    text: str
    reason: str
    info: dict[str, Any]


def relabel(
    frames: str | PathLike[str] | Iterable[Any],
    teacher: Any,
    path: str | PathLike[str],
    *,
    processes: int = 1,
    batch_size: int = 32,
    max_spread: float | None = None,
    max_force: float | None = None,
    stress: bool = True,
    table: LandscapeTable | None = None,
    progress: bool = True,
    executor: Executor | None = None,
) -> Relabelled:
    """Label frames by a teacher, one batch after the other.

    Each frame is written as extended XYZ with its own data and, in ``info``, teacher_energy (eV),
    teacher_stress (eV/Å^3, Voigt), teacher_energy_spread (eV/atom) and teacher_forces_spread (eV/Å;
    both of committees), teacher_hash, teacher_limits (max_spread, max_force, stress), teacher_frame
    (its number in the source), and the array teacher_forces (eV/Å). An interrupted run resumes: an
    unfinished frame at the end of the file is cut off. What was being calculated is lost, at most
    `batch_size` frames per process.

    Parameters
    ----------
    frames : path-like, or iterable of path-like, or iterable of ase.Atoms
        Files, as for `map_landscape`, or structures; the same ones if a run is resumed.
    teacher : Committee, ase.calculators.calculator.Calculator, or callable that returns one
        The model. For several processes or an executor it must be a callable that can be pickled,
        such as ``functools.partial(open_teacher, "teacher")``; each process calls it once.
    path : path-like
        The labelled file, ending in .extxyz.
    processes : int
        Number of processes, for CPUs. A script then needs ``if __name__ == "__main__":`` around
        its calls. The file does not depend on it.
    batch_size : int
        Number of frames that are calculated at a time.
    max_spread : float, optional
        Largest forces_spread, eV/Å. Frames beyond it go to ``<stem>.rejected.extxyz``, to be
        calculated by first principles or inspected, and into the figure
        ``<stem>.rejected.png``.
    max_force : float, optional
        The same for the force on an atom, eV/Å. Frames whose labels are not finite are
        always rejected.
    stress : bool
        Whether to label the stress; a teacher without stress is then refused.
    table : LandscapeTable, optional
        Landscape with a row for each frame in order, for the figure. Default: the sS and Q6 in
        the ``info`` of the frames, as `write_sets` and `PolymorphGen` write them.
    progress : bool
        Show the progress bar.
    executor : concurrent.futures.Executor, optional
        Executor that calculates the batches in place of `processes`, such as that of a cluster. The
        file does not depend on it, and it is not shut down. Its processes must not be forked from
        one that has used LAMMPS or PyTorch. They run on one core each, unless their environment
        sets OMP_NUM_THREADS.

    Returns
    -------
    Relabelled
        Numbers and files.

    Raises
    ------
    ValueError
        If an argument is out of its range, the teacher has no stress, the file was labelled by
        another teacher, within other limits or from other frames, is changed by somebody else in
        the meantime, or a frame cannot be read or calculated.
    BrokenExecutor
        If frames kill the process that works on them again and again, or `executor` has lost a
        process and cannot continue.

    Examples
    --------
    >>> relabel("supplementary.extxyz", teacher, "relabelled.extxyz")  # doctest: +SKIP
    """
    pool = OrderedPool(processes, "spawn", executor)  # LAMMPS, PyTorch, TensorFlow fail after fork
    check_whole("batch_size", batch_size)
    for name, limit in (("max_spread", max_spread), ("max_force", max_force)):
        if limit is not None and not (np.isfinite(limit) and limit > 0):
            raise ValueError(f"{name} = {limit!r}: must be a number above 0, eV/Å, or None")
    target = Path(fspath(path))
    if target.suffix != ".extxyz":
        raise ValueError(f"path = {str(target)!r}: must end in .extxyz; name it so")
    rejected_path = target.with_suffix(".rejected.extxyz")
    files = frame_files(frames)
    for file in files or ():
        if os.path.realpath(file) in map(os.path.realpath, (target, rejected_path)):
            raise ValueError(f"path = {str(target)!r}: is a file of the frames; use another")
    total = _count(frames)
    if table is not None and total not in (None, len(table)):
        raise ValueError(
            f"table: has {len(table)} rows for {total} frames; give the landscape of these frames"
        )
    spread, force = (None if x is None else float(x) for x in (max_spread, max_force))
    limits = _Limits(spread, force, stress)
    committee = _open(teacher)
    if max_spread is not None and len(committee.members) < 2:
        raise ValueError(
            f"max_spread = {max_spread}: one model has no spread; give a committee, or None"
        )
    label = partial(_label, committee, limits)
    if executor is not None or processes > 1:
        where = f"{processes} processes" if executor is None else "the executor"
        label = partial(_label_there, _sent(teacher, where), limits)

    target.parent.mkdir(parents=True, exist_ok=True)
    with FrameFile(target) as kept, FrameFile(rejected_path) as rejected:
        outputs = [_Output(file, committee.hash, str(limits)) for file in (rejected, kept)]
        done = set().union(*(output.numbers for output in outputs))
        batches = _batches(_to_do(frames, outputs, done), batch_size)
        with (
            pool,
            tqdm(total=total, initial=len(done), unit=" frames", disable=not progress) as bar,
        ):
            for _, future in pool.map(label, batches, _name):
                results = future.result()
                # the rejected first: so the frames of each file stay in order, however the run ends
                outputs[0].add([result for result in results if result.reason])
                outputs[1].add([result for result in results if not result.reason])
                bar.set_postfix_str(f"{len(outputs[0].numbers)} rejected", refresh=False)
                bar.update(len(results))
    n_rejected, n_kept = (len(output.numbers) for output in outputs)
    if not n_kept + n_rejected:
        target.unlink()
        rejected_path.unlink()
        raise ValueError("frames: there are none; check the path or the iterable")
    map_path = None
    if n_rejected:
        map_path = _draw(outputs, table, target.with_suffix(".rejected.png"))
    else:
        rejected_path.unlink()
    return Relabelled(n_kept, n_rejected, target, rejected_path if n_rejected else None, map_path)


# --- the teacher ----------------------------------------------------------------------------------


def _open(teacher: Any) -> Committee:
    """Return the teacher as a committee."""
    calc = teacher() if callable(teacher) else teacher
    if isinstance(calc, Committee):
        return calc
    if not hasattr(calc, "get_property"):
        raise ValueError(
            f"teacher: must be an ASE calculator or a function that returns one, got "
            f"{type(calc).__name__}"
        )
    return Committee([calc])


def _sent(teacher: Any, where: str) -> bytes:
    """Return the teacher pickled for other processes."""
    try:
        return pickle.dumps(teacher)
    except Exception as error:  # its parts may raise anything
        raise ValueError(
            f"teacher: cannot be sent to {where} ({error}); give a function that "
            "opens it, such as functools.partial(open_teacher, 'teacher')"
        ) from None


_here = threading.local()  # the teacher of each thread: an executor may have several in a process


def _label_there(
    sent: bytes, limits: _Limits, batch: list[tuple[int, Any, str]]
) -> list[_Labelled]:
    """Return the labelled frames of a batch, by a teacher that is opened once."""
    if getattr(_here, "sent", None) != sent:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other cores have processes of their own
        _here.committee, _here.sent = _open(pickle.loads(sent)), sent
    return _label(_here.committee, limits, batch)


def _name(batch: list[tuple[int, Any, str]]) -> str:
    return f"frames {batch[0][0]} to {batch[-1][0]}"


def _label(
    committee: Committee, limits: _Limits, batch: list[tuple[int, Any, str]]
) -> list[_Labelled]:
    """Return the labelled frames of a batch."""
    frames = []
    for number, content, format in batch:
        try:
            if isinstance(content, Exception):
                raise content
            frames.append(read_text(content, format, {}) if format else content)
        except Exception as error:  # ASE's readers may raise anything
            raise ValueError(f"frame {number}: {error}; fix or remove it") from error
    numbers = [number for number, _, _ in batch]
    results = _evaluate(committee, numbers, frames)
    found = []
    for number, atoms, result in zip(numbers, frames, results, strict=True):
        if limits.stress and result.get("stress") is None:
            raise ValueError(
                f"frame {number}: the teacher gives no stress; use one that does, or set "
                "stress=False to label only energy and forces"
            )
        found.append(_written(number, atoms, result, committee.hash, limits))
    return found


def _evaluate(
    committee: Committee, numbers: Sequence[int], frames: Sequence[Atoms]
) -> list[dict[str, Any]]:
    """Calculate a batch, halving it to find the frame that cannot be calculated."""
    try:
        return committee.evaluate(frames)
    except Exception as error:  # a model may raise anything
        if len(frames) == 1:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"frame {numbers[0]}: the teacher cannot label it ({reason}); fix or remove it, or "
                "check the teacher if it fails for all frames"
            ) from error
    half = len(frames) // 2
    return [
        result
        for part in (slice(half), slice(half, None))
        for result in _evaluate(committee, numbers[part], frames[part])
    ]


def _written(
    number: int, atoms: Atoms, result: dict[str, Any], hash: str, limits: _Limits
) -> _Labelled:
    """Return a labelled frame as text, rejected if it is beyond a limit."""
    force = float(np.sqrt((np.asarray(result["forces"]) ** 2).sum(axis=1).max(initial=0.0)))
    values = [result[name] for name in ("energy", "stress") if result.get(name) is not None]
    finite = np.isfinite(force) and all(np.isfinite(value).all() for value in values)
    reason = ""
    if not finite:
        reason = "labels are not finite"
    elif limits.spread is not None and not result["forces_spread"] <= limits.spread:
        reason = f"forces_spread {result['forces_spread']:.4g} > {limits.spread:g} eV/Å"
    elif limits.force is not None and force > limits.force:
        reason = f"force {force:.4g} > {limits.force:g} eV/Å"

    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.info[TEACHER + "frame"] = number
    copy.info[TEACHER + "hash"] = hash
    copy.info[TEACHER + "limits"] = str(limits)
    if finite:
        copy.info[TEACHER + "energy"] = float(result["energy"])
        if limits.stress:
            copy.info[TEACHER + "stress"] = np.asarray(result["stress"], dtype=float)
        copy.arrays[TEACHER + "forces"] = np.asarray(result["forces"], dtype=float)
    for name in ("energy_spread", "forces_spread"):
        if finite and name in result:
            copy.info[TEACHER + name] = float(result[name])
    if reason:
        copy.info[TEACHER + "rejected"] = reason
    text = StringIO()
    ase.io.write(text, copy, format="extxyz")
    return _Labelled(number, text.getvalue(), reason, copy.info)


# --- frames in ------------------------------------------------------------------------------------


def _contents(frames: Any) -> Iterator[tuple[Any, str]]:
    """Yield frames as text with its format, or as atoms."""
    if frame_files(frames) is None:
        for number, atoms in enumerate(frames):
            if not isinstance(atoms, Atoms):
                raise TypeError(f"frames: must be ase.Atoms, number {number} is {type(atoms)}")
            yield atoms, ""
        return
    for frame in open_frames(frames, None, 1, {})[0]:
        whole = frame.format or isinstance(frame.content, Exception)
        yield frame.content if whole else frame.atoms({}), frame.format


def _count(frames: Any) -> int | None:
    """Return the number of frames, if it is known without calculating any."""
    if frame_files(frames) is None:
        return len(frames) if hasattr(frames, "__len__") else None
    return sum(1 for _ in open_frames(frames, None, 1, {})[0])


def _to_do(
    frames: Any, outputs: Sequence["_Output"], done: set[int]
) -> Iterator[tuple[int, Any, str]]:
    """Yield the frames without labels; refuse other frames than those labelled last."""
    last = {output.last: output.last_frame for output in outputs if output.last_frame is not None}
    seen = -1
    for number, (content, format) in enumerate(_contents(frames)):
        seen = number
        if number in last:
            atoms = read_text(content, format, {}) if format else content
            old = last[number]
            # ASE writes positions to 1e-8 Å
            same = all(
                np.array_equal(one, other)
                for one, other in ((atoms.numbers, old.numbers), (atoms.pbc, old.pbc))
            )
            if not same or not all(
                np.allclose(one, other, rtol=0, atol=1e-6)
                for one, other in ((atoms.positions, old.positions), (atoms.cell, old.cell))
            ):
                raise ValueError(
                    f"path: holds labels of other frames, number {number} differs; use another "
                    "file or the same frames"
                )
        if number not in done:
            yield number, content, format
    if max(done, default=-1) > seen:
        raise ValueError(
            f"path: holds labels of {max(done) + 1} frames and there are {seen + 1}; use another "
            "file or the same frames"
        )


def _batches(
    frames: Iterator[tuple[int, Any, str]], size: int
) -> Iterator[list[tuple[int, Any, str]]]:
    batch: list[tuple[int, Any, str]] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


# --- frames out -----------------------------------------------------------------------------------


class _Output:
    """A file of labelled frames: those in it, and those that are added."""

    def __init__(self, file: FrameFile, hash: str, limits: str) -> None:
        self._file, self._hash, self._limits = file, hash, limits
        self.numbers: set[int] = set()
        self.places: list[tuple[float, float]] = []
        self.degree = "Q6"
        self.last: int | None = None
        self.last_frame: Any = None
        file.cut(self._read())

    def _read(self) -> int:
        """Read the complete frames and return the end of the last one, in bytes."""
        last = None
        for frame in self._file:
            if frame.head.strip(b"\0\n").strip(b"0123456789"):
                self._refuse(self._file.path)
            if not frame.complete:
                break
            self._check(info := key_val_str_to_dict(frame.comment.decode()), self._file.path)
            self._note(info)
            last = frame
        if last is None:
            return 0
        self.last_frame = ase.io.read(StringIO(last.text.decode()), format="extxyz")
        self.last = int(self.last_frame.info[TEACHER + "frame"])
        return last.end

    @staticmethod
    def _refuse(name: str) -> NoReturn:
        raise ValueError(f"path = {name!r}: is not a file that relabel has written; use another")

    def _check(self, info: dict[str, Any], name: str) -> None:
        """Refuse frames that relabel did not write, of another teacher, or with other limits."""
        if TEACHER + "frame" not in info:
            self._refuse(name)
        if str(info[TEACHER + "hash"]) != self._hash:
            raise ValueError(
                f"path = {name!r}: was labelled by another teacher, {TEACHER}hash "
                f"{str(info[TEACHER + 'hash'])[:12]}, and this one's is {self._hash[:12]}; use "
                "another file or the same teacher"
            )
        if (limits := info.get(TEACHER + "limits", self._limits)) != self._limits:
            raise ValueError(
                f"path = {name!r}: was labelled with {limits}, requested is {self._limits}; use "
                "another file or the same limits"
            )

    def _note(self, info: dict[str, Any]) -> None:
        """Record the number of a frame and its place on the landscape."""
        self.numbers.add(int(info[TEACHER + "frame"]))
        degree = next((key for key in info if key[:1] == "Q" and key[1:].isdigit()), "")
        if degree and "sS" in info:
            self.degree = degree
            self.places.append((float(info["sS"]), float(info[degree])))

    def add(self, results: Sequence[_Labelled]) -> None:
        """Write frames to the file."""
        self._file.append("".join(result.text for result in results).encode())
        for result in results:
            self._note(result.info)


def _draw(outputs: Sequence[_Output], table: LandscapeTable | None, path: Path) -> Path | None:
    """Draw the places of the rejected frames among the others."""
    import matplotlib.pyplot as plt

    points, degree = [], outputs[0].degree
    for output in outputs:
        if table is not None:
            rows = sorted(output.numbers)
            points.append(np.column_stack((table.sS[rows], table.Q[rows])))
            degree = f"Q{table.parameters['degree']}"
        else:
            points.append(np.array(output.places).reshape(-1, 2))
    rejected, kept = points
    if not len(rejected):
        return None
    figure, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
    ax.scatter(kept[:, 0], kept[:, 1], s=6, c="0.75", lw=0, label=f"kept, {len(kept)}")
    ax.scatter(rejected[:, 0], rejected[:, 1], s=12, c="C3", lw=0,
               label=f"rejected, {len(rejected)}")  # fmt: skip
    ax.set_xlabel(r"sS ($k_\mathrm{B}$ per atom)")
    ax.set_ylabel(degree)
    ax.legend(frameon=False)
    save_figure(figure, path, dpi=150)
    plt.close(figure)
    return path

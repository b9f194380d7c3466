# SPDX-License-Identifier: BSD-3-Clause
"""The analysis of a trajectory: frames one after the other, a table that grows."""

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole, one_line
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.fault_sequence import BCC, FCC, HCP
from ase_calculators.frame_source import Frame, open_frames
from ase_calculators.parallel import OrderedPool
from ase_calculators.pillar.frame import (
    AtomStates,
    FrameOptions,
    FrameResult,
    MissingColumns,
    analyse_frame,
    checked_options,
    checked_text,
    import_ovito,
)
from ase_calculators.pillar.stress_strain import at_step, read_stress_strain
from ase_calculators.pillar.table import COLUMNS, PillarTable
from ase_calculators.provenance import atomic_write, versions


class _Transitions:
    """Follow each atom from frame to frame, with the memory for one frame."""

    def __init__(self) -> None:
        self.before: AtomStates | None = None
        # since it was last FCC: 0 nothing, 1 has been BCC, 2 has been counted as HCP
        self.path = np.zeros(0, dtype=np.int8)

    def follow(self, atoms: AtomStates) -> dict[str, Any]:
        """Return the columns of the transitions from the frame before to this one."""
        now, before = atoms.structures, self.before
        columns: dict[str, Any] = {"transitions": [], "hcp_direct": 0, "hcp_through_bcc": 0}
        path = np.zeros(len(now), dtype=np.int8)
        if before is not None:
            if np.array_equal(atoms.identifiers, before.identifiers):
                was, was_interior = before.structures, before.interior
                path = self.path
            else:  # atoms were lost
                _, here, there = np.intersect1d(
                    atoms.identifiers, before.identifiers, return_indices=True
                )
                was = np.zeros(len(now), dtype=np.int8)
                was_interior = np.zeros(len(now), dtype=bool)
                was[here], was_interior[here] = before.structures[there], before.interior[there]
                path[here] = self.path[there]
            both = atoms.interior & was_interior
            matrix = np.bincount(4 * was[both] + now[both], minlength=16).reshape(4, 4)
            turned = both & (now == HCP) & (was != HCP) & (path != 2)
            through_bcc = int((turned & (path == 1)).sum())
            columns = {
                "transitions": matrix.tolist(),
                "hcp_direct": int(turned.sum()) - through_bcc,
                "hcp_through_bcc": through_bcc,
            }
        path = np.select([now == FCC, now == BCC, now == HCP], [0, 1, 2], path)
        self.path, self.before = path.astype(np.int8), atoms
        return columns


@dataclass
class _Progress:
    """The rows so far, and what the next row needs to know of them."""

    parameters: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)
    transitions: _Transitions = field(default_factory=_Transitions)
    parent: list[float] | None = None
    first_height: float = np.nan
    last_frame: str = ""  # SHA-256 of the text of the last row's frame

    def add(self, result: FrameResult, curve: dict[str, np.ndarray] | None) -> None:
        """Add a row."""
        row = result.row | self.transitions.follow(result.atoms)
        if not self.rows:
            self.first_height, self.parent = result.height, result.parent
            self.parameters["fault_analysis"] = result.message or "applies"
        if curve is None:
            row["strain"] = 1.0 - result.height / self.first_height
        else:
            row |= at_step(curve, row["step"])
        self.rows.append(row)

    def table(self, start: int = 0, skipped_from: int = 0) -> PillarTable:
        """Return the table of the rows and the skipped frames from the given numbers on."""
        columns = {name: [row[name] for row in self.rows[start:]] for name in COLUMNS}
        return PillarTable(columns, self.parameters, self.skipped[skipped_from:])


class _Draft:
    """A table that grows in a file, and a hidden file next to it with what the next row needs.

    The hidden file stays: a dump that has grown is analysed from there.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.state = output.with_name(f".{output.name}.state.npz")

    def write(self, size: int, progress: _Progress, complete: bool = False) -> None:
        """Write the state after the last row, which ends at `size` bytes of the table."""
        self.size = size
        atoms = progress.transitions.before
        assert atoms is not None
        with atomic_write(self.state, "wb") as file:
            np.savez(
                file, size=size, parent=progress.parent or [], height=progress.first_height,
                path=progress.transitions.path, last_frame=progress.last_frame,
                complete=complete, **atoms._asdict(),
            )  # fmt: skip

    def read(
        self, parameters: dict[str, Any], curve: dict[str, np.ndarray] | None,
        frames: Iterator[Frame],
    ) -> _Progress | None:  # fmt: skip
        """Return what an analysis left and cut the table to it; None if there is nothing to resume.

        Other arguments or another dump are an error after an interruption; a complete table of
        them is overwritten.
        """
        if not (self.state.exists() and self.output.exists()):
            self.state.unlink(missing_ok=True)
            return None
        with np.load(self.state) as state:
            complete = "complete" in state and bool(state["complete"])
            last_frame = str(state["last_frame"]) if "last_frame" in state else ""
        try:
            table = PillarTable.read(self.output)
        except ValueError:
            if not complete:
                raise
            return None  # somebody else's file by now
        for name, value in parameters.items():
            old = table.parameters.get(name)
            same = json.loads(json.dumps(value)) == old
            if name in ("dump", "strain") and old is not None:  # one file, spelled otherwise
                same = Path(value).resolve() == Path(old).resolve()
            if name != "fault_analysis" and not same:
                if complete:
                    return None
                raise ValueError(
                    f"output = {fspath(self.output)!r}: was begun with {name} = {old!r}, not "
                    f"{value!r}; give the same arguments to resume, or another output"
                )
        if complete and not _same_run(table, curve, frames, last_frame):
            return None
        with np.load(self.state) as state:
            os.truncate(self.output, int(state["size"]))
            table = PillarTable.read(self.output)
            progress = _Progress(
                table.parameters,
                [{name: table[name][k] for name in COLUMNS} for k in range(len(table))],
                table.skipped,
                parent=state["parent"].tolist() or None,
                first_height=float(state["height"]),
                last_frame=last_frame,
            )
            progress.transitions.path = state["path"]
            progress.transitions.before = AtomStates(*(state[x] for x in AtomStates._fields))
        self.size = os.path.getsize(self.output)
        return progress


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _same_run(
    table: PillarTable, curve: dict[str, np.ndarray] | None, frames: Iterator[Frame], last: str
) -> bool:
    """Return whether a complete table is of this dump and curve, which may have grown since."""
    for k, step in enumerate(table["step"]):
        for name, value in (at_step(curve, step) if curve else {}).items():
            if not np.array_equal(table[name][k], value, equal_nan=True):
                return False
    number = int(table["frame"][-1])
    for frame in frames:
        if frame.number == number:
            with contextlib.suppress(ValueError, OSError):
                return _digest(checked_text(frame)) == last
    return False


def analyse_pillar(
    dump: str | PathLike[str],
    stress_strain: str | PathLike[str] | None = None,
    calc: EntropySymmetry | None = None,
    processes: int = 1,
    stride: int = 1,
    rmsd_cutoff: float = 0.13,
    max_layers: int = 12,
    dislocations: bool = True,
    output: str | PathLike[str] | None = None,
    progress: bool = True,
    executor: Executor | None = None,
) -> PillarTable:
    """Analyse the plasticity of a compressed pillar, or of any fcc crystal, frame by frame.

    Each frame is analysed by OVITO's polyhedral template matching, surface construction, cluster
    and dislocation analyses, and by `fault_sequence.fault_sequence`. Frames are read one after the
    other: the memory does not depend on their number. The table does not depend on `processes`
    and `executor`.

    Parameters
    ----------
    dump : path-like
        LAMMPS text dump, also compressed, with the columns id and x y z. If it has the columns
        "local_sS" and "local_q6" (of compute entsym/atom), their means are in the table. Atoms
        whose column "layer" is not 0 (fixed layers) are not interior.
    stress_strain : path-like, optional
        Stress-strain file of the run; see `read_stress_strain`. Its strain, stress, temperature,
        sS and Q6 are interpolated at the timestep of each frame. Default: the engineering strain
        of the cell along z, relative to the first frame; no stress.
    calc : EntropySymmetry, optional
        Calculator of sS and Q6 of each frame, used if the stress-strain file does not have them.
        Vacuum counts as volume unless its `number_density` is given; its `elements` need the column
        element.
    processes : int
        Number of processes. They import the main script, so that it needs
        ``if __name__ == "__main__":`` around its calls.
    stride : int
        Interval of the frames that are analysed.
    rmsd_cutoff : float
        Cutoff of PTM: atoms further from every template are "other". Up to 500 K nothing depends on
        it above 0.12. At 800 K, 0.15 finds 1 to 7 % more of the atoms of faults, but takes more of
        a strained crystal for HCP; see ``input_templates/micropillar/RESULTS.md``. Use the same
        value for runs that are compared.
    max_layers : int
        Largest number of layers of a twin. Two boundaries further apart are CTBs.
    dislocations : bool
        Run the dislocation analysis (DXA), about half of the time.
    output : path-like, optional
        CSV file that grows as frames are done; `PillarTable.read` reads it, complete or not. The
        same call resumes at the first frame without a row, if the analysis was interrupted and if
        the dump has grown since. A hidden file next to the table holds what this needs. A complete
        file of another dump, curve or of other arguments is overwritten.
    progress : bool
        Show the progress bar.
    executor : concurrent.futures.Executor, optional
        Executor that analyses the frames in place of `processes`, such as that of a cluster; its
        workers need OVITO, and their processes are not forked from one that has imported it. It is
        not shut down.

    Returns
    -------
    PillarTable
        A row per frame. Broken and incomplete frames are left out, listed in its `skipped` and
        reported in a warning. If the crystal of a frame is not fcc, the column not_fcc says why,
        and so does a warning; the frame has no faults and dislocations if the crystal was fcc
        before, and NaN if it never was. ``parameters["fault_analysis"]`` holds the message for the
        first row.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ImportError
        If OVITO is not installed.
    ValueError
        If the dump has no whole frame or lacks columns, if an argument is out of range, or if
        `output` was begun with other arguments or another dump.

    Examples
    --------
    >>> table = analyse_pillar("pillar.dump", "stress_strain.txt")  # doctest: +SKIP
    >>> table.write("pillar.csv")  # doctest: +SKIP
    >>> [(event.name, event.strain) for event in table.events()]  # doctest: +SKIP
    [('BCC embryo', 0.05), ('highest stress', 0.06), ('ISF', 0.06), ('CTB', 0.08)]
    """
    pool = OrderedPool(processes, "spawn", executor)  # OVITO does not survive a fork
    check_whole("stride", stride)
    curve = None if stress_strain is None else read_stress_strain(stress_strain)
    options = checked_options(rmsd_cutoff, max_layers, dislocations, calc)
    if calc is not None and calc.parameters["degree"] != 6:
        raise ValueError(
            f"calc: has degree = {calc.parameters['degree']}; the table holds Q6, give 6"
        )
    if curve and "sS" in curve and "Q6" in curve:
        calc, options = None, replace(options, calc=None)
    parameters = {
        "dump": fspath(dump), "stride": int(stride), "rmsd_cutoff": options.rmsd_cutoff,
        "max_layers": options.max_layers, "dislocations": options.dislocations,
        "calc": None if calc is None else calc.todict(),
        "strain": "of the cell" if curve is None else fspath(stress_strain or ""),
        "fault_analysis": "applies", "version": versions("entsym").get("entsym", "unknown"),
        "ovito": import_ovito().version_string,
    }  # fmt: skip
    frames, _ = open_frames(dump, "lammps-dump-text", stride, {})
    draft = None if output is None else _Draft(Path(output))
    before, _ = open_frames(dump, "lammps-dump-text", stride, {})
    done = (draft.read(parameters, curve, before) if draft else None) or _Progress(parameters)
    steps = {int(row["frame"]): int(row["step"]) for row in done.rows}
    last = max(steps, default=-1)
    # the progress bar counts bytes, of a compressed dump frames
    in_bytes = Path(dump).suffix not in (".gz", ".bz2", ".xz")
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(
            total=os.path.getsize(dump) // stride if in_bytes and os.path.exists(dump) else None,
            unit="B" if in_bytes else "frame", unit_scale=in_bytes, desc="pillar",
            disable=None if progress else True,
        ))  # fmt: skip
        file = stack.enter_context(
            open(output or os.devnull, "a" if done.rows else "w", encoding="utf-8", newline="")
        )
        stack.enter_context(pool)

        def jobs() -> Iterator[_Job]:
            for frame in frames:
                size = len(frame.content) if isinstance(frame.content, bytes) else 0
                bar.update(size if in_bytes else 1)
                if frame.number <= last:
                    _check_same_dump(dump, output, frame, steps)
                else:
                    yield _job(frame, dump, done, options)

        function, remaining = partial(_analyse, options), jobs()
        # the first frame by itself: its orientation is the parent of the others
        while not done.rows and (first := next(remaining, None)):
            for job, future in pool.map(function, [first], _name):
                _take(job, future, done, curve, file, draft)
        for job, future in pool.map(function, remaining, _name):
            _take(job, future, done, curve, file, draft)
    if not done.rows:
        reason = f" ({done.skipped[0][1]})" if done.skipped else ""
        raise ValueError(
            f"dump = {fspath(dump)!r}: holds no whole frame{reason}; give a LAMMPS text dump with "
            "at least one"
        )
    if draft is not None:
        draft.write(draft.size, done, complete=True)
    _warn(dump, done)
    return done.table()


def _check_same_dump(
    dump: str | PathLike[str], output: Any, frame: Frame, steps: dict[int, int]
) -> None:
    """Check that a frame with a row has the step of that row."""
    if steps.get(frame.number, frame.step) != frame.step:
        raise ValueError(
            f"dump = {fspath(dump)!r}: frame {frame.number} is of step {frame.step}, "
            f"in {fspath(output)!r} of step {steps[frame.number]}: it is another "
            "dump; remove that file or give another output"
        )


class _Job(NamedTuple):
    """A frame to analyse, or the reason why it cannot be analysed."""

    number: int
    step: int = 0
    text: bytes = b""
    parent: list[float] | None = None
    reason: str = ""


def _name(job: _Job) -> str:
    return f"frame {job.number}"


def _job(frame: Frame, dump: str | PathLike[str], done: _Progress, options: FrameOptions) -> _Job:
    """Return the job of a frame."""
    try:
        text = checked_text(frame, options.calc)
    except MissingColumns as error:
        if not done.rows:
            raise ValueError(f"dump = {fspath(dump)!r}: {error}") from None
        return _Job(frame.number, reason=str(error))
    except (ValueError, OSError) as error:
        return _Job(frame.number, reason=one_line(error))
    if frame.step is None:
        return _Job(frame.number, reason="the frame has no timestep")
    return _Job(frame.number, frame.step, text, done.parent)


def _analyse(options: FrameOptions, job: _Job) -> FrameResult | str:
    """Return the result of a frame, or the reason why there is none."""
    if job.reason:
        return job.reason
    return analyse_frame(job.number, job.step, job.text, job.parent, options)


def _take(
    job: _Job, future: Future[FrameResult | str], done: _Progress,
    curve: dict[str, np.ndarray] | None, file: IO[str], draft: _Draft | None,
) -> None:  # fmt: skip
    """Add the result of a frame to the table and its file, as a row or as a skipped frame."""
    n_rows, n_skipped = len(done.rows), len(done.skipped)
    try:
        outcome = future.result()
    except ImportError:
        raise
    except Exception as error:  # a frame that OVITO cannot read must not cost the others
        outcome = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(outcome, str):
        done.skipped.append((job.number, outcome))
    else:
        done.add(outcome, curve)
        done.last_frame = _digest(job.text)
    if not done.rows:
        return
    if n_rows == 0:
        PillarTable.write_head(file, done.parameters)
        n_skipped = 0
    done.table(n_rows, n_skipped).write_rows(file)
    if draft is not None and len(done.rows) > n_rows:
        draft.write(file.tell(), done)


def _warn(dump: str | PathLike[str], done: _Progress) -> None:
    """Warn of frames that were left out or have no faults."""
    rows, skipped = done.rows, done.skipped
    if skipped:
        warnings.warn(
            f"{fspath(dump)}: {len(skipped)} of {len(rows) + len(skipped)} frames left out, the "
            f"first: frame {skipped[0][0]}, {skipped[0][1]}",
            stacklevel=3,
        )
    not_fcc = [row for row in rows if row["not_fcc"]]
    if not_fcc:
        warnings.warn(
            f"{fspath(dump)}: {len(not_fcc)} of {len(rows)} frames are not fcc and have no faults "
            f"and dislocations, the first: frame {not_fcc[0]['frame']}, {not_fcc[0]['not_fcc']}",
            stacklevel=3,
        )

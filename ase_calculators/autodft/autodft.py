# SPDX-License-Identifier: BSD-3-Clause
"""The driver: adds frames to the ledger, sends jobs, watches them and collects their results.

All state is in the ledger. The driver writes down what it is about to do, does it, and at each poll
compares the ledger with the queues and the jobs' folders, by the jobs' names. A restart after an
interruption is just another poll. A job starts by making a folder, which only one process can make.
If it is unknown whether a job was sent, the driver makes that folder first: the job is withdrawn.
"""

import contextlib
import time
from collections.abc import Iterable, Sized
from dataclasses import asdict, dataclass, field
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.autodft.equivalence import Equivalents
from ase_calculators.autodft.export import export
from ase_calculators.autodft.ledger import DAMAGED, STATES, Job, Ledger, info_text
from ase_calculators.autodft.machines import (
    Connection,
    JobStatus,
    NotSent,
    Unreachable,
    read_machines,
)
from ase_calculators.autodft.settings import DFTSettings, is_number
from ase_calculators.autodft.worker import RESULTS, read_lines

# frames per transaction
_BATCH = 4000
# polls in a row that must find a job gone before it counts as ended: over NFS, folders appear late
_PATIENCE = 2
# jobs in a row without any result after which a machine gets no more jobs
_FRUITLESS = 5
# frames given up after which a machine that has labelled none gets no more jobs
_HOPELESS = 5
_LONGEST_DELAY = 600.0
# Å; a key counts positions in 1e-8 Å, as 64-bit integers
_LARGEST = 1e6


@dataclass
class Added:
    """Result of adding frames.

    Attributes
    ----------
    new : int
        Number of tasks that are new in the ledger.
    known : int
        Number of frames that were in the ledger already, with the same settings.
    refused : list of (int, str)
        Numbers of the frames that were refused, and the reasons.
    equivalent : list of (int, str)
        Numbers of the frames that are equivalent to others, and the keys of those. Empty unless
        equivalent frames were looked for.
    """

    new: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    equivalent: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Status:
    """Numbers of tasks.

    Attributes
    ----------
    states : dict of str to int
        Number of tasks in each state.
    machines : dict of str to dict of str to int
        The same for each machine.
    reasons : dict of str to int
        Reasons why tasks failed or were given up, and their numbers.
    wall : float
        Time spent on the labels, s.
    """

    states: dict[str, int]
    machines: dict[str, dict[str, int]]
    reasons: dict[str, int]
    wall: float

    def __str__(self) -> str:
        """Return a table."""
        lines = [f"{sum(self.states.values())} tasks, {self.wall / 3600:.2f} h"]
        lines += [f"  {state:10s} {n:8d}" for state, n in self.states.items() if n]
        for name, states in self.machines.items():
            lines.append(f"  {name}: " + ", ".join(f"{n} {state}" for state, n in states.items()))
        lines += [f"  {n:6d} x {reason}" for reason, n in self.reasons.items()]
        return "\n".join(lines)


class AutoDFT:
    """Label frames by first principles, each once, on any mix of machines.

    Several drivers may work on one ledger; each of them watches all jobs. Machines are called one
    after the other. One that does not answer is called again after 1, 2, 4, ... 600 s.

    Parameters
    ----------
    ledger : path-like
        SQLite file, or ``postgresql://user@host/database``.
    settings : DFTSettings
        Settings of the calculations. Tasks with other settings in the same ledger are not touched.
    machines : path-like or dict
        machines.yaml, or its content; see `Machine`.
    attempts : int
        Number of failures after which a frame is given up; each attempt is a step of the code's
        ladder.
    closest : float
        Smallest allowed distance of two atoms, relative to the sum of their covalent radii. Other
        frames are refused.
    poll : float
        Longest time between two polls, s.

    Attributes
    ----------
    settings : DFTSettings
        Settings as given.
    machines : dict of str to Machine
        Machines that may run the code.

    Raises
    ------
    ValueError
        If an argument is out of its range or no machine may run the code.
    TypeError
        If `ledger`, `settings` or `machines` is of another type.

    Examples
    --------
    >>> dft = AutoDFT("labels.db", machines="machines.yaml")  # doctest: +SKIP
    >>> dft.add(frames)  # doctest: +SKIP
    >>> dft.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        ledger: str | PathLike[str],
        settings: DFTSettings | None = None,
        machines: Any = None,
        *,
        attempts: int = 4,
        closest: float = 0.5,
        poll: float = 2.0,
    ) -> None:
        self.settings = DFTSettings.paper("gpaw") if settings is None else settings
        if not isinstance(self.settings, DFTSettings):
            raise TypeError(
                f"settings = {settings!r}: must be DFTSettings, such as DFTSettings.paper('vasp')"
            )
        if not isinstance(ledger, str | PathLike):
            raise TypeError(f"ledger = {ledger!r}: must be a file, or postgresql://...")
        check_whole("attempts", attempts)
        if not (is_number(closest) and 0 <= closest < 1):
            raise ValueError(f"closest = {closest!r}: must be at least 0 and below 1")
        if not (is_number(poll) and poll > 0):
            raise ValueError(f"poll = {poll!r}: must be a number above 0")
        self._attempts, self._closest, self._poll = attempts, closest, poll
        every = read_machines(machines) if machines is not None else {}
        self.machines = {name: m for name, m in every.items() if m.runs(self.settings.code)}
        if every and not self.machines:
            raise ValueError(
                f"machines: none of {', '.join(every)} lists {self.settings.code!r} among its codes"
            )
        self._ledger = Ledger(fspath(ledger))
        self._hash = self.settings.hash

    def add(self, frames: Iterable[Atoms], equivalent: bool = False) -> Added:
        """Add frames to the ledger, each once for the same settings.

        Parameters
        ----------
        frames : iterable of ase.Atoms
            Frames, read one by one. The ledger keeps species, positions, cell and pbc, and with
            spin the initial magnetic moments. It also keeps numbers and text of ``info``, up to
            100,000 characters, which no calculation needs.
        equivalent : bool
            Do not add a periodic cell that is equivalent to one in the ledger, that is, differs
            only by the order of the atoms, their images, the origin, the lattice vectors, a
            rotation or a reflection. `Added.equivalent` lists such frames; they get no label of
            their own. Their energy is that of the other cell; forces and stress turn with the cell.
            The mesh follows from the cell as it is written, so that labels of equivalent cells may
            differ by the error of the mesh. The first use reads all frames of the ledger. Not
            possible with spin. Cells that another process adds at the same time are not seen.

        Returns
        -------
        Added
            Numbers of new and known frames, and the frames that were refused. A frame that cannot
            be calculated or kept is refused, with its number and the reason; the others are added.

        Raises
        ------
        TypeError
            If `frames` is one Atoms or contains anything but Atoms.
        ValueError
            If `equivalent` is used with spin.
        RuntimeError
            If the ledger cannot be written.
        """
        if isinstance(frames, Atoms):
            raise TypeError("frames: must be an iterable of Atoms, not one Atoms; pass [atoms]")
        if equivalent and self.settings.spin:
            raise ValueError("equivalent = True: moments are not compared; use it without spin")
        added = Added()
        settings = (self._hash, self.settings.to_json())
        batch: list[tuple[str, Atoms, float, dict[str, Any]]] = []

        def write() -> None:
            n_new = self._ledger.add(settings, batch)
            added.new += n_new
            added.known += len(batch) - n_new
            batch.clear()

        total = len(frames) if isinstance(frames, Sized) else None
        for number, atoms in enumerate(tqdm(frames, "adding", total, unit=" frames", delay=2)):
            if not isinstance(atoms, Atoms):
                raise TypeError(f"frames: must be ase.Atoms, number {number} is {type(atoms)}")
            try:
                reason = unreasonable(atoms, self._closest)
                task = None if reason else self._task(atoms)
            except Exception as error:  # any error of a frame refuses only this frame
                reason, task = " ".join(f"{type(error).__name__}: {error}".split()), None
            if task is None:
                added.refused.append((number, reason))
                continue
            if equivalent:
                key, bare = task[:2]
                others = self._equivalents.candidates(bare)
                if others and batch:
                    write()
                other = self._equal_one(bare, key, others)
                if other:
                    added.equivalent.append((number, other))
                    continue
                if key not in others:
                    self._equivalents.add(bare, key)
            batch.append(task)
            if len(batch) == _BATCH:
                write()
        if batch:
            write()
        return added

    @cached_property
    def _equivalents(self) -> Equivalents:
        """Return an index of the ledger's frames, to look up equivalent ones."""
        equivalents = Equivalents()
        for key, atoms in self._ledger.all_frames(self._hash):
            equivalents.add(atoms, key)
        return equivalents

    def _equal_one(self, atoms: Atoms, key: str, others: list[str]) -> str:
        """Return the candidate that a frame is equivalent to; "" if it is in the ledger itself."""
        if key not in others:
            for other in others:
                for _, found in self._ledger.all_frames(self._hash, other):
                    if self._equivalents.equal(atoms, found):
                        return other
        return ""

    def _task(self, atoms: Atoms) -> tuple[str, Atoms, float, dict[str, Any]]:
        """Return key, frame, cost and data of a task, without what no calculation needs."""
        settings = self.settings
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc)
        if settings.spin:
            bare.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments())
        mesh = settings.mesh(bare)
        data = {"mesh": list(mesh), "info": info_text(atoms.info)}
        return settings.key(bare), bare, settings.cost(bare, mesh), data

    def run(self) -> Status:
        """Send and watch jobs and collect their results until every task is done or given up.

        If the driver is interrupted, the jobs continue; another call of `run` resumes.

        Returns
        -------
        Status
            Final numbers of tasks.

        Raises
        ------
        ValueError
            If there are no machines.
        RuntimeError
            If no machine can continue, with the reason of each.
        """
        if not self.machines:
            raise ValueError("machines = None: give machines.yaml to run anything")
        dispatcher = _Dispatcher(self)
        with contextlib.ExitStack() as stack:
            bars = {}
            n_open, n_done = self._open()
            n_before, pause = -1, 0.1
            for line, name in enumerate(self.machines):
                bars[name] = stack.enter_context(
                    tqdm(desc=name, total=n_open + n_done, unit=" frames", position=line)
                )
            while True:
                for name in self.machines:
                    dispatcher.poll(name)
                n_open, n_done = self._open()
                self._show(bars, dispatcher)
                if not n_open:
                    break
                self._require_known_machines()
                if all(name in dispatcher.out_of_use for name in self.machines):
                    reasons = "; ".join(f"{n}: {why}" for n, why in dispatcher.out_of_use.items())
                    raise RuntimeError(
                        f"machines: none can continue with {n_open} tasks; {reasons}"
                    )
                # poll often while something happens, then less and less often
                pause = min(self._poll, 1.5 * pause if n_open == n_before else 0.1)
                n_before = n_open
                time.sleep(pause)
        return self.status()

    def status(self) -> Status:
        """Count the tasks of these settings.

        Returns
        -------
        Status
            Numbers of tasks.
        """
        states = dict.fromkeys(STATES, 0)
        machines: dict[str, dict[str, int]] = {}
        wall = 0.0
        for state, machine, n, seconds in self._ledger.query(
            "SELECT state, machine, COUNT(*), SUM(wall) FROM tasks WHERE settings = ? "
            "GROUP BY state, machine", (self._hash,),
        ):  # fmt: skip
            states[state] += n
            wall += seconds or 0.0
            if machine:
                machines.setdefault(machine, {})[state] = n
        reasons = self._ledger.query(
            "SELECT reason, COUNT(*) FROM tasks WHERE settings = ? AND state IN "
            "('failed', 'given up') GROUP BY reason ORDER BY COUNT(*) DESC LIMIT 20", (self._hash,),
        )  # fmt: skip
        return Status(states, machines, {reason: n for reason, n in reasons}, wall)

    def labelled(self, altered: bool = False) -> list[Atoms]:
        """Return the labelled frames in the order in which they were added.

        Parameters
        ----------
        altered : bool
            Include labels for which the ladder changed the smearing.

        Returns
        -------
        list of ase.Atoms
            Energy (the free energy that belongs to the forces), forces and stress are in the
            calculator. ``info`` contains the info of the frame and the provenance of the label:
            key, machine, job, code version, settings, pseudopotentials' hashes, ladder, time.
        """
        return list(self._ledger.labels(self._hash, altered))

    def export(
        self,
        path: str | PathLike[str],
        format: str = "deepmd/npy",
        altered: bool = False,
    ) -> int:
        """Write the labelled frames as a training set.

        Parameters
        ----------
        path : path-like
            Folder, or file of extended XYZ.
        format : {"deepmd/npy", "deepmd/npy/mixed", "extxyz"}
            Format.
        altered : bool
            Include altered labels, as in `labelled`.

        Returns
        -------
        int
            Number of frames.
        """
        frames = self._ledger.labels(self._hash, altered)
        elements = self._ledger.elements(self._hash, altered)
        return export(frames, path, format, self.settings, elements)

    def retry(self) -> int:
        """Reset the tasks that were given up, so that they are tried again.

        Returns
        -------
        int
            Number of these tasks.
        """
        return self._ledger.retry(self._hash)

    def abandon(self, machine: str) -> int:
        """End the jobs of a machine that is gone for good; their tasks go to other machines.

        If such a job still runs, its results are ignored.

        Parameters
        ----------
        machine : str
            Name of the machine.

        Returns
        -------
        int
            Number of jobs.
        """
        rows = self._ledger.query(
            "SELECT name FROM jobs WHERE state <> 'ended' AND settings = ? AND machine = ?",
            (self._hash, machine),
        )
        for (name,) in rows:
            job = Job(name, self._hash, machine, "", None, "", None, 1, 0)
            self._ledger.end(job, "abandoned", (), self._attempts)
        return len(rows)

    def failures(self) -> list[dict[str, Any]]:
        """Return the failed attempts with their logs.

        Returns
        -------
        list of dict
            Key, state, machine, job, attempt, reason and log of each attempt.
        """
        names = ("key", "state", "machine", "job", "attempt", "reason", "log")
        rows = self._ledger.query(
            "SELECT t.key, t.state, a.machine, a.job, a.attempt, a.reason, a.log FROM attempts a "
            "JOIN tasks t ON t.id = a.id WHERE a.ok = 0 AND t.settings = ? "
            "ORDER BY a.id, a.attempt",
            (self._hash,),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Close the ledger, so that other drivers do not wait for this one."""
        self._ledger.close()

    def _open(self) -> tuple[int, int]:
        rows = dict(
            self._ledger.query(
                "SELECT state, COUNT(*) FROM tasks WHERE settings = ? GROUP BY state",
                (self._hash,),
            )
        )
        n_ended = rows.get("done", 0) + rows.get("given up", 0)
        return sum(rows.values()) - n_ended, n_ended

    def _require_known_machines(self) -> None:
        """Raise if all that is left to do is on machines that this driver does not know."""
        rows = self._ledger.query(
            "SELECT DISTINCT machine, driver FROM jobs WHERE state <> 'ended' AND settings = ?",
            (self._hash,),
        )
        unknown = sorted({m for m, _ in rows if m not in self.machines})
        waiting = self._ledger.query(
            "SELECT COUNT(*) FROM tasks WHERE settings = ? AND state IN ('waiting', 'failed')",
            (self._hash,),
        )[0][0]
        if unknown and not waiting and all(m in unknown for m, _ in rows):
            raise RuntimeError(
                f"machines: the remaining tasks are on {', '.join(unknown)}, which this driver "
                "does not know; add it to machines.yaml, or call dft.abandon(name) if it is gone"
            )

    def _show(self, bars: dict[str, tqdm], dispatcher: "_Dispatcher") -> None:
        done = dict(
            self._ledger.query(
                "SELECT machine, COUNT(*) FROM tasks WHERE settings = ? AND state = 'done' "
                "GROUP BY machine", (self._hash,),
            )
        )  # fmt: skip
        n_open, n_ended = self._open()
        for name, bar in bars.items():
            bar.n = done.get(name, 0)
            bar.total = n_open + n_ended
            bar.set_postfix_str(dispatcher.notes.get(name, ""), refresh=False)
            bar.refresh()


class _Dispatcher:
    """Poll machines: update the ledger from their jobs, and submit new jobs."""

    def __init__(self, dft: AutoDFT) -> None:
        self._dft = dft
        self._ledger = dft._ledger
        self._connections = {
            name: Connection(machine, self._ledger.folder) for name, machine in dft.machines.items()
        }
        self._delay = dict.fromkeys(dft.machines, 0.0)
        self._not_before = dict.fromkeys(dft.machines, 0.0)
        self._fruitless = dict.fromkeys(dft.machines, 0)
        self._given_up_before = {name: self._given_up(name)[0] for name in dft.machines}
        self._gone: dict[str, int] = {}
        self.notes: dict[str, str] = {}
        self.out_of_use: dict[str, str] = {}

    def poll(self, name: str) -> None:
        """Update the jobs of a machine and submit new ones, unless it must not be called yet."""
        start = time.monotonic()
        if start < self._not_before[name]:
            return
        try:
            self._update_jobs(name)
            if name not in self.out_of_use:
                self._submit(name)
        except Unreachable as error:
            # at least as long as the call blocked the other machines
            delay = max(1.0, 2 * self._delay[name], time.monotonic() - start)
            self._delay[name] = min(_LONGEST_DELAY, delay)
            self._not_before[name] = time.monotonic() + self._delay[name]
            self.notes[name] = f"called again in {self._delay[name]:.0f} s: {error}"[:100]
        else:
            if time.monotonic() >= self._not_before[name]:
                self._delay[name] = 0.0
                self.notes[name] = self.out_of_use.get(name, "")[:100]

    def _host(self, name: str) -> str:
        machine = self._dft.machines[name]
        shared = machine.ssh or (machine.scheduler != "shell" and not self._ledger.postgresql)
        return "" if shared else self._ledger.host

    def _jobs(self, name: str) -> list[Job]:
        # jobs of all settings: they share the machine, and their driver may have ended
        return self._ledger.jobs(name, self._host(name))

    def _update_jobs(self, name: str) -> None:
        mine = []
        for job in self._jobs(name):
            # a job that a running driver sends or collects is left to that driver
            if job.driver not in (None, self._ledger.driver) and self._ledger.is_alive(job.driver):
                continue
            mine.append(job)
        statuses = self._connections[name].status({job.name: job.queue_id for job in mine})
        for job in mine:
            self._update_job(name, job, statuses[job.name])

    def _update_job(self, name: str, job: Job, status: JobStatus) -> None:
        if not job.sent:
            # its driver ended before anything was sent; the condition prevents sending it now
            if self._ledger.change_job(job.name, "sent = 0", sent=2):
                self._ledger.end(job, "never sent", (), self._dft._attempts)
            return
        if status.started and job.state in ("reserved", "submitted"):
            self._ledger.change_job(job.name, "state <> 'ended'", state="running", driver=None)
        elif status.alive and job.state == "reserved":
            self._ledger.change_job(job.name, "state = 'reserved'", state="submitted", driver=None)
        if status.lines > job.lines:
            self._collect(name, job, status.lines)
        if status.finished or not status.alive:
            self._gone[job.name] = self._gone.get(job.name, 0) + 1
            if status.finished or self._gone[job.name] >= _PATIENCE:
                self._close(name, job, status)
        else:
            self._gone.pop(job.name, None)

    def _collect(self, name: str, job: Job, n_lines: int) -> list[dict[str, Any]]:
        connection = self._connections[name]
        entries = read_lines(connection.read(job.name, RESULTS))
        first = next((entry for entry in entries if "host" in entry), {})
        provenance = {
            "code": self._ledger.settings(job.settings)["code"],
            "folder": f"{connection.root}/{job.name}",
            "host": first.get("host", ""),
        }
        n_ended, refused = self._ledger.enter(
            job, entries, n_lines, provenance, self._dft._attempts
        )
        if refused and job.settings == self._dft._hash:
            self.out_of_use[name] = refused
        if n_ended:
            self._fruitless[name] = 0
        return entries

    def _close(self, name: str, job: Job, status: JobStatus) -> None:
        connection = self._connections[name]
        if not status.started and not connection.withdraw(job.name):
            return  # it has just started
        entries = self._collect(name, job, status.lines)
        started = [entry["start"] for entry in entries if "start" in entry]
        ended = {entry["key"] for entry in entries if "key" in entry}
        lost: list[str] = []
        reason = "finished"
        refused = next((entry["refused"] for entry in entries if "refused" in entry), "")
        stopped = connection.read(job.name, "stopped").strip()
        if refused:
            reason = refused
            if job.settings == self._dft._hash:
                self.out_of_use[name] = refused
        elif stopped:
            reason = stopped
        elif status.finished:
            # the job reached its end, but results of these frames cannot be read
            lost = [key for key in self._tasks(job) if key not in ended]
            reason = "the result is lost or truncated" if lost else "finished"
        elif not status.started:
            text = connection.read(job.name, "err") or connection.read(job.name, "scheduler.log")
            reason = " ".join(f"it never started {text}".split())[-300:]
        else:
            reason = "the job was killed"
            lost = [key for key in started if key not in ended]
        self._ledger.end(job, reason, lost, self._dft._attempts)
        self._gone.pop(job.name, None)
        if (stopped or not (ended or lost)) and name not in self.out_of_use:
            self._back_off(name, reason)
        n_given_up, n_done = self._given_up(name)
        if not n_done and n_given_up - self._given_up_before[name] >= _HOPELESS:
            self.out_of_use.setdefault(
                name, f"gave up {n_given_up} frames and labelled none; see dft.failures()"
            )

    def _given_up(self, name: str) -> tuple[int, int]:
        """Return how many frames a machine gave up after all attempts, and how many it labelled."""
        rows = self._ledger.query(
            "SELECT state, COUNT(*) FROM tasks WHERE settings = ? AND machine = ? AND "
            "(state = 'done' OR state = 'given up' AND attempts >= ?) GROUP BY state",
            (self._dft._hash, name, self._dft._attempts),
        )
        states = dict(rows)
        return states.get("given up", 0), states.get("done", 0)

    def _back_off(self, name: str, reason: str) -> None:
        """Delay the next job of a machine that returns nothing; in the end send no more."""
        if time.monotonic() < self._not_before[name]:
            return  # jobs that end at the same time, perhaps cancelled by hand, count once
        self._fruitless[name] += 1
        if self._fruitless[name] >= _FRUITLESS:
            self.out_of_use[name] = reason
        self._delay[name] = min(_LONGEST_DELAY, max(1.0, 2 * self._delay[name]))
        self._not_before[name] = time.monotonic() + self._delay[name]
        self.notes[name] = f"paused for {self._delay[name]:.0f} s: {reason}"[:100]

    def _tasks(self, job: Job) -> list[str]:
        rows = self._ledger.query(
            "SELECT key FROM tasks WHERE job = ? AND state IN ('reserved', 'submitted', 'running')",
            (job.name,),
        )
        return [row[0] for row in rows]

    def _submit(self, name: str) -> None:
        """Send jobs while there are tasks and the machine has room."""
        machine = self._dft.machines[name]
        while time.monotonic() >= self._not_before[name]:
            scale = self._seconds_per_cost(name)
            found = self._ledger.reserve(
                self._dft._hash, name, self._host(name), machine.capacity, machine.frames,
                self._length(name) / scale,
            )  # fmt: skip
            if found is None:
                return
            job_name, tasks = found
            self._send(name, job_name, tasks, scale)

    def _seconds_per_cost(self, name: str) -> float:
        """Return seconds per expected cost from the labels so far, of the same machine if any."""
        query = "SELECT SUM(wall), SUM(cost) FROM tasks WHERE settings = ? AND state = 'done'"
        for condition, values in ((" AND machine = ?", (name,)), ("", ())):
            wall, cost = self._ledger.query(query + condition, (self._dft._hash, *values))[0]
            if wall and cost:
                return float(wall / cost)
        return 1.0

    def _length(self, name: str) -> float:
        """Return how long a job should be, s: the open tasks, spread over all job slots."""
        machine = self._dft.machines[name]
        rows = self._ledger.query(
            "SELECT SUM(cost) FROM tasks WHERE settings = ? AND state NOT IN ('done', 'given up')",
            (self._dft._hash,),
        )
        slots = sum(m.capacity for m in self._dft.machines.values())
        left = float(rows[0][0] or 0.0) * self._seconds_per_cost(name) / slots
        return min(60 * machine.minutes, left)

    def _send(
        self, name: str, job_name: str, tasks: list[tuple[int, str, int, float]], scale: float
    ) -> None:
        dft, machine = self._dft, self._dft.machines[name]
        rung = tasks[0][2]
        found = self._ledger.frames(task[0] for task in tasks)
        damaged = [task[0] for task, frame in zip(tasks, found, strict=True) if frame is None]
        if damaged:
            self._ledger.give_up(damaged, DAMAGED)
        frames = []
        for (_, key, failures, _), frame in zip(tasks, found, strict=True):
            if frame is None:
                continue
            atoms, mesh = frame
            moments = atoms.get_initial_magnetic_moments() if dft.settings.spin else None
            frames.append({
                "key": key,
                "rung": failures,
                "mesh": mesh or dft.settings.mesh(atoms),
                "timeout": 60 * machine.minutes * 2**failures,
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.array.tolist(),
                "pbc": atoms.pbc.tolist(),
                "magmoms": None if moments is None else moments.tolist(),
            })  # fmt: skip
        if not frames:
            (job,) = (j for j in self._jobs(name) if j.name == job_name)
            self._ledger.end(job, DAMAGED, (), dft._attempts)
            return
        content = {
            "name": job_name,
            "code": dft.settings.code,
            "settings": asdict(dft.settings),
            "command": machine.words,
            "potentials": machine.potentials,
            "pseudopotentials": self._ledger.pseudopotentials(dft._hash),
            "tasks": frames,
        }
        # from here on the job may have been sent
        if not self._ledger.change_job(job_name, "sent = 0", sent=1):
            return
        try:
            queue_id = self._connections[name].send(job_name, content, rung)
        except NotSent:
            (job,) = (j for j in self._jobs(name) if j.name == job_name)
            self._ledger.end(job, "not sent", (), dft._attempts)
            raise
        if not queue_id:
            raise Unreachable("the queue takes no more jobs now")
        self._ledger.change_job(
            job_name, "state = 'reserved'", state="submitted", queue_id=queue_id, driver=None
        )


def unreasonable(atoms: Atoms, closest: float) -> str:
    """Return the reason why a frame is not worth calculating.

    Parameters
    ----------
    atoms : ase.Atoms
        Frame to check.
    closest : float
        Smallest allowed distance of two atoms, relative to the sum of their covalent radii.

    Returns
    -------
    str
        Reason; empty if there is none.

    Examples
    --------
    >>> unreasonable(Atoms("Si2", [[0, 0, 0], [0, 0, 0.5]], cell=[9, 9, 9], pbc=True), 0.5)
    'atoms 0 and 1 (Si, Si) are 0.500 Å apart: less than 0.5 of the sum of their covalent radii'
    """
    cell = atoms.cell.array
    if not len(atoms):
        return "there are no atoms"
    if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
        return "positions or cell are not finite"
    largest = max(np.abs(atoms.positions).max(), np.abs(cell).max())
    if largest > _LARGEST:
        return f"positions or cell reach {largest:.3g} Å; at most {_LARGEST:.0e} Å are allowed"
    volume = abs(np.linalg.det(cell))
    if volume < 1e-3:
        return "the cell has no volume; give three vectors, with vacuum where it is not periodic"
    if ((atoms.numbers < 1) | (atoms.numbers >= len(covalent_radii))).any():
        return "there are atoms without an element"
    if not np.isfinite(atoms.get_initial_magnetic_moments()).all():
        return "initial magnetic moments are not finite"
    radii = covalent_radii[atoms.numbers]
    reach = 2 * closest * radii.max()
    inverse = np.linalg.inv(cell)
    margins = reach * np.linalg.norm(inverse, axis=0)
    fractions = atoms.positions @ inverse
    fractions -= np.where(atoms.pbc, np.floor(fractions), 0.0)
    # all atoms, and their images up to the reach from the cell
    listed, owner = fractions, np.arange(len(atoms))
    for d in np.flatnonzero(atoms.pbc):
        periods = np.arange(1, margins[d] + 1)
        periods = np.concatenate([-periods, periods])
        moved = listed[:, d, None] + periods
        row, k = np.nonzero((moved >= -margins[d]) & (moved <= 1 + margins[d]))
        images = listed[row]
        images[:, d] = moved[row, k]
        listed, owner = np.concatenate([listed, images]), np.concatenate([owner, owner[row]])
    points = listed @ cell
    near = cKDTree(points[: len(atoms)]).sparse_distance_matrix(
        cKDTree(points), reach, output_type="ndarray"
    )
    near = near[near["i"] != near["j"]]
    if not len(near):
        return ""
    i, j = near["i"], owner[near["j"]]
    shares = near["v"] / (radii[i] + radii[j])
    if shares.min() >= closest:
        return ""
    equal = np.flatnonzero(shares <= (1 + 1e-9) * shares.min())  # images of one distance
    least = min(equal, key=lambda k: (i[k], j[k]))
    i, j, distance = i[least], j[least], near["v"][least]
    i, j = sorted((int(i), int(j)))
    names = [chemical_symbols[number] for number in atoms.numbers[[i, j]]]
    return (
        f"atoms {i} and {j} ({', '.join(names)}) are {distance:.3f} Å apart: less than {closest} "
        "of the sum of their covalent radii"
    )

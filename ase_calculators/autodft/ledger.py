# SPDX-License-Identifier: BSD-3-Clause
"""The ledger: an ASE database with a row per task, and tables of the tasks' states.

Structures and results are rows of ASE's own table. States are in separate tables of the same
database, where they can be changed under a condition and counted quickly. Every change is one
transaction. No lock outlives the process that holds it.
"""

import atexit
import fcntl
import json
import os
import re
import socket
import sqlite3
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import ase.db
import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols

from ase_calculators.argument_checks import one_line
from ase_calculators.autodft.worker import other_pseudopotentials

STATES = ("waiting", "reserved", "submitted", "running", "done", "failed", "given up")

# largest number of characters in a frame's info, names and text together
LARGEST_INFO = 100_000

# reason to give up a frame whose row cannot be read any more
DAMAGED = "its row in the ledger is damaged"

# names with a meaning in ASE, in its extended XYZ or in labels; entries of a frame's info with such
# names are returned under other names, so that they do not pass for the label
_TAKEN = frozenset(
    (
        *all_properties, "virial", "Lattice", "Properties", "pbc", "key", "machine", "job",
        "settings", "code", "folder", "host", "energy_zero", "version", "pseudopotentials", "rung",
        "changed", "altered", "wall",
    )
)  # fmt: skip

_UNALTERED = " AND (t.reason IS NULL OR t.reason <> 'altered')"

_TABLES = (
    """CREATE TABLE IF NOT EXISTS settings (hash TEXT PRIMARY KEY, content TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS pseudopotentials (
    settings TEXT NOT NULL, element TEXT NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (settings, element))""",
    """CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, settings TEXT NOT NULL,
    cost DOUBLE PRECISION NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    job TEXT, machine TEXT, added DOUBLE PRECISION, reserved DOUBLE PRECISION,
    submitted DOUBLE PRECISION, started DOUBLE PRECISION, ended DOUBLE PRECISION,
    wall DOUBLE PRECISION, reason TEXT)""",
    """CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks (settings, state, cost)""",
    """CREATE INDEX IF NOT EXISTS tasks_by_job ON tasks (job)""",
    """CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY, settings TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL,
    driver TEXT, state TEXT NOT NULL, queue_id TEXT, sent INTEGER NOT NULL,
    n_tasks INTEGER NOT NULL, cost DOUBLE PRECISION NOT NULL, lines INTEGER NOT NULL,
    created DOUBLE PRECISION, ended DOUBLE PRECISION, outcome TEXT)""",
    """CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state)""",
    """CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER NOT NULL, job TEXT NOT NULL, machine TEXT, attempt INTEGER NOT NULL, ok INTEGER,
    wall DOUBLE PRECISION, reason TEXT, log TEXT, PRIMARY KEY (id, job))""",
)


class Job(NamedTuple):
    """Row of the table of jobs.

    Attributes
    ----------
    name : str
        Name, in the queue and of its folder.
    settings : str
        Hash of the settings of its tasks.
    machine : str
        Name of its machine.
    host : str
        Host of the driver if the machine is that host; otherwise empty.
    driver : str or None
        Driver that is sending or collecting it now.
    state : str
        "reserved", "submitted", "running" or "ended".
    queue_id : str or None
        Identifier in the scheduler.
    sent : int
        Nonzero if it may have been sent.
    lines : int
        Number of lines of results that have been entered.
    """

    name: str
    settings: str
    machine: str
    host: str
    driver: str | None
    state: str
    queue_id: str | None
    sent: int
    lines: int


_JOB_COLUMNS = ", ".join(Job._fields)


def _is_of_a_database(error: Exception) -> bool:
    """Return whether SQLite or psycopg, which may not be installed, raised an error."""
    return any(kind.__module__.startswith(("sqlite3", "psycopg")) for kind in type(error).__mro__)


def info_text(info: dict[Any, Any]) -> str:
    """Return the numbers and text of a frame's ``info`` as JSON.

    The ledger keeps them as text because ASE's own JSON interprets some names, such as
    ``__ndarray__``. No calculation needs them.

    Parameters
    ----------
    info : dict
        Info of a frame. Entries whose name is not text, or whose value is neither a number nor
        text, are left out.

    Returns
    -------
    str
        JSON.

    Raises
    ------
    ValueError
        If it is too long to be kept.

    Examples
    --------
    >>> info_text({"__ndarray__": "x", "generation": np.int64(7), "parents": [1, 2]})
    '{"__ndarray__": "x", "generation": 7}'
    """
    # extended XYZ returns NumPy's numbers
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in info.items()}
    kept = {
        k: v for k, v in plain.items() if isinstance(k, str) and isinstance(v, str | int | float)
    }
    sizes = {k: len(k) + len(v) for k, v in kept.items() if isinstance(v, str)}
    sizes |= {k: len(k) + v.bit_length() // 3 for k, v in kept.items() if isinstance(v, int)}
    longest = max(sizes, key=sizes.__getitem__, default="")
    if sum(sizes.values()) > LARGEST_INFO:
        raise ValueError(
            f"info[{longest[:40]!r}] has {sizes[longest]} characters, info {sum(sizes.values())}: "
            f"at most {LARGEST_INFO} can be kept; shorten it or take it out"
        )
    return json.dumps(kept)


def _data(row: Any) -> dict[str, Any]:
    """Return the data of a row; nothing if ASE's JSON cannot read them.

    Ledgers of earlier versions contain such rows: their infos were not yet kept as text.
    """
    try:
        return dict(row.data)
    except Exception:  # any error of ASE's decoder
        return {}


class Ledger:
    """Tasks, jobs and results in one database.

    Parameters
    ----------
    url : str
        File of SQLite, or ``postgresql://user@host/database`` (needs ase-db-backends).

    Attributes
    ----------
    driver : str
        Name of this process.
    folder : pathlib.Path
        Folder of the ledger's files: next to a SQLite file, otherwise in the present folder.

    Raises
    ------
    ValueError
        If there is no ledger and none can be made.
    RuntimeError
        From the methods, if the database cannot be read or written any more.
    """

    def __init__(self, url: str) -> None:
        self.postgresql = url.startswith(("postgresql://", "postgres://"))
        self.url = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:...@", url) if self.postgresql else url
        name = Path(urlsplit(url).path if self.postgresql else url).name
        parent = Path.cwd() if self.postgresql else Path(url).absolute().parent
        self.folder = parent / f"{name}.files"
        self.host = socket.gethostname()
        self.driver = f"{self.host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # locked until this process ends, in whatever way
            self._alive = open(self.folder / f"driver-{self.driver}", "w")  # noqa: SIM115
            fcntl.flock(self._alive, fcntl.LOCK_EX)
        except (OSError, ValueError) as error:
            raise ValueError(f"ledger = {self.url!r}: cannot be made there: {error}") from None
        atexit.register(self.close)
        try:
            self._open(url)
        except BaseException:
            self.close()
            raise

    def _open(self, url: str) -> None:
        """Open the database and create missing tables."""
        try:
            self._db = ase.db.connect(
                url, type="postgresql" if self.postgresql else "db", use_lock_file=False
            )
        except ImportError:
            raise ImportError(
                f"ledger = {self.url!r}: PostgreSQL needs ase-db-backends and psycopg2; "
                "pip install 'entsym[postgresql]'"
            ) from None
        with open(self.folder / "create", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if not self.postgresql:
                    self._require_ours(url)
                self._db.count()  # ASE makes its tables
                with self._db:
                    cursor = self._db.connection.cursor()
                    for statement in _TABLES:
                        cursor.execute(statement)
                    cursor.execute(f"SELECT {_JOB_COLUMNS}, n_tasks, cost, ended FROM jobs LIMIT 0")
                    cursor.execute("SELECT id, key, state, attempts, wall FROM tasks LIMIT 0")
            except ValueError:
                raise
            except Exception as error:  # of SQLite, of psycopg, or of ASE for a later version
                raise ValueError(
                    f"ledger = {self.url!r}: {one_line(error)}; give a file that can be written "
                    "and is new or a ledger"
                ) from None

    def _require_ours(self, url: str) -> None:
        """Raise if the database belongs to another program."""
        with closing(sqlite3.connect(url, timeout=20)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = [name for (name,) in rows]
        if tables and "systems" not in tables:
            raise ValueError(
                f"ledger = {self.url!r}: holds the tables {', '.join(tables[:5])} of another "
                "program; give a file that can be written and is new or a ledger"
            )

    def close(self) -> None:
        """Close this driver's file, so that other drivers see that this one has ended."""
        self._alive.close()
        with suppress(OSError):
            (self.folder / f"driver-{self.driver}").unlink()
        atexit.unregister(self.close)

    def is_alive(self, driver: str | None) -> bool:
        """Return whether a driver still runs.

        Parameters
        ----------
        driver : str or None
            Name of the driver.

        Returns
        -------
        bool
            True if it holds the lock of its file.
        """
        if driver == self.driver:
            return True
        try:
            with open(self.folder / f"driver-{driver}") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            # with PostgreSQL, a driver on another host has its file there
            return self.postgresql and not (driver or "").startswith(f"{self.host}-")
        with suppress(OSError):
            (self.folder / f"driver-{driver}").unlink()
        return False

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Yield a cursor; turn errors of the database into a `RuntimeError` of one line."""
        try:
            with self._db:
                yield self._db.connection.cursor()
        except Exception as error:
            if not _is_of_a_database(error):
                raise
            raise RuntimeError(
                f"ledger = {self.url!r}: {one_line(error)}; its content is kept, and the next run "
                "collects the results of the jobs"
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Yield a cursor whose changes are made all or not at all, by one writer at a time.

        Yields
        ------
        cursor
            Cursor that executes SQL with ? for values.
        """
        with self._connected() as cursor:
            if self.postgresql:
                connection = self._db.connection
                connection.rollback = (
                    connection.con.rollback
                )  # ASE calls this method, which its wrapper lacks
            lock = "LOCK TABLE tasks, jobs IN EXCLUSIVE MODE" if self.postgresql else None
            cursor.execute(lock or "BEGIN IMMEDIATE")
            yield cursor

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Parameters
        ----------
        statement : str
            SQL with ? for values.
        values : sequence
            Values.

        Returns
        -------
        list of tuple
            Rows.
        """
        with self._connected() as cursor:
            cursor.execute(statement, tuple(values))
            return [tuple(row) for row in cursor.fetchall()]

    def settings(self, settings: str) -> dict[str, Any]:
        """Return the content of settings.

        Parameters
        ----------
        settings : str
            Hash of the settings.

        Returns
        -------
        dict
            Content.
        """
        rows = self.query("SELECT content FROM settings WHERE hash = ?", (settings,))
        try:
            return dict(json.loads(rows[0][0]))
        except (IndexError, TypeError, ValueError):
            raise RuntimeError(
                f"ledger = {self.url!r}: the settings {settings} in it are damaged; use a copy"
            ) from None

    def pseudopotentials(self, settings: str) -> dict[str, str]:
        """Return the hashes of the pseudopotentials of the existing labels.

        Parameters
        ----------
        settings : str
            Hash of the settings.

        Returns
        -------
        dict of str to str
            SHA-256 of the data of each element.
        """
        rows = self.query(
            "SELECT element, hash FROM pseudopotentials WHERE settings = ?", (settings,)
        )
        return {element: content for element, content in rows}

    def add(
        self,
        settings: tuple[str, str],
        tasks: Sequence[tuple[str, Atoms, float, dict[str, Any]]],
    ) -> int:
        """Add tasks that are not there yet.

        Parameters
        ----------
        settings : (str, str)
            Hash and content of the settings.
        tasks : sequence of (str, ase.Atoms, float, dict)
            Key, frame, expected cost, and data to keep with it.

        Returns
        -------
        int
            Number of new tasks.
        """
        n_new = 0
        with self.transaction() as cursor:
            cursor.execute("SELECT hash FROM settings WHERE hash = ?", (settings[0],))
            if not cursor.fetchall():
                cursor.execute("INSERT INTO settings VALUES (?, ?)", settings)
            marks = ", ".join("?" * len(tasks))
            cursor.execute(
                f"SELECT key FROM tasks WHERE key IN ({marks})", tuple(task[0] for task in tasks)
            )
            known = {row[0] for row in cursor.fetchall()}
            for key, atoms, cost, data in tasks:
                if key in known:
                    continue
                known.add(key)
                number = self._db.write(atoms, data=data)
                cursor.execute(
                    "INSERT INTO tasks (id, key, settings, cost, state, attempts, added) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (number, key, settings[0], cost, "waiting", 0, time.time()),
                )
                n_new += 1
        return n_new

    def reserve(
        self, settings: str, machine: str, host: str, capacity: int, max_frames: int, length: float
    ) -> tuple[str, list[tuple[int, str, int, float]]] | None:
        """Reserve tasks for a new job, if the machine has room for one.

        Parameters
        ----------
        settings : str
            Hash of the settings.
        machine : str
            Name of the machine.
        host : str
            Host, as in `Job`.
        capacity : int
            Largest number of jobs at once on the machine, of all drivers.
        max_frames : int
            Largest number of frames in the job.
        length : float
            Sum of expected costs at which the job is long enough.

        Returns
        -------
        (str, list of (int, str, int, float)) or None
            Name of the job; id, key, failures so far and cost of its tasks. None if there is no
            task or no room.
        """
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM jobs WHERE state <> 'ended' AND machine = ? AND host = ?",
                (machine, host),
            )
            if cursor.fetchall()[0][0] >= capacity:
                return None
            cursor.execute(
                "SELECT id FROM tasks WHERE settings = ? AND machine = ? AND state = 'done' "
                "LIMIT 1", (settings, machine),
            )  # fmt: skip
            proven = bool(cursor.fetchall())
            taken: list[tuple[int, str, int, float]] = []
            # first attempts come first, except for a machine without any label, which might fail
            # them all; tasks with more time and memory form separate jobs
            for state in ("waiting", "failed") if proven else ("failed", "waiting"):
                cursor.execute(
                    "SELECT id, key, attempts, cost FROM tasks WHERE settings = ? AND state = ? "
                    "ORDER BY cost DESC LIMIT ?", (settings, state, max_frames),
                )  # fmt: skip
                total = 0.0
                for row in cursor.fetchall():
                    if taken and (total + row[3] > 1.001 * length or row[2] != taken[0][2]):
                        break
                    total += row[3]
                    taken.append(tuple(row))
                if taken:
                    break
            if not taken:
                return None
            name = f"es{uuid.uuid4().hex[:12]}"  # PBS allows 15 characters
            cursor.execute(
                f"INSERT INTO jobs VALUES ({', '.join('?' * 14)})",
                (name, settings, machine, host, self.driver, "reserved", None, 0, len(taken),
                 total, 0, time.time(), None, None),
            )  # fmt: skip
            for row in taken:
                cursor.execute(
                    "UPDATE tasks SET state = 'reserved', job = ?, machine = ?, reserved = ?, "
                    "submitted = NULL, started = NULL, ended = NULL WHERE id = ?",
                    (name, machine, time.time(), row[0]),
                )
        return name, taken

    def frames(self, ids: Iterable[int]) -> list[tuple[Atoms, list[int] | None] | None]:
        """Return frames and their meshes.

        Parameters
        ----------
        ids : iterable of int
            Rows of the frames.

        Returns
        -------
        list of (ase.Atoms, list of int) or None
            Frames and meshes; no mesh if none was kept, None for a damaged row.
        """
        found: list[tuple[Atoms, list[int] | None] | None] = []
        with self._connected():
            for number in ids:
                try:
                    row = self._db.get(number)
                    found.append((row.toatoms(), _data(row).get("mesh")))
                except Exception as error:  # any error of ASE's reader of rows
                    if _is_of_a_database(error):
                        raise
                    found.append(None)
        return found

    def all_frames(self, settings: str, key: str = "") -> Iterator[tuple[str, Atoms]]:
        """Yield the frames of all tasks, in any state; damaged ones are left out.

        Parameters
        ----------
        settings : str
            Hash of the settings.
        key : str
            Key of the only frame wanted. Default: all frames.

        Yields
        ------
        (str, ase.Atoms)
            Key and frame, in the order in which they were added.
        """
        last = -1
        while rows := self.query(
            "SELECT id, key FROM tasks WHERE settings = ? AND id > ? AND (key = ? OR ? = '') "
            "ORDER BY id LIMIT 1000", (settings, last, key, key),
        ):  # fmt: skip
            last = rows[-1][0]
            for (_, found), frame in zip(rows, self.frames(n for n, _ in rows), strict=True):
                if frame is not None:
                    yield found, frame[0]

    def give_up(self, ids: Iterable[int], reason: str) -> None:
        """Give up tasks that cannot be calculated.

        Parameters
        ----------
        ids : iterable of int
            Rows of the tasks.
        reason : str
            Reason.
        """
        with self.transaction() as cursor:
            for number in ids:
                cursor.execute(
                    "UPDATE tasks SET state = 'given up', job = NULL, ended = ?, reason = ? "
                    "WHERE id = ?", (time.time(), reason, number),
                )  # fmt: skip

    def change_job(self, name: str, condition: str, **changes: Any) -> bool:
        """Change a job if a condition holds.

        Parameters
        ----------
        name : str
            Name of the job.
        condition : str
            Condition in SQL.
        **changes : Any
            New values by column. The state "submitted" also becomes that of its reserved tasks.

        Returns
        -------
        bool
            True if the condition held.
        """
        with self.transaction() as cursor:
            cursor.execute(f"SELECT name FROM jobs WHERE name = ? AND {condition}", (name,))
            if not cursor.fetchall():
                return False
            columns = ", ".join(f"{column} = ?" for column in changes)
            cursor.execute(f"UPDATE jobs SET {columns} WHERE name = ?", (*changes.values(), name))
            if changes.get("state") == "submitted":
                cursor.execute(
                    "UPDATE tasks SET state = 'submitted', submitted = ? "
                    "WHERE job = ? AND state = 'reserved'", (time.time(), name),
                )  # fmt: skip
        return True

    def jobs(self, machine: str, host: str) -> list[Job]:
        """Return the jobs of a machine that have not ended, with any settings.

        Parameters
        ----------
        machine : str
            Name of the machine.
        host : str
            Host, as in `Job`.

        Returns
        -------
        list of Job
            Jobs, oldest first.
        """
        rows = self.query(
            f"SELECT {_JOB_COLUMNS} FROM jobs WHERE state <> 'ended' AND machine = ? "
            "AND host = ? ORDER BY created",
            (machine, host),
        )
        return [Job(*row) for row in rows]

    def enter(
        self,
        job: Job,
        entries: list[dict[str, Any]],
        n_lines: int,
        provenance: dict[str, Any],
        attempts: int,
    ) -> tuple[int, str]:
        """Enter the results of a job; entries that were entered before have no effect.

        The first label with an element fixes the pseudopotential of that element for these
        settings. A label that was made with another one is refused.

        Parameters
        ----------
        job : Job
            Job.
        entries : list of dict
            All entries that it has written so far.
        n_lines : int
            Number of lines that were read.
        provenance : dict
            Provenance to keep with each label.
        attempts : int
            Number of failures after which a task is given up.

        Returns
        -------
        int
            Number of tasks that ended, with a label or a failure.
        str
            Reason why labels were refused; empty if none was.
        """
        n_ended, refused = 0, ""
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT element, hash FROM pseudopotentials WHERE settings = ?", (job.settings,)
            )
            known = {element: content for element, content in cursor.fetchall()}
            cursor.execute(
                "SELECT key, id, attempts FROM tasks WHERE job = ? AND state IN "
                "('reserved', 'submitted', 'running')", (job.name,),
            )  # fmt: skip
            open_tasks = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
            for entry in entries:
                if entry.get("start") in open_tasks:
                    cursor.execute(
                        "UPDATE tasks SET state = 'running', started = ? WHERE id = ? AND "
                        "state <> 'running'", (time.time(), open_tasks[entry["start"]][0]),
                    )  # fmt: skip
                elif entry.get("key") in open_tasks:
                    used = entry["pseudopotentials"] if entry["ok"] else {}
                    other = other_pseudopotentials(known, used)
                    if other:
                        refused = other
                        continue
                    for element in used.keys() - known.keys():
                        known[element] = used[element]
                        cursor.execute(
                            "INSERT INTO pseudopotentials VALUES (?, ?, ?)",
                            (job.settings, element, used[element]),
                        )
                    number, failures = open_tasks.pop(entry["key"])
                    n_ended += 1
                    if entry["ok"]:
                        try:
                            self._enter_label(cursor, number, entry, job, provenance)
                            continue
                        except Exception as error:  # any error of ASE in one row
                            if _is_of_a_database(error):
                                raise
                            entry = {**entry, "ok": False, "final": True, "reason": DAMAGED}
                    self._enter_failure(cursor, number, failures, entry, job, attempts)
            cursor.execute("UPDATE jobs SET lines = ? WHERE name = ?", (n_lines, job.name))
        return n_ended, refused

    def _enter_label(
        self, cursor: Any, number: int, entry: dict[str, Any], job: Job, provenance: dict[str, Any]
    ) -> None:
        row = self._db.get(number)
        atoms = row.toatoms()
        if not _data(row):  # ASE could not add the label to such data
            empty = self._db.encode({}, binary=self._db.version >= 9)
            cursor.execute("UPDATE systems SET data = ? WHERE id = ?", (empty, number))
        calculator = SinglePointCalculator(
            atoms,
            energy=entry["energy"],
            free_energy=entry["energy"],
            forces=entry["forces"],
            stress=[entry["stress"][i][j]
                    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))],
        )  # fmt: skip
        calculator.name = provenance["code"]
        atoms.calc = calculator
        kept = ("energy_zero", "version", "pseudopotentials", "rung", "changed", "altered", "wall")
        label = {**provenance, **{k: entry[k] for k in kept}}
        label["changed"] = json.dumps(label["changed"])  # names given by the user, see info_text
        self._db.update(number, atoms, data={"label": label})
        cursor.execute(
            "UPDATE tasks SET state = 'done', ended = ?, wall = ?, reason = ? WHERE id = ?",
            (time.time(), entry["wall"], "altered" if entry["altered"] else None, number),
        )
        self._enter_attempt(cursor, number, job, entry["rung"], entry)

    def _enter_failure(
        self,
        cursor: Any,
        number: int,
        failures: int,
        entry: dict[str, Any],
        job: Job,
        attempts: int,
    ) -> None:
        final = entry.get("final") or failures + 1 >= attempts
        cursor.execute(
            "UPDATE tasks SET state = ?, attempts = ?, ended = ?, reason = ?, job = NULL "
            "WHERE id = ?",
            ("given up" if final else "failed", failures + 1, time.time(), entry["reason"], number),
        )
        self._enter_attempt(cursor, number, job, failures, entry)

    def _enter_attempt(
        self, cursor: Any, number: int, job: Job, attempt: int, entry: dict[str, Any]
    ) -> None:
        cursor.execute("DELETE FROM attempts WHERE id = ? AND job = ?", (number, job.name))
        cursor.execute(
            "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, job.name, job.machine, attempt, int(entry["ok"]), entry.get("wall"),
             entry.get("reason"), entry.get("log")),
        )  # fmt: skip

    def end(self, job: Job, outcome: str, lost: Iterable[str], attempts: int) -> None:
        """End a job; the tasks that it did not finish wait again.

        Parameters
        ----------
        job : Job
            Job.
        outcome : str
            Reason why it ended.
        lost : iterable of str
            Keys of the tasks that were running when the job died; these count as failed.
        attempts : int
            Number of failures after which a task is given up.
        """
        lost = set(lost)
        with self.transaction() as cursor:
            cursor.execute(
                "UPDATE jobs SET state = 'ended', ended = ?, outcome = ?, driver = NULL "
                "WHERE name = ? AND state <> 'ended'", (time.time(), outcome, job.name),
            )  # fmt: skip
            cursor.execute(
                "SELECT id, key, attempts FROM tasks WHERE job = ? AND state IN "
                "('reserved', 'submitted', 'running')", (job.name,),
            )  # fmt: skip
            for number, key, failures in cursor.fetchall():
                if key in lost:
                    entry = {"ok": False, "reason": outcome, "wall": None, "log": None}
                    self._enter_failure(cursor, number, failures, entry, job, attempts)
                    continue
                cursor.execute(
                    "UPDATE tasks SET state = ?, job = NULL, machine = NULL WHERE id = ?",
                    ("failed" if failures else "waiting", number),
                )

    def retry(self, settings: str) -> int:
        """Reset tasks that were given up, so that they are tried again.

        Parameters
        ----------
        settings : str
            Hash of the settings.

        Returns
        -------
        int
            Number of these tasks.
        """
        with self.transaction() as cursor:
            where = "WHERE settings = ? AND state = 'given up'"
            cursor.execute(f"SELECT COUNT(*) FROM tasks {where}", (settings,))
            n = int(cursor.fetchall()[0][0])
            cursor.execute(f"UPDATE tasks SET state = 'waiting', attempts = 0 {where}", (settings,))
        return n

    def elements(self, settings: str, altered: bool) -> list[str]:
        """Return the elements of the labelled frames.

        Parameters
        ----------
        settings : str
            Hash of the settings.
        altered : bool
            Include labels for which the ladder changed the smearing.

        Returns
        -------
        list of str
            Symbols, sorted.
        """
        rows = self.query(
            "SELECT DISTINCT s.z FROM species s JOIN tasks t ON t.id = s.id "
            f"WHERE t.settings = ? AND t.state = 'done'{'' if altered else _UNALTERED}",
            (settings,),
        )
        return sorted(chemical_symbols[number] for (number,) in rows)

    def labels(self, settings: str, altered: bool) -> Iterator[Atoms]:
        """Yield the labelled frames, in the order in which they were added.

        Parameters
        ----------
        settings : str
            Hash of the settings.
        altered : bool
            Include labels for which the ladder changed the smearing.

        Yields
        ------
        ase.Atoms
            Frame with energy, forces and stress, and with its provenance in ``info``. An entry of
            the frame's own info whose name has a meaning in ASE or in the label is returned under
            ``source_`` and that name.
        """
        last = -1
        while True:
            rows = self.query(
                "SELECT t.id, t.key, t.machine, t.job FROM tasks t WHERE t.settings = ? AND "
                f"t.state = 'done' AND t.id > ?{'' if altered else _UNALTERED} "
                "ORDER BY t.id LIMIT 1000", (settings, last),
            )  # fmt: skip
            if not rows:
                return
            last = rows[-1][0]
            with self._connected():
                found = [self._labelled(number, settings, *rest) for number, *rest in rows]
            yield from filter(None, found)

    def _labelled(
        self, number: int, settings: str, key: str, machine: str, job: str
    ) -> Atoms | None:
        """Return a frame with its label; warn and return None if its row is damaged."""
        try:
            row = self._db.get(number)
            atoms = row.toatoms()
            atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
            data = row.data
            info = data.get("info", {})
            given = json.loads(info) if isinstance(info, str) else info
            atoms.info = {
                "key": key,
                "machine": machine,
                "job": job,
                "settings": settings,
                **{k: v if isinstance(v, str | int | float | bool) else json.dumps(v)
                   for k, v in data["label"].items()},
            }  # fmt: skip
        except Exception as error:  # any error of ASE's reader of rows
            if _is_of_a_database(error):
                raise
            warnings.warn(
                f"ledger = {self.url!r}: the label of the frame with the key {key} is damaged, and "
                "left out",
                stacklevel=2,
            )
            return None
        taken = _TAKEN | given.keys()
        for name, value in given.items():
            if name in _TAKEN:
                while name in taken:
                    name = f"source_{name}"
            atoms.info[name] = value
        return atoms

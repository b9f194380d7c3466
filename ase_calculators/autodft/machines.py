# SPDX-License-Identifier: BSD-3-Clause
"""Machines: the keys of machines.yaml, and the connection to each machine by dpdispatcher.

dpdispatcher moves files, writes the schedulers' scripts and submits them, here or over SSH. It gets
one job at a time and stores nothing: the state of a job is looked up by the job's name.
"""

import functools
import getpass
import json
import logging
import queue
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike, fspath
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ase_calculators.autodft import worker
from ase_calculators.autodft.settings import is_number

SCHEDULERS = {"shell": "Shell", "slurm": "Slurm", "pbs": "PBS", "lsf": "LSF"}

# Commands that list the names of our jobs, one per line. A command that fails is an error, never an
# empty list.
_QUEUES = {
    "slurm": 'squeue --noheader --format "%j" --user "$(id -un)"',
    "pbs": 'ids=$(qselect -u "$(id -un)") || exit 1; '
    '[ -z "$ids" ] || qstat -f $ids 2>/dev/null | sed -n "s/^ *Job_Name = //p"',
    "lsf": "names=$(bjobs -noheader -o job_name 2>&1) || case $names in "
    '*"No unfinished job found"*) names=;; *) echo "$names" >&2; exit 1;; esac; echo "$names"',
}
_OPTIONS = {"slurm": "#SBATCH", "pbs": "#PBS", "lsf": "#BSUB"}
# one option of a scheduler: nothing that could end the line, one blank at most, before the value
_FLAG = re.compile(r"--?[A-Za-z][\w-]*(?:[= ][\w./:,@+%=\[\]*-]+)?", re.ASCII)
_WORD = re.compile(r"(?!-)[\w.:@/+~-]+")
_MERGE = "tag:yaml.org,2002:merge"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([MG])B?")
# time in which a machine over SSH must answer, s; paramiko itself has no limit
ANSWER = 60.0


class Unreachable(Exception):
    """A machine does not answer; the others continue."""


class NotSent(Unreachable):
    """A machine does not answer, and the job has certainly not been submitted."""


class JobStatus(NamedTuple):
    """Status of a job on its machine.

    Attributes
    ----------
    started : bool
        True if it was started or withdrawn.
    finished : bool
        True if it reached its end.
    alive : bool
        True if it is in the queue or its process runs.
    lines : int
        Number of lines of results.
    """

    started: bool
    finished: bool
    alive: bool
    lines: int


def _require(condition: bool, where: str, value: Any, rule: str) -> None:
    if not condition:
        raise ValueError(f"{where} = {value!r}: {rule}")


@dataclass
class Machine:
    """One entry of machines.yaml.

    Attributes
    ----------
    name : str
        Name, by which the ledger knows the machine. A machine that moves to another host or root
        while it has jobs needs another name.
    scheduler : {"shell", "slurm", "pbs", "lsf"}
        Scheduler that starts the jobs.
    root : str
        Folder for the jobs on the machine; for a local machine relative to the ledger's folder.
    codes : list of str
        Codes that may run there. Default: all.
    capacity : int
        Number of jobs at once.
    minutes : float
        Target length of a job, and the time limit of a frame. With a queue the time limit of a job
        is twice that. Each further attempt of a frame doubles both limits.
    frames : int
        Largest number of frames in a job.
    nodes, cores, gpus : int
        Nodes of a job; cores and GPUs of each node.
    memory : str
        Memory of a node, such as "4G", doubled with each attempt. Default: none is requested.
    partition : str
        Partition or queue.
    flags : list of str
        Further options of the scheduler, such as "--account=abc".
    modules : list of str
        Modules to load.
    source : list of str
        Scripts to source, with their arguments.
    environment : dict of str to str
        Environment variables.
    python : str
        Python with NumPy and ASE on the machine. Default: the present one, over SSH python3.
    command : str
        Command that starts the code: ``mpirun -n 16 vasp_std``. For GPAW and other calculators it
        is the Python that runs a frame: ``mpirun -n 4 gpaw python``. It is split into words and
        not interpreted by a shell.
    potentials : str
        Folder with POTCARs (``potpaw_PBE/Al/POTCAR``), PAW sets or pseudopotentials on the machine.
    ssh : dict
        Keys host, user, port and key (file of the private key). Default: a local machine.
    """

    name: str
    scheduler: str = "shell"
    root: str = "jobs"
    codes: list[str] = field(default_factory=list)
    capacity: int = 1
    minutes: float = 60.0
    frames: int = 100
    nodes: int = 1
    cores: int = 1
    gpus: int = 0
    memory: str = ""
    partition: str = ""
    flags: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    python: str = ""
    command: str = ""
    potentials: str = ""
    ssh: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values; errors name their place in the file."""
        at = f"machines: {self.name}"
        _require(
            bool(_NAME.fullmatch(str(self.name))), "machines", self.name,
            "names are letters, digits and . _ -",
        )  # fmt: skip
        _require(
            isinstance(self.scheduler, str) and self.scheduler in SCHEDULERS,
            f"{at}.scheduler", self.scheduler, f"must be one of {', '.join(SCHEDULERS)}",
        )  # fmt: skip
        minima = {"capacity": 1, "frames": 1, "nodes": 1, "cores": 1, "gpus": 0}
        for key, minimum in minima.items():
            value = getattr(self, key)
            _require(
                type(value) is int and value >= minimum, f"{at}.{key}", value,
                f"must be a whole number of {minimum} or more",
            )  # fmt: skip
        _require(
            is_number(self.minutes) and 0 < self.minutes < 1e6, f"{at}.minutes",
            self.minutes, "must be a number above 0",
        )  # fmt: skip
        for key in ("root", "python", "command", "potentials", "memory", "partition"):
            value = getattr(self, key)
            _require(
                isinstance(value, str) and value.isprintable(), f"{at}.{key}", value,
                "must be a text of one line; put quotes around it",
            )  # fmt: skip
        _require(
            not self.memory or bool(_MEMORY.fullmatch(self.memory)), f"{at}.memory", self.memory,
            "must be like 4G or 500M",
        )  # fmt: skip
        _require(
            not self.partition or bool(_WORD.fullmatch(self.partition)), f"{at}.partition",
            self.partition, "must be a word",
        )  # fmt: skip
        for key in ("codes", "flags", "modules", "source"):
            value = getattr(self, key)
            _require(
                isinstance(value, list) and all(isinstance(v, str) for v in value), f"{at}.{key}",
                value, "must be a list of texts",
            )  # fmt: skip
        for code in self.codes:
            _require(
                worker.is_code(code), f"{at}.codes", code,
                f"must each be one of {', '.join(worker.CODES)}, or 'module:class'",
            )  # fmt: skip
        self._require_plain_words(at)
        try:
            self.words = shlex.split(self.command)
        except ValueError as error:
            raise ValueError(f"{at}.command = {self.command!r}: {error}") from None
        self._require_ssh(at)

    def _require_plain_words(self, at: str) -> None:
        """Check what becomes part of a scheduler's script."""
        for flag in self.flags:
            _require(
                bool(_FLAG.fullmatch(flag)), f"{at}.flags", flag,
                "must each be one option, such as --account=abc",
            )  # fmt: skip
        for key in ("modules", "source"):
            for line in getattr(self, key):
                # dpdispatcher quotes them, but refuses shell syntax only when a job is sent
                try:
                    words = shlex.split(line) if line.isprintable() else []
                except ValueError:  # no closing quotation
                    words = []
                _require(
                    bool(words) and all(re.fullmatch(r"[\w.:@/+=~-]+", word) for word in words)
                    and not words[0].startswith("-"),
                    f"{at}.{key}", line, "must be plain words without shell syntax",
                )  # fmt: skip
        _require(
            isinstance(self.environment, dict), f"{at}.environment", self.environment,
            "must be names and values",
        )  # fmt: skip
        for key, value in self.environment.items():
            _require(
                bool(re.fullmatch(r"[A-Za-z_]\w*", str(key), re.ASCII))
                and isinstance(value, str | int | float)
                and str(value).isprintable(),
                f"{at}.environment.{key}", value, "must be the name of a variable and its value",
            )  # fmt: skip

    def _require_ssh(self, at: str) -> None:
        """Check the keys of the connection."""
        known = ("host", "user", "port", "key")
        _require(isinstance(self.ssh, dict), f"{at}.ssh", self.ssh, "must be host, user, port, key")
        for key, value in self.ssh.items():
            _require(
                key in known, f"{at}.ssh.{key}", "..." if "pass" in str(key) else value,
                "is unknown; give host, user, port and key, never a password",
            )  # fmt: skip
            rule = "must be a whole number from 1 to 65535" if key == "port" else "must be a word"
            good = bool(isinstance(value, str) and _WORD.fullmatch(value))
            if key == "port":
                good = type(value) is int and 0 < value < 65536
            elif key == "key":
                good = isinstance(value, str) and value != "" and value.isprintable()
            _require(good, f"{at}.ssh.{key}", value, rule)
        _require(
            not self.ssh or "host" in self.ssh, f"{at}.ssh", self.ssh, "must name the host"
        )  # fmt: skip
        if self.ssh:
            _require(
                self.root.startswith("/"), f"{at}.root", self.root,
                "must start with / on a machine reached over SSH",
            )  # fmt: skip

    def runs(self, code: str) -> bool:
        """Return whether the machine may run a code.

        Parameters
        ----------
        code : str
            Code, as in `DFTSettings`.

        Returns
        -------
        bool
            True if `codes` is empty or holds it.
        """
        return not self.codes or code in self.codes


def _read_yaml(path: str, at: str) -> Any:
    """Read plain YAML and refuse a name that occurs twice in a mapping."""
    try:
        import yaml
    except ImportError:
        raise ImportError("machines.yaml needs pyyaml: pip install 'entsym[dft]'") from None

    class Loader(yaml.SafeLoader):
        """A loader that refuses repeated names, of which PyYAML's own takes the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in getattr(node, "value", []) if key.tag != _MERGE]
            twice = [name for number, name in enumerate(names) if name in names[:number]]
            if twice:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(
                    f"{twice[0]!r} occurs twice in the mapping that begins at line {line}; keep one"
                )
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{at}: cannot be read: {error}") from None
    except RecursionError:
        raise ValueError(f"{at}: is not plain YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        raise ValueError(f"{at}: is not plain YAML: {' '.join(str(error).split())}") from None


def read_machines(source: str | PathLike[str] | Mapping[str, Any]) -> dict[str, Machine]:
    """Read machines.yaml.

    Parameters
    ----------
    source : path-like or dict
        File, or its content.

    Returns
    -------
    dict of str to Machine
        The machines by name.

    Raises
    ------
    ValueError
        If a key is unknown or a value out of its range; the message names both.
    TypeError
        If `source` is neither a file nor a dictionary.
    """
    if isinstance(source, Mapping):
        content: Any = source
        at = "machines"
    else:
        if not isinstance(source, str | PathLike):
            raise TypeError(f"machines = {source!r}: must be a file or a dictionary")
        at = f"machines = {fspath(source)!r}"
        content = _read_yaml(fspath(source), at)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{at}: must hold machines by name, each with its keys")
    known = [item.name for item in fields(Machine) if item.name != "name"]
    machines = {}
    for name, keys in content.items():
        keys = {} if keys is None else keys
        if str(name) in machines:
            raise ValueError(f"machines: {name} occurs twice; give each machine its own name")
        if not isinstance(keys, Mapping):
            raise ValueError(f"machines: {name} = {keys!r}: must be keys and values")
        for key, value in keys.items():
            if key not in known:
                raise ValueError(
                    f"machines: {name}.{key} = {value!r}: is unknown; known are {', '.join(known)}"
                )
        machines[str(name)] = Machine(name=str(name), **keys)
    return machines


def _dpdispatcher() -> SimpleNamespace:
    """Import dpdispatcher without its log, in the present folder and on the screen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        from dpdispatcher.dlog import dlog
        from dpdispatcher.machine import Machine as DPMachine
        from dpdispatcher.submission import Resources, Submission, Task
    except ImportError as error:
        raise ImportError(
            f"AutoDFT needs dpdispatcher: pip install 'entsym[dft]' ({error})"
        ) from None
    finally:
        logging.disable(disabled)
    dlog.handlers.clear()
    dlog.addHandler(logging.NullHandler())
    return SimpleNamespace(Machine=DPMachine, Resources=Resources, Submission=Submission, Task=Task)


def _answered(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that raises `Unreachable` if a machine over SSH hangs.

    The call runs in its own thread, which is abandoned after `ANSWER` seconds. If the thread
    resumes later and still submits a job, that job has been withdrawn by then and does not start.
    """

    @functools.wraps(method)
    def ask(self: "Connection", *arguments: Any) -> Any:
        if not self.machine.ssh:
            return method(self, *arguments)
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def wait() -> None:
            try:
                answers.put((method(self, *arguments), None))
            except BaseException as error:
                answers.put((None, error))

        threading.Thread(target=wait, daemon=True).start()
        try:
            answer, error = answers.get(timeout=ANSWER)
        except queue.Empty:
            self._machine = None
            raise Unreachable(f"no answer in {ANSWER:.0f} s") from None
        if error is not None:
            raise error
        return answer

    return ask


class Connection:
    """Connection of the driver to a machine.

    Parameters
    ----------
    machine : Machine
        Machine to connect to.
    folder : pathlib.Path
        Folder of the ledger, for files to be sent and for the jobs of a local machine.
    """

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self._staging = folder / "sending"
        self._staging.mkdir(exist_ok=True)
        self.root = machine.root if machine.ssh else str((folder / machine.root).absolute())
        self._dp = _dpdispatcher()
        self._machine: Any = None

    def _connect(self) -> Any:
        """Return dpdispatcher's context, at the root of all jobs."""
        machine = self.machine
        if self._machine is None:
            description: dict[str, Any] = {
                "batch_type": SCHEDULERS[machine.scheduler],
                "context_type": "SSHContext" if machine.ssh else "LocalContext",
                "local_root": str(self._staging),
                "remote_root": self.root,
            }
            if machine.ssh:
                profile = {"hostname": machine.ssh["host"], "timeout": 10,
                           "username": machine.ssh.get("user", getpass.getuser()),
                           "port": machine.ssh.get("port", 22)}  # fmt: skip
                if "key" in machine.ssh:
                    profile["key_filename"] = str(Path(machine.ssh["key"]).expanduser())
                description |= {"remote_profile": profile, "create_remote_root": True}
            else:
                Path(self.root).mkdir(parents=True, exist_ok=True)
                description["remote_profile"] = {"symlink": False}
            try:
                self._machine = self._dp.Machine.load_from_dict(description)
            except (Exception, SystemExit) as error:
                raise Unreachable(f"{type(error).__name__}: {error}") from None
        context = self._machine.context
        context.remote_root = self.root
        return context

    @_answered
    def call(self, command: str) -> str:
        """Run a command on the machine, in the root of all jobs.

        Parameters
        ----------
        command : str
            Shell command; its words must be quoted.

        Returns
        -------
        str
            Standard output.

        Raises
        ------
        Unreachable
            If the command fails or the machine does not answer.
        """
        try:
            code, _, out, err = self._connect().block_call(command)
            output, errors = out.read().decode(), err.read().decode()
        except Unreachable:
            raise
        except Exception as error:
            self._machine = None
            raise Unreachable(f"{type(error).__name__}: {error}") from None
        if code:
            raise Unreachable(" ".join(errors.split())[-300:] or f"exit {code}")
        return output

    def status(self, jobs: dict[str, str | None]) -> dict[str, JobStatus]:
        """Return the status of jobs, all in one call.

        Parameters
        ----------
        jobs : dict of str to (str or None)
            Names of the jobs, and the scheduler's identifiers.

        Returns
        -------
        dict of str to JobStatus
            Status of each job.
        """
        if not jobs:
            return {}
        names = " ".join(shlex.quote(name) for name in jobs)
        # the queue first: a job that leaves it in between has written its results already
        queue = _QUEUES.get(self.machine.scheduler)
        lines = [f"queue=$({queue}) || exit 1", 'echo "$queue"', "echo ---"] if queue else []
        # a process is alive if it holds its lock, or has been started and is about to take it
        pids = " ".join(f"{shlex.quote(name)}) pid={int(queue_id)};;"
                        for name, queue_id in jobs.items()
                        if not queue and queue_id)  # fmt: skip
        lines += [
            f"for job in {names}; do",
            "started=0; finished=0; alive=0; lines=0; pid=",
            f"case $job in {pids} esac" if pids else ":",
            # identified by its folder, because another process may have got its number
            '[ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$job" ] && alive=1' if pids else ":",
            '[ -d "$job/started" ] && { started=1; alive=0; }',
            '[ -e "$job/lock" ] && ! flock -n "$job/lock" true && alive=1' if not queue else ":",
            '[ -d "$job/finished" ] && finished=1',
            f'[ -e "$job/{worker.RESULTS}" ] && lines=$(wc -l < "$job/{worker.RESULTS}")',
            'echo "$job" $started $finished $alive $lines',
            "done",
        ]
        output = self.call("\n".join(lines))
        queued: set[str] = set()
        if queue:
            listed, _, output = output.partition("---\n")
            queued = set(listed.split())
        found = {}
        for line in output.splitlines():
            name, started, finished, alive, n_lines = line.split()
            found[name] = JobStatus(
                started == "1", finished == "1", alive == "1" or name in queued, int(n_lines)
            )
        return found

    @_answered
    def read(self, name: str, file: str) -> str:
        """Read a file of a job.

        Parameters
        ----------
        name : str
            Name of the job.
        file : str
            Name of the file.

        Returns
        -------
        str
            Content; empty if there is no such file or it is not text.
        """
        try:
            context = self._connect()
            path = f"{name}/{file}"
            return context.read_file(path) if context.check_file_exists(path) else ""
        except UnicodeDecodeError:
            return ""
        except Unreachable:
            raise
        except Exception as error:
            self._machine = None
            raise Unreachable(f"{type(error).__name__}: {error}") from None

    def withdraw(self, name: str) -> bool:
        """Withdraw a job, unless it has started.

        A job starts by making the folder `started`; only one process can make it.

        Parameters
        ----------
        name : str
            Name of the job.

        Returns
        -------
        bool
            True if the job will never start; False if it has started.
        """
        quoted = shlex.quote(name)
        output = self.call(
            f"mkdir -p {quoted} && if mkdir {quoted}/started 2>/dev/null; then echo withdrawn; fi"
        )
        return output.strip() == "withdrawn"

    @_answered
    def send(self, name: str, content: dict[str, Any], rung: int) -> str:
        """Upload a job and submit it.

        Parameters
        ----------
        name : str
            Name of the job.
        content : dict
            Content of its job.json.
        rung : int
            Failures of its frames so far; each doubles time and memory.

        Returns
        -------
        str
            The scheduler's identifier; empty if it takes no more jobs now.

        Raises
        ------
        NotSent
            If it fails before the job could be submitted.
        Unreachable
            If it fails later; whether the job was submitted is then unknown.
        """
        machine, dp = self.machine, self._dp
        python = machine.python or ("python3" if machine.ssh else sys.executable)
        folder = self._staging / name
        failure: type[Unreachable] = NotSent
        try:
            folder.mkdir()
            (folder / "job.json").write_text(json.dumps(content))
            shutil.copy(worker.__file__, folder / "worker.py")
            task = dp.Task(
                command=shlex.join([python, "worker.py"]),
                task_work_path=".",
                forward_files=["job.json", "worker.py"],
                backward_files=[],
                outlog="log",
                errlog="err",
                task_name=name,
            )
            resources = dp.Resources(
                number_node=machine.nodes,
                cpu_per_node=machine.cores,
                gpu_per_node=machine.gpus,
                queue_name=machine.partition,
                group_size=1,
                custom_flags=self._flags(rung),
                module_list=machine.modules,
                source_list=machine.source,
                envs={key: str(value) for key, value in machine.environment.items()},
            )
            context, there = self._connect(), self._machine
            submission = dp.Submission(work_base=name, resources=resources, task_list=[task])
            submission.generate_jobs()
            submission.submission_hash = name  # names the folder on the machine
            context.remote_root = None  # no folder of an earlier submission is to be moved
            context.bind_submission(submission)
            context.upload(submission)
            (job,) = submission.belonging_jobs
            job.machine = there
            failure = Unreachable
            return str(there.do_submit(job))
        except Unreachable:
            raise NotSent("does not answer") from None
        except Exception as error:
            self._machine = None
            reason = " ".join(str(error).split())[-300:]
            raise failure(f"{type(error).__name__}: {reason}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _flags(self, rung: int) -> list[str]:
        machine, factor = self.machine, 2**rung
        option = _OPTIONS.get(machine.scheduler)
        if option is None:
            return []
        minutes = max(1, round(2 * machine.minutes * factor))
        flags = {
            "slurm": [f"--time={minutes}", "--no-requeue", "--output=scheduler.log"],
            "pbs": [f"-l walltime={minutes // 60:02d}:{minutes % 60:02d}:00", "-r n", "-j oe"],
            "lsf": [f"-W {minutes}", "-rn", "-o scheduler.log"],
        }[machine.scheduler]
        if machine.memory:
            amount, unit = _MEMORY.fullmatch(machine.memory).groups()  # type: ignore[union-attr]
            megabytes = round(float(amount) * (1024 if unit == "G" else 1) * factor)
            flags.append(
                {"slurm": f"--mem={megabytes}M", "pbs": f"-l mem={megabytes}mb",
                 "lsf": f"-M {megabytes}MB"}[machine.scheduler]
            )  # fmt: skip
        return [f"{option} {flag}" for flag in flags + machine.flags]

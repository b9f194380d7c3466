# SPDX-License-Identifier: BSD-3-Clause
"""Training programs as separate processes: profiles, progress, divergence, clean ends."""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from ase_calculators.argument_checks import one_line

PROFILES = Path(__file__).parent / "profiles"
# of a frame in Atoms.info: how often its energy counts; MACE's own name
WEIGHT = "config_energy_weight"
# seconds between two readings of what the programs have written
_POLL = 0.5
# seconds that a program may take to end after its parent was killed
_PATIENCE = 5.0
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LIBC = ctypes.CDLL(None)
# programs of all threads
_PROGRAMS: "set[subprocess.Popen[bytes]]" = set()


class TrainingProgress(NamedTuple):
    """Progress of a training.

    Attributes
    ----------
    done : int
        Number of steps or epochs.
    note : str
        Errors, for the progress bar.
    diverged : int or None
        Step or epoch at which the loss was not finite.
    """

    done: int
    note: str
    diverged: int | None = None


class Training(NamedTuple):
    """A training program and the functions that watch it.

    Attributes
    ----------
    name : str
        Name in messages.
    command : list of str
        Command of the program.
    folder : pathlib.Path
        Working folder; the output is appended to ``train.log`` in it.
    state : callable
        Returns the `TrainingProgress`, read from the program's output.
    keep : callable
        Called with the step of a divergence, or None: removes checkpoints that are not finite and
        returns the last good one, or None.
    finish : callable
        Called after the program has ended without error.
    """

    name: str
    command: list[str]
    folder: Path
    state: Callable[[], TrainingProgress]
    keep: Callable[[int | None], Path | None]
    finish: Callable[[], None]


def read_profile(profile: str | PathLike[str] | Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the settings of a training.

    Parameters
    ----------
    profile : {"small", "paper", "finetune"}, path-like or dict
        A profile of the package, a file of yours in the same form (.json, .yaml), or the
        settings. "finetune" is of the kinds mace and matgl, "paper" of mace and student.
    kind : {"mace", "matgl", "student", "snap", "qsnap", "pod"}
        Kind of the profile; that of a network of DeePMD-kit is "student".

    Returns
    -------
    dict
        The settings, under the names of the training program.

    Raises
    ------
    ValueError
        If there is no such profile, or it cannot be read.

    Examples
    --------
    >>> read_profile("paper", "student")["model"]["descriptor"]["rcut"]
    8.0
    """
    if isinstance(profile, Mapping):
        return json.loads(json.dumps(profile))
    ending = "json" if kind == "student" else "yaml"
    files = {"small": f"{kind}_small", "paper": kind, "finetune": f"{kind}_finetune"}
    ours = {
        name: path for name, file in files.items()
        if (path := PROFILES / f"{file}.{ending}").is_file()
    }  # fmt: skip
    path = ours[fspath(profile)] if fspath(profile) in ours else Path(fspath(profile))
    if not path.is_file():
        raise ValueError(
            f"profile = {fspath(profile)!r}: must be {', '.join(map(repr, ours))}, a file that "
            "exists, or a dict of settings"
        )
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(
            f"profile = {str(path)!r}: cannot be read ({one_line(error)}); fix it"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"profile = {str(path)!r}: must hold settings by name; see {PROFILES}")
    return found


def require(module: str, package: str, what: str, extra: str = "distillation") -> None:
    """Check that an optional package is installed.

    Parameters
    ----------
    module : str
        Name of the module.
    package : str
        Name of the package that holds it.
    what : str
        Part of entsym that needs it.
    extra : str
        Extra of entsym to install.

    Raises
    ------
    ImportError
        If it is missing; the message names the extra to install.
    """
    if find_spec(module) is None:
        raise ImportError(f"{what} needs {package}: pip install 'entsym[{extra}]'")


def run_programs(
    trainings: Sequence[Training], total: int, unit: str, processes: int = 1, title: str = "train"
) -> None:
    """Run training programs, each in its folder, with one progress bar.

    They end with this process, however it ends. If the loss of one is no longer finite, all are
    stopped.

    Parameters
    ----------
    trainings : sequence of Training
        The programs.
    total : int
        Number of steps or epochs of each.
    unit : str
        "steps" or "epochs".
    processes : int
        Number of programs that run at once.
    title : str
        Title of the progress bar.

    Raises
    ------
    FloatingPointError
        If a loss is not finite; the message names the last good checkpoint.
    RuntimeError
        If a program fails, or another one is running in its folder; the message has the end of its
        output.
    """
    waiting = list(trainings)
    running: list[tuple[Training, subprocess.Popen[bytes]]] = []
    states = {training.name: training.state() for training in trainings}
    initial = sum(state.done for state in states.values())
    with tqdm(total=total * len(trainings), initial=initial, unit=f" {unit}", desc=title) as bar:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    training = waiting.pop(0)
                    running.append((training, _start(training)))
                    _PROGRAMS.add(running[-1][1])
                time.sleep(_POLL)
                for training, process in list(running):
                    code = process.poll()  # before the output is read, so that none is missed
                    state = states[training.name] = training.state()
                    if state.diverged is not None:
                        _stop(process)
                        kept = training.keep(state.diverged)
                        last = "there is none" if kept is None else str(kept)
                        raise FloatingPointError(
                            f"{training.name}: the loss is not finite at {unit[:-1]} "
                            f"{state.diverged}; stopped, last good checkpoint: {last}; lower the "
                            "learning rate and train in another folder, or look at the labels"
                        )
                    training.keep(None)
                    if code is not None:
                        running.remove((training, process))
                        _PROGRAMS.discard(process)
                        if code:
                            raise RuntimeError(_failure(training, code))
                        training.finish()
                done = sum(min(state.done, total) for state in states.values())
                if done > bar.n:
                    bar.set_postfix_str("; ".join(states[t.name].note for t, _ in running), False)
                    bar.update(done - bar.n)
        finally:
            for _, process in running:
                _stop(process)
                _PROGRAMS.discard(process)


def stop_programs() -> None:
    """Stop the programs of `run_programs` in all threads; those calls then fail."""
    for process in list(_PROGRAMS):
        _stop(process)


def run_program(command: Sequence[str], folder: Path, log: str) -> str:
    """Run a short program to its end.

    Parameters
    ----------
    command : sequence of str
        Command of the program.
    folder : pathlib.Path
        Working folder.
    log : str
        Name of the file for the output, in that folder.

    Returns
    -------
    str
        The output.

    Raises
    ------
    RuntimeError
        If the program fails; the message has the end of its output.
    """
    done = subprocess.run(
        command, cwd=folder, env=_environment(), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent,
    )  # fmt: skip
    (folder / log).write_text(done.stdout)
    if done.returncode:
        what = " ".join(command[2:4])
        raise RuntimeError(
            f"{what} in {folder} failed: {_last_words(done.stdout)} ({folder / log})"
        )
    return done.stdout


def _environment() -> dict[str, str]:
    """Return the environment, with TensorFlow's threads limited if OpenMP's are."""
    found = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    if "OMP_NUM_THREADS" in os.environ:
        threads = os.environ["OMP_NUM_THREADS"].split(",")[0]
        found["DP_INTRA_OP_PARALLELISM_THREADS"] = threads
        found["DP_INTER_OP_PARALLELISM_THREADS"] = threads
    return found | os.environ


def _die_with_parent() -> None:
    _LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _start(training: Training) -> "subprocess.Popen[bytes]":
    """Start a program, which holds the lock of its folder until it ends."""
    training.folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(training.folder / "lock", os.O_RDWR | os.O_CREAT)
    try:
        patience = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > patience:
                    raise RuntimeError(
                        f"folder = {training.folder}: another training is running there; wait for "
                        "it or use another folder"
                    ) from None
            time.sleep(0.1)
        with open(training.folder / "train.log", "ab") as log:
            return subprocess.Popen(
                training.command, cwd=training.folder, env=_environment(), stdout=log,
                stderr=subprocess.STDOUT, pass_fds=[lock], preexec_fn=_die_with_parent,
            )  # fmt: skip
    finally:
        os.close(lock)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(output: str) -> str:
    """Return the line of an output that has the error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if "libcudart" not in line] or ["no output"]
    errors = [line for line in lines if "Error" in line or "ERROR" in line]
    return (errors or lines)[-1]


def _failure(training: Training, code: int) -> str:
    log = training.folder / "train.log"
    last = _last_words(log.read_text(errors="replace")[-20000:])
    return f"{training.name}: the training ended with status {code}: {last} ({log})"

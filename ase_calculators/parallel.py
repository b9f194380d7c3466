# SPDX-License-Identifier: BSD-3-Clause
"""Work for several processes or machines, whose results come in the order of the jobs."""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ase.parallel import DummyMPI, world
from tqdm import tqdm

from ase_calculators.argument_checks import check_whole

Job = TypeVar("Job")
Result = TypeVar("Result")

# how often a job is repeated whose process was killed; from the second time on it runs alone, so
# that no other job is blamed
REPETITIONS = 3


class _ThisProcess(Executor):
    """Run each job when it is submitted, in the process that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(eq=False)
class _Task(Generic[Job]):
    """A job, its future once it is submitted, and how often its process may have been killed."""

    job: Job
    future: Future[Any] | None = None
    n_killed: int = 0

    @property
    def is_suspect(self) -> bool:
        return self.n_killed > 1 and not (self.future and self.future.done())


class OrderedPool:
    """Run jobs in several processes and return their results in the order of the jobs.

    At most twice as many jobs as there are workers wait or run ahead of the reader, so that an
    endless iterator of jobs takes little memory. On leaving the ``with`` block, jobs that have not
    begun are cancelled.

    If a process of its own is killed, new ones are started, and the jobs without a result are
    repeated. A job that does not survive this three times fails with `BrokenExecutor`.

    Parameters
    ----------
    processes : int
        Number of processes; with 1 each job runs when its result is read, in this process.
    start_method : {"spawn", "fork", "forkserver"}, optional
        How the processes start. Default: as on this platform. Use "spawn" for libraries that do not
        survive a fork, such as OVITO, LAMMPS and PyTorch.
    executor : concurrent.futures.Executor, optional
        Executor to use in place of own processes; it is not shut down.

    Raises
    ------
    ValueError
        If `processes` is out of its range, or given together with an executor.
    TypeError
        If `executor` is something else.

    Examples
    --------
    >>> with OrderedPool(1) as pool:
    ...     [(job, future.result()) for job, future in pool.map(abs, [-1, 2])]
    [(-1, 1), (2, 2)]
    """

    def __init__(
        self,
        processes: int = 1,
        start_method: str | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._processes = check_whole("processes", processes)
        self._start_method = start_method
        self._is_own = executor is None
        if executor is None:
            executor = self._open()
        elif not isinstance(executor, Executor):
            raise TypeError(
                f"executor = {executor!r}: must be a concurrent.futures.Executor, such as "
                "ProcessPoolExecutor(4), or client.get_executor() of a dask client"
            )
        elif processes != 1:
            raise ValueError(
                f"processes = {processes}: is for processes of this machine; leave it out when an "
                "executor is given"
            )
        if _is_rank():
            world.comm = DummyMPI()  # ASE's readers would wait for the other ranks
        self._executor = executor
        self._tasks: list[deque[_Task[Any]]] = []
        self._n_workers, self._asked = 0, float("-inf")

    def __enter__(self) -> "OrderedPool":
        return self

    def __exit__(self, *error: object) -> None:
        for tasks in self._tasks:
            _cancel(tasks)
        if self._is_own:
            self._executor.shutdown(cancel_futures=True)

    def map(
        self,
        function: Callable[[Job], Result],
        jobs: Iterable[Job],
        name: Callable[[Job], str] = str,
    ) -> Iterator[tuple[Job, Future[Result]]]:
        """Run a function on each job.

        Parameters
        ----------
        function : callable
            Function of one job; for other processes it can be pickled, and so can the jobs.
        jobs : iterable
            Jobs, taken from it as the results are read.
        name : callable
            Function that names a job in errors.

        Yields
        ------
        job : object
            A job, in the order of `jobs`.
        future : concurrent.futures.Future
            Its finished future: ``result()`` returns the result or raises what the function raised.

        Raises
        ------
        BrokenExecutor
            If an executor that was given has lost a process and cannot continue.
        """
        if _is_rank():
            function = partial(_on_this_rank, function)
        tasks: deque[_Task[Job]] = deque()
        self._tasks.append(tasks)
        try:
            for job in jobs:
                tasks.append(_Task(job))
                self._submit(function, tasks)
                while len(tasks) > self._ahead():
                    yield self._finished(function, tasks, name)
            while tasks:
                yield self._finished(function, tasks, name)
        finally:
            _cancel(tasks)
            self._tasks.remove(tasks)

    def _open(self) -> Executor:
        if self._processes == 1:
            return _ThisProcess()
        context = multiprocessing.get_context(self._start_method)
        return ProcessPoolExecutor(self._processes, context, _own_lock)

    def _ahead(self) -> int:
        """Return how many jobs may wait or run ahead of the reader."""
        if self._is_own:
            return 0 if self._processes == 1 else 2 * self._processes
        # workers may join later; dask's scheduler answers in milliseconds, so it is asked rarely
        if time.monotonic() - self._asked > 1.0:
            self._n_workers, self._asked = _n_workers(self._executor), time.monotonic()
        return 2 * self._n_workers

    def _submit(self, function: Callable[[Job], Result], tasks: deque[_Task[Job]]) -> None:
        """Submit the tasks that are not; a suspect waits until it is the first, and runs alone."""
        for task in tasks:
            suspect = task.is_suspect
            if suspect and task is not tasks[0]:
                return
            if task.future is None:
                try:
                    task.future = self._executor.submit(function, task.job)
                except BrokenExecutor as error:  # broken by a job before
                    task.future = Future()
                    task.future.set_exception(error)
            if suspect:
                return

    def _finished(
        self,
        function: Callable[[Job], Result],
        tasks: deque[_Task[Job]],
        name: Callable[[Job], str],
    ) -> tuple[Job, Future[Result]]:
        """Return the first task when it is finished."""
        first = tasks[0]
        while True:
            self._submit(function, tasks)
            assert first.future is not None
            try:
                error = first.future.exception()  # waits
            except CancelledError:
                raise BrokenExecutor(
                    f"executor: has cancelled {name(first.job)}; it was shut down or has lost its "
                    "scheduler: give a new one"
                ) from None
            if not isinstance(error, BrokenExecutor) or first.n_killed > REPETITIONS:
                tasks.popleft()
                return first.job, first.future
            if not self._is_own:
                raise BrokenExecutor(
                    f"executor: a process was killed (out of memory, kill -9 or a crash) before "
                    f"{name(first.job)} was done, and {type(self._executor).__name__} cannot "
                    "continue; give a new one, or `processes`, which repeats what was lost"
                ) from error
            self._repair(tasks, name)

    def _repair(self, tasks: deque[_Task[Job]], name: Callable[[Job], str]) -> None:
        """Start new processes after one was killed; forget the futures that were lost with it."""
        self._executor.shutdown()  # waits, so that every lost future has its exception
        self._executor = self._open()
        for task in tasks:
            if task.future and isinstance(task.future.exception(), BrokenExecutor):
                task.n_killed += 1
                task.future = None
                if task.n_killed > REPETITIONS:
                    task.future = Future()
                    task.future.set_exception(
                        BrokenExecutor(
                            f"{name(task.job)}: kills its process, {task.n_killed} times out of "
                            f"{task.n_killed} (out of memory, a crash in a library, or a script "
                            'without `if __name__ == "__main__":`); leave it out, or try it alone '
                            "in one process"
                        )
                    )


def _is_rank() -> bool:
    """Return whether this process is one of the ranks that mpi4py's executor works with."""
    return "mpi4py.futures" in sys.modules


def _on_this_rank(function: Callable[[Job], Result], job: Job) -> Result:
    """Run a function in a worker of mpi4py's executor, where ASE must not wait for other ranks."""
    world.comm = DummyMPI()
    return function(job)


def _cancel(tasks: deque[_Task[Any]]) -> None:
    for task in tasks:
        if task.future:
            task.future.cancel()
    tasks.clear()


def _own_lock() -> None:
    """Give a process its own lock of progress bars: a shared one stays locked if it is killed."""
    tqdm.set_lock(threading.RLock())


def _n_workers(executor: Executor) -> int:
    """Return the number of jobs that an executor works on at once, as far as it says."""
    client = getattr(executor, "_client", None)  # dask
    if client is not None:
        return max(1, sum(client.nthreads().values()))
    # mpi4py; executorlib; the standard library
    for attribute in ("num_workers", "max_workers", "_max_workers"):
        n = getattr(executor, attribute, None)
        if isinstance(n, int) and n > 0:
            return n
    return os.cpu_count() or 1

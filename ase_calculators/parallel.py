# SPDX-License-Identifier: BSD-3-Clause
"""Work for several processes, whose results come in the order of the jobs."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class _ThisProcess(Executor):
    """Run each job when it is submitted, in the process that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def open_executor(processes: int, start_method: str | None = None) -> Executor:
    """Return an executor of several processes, or of this one alone.

    Parameters
    ----------
    processes : int
        Number of processes; with 1 each job runs when it is submitted, in this process.
    start_method : {"spawn", "fork", "forkserver"}, optional
        How the processes start. Default: as on this platform. Use "spawn" for libraries that do not
        survive a fork, such as OVITO, LAMMPS and PyTorch.

    Returns
    -------
    concurrent.futures.Executor
        The executor.
    """
    if processes == 1:
        return _ThisProcess()
    return ProcessPoolExecutor(processes, multiprocessing.get_context(start_method))


class OrderedPool:
    """Run jobs in several processes and return their results in the order of the jobs.

    At most ``2 * processes`` jobs wait or run ahead of the reader, so that an endless iterator of
    jobs takes little memory. On leaving the ``with`` block, jobs that have not begun are cancelled.

    Parameters
    ----------
    processes : int
        Number of processes, as in `open_executor`.
    start_method : {"spawn", "fork", "forkserver"}, optional
        How the processes start, as in `open_executor`.

    Examples
    --------
    >>> with OrderedPool(1) as pool:
    ...     [(job, future.result()) for job, future in pool.map(abs, [-1, 2])]
    [(-1, 1), (2, 2)]
    """

    def __init__(self, processes: int, start_method: str | None = None) -> None:
        self._executor = open_executor(processes, start_method)
        self._ahead = 0 if processes == 1 else 2 * processes

    def __enter__(self) -> "OrderedPool":
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Future[Result]]]:
        """Run a function on each job.

        Parameters
        ----------
        function : callable
            Function of one job; with several processes it can be pickled, and so can the jobs.
        jobs : iterable
            Jobs, taken from it as the results are read.

        Yields
        ------
        job : object
            A job, in the order of `jobs`.
        future : concurrent.futures.Future
            Its finished future: ``result()`` returns the result or raises what the function raised.
        """
        running: deque[tuple[Job, Future[Result]]] = deque()
        for job in jobs:
            running.append((job, self._executor.submit(function, job)))
            if len(running) > self._ahead:
                yield _finished(*running.popleft())
        while running:
            yield _finished(*running.popleft())


def _finished(job: Job, future: Future[Result]) -> tuple[Job, Future[Result]]:
    future.exception()  # waits
    return job, future

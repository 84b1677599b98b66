"""Run tasks here, in worker processes, or wherever an executor runs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from spatialhist._runtime.quiet import warning_ignored

logger = logging.getLogger(__name__)

RETRIES = 2
"""Times that worker processes of our own are started again after one was killed."""


def cores() -> int:
    """Cores that this process may use: those it is bound to, of a container's share, or of its share among workers."""
    from joblib import cpu_count

    return cpu_count()


def n_workers(executor: Any) -> int:
    """Tasks that an executor runs at once, where that is known.

    Raises
    ------
    ValueError
        If it is a number below 1.
    """
    if not isinstance(executor, int):
        return 1
    if executor < 1:
        raise ValueError(f"executor={executor} must be at least 1 process, None, or an object with submit()")
    return executor


def run_tasks(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], executor: Any = None) -> Iterator[Any]:
    """Call a function with the arguments of each task, and yield what it returns, in the order of the tasks.

    Parameters
    ----------
    function
        Of a module, so that other processes find it.
    tasks
        Arguments, task by task.
    executor
        None to run here, a number of worker processes, a ``concurrent.futures`` executor, or a ``dask.distributed``
        client. A killed worker process is replaced where the number or dask allows; an executor from outside is broken
        then, and what was done before stays done.
    """
    if executor is None or executor == 1:
        return (function(*task) for task in tasks)
    if isinstance(executor, int):
        return _in_processes(function, tasks, executor)
    return _results([_submitter(executor)(function, *task) for task in tasks])


def sent(task: Any) -> Any:
    """Return an object as it would arrive in a worker process."""
    import cloudpickle

    return cloudpickle.loads(cloudpickle.dumps(task))


def _submitter(executor: Any) -> Callable[..., Any]:
    """Return ``submit`` of an executor; dask must not take an earlier result for that of a task with equal arguments."""
    lend = getattr(executor, "get_executor", None)
    return executor.submit if lend is None else lend(pure=False).submit


def _in_processes(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n: int) -> Iterator[Any]:
    # Loky's workers do not import the caller's script again, so plain scripts need no __main__ guard.
    from joblib.externals.loky import get_reusable_executor

    # each process takes its share of the cores, where it uses several threads
    share = {"LOKY_MAX_CPU_COUNT": str(max(1, cores() // n))}
    done = 0
    for left in reversed(range(RETRIES + 1)):
        pool = get_reusable_executor(max_workers=n, env=share)
        try:
            # a worker that a task has left with more memory is replaced between two tasks, which is no news to anybody
            with warning_ignored("A worker stopped while some jobs", UserWarning, "joblib"):
                # what was handed out is done: only the rest is sent to new workers
                for result in _results([pool.submit(function, *task) for task in tasks[done:]]):
                    done += 1
                    yield result
            return
        except BrokenProcessPool as error:
            if not left:
                raise
            logger.warning("a worker process died (%s): its task is run again", error)


def _results(futures: Sequence[Any]) -> Iterator[Any]:
    """Wait for one after another; after an error or an interrupt nothing that waits is started."""
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()

from __future__ import annotations

import os
import signal
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from spatialhist._runtime.executor import n_workers, run_tasks


def divide(a, b):
    return a / b


def die_once(folder: Path, i: int) -> int:
    """Kill the worker at the second task, the first time it is run."""
    mark = folder / "died"
    if i == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"run{i}_{os.getpid()}").touch()
    return i


def token(length: int) -> bytes:
    return os.urandom(length)


class Recorder:
    """An executor whose first future fails."""

    def __init__(self):
        self.futures = []

    def submit(self, *arguments):
        future = Future()
        if not self.futures:
            future.set_exception(RuntimeError("no memory"))
        self.futures.append(future)
        return future


def test_results_come_in_the_order_of_the_tasks():
    tasks = [(6, 3), (1, 2), (9, 9)]
    with ThreadPoolExecutor(2) as pool:
        results = [list(run_tasks(divide, tasks, executor)) for executor in (None, 1, pool)]
    assert results == [[2.0, 0.5, 1.0]] * 3


def test_after_an_error_nothing_that_waits_is_started():
    executor = Recorder()
    with pytest.raises(RuntimeError, match="no memory"):
        list(run_tasks(divide, [(1, 1)] * 3, executor))
    assert [f.cancelled() for f in executor.futures[1:]] == [True, True]


def tell_of_a_worker(where):
    warnings.warn_explicit(
        f"A worker stopped while some jobs {where}",
        category=UserWarning,
        filename="a",
        lineno=1,
        module="joblib.externals.loky.process_executor",
    )


def test_the_replacement_of_a_worker_between_two_tasks_is_not_told():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        results = run_tasks(divide, [(6, 3), (8, 2)], 2)
        assert next(results) == 2
        tell_of_a_worker("between two results")
        assert list(results) == [4]
        tell_of_a_worker("of another")
        assert warnings.filters == before
    assert [str(w.message) for w in told] == ["A worker stopped while some jobs of another"]


def test_number_of_workers():
    assert n_workers(None) == 1
    assert n_workers(3) == 3
    assert n_workers(Recorder()) == 1
    with pytest.raises(ValueError, match="executor=0 must be at least 1"):
        n_workers(0)


def test_a_dask_client_lends_an_executor_that_runs_equal_tasks_again():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        assert list(run_tasks(divide, [(3, 2), (1, 4)], client)) == [1.5, 0.25]
        assert len(set(run_tasks(token, [(8,), (8,)], client))) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_worker_process_is_replaced(tmp_path):
    assert list(run_tasks(die_once, [(tmp_path, i) for i in range(4)], 2)) == [0, 1, 2, 3]
    assert (tmp_path / "died").exists()
    assert {p.name[:4] for p in tmp_path.glob("run*")} == {"run0", "run1", "run2", "run3"}

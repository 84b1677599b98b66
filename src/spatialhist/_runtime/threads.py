"""Threads of numpy and torch, pinned so that results do not depend on who computes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class _SharedLimit:
    """Limit of BLAS and OpenMP, which a process has once: the last thread that lets go gives it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: Any = None

    @contextmanager
    def __call__(self, n: int) -> Iterator[None]:
        from threadpoolctl import threadpool_limits

        with self._lock:
            # in every thread, since each has an OpenMP setting of its own
            limits = threadpool_limits(n)
            self._before = self._before if self._users else limits
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._before.restore_original_limits()


_limit = _SharedLimit()


@contextmanager
def pinned_threads(n: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to ``n`` threads: sums are added in the same order everywhere.

    Threads of one process may do so at once, with the same ``n``.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        with _limit(n):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def thread_pool(workers: int, threads: int) -> Iterator[Executor]:
    """Threads that each use ``threads`` threads of torch and BLAS: more would wait for each other, not work."""
    import torch

    with (
        pinned_threads(threads),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool,
    ):
        yield pool

"""Threads of numpy and torch, pinned so that results do not depend on who computes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from spatialhist._runtime.executor import cores


class _SharedLimit:
    """Limit of BLAS and OpenMP, which a process has once: the last thread that lets go gives it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[int] = []
        self._before: Any = None

    @contextmanager
    def __call__(self, n: int) -> Iterator[None]:
        from threadpoolctl import threadpool_limits

        with self._lock:
            # in every thread, since each has an OpenMP setting of its own
            limits = threadpool_limits(n)
            self._before = self._before if self._held else limits
            self._held.append(n)
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(n)
                if self._held:
                    threadpool_limits(self._held[-1])
                else:
                    self._before.restore_original_limits()


_limit = _SharedLimit()


@contextmanager
def pinned_threads(n: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to ``n`` threads: sums are added in the same order everywhere.

    Threads of one process may do so at once with the same ``n``; within a block another one holds until its own block ends.
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


@lru_cache(maxsize=1)
def core_pool() -> ThreadPoolExecutor:
    """One thread a core, each with one thread of torch and BLAS; shared by whoever has work that is cut into pieces.

    Enter :func:`pinned_threads` with 1 before work is handed in. Such work must not wait for other work in the pool.
    """
    import torch

    return ThreadPoolExecutor(cores(), "spatialhist", initializer=torch.set_num_threads, initargs=(1,))


if hasattr(os, "register_at_fork"):
    # a forked process has the pool, but none of its threads
    os.register_at_fork(after_in_child=core_pool.cache_clear)

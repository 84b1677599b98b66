from __future__ import annotations

import threading

import torch
from threadpoolctl import threadpool_info, threadpool_limits

from spatialhist._runtime.threads import pinned_threads, thread_pool


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_threads_are_pinned_and_given_back():
    before = torch.get_num_threads()
    with pinned_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with thread_pool(2, 1) as pool:
        assert set(pool.map(lambda _: torch.get_num_threads(), range(4))) == {1}
    assert torch.get_num_threads() == before


def test_a_thread_that_is_done_leaves_the_limit_to_the_others():
    pinned, leave = threading.Event(), threading.Event()

    def first():
        with pinned_threads(1):
            pinned.set()
            leave.wait(10)

    with threadpool_limits(2):
        before = blas_threads()
        other = threading.Thread(target=first)
        other.start()
        assert pinned.wait(10)
        with pinned_threads(1):
            leave.set()
            other.join()
            assert blas_threads() == {1}
        assert blas_threads() == before

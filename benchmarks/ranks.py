"""Ranks per spot against a row-wise scipy loop, dense and sparse: python benchmarks/ranks.py."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

from spatialhist.pp._ranks import rank_rows

SPOTS, GENES, REPEATS = 10_000, 2_000, 3


def seconds(function: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def scipy_dense(matrix: np.ndarray, method: str) -> np.ndarray:
    return np.stack([rankdata(row, method=method) for row in matrix])


def scipy_sparse(matrix: sp.csr_matrix, method: str) -> np.ndarray:
    return np.stack([rankdata(matrix[[i]].toarray()[0], method=method) for i in range(matrix.shape[0])])


def main() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 2, GENES), (SPOTS, GENES)).astype(np.float32)
    inputs = {
        "counts, dense": (counts, scipy_dense),
        "counts, sparse": (sp.csr_matrix(counts), scipy_sparse),
        "normal, dense": (rng.normal(size=(SPOTS, GENES)).astype(np.float32), scipy_dense),
    }
    rank_rows(np.ones((2, 2), np.float32))
    print(f"{SPOTS:,} spots x {GENES:,} genes, {np.mean(counts > 0):.0%} of the counts above 0, best of {REPEATS}")
    print(f"{'input':16} {'method':8} {'scipy loop s':>12} {'rank_rows s':>12} {'ratio':>6}")
    for name, (matrix, loop) in inputs.items():
        for method in ("average", "ordinal"):
            if not np.array_equal(rank_rows(matrix, method=method), loop(matrix, method)):
                raise SystemExit(f"{name}, {method}: ranks differ from scipy")
            ours = seconds(lambda: rank_rows(matrix, method=method))  # noqa: B023
            theirs = seconds(lambda: loop(matrix, method))  # noqa: B023
            print(f"{name:16} {method:8} {theirs:12.2f} {ours:12.2f} {theirs / ours:6.1f}")


if __name__ == "__main__":
    main()

"""Ranks per spot against a row-wise scipy loop, dense and sparse: python benchmarks/ranks.py.

Processor seconds, the best of some runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

from spatialhist.pp._expression.ranks import Method, rank_rows

SPOTS, GENES, REPEATS = 10_000, 2_000, 2


def seconds(function: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def scipy_dense(matrix: np.ndarray, method: str) -> np.ndarray:
    return np.stack([rankdata(row, method=method) for row in matrix])


def scipy_sparse(matrix: sp.csr_matrix, method: str) -> np.ndarray:
    return np.stack([rankdata(matrix[[i]].toarray()[0], method=method) for i in range(matrix.shape[0])])


def main() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 2, GENES), (SPOTS, GENES))
    normal = rng.normal(size=(SPOTS, GENES))
    inputs = {
        "counts, dense int64": (counts, scipy_dense),
        "counts, dense float32": (counts.astype(np.float32), scipy_dense),
        "counts, sparse float32": (sp.csr_matrix(counts, dtype=np.float32), scipy_sparse),
        "normal, dense float32": (normal.astype(np.float32), scipy_dense),
        "normal, dense float64": (normal, scipy_dense),
    }
    for matrix, _ in inputs.values():
        rank_rows(matrix[:2])  # compiles
    print(f"{SPOTS:,} spots x {GENES:,} genes, {np.mean(counts > 0):.0%} of the counts above 0, best of {REPEATS}")
    print(f"{'input':23} {'method':8} {'scipy loop s':>12} {'rank_rows s':>12} {'ratio':>6}")
    for name, (matrix, loop) in inputs.items():
        for method in get_args(Method):
            if not np.array_equal(rank_rows(matrix, method=method), loop(matrix, method)):
                raise SystemExit(f"{name}, {method}: ranks differ from scipy")
            ours = seconds(lambda: rank_rows(matrix, method=method))  # noqa: B023
            theirs = seconds(lambda: loop(matrix, method))  # noqa: B023
            print(f"{name:23} {method:8} {theirs:12.2f} {ours:12.2f} {theirs / ours:6.1f}")


if __name__ == "__main__":
    main()

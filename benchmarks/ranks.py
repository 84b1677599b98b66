"""Ranks per spot against a row-wise scipy loop: python benchmarks/ranks.py [--data HER2ST].

First the kernel on dense and sparse matrices, then the whole call of ``pp.rank_expression`` on sparse counts of two simulated
slides, and with ``--data`` on the counts and log1p of seven real sections. Processor seconds, the best of some runs.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
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
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    data = parser.parse_args().data
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 2, GENES), (SPOTS, GENES))
    kernel(counts, rng.normal(size=(SPOTS, GENES)))
    sparse = sp.csr_matrix(counts[:4_000], dtype=np.float32)
    xy = np.stack(np.divmod(np.arange(4_000), 64), axis=1) * 10.0
    genes = [f"G{g}" for g in range(GENES)]
    halves = [(i, slice(2_000 * i, 2_000 * (i + 1))) for i in (0, 1)]
    call(concat_slides([build_slide(None, xy[h], sparse[h], slide=f"S{i}", genes=genes) for i, h in halves]), "counts")
    if data:
        sdata = sh.io.read_st(data)
        call(sdata, "her2st")
        sh.pp.log_normalize(sdata)
        call(sdata, "her2st", "log1p")


def kernel(counts: np.ndarray, normal: np.ndarray) -> None:
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
            print(f"{name:23} {method:8} {theirs:12.2f} {ours:12.2f} {theirs / ours:6.1f}", flush=True)


def call(sdata, name: str, layer: str | None = None) -> None:
    """The call beside a loop that leaves the ranks of the whole table in memory, as the call does."""
    table = sdata["table"]
    matrix = table.layers[layer] if layer else table.X
    print(
        f"\npp.rank_expression, {name} {layer or 'X'}: {table.n_obs:,} spots x {table.n_vars:,} genes, {matrix.dtype}"
    )
    print(f"{'scale':23} {'method':8} {'scipy loop s':>12} {'call s':>12} {'ratio':>6}")
    sh.pp.rank_expression(sdata, layer=layer)  # compiles
    for method in get_args(Method):
        theirs = seconds(lambda: scipy_sparse(matrix, method).astype(np.float32))  # noqa: B023
        for scale in ("raw", "normal"):
            ours = seconds(lambda: sh.pp.rank_expression(sdata, layer=layer, method=method, scale=scale))  # noqa: B023
            print(f"{scale:23} {method:8} {theirs:12.2f} {ours:12.3f} {theirs / ours:6.1f}", flush=True)


if __name__ == "__main__":
    main()

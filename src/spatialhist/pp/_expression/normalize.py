"""Counts to logarithms of shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp


def log1p_counts(counts: Any, target_sum: float) -> Any:
    """Scale the rows of counts ``(n, genes)`` to ``target_sum`` and take log(1 + x); sparse stays sparse, as CSR."""
    scaled: Any = counts.tocsr().astype(np.float32) if sp.issparse(counts) else np.array(counts, dtype=np.float32)
    values: Any = scaled.data if sp.issparse(scaled) else scaled
    if values.size and np.nanmin(values) < 0:
        raise ValueError(f"counts must not be negative; the smallest is {np.nanmin(values):g}: choose layer=")
    factors = _factors(scaled, target_sum)
    if sp.issparse(scaled):
        scaled.data = np.log1p(scaled.data * np.repeat(factors, np.diff(scaled.indptr)))
        return scaled
    return np.log1p(scaled * factors[:, None])


def _factors(counts: Any, target_sum: float) -> np.ndarray:
    """Return the factor of every row, 1 for a row without counts."""
    # NaN stays in its place and must not make the total of a spot NaN
    finite = counts.copy() if sp.issparse(counts) else np.where(np.isfinite(counts), counts, 0)
    if sp.issparse(finite):
        finite.data[~np.isfinite(finite.data)] = 0
    totals = np.asarray(finite.sum(axis=1, dtype=np.float64)).ravel()
    return np.divide(target_sum, totals, out=np.ones_like(totals), where=totals > 0).astype(np.float32)

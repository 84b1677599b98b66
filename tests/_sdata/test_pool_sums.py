from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from spatialhist._sdata.pool_sums import NONE, mean_rows, sum_rows

GROUP = np.array([2, 0, NONE, 2, 1, 0, 2])
VALUES = np.random.default_rng(0).integers(0, 9, (7, 3))


def by_hand(values: np.ndarray) -> np.ndarray:
    return np.array([sum(values[i].astype(object) for i in range(7) if GROUP[i] == g) for g in range(3)])


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, np.uint16, np.int64])
def test_sums_are_those_of_the_members(kind, dtype):
    found = sum_rows(kind(VALUES.astype(dtype)), GROUP, 3)
    assert sp.issparse(found) == (kind is sp.csr_matrix)
    np.testing.assert_array_equal(found.toarray() if sp.issparse(found) else found, by_hand(VALUES).astype(int))


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 2**23 + 1)])
def test_sums_do_not_overflow_or_round(dtype, value):
    found = sum_rows(sp.csr_matrix(np.full((7, 3), value, dtype)), GROUP, 3)
    np.testing.assert_array_equal(found.toarray()[:, 0], np.array([2, 1, 3]) * value)


def test_means_leave_unknown_values_out():
    values = VALUES.astype(float)
    values[0, 1], values[4, 2] = np.nan, np.inf
    found = mean_rows(values, GROUP, 3)
    assert found[2, 1] == pytest.approx(values[[3, 6], 1].mean())
    assert np.isnan(found[1, 2])
    np.testing.assert_allclose(found[0], values[[1, 5]].mean(axis=0))
    np.testing.assert_array_equal(mean_rows(sp.csr_matrix(VALUES), GROUP, 3)[1], VALUES[4])

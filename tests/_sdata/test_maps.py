from __future__ import annotations

import numpy as np

from spatialhist._sdata.maps import halve_known


def test_known_values_are_averaged():
    values = np.array([[[1, 3, np.nan, np.nan, 9], [5, np.nan, np.nan, np.nan, 9], [7, 7, 7, 7, 9]]], dtype=np.float32)
    half = halve_known(values)
    assert half.dtype == np.float32
    np.testing.assert_array_equal(half, [[[3, np.nan]]])

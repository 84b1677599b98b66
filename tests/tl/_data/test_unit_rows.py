from __future__ import annotations

import numpy as np

from spatialhist.tl._data.unit_rows import unit_rows


def test_products_are_cosines_and_rows_of_zeros_stay():
    rows = np.array([[3, 0, 4], [0, 0, 0], [-6, 0, -8]], dtype=np.int32)
    np.testing.assert_allclose(unit_rows(rows) @ unit_rows(rows).T, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]], atol=1e-7)
    assert unit_rows(rows).dtype == np.float32

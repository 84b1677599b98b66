from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from spatialhist._sdata.composition import as_composition, is_composition


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.2, 0.3, 0.5], [0, 0, 1]], True),
        ([[0.2, 0.3, 0.5], [0.2, 0.3, 0.497]], False),
        ([[0.2, 0.3, 0.5], [0.2, 0.3, 0.4994]], True),
        ([[-0.2, 0.7, 0.5], [0.2, 0.3, 0.5]], False),
        ([[1.0], [1.0]], False),
        (np.empty((0, 3)), False),
        ([[0.2, np.nan], [0.5, 0.5]], False),
    ],
)
def test_parts_of_a_whole_are_not_negative_and_sum_to_one(kind, values, expected):
    assert is_composition(kind(values)) is expected


def test_values_are_clipped_and_divided_by_their_sum():
    values = np.array([[0.5, -0.5, 1.5], [0.1, 0.2, 0.1], [np.nan, 0.5, 0.5], [-1, 0, -2]], dtype=np.float32)
    expected = [[0.25, 0, 0.75], [0.25, 0.5, 0.25], [np.nan] * 3, [np.nan] * 3]
    before = values.copy()
    np.testing.assert_allclose(as_composition(values), expected, rtol=1e-6)
    assert as_composition(values).dtype == np.float32
    np.testing.assert_array_equal(values, before)

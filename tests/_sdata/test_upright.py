from __future__ import annotations

import numpy as np
import pytest

from spatialhist._sdata.upright import upright

ROWS, COLUMNS = np.mgrid[0:30, 0:50]
PICTURE = np.stack([4 * COLUMNS, 7 * ROWS, COLUMNS + ROWS], axis=-1).astype(np.uint8)
LAID = {
    "quarter turn": [[0, -3, 95], [3, 0, 4], [0, 0, 1]],
    "turned": [[1.6, -1.2, 60], [1.2, 1.6, 10], [0, 0, 1]],
    "mirrored": [[-2, 0, 110], [0, 2, 0], [0, 0, 1]],
    "shifted": [[2, 0, 30], [0, 2, 12], [0, 0, 1]],
}


@pytest.mark.parametrize("how", LAID)
def test_every_point_of_the_tissue_is_where_its_pixel_lies_on_the_slide(how):
    to_slide = np.array(LAID[how], dtype=float)
    found, size = upright(PICTURE, to_slide)
    x, y = np.meshgrid(np.arange(3, 47) + 0.5, np.arange(3, 27) + 0.5)
    on_slide = to_slide @ [x.ravel(), y.ravel(), np.ones(x.size)]
    column, row = np.floor(on_slide[:2] / size).astype(int)
    expected = np.column_stack([4 * (x.ravel() - 0.5), 7 * (y.ravel() - 0.5)])
    assert np.abs(found[row, column, :2] - expected).max() <= 8
    assert size == pytest.approx(np.sqrt(np.linalg.det(to_slide[:2, :2]) ** 2) ** 0.5)


def test_what_lies_upright_is_the_same():
    found, size = upright(PICTURE, np.diag([2.5, 2.5, 1]))
    np.testing.assert_array_equal(found, PICTURE)
    assert size == 2.5


def test_a_picture_far_away_stays_small():
    found, size = upright(PICTURE, np.array([[1, 0, 90_000], [0, 1, 5], [0, 0, 1.0]]))
    assert max(found.shape) <= 2000 and size > 40

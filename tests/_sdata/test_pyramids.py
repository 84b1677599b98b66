from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import block_reduce
from spatialdata import get_pyramid_levels
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity, get_transformation

from spatialhist._sdata import pyramids
from spatialhist._sdata.pyramids import halve, parse_image


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)


def levels(element) -> list[np.ndarray]:
    return [np.asarray(a) for a in get_pyramid_levels(element, attr="data")]


@given(st.integers(2, 40), st.integers(2, 40))
def test_halve_is_the_rounded_mean_of_whole_blocks(height, width):
    image = noise(height, width)
    whole = image[:, : height // 2 * 2, : width // 2 * 2].astype(float)
    expected = np.floor(block_reduce(whole, (1, 2, 2), np.mean) + 0.5)
    np.testing.assert_array_equal(halve(image), expected)


def test_halve_in_strips_keeps_the_memory_layout(monkeypatch):
    monkeypatch.setattr(pyramids, "_STRIP", 3)
    image = np.moveaxis(np.ascontiguousarray(np.moveaxis(noise(21, 16), 0, -1)), -1, 0)
    half = halve(image)
    assert np.moveaxis(half, 0, -1).flags.c_contiguous
    monkeypatch.undo()
    np.testing.assert_array_equal(half, halve(image))


@pytest.mark.parametrize(("height", "width", "n"), [(512, 300, 1), (513, 300, 2), (700, 1201, 3), (1, 2000, 1)])
def test_pyramid_ends_below_512(height, width, n):
    element = parse_image(noise(height, width), {"S1": Identity()})
    Image2DModel().validate(element)
    assert list(get_transformation(element, get_all=True)) == ["S1"]
    if n > 1:
        assert len(element.children) == n
        assert [level.shape[1:] for level in levels(element)] == [(height >> i, width >> i) for i in range(n)]


def test_lazy_pyramid_equals_the_eager_one():
    image = noise(1301, 1103)
    lazy = parse_image(da.from_array(image, chunks=(1, 400, 333)), {"S1": Identity()})
    eager = parse_image(image, {"S1": Identity()})
    for a, b in zip(levels(lazy), levels(eager), strict=True):
        np.testing.assert_array_equal(a, b)


def test_levels_start_at_the_first_pixel_of_an_odd_image():
    image = np.broadcast_to((np.arange(1001) // 4).astype(np.uint8), (3, 600, 1001)).copy()
    image[:, :, 0] = 200
    half = levels(parse_image(image, {"S1": Identity()}))[1]
    assert (half[:, :, 0] == 100).all()

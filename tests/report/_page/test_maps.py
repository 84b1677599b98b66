from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page import maps


def dots(drawn):
    """Color by point."""
    return {(int(x), int(y)): color for color, path in drawn.dots for x, y in re.findall(r"M(-?\d+) (-?\d+)h\.1", path)}


def test_dots_have_the_color_of_their_value():
    places = maps.make_places(np.array([[10.0, 5], [20, 6], [31, 7], [42, 8.4]]), 3)
    colors = dots(maps.make_map("", places, np.array([1.0, 3, 99, np.nan]), (1, 3)))
    low, high = maps.colors(2)
    assert colors == {(10, 5): low, (20, 6): high, (31, 7): high, (42, 8): maps.MISSING}


def test_a_spot_without_a_place_is_not_drawn():
    places = maps.make_places(np.array([[10.0, 5], [np.nan, 6]]), 3)
    assert list(dots(maps.make_map("", places, np.array([1.0, 2]), (0, 3)))) == [(10, 5)]


def test_many_spots_are_pooled_into_squares_with_their_mean(monkeypatch):
    monkeypatch.setattr(maps, "MOST_SPOTS", 8)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(12.0), np.arange(6.0)))
    points = np.column_stack([x, y])
    points[5] = np.nan
    places = maps.make_places(points, 1)
    assert places.pooled and len(places.points) < len(points) / 3
    values = x * 2 - y
    values[7] = np.nan
    means = places.means(values)
    for square in np.unique(places.of_spot):
        mine = (places.of_spot == square) & np.isfinite(values)
        assert means[square] == pytest.approx(values[mine].mean())
        inside = np.abs(points[places.of_spot == square] - places.points[square]).max() <= places.size / 2
        assert inside or square == places.of_spot[5]


def test_spots_lie_on_the_image_under_them(sdata):
    slide = open_cohort(sdata).slide("S2")
    tissue = maps.make_tissue(slide, "tissue0")
    x, y, width, height = tissue.window
    pyramid = slide.image().pyramid
    picture = Image.open(io.BytesIO(base64.b64decode(tissue.source.split(",")[1])))
    # the image ends where the slide does, which is inside the window of spots and their margin or at its border
    assert picture.size[0] / picture.size[1] == pytest.approx(width / height, rel=0.05)
    unit = (tissue.places.points[1] - tissue.places.points[0])[0] / (slide.xy[1] - slide.xy[0])[0]
    assert width / unit <= pyramid.width and height / unit <= pyramid.height
    here = slide.xy[3] - slide.xy[0]
    np.testing.assert_allclose(tissue.places.points[3] - tissue.places.points[0], here * unit, atol=1e-9)
    # the upper left pixel of the picture is where the window begins on the slide
    origin = slide.xy[0] - (tissue.places.points[0] - (x, y)) / unit
    assert np.all(origin >= -1e-6) and np.all(origin <= slide.xy.min(axis=0))
    assert tissue.bar * 2.0 / unit == pytest.approx(float(tissue.length.split()[0]))


def test_a_slide_without_an_image_is_drawn_on_white(sdata):
    import spatialdata as sd

    bare = sd.deepcopy(sdata)
    del bare.images["S1_full_image"]
    tissue = maps.make_tissue(open_cohort(bare).slide("S1"), "tissue0")
    assert tissue.source == "" and np.isfinite(tissue.window).all()

from __future__ import annotations

import numpy as np
import pytest
import shapely
from drawn_scenes import draw

from spatialhist.datasets._drawing.bodies import Bodies, grow_bodies
from spatialhist.datasets._drawing.cells import Cells


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    return grow_bodies(draw()[0].cells)


def test_bodies_do_not_overlap(bodies: Bodies) -> None:
    polygons = shapely.polygons(bodies.corners)
    assert shapely.is_valid(polygons).all()
    a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    shared = shapely.area(shapely.intersection(polygons[a[a < b]], polygons[b[a < b]]))
    # a cell has only so many neighbors that are looked at
    assert (shared > 1e-6).sum() < 1e-3 * len(polygons)


def test_areas_are_those_of_the_polygons(bodies: Bodies) -> None:
    np.testing.assert_allclose(bodies.area, shapely.area(shapely.polygons(bodies.corners)))
    assert 60 < np.median(bodies.area) < 200


def test_points_are_given_to_the_body_that_holds_them(bodies: Bodies) -> None:
    points = np.random.default_rng(0).uniform((200, 300), (700, 900), (3000, 2))
    of_point, body = shapely.STRtree(shapely.polygons(bodies.corners)).query(shapely.points(points), "within")
    expected = np.full(len(points), -1)
    expected[of_point] = body
    assert (bodies.at(points) == expected).mean() > 0.999
    assert 0.1 < (expected >= 0).mean() < 0.9


def test_a_cell_alone_is_its_nucleus_and_five_micrometers_around() -> None:
    xy = np.array([[50.0, 20.0], [400.0, 300.0]])
    cells = Cells(xy, np.zeros(2, int), np.array([np.pi / 2, 0.0]), np.array([[6.0, 2.0], [6.0, 2.0]]), np.ones(2))
    upright, flat = grow_bodies(cells).radius
    np.testing.assert_allclose(upright[[0, 4, 8, 12]], [7, 11, 7, 11])
    np.testing.assert_allclose(flat[[0, 4, 8, 12]], [11, 7, 11, 7])


def test_neighbors_meet_halfway() -> None:
    xy = np.array([[50.0, 20.0], [58.0, 20.0]])
    left, right = grow_bodies(Cells(xy, np.zeros(2, int), np.zeros(2), np.full((2, 2), 3.0), np.ones(2))).radius
    np.testing.assert_allclose([left[0], left[8], right[0], right[8]], [4, 8, 8, 4])

from __future__ import annotations

import numpy as np
import pytest

from spatialhist._sdata.lattice import array_pitch, lattice_pitch


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_pitch_of_a_hexagonal_lattice(angle):
    column, row = np.meshgrid(np.arange(9), np.arange(7))
    xy = np.column_stack([(column + row % 2 / 2).ravel() * 40, row.ravel() * 40 * np.sqrt(3) / 2])
    turned = xy @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert lattice_pitch(turned) == pytest.approx(40)


def test_pitch_skips_doubles_and_missing_positions():
    xy = np.array([[0.0, 0], [0, 0], [30, 0], [np.nan, 1], [60, 0]])
    assert lattice_pitch(xy) == 30
    assert lattice_pitch(xy[:2]) is None


def square(rows: int, columns: int, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a square array, and centers that lie turned and moved on the slide."""
    position = np.column_stack([n.ravel() for n in np.mgrid[3 : rows + 3, 7 : columns + 7]])
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    return position, position @ (pitch * turn) + (211, 87)


def hexagons(rows: int, columns: int, pitch: float) -> tuple[np.ndarray, np.ndarray]:
    """Visium's array: in odd rows odd columns, in even rows even ones."""
    row, half = (n.ravel() for n in np.mgrid[:rows, :columns])
    column = 2 * half + row % 2
    return np.column_stack([row, column]), np.column_stack([column / 2, row * np.sqrt(3) / 2]) * pitch + (31, 95)


@pytest.mark.parametrize(("array", "transposed"), [(square, False), (hexagons, False), (hexagons, True)])
def test_pitch_of_numbered_arrays(array, transposed):
    position, xy = array(9, 14, 40.0)
    position = position[:, ::-1] if transposed else position
    assert array_pitch(position, xy) == pytest.approx(40)
    assert lattice_pitch(xy) == pytest.approx(40)


@pytest.mark.parametrize("array", [square, hexagons])
def test_pitch_holds_where_few_spots_are_left(array):
    position, xy = array(30, 40, 40.0)
    left = np.random.default_rng(1).permutation(len(xy))[:25]
    assert array_pitch(position[left], xy[left]) == pytest.approx(40)
    assert lattice_pitch(xy[left]) > 80


def test_pitch_of_a_square_array_that_leaves_out_every_other_spot():
    position, xy = square(10, 12, 40.0)
    even = position.sum(axis=1) % 2 == 0
    assert array_pitch(position[even], xy[even]) == pytest.approx(40 * np.sqrt(2))


def test_pitch_of_oblong_steps_is_the_shorter_one():
    position, _ = square(8, 9, 1.0)
    assert array_pitch(position, position * (30.0, 50.0)) == pytest.approx(30)


def test_noise_of_an_alignment_does_not_matter():
    position, xy = hexagons(30, 20, 40.0)
    assert array_pitch(position, xy + np.random.default_rng(0).normal(0, 1, xy.shape)) == pytest.approx(40, rel=0.01)


def test_a_lost_spot_is_left_out():
    position, xy = square(6, 5, 40.0)
    xy[3], position = np.nan, position.astype(float)
    position[7, 1] = np.nan
    assert array_pitch(position, xy) == pytest.approx(40)


def test_numbers_that_are_no_array_say_nothing():
    position, xy = square(6, 5, 40.0)
    row, column = position.T
    shifted = np.column_stack([column + row % 2 / 2, row * np.sqrt(3) / 2]) * 40
    assert array_pitch(position, shifted) is None
    assert array_pitch(position + 0.25, xy) is None
    assert array_pitch(position[:5], xy[:5]) is None
    assert array_pitch(position[:0], xy[:0]) is None


def test_spots_that_touch_stand_for_the_cells_of_their_lattice():
    from spatialhist._sdata.lattice import covered_area

    column, row = (index.ravel() for index in np.meshgrid(np.arange(23.0), np.arange(14.0)))
    square = 8 * np.column_stack([column, row])
    hexagons = 8 * np.column_stack([column + row % 2 / 2, row * np.sqrt(3) / 2])
    turned = square @ np.array([[0.8, -0.6], [0.6, 0.8]]) + (100, 7)
    assert covered_area(square, 8.0) == covered_area(turned, 8.0) == pytest.approx(64)
    assert covered_area(hexagons, 8.0) == pytest.approx(64 * np.sqrt(3) / 2)
    assert covered_area(hexagons, 4.4) is None
    assert covered_area(square[:1], 8.0) is None

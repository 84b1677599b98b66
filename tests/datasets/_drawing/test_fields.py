from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.fields import interpolate, oriented_noise, sample, smooth_noise


def plane(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.indices(shape, dtype=np.float32)
    return 3 * x - 2 * y


def test_smooth_noise_is_standardized_and_smooth() -> None:
    field = smooth_noise((60, 90), 5.0, np.random.default_rng(0))
    assert field.shape == (60, 90)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-4)
    assert np.abs(np.diff(field, axis=1)).mean() < 0.25


def test_interpolate_reproduces_a_plane() -> None:
    rows, columns = np.array([0.0, 1.25, 3.5]), np.array([0.5, 2.0, 5.75, 6.0])
    expected = 3 * columns[None, :] - 2 * rows[:, None]
    np.testing.assert_allclose(interpolate(plane((5, 7)), rows, columns), expected, atol=1e-5)


def test_interpolate_holds_the_last_value_beyond_the_grid() -> None:
    assert interpolate(plane((4, 6)), np.array([0.0]), np.array([9.0])) == pytest.approx(15.0)


def test_sample_takes_points_as_x_y_in_units_of_length() -> None:
    xy = np.array([[8.0, 4.0], [2.0, 6.0]])
    np.testing.assert_allclose(sample(plane((5, 7)), xy, 2.0), [3 * 4 - 2 * 2, 3 * 1 - 2 * 3], atol=1e-5)


@pytest.mark.parametrize(("angle", "along"), [(0.0, 1), (np.pi / 2, 0)])
def test_fibers_run_along_the_angle(angle: float, along: int) -> None:
    field = oriented_noise(np.full((120, 100), angle, np.float32), 21, 0.7, np.random.default_rng(1))
    change = [np.abs(np.diff(field, axis=axis)).mean() for axis in (0, 1)]
    assert change[along] < 0.3 * change[1 - along]

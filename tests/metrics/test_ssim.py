from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from spatialhist import metrics
from spatialhist.metrics._ssim import _similarity, lattice


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and prediction of three targets on a lattice 17 wide and 12 high, spacing 40, and the centers."""
    y, x = np.mgrid[:12, :17]
    xy = np.column_stack([x.ravel(), y.ravel()]) * 40.0 + [1000.0, 200.0]
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, size=(len(xy), 3)) + x.reshape(-1, 1)
    return truth, truth + rng.standard_normal(truth.shape), xy


def test_equals_scikit_image_where_windows_are_known(maps):
    truth, predicted, xy = maps
    spot, known = lattice(xy, 40, len(xy))
    extent = np.ptp(truth, axis=0)
    ours = _similarity(truth[spot] / extent, predicted[spot] / extent, known, 7)
    for target in range(3):
        t, p = (matrix[:, target].reshape(12, 17) for matrix in (truth, predicted))
        options = {"data_range": np.ptp(t), "use_sample_covariance": False, "full": True}
        _, theirs = structural_similarity(t, p, **options)
        np.testing.assert_allclose(ours[3:-3, 3:-3, target], theirs[3:-3, 3:-3], rtol=1e-9)


def test_equals_loops_over_known_cells_of_a_tissue_with_holes(maps):
    truth, predicted, xy = maps
    keep = np.random.default_rng(1).random(len(xy)) > 0.3
    keep[[0, -1]] = True
    inside = np.flatnonzero(keep)
    cells = ((xy - xy.min(axis=0)) / 40).round()
    expected = np.zeros(3)
    for i in inside:
        near = inside[(np.abs(cells[inside] - cells[i]) <= 2).all(axis=1)]
        t, p = truth[near], predicted[near]
        c1, c2 = (0.01 * np.ptp(truth[keep], axis=0)) ** 2, (0.03 * np.ptp(truth[keep], axis=0)) ** 2
        covariance = ((t - t.mean(0)) * (p - p.mean(0))).mean(0)
        luminance = (2 * t.mean(0) * p.mean(0) + c1) / (t.mean(0) ** 2 + p.mean(0) ** 2 + c1)
        expected += luminance * (2 * covariance + c2) / (t.var(0) + p.var(0) + c2) / len(inside)
    result = metrics.ssim(truth[keep], predicted[keep], xy[keep], 40, window=5)
    np.testing.assert_allclose(result, expected, rtol=1e-9)


def test_by_hand():
    # three spots in a row, window 3, range 2: c1 = .0004, c2 = .0036; the prediction is the constant 1
    truth, predicted = np.array([[0.0], [1.0], [2.0]]), np.ones((3, 1))
    c1, c2 = 0.0004, 0.0036
    ends = [(2 * m + c1) / (m**2 + 1 + c1) * c2 / (0.25 + c2) for m in (0.5, 1.5)]
    middle = c2 / (2 / 3 + c2)
    result = metrics.ssim(truth, predicted, [[0, 0], [1, 0], [2, 0]], 1, window=3)
    np.testing.assert_allclose(result, [(sum(ends) + middle) / 3])


def test_equal_maps_are_one_and_noise_is_low(maps):
    truth, _, xy = maps
    np.testing.assert_allclose(metrics.ssim(truth, truth, xy, 40), 1)
    shuffled = np.random.default_rng(2).permutation(truth)
    assert (metrics.ssim(truth, shuffled, xy, 40) < 0.4).all()


def test_order_of_spots_and_shifts_of_the_slide_change_nothing(maps):
    truth, predicted, xy = maps
    expected = metrics.ssim(truth, predicted, xy, 40)
    order = np.random.default_rng(0).permutation(len(xy))
    result = metrics.ssim(truth[order], predicted[order], xy[order] + [7.0, -900.0], 40)
    np.testing.assert_allclose(result, expected)


def test_scattered_centers_keep_their_cells(maps):
    _, _, xy = maps
    jitter = np.random.default_rng(0).uniform(-3, 3, xy.shape)
    spot, known = lattice(xy + jitter, 40, len(xy))
    assert known.all()
    np.testing.assert_array_equal(spot.ravel(), np.arange(len(xy)))


def test_hexagonal_lattice_has_no_holes():
    row, column = np.mgrid[:20, :14]
    xy = np.column_stack([(column + 0.5 * (row % 2)).ravel(), (row * np.sqrt(3) / 2).ravel()]) * 100
    spot, known = lattice(xy, 100, len(xy))
    assert known[:, :-1].all()  # the last column lies beyond every second row
    assert np.unique(spot).size > 0.7 * len(xy)


def test_constant_truth_is_left_out(maps):
    truth, predicted, xy = maps
    truth[:, 1] = 0.1
    assert np.isnan(metrics.ssim(truth, predicted, xy, 40)).tolist() == [False, True, False]


def test_bad_arguments(maps):
    truth, predicted, xy = maps
    with pytest.raises(ValueError, match="pitch=0.4 gives a lattice of 1601 x 1101 cells for 204 spots"):
        metrics.ssim(truth, predicted, xy, 0.4)
    with pytest.raises(ValueError, match="pitch=400 gives a lattice of 3 x 2 cells"):
        metrics.ssim(truth, predicted, xy, 400)
    with pytest.raises(ValueError, match="pitch=0 must be positive"):
        metrics.ssim(truth, predicted, xy, 0)
    with pytest.raises(ValueError, match="window must be odd and at least 3, found 4"):
        metrics.ssim(truth, predicted, xy, 40, window=4)
    with pytest.raises(ValueError, match=r"204 finite spot centers \(x, y\), found shape \(3, 2\)"):
        metrics.ssim(truth, predicted, xy[:3], 40)

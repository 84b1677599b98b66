import numpy as np
import pytest
import torch
from scipy import ndimage

from spatialhist.nn._color_texture import filters


@pytest.fixture
def image():
    return torch.rand(2, 3, 17, 22, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("step", [1, 2, 4])
def test_blur_is_the_binomial_filter(image, step):
    kernel = np.zeros(4 * step + 1)
    kernel[::step] = np.array([1, 4, 6, 4, 1]) / 16
    expected = ndimage.convolve1d(
        ndimage.convolve1d(image.numpy(), kernel, -1, mode="nearest"), kernel, -2, mode="nearest"
    )
    np.testing.assert_allclose(filters.blur(image, step), expected, atol=1e-6)


def test_blur_of_a_mirrored_image_is_mirrored_to_the_bit(image):
    for axis in (-1, -2):
        assert torch.equal(filters.blur(image.flip(axis)), filters.blur(image).flip(axis))


def test_halve_averages_pairs_and_weights_odd_sides(image):
    half = filters.halve(image)
    assert half.shape == (2, 3, 9, 11)
    columns = (image[..., ::2] + image[..., 1::2]) / 2
    expected = (columns[..., 5, :] + 2 * columns[..., 6, :] + columns[..., 7, :]) / 4
    np.testing.assert_allclose(half[..., 3, :], expected, atol=1e-6)
    assert torch.equal(filters.halve(image.flip(-1, -2)), half.flip(-1, -2))


def test_gradients_of_a_plane():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    gx, gy = filters.gradients(3 * x - 2 * y)
    assert gx.shape == (4, 6)
    assert (gx == 3).all()
    assert (gy == -2).all()


def test_local_maxima_agree_with_a_maximum_filter(image):
    expected = (ndimage.maximum_filter(image.numpy(), size=(1, 1, 3, 3)) == image.numpy())[..., 1:-1, 1:-1]
    np.testing.assert_array_equal(filters.local_maxima(image), expected)


def test_a_plateau_has_no_maximum():
    assert not filters.local_maxima(torch.ones(1, 5, 6)).any()


def test_histogram_counts_per_image(image):
    index = filters.bin_numbers(image, 0.1, 0.9, 7)
    counts = filters.histogram(index, 7)
    assert counts.shape == (2, 3, 7)
    clipped = np.clip(image[1, 2].double().numpy(), 0.1, 0.9 - 1e-9)
    np.testing.assert_array_equal(counts[1, 2], np.histogram(clipped, 7, (0.1, 0.9))[0])


def test_quantiles_lie_within_a_bin_of_the_exact_ones(image):
    wanted = (0.05, 0.25, 0.5, 0.95)
    values = filters.quantiles(filters.histogram(filters.bin_numbers(image, 0, 1, 256), 256), wanted, 0.0, 1.0)
    exact = np.quantile(image.flatten(-2), wanted, axis=-1, method="inverted_cdf")
    np.testing.assert_allclose(values.movedim(-1, 0), exact, atol=1 / 256)


def test_moments(image):
    np.testing.assert_allclose(filters.mean(image), image.numpy().mean((-1, -2)), rtol=1e-5)
    np.testing.assert_allclose(filters.sd(image), image.numpy().std((-1, -2)), rtol=1e-5)

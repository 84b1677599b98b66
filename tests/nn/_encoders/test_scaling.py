import pytest
import torch
from torch.nn import functional as F

from spatialhist.nn._encoders.scaling import PixelScaling

MEAN, STD = (0.5, 0.4, 0.3), (0.1, 0.2, 0.4)


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (4, 3, 20, 26), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def standardized(pixels):
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def test_pixels_are_standardized_by_channel(tiles):
    torch.testing.assert_close(PixelScaling(MEAN, STD)(tiles), standardized(tiles.double() / 255).float())


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(10, 12), (40, 30)])
def test_resampling_is_antialiased(tiles, size, mode):
    found = PixelScaling(MEAN, STD, size=size, interpolation=mode)(tiles)
    expected = F.interpolate(tiles.double() / 255, size, mode=mode, antialias=True)
    torch.testing.assert_close(found, standardized(expected).float(), rtol=0, atol=1e-4)


def test_the_shorter_side_is_what_one_number_means(tiles):
    assert PixelScaling(MEAN, STD, size=10)(tiles).shape == (4, 3, 10, 13)


def test_the_center_is_kept(tiles):
    found = PixelScaling(MEAN, STD, crop=(8, 10))(tiles)
    torch.testing.assert_close(found, standardized(tiles[:, :, 6:14, 8:18] / 255))


def test_an_image_smaller_than_its_center_has_black_around(tiles):
    found = PixelScaling(MEAN, STD, crop=(24, 26))(tiles)
    torch.testing.assert_close(found[:, :, 2:22], PixelScaling(MEAN, STD)(tiles))
    torch.testing.assert_close(found[:, :, 0], standardized(torch.zeros(4, 3, 1, 26))[:, :, 0])


def test_whole_numbers_are_resampled_to_whole_numbers(tiles):
    found = PixelScaling((0, 0, 0), (1, 1, 1), size=(13, 11), rounded=True)(tiles) * 255
    torch.testing.assert_close(found, found.round(), rtol=0, atol=1e-4)
    smooth = PixelScaling((0, 0, 0), (1, 1, 1), size=(13, 11))(tiles) * 255
    assert 0.2 < (found - smooth).abs().max() < 1.5


@pytest.mark.parametrize("size", [(224, 224), 224])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("rounded", [False, True])
def test_it_does_what_torchvision_does(size, mode, rounded):
    v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision is not installed")
    resize = v2.Resize(size, interpolation=v2.InterpolationMode(mode), antialias=True)
    to_floats = v2.ToDtype(torch.float32, scale=True)
    steps = [resize, to_floats] if rounded else [to_floats, resize]
    reference = v2.Compose([v2.ToImage(), *steps, v2.CenterCrop(200), v2.Normalize(MEAN, STD)])
    tiles = torch.randint(0, 256, (2, 3, 250, 310), dtype=torch.uint8)
    found = PixelScaling(MEAN, STD, size=size, crop=(200, 200), interpolation=mode, rounded=rounded)(tiles)
    torch.testing.assert_close(found, reference(tiles).as_subclass(torch.Tensor), rtol=0, atol=1e-3)

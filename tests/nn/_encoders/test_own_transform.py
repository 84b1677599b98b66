import pytest
import torch
from torch.nn import functional as F

from spatialhist.nn._encoders.own_transform import OwnTransform


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (3, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def standardize(pixels):
    return (pixels.float() / 255 - 0.4) / 0.2


def first_rows(tile):
    """Of a batch it would take the first tiles."""
    return tile[:2].float()


def smaller(tile):
    """Fails on a batch."""
    channels, height, width = tile.shape
    return F.interpolate(tile[None].float(), (height // 2, width // 2), mode="bilinear", antialias=True)[0]


def against_the_tile(tile):
    return tile.float() - tile.float().mean()


@pytest.mark.parametrize(
    ("transform", "batched"), [(standardize, True), (first_rows, False), (smaller, False), (against_the_tile, False)]
)
def test_a_batch_gives_what_its_tiles_give(tiles, transform, batched):
    own = OwnTransform(transform)
    assert own.takes_batches is batched
    torch.testing.assert_close(own(tiles), torch.stack([transform(tile) for tile in tiles]), rtol=0, atol=1e-3)


def test_a_batch_is_transformed_at_once(tiles):
    calls = []
    own = OwnTransform(lambda pixels: calls.append(pixels.shape) or standardize(pixels))
    calls.clear()
    own(tiles)
    assert calls == [(3, 3, 20, 24)]


@pytest.mark.parametrize("side", [224, 300, 97])
def test_transforms_of_torchvision_run_on_batches(side):
    v2 = pytest.importorskip("torchvision.transforms.v2", reason="torchvision is not installed")
    steps = [v2.ToImage(), v2.Resize(224), v2.CenterCrop(224), v2.ToDtype(torch.float32, scale=True)]
    transform = v2.Compose([*steps, v2.Normalize((0.7, 0.6, 0.5), (0.2, 0.1, 0.3))])
    tiles = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    own = OwnTransform(transform)
    assert own.takes_batches and type(own(tiles)) is torch.Tensor
    torch.testing.assert_close(own(tiles), torch.stack([transform(t) for t in tiles]).as_subclass(torch.Tensor))

import pytest
import torch

from spatialhist.nn import augment


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (64, 3, 5, 5), dtype=torch.uint8, generator=generator(9))


def symmetries(tile):
    return [turned.flip(axes) for turned in (tile.rot90(k, (1, 2)) for k in range(4)) for axes in ((), (1,))]


def test_every_tile_becomes_one_of_its_eight_symmetries(tiles):
    out = augment(tiles, generator(), stain_jitter=0)
    found = [[torch.equal(b, s) for s in symmetries(a)].index(True) for a, b in zip(tiles, out, strict=True)]
    assert set(found) == set(range(8))


def test_flips_alone_keep_the_axes(tiles):
    wide = tiles[..., :3]
    out = augment(wide, generator(), turns=False, stain_jitter=0)
    for before, after in zip(wide, out, strict=True):
        assert any(torch.equal(after, before.flip(axes)) for axes in ((), (1,), (2,), (1, 2)))


def test_same_generator_state_gives_the_same_tiles(tiles):
    assert torch.equal(augment(tiles, generator(1)), augment(tiles, generator(1)))
    assert not torch.equal(augment(tiles, generator(1)), augment(tiles, generator(2)))


def test_stain_jitter_scales_optical_density_per_channel():
    tiles = torch.tensor([255, 128, 64, 32], dtype=torch.uint8).expand(1, 3, 1, 4).contiguous()
    out = augment(tiles, generator(4), flips=False, turns=False, stain_jitter=0.2)
    for channel in range(3):
        density = -torch.log(out[0, channel, 0].double() / 255)
        steps = density.diff()[1:]
        assert steps[0].item() == pytest.approx(steps[1].item(), abs=0.05)
    assert not torch.equal(out[:, 0], out[:, 1])


def test_nothing_asked_for_gives_a_copy(tiles):
    out = augment(tiles, generator(), flips=False, turns=False, stain_jitter=0)
    assert torch.equal(out, tiles)
    out.zero_()
    assert tiles.any()


def test_jitter_is_unbiased_and_moderate():
    tiles = torch.full((500, 3, 2, 2), 120, dtype=torch.uint8)
    out = augment(tiles, generator(), stain_jitter=0.05).float()
    assert out.mean().item() == pytest.approx(120, abs=1)
    assert 2 < out[:, 0, 0, 0].std().item() < 10


@pytest.mark.parametrize(
    ("tiles", "options", "error", "message"),
    [
        (torch.rand(1, 3, 4, 4), {}, TypeError, "float32; augmentation needs torch.uint8"),
        (torch.zeros(1, 3, 4, 6, dtype=torch.uint8), {}, ValueError, "4 x 6 pixels cannot be turned"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), {"stain_jitter": -1.0}, ValueError, "stain_jitter=-1.0"),
    ],
)
def test_errors(tiles, options, error, message):
    with pytest.raises(error, match=message):
        augment(tiles, generator(), **options)

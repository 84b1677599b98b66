"""Networks of transformers by their repository on Hugging Face."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from spatialhist.nn._encoders.access import access_to
from spatialhist.nn._encoders.building import own_random_numbers
from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.scaling import PixelScaling

POOLINGS = ("cls", "mean")
INTERPOLATION = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""By their numbers in Pillow."""


def transformers_network(name: str) -> FrozenEncoder:
    """Load ``REPO:cls`` or ``REPO:mean``: the class token, or the mean over the patches.

    Raises
    ------
    ValueError
        If the name does not say how tokens are pooled, or the repository runs code of its own.
    """
    repository, _, pooling = name.rpartition(":")
    if pooling not in POOLINGS or not repository:
        bare = name.rstrip(":")
        raise ValueError(
            f"encoder 'hf:{name}' does not say how tokens become one row: 'hf:{bare}:cls' takes the class token, "
            f"'hf:{bare}:mean' the mean over the patches"
        )
    try:
        from transformers import AutoModel
        from transformers.image_processing_base import ImageProcessingMixin
    except ImportError as error:
        raise ImportError(f"Encoder 'hf:{name}' needs transformers: pip install spatialhist[encoders]") from error
    with access_to(f"hf:{name}", f"huggingface.co/{repository}"), own_random_numbers():
        network = AutoModel.from_pretrained(repository)
        config, _ = ImageProcessingMixin.get_image_processor_dict(repository)
    scaling, side = processor_scaling(config)
    # of networks for text and images, the half that takes images
    pooled = PooledTokens(getattr(network, "vision_model", network), pooling)
    return FrozenEncoder(pooled, prepare=scaling, pixels=side, trained_on=f"what huggingface.co/{repository} states")


def processor_scaling(config: Mapping[str, Any]) -> tuple[PixelScaling, int | None]:
    """Prepare tiles as an image processor does, and the side of tiles that it does not resample.

    Raises
    ------
    ValueError
        If it resamples in a way that torch cannot.
    """
    size = _size(config.get("size")) if config.get("do_resize") else None
    crop = _size(config.get("crop_size")) if config.get("do_center_crop") else None
    resample = config.get("resample", 2)
    if size is not None and resample not in INTERPOLATION:
        raise ValueError(
            f"its image processor resamples by method {resample} of Pillow: torch has {sorted(INTERPOLATION)}"
        )
    # in units of 1/255, which is where scaling starts from
    unit = 255 * config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 255.0
    normalized = config.get("do_normalize", True)
    scaling = PixelScaling(
        [value / unit for value in (config["image_mean"] if normalized else (0, 0, 0))],
        [value / unit for value in (config["image_std"] if normalized else (1, 1, 1))],
        size=size,
        crop=(crop, crop) if isinstance(crop, int) else crop,
        interpolation=INTERPOLATION.get(resample, "bilinear"),
        rounded=True,
    )
    sides = [side for side in (size, crop) if side is not None]
    return scaling, max(sides[0] if isinstance(sides[0], tuple) else (sides[0],)) if sides else None


def _size(stated: Any) -> tuple[int, int] | int | None:
    """Height and width, or the shorter side alone."""
    if not isinstance(stated, Mapping):
        return stated
    return stated["shortest_edge"] if "shortest_edge" in stated else (stated["height"], stated["width"])


class PooledTokens(nn.Module):
    """Make one row of the hidden states of a network.

    Parameters
    ----------
    network
        Returns an object with ``last_hidden_state``: tokens ``(B, N, F)``, or a map ``(B, F, H, W)``.
    pooling
        ``"cls"`` or ``"mean"``.
    """

    def __init__(self, network: nn.Module, pooling: str) -> None:
        super().__init__()
        self.network, self.pooling = network, pooling

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = self.network(pixel_values=pixels).last_hidden_state
        tokens = hidden if hidden.ndim == 3 else hidden.flatten(2).transpose(1, 2)
        others = self._others(tokens.shape[1], pixels.shape[-2:])
        if self.pooling == "mean":
            return tokens[:, others:].mean(dim=1)
        if not others:
            raise ValueError(f"{type(self.network).__name__} has no class token: take the mean, 'hf:REPO:mean'")
        return tokens[:, 0]

    def _others(self, n_tokens: int, sides: torch.Size) -> int:
        """Tokens before those of the patches: the class token and registers."""
        patch = getattr(self.network.config, "patch_size", None)
        if patch is None:
            return 0
        patches = patch if isinstance(patch, list | tuple) else (patch, patch)
        return max(0, n_tokens - math.prod(side // p for side, p in zip(sides, patches, strict=True)))

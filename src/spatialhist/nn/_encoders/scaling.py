"""From the pixels of tiles to the numbers that a pretrained network takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class PixelScaling(nn.Module):
    """Turn ``uint8`` tiles into standardized floats of the size a pretrained network was trained on.

    Parameters
    ----------
    mean, std
        Per channel, on the scale [0, 1].
    size
        Height and width to resample to; ``None`` keeps the tiles' own.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], *, size: Sequence[int] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.size = None if size is None else tuple(size)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Map ``uint8`` ``(B, 3, H, W)`` to ``float32`` ``(B, 3, *size)``, laid out as convolutions are fastest."""
        pixels = tiles.float() / 255
        if self.size not in (None, tuple(pixels.shape[-2:])):
            # shrinking without a low-pass filter would show grain that the network has never seen
            pixels = F.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

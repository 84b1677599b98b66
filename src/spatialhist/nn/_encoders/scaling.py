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
        Height and width to resample to, or the length of the shorter side; ``None`` keeps the tiles' own.
    crop
        Height and width of the center that is kept.
    interpolation
        ``"bilinear"``, ``"bicubic"`` or ``"nearest"``.
    rounded
        Resample to whole numbers, as image processors do that resample before they scale.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        size: Sequence[int] | int | None = None,
        crop: Sequence[int] | None = None,
        interpolation: str = "bilinear",
        rounded: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.size = size if size is None or isinstance(size, int) else tuple(size)
        self.crop = None if crop is None else tuple(crop)
        self.interpolation, self.rounded = interpolation, rounded

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Map ``uint8`` ``(B, 3, H, W)`` to ``float32`` ``(B, 3, *size)``, laid out as convolutions are fastest."""
        pixels = self._cropped(self._resampled(tiles)).float() / 255
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _resampled(self, tiles: torch.Tensor) -> torch.Tensor:
        size = self._size_of(tiles)
        if size == tuple(tiles.shape[-2:]):
            return tiles
        # on other devices whole numbers cannot be resampled, which gives the same but for rounding
        whole = self.rounded and tiles.device.type == "cpu"
        # shrinking without a low-pass filter would show grain that the network has never seen
        smooth = {} if self.interpolation == "nearest" else {"antialias": True}
        pixels = F.interpolate(tiles if whole else tiles.float(), size, mode=self.interpolation, **smooth)
        return pixels.round().clamp(0, 255) if self.rounded and not whole else pixels

    def _size_of(self, pixels: torch.Tensor) -> tuple[int, ...]:
        height, width = pixels.shape[-2:]
        if isinstance(self.size, int):
            shorter = min(height, width)
            return self.size * height // shorter, self.size * width // shorter
        return self.size or (height, width)

    def _cropped(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.crop is None:
            return pixels
        spare = [have - want for have, want in zip(pixels.shape[-2:], self.crop, strict=True)]
        # zeros stand beside an image that is smaller than what is kept of it
        # half a pixel goes to the even side, as in torchvision
        before = [round(s / 2) if s > 0 else s // 2 for s in spare]
        after = [s - b for s, b in zip(spare, before, strict=True)]
        return F.pad(pixels, (-before[1], -after[1], -before[0], -after[0]))

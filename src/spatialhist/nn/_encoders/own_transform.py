"""A model's own transform, for batches of tiles on any device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

TOLERANCE = 1e-3
"""Between a batch and its tiles one by one, in units of what a network takes."""


class OwnTransform(nn.Module):
    """Apply the transform of a model to ``uint8`` tiles: to the batch where that is the same, else tile by tile.

    Parameters
    ----------
    transform
        Maps a ``uint8`` tile ``(3, H, W)`` to what the network takes, as those of torchvision do.
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.transform = transform
        self.takes_batches = _takes_batches(transform)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Map ``(B, 3, H, W)`` to what the network takes, on the device of the tiles."""
        if self.takes_batches or not len(tiles):
            return _plain(self.transform(tiles))
        return torch.stack([_plain(self.transform(tile)) for tile in tiles])


def _takes_batches(transform: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Whether a batch gives what its tiles give; tried on tiles of a side that has to be resampled."""
    tiles = torch.randint(0, 256, (2, 3, 97, 97), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    single = torch.stack([_plain(transform(tile)) for tile in tiles])
    try:
        batch = _plain(transform(tiles))
    # what is written for one image fails in its own way
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False
    return batch.shape == single.shape and bool(torch.allclose(batch, single, rtol=0, atol=TOLERANCE))


def _plain(image: Any) -> torch.Tensor:
    """Take off the subclass of torchvision, which every layer of a network would carry on."""
    return image.as_subclass(torch.Tensor)

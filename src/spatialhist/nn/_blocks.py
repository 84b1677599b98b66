from __future__ import annotations

from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

Norm = Literal["batch", "group"]
# of group normalization, or the largest number below that divides the channels
GROUPS = 8


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with normalization and SiLU, added to a shortcut.

    The activation comes before the sum; the shortcut is a normalized 1x1 convolution where the number of channels
    changes and the identity elsewhere.

    Parameters
    ----------
    n_in, n_out
        Number of input and output channels.
    norm
        ``"batch"`` or ``"group"`` (up to 8 groups).
    """

    def __init__(self, n_in: int, n_out: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_norm_silu(n_in, n_out, norm), *conv_norm_silu(n_out, n_out, norm))
        self.shortcut = (
            nn.Identity() if n_in == n_out else nn.Sequential(nn.Conv2d(n_in, n_out, 1), norm_layer(norm, n_out))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, n_in, H, W)`` to ``(B, n_out, H, W)``."""
        return self.body(x) + self.shortcut(x)


class MultiScalePool(nn.Module):
    """Concatenate adaptive average pools of several sizes into one vector per image.

    Parameters
    ----------
    sizes
        Side lengths of the pooled grids.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(size) for size in sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, H, W)`` to ``(B, C * sum(size ** 2))``."""
        return torch.cat([pool(x).flatten(1) for pool in self.pools], dim=1)


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Return the 2-D normalization layer named `norm`."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        # group normalization needs groups that divide the channels evenly
        return nn.GroupNorm(gcd(GROUPS, channels), channels)
    raise ValueError(f"norm={norm!r} is unknown; choose 'batch' or 'group'.")


def conv_norm_silu(n_in: int, n_out: int, norm: Norm) -> list[nn.Module]:
    """Return a 3x3 convolution that keeps the size, its normalization and a SiLU."""
    return [nn.Conv2d(n_in, n_out, 3, padding=1), norm_layer(norm, n_out), nn.SiLU()]


def dense(sizes: Sequence[int], *, dropout: float) -> nn.Sequential:
    """Return dropout, linear and LeakyReLU(0.01) for every step from one size to the next."""
    steps = [[nn.Dropout(dropout), nn.Linear(n_in, n_out), nn.LeakyReLU(0.01)] for n_in, n_out in pairwise(sizes)]
    return nn.Sequential(*(layer for step in steps for layer in step))

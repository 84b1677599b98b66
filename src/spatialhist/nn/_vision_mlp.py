from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from spatialhist.nn._blocks import MultiScalePool, Norm, ResidualBlock, conv_norm_silu, dense
from spatialhist.nn._tiles import center_subtile, split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

BRANCHES = ("tile", "subtiles", "center")
# the branches halve a tile three times and a subtile twice, and a pixel has to be left
SMALLEST_TILE = 8
SMALLEST_SUBTILE = 4


class VisionMLPMultiTask(nn.Module):
    """Three convolutional branches over a tile, joined by a decoder that predicts all targets at once.

    The branches see the whole tile, the mean of its subtiles, and the center subtile.

    Parameters
    ----------
    n_outputs
        Number of targets.
    tile_dim
        Length of the tile branch's output.
    subtile_dim
        Length of the output of the subtile branch and of the center branch.
    grid
        Subtiles along each side of a tile.
    width
        Channels of the first convolution; every other convolution and the hidden layers of the branches scale with it.
    norm
        ``"batch"``, or ``"group"`` for normalization that does not depend on the other tiles of the batch.
    dropout
        Share of inputs dropped before each linear layer.
    branches
        Which branches to build, of ``"tile"``, ``"subtiles"`` and ``"center"``; always joined in this order.

    Raises
    ------
    ValueError
        If a branch or `norm` is unknown, or a tile given to the network is too small for its pooling steps.

    Notes
    -----
    With the defaults, 35 outputs and any tile size the network has 6,679,843 parameters. All pooling at the ends of
    the branches is adaptive, so tiles of any size from 8 pixels pass, 4 per subtile (12 pixels at ``grid=3``).

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import VisionMLPMultiTask
    >>> network = VisionMLPMultiTask(5, width=8)
    >>> network(torch.zeros(2, 3, 78, 78, dtype=torch.uint8)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_outputs: int,
        *,
        tile_dim: int = 128,
        subtile_dim: int = 128,
        grid: int = 3,
        width: int = 32,
        norm: Norm = "batch",
        dropout: float = 0.1,
        branches: Sequence[str] = BRANCHES,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.branches = _ordered(branches)
        dims = {"tile": tile_dim, "subtiles": subtile_dim, "center": subtile_dim}
        self.encoders = nn.ModuleDict(
            {
                name: _tile_branch(dims[name], width, norm, dropout)
                if name == "tile"
                else _subtile_branch(dims[name], width, norm, dropout)
                for name in self.branches
            }
        )
        hidden = dense((sum(dims[name] for name in self.branches), 256, 128, 64), dropout=dropout)
        self.decoder = nn.Sequential(*hidden, nn.Dropout(dropout), nn.Linear(64, n_outputs))

    def forward(self, tile: torch.Tensor) -> torch.Tensor:
        """Predict the targets of a batch of tiles.

        Parameters
        ----------
        tile
            Tiles of shape ``(B, 3, H, W)``: ``uint8``, or floating point in [0, 1].

        Returns
        -------
        torch.Tensor
            Predictions of shape ``(B, n_outputs)``.
        """
        tile = scale_pixels(tile)
        self._check_size(tile)
        return self.decoder(torch.cat([self._encode(name, tile) for name in self.branches], dim=1))

    def _encode(self, branch: str, tile: torch.Tensor) -> torch.Tensor:
        encoder = self.encoders[branch]
        if branch == "tile":
            return encoder["head"](encoder["features"](tile))
        if branch == "center":
            return encoder["head"](encoder["features"](center_subtile(tile, self.grid)))
        # subtiles are one batch for the convolutions, and their features are averaged tile by tile
        features = encoder["features"](split_tiles(tile, self.grid).flatten(0, 1))
        return encoder["head"](features.unflatten(0, (len(tile), -1)).mean(dim=1))

    def _check_size(self, tile: torch.Tensor) -> None:
        smallest = SMALLEST_TILE if self.branches == ("tile",) else max(SMALLEST_TILE, SMALLEST_SUBTILE * self.grid)
        if min(tile.shape[-2:]) < smallest:
            size = " x ".join(map(str, tile.shape[-2:]))
            raise ValueError(f"Tiles of {size} pixels are too small for grid={self.grid}: {smallest} are needed.")


def scale_pixels(tile: torch.Tensor) -> torch.Tensor:
    """Return integer pixels as floats in [0, 1] on their own device; floats pass unchanged."""
    return tile if tile.is_floating_point() else tile.float() / 255


def _ordered(branches: Sequence[str]) -> tuple[str, ...]:
    unknown = set(branches) - set(BRANCHES)
    if unknown or not branches:
        raise ValueError(f"branches={tuple(branches)} must name at least one of {BRANCHES} and nothing else.")
    return tuple(name for name in BRANCHES if name in branches)


def _tile_branch(dim: int, width: int, norm: Norm, dropout: float) -> nn.ModuleDict:
    features = nn.Sequential(
        *_stem(width, norm),
        *_stage(width, 2 * width, norm),
        nn.MaxPool2d(2),
        *_stage(2 * width, 4 * width, norm),
        nn.MaxPool2d(2),
        *_stage(4 * width, 8 * width, norm),
        MultiScalePool((1, 3)),
    )
    return nn.ModuleDict(
        # 8 width channels in 1 + 9 cells of the pools
        {"features": features, "head": dense((80 * width, 16 * width, 8 * width, dim), dropout=dropout)}
    )


def _subtile_branch(dim: int, width: int, norm: Norm, dropout: float) -> nn.ModuleDict:
    features = nn.Sequential(
        *_stem(width, norm),
        *_stage(width, 2 * width, norm),
        nn.MaxPool2d(2),
        *_stage(2 * width, 4 * width, norm),
        MultiScalePool((1, 2, 3)),
    )
    # 4 width channels in 1 + 4 + 9 cells of the pools
    return nn.ModuleDict({"features": features, "head": dense((56 * width, 8 * width, dim), dropout=dropout)})


def _stem(width: int, norm: Norm) -> list[nn.Module]:
    return [*conv_norm_silu(3, width, norm), nn.MaxPool2d(2)]


def _stage(n_in: int, n_out: int, norm: Norm) -> list[nn.Module]:
    return [ResidualBlock(n_in, n_out, norm=norm), ResidualBlock(n_out, n_out, norm=norm)]

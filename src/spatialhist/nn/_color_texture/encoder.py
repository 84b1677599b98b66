from __future__ import annotations

import torch
from torch import nn

from spatialhist.nn._color_texture.color import (
    Features,
    chromaticity_features,
    correlation_features,
    distribution_features,
    fraction_features,
    stain_planes,
)
from spatialhist.nn._color_texture.nuclei import layout_features, lumen_features, nuclei_features
from spatialhist.nn._color_texture.texture import (
    cooccurrence_features,
    direction_features,
    lag_features,
    local_pattern_features,
    pyramid_features,
)

# the longest lag is 8 pixels, and the last of four levels of the pyramid has an eighth of the side
SMALLEST_TILE = 16
# tiles are worked on in batches that stay in the processor's cache
PIXELS_AT_ONCE = 2**17


class ColorTexture(nn.Module):
    """Weight-free encoder: color, stain, nuclear and texture statistics of a tile.

    The features describe the colors and the fixed hematoxylin-eosin separation (distributions, correlations, hue,
    shares of white and of stain-dominated pixels), nuclei (area, chord, density, stain, clustering), white regions,
    the coarse layout of the tile, and texture (pyramid bands, structure tensor, variogram, local binary patterns,
    co-occurrence). Names are in `feature_names`.

    Raises
    ------
    TypeError
        If the tiles are not ``uint8``.
    ValueError
        If the tiles are not ``(B, 3, H, W)`` with sides of at least 16 pixels.

    Notes
    -----
    Nothing is fitted or random. The features of a tile do not depend on the other tiles of the batch, to the bit, and
    change under mirroring and quarter turns by rounding only. Lengths are in pixels: compare tiles with one
    field of view and one size in pixels.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import ColorTexture
    >>> encoder = ColorTexture()
    >>> tiles = torch.full((2, 3, 64, 64), 200, dtype=torch.uint8)
    >>> encoder(tiles).shape[1] == len(encoder.feature_names)
    True
    """

    # raise it whenever the value of any feature changes: cached features are told apart by it
    version = 2

    def __init__(self) -> None:
        super().__init__()
        blank = torch.zeros((1, 3, SMALLEST_TILE, SMALLEST_TILE), dtype=torch.uint8)
        self.feature_names = tuple(_features(blank))

    @property
    def pixels(self) -> int:
        """Side of the tiles that it was made for."""
        return 64

    @property
    def um_per_pixel(self) -> None:
        """None, because its statistics are the same at every scale."""
        return None

    @property
    def dimension(self) -> int:
        """Number of features of a tile."""
        return len(self.feature_names)

    @torch.no_grad()
    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Compute the features of a batch of tiles.

        Parameters
        ----------
        tiles
            ``uint8`` tiles of shape ``(B, 3, H, W)``.

        Returns
        -------
        torch.Tensor
            ``float32`` features of shape ``(B, len(feature_names))`` on the tiles' device.
        """
        _check_tiles(tiles)
        if len(tiles) == 0:
            return torch.zeros((0, len(self.feature_names)), device=tiles.device)
        return torch.cat([torch.stack(list(_features(part).values()), dim=1) for part in self.pieces(tiles)])

    def pieces(self, tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Parts of a batch that are worked on one after the other, small enough for the processor's cache.

        Parameters
        ----------
        tiles
            ``uint8`` tiles of shape ``(B, 3, H, W)``.

        Returns
        -------
        tuple[torch.Tensor, ...]
            Views of the batch, in its order.
        """
        return tiles.split(max(1, PIXELS_AT_ONCE // (tiles.shape[-2] * tiles.shape[-1])))


def _features(tiles: torch.Tensor) -> Features:
    planes = stain_planes(tiles)
    return {
        **distribution_features(planes),
        **correlation_features(planes),
        **chromaticity_features(planes),
        **fraction_features(planes),
        **nuclei_features(planes),
        **lumen_features(planes),
        **layout_features(planes),
        **pyramid_features(planes),
        **direction_features(planes),
        **lag_features(planes),
        **local_pattern_features(tiles),
        **cooccurrence_features(planes),
    }


def _check_tiles(tiles: torch.Tensor) -> None:
    if tiles.dtype != torch.uint8:
        raise TypeError(f"Tiles are {tiles.dtype}; the color and texture features need torch.uint8 (0 to 255).")
    if tiles.ndim != 4 or tiles.shape[1] != 3 or min(tiles.shape[2:]) < SMALLEST_TILE:
        needed = f"(B, 3, H, W) with H and W of at least {SMALLEST_TILE}"
        raise ValueError(f"Tiles have shape {tuple(tiles.shape)}; they must be {needed}.")

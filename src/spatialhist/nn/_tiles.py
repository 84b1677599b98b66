from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def split_tiles(tile: torch.Tensor, grid: int) -> torch.Tensor:
    """Cut tiles into ``grid * grid`` equal subtiles, row by row.

    Parameters
    ----------
    tile
        Tiles of shape ``(B, C, H, W)``. Where the sides are no multiples of `grid`, the centered region that is one is
        cut: up to ``grid - 1`` pixels are left out, the odd one at the bottom and right.
    grid
        Subtiles along each side.

    Returns
    -------
    torch.Tensor
        Subtiles of shape ``(B, grid * grid, C, H // grid, W // grid)``; the center one has index ``grid * grid // 2``.

    Raises
    ------
    ValueError
        If `grid` is smaller than 1 or larger than a side of the tile.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import split_tiles
    >>> split_tiles(torch.zeros(2, 3, 78, 78), 3).shape
    torch.Size([2, 9, 3, 26, 26])
    """
    return subtile_view(tile, grid).flatten(1, 2)


def center_subtile(tile: torch.Tensor, grid: int) -> torch.Tensor:
    """Return subtile ``grid * grid // 2`` of `split_tiles` as a view of shape ``(B, C, H // grid, W // grid)``."""
    row, column = divmod(grid * grid // 2, grid)
    return subtile_view(tile, grid)[:, row, column]


def subtile_view(tile: torch.Tensor, grid: int) -> torch.Tensor:
    """Return the subtiles as a view of shape ``(B, grid, grid, C, h, w)``, without a copy."""
    height, width = tile.shape[-2:]
    if not 1 <= grid <= min(height, width):
        raise ValueError(
            f"grid={grid} does not fit tiles of {height} x {width} pixels; choose 1 to {min(height, width)}."
        )
    h, w = height // grid, width // grid
    top, left = (height - h * grid) // 2, (width - w * grid) // 2
    region = tile[..., top : top + h * grid, left : left + w * grid]
    return region.unfold(2, h, h).unfold(3, w, w).permute(0, 2, 3, 1, 4, 5)

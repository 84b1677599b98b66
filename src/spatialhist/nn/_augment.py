from __future__ import annotations

import torch

# natural logarithm of 255: a white pixel has a density of 0
LOG_255 = 5.541263545158426


def augment(
    tiles: torch.Tensor,
    generator: torch.Generator,
    *,
    flips: bool = True,
    turns: bool = True,
    stain_jitter: float = 0.05,
) -> torch.Tensor:
    """Mirror, turn and restain each tile of a batch at random.

    Parameters
    ----------
    tiles
        ``uint8`` tiles of shape ``(B, 3, H, W)``. Subtiles cut afterwards share the change of their tile.
    generator
        Source of randomness, on the CPU; the same state gives the same changes on every device.
    flips
        Mirror each axis with probability one half.
    turns
        Turn by 0, 90, 180 or 270 degrees; needs square tiles.
    stain_jitter
        Standard deviation of the factor on each channel's optical density, and a fifth of it of the density added;
        0 leaves the colors as they are. The factor is at least 0.

    Returns
    -------
    torch.Tensor
        New ``uint8`` tiles of the same shape.

    Raises
    ------
    TypeError
        If the tiles are not ``uint8``.
    ValueError
        If `turns` is asked for and the tiles are not square, or `stain_jitter` is negative.

    Notes
    -----
    Colors change as ``density * factor + shift`` per tile and channel (after Tellez et al. 2018): a factor changes
    the amount of stain and leaves glass white, the small shift stands for the lamp.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import augment
    >>> tiles = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    >>> augment(tiles, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 8, 8])
    """
    _check(tiles, turns, stain_jitter)
    if flips:
        for axis in (2, 3):
            tiles = torch.where(_coin(len(tiles), generator, tiles.device), tiles.flip(axis), tiles)
    if turns:
        # a coin for 90 and one for 180 degrees: the four turns are equally likely
        tiles = torch.where(_coin(len(tiles), generator, tiles.device), tiles.rot90(1, (2, 3)), tiles)
        tiles = torch.where(_coin(len(tiles), generator, tiles.device), tiles.flip(2, 3), tiles)
    if stain_jitter:
        tiles = _restain(tiles, generator, stain_jitter)
    # a caller may write into what it gets, without changing the tiles that it passed
    return tiles.clone() if not (flips or turns or stain_jitter) else tiles


def _check(tiles: torch.Tensor, turns: bool, stain_jitter: float) -> None:
    if tiles.dtype != torch.uint8:
        raise TypeError(f"Tiles are {tiles.dtype}; augmentation needs torch.uint8 (0 to 255).")
    if turns and tiles.shape[-1] != tiles.shape[-2]:
        size = " x ".join(map(str, tiles.shape[-2:]))
        raise ValueError(f"Tiles of {size} pixels cannot be turned by 90 degrees; pass turns=False.")
    if stain_jitter < 0:
        raise ValueError(f"stain_jitter={stain_jitter} is negative; it is a standard deviation.")


def _coin(n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    # drawn where the generator lives, so that every device gets the same numbers
    return (torch.rand(n, generator=generator) < 0.5).to(device)[:, None, None, None]


def _restain(tiles: torch.Tensor, generator: torch.Generator, jitter: float) -> torch.Tensor:
    noise = torch.randn((2, len(tiles), 3, 1, 1), generator=generator)
    # below 0 the densest tissue would come out lightest
    factor = (1 + jitter * noise[0]).clamp(min=0).to(tiles.device)
    shift = (0.2 * jitter * noise[1]).to(tiles.device)
    # black counts as 1 of 255: its logarithm would be infinite
    density = LOG_255 - tiles.float().clamp(min=1).log()
    return (LOG_255 - (density * factor + shift)).exp().round().clamp(0, 255).to(torch.uint8)

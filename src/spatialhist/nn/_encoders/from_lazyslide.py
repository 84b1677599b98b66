"""Models of the package lazyslide-models, each with its own transform and pooling."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from spatialhist.nn._encoders.access import access_to
from spatialhist.nn._encoders.building import own_random_numbers
from spatialhist.nn._encoders.catalog import Named, find_named, letters, near_names
from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.own_transform import OwnTransform

PIXELS = 224
"""Side of the tiles of models that are in the registry and not in our catalog: the input of most of them."""


def lazyslide_model(name: str) -> FrozenEncoder:
    """Load a model of the registry, by our name or by the registry's."""
    registry = _registry(name)
    key = _key(name, registry)
    entry = find_named(key) or _stated(key, registry[key])
    with access_to(name, entry.weights, gated=entry.gated):
        model = _built(registry[key])
    transform = model.get_transform()
    return FrozenEncoder(
        LazySlideNetwork(key, model),
        prepare=None if transform is None else OwnTransform(transform),
        pixels=entry.pixels,
        um_per_pixel=entry.um_per_pixel,
        dimension=entry.dimension,
        trained_on=f"what {entry.weights} states",
    )


def _registry(name: str) -> Mapping[str, Any]:
    """Models by name; they are a package of their own since LazySlide 0.13."""
    try:
        from lazyslide_models import MODEL_REGISTRY
    except ImportError:
        try:
            from lazyslide.models import MODEL_REGISTRY
        except ImportError as error:
            raise ImportError(f"Encoder {name!r} needs lazyslide-models: pip install spatialhist[encoders]") from error
    return MODEL_REGISTRY


def _key(name: str, registry: Mapping[str, Any]) -> str:
    by_letters = {letters(key): key for key in registry}
    if letters(name) in by_letters:
        return by_letters[letters(name)]
    near = near_names(name, registry)
    known = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(sorted(registry))}"
    raise ValueError(f"lazyslide-models has no model {name!r}: {known}")


def _stated(key: str, model: Any) -> Named:
    """What the registry says of a model that is younger than the catalog."""
    weights = str(getattr(model, "hf_url", None) or "huggingface.co").removeprefix("https://")
    gated = bool(getattr(model, "is_gated", False))
    return Named(
        key, getattr(model, "encode_dim", None), PIXELS, None, str(getattr(model, "license", "")), gated, weights
    )


def _built(entry: Any) -> Any:
    # before 0.9 the registry held cards that name the class
    build = getattr(entry, "module", entry)
    with own_random_numbers(), warnings.catch_warnings():
        # of a normalization that earlier releases did
        warnings.filterwarnings("ignore", message="As from v0.8.2")
        return build()


class LazySlideNetwork(nn.Module):
    """Apply the ``encode_image`` of a model; its networks are registered, so that they move between devices.

    Parameters
    ----------
    key
        Name of the model in the registry.
    model
        Has ``encode_image``, and networks as attributes.
    """

    def __init__(self, key: str, model: Any) -> None:
        super().__init__()
        self.key, self.model = key, model
        self.networks = nn.ModuleDict({k: v for k, v in vars(model).items() if isinstance(v, nn.Module)})

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, and of what says how they are used; tokenizers and the like show nothing that can be hashed."""
        facts = [self.key, type(self.model).__qualname__, *map(_release, ("lazyslide-models", "transformers", "timm"))]
        digest = hashlib.sha256("\n".join(facts).encode())
        for name, tensor in self.networks.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            # as bytes, since numpy has no numbers of 16 bits as networks use them
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def train(self, mode: bool = True) -> LazySlideNetwork:
        """Stay in evaluation mode."""
        self.training = False
        for network in self.networks.values():
            # exported networks know one mode only, that of evaluation
            with contextlib.suppress(NotImplementedError):
                network.train(False)
        return self

    def forward(self, tiles: torch.Tensor) -> Any:
        return self.model.encode_image(tiles)


def _release(package: str) -> str:
    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return ""

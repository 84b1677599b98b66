"""The same numbers whatever computes them, and a word when they move."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import golden
import numpy as np
import pytest
import spatialdata as sd
import torch
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import FeatureNetwork, Ridge
from spatialhist.tl._predictors import short_training as _short_training
from spatialhist.tl._predictors import training as _training

TOLERANCE = 2e-3
"""Between processors and releases of numpy and torch; a change of method moves scores by more."""
SPREAD = 0.02
"""Share of the spread of predictions within slides that mixed precision, or another device, may change."""


def head(**options) -> FeatureNetwork:
    return FeatureNetwork(**{"members": 1, "epochs": 2, "batch": 32, "dim": 8, "accelerator": "cpu"} | options)


def apart(values: np.ndarray, reference: np.ndarray, slide: np.ndarray) -> float:
    """Root mean square of the difference, in spreads within slides of the last model."""
    known = ~np.isnan(reference[-1]).any(axis=0)
    one, other = reference[-1][:, known], values[-1][:, known]
    spread = np.mean([one[slide == s].var(axis=0) for s in np.unique(slide)])
    return float(np.sqrt(((other - one) ** 2).mean() / spread))


def out_of_fold(sdata: sd.SpatialData, **options) -> np.ndarray:
    options = {"models": [Ridge(components=6), head()], "genes": 6, "groups": "patient"} | FAST | options
    sh.tl.cross_validate(sdata, **options)
    return np.stack([sdata["table"].layers[f"oof_{m.name}"] for m in options["models"]])


@pytest.fixture(scope="module")
def cohort():
    return draw_cohort(1, signal=0.8, n_slides=2, n_genes=8)


@pytest.fixture(scope="module")
def reference(cohort):
    return out_of_fold(cohort)


def test_twice_the_same_bytes(cohort, reference):
    assert out_of_fold(cohort).tobytes() == reference.tobytes()


def test_threads_agree(cohort, reference):
    np.testing.assert_allclose(out_of_fold(cohort, threads=2), reference, rtol=1e-3, atol=1e-4)


def test_mixed_precision_agrees(cohort, reference, monkeypatch):
    """With bfloat16, which rounds eight times coarser than the float16 of a CUDA device."""
    monkeypatch.setattr(_short_training, "_on_cpu", lambda accelerator: False)
    monkeypatch.setattr(_training, "_precision", lambda accelerator: "bf16-mixed")
    assert 0 < apart(out_of_fold(cohort), reference, cohort["table"].obs["region"]) < SPREAD


@pytest.mark.parametrize("accelerator", ["cuda", "mps"])
def test_another_device_agrees(cohort, accelerator):
    if not {"cuda": torch.cuda, "mps": torch.backends.mps}[accelerator].is_available():
        pytest.skip(f"no {accelerator} here")
    # dropout draws from the generator of its device
    here, there = (out_of_fold(cohort, models=[head(dropout=0.0, accelerator=a)]) for a in ("cpu", accelerator))
    assert apart(there, here, cohort["table"].obs["region"]) < SPREAD


def test_a_store_gives_the_same_bytes_as_memory(cohort, reference, tmp_path):
    cohort.write(tmp_path / "a.zarr")
    assert out_of_fold(sd.read_zarr(tmp_path / "a.zarr")).tobytes() == reference.tobytes()


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_other_processes_give_the_same_bytes(cohort, reference, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert out_of_fold(cohort, executor=pool).tobytes() == reference.tobytes()


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_batches_of_the_encoder_agree(cohort, batch):
    spec, xy = sh.tiles.TileSpec(("px", 20), 16), cohort["table"].obsm["spatial"][:30]
    cache = sh.tiles.FeatureCache(None)
    one, other = (
        cache.features(cohort, "S1", spec, sh.nn.get_encoder("color_texture"), xy, batch=b, progress=False)
        for b in (256, batch)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_scores_are_those_that_are_pinned():
    pinned, now = json.loads(golden.PINNED.read_text()), golden.scores()
    assert now.keys() == pinned.keys()
    moved = [f"{k}: {pinned[k]} -> {now[k]}" for k in now if abs(now[k] - pinned[k]) > TOLERANCE]
    assert not moved, "scores moved; if that is meant, run tests/support/golden.py:\n" + "\n".join(moved)

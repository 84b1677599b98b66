from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from spatialhist._runtime.files import write_array
from spatialhist.nn import ColorTexture
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.engines import Engine
from spatialhist.tiles._features.stored import StoredFeatures

FEATURES = np.random.default_rng(0).normal([0, 1000, 5], [1, 0.5, 0], (50, 3)).astype(np.float32)


class OnGpu(Engine):
    device, precision = "cuda", "float16"


def stored(folder, engine=Engine, **asked):
    return StoredFeatures.of(folder / "name", engine(ColorTexture(), Compute(**asked)))


def keep(folder, engine=Engine, **asked):
    return stored(folder, engine, **asked).keep(FEATURES, {"slide": "S1"})


def test_features_are_kept_as_they_are_with_how_they_were_made(tmp_path):
    assert stored(tmp_path).load() is None
    np.testing.assert_array_equal(keep(tmp_path), FEATURES)
    np.testing.assert_array_equal(stored(tmp_path).load(), FEATURES)
    about = json.loads((tmp_path / "name.json").read_text())
    assert about == {"slide": "S1", "device": "cpu", "precision": "float32", "dtype": "float32"}


def test_half_storage_says_what_it_costs(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        kept = keep(tmp_path, dtype="float16")
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, FEATURES.astype(np.float16))
    # the second feature lies near 1000, where float16 has steps of a half, and deviates by a half
    worst = (np.abs(kept - FEATURES)[:, :2] / FEATURES[:, :2].std(axis=0)).max()
    assert 0.3 < worst < 0.6
    assert json.loads((tmp_path / "name-as-float16.json").read_text())["rounding"] == pytest.approx(worst, rel=1e-5)
    assert f"the largest error is {worst:.2g} standard deviations" in caplog.text
    np.testing.assert_array_equal(np.load(tmp_path / "name-as-float16.npy"), FEATURES.astype(np.float16))


def test_what_float16_cannot_hold_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"features of slide 'S1' reach 1e\+06, and float16 ends at 65504: pass dtype="
    ):
        stored(tmp_path, dtype="float16").keep(FEATURES * 0 + 1e6, {"slide": "S1"})
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_open_takes_what_is_there_the_most_exact_first(tmp_path):
    keep(tmp_path, OnGpu, dtype="float16")
    assert sorted(p.name for p in tmp_path.glob("*.npy")) == ["name-float16-as-float16.npy"]
    # features of a GPU are found on a machine without one
    np.testing.assert_array_equal(stored(tmp_path).load(), FEATURES.astype(np.float16))
    for asked in ({"precision": "float32"}, {"dtype": "float32"}):
        assert stored(tmp_path, **asked).load() is None
    write_array(stored(tmp_path).path, FEATURES + 1)
    np.testing.assert_array_equal(stored(tmp_path).load(), FEATURES + 1)
    np.testing.assert_array_equal(stored(tmp_path, OnGpu).load(), FEATURES + 1)

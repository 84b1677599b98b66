from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pytest
import spatialdata as sd
import torch

from spatialhist._sdata.build import build_slide
from spatialhist._sdata.scale import slide_info
from spatialhist.nn import encoder_fingerprint
from spatialhist.tiles import FeatureCache, TileReader, TileSpec
from spatialhist.tiles._features import cache as _cache

SPEC = TileSpec(("px", 20), 10)


class Mean:
    """Mean color, counting the tiles it sees."""

    def __init__(self, fingerprint: str = "mean") -> None:
        self.fingerprint = fingerprint
        self.seen = 0
        self.stop_after = np.inf

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        if self.seen + len(tiles) > self.stop_after:
            raise KeyboardInterrupt
        self.seen += len(tiles)
        return tiles.double().mean(dim=(2, 3))


def make_slide(change: int = 0):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 700, 900), dtype=np.uint8)
    pixels[:, 600:604, 800:804] ^= np.uint8(change)
    return build_slide(pixels, CENTERS[:3], np.ones((3, 2)), slide="S1", genes=["a", "b"], mpp=0.5)


CENTERS = np.random.default_rng(1).uniform([0, 0], [900, 700], (60, 2))


@pytest.fixture(scope="module")
def slide():
    return make_slide()


@pytest.fixture(params=["in memory", "in a store"])
def any_slide(request, slide, tmp_path):
    return slide if request.param == "in memory" else stored(slide, tmp_path / "s.zarr")


def stored(slide, path):
    slide.write(path, update_sdata_path=False)
    return sd.read_zarr(path)


def features(cache, slide, encoder, *, spec=SPEC, centers=CENTERS, **options):
    return cache.features(slide, "S1", spec, encoder, centers, progress=False, **options)


def test_features_are_those_of_the_tiles_in_the_order_of_the_centers(any_slide, tmp_path):
    from spatialhist._sdata.images import pyramid

    tiles = TileReader(pyramid(any_slide, "S1_full_image")).read(CENTERS, 20, 10)
    expected = tiles.mean(axis=(2, 3), dtype=float)
    for cache in (FeatureCache(None), FeatureCache(tmp_path / "cache")):
        found = features(cache, any_slide, Mean(), batch=7)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_second_call_computes_nothing(any_slide, tmp_path):
    encoder = Mean()
    first = features(FeatureCache(tmp_path / "c"), any_slide, encoder)
    np.testing.assert_array_equal(features(FeatureCache(tmp_path / "c"), any_slide, encoder), first)
    assert encoder.seen == len(CENTERS)
    assert {path.suffix for path in (tmp_path / "c").iterdir()} == {".npy", ".json"}


@pytest.mark.filterwarnings("ignore:Object at features is not recognized:UserWarning")
def test_features_can_be_kept_in_the_store(slide, tmp_path):
    kept = stored(slide, tmp_path / "s.zarr")
    encoder = Mean()
    first = features(FeatureCache(kept.path / "features"), kept, encoder)
    kept.tables["other"] = kept["table"].copy()
    kept.write_element("other")
    again = sd.read_zarr(kept.path)
    assert set(again.tables) == {"table", "other"}
    np.testing.assert_array_equal(features(FeatureCache(again.path / "features"), again, encoder), first)
    assert encoder.seen == len(CENTERS)


def test_what_is_left_open_is_taken_from_the_encoder(slide):
    """The slide has 0.5 um per pixel: 10 um are 20 pixels."""
    encoder = Mean()
    expected = features(FeatureCache(None), slide, encoder, spec=TileSpec(("um", 10), 8))
    encoder.pixels, encoder.um_per_pixel = 8, 1.25
    for spec in (("um", 10), None):
        np.testing.assert_array_equal(features(FeatureCache(None), slide, encoder, spec=spec), expected)
    by_name = features(FeatureCache(None), slide, "color_texture", spec=("um", 10), centers=CENTERS[:5])
    told = features(FeatureCache(None), slide, "color_texture", spec=TileSpec(("um", 10), 64), centers=CENTERS[:5])
    np.testing.assert_array_equal(by_name, told)
    with pytest.raises(ValueError, match=r"the encoder has no um_per_pixel: give its side, as in spec=\('um', 150\)"):
        features(FeatureCache(None), slide, Mean(), spec=None)


def test_without_folder_nothing_is_kept(slide):
    encoder = Mean()
    for _ in range(2):
        features(FeatureCache(None), slide, encoder)
    assert encoder.seen == 2 * len(CENTERS)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": TileSpec(("px", 22), 10)},
        {"spec": TileSpec(("px", 20), 11)},
        {"spec": TileSpec(("px", 20), 10, padding="white")},
        {"centers": CENTERS[::-1]},
        {"encoder": Mean("other weights")},
    ],
)
def test_any_change_of_what_matters_is_a_miss(slide, tmp_path, change):
    cache, encoder = FeatureCache(tmp_path), Mean()
    features(cache, slide, encoder)
    arguments = {"encoder": encoder, **change}
    arguments["encoder"].seen = 0
    features(cache, slide, **arguments)
    assert arguments["encoder"].seen == len(CENTERS)


def test_grid_and_batch_do_not_matter(slide, tmp_path):
    cache, encoder = FeatureCache(tmp_path), Mean()
    features(cache, slide, encoder)
    features(cache, slide, encoder, spec=TileSpec(("px", 20), 10, grid=5), batch=9)
    assert encoder.seen == len(CENTERS)


def test_changed_scale_is_a_miss(tmp_path):
    slide, encoder = make_slide(), Mean()
    features(FeatureCache(tmp_path), slide, encoder)
    slide_info(slide, "S1")["mpp"] = 0.6
    features(FeatureCache(tmp_path), slide, encoder)
    assert encoder.seen == 2 * len(CENTERS)


def test_changed_pixels_are_a_miss_in_a_store_and_in_memory(tmp_path):
    encoder = Mean()
    for change in (0, 1):
        features(FeatureCache(tmp_path / "c"), make_slide(change), encoder)
        features(FeatureCache(tmp_path / "c"), stored(make_slide(change), tmp_path / f"{change}.zarr"), encoder)
    assert encoder.seen == 4 * len(CENTERS)


def test_same_chunks_in_another_store_are_a_hit(slide, tmp_path):
    encoder = Mean()
    for name in ("one.zarr", "two.zarr"):
        features(FeatureCache(tmp_path / "c"), stored(slide, tmp_path / name), encoder)
    assert encoder.seen == len(CENTERS)


def test_interrupted_fill_goes_on_where_it_stopped(slide, tmp_path):
    encoder = Mean()
    encoder.stop_after = 35
    expected = features(FeatureCache(None), slide, Mean())
    with patch.object(_cache, "PART", 16):
        with pytest.raises(KeyboardInterrupt):
            features(FeatureCache(tmp_path), slide, encoder)
        encoder.stop_after = np.inf
        np.testing.assert_array_equal(features(FeatureCache(tmp_path), slide, encoder), expected)
    assert encoder.seen == len(CENTERS)
    assert not list(tmp_path.glob("*.part*"))


def test_filling_at_once_does_not_corrupt(slide, tmp_path):
    expected = features(FeatureCache(None), slide, Mean())
    with patch.object(_cache, "PART", 4), ThreadPoolExecutor(4) as pool:
        fills = [pool.submit(features, FeatureCache(tmp_path), slide, Mean(), batch=2) for _ in range(4)]
        for fill in fills:
            np.testing.assert_array_equal(fill.result(), expected)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npy"]


FILL = """
import sys
import numpy as np, spatialdata as sd
from spatialhist.tiles import FeatureCache, TileSpec
from spatialhist.tiles._features import cache as _cache

class Mean:
    fingerprint = "mean"
    def __call__(self, tiles):
        return tiles.double().mean(dim=(2, 3))

store, folder, centers, out = sys.argv[1:]
_cache.PART = 4
found = FeatureCache(folder).features(
    sd.read_zarr(store), "S1", TileSpec(("px", 20), 10), Mean(), np.load(centers), batch=2, progress=False
)
np.save(out, found)
"""


@pytest.mark.slow
def test_two_processes_filling_at_once_do_not_corrupt(slide, tmp_path):
    stored(slide, tmp_path / "s.zarr")
    np.save(tmp_path / "xy.npy", CENTERS)
    inputs = [tmp_path / "s.zarr", tmp_path / "cache", tmp_path / "xy.npy"]
    outputs = [tmp_path / f"{i}.npy" for i in range(2)]
    fills = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", FILL, *inputs, out]) for out in outputs]
    assert [fill.wait(timeout=120) for fill in fills] == [0, 0]
    expected = features(FeatureCache(None), slide, Mean())
    for out in outputs:
        np.testing.assert_array_equal(np.load(out), expected)
    (kept,) = (tmp_path / "cache").glob("*.npy")
    np.testing.assert_array_equal(np.load(kept), expected)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_what_was_stored_is_described_beside_it_and_logged(slide, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        features(FeatureCache(tmp_path), slide, Mean())
    assert "stored 60 x 3 features of S1" in caplog.text
    about = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert {
        "slide": "S1",
        "extent": ["px", 20.0],
        "encoder": encoder_fingerprint(Mean()),
        "mpp": 0.5,
    }.items() <= about.items()


def test_encoder_must_return_one_row_a_tile(slide):
    with pytest.raises(ValueError, match=r"encoder <lambda> returned \(3,\) for 60 tiles"):
        features(FeatureCache(None), slide, lambda tiles: tiles.float().mean(dim=(0, 2, 3)))


def test_no_centers(slide, tmp_path):
    assert len(features(FeatureCache(tmp_path), slide, Mean(), centers=np.empty((0, 2)))) == 0

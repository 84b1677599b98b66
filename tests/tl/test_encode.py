from __future__ import annotations

import logging

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tiles._features import cache
from spatialhist.tiles._features.compute import Compute
from spatialhist.tl._encode import _devices

LOOK = {"extents": [("um", 40), ("um", 90)], "context": [("um", 80)], "pixels": 16}
QUIET = {"progress": False}


class Counting:
    """Mean color, counting the tiles it sees."""

    fingerprint = "counting"

    def __init__(self, stop_after=np.inf):
        self.seen, self.stop_after = 0, stop_after

    def __call__(self, tiles):
        self.seen += len(tiles)
        if self.seen > self.stop_after:
            raise KeyboardInterrupt
        return mean_color(tiles)


@pytest.fixture
def cohort():
    sdata = draw_cohort(0, n_slides=3, signal=1)
    sh.pp.filter_spots(sdata, min_counts=0)
    return sdata


def test_runs_and_predictions_find_what_was_encoded(cohort, tmp_path):
    encoder = Counting()
    made = sh.tl.encode(cohort, encoder, out=tmp_path / "features", **LOOK, **QUIET)
    assert made.index.tolist() == ["S1", "S2", "S3"]
    assert made["features"].tolist() == [12, 12, 12]
    assert made["spots"].sum() == cohort["table"].n_obs
    first, options = encoder.seen, {"models": "ridge", "genes": 3, **LOOK, **QUIET}
    by_run = sh.tl.cross_validate(
        cohort, encoder=encoder, features=tmp_path / "features", out=tmp_path / "r", **options
    )
    assert encoder.seen == first
    again = Counting()
    alone = sh.tl.cross_validate(cohort, encoder=again, **options)
    assert again.seen == first
    np.testing.assert_array_equal(by_run.out_of_fold("ridge"), alone.out_of_fold("ridge"))
    sh.tl.fit(cohort, encoder=encoder, features=tmp_path / "features", **options)
    sh.tl.predict(cohort, by_run, encoder=encoder, cache=tmp_path / "features", **QUIET)
    assert encoder.seen == first


def test_features_of_all_spots_go_into_the_table(cohort, caplog):
    table = cohort["table"]
    table.obs["spot_qc"] = ["low_counts" if i in (3, 40) else "ok" for i in range(table.n_obs)]
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        sh.tl.encode(cohort, mean_color, key_added="X_mean", slides=["S1", "S3"], **LOOK, **QUIET)
    found = table.obsm["X_mean"]
    assert (found.shape, found.dtype) == ((table.n_obs, 12), np.float32)
    of_s2 = (table.obs["region"] == "S2").to_numpy()
    assert np.isnan(found[of_s2]).all()
    assert np.isfinite(found[~of_s2]).all()
    rows = np.flatnonzero(table.obs["region"] == "S3")
    xy = table.obsm["spatial"][rows]
    for i, um in enumerate((40, 90)):
        spec = sh.tiles.TileSpec(("um", um), 16, grid=1)
        expected = sh.tiles.FeatureCache(None).features(cohort, "S3", spec, mean_color, xy, progress=False)
        np.testing.assert_array_equal(found[rows, 6 * i : 6 * i + 6], expected)
    assert "encode: 2 slides" in caplog.text


def test_a_call_that_was_stopped_goes_on_with_at_most_a_part_again(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PART", 40)
    whole = Counting()
    sh.tl.encode(cohort, whole, out=tmp_path / "whole", **LOOK, **QUIET)
    stopped = Counting(stop_after=whole.seen * 2 // 3)
    with pytest.raises(KeyboardInterrupt):
        sh.tl.encode(cohort, stopped, out=tmp_path / "f", **LOOK, **QUIET)
    rest = Counting()
    made = sh.tl.encode(cohort, rest, out=tmp_path / "f", **LOOK, **QUIET)
    assert whole.seen <= stopped.seen + rest.seen <= whole.seen + 40
    assert made.index.tolist() == ["S1", "S2", "S3"]
    names = [sorted(p.name for p in (tmp_path / f).iterdir()) for f in ("whole", "f")]
    assert names[0] == names[1]
    for path in (tmp_path / "whole").glob("*.npy"):
        np.testing.assert_array_equal(np.load(path), np.load(tmp_path / "f" / path.name))


def test_a_slide_that_fails_does_not_stop_the_others(cohort, tmp_path, caplog):
    del cohort.images["S2_full_image"]
    with pytest.raises(ValueError, match=r"1 of 3 slides could not be encoded: S2: .*Features of the others are in"):
        sh.tl.encode(cohort, mean_color, out=tmp_path / "f", key_added="X", **LOOK, **QUIET)
    found = cohort["table"].obsm["X"]
    missing = (cohort["table"].obs["region"] == "S2").to_numpy()
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), missing)


def test_nothing_is_said_of_features_where_every_slide_fails(cohort, tmp_path):
    for name in ("S1", "S2", "S3"):
        del cohort.images[f"{name}_full_image"]
    with pytest.raises(ValueError, match="3 of 3 slides could not be encoded") as refused:
        sh.tl.encode(cohort, mean_color, out=tmp_path / "f", **LOOK, **QUIET)
    assert "Features of the others" not in str(refused.value)


def test_pixels_that_cannot_be_read_do_not_stop_the_others(cohort, tmp_path):
    cohort.write(tmp_path / "s.zarr")
    chunks = [
        p for p in (tmp_path / "s.zarr" / "images" / "S1_full_image").rglob("*") if p.is_file() and p.suffix != ".json"
    ]
    for chunk in chunks:
        chunk.write_bytes(b"no pixels")
    broken = sd.read_zarr(tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="1 of 3 slides could not be encoded: S1: "):
        sh.tl.encode(broken, mean_color, out=tmp_path / "f", **LOOK, **QUIET)
    # spots with tissue in two fields of view, and the context in two
    assert len(list((tmp_path / "f").glob("*.npy"))) == 2 * 4


def test_half_storage_is_used_by_runs_and_says_its_error(cohort, tmp_path, caplog):
    encoder = Counting()
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        sh.tl.encode(cohort, encoder, out=tmp_path / "f", dtype="float16", **LOOK, **QUIET)
    assert "stored as float16: the largest error is" in caplog.text
    assert {np.load(p).dtype for p in (tmp_path / "f").glob("*.npy")} == {np.dtype(np.float16)}
    first = encoder.seen
    sh.tl.fit(cohort, models="ridge", genes=3, encoder=encoder, features=tmp_path / "f", **LOOK, **QUIET)
    assert encoder.seen == first


def test_several_processes_write_the_same(cohort, tmp_path):
    for name, executor in (("one", None), ("two", 2)):
        sh.tl.encode(cohort, "color_texture", out=tmp_path / name, executor=executor, **LOOK, **QUIET)
    one, two = (sorted((tmp_path / name).glob("*.npy")) for name in ("one", "two"))
    assert [p.name for p in one] == [p.name for p in two]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(np.load(a), np.load(b))


def test_several_gpus_get_slides_in_turn(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [c.device for c in _devices(Compute(precision="bfloat16"), 3)] == ["cuda:0", "cuda:1", "cuda:2"]
    assert {c.precision for c in _devices(Compute(precision="bfloat16"), 3)} == {"bfloat16"}
    assert [c.device for c in _devices(Compute(), None)] == ["auto"]
    assert [c.device for c in _devices(Compute("cuda:1"), 3)] == ["cuda:1"]


def test_a_call_that_would_keep_nothing_is_refused(cohort):
    with pytest.raises(ValueError, match=r"nothing would be kept: pass out='features', a folder, or key_added="):
        sh.tl.encode(cohort, mean_color, **QUIET)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_cohorts import draw_cohort, mean_color

from spatialhist._sdata.cohort import open_cohort, usable_rows
from spatialhist.tl._data.design import Design
from spatialhist.tl._data.features import View, slide_features
from spatialhist.tl._data.gather import fingerprint, gather_run

DESIGN = Design(mean_color, (("px", 20.0), ("px", 40.0)), 8, "full", ("px", 24.0), 24)


@pytest.fixture(scope="module")
def cohort():
    return open_cohort(draw_cohort(2, n_slides=2, n_genes=5))


def gather(cohort, folder, rows, tiles=True, design=DESIGN, depth=None):
    return gather_run(
        cohort.table, cohort.every_slide(), folder, folder / "cache", rows=rows, assigned={"S1": "P1", "S2": "P2"}, columns=np.array([1, 4]),
        layer="log1p", design=design, encoder=mean_color, tiles=tiles, workers=1, progress=False,
        depth=depth,
    )  # fmt: skip


def look(slide, design=DESIGN, *, tiles=True, rows=slice(None)):
    """Samples of a slide to be predicted, part by part."""
    return slide_features(slide, View.of(slide, design, tiles=tiles), design, mean_color, rows=rows).parts()


def test_measured_spots_that_passed_quality_are_used():
    sdata = draw_cohort(2, n_slides=3, n_genes=5)
    obs = sdata["table"].obs
    cohort = open_cohort(sdata)
    obs["measured"] = (obs["region"] != "S2").to_numpy()
    obs["spot_qc"] = pd.Categorical(np.where(np.arange(len(obs)) % 96 < 90, "ok", "off_tissue"))
    rows = usable_rows(cohort.every_slide())
    assert list(rows) == ["S1", "S3"]
    np.testing.assert_array_equal(rows["S3"], np.arange(192, 282))


def test_inputs_hold_the_values_features_and_tiles_of_the_used_rows(cohort, tmp_path):
    rows = {"S1": cohort.rows("S1")[10:20], "S2": cohort.rows("S2")[::7]}
    inputs = gather(cohort, tmp_path / "run", rows)
    every = np.concatenate(list(rows.values()))
    samples = inputs.samples(np.arange(len(every)), (0, 1), tiles=True)
    expected = cohort.table.layers["log1p"][every].toarray()[:, [1, 4]]
    np.testing.assert_array_equal(samples.targets, expected)
    assert samples.slide.tolist() == ["S1"] * 10 + ["S2"] * 14
    assert samples.patient[0] == "P1"
    for slide in rows:
        (alone,) = look(cohort.slide(slide), rows=np.searchsorted(cohort.rows(slide), rows[slide]))
        mine = samples.slide == slide
        np.testing.assert_array_equal(alone.tiles, samples.tiles[mine])
        np.testing.assert_array_equal(alone.position, samples.position[mine])
        for e in range(2):
            np.testing.assert_array_equal(alone.standardized[e], samples.standardized[e][mine])


def test_slides_are_gone_through_in_parts(cohort, tmp_path, monkeypatch):
    rows = {s: cohort.rows(s) for s in cohort.slides}
    design = replace(DESIGN, context=(("px", 30.0),))
    whole = gather(cohort, tmp_path / "whole", rows, design=design)
    (slide,) = look(cohort.slide("S2"), design)
    monkeypatch.setattr("spatialhist.tl._data.samples.ROWS", 40)
    assert fingerprint(gather(cohort, tmp_path / "parts", rows, design=design).folder) == fingerprint(whole.folder)
    parts = list(look(cohort.slide("S2"), design))
    assert [len(p) for p in parts] == [40, 40, 16]
    for name in ("position", "tiles", "slide"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(slide, name))
    for e in range(4):
        np.testing.assert_array_equal(np.concatenate([p.standardized[e] for p in parts]), slide.standardized[e])


def test_a_slide_to_be_predicted_has_neither_group_nor_targets(cohort):
    (samples,) = look(cohort.slide("S2"), tiles=False)
    assert samples.targets is None
    assert samples.tiles is None
    assert set(samples.group) == {""}
    assert set(samples.patient) == {"P2"}


def test_the_fingerprint_knows_values_and_names(cohort, tmp_path):
    rows = {s: cohort.rows(s)[:5] for s in cohort.slides}
    folder = gather(cohort, tmp_path / "a", rows, tiles=False).folder
    first = fingerprint(folder, ["A", "B"])
    assert fingerprint(gather(cohort, tmp_path / "b", rows, tiles=False).folder, ["A", "B"]) == first
    assert fingerprint(folder, ["A", "C"]) != first
    values = np.load(folder / "values.npy")
    values[0, 0] += 1
    np.save(folder / "values.npy", values)
    assert fingerprint(folder, ["A", "B"]) != first


def test_the_fingerprint_leaves_depth_to_the_run(cohort, tmp_path):
    rows = {s: cohort.rows(s)[:5] for s in cohort.slides}
    plain = gather(cohort, tmp_path / "a", rows, tiles=False)
    deep = gather(cohort, tmp_path / "b", rows, tiles=False, depth=np.arange(float(cohort.table.n_obs)))
    assert fingerprint(plain.folder) == fingerprint(deep.folder)
    assert deep.samples(np.array([3, 7]), [0]).depth.tolist() == [3, 98]

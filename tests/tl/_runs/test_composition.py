"""Models of proportions: a note on their scores, and predictions that sum to one where they are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl._scores.intervals import group_radius

KEY = {"table_key": "cell_types"}
OPTIONS = {"encoder": FAST["encoder"], "progress": False}
NAMES = ["tumor", "stroma", "immune"]


def with_parts(n_slides: int, seed: int = 1, **options):
    """Proportions of which one is 0 where the image is not red, so that a ridge predicts some below 0."""
    sdata = draw_cohort(seed, n_slides=n_slides, n_genes=6, **options)
    table, red = sdata["table"], np.empty(sdata["table"].n_obs)
    for slide in (f"S{i + 1}" for i in range(n_slides)):
        rows = (table.obs["region"] == slide).to_numpy()
        x, y = table.obsm["spatial"][rows].astype(int).T
        red[rows] = np.asarray(sdata.images[f"{slide}_full_image"])[0][y, x] / 256
    tumor = np.where(red > 0.6, 0.9, 0.0)
    table.obsm["parts"] = pd.DataFrame(
        np.column_stack([tumor, 0.95 - tumor, np.full_like(red, 0.05)]), columns=NAMES, index=table.obs_names
    )
    sh.pp.obsm_to_table(sdata, "parts", key_added="cell_types")
    return sdata


def validate(sdata, **options):
    options = {"models": "ridge", "layer": "X", "genes": 3, "groups": "patient", **KEY, **options}
    return sh.tl.cross_validate(sdata, **options, **FAST)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    sdata = with_parts(6)
    with pytest.warns(UserWarning, match="the 3 targets in layer 'X' are parts of a whole.*not independent"):
        cv = validate(sdata, models=["ridge", "kernel_ridge"], out=tmp_path_factory.mktemp("composition") / "run")
    return sdata, cv, sh.tl.stack(sdata, cv, **KEY)


def test_the_note_stays_with_the_run(trained):
    _, cv, _ = trained
    assert [text for text in cv.manifest.selection["told"] if "parts of a whole" in text]
    assert cv.manifest.units == {"parts": 3}


def summed_to_one(values: np.ndarray) -> np.ndarray:
    """Row by row, in double precision."""
    rows = [[max(float(v), 0.0) for v in row] for row in values]
    return np.array([[v / sum(row) for v in row] for row in rows])


@pytest.mark.parametrize("source", ["cv", "stack"])
@pytest.mark.parametrize("known", [True, False])
def test_predictions_are_clipped_and_sum_to_one(trained, source, known, tmp_path):
    """Slides that were trained on and new ones, in the layer and in the store."""
    sdata, cv, stack = trained
    model = cv if source == "cv" else stack
    new = with_parts(6) if known else with_parts(2, seed=4, images_seed=9)
    sh.tl.predict(new, model, key_added="plain", **KEY, **OPTIONS)
    new.write(tmp_path / "new.zarr")
    new = sd.read_zarr(tmp_path / "new.zarr")
    sh.tl.predict(new, model, composition=True, **KEY, **OPTIONS)
    sh.io.save(new)
    table = sh.io.read(tmp_path / "new.zarr")["cell_types"]
    assert (table.layers["plain"] < 0).any()
    np.testing.assert_allclose(table.layers["predicted"], summed_to_one(table.layers["plain"]), atol=1e-6)
    np.testing.assert_allclose(table.layers["predicted"].sum(axis=1), 1, atol=1e-6)
    assert table.uns["spatialhist"]["predicted"]["composition"]
    assert "composition" not in table.uns["spatialhist"]["plain"]


def test_slides_of_one_layer_are_made_alike(trained):
    _, cv, _ = trained
    new = with_parts(2, seed=4, images_seed=9)
    table = new["cell_types"]
    first = (table.obs["region"] == "S1").to_numpy()
    sh.tl.predict(new, cv, slides="S1", composition=True, **KEY, **OPTIONS)
    assert np.isnan(new["cell_types"].layers["predicted"][~first]).all()
    sh.tl.predict(new, cv, slides="S2", **KEY, **OPTIONS)
    values = new["cell_types"].layers["predicted"]
    assert np.isnan(values[first]).all() and np.isfinite(values[~first]).all()


def test_grids_get_them_with_intervals_of_what_was_summed_to_one(trained):
    sdata, cv, _ = trained
    new = with_parts(1, seed=4, images_seed=9)
    sh.tl.predict_grid(new, cv, key_added="plain", **OPTIONS)
    sh.tl.predict_grid(new, cv, composition=True, **OPTIONS)
    layers = new["S1_grid_table"].layers
    np.testing.assert_allclose(layers["predicted"], summed_to_one(layers["plain"]), atol=1e-6)
    measured = sdata["cell_types"].X
    group = sdata["cell_types"].obs["patient"].astype(str).to_numpy()
    means = (sdata["cell_types"].layers["oof_ridge"] + sdata["cell_types"].layers["oof_kernel_ridge"]) / 2
    half = group_radius(np.abs(measured - summed_to_one(means)), group, 0.8)
    expected = layers["predicted"] - half, layers["predicted"] + half
    np.testing.assert_allclose(layers["predicted_lower"], np.maximum(expected[0], 0), atol=1e-5)
    np.testing.assert_allclose(layers["predicted_upper"], np.minimum(expected[1], 1), atol=1e-5)
    assert (layers["predicted_lower"] == 0).any() and (layers["plain_lower"] < 0).any()


def test_a_fitted_model_predicts_them_too(trained):
    new = with_parts(1, seed=4, images_seed=9)
    model = sh.tl.fit(trained[0], models="ridge", layer="X", genes=3, **KEY, **FAST)
    sh.tl.predict(new, model, composition=True, **OPTIONS)
    values = new["table"][:, NAMES].layers["predicted"]
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
    assert np.isnan(new["table"][:, ["G0"]].layers["predicted"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"genes": 2}, r"only 2 of 3 parts are in the panel of .*; train with genes=3, or leave out composition="),
        ({"layer": "log1p", "table_key": "table"}, "the targets in 'log1p' .* do not sum to 1 in every spot"),
    ],
)
def test_models_of_anything_else_are_refused(options, message, tmp_path):
    sdata = with_parts(3)
    cv = validate(sdata, out=tmp_path / "run", **options)
    for verb in (sh.tl.predict, sh.tl.predict_grid):
        with pytest.raises(ValueError, match=message):
            verb(sdata, cv, composition=True, **OPTIONS)


def test_ranks_are_refused(trained):
    sdata, cv, _ = trained
    ranks = sh.tl.stack(sdata, cv, method="rank_mean", **KEY)
    with pytest.raises(
        ValueError, match="'stack_rank_mean' predicts ranks, which do not sum to 1; take the cross-validation"
    ):
        sh.tl.predict(sdata, ranks, composition=True, **KEY, **OPTIONS)

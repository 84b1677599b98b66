"""Targets that owe less to the depth of a spot, from the layer to the prediction of new slides."""

from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.pl._draw.units import unit_of
from spatialhist.tl import DepthAdjusted, Ridge

RIDGES = [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]
MAKE = {
    "pearson_residuals": (sh.pp.pearson_residuals, "Pearson residual"),
    "log1p_beyond_depth": (sh.pp.regress_depth, "log1p beyond depth"),
}


def new_slide():
    """A slide without counts."""
    sdata = draw_cohort(5, n_slides=1, images_seed=9)
    sdata["table"].obs["measured"] = False
    del sdata["table"].layers["log1p"]
    sdata["table"].X[:] = 0
    return sdata


@pytest.mark.parametrize("layer", MAKE)
def test_layers_without_depth_are_predicted_like_any_other(layer, tmp_path):
    make, unit = MAKE[layer]
    sdata = draw_cohort(1, signal=0.8)
    make(sdata)
    table = sdata["table"]
    cv = sh.tl.cross_validate(sdata, models=RIDGES, layer=layer, genes=8, groups="patient", out=tmp_path / "cv", **FAST)
    stack = sh.tl.stack(sdata, cv)
    scores = sh.tl.summarize(sh.tl.evaluate(sdata, truth=layer))
    assert scores.loc["ridge", "mean"] > 0.3
    assert table.uns["spatialhist"]["oof"]["target"] == layer
    assert unit_of(table, "oof") == unit
    with pytest.raises(ValueError, match=f"predicts '{layer}', not 'log1p'"):
        sh.tl.evaluate(sdata, truth="log1p", layers=["oof_ridge"])
    model = sh.tl.fit(sdata, models=RIDGES[0], layer=layer, genes=8, out=tmp_path / "model", **FAST)
    for trained in (stack, model):
        new = new_slide()
        sh.tl.predict(new, trained, encoder=FAST["encoder"])
        values = new["table"].layers["predicted"]
        assert np.isfinite(values).any(axis=1).all()
        assert np.nanmax(np.nanstd(values, axis=0)) > 0
        assert unit_of(new["table"], "predicted") == unit
    with pytest.raises(ValueError, match=f"predicts '{layer}', which has no way back to counts"):
        sh.tl.expected_counts(sdata, stack, layer="oof")


def models():
    return [DepthAdjusted(ridge, share=0.5, name=f"{ridge.name}_adjusted") for ridge in RIDGES]


def test_adjusted_models_go_through_a_run_as_others_do(tmp_path):
    sdata = draw_cohort(1, signal=0.8)
    options = {"models": models(), "genes": 8, "groups": "patient", "out": tmp_path / "run", **FAST}
    cv = sh.tl.cross_validate(sdata, **options)
    stack = sh.tl.stack(sdata, cv)
    scores = sh.tl.evaluate(sdata)
    by_metric = scores[scores["predictor"] == "stack_nnls"].groupby("metric")["value"].mean()
    assert by_metric["pearson"] > 0.3
    assert by_metric["pearson_beyond_depth"] > 0.3
    fitted = [f.stat().st_mtime_ns for f in sorted(cv.folder.rglob("model.safetensors"))]
    sh.tl.cross_validate(sdata, **options)
    assert [f.stat().st_mtime_ns for f in sorted(cv.folder.rglob("model.safetensors"))] == fitted
    with pytest.raises(FileExistsError, match="models"):
        sh.tl.cross_validate(sdata, **{**options, "models": [DepthAdjusted(RIDGES[0], share=0.6)]})
    loaded = sh.tl.load(tmp_path / "run")
    assert list(loaded.models) == models()
    predicted = []
    for trained in (stack, loaded):
        new = new_slide()
        sh.tl.predict(new, trained, encoder=FAST["encoder"])
        predicted.append(new["table"].layers["predicted"])
    np.testing.assert_array_equal(*predicted)
    assert np.isfinite(predicted[0]).any(axis=1).all()


def test_depth_that_is_not_known_is_named_before_anything_is_fitted_and_the_advice_works(tmp_path):
    sdata = draw_cohort(1)
    table = sdata["table"]
    total = np.asarray(table.X.sum(axis=1)).ravel()
    table.X, table.uns["log1p"] = table.layers["log1p"].copy(), {"base": None}
    options = {"models": DepthAdjusted(RIDGES[0]), "genes": 8, "groups": "patient", "out": tmp_path / "run", **FAST}
    with pytest.raises(ValueError, match=r"models \['depth_adjusted'\] .* layer 'log1p'.*obs\['total_counts'\]"):
        sh.tl.cross_validate(sdata, **options)
    assert not (tmp_path / "run" / "manifest.json").exists()
    table.obs["total_counts"] = total
    sh.tl.cross_validate(sdata, **options)
    assert np.isfinite(table.layers["oof_depth_adjusted"]).any()


def test_models_that_do_not_ask_for_depth_store_none(cohort, tmp_path):
    """A cross-validation stores it for its baseline of depth, a fit on everything has none."""
    model = sh.tl.fit(cohort, models=RIDGES[0], genes=8, out=tmp_path / "model", **FAST)
    assert not (model.folder / "inputs" / "depth.npy").exists()

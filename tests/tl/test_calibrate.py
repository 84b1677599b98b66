from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist.tl._calibrate import TooFewGroups
from spatialhist.tl._scores.intervals import group_radius

N_GENES = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Six slides with a cross-validation of one ridge."""
    sdata = draw_cohort(1, n_slides=6, n_genes=N_GENES, signal=0.8)
    out = tmp_path_factory.mktemp("calibrate") / "run"
    model = sh.tl.Ridge(components=6)
    return sdata, sh.tl.cross_validate(sdata, models=model, genes=N_GENES, groups="patient", out=out, **FAST)


@pytest.fixture
def cohort(run):
    """The same slides and layers, to be changed."""
    sdata, cv = run
    copy = draw_cohort(1, n_slides=6, n_genes=N_GENES, signal=0.8)
    for name in ("oof", "oof_ridge"):
        copy["table"].layers[name] = sdata["table"].layers[name].copy()
    copy["table"].uns["spatialhist"] |= {k: sdata["table"].uns["spatialhist"][k] for k in ("oof", "oof_ridge")}
    return copy, cv


def test_bounds_of_a_group_come_from_the_others(cohort):
    sdata, cv = cohort
    sh.tl.calibrate(sdata, cv, level=0.8)
    table = sdata["table"]
    slide = table.obs["region"].astype(str).to_numpy()
    errors = np.abs(table.layers["log1p"].toarray() - table.layers["oof"])
    for name in ("S2", "S5"):
        others = slide != name
        expected = group_radius(errors[others], slide[others], 0.8)
        for bound, sign in (("lower", -1), ("upper", 1)):
            half = sign * (table.layers[f"oof_{bound}"] - table.layers["oof"])[slide == name]
            np.testing.assert_allclose(half, np.tile(expected, (len(half), 1)), rtol=1e-4, atol=1e-5)
    inside = (errors <= table.layers["oof_upper"] - table.layers["oof"] + 1e-6).mean()
    assert 0.75 < inside < 0.95
    made = table.uns["spatialhist"]["oof_lower"]
    assert made["groups"] == [f"P{i}" for i in range(1, 7)]
    assert np.mean(made["coverage"]) == pytest.approx(inside, abs=1e-3)
    assert made["level"] == 0.8


def test_new_slides_and_grids_get_bounds_of_all_groups(run):
    _, cv = run
    new = draw_cohort(5, n_slides=2, n_genes=N_GENES, signal=0.8, images_seed=9)
    sh.tl.predict(new, cv, encoder=mean_color, progress=False)
    sh.tl.calibrate(new, cv, level=0.5)
    assert set(layer_names(new["table"])) == {"log1p", "predicted", "predicted_lower", "predicted_upper"}
    width = new["table"].layers["predicted_upper"] - new["table"].layers["predicted_lower"]
    np.testing.assert_allclose(width, np.tile(width[0], (len(width), 1)), rtol=1e-4)
    sh.tl.predict_grid(new, cv, slides="S2", encoder=mean_color, progress=False)
    sh.tl.calibrate(new, cv, level=0.5, table_key="S2_grid_table")
    grid = new["S2_grid_table"]
    on_grid = grid.layers["predicted_upper"] - grid.layers["predicted_lower"]
    np.testing.assert_allclose(on_grid[0], width[0, new["table"].var_names.get_indexer(grid.var_names)], rtol=1e-4)


def test_a_grid_on_a_training_slide_is_calibrated_by_the_other_groups(cohort):
    sdata, cv = cohort
    sh.tl.calibrate(sdata, cv, layer="oof")
    sh.tl.predict_grid(sdata, cv, slides="S4", encoder=mean_color, progress=False)
    sh.tl.calibrate(sdata, cv, table_key="S4_grid_table")
    table, grid = sdata["table"], sdata["S4_grid_table"]
    spot = np.flatnonzero(table.obs["region"] == "S4")[0]
    expected = (table.layers["oof_upper"] - table.layers["oof_lower"])[
        spot, table.var_names.get_indexer(grid.var_names)
    ]
    width = grid.layers["predicted_upper"] - grid.layers["predicted_lower"]
    np.testing.assert_allclose(width[0], expected, rtol=1e-4)


def test_a_stack_is_calibrated_by_its_own_residuals(finished):
    sdata, cv, stack = finished
    sh.tl.calibrate(sdata, stack, level=0.7, layer="oof")
    table = sdata["table"]
    assert np.isfinite(table.layers["oof_upper"][:, table.var_names.get_indexer(cv.genes)]).any()
    for key in ("oof_lower", "oof_upper"):
        del table.layers[key], table.uns["spatialhist"][key]


def test_another_run_of_the_same_model_is_not_taken_for_the_one_that_predicted(cohort, tmp_path):
    sdata, cv = cohort
    other = draw_cohort(2, n_slides=6, n_genes=N_GENES, signal=0.8)
    run = sh.tl.cross_validate(other, models=sh.tl.Ridge(components=6), genes=N_GENES, groups="patient", **FAST)
    with pytest.raises(ValueError, match=f"of run {cv.run_id}, not by 'ridge' of run {run.run_id}"):
        sh.tl.calibrate(sdata, run)


def test_too_few_groups_is_an_error_of_its_own(cohort):
    sdata, cv = cohort
    with pytest.raises(TooFewGroups, match=r"exceeded once in n \+ 1 times. Ask for level=0.83 or less"):
        sh.tl.calibrate(sdata, cv, level=0.95)
    sh.tl.calibrate(sdata, cv, level=0.83)


@pytest.mark.slow
def test_thirty_held_out_groups_are_covered_within_three_points():
    sdata = draw_cohort(4, n_slides=30, n_genes=N_GENES, signal=0.8)
    cv = sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=6), genes=N_GENES, groups="patient", **FAST)
    for level in (0.5, 0.8, 0.9):
        sh.tl.calibrate(sdata, cv, level=level)
        assert np.mean(sdata["table"].uns["spatialhist"]["oof_lower"]["coverage"]) == pytest.approx(level, abs=0.03)


def test_bounds_are_not_scored(cohort):
    sdata, cv = cohort
    sh.tl.calibrate(sdata, cv)
    predictors = set(sh.tl.evaluate(sdata, oracles=False)["predictor"])
    assert predictors == {"ridge"}


def test_twice_is_the_same(cohort):
    sdata, cv = cohort
    sh.tl.calibrate(sdata, cv)
    first = sdata["table"].layers["oof_lower"].copy()
    sh.tl.calibrate(sdata, cv.folder)
    np.testing.assert_array_equal(sdata["table"].layers["oof_lower"], first)


def test_refused(cohort, finished, tmp_path):
    sdata, cv = cohort
    before = set(sdata["table"].layers)
    with pytest.raises(
        ValueError, match=r"level=0\.9 needs residuals of at least 9 groups .*'oof' has 5.* level=0\.83"
    ):
        sh.tl.calibrate(sdata, cv, level=0.9)
    with pytest.raises(ValueError, match="level=1.5 must lie between"):
        sh.tl.calibrate(sdata, cv, level=1.5)
    with pytest.raises(KeyError, match="no layer 'predicted'"):
        sh.tl.calibrate(sdata, cv, layer="predicted")
    with pytest.raises(ValueError, match="'oof' was predicted by 'ridge' of run .*, not by 'stack_nnls' of run"):
        sh.tl.calibrate(sdata, finished[2], layer="oof")
    del sdata["table"].layers["oof"]
    with pytest.raises(KeyError, match="no layer 'oof' or 'predicted'"):
        sh.tl.calibrate(sdata, cv)
    assert set(sdata["table"].layers) == before - {"oof"}
    model = sh.tl.fit(sdata, models="ridge", genes=3, out=tmp_path / "m", **FAST)
    with pytest.raises(ValueError, match="leaves no residuals"):
        sh.tl.calibrate(sdata, model)

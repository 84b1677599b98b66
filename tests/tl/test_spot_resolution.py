"""A linear model over features that are averaged over spots commutes with averaging: its map adds up to its spots."""

from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh

STEP = 4.0
QUIET = {"encoder": mean_color, "progress": False}


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """Cross-validation of ridges over spots that are looked at pixel by pixel, their stack, and slides of nobody."""
    sdata = draw_cohort(1, signal=0.8)
    out = tmp_path_factory.mktemp("averaged") / "run"
    options = {**FAST, "spot_resolution": ("px", STEP)}
    models = [sh.tl.Ridge(components=5), sh.tl.Ridge(components=3, standardized=False, name="raw")]
    cv = sh.tl.cross_validate(sdata, models=models, genes=6, groups="patient", out=out, **options)
    return cv, sh.tl.stack(sdata, cv), draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)


def over_spots(values, spots, radius):
    """Mean of a map ``(genes, y, x)`` over discs."""
    y, x = (np.mgrid[: values.shape[1], : values.shape[2]] + 0.5) * STEP
    covered = [(x - a) ** 2 + (y - b) ** 2 <= radius**2 for a, b in spots]
    return np.array([values[:, c].mean(axis=1) for c in covered])


def test_the_mean_of_the_map_over_a_spot_is_the_prediction_of_the_spot(averaged):
    _, stack, new = averaged
    sh.tl.predict(new, stack, **QUIET)
    sh.tl.predict_map(new, stack, slide="S2", resolution=("px", STEP), **QUIET)
    table = new["table"][new["table"].obs["region"] == "S2"]
    genes = stack.cv.genes
    radius = float(new.shapes["S2"].radius.iloc[0])
    expected = table.to_df("predicted")[genes].to_numpy()
    found = over_spots(new["S2_predicted_map"]["scale0"]["image"].values[:-1], table.obsm["spatial"], radius)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # and the map is finer than the spots: pixels of a spot differ
    assert np.nanstd(new["S2_predicted_map"]["scale0"]["image"].values[0]) > 1.05 * expected[:, 0].std()


def test_without_it_they_differ(finished, averaged):
    _, _, stack = finished
    new = averaged[2]
    sh.tl.predict(new, stack, key_added="center", **QUIET)
    sh.tl.predict_map(new, stack, slide="S2", resolution=("px", STEP), key_added="centers", **QUIET)
    table = new["table"][new["table"].obs["region"] == "S2"]
    radius = float(new.shapes["S2"].radius.iloc[0])
    found = over_spots(new["centers"]["scale0"]["image"].values[:-1], table.obsm["spatial"], radius)
    assert np.abs(found - table.to_df("center")[stack.cv.genes].to_numpy()).max() > 1e-3


def test_a_grid_looks_at_spots_as_training_did(averaged):
    _, stack, new = averaged
    sh.tl.predict(new, stack, **QUIET)
    sh.tl.predict_grid(new, stack, slides="S2", spacing=("px", 40.0), lattice="square", **QUIET)
    grid, table = new["S2_grid_table"], new["table"][new["table"].obs["region"] == "S2"]
    at = {tuple(p): i for i, p in enumerate(table.obsm["spatial"])}
    rows = [(i, at[tuple(p)]) for i, p in enumerate(grid.obsm["spatial"]) if tuple(p) in at]
    assert len(rows) > 20
    mine, theirs = np.array(rows).T
    expected = table.to_df("predicted")[list(grid.var_names)].to_numpy()
    np.testing.assert_allclose(grid.layers["predicted"][mine], expected[theirs], rtol=1e-4, atol=1e-5)


def test_a_run_keeps_it(averaged):
    cv, _, _ = averaged
    assert sh.tl.load(cv.folder, encoder=mean_color).manifest.design.spot_resolution == ("px", STEP)
    assert cv.manifest.design.to_json()["spot_resolution"] == ("px", STEP)
    assert "spot_resolution" not in sh.tl.Design(mean_color).to_json()


def test_no_length_is_refused():
    sdata = draw_cohort(1, n_slides=2)
    with pytest.raises(ValueError, match=r"\('px', -2\).* must be a positive length"):
        sh.tl.cross_validate(sdata, models="ridge", **{**FAST, "spot_resolution": ("px", -2)})

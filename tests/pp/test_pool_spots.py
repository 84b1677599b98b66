from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import spatialdata as sd
from scipy.spatial import cKDTree
from small_cohorts import FAST, draw_image
from spatialdata.models import ShapesModel
from spatialdata.transformations import Affine, Identity, get_transformation, set_transformation

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask


def bins(slide: str = "S1", *, columns: int = 30, rows: int = 22, patient: str = "P1", seed: int = 0, mpp: float = 2.0):
    """Bins of 8 pixels, more along x than along y, on an image that they cover."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(columns) * 8.0 + 12, np.arange(rows) * 8.0 + 12)
    xy = np.column_stack([x.ravel(), y.ravel()])
    image = draw_image(rng)
    red = image[0][xy[:, 1].astype(int), xy[:, 0].astype(int)] / 128 - 1
    counts = sp.csr_matrix(rng.poisson(np.exp(np.outer(red, np.linspace(-1, 1, 8)))).astype(np.float32))
    obs = pd.DataFrame({"density": rng.random(len(xy)), "in_tissue": rng.random(len(xy)) < 0.7})
    return build_slide(
        image, xy, counts, slide=slide, genes=[f"G{g}" for g in range(8)], patient=patient, mpp=mpp, pitch_px=8.0,
        spot_diameter_px=8.0, obs=obs,
    )  # fmt: skip


@pytest.fixture
def cohort():
    return concat_slides([bins(), bins("S2", columns=27, rows=20, patient="P2", seed=1, mpp=1.0)])


def total(table) -> np.ndarray:
    return np.asarray(table.X.sum(axis=0)).ravel()


@pytest.mark.parametrize("lattice", ["hex", "square"])
@pytest.mark.parametrize("size", [("um", 55), ("px", 31.0), ("pitch", 3)])
def test_every_count_is_there(cohort, lattice, size):
    sh.pp.pool_spots(cohort, size, lattice=lattice)
    for slide in ("S1", "S2"):
        fine = cohort["table"][(cohort["table"].obs["region"] == slide).to_numpy()]
        pooled = cohort["pooled"][(cohort["pooled"].obs["region"] == f"{slide}_pooled").to_numpy()]
        np.testing.assert_array_equal(total(pooled), total(fine))
        assert pooled.obs["n_pooled"].sum() == fine.n_obs and pooled.obs["n_pooled"].min() >= 1


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_a_bin_belongs_to_the_nearest_spot(lattice):
    sdata = bins()
    sh.pp.pool_spots(sdata, ("px", 30.3), lattice=lattice)
    pooled = sdata["pooled"]
    _, nearest = cKDTree(pooled.obsm["spatial"]).query(sdata["table"].obsm["spatial"])
    expected = np.zeros(pooled.shape)
    np.add.at(expected, nearest, sdata["table"].X.toarray())
    np.testing.assert_array_equal(pooled.X.toarray(), expected)
    mean = pd.Series(sdata["table"].obs["density"].to_numpy()).groupby(nearest).mean()
    np.testing.assert_allclose(pooled.obs["density"], mean)
    assert sp.issparse(pooled.X) and pooled.X.dtype == np.float32


def test_spots_are_circles_with_a_scale(cohort):
    sh.pp.pool_spots(cohort, ("um", 50))
    slides = cohort.attrs["spatialhist"]["slides"]
    for slide, mpp in (("S1", 2.0), ("S2", 1.0)):
        assert slides[f"{slide}_pooled"] == {
            "mpp": mpp, "pitch_px": 50 / mpp, "spot_diameter_px": 50 / mpp, "image": f"{slide}_full_image",
        }  # fmt: skip
        circles = cohort.shapes[f"{slide}_pooled"]
        assert set(circles["radius"]) == {25 / mpp}
        rows = (cohort["pooled"].obs["region"] == f"{slide}_pooled").to_numpy()
        here = cohort["pooled"][rows]
        np.testing.assert_array_equal(here.obsm["spatial"], np.column_stack([circles.geometry.x, circles.geometry.y]))
        assert here.obs["patient"].unique().tolist() == ["P1" if slide == "S1" else "P2"]
        assert here.uns["spatial"][f"{slide}_pooled"]["scalefactors"]["spot_diameter_fullres"] == 50 / mpp
        distance, _ = cKDTree(here.obsm["spatial"]).query(here.obsm["spatial"], k=2)
        np.testing.assert_allclose(distance[:, 1], 50 / mpp)


def test_areas_and_what_they_are_in():
    sdata = bins()
    sh.pp.pool_spots(sdata, ("px", 40), lattice="square")
    obs = sdata["pooled"].obs
    # bins of 8 pixels are held as the circles inside them
    np.testing.assert_allclose(obs["pooled_area_um2"], obs["n_pooled"] * 64 * 4)
    assert obs["n_pooled"].max() == 25
    sdata.attrs["spatialhist"]["slides"]["S1"]["mpp"] = None
    sh.pp.pool_spots(sdata, ("px", 40), key_added="other")
    assert sdata["other"].obs["pooled_area_px2"].sum() == pytest.approx(sdata["table"].n_obs * 64)


def test_spots_with_gaps_have_the_area_of_their_circles():
    sdata = bins()
    sdata["S1"]["radius"] = 3.0
    sdata.attrs["spatialhist"]["slides"]["S1"]["spot_diameter_px"] = 6.0
    sh.pp.pool_spots(sdata, ("px", 40))
    assert sdata["pooled"].obs["pooled_area_um2"].sum() == pytest.approx(sdata["table"].n_obs * 9 * np.pi * 4)


def test_the_first_table_stays_and_a_second_call_gives_the_same(cohort):
    before, held = cohort["table"].copy(), cohort.shapes["S1"].copy()
    sh.pp.pool_spots(cohort, ("px", 30))
    first = cohort["pooled"].copy()
    sh.pp.pool_spots(cohort, ("px", 30))
    np.testing.assert_array_equal(cohort["pooled"].X.toarray(), first.X.toarray())
    pd.testing.assert_frame_equal(cohort["pooled"].obs, first.obs)
    np.testing.assert_array_equal(cohort["table"].X.toarray(), before.X.toarray())
    pd.testing.assert_frame_equal(cohort["table"].obs, before.obs)
    pd.testing.assert_frame_equal(cohort.shapes["S1"], held)


def test_some_slides_alone(cohort):
    sh.pp.pool_spots(cohort, ("px", 30))
    sh.pp.log_normalize(cohort, table_key="pooled")
    with pytest.warns(UserWarning, match=r"its layers \['log1p'\]"):
        sh.pp.pool_spots(cohort, ("px", 30), slides="S2")
    assert cohort["pooled"].obs["region"].unique().tolist() == ["S2_pooled"]
    assert "S1_pooled" not in cohort.shapes


def test_genes_are_measured_by_the_slides_that_measured_them():
    narrow = bins("S2", patient="P2", seed=1)
    narrow.tables["table"] = narrow["table"][:, :5].copy()
    sdata = concat_slides([bins(), narrow])
    sh.pp.pool_spots(sdata, ("px", 30))
    assert sdata["pooled"].varm["measured"].sum().to_dict() == {"S1_pooled": 8, "S2_pooled": 5}


def test_layers_of_counts_and_coordinates_are_pooled_and_others_named(caplog):
    sdata = bins()
    table = sdata["table"]
    table.layers["spliced"] = table.X.copy()
    table.obsm["parts"] = pd.DataFrame({"a": np.arange(table.n_obs), "b": 1.0}, index=table.obs_names)
    table.obs["cluster"] = pd.Categorical([str(i % 3) for i in range(table.n_obs)])
    sh.pp.log_normalize(sdata)
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        sh.pp.pool_spots(sdata, ("px", 40))
    pooled = sdata["pooled"]
    np.testing.assert_array_equal(pooled.layers["spliced"].toarray(), pooled.X.toarray())
    assert set(pooled.layers) == {"spliced"} and (pooled.obsm["parts"]["b"] == 1).all()
    assert "['cluster', \"layers['log1p']\"]" in caplog.text
    assert pooled.uns["spatialhist"]["pool_spots"]["left_out"] == ["cluster", "layers['log1p']"]


def test_tissue_and_measured_are_flags():
    sdata = bins()
    sh.pp.pool_spots(sdata, ("pitch", 2), lattice="square")
    assert sdata["pooled"].obs["in_tissue"].dtype == bool
    assert sdata["pooled"].obs["in_tissue"].mean() > sdata["table"].obs["in_tissue"].mean()
    assert sdata["pooled"].obs["measured"].all()


def test_moved_spots_are_pooled_where_they_lie():
    """A registration is taken along, so that the next one starts from the original coordinates."""
    sdata = bins()
    move = Affine([[1, 0, 17], [0, 1, -5], [0, 0, 1]], ("x", "y"), ("x", "y"))
    set_transformation(sdata.shapes["S1"], move, "S1")
    sdata.attrs["spatialhist"]["slides"]["S1"]["alignment"] = move.matrix.tolist()
    sh.pp.pool_spots(sdata, ("px", 24))
    assert sdata.attrs["spatialhist"]["slides"]["S1_pooled"]["alignment"] == move.matrix.tolist()
    _, nearest = cKDTree(sdata["pooled"].obsm["spatial"]).query(sdata["table"].obsm["spatial"] + [17, -5])
    np.testing.assert_array_equal(np.bincount(nearest), sdata["pooled"].obs["n_pooled"])


def test_pooled_spots_lie_wherever_the_bins_do():
    sdata = bins()
    tenth = Affine([[0.1, 0, 3], [0, 0.1, 4], [0, 0, 1]], ("x", "y"), ("x", "y"))
    set_transformation(sdata.shapes["S1"], tenth, "global")
    sh.pp.pool_spots(sdata, ("px", 24))
    placed = get_transformation(sdata.shapes["S1_pooled"], get_all=True)
    assert set(placed) == {"S1", "S1_pooled", "global"}
    np.testing.assert_allclose(placed["global"].to_affine_matrix(("x", "y"), ("x", "y")), tenth.matrix)


def test_pooling_twice_is_pooling_once():
    """Squares of 16 pixels fill those of 48."""
    sdata = bins()
    sh.pp.pool_spots(sdata, ("px", 16), lattice="square", key_added="small")
    sh.pp.pool_spots(sdata, ("px", 48), lattice="square", from_table="small", key_added="large")
    sh.pp.pool_spots(sdata, ("px", 48), lattice="square")
    np.testing.assert_array_equal(sdata["large"].X.toarray(), sdata["pooled"].X.toarray())
    np.testing.assert_array_equal(sdata["large"].obsm["spatial"], sdata["pooled"].obsm["spatial"])


@pytest.mark.parametrize("key", ["table", "S1", "taken"])
def test_a_name_that_is_taken_is_refused(key):
    sdata = bins()
    sdata.tables["taken"] = sdata["table"].copy()
    if key == "S1":
        sdata.shapes["S1_S1"] = ShapesModel.parse(
            np.ones((1, 2)), geometry=0, radius=1, transformations={"S1": Identity()}
        )
    with pytest.raises(ValueError, match=rf"key_added='{key}' is .*; choose another name, as key_added='{key}_2'"):
        sh.pp.pool_spots(sdata, ("px", 20), key_added=key)


def test_a_pooled_cohort_goes_through_every_step(tmp_path):
    sdata = concat_slides([bins(f"S{i}", patient=f"P{i}", seed=i) for i in (1, 2, 3)])
    sdata.write(tmp_path / "cohort.zarr")
    sdata = sd.read_zarr(tmp_path / "cohort.zarr")
    key = {"table_key": "pooled"}
    sh.pp.pool_spots(sdata, ("px", 24))
    sh.pp.mask_background(sdata, method=lambda pixels, *_: np.ones(pixels.shape[:2], dtype=bool), **key)
    assert set(sdata.labels) == {f"S{i}_full_image_tissue" for i in (1, 2, 3)}
    sh.pp.normalize_stain(sdata, method="reinhard")
    assert {s: "stain" in info for s, info in sdata.attrs["spatialhist"]["slides"].items()} == dict.fromkeys(
        [f"S{i}{end}" for i in (1, 2, 3) for end in ("", "_pooled")], True
    )
    sh.pp.realign(sdata, **key)
    sh.pp.filter_spots(sdata, min_counts=5, **key)
    sh.pp.log_normalize(sdata, **key)
    sh.pp.spot_distances(sdata, **key)
    sh.pp.smooth_expression(sdata, layer="log1p", **key)
    cv = sh.tl.cross_validate(sdata, models="ridge", genes=6, groups="patient", out=tmp_path / "run", **FAST, **key)
    assert list(cv.manifest.slides) == ["S1_pooled", "S2_pooled", "S3_pooled"]
    sh.tl.predict(sdata, cv, encoder=FAST["encoder"], progress=False, **key)
    scores = sh.tl.summarize(sh.tl.evaluate(sdata, **key))
    assert scores.loc["ridge", "mean"] > scores.loc["baseline_position", "mean"]
    sh.io.save(sdata)
    again = sd.read_zarr(tmp_path / "cohort.zarr")
    np.testing.assert_array_equal(again["pooled"].layers["predicted"], sdata["pooled"].layers["predicted"])
    sh.pp.log_normalize(again)
    sh.tl.predict(again, cv, encoder=FAST["encoder"], progress=False)
    assert np.isfinite(again["table"].layers["predicted"]).any()


@pytest.mark.parametrize("first", ["pool", "stain"])
def test_a_stain_that_was_fitted_on_scored_slides_is_refused(first, tmp_path):
    """The pooled spots know how the images under them were recolored, whichever table they were recolored by."""
    sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=8, seed=0)
    sh.pp.mask_background(sdata)
    steps = [
        lambda: sh.pp.pool_spots(sdata, ("pitch", 2)),
        lambda: sh.pp.normalize_stain(sdata, method="reinhard", reference="cohort"),
    ]
    for step in steps if first == "pool" else steps[::-1]:
        step()
    sh.pp.log_normalize(sdata, table_key="pooled")
    options = {"groups": "patient", "image": "normalized", "table_key": "pooled", "out": tmp_path / "run"}
    with pytest.raises(ValueError, match="stain reference fitted on slides"):
        sh.tl.cross_validate(sdata, models="ridge", genes=6, **options, **FAST)


def test_models_of_pooled_spots_know_the_slides_of_their_bins(tmp_path):
    """Bins of a training slide are predicted by the fold that left the slide out."""
    sdata = concat_slides([bins(f"S{i}", patient=f"P{i}", seed=i) for i in (1, 2, 3)])
    for i in (1, 2, 3):
        add_mask(sdata, np.ones((50, 65), dtype=bool), image=f"S{i}_full_image")
    sh.pp.pool_spots(sdata, ("px", 24))
    sh.pp.log_normalize(sdata, table_key="pooled")
    model = sh.tl.fit(sdata, models="ridge", genes=6, out=tmp_path / "fit", table_key="pooled", **FAST)
    with pytest.raises(ValueError, match="S1"):
        sh.tl.predict(sdata, model, encoder=FAST["encoder"], progress=False)


def test_a_model_of_pooled_spots_knows_the_slides_it_was_trained_on(cohort):
    sh.pp.pool_spots(cohort, ("px", 24))
    sh.pp.log_normalize(cohort)
    sh.pp.log_normalize(cohort, table_key="pooled")
    for name in ("S1", "S2"):
        add_mask(cohort, np.ones((20, 30), dtype=bool), image=f"{name}_full_image")
    options = {"models": sh.tl.Ridge(components=3), "genes": 4, "slides": "S1_pooled", "table_key": "pooled"}
    model = sh.tl.fit(cohort, **options, **FAST)
    for slide, table_key in (("S1_pooled", "pooled"), ("S1", "table")):
        with pytest.raises(ValueError, match="slide 'S1_pooled' was trained on"):
            sh.tl.predict(cohort, model, slides=slide, table_key=table_key, encoder=FAST["encoder"], progress=False)

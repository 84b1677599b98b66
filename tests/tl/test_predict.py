from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color
from spatialdata import SpatialData

import spatialhist as sh
from spatialhist._sdata.cohort import Cohort
from spatialhist._sdata.compat import layer_names
from spatialhist.tl import Ridge

OPTIONS = {"encoder": mean_color, "progress": False}


@pytest.fixture(scope="module")
def new_slides():
    """Two slides that no model was trained on; they lack gene ``G11``, which panels hold, and have another of their own."""
    sdata = draw_cohort(9, n_slides=2, signal=0.8, images_seed=5)
    table = sdata["table"]
    table.var_names = [*table.var_names[:11], "other"]
    return sdata


@pytest.fixture
def new(new_slides):
    elements = {name: element for _, name, element in new_slides.gen_spatial_elements()}
    sdata = SpatialData.init_from_elements(elements, attrs=new_slides.attrs)
    sdata.tables["table"] = new_slides["table"].copy()
    return sdata


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A run of three slides over all genes, its stack, and a model fitted on everything."""
    sdata, folder = draw_cohort(1, n_slides=3, signal=0.8), tmp_path_factory.mktemp("models")
    options = {"models": [Ridge(components=6), Ridge(name="b", components=3)], "genes": 12, **FAST}
    cv = sh.tl.cross_validate(sdata, groups="patient", out=folder / "cv", **options)
    model = sh.tl.fit(sdata, out=folder / "model", **options)
    return SimpleNamespace(sdata=sdata, cv=cv, stack=sh.tl.stack(sdata, cv), model=model)


@pytest.mark.parametrize("source", ["cv", "stack", "model"])
def test_a_new_slide_is_predicted_and_missing_genes_are_added(models, new, source):
    sh.tl.predict(new, getattr(models, source), **OPTIONS)
    table = new["table"]
    assert table.var_names[-1] == "G11"
    assert not table.varm["measured"].loc["G11"].any()
    assert table.varm["measured"].loc["G3"].all()
    values = table.layers["predicted"]
    assert values.dtype == np.float32
    known = np.isfinite(values)
    assert known[:, table.var_names != "other"].all()
    assert not known[:, table.var_names == "other"].any()
    entry = table.uns["spatialhist"]["predicted"]
    assert (entry["target"], entry["fitted_on"], entry["predicted_slides"]) == (
        "log1p",
        ["S1", "S2", "S3"],
        ["S1", "S2"],
    )
    assert table.X.shape == (192, 13)


def test_predictions_tell_something_of_new_slides(models, new):
    sh.tl.predict(new, models.stack, **OPTIONS)
    scores = sh.tl.evaluate(new, layers=["predicted"], oracles=False)
    assert scores.loc[(scores["metric"] == "pearson") & (scores["target"] == "G0"), "value"].mean() > 0.3
    assert "G11" not in set(scores["target"])


@pytest.mark.parametrize(("source", "layer"), [("stack", "oof"), ("cv", None)])
def test_training_slides_under_any_name_get_their_out_of_fold_predictions(models, source, layer):
    sdata = draw_cohort(1, n_slides=3, signal=0.8)
    sh.tl.predict(sdata, getattr(models, source), **OPTIONS)
    layers = models.sdata["table"].layers
    expected = layers[layer] if layer else np.mean([layers["oof_ridge"], layers["oof_b"]], axis=0)
    assert sdata["table"].layers["predicted"].tobytes() == expected.tobytes()


def test_a_model_of_everything_refuses_its_training_slides(models, new):
    sdata = draw_cohort(1, n_slides=3, signal=0.8)
    with pytest.raises(ValueError, match="slide 'S1' was trained on.*cross-validation, whose folds left it out"):
        sh.tl.predict(sdata, models.model, **OPTIONS)
    assert "predicted" not in sdata["table"].layers


def test_a_model_of_everything_repeats_labels_only_when_asked_to(models):
    sdata = draw_cohort(1, n_slides=3, signal=0.8)
    sh.tl.predict(sdata, models.model, slides=["S2"], allow_training=True, **OPTIONS)
    made = sdata["table"].uns["spatialhist"]["predicted"]
    assert made["fitted_on_own_labels"] == ["S2"]
    assert made["predicted_as"] == ["training slide S2, by a model fitted on its labels"]
    with pytest.raises(ValueError, match=r"fitted on the labels of slides \['S2'\]"):
        sh.tl.evaluate(sdata, layers="predicted")


def test_what_each_slide_is_to_the_model_is_recorded(models, new):
    sh.tl.predict(new, models.cv, **OPTIONS)
    same_name = "new slide, not the training slide of this name: its pixels differ"
    assert new["table"].uns["spatialhist"]["predicted"]["predicted_as"] == [same_name, same_name]
    sdata = draw_cohort(1, n_slides=4, signal=0.8)
    for slide in ("S3", "S4"):
        sh.tl.predict(sdata, models.cv, slides=slide, **OPTIONS)
    made = sdata["table"].uns["spatialhist"]["predicted"]
    assert made["predicted_as"] == ["training slide S3, by the fold that left out group P3", "new slide"]
    assert made["predicted_slides"] == ["S3", "S4"]
    assert (made["fitted_on_own_labels"], made["run_id"]) == ([], models.cv.run_id)


@pytest.mark.parametrize("source", ["stack", "cv"])
def test_predictions_carry_how_far_to_trust_each_gene(models, new, source):
    model = getattr(models, source)
    sh.tl.predict(new, model, **OPTIONS)
    var, genes = new["table"].var, sh.tl.gene_reliability(model)
    assert (var.loc[genes.index, "predicted_verdict"].astype(str) == genes["verdict"].astype(str)).all()
    np.testing.assert_allclose(var.loc[genes.index, "predicted_score"], genes["score"])
    assert var.loc["other", ["predicted_score", "predicted_verdict"]].isna().all()
    sh.tl.predict_grid(new, model, slides="S1", **OPTIONS)
    on_grid = new["S1_grid_table"].var["predicted_verdict"]
    assert on_grid.astype(str).to_dict() == genes.loc[on_grid.index, "verdict"].astype(str).to_dict()
    sh.tl.predict(new, models.model, **OPTIONS)
    assert "predicted_verdict" not in new["table"].var


def test_a_model_of_everything_is_the_mean_of_its_fits(models, new):
    from spatialhist._sdata.cohort import open_cohort
    from spatialhist.tl._data.features import View, slide_features

    sh.tl.predict(new, models.model, **OPTIONS)
    cohort = open_cohort(new)
    design = models.model.design(mean_color)
    slide = cohort.slide("S2")
    (samples,) = slide_features(slide, View.of(slide, design), design, mean_color).parts()
    expected = np.mean([f.fitted().predict(samples) for f in models.model.fits()], axis=0)
    columns = new["table"].var_names.get_indexer(models.model.genes)
    found = new["table"].layers["predicted"][np.ix_(cohort.rows("S2"), columns)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_subset_of_spots_is_predicted_as_within_the_slide(models, new):
    sh.tl.predict(new, models.stack, **OPTIONS)
    some = np.r_[40:60, 100:103]
    whole = new["table"].layers["predicted"][some].copy()
    new.tables["table"] = new["table"][some].copy()
    sh.tl.predict(new, models.stack, **OPTIONS)
    np.testing.assert_allclose(new["table"].layers["predicted"], whole, rtol=1e-5)


def test_slides_are_added_by_the_same_model_and_forgotten_by_another(models, new):
    table = lambda: new["table"]
    sh.tl.predict(new, models.stack, slides="S1", **OPTIONS)
    assert np.isnan(table().layers["predicted"][96:]).all()
    sh.tl.predict(new, models.stack, slides=["S2"], **OPTIONS)
    assert np.isfinite(table().layers["predicted"][:96]).any()
    assert list(table().uns["spatialhist"]["predicted"]["predicted_slides"]) == ["S1", "S2"]
    sh.tl.predict(new, models.cv, slides="S2", **OPTIONS)
    assert np.isnan(table().layers["predicted"][:96]).all()
    assert list(table().uns["spatialhist"]["predicted"]["predicted_slides"]) == ["S2"]


def test_a_run_folder_will_do_and_features_are_kept(models, new, tmp_path):
    sh.tl.predict(new, models.cv.folder, cache=tmp_path, **OPTIONS)
    assert any(tmp_path.iterdir())
    first = new["table"].layers["predicted"].copy()
    sh.tl.predict(new, str(models.cv.folder), cache=tmp_path, key_added="again", **OPTIONS)
    assert new["table"].layers["again"].tobytes() == first.tobytes()


def test_refusals_leave_the_object_as_it_was(models, new, monkeypatch):
    with pytest.raises(ValueError, match="trained on your own encoder \\(function\\): pass it as encoder="):
        sh.tl.predict(new, models.stack, progress=False)
    with pytest.raises(ValueError, match="key_added='a/b' must hold only"):
        sh.tl.predict(new, models.stack, key_added="a/b", **OPTIONS)
    with pytest.raises(KeyError, match="no slide \\['S7'\\]"):
        sh.tl.predict(new, models.stack, slides="S7", **OPTIONS)
    with pytest.raises(TypeError, match="int is no cross-validation"):
        sh.tl.predict(new, 3, **OPTIONS)
    del new.labels["S2_full_image_tissue"]
    with pytest.raises(KeyError, match="slide 'S2' has no tissue mask.*sh.pp.mask_background"):
        sh.tl.predict(new, models.stack, **OPTIONS)
    assert "predicted" not in new["table"].layers
    assert new["table"].n_vars == 12


def test_a_missing_image_names_the_call_that_makes_it(models, new):
    sdata = draw_cohort(1, n_slides=2, n_genes=4)
    for slide in ("S1", "S2"):
        sdata.images[f"{slide}_full_image_normalized"] = sdata.images[f"{slide}_full_image"]
    model = sh.tl.fit(sdata, models=Ridge(components=3), genes=4, image="normalized", **FAST)
    with pytest.raises(KeyError, match="no image 'S1_full_image_normalized'.*make it with sh.pp.normalize_stain"):
        sh.tl.predict(new, model, **OPTIONS)


HANDED_OVER = {
    "predict": {"open_cohort", "Cohort.every_slide", "add_genes"},
    "predict_grid": {"open_images", "Cohort.every_slide", "add_grid"},
}


@pytest.mark.parametrize("verb", HANDED_OVER)
def test_the_object_is_opened_once_and_written_once(models, new, verb):
    """Whatever lies between asks slides: calls from outside of ``_sdata`` into it that get the object or the cohort."""
    package, found = Path(sh.__file__).parent, []

    def place(frame):
        path = Path(frame.f_code.co_filename)
        return path.relative_to(package).parts[0] if path.is_relative_to(package) else None

    def watch(frame, event, _):
        if event != "call" or place(frame) != "_sdata":
            return
        caller = frame.f_back
        while place(caller) is None and caller.f_back:
            caller = caller.f_back  # libraries in between
        arguments = list(frame.f_locals.values())[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
        if place(caller) != "_sdata" and any(isinstance(a, SpatialData | Cohort) for a in arguments):
            found.append(frame.f_code.co_qualname)

    options = OPTIONS | ({"level": None} if verb == "predict_grid" else {})
    sys.setprofile(watch)
    try:
        getattr(sh.tl, verb)(new, models.cv, slides="S1", **options)
    finally:
        sys.setprofile(None)
    assert sorted(found) == sorted(HANDED_OVER[verb])


def test_intervals_of_another_model_do_not_outlive_it(finished):
    _, cv, stack = finished
    new = draw_cohort(7, n_slides=1, signal=0.8, images_seed=11)
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    for bound in ("lower", "upper"):
        new["table"].layers[f"predicted_{bound}"] = new["table"].layers["predicted"]
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    assert "predicted_lower" in layer_names(new["table"])
    sh.tl.predict(new, cv, encoder=mean_color, progress=False)
    assert not {"predicted_lower", "predicted_upper"} & set(layer_names(new["table"]))

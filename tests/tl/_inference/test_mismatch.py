from __future__ import annotations

import warnings

import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist import _keys
from spatialhist._sdata.scale import slide_info
from spatialhist.pp import StainReference


@pytest.fixture
def new():
    """A slide of a patient that no run has seen."""
    sdata = draw_cohort(5, n_slides=1, signal=0.8, images_seed=9)
    sdata["table"].obs["patient"] = "P9"
    return sdata


def recolour(sdata, reference, *, method="macenko"):
    """Say that slides were normalized to a reference, without doing so."""
    for slide in list(sdata.shapes):
        sdata.images[_keys.normalized(_keys.image(slide))] = sdata.images[_keys.image(slide)]
        slide_info(sdata, slide)["stain"] = {"method": method, "target": reference.to_dict()}


@pytest.fixture(scope="module")
def recolored(tmp_path_factory):
    """A model on images that were normalized to the shipped reference."""
    sdata = draw_cohort(1, n_slides=2)
    recolour(sdata, StainReference.canonical("macenko"))
    out = tmp_path_factory.mktemp("recolored") / "m"
    return sh.tl.fit(sdata, models="ridge", genes=4, image="normalized", out=out, **FAST)


WAYS = {
    "predict": lambda sdata, model: sh.tl.predict(sdata, model, encoder=mean_color, progress=False),
    "predict_grid": lambda sdata, model: sh.tl.predict_grid(
        sdata, model, spacing=("px", 40.0), encoder=mean_color, progress=False
    ),
}


@pytest.fixture(params=WAYS)
def predict(request):
    return WAYS[request.param]


def test_what_fits_is_not_warned_of(finished, new, predict):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        predict(new, finished[2])


def test_another_size_of_pixels(finished, new, predict):
    slide_info(new, "S1")["mpp"] = 0.9
    with pytest.warns(UserWarning, match="'S1' has 0.9 um per pixel, the model was trained at 2 to 2.*check mpp"):
        predict(new, finished[2])


def test_other_names_of_genes(finished, new, predict):
    new["table"].var_names = [f"ENSG{i:05d}" for i in range(new["table"].n_vars)]
    text = "'S1' measured 0 of the .* genes that the model predicts .*'ENSG00000'.*rename table.var_names"
    with pytest.warns(UserWarning, match=text):
        predict(new, finished[2])


def test_genes_of_a_slide_that_was_not_measured_do_not_matter(finished, new, predict):
    new["table"].var_names = [f"ENSG{i:05d}" for i in range(new["table"].n_vars)]
    new["table"].obs["measured"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        predict(new, finished[2])


def test_other_units(finished, new, predict):
    sh.pp.log_normalize(new, target_sum=1e6)
    text = r"layer 'log1p' .*target_sum=1000000.0 here, 10000.0 in training.*make the layer anew"
    with pytest.warns(UserWarning, match=text):
        predict(new, finished[2])


def test_another_ranking(new, predict, tmp_path):
    sdata = draw_cohort(1, n_slides=2)
    sh.pp.rank_expression(sdata, scale="unit")
    model = sh.tl.fit(sdata, models="ridge", layer="ranks", genes=4, out=tmp_path / "m", **FAST)
    sh.pp.rank_expression(new, scale="raw")
    with pytest.warns(UserWarning, match="layer 'ranks' .*scale='raw' here, 'unit' in training"):
        predict(new, model)


def test_the_same_stain(recolored, new, predict):
    recolour(new, StainReference.canonical("macenko"))
    predict(new, recolored)


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        (StainReference.canonical("reinhard"), "'reinhard' to the shipped reference"),
        (
            StainReference("macenko", fitted_on=("A",), stain_matrix=[[0.6, 0.1, 0.1]] * 3, white_point=[250.0] * 3),
            r"'macenko' to a reference fitted on \['A'\]",
        ),
    ],
)
def test_another_stain_is_refused(recolored, new, predict, reference, named):
    recolour(new, reference)
    text = (
        f"'normalized' of slide 'S1' was recolored by {named}, those of the training slides by 'macenko' to the shipped"
    )
    with pytest.raises(ValueError, match=text + r".*call sh.pp.normalize_stain"):
        predict(new, recolored)
    assert list(new.tables) == ["table"]
    assert "predicted" not in new["table"].layers


def test_a_stain_that_nobody_recorded_is_refused(recolored, new, predict):
    recolour(new, StainReference.canonical("macenko"))
    del slide_info(new, "S1")["stain"]
    with pytest.raises(ValueError, match="recolored by nothing that is recorded"):
        predict(new, recolored)

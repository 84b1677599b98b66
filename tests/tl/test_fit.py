from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.versions import layer_names
from spatialhist.tl import Model, Ridge
from spatialhist.tl._samples import Inputs


@pytest.fixture(scope="module")
def sdata():
    return draw_cohort(4, n_slides=2, n_genes=6, signal=0.8)


def fit(sdata, **options):
    return sh.tl.fit(sdata, **{"models": Ridge(components=4), "genes": 4, **FAST, **options})


def test_a_model_is_fitted_on_every_measured_spot(sdata, tmp_path):
    model = fit(sdata, out=tmp_path)
    (only,) = model.fits()
    samples = Inputs.open(tmp_path / "inputs").samples(np.arange(192), range(4))
    expected = model.models[0].fit(samples, seed=0, scratch=None).predict(samples)
    np.testing.assert_array_equal(only.fitted().predict(samples), expected)
    assert layer_names(sdata["table"]) == ["log1p"]


def test_a_model_folder_is_loaded_again(sdata, tmp_path):
    model = fit(sdata, out=tmp_path)
    for again in (Model.load(tmp_path), sh.tl.load(tmp_path)):
        assert again.models == model.models
        assert again.genes == model.genes
        assert len(again.genes) == 4


def test_the_same_call_goes_on_and_another_is_refused(sdata, tmp_path, monkeypatch):
    fit(sdata, out=tmp_path)
    with pytest.raises(FileExistsError, match="differ in \\['seed'\\]"):
        fit(sdata, out=tmp_path, seed=1)
    monkeypatch.setattr(Ridge, "fit", lambda *a, **k: pytest.fail("fitted again"))
    fit(sdata, out=tmp_path)


def test_a_cross_validation_folder_is_refused(sdata, tmp_path):
    options = {"models": Ridge(components=4), "genes": 6, "groups": "patient", "out": tmp_path, **FAST}
    sh.tl.cross_validate(sdata.subset([*sdata.images, *sdata.labels, *sdata.shapes, "table"]), **options)
    with pytest.raises(FileExistsError, match="another run"):
        fit(sdata, genes=6, out=tmp_path)


def test_the_panel_is_that_of_all_slides(sdata):
    model = fit(sdata, genes=2)
    logs = np.log1p(1e4 * sdata["table"].X.toarray() / sdata["table"].X.toarray().sum(axis=1, keepdims=True))
    mean = (logs[:96].mean(axis=0) + logs[96:].mean(axis=0)) / 2
    assert model.genes == list(sdata["table"].var_names[np.sort(np.argsort(-mean)[:2])])
    assert fit(sdata, genes=["G3", "G1"]).genes == ["G1", "G3"]


def test_refusals(sdata):
    with pytest.raises(ValueError, match="genes=0 must be at least 1"):
        fit(sdata, genes=0)
    with pytest.raises(KeyError, match="no layer 'ranks'"):
        fit(sdata, layer="ranks")


def test_a_model_carries_what_a_cross_validation_says_of_it(sdata, tmp_path):
    copy = sdata.subset([*sdata.images, *sdata.labels, *sdata.shapes, "table"])
    options = {"models": Ridge(components=4), "genes": 6, **FAST}
    cv = sh.tl.cross_validate(copy, groups="patient", out=tmp_path / "cv", **options)
    model = fit(sdata, genes=6, judged_by=cv, licence="CC-BY-4.0", out=tmp_path / "model")
    assert sh.tl.gene_reliability(tmp_path / "model").equals(sh.tl.gene_reliability(cv))
    assert sh.tl.load(tmp_path / "model").manifest["licence"] == "CC-BY-4.0"
    assert set(model.manifest["versions"]) > {"numpy", "torch"}
    with pytest.raises(ValueError, match=r"says nothing of this model: they differ in \['models'\]"):
        fit(sdata, genes=6, judged_by=tmp_path / "cv", models=Ridge(components=3))

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist.tl import FeatureNetwork, Model, Ridge, TileNetwork
from spatialhist.tl._data.samples import Inputs


@pytest.fixture(scope="module")
def sdata():
    return draw_cohort(4, n_slides=2, n_genes=6, signal=0.8)


def fit(sdata, **options):
    return sh.tl.fit(sdata, **{"models": Ridge(components=4), "genes": 4, **FAST, **options})


class MeanColor(torch.nn.Module):
    def forward(self, tiles):
        return tiles.float().mean((2, 3)) / 255


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
    model = fit(sdata, genes=6, evaluated_by=cv, license="CC-BY-4.0", out=tmp_path / "model")
    assert sh.tl.gene_reliability(tmp_path / "model").equals(sh.tl.gene_reliability(cv))
    assert sh.tl.load(tmp_path / "model").manifest.license == "CC-BY-4.0"
    assert set(model.manifest.versions) > {"numpy", "torch"}
    with pytest.raises(ValueError, match=r"says nothing of this model: they differ in \['models'\]"):
        fit(sdata, genes=6, evaluated_by=tmp_path / "cv", models=Ridge(components=3))


HEAD = FeatureNetwork(members=1, epochs=2, dim=4, learning_rate=1e-2, dropout=0.0, accelerator="cpu")
PIXELS = TileNetwork(width=1, epochs=1, accelerator="cpu")


@pytest.fixture(scope="module")
def first(sdata, tmp_path_factory):
    """A model to go on from."""
    return fit(sdata, models=[Ridge(components=4), HEAD, PIXELS], out=tmp_path_factory.mktemp("first"))


class TestStart:
    """Networks go on from the weights of a fitted model."""

    def weights(self, model, name):
        (only,) = (f for f in model.fits() if f.predictor.name == name)
        return only.fitted().state()[0]

    def test_steps_of_no_length_leave_the_weights(self, sdata, first):
        still = [replace(m, learning_rate=0.0, weight_decay=0.0) for m in (HEAD, PIXELS)]
        again = fit(sdata, models=still, start=first)
        for name in ("mlp", "vision_mlp"):
            before, after = self.weights(first, name), self.weights(again, name)
            learned = [k for k in before if "running" not in k and "num_batches" not in k]
            assert len(learned) > 4
            for key in learned:
                np.testing.assert_array_equal(after[key], before[key])
            for key in (k for k in before if "num_batches" in k):
                assert after[key] > before[key], "batch norm did not train"

    def test_a_network_that_goes_on_fits_better_than_one_that_starts(self, sdata, first):
        models = replace(HEAD, epochs=8)
        everything = Inputs.open(first.folder / "inputs").samples(np.arange(192), range(4))

        def error(model):
            return np.square(model.fits()[0].fitted().predict(everything) - everything.targets).mean()

        long = fit(sdata, models=models)
        assert error(fit(sdata, models=models, start=long)) < error(long)

    def test_it_goes_on_with_other_slides_whose_genes_come_in_another_order(self, first, tmp_path):
        other = draw_cohort(5, n_slides=1, n_genes=6, signal=0.8)
        table = other["table"][:, ::-1].copy()
        other["table"] = table
        still = replace(HEAD, learning_rate=0.0, weight_decay=0.0)
        again = fit(other, models=[Ridge(components=4), still], start=first.folder, out=tmp_path)
        assert again.genes == first.genes
        assert Model.load(tmp_path).manifest.identity["start"] == first.run_id
        assert again.run_id != fit(other, models=[Ridge(components=4), still], genes=first.genes).run_id
        rows = Inputs.open(first.folder / "inputs").samples(np.arange(192))
        before, after = (m.fits()[1].fitted().predict(rows) for m in (first, again))
        moved = after - before
        np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-5)

    def test_a_network_of_the_users_goes_on_for_other_epochs_and_not_as_another(self, sdata):
        def build(n_outputs):
            return torch.nn.Sequential(MeanColor(), torch.nn.Linear(3, n_outputs))

        def another(n_outputs):
            return torch.nn.Sequential(MeanColor(), torch.nn.Linear(3, n_outputs, bias=False))

        network = TileNetwork(build=build, epochs=1, accelerator="cpu")
        before = fit(sdata, models=network)
        still = replace(network, epochs=2, batch=16, learning_rate=0.0, weight_decay=0.0)
        after = fit(sdata, models=still, start=before)
        for key, value in self.weights(before, "vision_mlp").items():
            np.testing.assert_array_equal(self.weights(after, "vision_mlp")[key], value)
        with pytest.raises(ValueError, match="differ in .*model 'vision_mlp'"):
            fit(sdata, models=replace(network, build=another), start=before)

    def test_weights_that_do_not_fit_the_network_are_told(self, first):
        state = first.fits()[2].fitted().state()
        other = replace(PIXELS, build=lambda n: torch.nn.Sequential(MeanColor(), torch.nn.Linear(3, n)))
        with pytest.raises(ValueError, match="weights of model 'vision_mlp' do not fit the network that it makes now"):
            other.restore(state)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"models": Ridge(components=4)}, r"none of the models \['ridge'\] has weights to go on from"),
            ({"models": replace(HEAD, dim=5)}, r"differ in \[\"model 'mlp'\"\]"),
            ({"models": replace(HEAD, name="new")}, r"differ in \[\"model 'new'\"\]"),
            ({"pixels": 9}, r"differ in \['design'\]"),
            ({"layer": "raw"}, r"differ in \['layer'\]"),
            ({"genes": ["G1", "G2"]}, r"differ in \['genes'\]"),
        ],
    )
    def test_refused(self, sdata, first, options, match):
        sdata["table"].layers["raw"] = sdata["table"].X.copy()
        with pytest.raises(ValueError, match=match):
            fit(sdata, **{"models": HEAD, "start": first, **options})
        del sdata["table"].layers["raw"]

    def test_genes_that_a_slide_lacks_are_refused(self, first):
        fewer = draw_cohort(5, n_slides=1, n_genes=6, signal=0.8)
        missing = first.genes[0]
        fewer["table"] = fewer["table"][:, [g != missing for g in fewer["table"].var_names]].copy()
        with pytest.raises((ValueError, KeyError), match=missing):
            fit(fewer, models=HEAD, start=first)

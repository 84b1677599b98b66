from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_samples import draw_samples

from spatialhist.tl import Ridge
from spatialhist.tl._data.samples import write_inputs
from spatialhist.tl._runs import fits as _fits
from spatialhist.tl._runs.fits import Fit, run_fit, run_fits


@pytest.fixture
def inputs(tmp_path):
    """Three slides in three groups."""
    s = draw_samples()
    statistics = [np.stack([np.stack([np.zeros(f.shape[1]), np.ones(f.shape[1])])] * 3) for f in s.features]
    return write_inputs(
        tmp_path / "inputs",
        slides=["S0", "S1", "S2"],
        groups=["g0", "g1", "g2"],
        patients=["P0", "P1", "P2"],
        slide_code=np.unique(s.slide, return_inverse=True)[1],
        position=s.position,
        features=[s.features],
        statistics=statistics,
        values=s.targets,
        tiles=None,
        ranking=None,
    )


@pytest.fixture
def fit(tmp_path):
    return Fit(Ridge(components=4), ("g1",), (0, 2), tmp_path / "folds" / "01_g1" / "ridge", seed=0, threads=1)


def bytes_of(fit):
    return {p.name: p.read_bytes() for p in sorted(fit.folder.iterdir())}


def test_a_fit_predicts_what_was_held_out_from_the_rest(fit, inputs):
    run_fits([fit], inputs.folder, progress=False)
    rows, predicted = fit.result()
    group = inputs.column("group")
    np.testing.assert_array_equal(rows, np.flatnonzero(group == "g1"))
    model = fit.predictor.fit(inputs.samples(np.flatnonzero(group != "g1"), (0, 2)), seed=0, scratch=None)
    np.testing.assert_array_equal(predicted, model.predict(inputs.samples(rows)))
    np.testing.assert_array_equal(fit.fitted().predict(inputs.samples(rows)), predicted)


def test_a_fit_that_is_done_is_not_run_again(fit, inputs, monkeypatch):
    run_fits([fit], inputs.folder, progress=False)
    before = bytes_of(fit)
    monkeypatch.setattr(Ridge, "fit", lambda *a, **k: pytest.fail("ran again"))
    run_fits([fit], inputs.folder, progress=False)
    assert run_fit(fit, inputs.folder) == 0.0
    assert bytes_of(fit) == before


def test_what_a_killed_fit_left_is_harmless(fit, inputs):
    run_fits([fit], inputs.folder, progress=False)
    before = bytes_of(fit)
    fit.folder.rename(fit.folder.with_name(".ridge.tmp"))
    (fit.folder.with_name(".ridge.tmp") / "garbage").touch()
    (fit.folder.with_name("ridge.scratch")).mkdir()
    run_fits([fit], inputs.folder, progress=False)
    assert bytes_of(fit) == before
    assert [p.name for p in fit.folder.parent.iterdir()] == ["ridge"]


def test_the_executor_does_not_change_a_byte(fit, inputs, tmp_path):
    fits = [replace(fit, held_out=(g,), folder=tmp_path / "a" / g) for g in ("g0", "g1", "g2")]
    others = [replace(f, folder=tmp_path / "b" / f.folder.name) for f in fits]
    run_fits(fits, inputs.folder, progress=False)
    with ThreadPoolExecutor(1) as pool:
        run_fits(others, inputs.folder, executor=pool, progress=False)
    assert [bytes_of(f) for f in fits] == [bytes_of(f) for f in others]


def test_a_fit_on_everything_predicts_nothing(fit, inputs, tmp_path):
    whole = replace(fit, held_out=(), folder=tmp_path / "full")
    run_fit(whole, inputs.folder)
    rows, predicted = whole.result()
    assert rows.shape == (0,)
    assert predicted.shape == (0, 2)


@dataclass(frozen=True)
class OneGene(Ridge):
    """Predicts a vector where a matrix is expected."""

    def fit(self, samples, *, seed, scratch):
        fitted = super().fit(samples, seed=seed, scratch=scratch)
        return type("Fitted", (), {"predict": lambda _, s: fitted.predict(s)[:, 0], "state": fitted.state})()


def test_a_prediction_of_the_wrong_shape_is_refused(fit, inputs):
    wrong = replace(fit, predictor=OneGene(components=4))
    with pytest.raises(ValueError, match="model 'ridge' predicted an array \\(30,\\), expected numbers \\(30, 2\\)"):
        run_fit(wrong, inputs.folder)
    assert not wrong.done


@dataclass(frozen=True)
class InLists(Ridge):
    """Predicts lists, and forgets that once it is restored."""

    def fit(self, samples, *, seed, scratch):
        fitted = super().fit(samples, seed=seed, scratch=scratch)
        return SimpleNamespace(predict=lambda s: fitted.predict(s).tolist(), state=fitted.state)

    def restore(self, state):
        return SimpleNamespace(predict=lambda s: super(InLists, self).restore(state).predict(s)[:, :1], state=None)


def test_lists_are_predictions(fit, inputs):
    plain, lists = (replace(fit, predictor=p, folder=fit.folder.with_name(p.name)) for p in
                    (fit.predictor, InLists(name="lists", components=4)))  # fmt: skip
    run_fits([plain, lists], inputs.folder, progress=False)
    np.testing.assert_array_equal(lists.result()[1], plain.result()[1])


def test_what_a_restored_model_lacks_is_told_with_its_name(fit, inputs):
    lists = replace(fit, predictor=InLists(components=4))
    run_fit(lists, inputs.folder)
    with pytest.raises(
        TypeError, match=r"model 'ridge': its fit or restore returned a SimpleNamespace, .* \['state'\]"
    ):
        lists.fitted()


def test_a_restored_model_that_predicts_another_shape_is_told(fit, inputs):
    run_fit(fit, inputs.folder)
    restored = fit.fitted()
    fewer = SimpleNamespace(predict=lambda samples: restored.predict(samples)[:, :1])
    with pytest.raises(ValueError, match=r"model 'ridge' predicted an array \(3, 1\), expected numbers \(3, 2\)"):
        fit.predict(fewer, inputs.samples(np.arange(3)))


def test_the_time_left_is_told_when_it_is_long(fit, inputs, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setattr(_fits, "run_fit", lambda *a: 90.0)
    fits = [replace(fit, folder=tmp_path / g) for g in ("a", "b", "c")]
    note = "about 3 min are left; ridge is the slowest, 90 s a fit"
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        run_fits(fits, inputs.folder, progress=True)
        assert capsys.readouterr().err.count(note) == 1
        assert caplog.text == ""
        run_fits(fits, inputs.folder, progress=False)
    assert capsys.readouterr() == ("", "")
    assert caplog.text.count(note) == 1

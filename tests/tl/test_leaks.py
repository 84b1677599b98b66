"""The honesty rules, by invariance: what a prediction must not have seen may be replaced without moving a byte."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import DepthAdjusted, FeatureNetwork, KernelRidge, Ridge, TileNetwork
from spatialhist.tl._predictors import linear as _linear
from spatialhist.tl._predictors.registry import DEFAULT, by_name, presets
from spatialhist.tl._runs import fits as _fits

HELD = "P2"
CONTEXT = {"context": [("px", 15.0), ("px", 40.0)]}


class SmallNetwork(torch.nn.Module):
    """Pools a tile and predicts from its mean colors."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, n_outputs)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        return self.linear(tiles.float().mean(dim=(2, 3)) / 255)


def predictors():
    """One of every kind, small, and every default model by its name."""
    own = [
        Ridge(components=6),
        Ridge(name="ridge_raw", standardized=False, components=6),
        KernelRidge(landmarks=30, components=6),
        Ridge(name="ridge_by_component", components=6, by_component=3),
        DepthAdjusted(Ridge(components=6)),
        FeatureNetwork(members=1, epochs=2, dim=8),
        TileNetwork(build=SmallNetwork, epochs=2, members=2, ema=0.9),
        TileNetwork(name="group_norm", width=1, norm="group", epochs=1),
    ]
    named = [by_name(name) for name in DEFAULT]
    return [*own, *(small(p) for p in named if p.name not in {o.name for o in own})]


def small(predictor):
    """The same predictor, on fewer components and for fewer epochs."""
    sizes = {"components": 6, "landmarks": 30, "epochs": 2, "dim": 8}
    known = {f.name for f in dataclasses.fields(predictor)}
    return dataclasses.replace(predictor, **{k: v for k, v in sizes.items() if k in known})


def run(sdata, out, **options):
    """Cross-validate with every predictor and stack with every method that four groups allow."""
    cv = sh.tl.cross_validate(
        sdata, models=predictors(), genes=8, groups="patient", out=out, **{**FAST, **CONTEXT, **options}
    )
    for method in ("nnls", "mean", "rank_mean"):
        sh.tl.stack(sdata, cv, method=method, key_added=f"oof_stack_{method}")
    return cv


def replace_labels(sdata, patient):
    """Draw the counts of one patient again, and raise other genes than before."""
    rng = np.random.default_rng(99)
    table = sdata["table"]
    rows = (table.obs["patient"] == patient).to_numpy()
    counts = table.X.toarray()
    counts[rows] = rng.poisson(5, (rows.sum(), table.n_vars)) + 300 * (np.arange(table.n_vars) > 8)
    table.X = csr_matrix(counts.astype(np.float32))
    sh.pp.log_normalize(sdata)


def held_out(sdata, layer, patient=HELD):
    rows = (sdata["table"].obs["patient"] == patient).to_numpy()
    return sdata["table"].layers[layer][rows]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same cohort before and after the held-out labels were replaced."""
    folder = tmp_path_factory.mktemp("leaks")
    before, after = draw_cohort(1, signal=0.8), draw_cohort(1, signal=0.8)
    replace_labels(after, HELD)
    return before, after, run(before, folder / "before"), run(after, folder / "after")


LAYERS = [
    *(f"oof_{p.name}" for p in predictors()),
    *(
        "oof_baseline_mean",
        "oof_baseline_patient",
        "oof_baseline_position",
        "oof_baseline_color",
        "oof_baseline_depth",
        "oof_baseline_single_scale",
        "oof_control_permuted",
    ),
    *(f"oof_stack_{m}" for m in ("nnls", "mean", "rank_mean")),
]


def test_every_class_of_predictors_is_here():
    assert {type(p) for p in predictors()} == {type(p) for p in presets() if p.kind == "model"}


@pytest.mark.parametrize("layer", LAYERS)
def test_labels_of_the_held_out_group_do_not_reach_its_predictions(runs, layer):
    before, after, *_ = runs
    assert held_out(before, layer).tobytes() == held_out(after, layer).tobytes()


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "oof_baseline_patient"])
def test_labels_do_reach_the_predictions_of_other_groups(runs, layer):
    before, after, *_ = runs
    assert held_out(before, layer, "P1").tobytes() != held_out(after, layer, "P1").tobytes()


def test_pixels_of_the_held_out_group_do_not_reach_what_its_fold_fitted(runs, tmp_path):
    before, _, cv, _ = runs
    changed = draw_cohort(1, signal=0.8)
    image = changed.images[f"S{HELD[1]}_full_image"]
    image.data = 255 - image.data
    other = run(changed, tmp_path / "pixels")
    for predictor in cv.models + cv.baselines:
        mine, theirs = (c.outer()[HELD, predictor.name].folder for c in (cv, other))
        assert (mine / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes(), predictor
    assert held_out(before, "oof_ridge").tobytes() != held_out(changed, "oof_ridge").tobytes()
    for method in ("nnls",):
        weights = [
            next((c.folder / "stack" / method).glob(f"*_{HELD}/model.safetensors")).read_bytes() for c in (cv, other)
        ]
        assert weights[0] == weights[1]


def test_the_panel_of_a_fold_is_chosen_without_it(runs):
    *_, cv_before, cv_after = runs
    panel = [[c.genes[i] for i in c.panels[HELD]] for c in (cv_before, cv_after)]
    others = [[c.genes[i] for i in c.panels["P1"]] for c in (cv_before, cv_after)]
    assert panel[0] == panel[1]
    assert others[0] != others[1]


def test_mlp_stack_does_not_see_the_held_out_labels(tmp_path):
    layers = []
    for name, replaced in (("before", False), ("after", True)):
        sdata = draw_cohort(1, n_slides=5, n_genes=6, signal=0.8)
        if replaced:
            replace_labels(sdata, HELD)
        models = [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]
        cv = sh.tl.cross_validate(sdata, models=models, genes=6, groups="patient", out=tmp_path / name, **FAST)
        sh.tl.stack(sdata, cv, method="mlp")
        layers.append(held_out(sdata, "oof").tobytes())
    assert layers[0] == layers[1]


class TestPlantedLeaks:
    """Each rule is broken on purpose; the invariance above must notice."""

    def moved(self, tmp_path: Path, model=None, layer: str | None = None) -> bool:
        """Whether the held-out predictions change with the held-out labels."""
        second = Ridge(name="second", standardized=False, components=6)
        model = model or Ridge(components=6)
        layers = []
        for name, replaced in (("before", False), ("after", True)):
            sdata = draw_cohort(1, signal=0.8)
            if replaced:
                replace_labels(sdata, HELD)
            cv = sh.tl.cross_validate(
                sdata, models=[model, second], genes=8, groups="patient", out=tmp_path / name, **FAST
            )
            sh.tl.stack(sdata, cv)
            layers.append(held_out(sdata, layer or f"oof_{model.name}"))
        return layers[0].tobytes() != layers[1].tobytes()

    def test_nothing_planted_nothing_moves(self, tmp_path):
        assert not self.moved(tmp_path)

    def test_panel_chosen_with_the_scored_group(self, tmp_path, monkeypatch):
        from spatialhist.tl._data import panel as _panel

        honest = _panel.choose_panel
        monkeypatch.setattr(
            _panel, "choose_panel", lambda means, measured, slides, n: honest(means, measured, list(means), n)
        )
        assert self.moved(tmp_path)

    def test_targets_centered_with_the_scored_group(self, tmp_path, monkeypatch):
        honest = _fits.Inputs.samples

        def leaking(self, rows, genes=None, *, tiles=False):
            samples = honest(self, rows, genes, tiles=tiles)
            if genes is None:
                return samples
            everything = honest(self, np.arange(len(self.column("slide"))), genes)
            samples.targets[:] += everything.targets.mean(axis=0)
            return samples

        monkeypatch.setattr(_fits.Inputs, "samples", leaking)
        assert self.moved(tmp_path)

    def test_strength_chosen_on_the_scored_group(self, tmp_path, monkeypatch):
        scored = remember_scored_targets(monkeypatch)

        def by_scored_group(*args, **options):
            strengths = _linear.ridge.STRENGTHS
            return _linear.ridge.Choice(strengths[scored["digest"] % len(strengths)], 0, 0.0)

        monkeypatch.setattr(_linear.ridge, "choose", by_scored_group)
        assert self.moved(tmp_path)

    def test_stopping_epoch_chosen_on_the_scored_group(self, tmp_path, monkeypatch):
        scored = remember_scored_targets(monkeypatch)
        honest = FeatureNetwork._schedule

        def by_scored_group(self, n):
            return dataclasses.replace(honest(self, n), epochs=1 + scored["digest"] % 7)

        monkeypatch.setattr(FeatureNetwork, "_schedule", by_scored_group)
        assert self.moved(tmp_path, FeatureNetwork(members=1, dim=4))

    def test_stack_fitted_with_the_scored_group(self, tmp_path, monkeypatch):
        from spatialhist.tl import _stack

        monkeypatch.setattr(_stack, "_fit_for", lambda *args: _final_on(*args))

        def _final_on(cv, outer, how, seed, scratch):
            predictions = np.stack([cv.out_of_fold(m.name)[:, list(cv.panels[outer])] for m in cv.models])
            filled = np.nan_to_num(predictions)
            rows = np.arange(filled.shape[1])
            return _stack._fit(cv, rows, filled, cv.targets(rows, outer), how, seed, scratch)

        assert self.moved(tmp_path, layer="oof")

    def test_scaler_fitted_with_the_scored_group(self, tmp_path, monkeypatch):
        honest = _fits.Inputs.samples

        def leaking(self, rows, genes=None, *, tiles=False):
            everybody = honest(self, np.arange(len(self.column("slide"))))
            samples = honest(self, rows, genes, tiles=tiles)
            centered = [f - e.mean(axis=0) for f, e in zip(samples.features, everybody.features, strict=True)]
            return dataclasses.replace(samples, features=tuple(centered))

        monkeypatch.setattr(_fits.Inputs, "samples", leaking)
        states = []
        for name, changed in (("before", False), ("after", True)):
            sdata = draw_cohort(1, signal=0.8)
            if changed:
                sdata.images["S2_full_image"].data = 200 - sdata.images["S2_full_image"].data // 2
            model = Ridge(components=6, standardized=False)
            cv = sh.tl.cross_validate(sdata, models=model, genes=8, groups="patient", out=tmp_path / name, **FAST)
            states.append((cv.outer()[HELD, "ridge"].folder / "model.safetensors").read_bytes())
        assert states[0] != states[1]


def remember_scored_targets(monkeypatch) -> dict[str, int]:
    """Let every fit leave a digest of the labels it is scored on, for a planted leak to use."""
    honest, scored = _fits.run_fit, {}

    def remember(fit, folder):
        inputs = _fits.Inputs.open(folder)
        rows = np.flatnonzero(np.isin(inputs.column("group"), fit.held_out))
        scored["digest"] = zlib.crc32(inputs.samples(rows, fit.genes).targets.tobytes())
        return honest(fit, folder)

    monkeypatch.setattr(_fits, "run_fit", remember)
    return scored


@pytest.mark.parametrize("layer", ["log1p", pytest.param("ranks", marks=pytest.mark.slow)])
def test_noise_scores_nothing(layer, tmp_path):
    """Labels that know nothing of the image: every scored layer averages to 0 over 20 cohorts."""
    means = []
    models = [Ridge(components=6), KernelRidge(landmarks=30, components=6), FeatureNetwork(members=1, epochs=1, dim=8)]
    for seed in range(20):
        sdata = draw_cohort(seed, n_genes=120, signal=0.0)
        if layer == "ranks":
            sh.pp.rank_expression(sdata, scale="unit")
        cv = sh.tl.cross_validate(
            sdata, models=models, layer=layer, genes=120, groups="patient", out=tmp_path / str(seed), **FAST
        )
        for method in ("nnls", "mean", "rank_mean"):
            sh.tl.stack(sdata, cv, method=method, key_added=f"oof_stack_{method}")
        scores = sh.tl.evaluate(sdata, truth=layer, oracles=False)
        means.append(sh.tl.summarize(scores)["mean"])
    table = pd.DataFrame(means).drop(columns="baseline_mean")
    error = table.std(ddof=1) / np.sqrt(len(table))
    # three stacks, four baselines and the control
    assert len(table.columns) == len(models) + 3 + 5
    assert error.max() <= 0.002
    assert (table.mean().abs() <= 3 * error).all(), pd.DataFrame({"mean": table.mean(), "error": error})

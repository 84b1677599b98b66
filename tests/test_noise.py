"""The demonstration of the documentation: what usual schemes show on noise, and that the package shows nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def noise():
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "noise.py"
    spec = importlib.util.spec_from_file_location("noise", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("scheme", "least"),
    [("original_stack", 0.9), ("same_stack", 0.8), ("same_linear_stack", 0.3), ("selected_features", 0.05)],
)
def test_usual_schemes_score_on_noise(noise, scheme, least):
    assert getattr(noise, scheme)(*noise.draw(5)) > least


def test_out_of_fold_predictions_themselves_score_nothing(noise):
    features, targets, group = noise.draw(5)
    predictions = noise.out_of_fold(noise.fold_predictions(features, targets, group), group)
    ridge = predictions[:, : noise.GENES]
    assert abs(noise.score(targets, ridge, group)) < 0.05


@pytest.mark.slow
def test_the_package_scores_nothing_on_noise(noise):
    table = noise.table(draws=3)
    ours = table[table.index.str.startswith("spatialhist")]
    assert (ours["score on noise"].abs() <= 3 * ours["standard error"] + 0.005).all(), ours

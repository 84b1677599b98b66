"""What usual ways to stack and select show on pure noise, and what this package shows on it.

Usage: python benchmarks/noise.py [--draws 4]
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

import spatialhist as sh

GROUPS, SPOTS, FEATURES, GENES = 5, 40, 400, 20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4)
    print(table(draws=parser.parse_args().draws).to_string())


def table(draws: int = 4) -> pd.DataFrame:
    """Return the mean score of every scheme over draws of noise, with its standard error."""
    usual = {scheme.__doc__: [scheme(*draw(seed)) for seed in range(draws)] for scheme in USUAL}
    ours = pd.DataFrame([package(seed) for seed in range(draws)])
    found = pd.DataFrame(usual).join(ours)
    error = found.std(ddof=1) / np.sqrt(draws)
    return pd.DataFrame({"score on noise": found.mean(), "standard error": error}).round(3)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw features, expression that is unrelated to them, and the group of every spot."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), SPOTS)
    return rng.normal(size=(len(group), FEATURES)), rng.normal(size=(len(group), GENES)), group


def score(truth: np.ndarray, predicted: np.ndarray, group: np.ndarray) -> float:
    """Return Pearson within a group, averaged over genes, then groups."""
    return sh.metrics.within_slide_pearson(truth, predicted, group, group).score


def fold_predictions(features: np.ndarray, targets: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Predict every spot by every fold's models: (folds, models, spots, genes)."""
    folds = []
    for held in np.unique(group):
        train = group != held
        fitted = [model.fit(features[train], targets[train]) for model in base_models()]
        folds.append([model.predict(features) for model in fitted])
    return np.array(folds)


def base_models() -> list:
    """Return what is stacked."""
    return [Ridge(10.0), Ridge(1000.0), KNeighborsRegressor(5)]


def out_of_fold(predictions: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Take for every spot the predictions of the fold that left it out, side by side: (spots, models x genes)."""
    own = predictions[group, :, np.arange(len(group))]
    return own.reshape(len(group), -1)


def original_stack(features: np.ndarray, targets: np.ndarray, group: np.ndarray) -> float:
    """all fold models on all slides, stacked and scored on the same spots"""
    predictions = fold_predictions(features, targets, group)
    meta = np.moveaxis(predictions, 2, 0).reshape(len(group), -1)
    return score(targets, Ridge(1.0).fit(meta, targets).predict(meta), group)


def same_stack(features: np.ndarray, targets: np.ndarray, group: np.ndarray) -> float:
    """out-of-fold predictions, stacked by trees and scored on the same spots"""
    meta = out_of_fold(fold_predictions(features, targets, group), group)
    trees = ExtraTreesRegressor(20, min_samples_leaf=3, random_state=0)
    return score(targets, trees.fit(meta, targets).predict(meta), group)


def same_linear_stack(features: np.ndarray, targets: np.ndarray, group: np.ndarray) -> float:
    """out-of-fold predictions, stacked by a ridge and scored on the same spots"""
    meta = out_of_fold(fold_predictions(features, targets, group), group)
    return score(targets, Ridge(1.0).fit(meta, targets).predict(meta), group)


def selected_features(features: np.ndarray, targets: np.ndarray, group: np.ndarray) -> float:
    """features chosen with all labels, then cross-validated by group"""
    strength = np.abs(features.T @ targets).max(axis=1)
    chosen = features[:, np.argsort(-strength)[: FEATURES // 10]]
    predicted = np.empty_like(targets)
    for held in np.unique(group):
        train = group != held
        predicted[~train] = Ridge(10.0).fit(chosen[train], targets[train]).predict(chosen[~train])
    return score(targets, predicted, group)


USUAL: tuple[Callable[..., float], ...] = (original_stack, same_stack, same_linear_stack, selected_features)


def package(seed: int) -> dict[str, float]:
    """Cross-validate and stack slides whose counts are drawn without a look at their pixels."""
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=4, size_px=(300, 400), n_genes=60, seed=seed)
    noise = np.random.default_rng(seed).poisson(8, sdata["table"].shape)
    sdata["table"].X = csr_matrix(noise.astype(np.float32))
    sh.pp.mask_background(sdata)
    sh.pp.log_normalize(sdata)
    with contextlib.redirect_stderr(io.StringIO()):  # how long it will take
        cv = sh.tl.cross_validate(
            sdata, models=("ridge", "kernel_ridge"), genes=60, extents=[("um", 150.0)], pixels=32, progress=False
        )
    sh.tl.stack(sdata, cv)
    means = sh.tl.summarize(sh.tl.evaluate(sdata, metrics="pearson", oracles=False))["mean"]
    return {f"spatialhist: {name}": means[name] for name in ("stack_nnls", "ridge", "kernel_ridge")}


if __name__ == "__main__":
    main()

"""What accuracy is compared with: plain learners in numpy and scikit-learn, none of them from the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.preprocessing import StandardScaler

COMPONENTS = 128
STRENGTHS = 10.0 ** np.arange(-3, 7, 0.5)


@dataclass(frozen=True)
class Reference:
    """A learner and what it looks at: features of an encoder at some fields of view, plain or standardized by slide."""

    encoder: str
    learner: Callable[..., np.ndarray]
    standardized: bool = True
    extents: tuple[int, ...] = (0, 1, 2, 3)

    def predict(self, train: Any, test: Any) -> np.ndarray:
        """Fit on training samples, predict others ``(n, genes)``."""
        x, new = (self._features(s) for s in (train, test))
        return self.learner(x, train.targets.astype(np.float64), new, train.slide, train.inner_groups())

    def _features(self, samples: Any) -> np.ndarray:
        blocks = samples.standardized if self.standardized else samples.features
        return np.concatenate([blocks[e] for e in self.extents], axis=1).astype(np.float64)


def ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray, slide: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Principal components, then ridge with an intercept; its strength is chosen by leaving inner groups out."""
    x, new = _components(x, new)
    return _best_of_path(_ridge_path, x, y, new, slide, inner)


def kernel_ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray, slide: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Ridge with a Gaussian kernel whose width is the median distance."""
    x, new = _components(x, new)
    width = np.median(pdist(x, "sqeuclidean"))
    return _best_of_path(lambda *data: _kernel_path(*data, 1 / width), x, y, new, slide, inner)


def extra_trees(x: np.ndarray, y: np.ndarray, new: np.ndarray, slide: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Trees over all features."""
    trees = ExtraTreesRegressor(150, min_samples_leaf=5, max_features=0.1, random_state=0)
    return trees.fit(x.astype(np.float32), y).predict(new.astype(np.float32))


def extra_trees_pca(x: np.ndarray, y: np.ndarray, new: np.ndarray, slide: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Trees over principal components."""
    x, new = _components(x, new)
    return extra_trees(x, y, new, slide, inner)


def _components(x: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardize, then keep the leading components; both from training spots."""
    scaler = StandardScaler().fit(x)
    pca = PCA(min(COMPONENTS, *x.shape), svd_solver="full").fit(scaler.transform(x))
    return pca.transform(scaler.transform(x)), pca.transform(scaler.transform(new))


def _best_of_path(
    path: Callable[..., np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    new: np.ndarray,
    slide: np.ndarray,
    inner: np.ndarray,
) -> np.ndarray:
    """Predictions at the strength with the best within-slide Pearson on inner groups that were left out."""
    scores = np.zeros(len(STRENGTHS))
    for name in np.unique(inner):
        held = inner == name
        for i, predicted in enumerate(path(x[~held], y[~held], x[held])):
            scores[i] += slide_pearson(y[held], predicted, slide[held])
    return path(x, y, new)[int(np.argmax(scores))]


def _ridge_path(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Predictions at every strength ``(strengths, n, genes)``."""
    u, s, v = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    left, right = (new - x.mean(axis=0)) @ v.T, u.T @ (y - y.mean(axis=0))
    return np.stack([left @ ((s / (s**2 + a))[:, None] * right) for a in STRENGTHS]) + y.mean(axis=0)


def _kernel_path(x: np.ndarray, y: np.ndarray, new: np.ndarray, gamma: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.exp(-gamma * cdist(x, x, "sqeuclidean")))
    left = np.exp(-gamma * cdist(new, x, "sqeuclidean")) @ vectors
    right = vectors.T @ (y - y.mean(axis=0))
    return np.stack([left @ (right / (np.maximum(values, 0) + a)[:, None]) for a in STRENGTHS]) + y.mean(axis=0)


def slide_pearson(truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray) -> float:
    """Within-slide Pearson, gene -> slide; a constant prediction is scored 0, a constant truth is left out."""
    return float(np.mean([_pearson(truth[slide == s], predicted[slide == s]) for s in np.unique(slide)]))


def beyond_depth(truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray, depth: np.ndarray) -> float:
    """The same, after log total counts and their square were regressed out of both within each slide."""
    left = [truth.astype(np.float64), predicted.astype(np.float64)]
    for name in np.unique(slide):
        rows, log = slide == name, np.log1p(depth[slide == name])
        basis = np.column_stack([np.ones_like(log), log - log.mean(), (log - log.mean()) ** 2])
        for values in left:
            values[rows] -= basis @ np.linalg.lstsq(basis, values[rows], rcond=None)[0]
    return slide_pearson(*left, slide)


def _pearson(truth: np.ndarray, predicted: np.ndarray) -> float:
    t, p = truth - truth.mean(axis=0), predicted - predicted.mean(axis=0)
    varies = (t**2).sum(axis=0) > 0
    norm = np.sqrt((t**2).sum(axis=0) * (p**2).sum(axis=0))
    return float(np.where(norm > 1e-9, (t * p).sum(axis=0) / np.maximum(norm, 1e-9), 0)[varies].mean())


SINGLE = {
    "color, 150 um": Reference("color_texture", ridge, standardized=False, extents=(1,)),
    "color, four fields of view": Reference("color_texture", ridge, standardized=False),
    "color, four fields of view, standardized by slide": Reference("color_texture", ridge),
    "the same, kernel ridge": Reference("color_texture", kernel_ridge),
    "EfficientNet-Lite0, four fields of view, standardized by slide": Reference("efficientnet-lite0", ridge),
}
AVERAGED = [
    Reference(encoder, learner, standardized)
    for encoder in ("color_texture", "efficientnet-lite0")
    for learner in (ridge, kernel_ridge, extra_trees, extra_trees_pca)
    for standardized in (True, False)
]

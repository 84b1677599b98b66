"""Ridge and kernel ridge over features: standardise, reduce, regress. Strength and rank are chosen on inner groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from spatialhist.tl._predictors import _ridge_solver as ridge
from spatialhist.tl._samples import CLIP

if TYPE_CHECKING:
    from pathlib import Path

    from spatialhist.tl._predictors._protocol import State
    from spatialhist.tl._samples import Samples


@dataclass(frozen=True)
class Ridge:
    """Ridge over principal components of the features of all extents.

    Parameters
    ----------
    name
        Names the layer.
    standardized
        Look at features relative to the slide's own tissue.
    extents
        Which blocks of features, as positions: extents, then averages of the surroundings; None for all.
    components
        Principal components kept.
    ranks
        Candidates for the number of target components, 0 for all.
    shuffle
        Permute the labels within slides before fitting: a null.
    """

    name: str = "ridge"
    standardized: bool = True
    extents: tuple[int, ...] | None = None
    components: int = 128
    ranks: tuple[int, ...] = ridge.RANKS
    shuffle: bool = False
    kind: str = "model"
    needs_tiles: bool = False

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedLinear:
        """Fit on training spots."""
        targets = _shuffled(samples, seed) if self.shuffle else samples.targets
        reducer = Reducer.fit(stack_features(samples, self.standardized, self.extents), self.components)
        design = reducer.transform(stack_features(samples, self.standardized, self.extents))
        return _regress(self, samples, reducer, None, design, targets)

    def restore(self, state: State) -> FittedLinear:
        """Rebuild from arrays."""
        return FittedLinear.from_state(self, state)


@dataclass(frozen=True)
class KernelRidge:
    """Ridge over Nystroem features of a Laplace kernel: kernel ridge whose memory does not grow with n squared.

    Parameters
    ----------
    name
        Names the layer.
    standardized
        Look at features relative to the slide's own tissue.
    extents
        Which blocks of features, as positions: extents, then averages of the surroundings; None for all.
    components
        Principal components the kernel sees.
    landmarks
        Training spots that span the kernel.
    width
        Of the kernel, in median distances.
    ranks
        Candidates for the number of target components, 0 for all.
    """

    name: str = "kernel_ridge"
    standardized: bool = True
    extents: tuple[int, ...] | None = None
    components: int = 128
    landmarks: int = 1000
    width: float = 1.5
    ranks: tuple[int, ...] = ridge.RANKS
    kind: str = "model"
    needs_tiles: bool = False

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedLinear:
        """Fit on training spots."""
        reducer = Reducer.fit(stack_features(samples, self.standardized, self.extents), self.components)
        points = reducer.transform(stack_features(samples, self.standardized, self.extents))
        kernel = Nystroem.fit(points, self.landmarks, self.width, seed)
        return _regress(self, samples, reducer, kernel, kernel.transform(points), samples.targets)

    def restore(self, state: State) -> FittedLinear:
        """Rebuild from arrays."""
        return FittedLinear.from_state(self, state)


@dataclass(frozen=True)
class Reducer:
    """Column scaling and principal components, both from training spots."""

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, components: int) -> Reducer:
        """Fit on training features ``(n, F)``."""
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
        scaled = ((features - mean) * scale).astype(np.float64)
        axes = _principal_axes(scaled, min(components, *features.shape))
        return cls(mean, scale.astype(np.float32), np.ascontiguousarray(axes).astype(np.float32))

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Project to ``(n, components)`` float64.

        A feature that hardly varied in training must not decide alone on a slide where it does.
        """
        scaled = np.clip((features - self.mean) * self.scale, -CLIP, CLIP)
        return (scaled @ self.axes).astype(np.float64)


def _principal_axes(centered: np.ndarray, n: int) -> np.ndarray:
    """Leading axes ``(F, n)`` of data ``(spots, F)``, from whichever Gram matrix is the smaller."""
    if centered.shape[1] <= len(centered):
        return np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :n]
    values, vectors = np.linalg.eigh(centered @ centered.T)
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    varies = values > 1e-9 * max(values[0], 1e-12)
    return centered.T @ (vectors[:, varies] / np.sqrt(values[varies]))


@dataclass(frozen=True)
class Nystroem:
    """Features whose inner product approximates a Laplace kernel (Williams and Seeger, 2001).

    The kernel falls with the distance, not with its square: a spot that is far from all others in a few odd features
    keeps its neighbours.
    """

    landmarks: np.ndarray
    whiten: np.ndarray
    width: float

    @classmethod
    def fit(cls, points: np.ndarray, n: int, width: float, seed: int) -> Nystroem:
        """Choose landmarks at random among training points."""
        rng = np.random.default_rng(seed)
        landmarks = points[np.sort(rng.permutation(len(points))[:n])]
        distances = cdist(landmarks, landmarks)
        off_diagonal = distances[np.triu_indices(len(landmarks), 1)]
        middle = float(np.median(off_diagonal)) if len(off_diagonal) else 1.0
        width = width * max(middle, 1e-6)
        values, vectors = np.linalg.eigh(np.exp(-distances / width))
        kept = values > 1e-6 * values[-1]
        return cls(landmarks, vectors[:, kept] / np.sqrt(values[kept]), width)

    def transform(self, points: np.ndarray) -> np.ndarray:
        """``(n, landmarks kept)``, scaled like the other designs."""
        kernel = cdist(points, self.landmarks)
        kernel /= -self.width
        design = np.exp(kernel, out=kernel) @ self.whiten
        design *= np.sqrt(1e3)
        return design


def _shuffled(samples: Samples, seed: int) -> np.ndarray:
    """Targets permuted between the spots of each slide."""
    rng = np.random.default_rng(seed)
    shuffled = samples.targets.copy()
    for name in np.unique(samples.slide):
        rows = np.flatnonzero(samples.slide == name)
        shuffled[rows] = samples.targets[rng.permutation(rows)]
    return shuffled


def stack_features(samples: Samples, standardized: bool, extents: tuple[int, ...] | None) -> np.ndarray:
    """Features of the chosen blocks side by side ``(n, F)``."""
    blocks = samples.standardized if standardized else samples.features
    return np.concatenate([blocks[e] for e in (range(len(blocks)) if extents is None else extents)], axis=1)


def _regress(
    predictor: Ridge | KernelRidge,
    samples: Samples,
    reducer: Reducer,
    kernel: Nystroem | None,
    design: np.ndarray,
    targets: np.ndarray,
) -> FittedLinear:
    centered, intercept = ridge.center_by_slide(targets.astype(np.float64), samples.slide)
    level = design.mean(axis=0)
    design -= level
    choice = ridge.choose(design, centered, samples.slide, samples.inner_groups(), ranks=predictor.ranks)
    weights = ridge.solve(design, centered, choice.strength)
    projection = ridge.target_projection(centered, choice.rank)
    if projection is not None:
        weights = weights @ projection
    chosen = {"strength": choice.strength, "rank": choice.rank, "inner_score": choice.score}
    return FittedLinear(predictor, reducer, kernel, level, weights.astype(np.float32), intercept, chosen)


@dataclass(frozen=True)
class FittedLinear:
    """A fitted :class:`Ridge` or :class:`KernelRidge`."""

    predictor: Ridge | KernelRidge
    reducer: Reducer
    kernel: Nystroem | None
    level: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray
    chosen: dict[str, Any]

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict ``(n, genes)``."""
        design = self.reducer.transform(stack_features(samples, self.predictor.standardized, self.predictor.extents))
        if self.kernel is not None:
            design = self.kernel.transform(design)
        return ((design - self.level) @ self.weights + self.intercept).astype(np.float32)

    def state(self) -> State:
        """Arrays and choices."""
        arrays = {
            "mean": self.reducer.mean,
            "scale": self.reducer.scale,
            "axes": self.reducer.axes,
            "level": self.level,
            "weights": self.weights,
            "intercept": self.intercept,
        }
        if self.kernel is not None:
            arrays |= {
                "landmarks": self.kernel.landmarks,
                "whiten": self.kernel.whiten,
                "width": np.array([self.kernel.width]),
            }
        return arrays, self.chosen

    @classmethod
    def from_state(cls, predictor: Ridge | KernelRidge, state: State) -> FittedLinear:
        """Inverse of :meth:`state`."""
        a, chosen = state
        kernel = Nystroem(a["landmarks"], a["whiten"], float(a["width"][0])) if "landmarks" in a else None
        reducer = Reducer(a["mean"], a["scale"], a["axes"])
        return cls(predictor, reducer, kernel, a["level"], a["weights"], a["intercept"], chosen)

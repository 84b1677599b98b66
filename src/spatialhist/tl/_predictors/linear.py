"""Ridge and kernel ridge over features: standardize, reduce, regress. Regularization is chosen on inner groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from spatialhist._runtime.checks import at_least
from spatialhist.tl._data.samples import CLIP, row_parts
from spatialhist.tl._predictors import ridge_solver as ridge
from spatialhist.tl._predictors.by_component import choose_by_component
from spatialhist.tl._predictors.stored import check_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from spatialhist.tl._data.samples import Blocks, Samples
    from spatialhist.tl._predictors.protocol import State

OF_ALL = ("strength", "rank", "inner_score")
BY_COMPONENT = ("strengths", "slopes", "inner_score")
"""What a fit says of its choice: one for all genes, or one a component."""


@dataclass(frozen=True)
class Ridge:
    """Ridge regression on principal components of the features of every field of view.

    Parameters
    ----------
    name
        Name of its layer.
    standardized
        Use features relative to the slide's own tissue.
    blocks
        Which features: those of the encoder's fields of view (``"own"``), their averages over the context too (``"all"``),
        or positions among these.
    components
        Principal components kept.
    ranks
        Candidates for the number of target components, 0 for all.
    by_component
        So many leading components of the targets, 32 for instance, get a regularization strength of their own each, and a
        slope from regressing them on their predictions, both by leaving inner groups out; others are dropped (curds and
        whey, Breiman and Friedman, J R Stat Soc B 59, 1997). With fewer than three inner groups, or 0, one strength and a
        rank are chosen for all.
    """

    kind: ClassVar[str] = "model"
    needs_tiles: ClassVar[bool] = False
    name: str = "ridge"
    standardized: bool = True
    blocks: Blocks = "own"
    components: int = 128
    ranks: tuple[int, ...] = ridge.RANKS
    by_component: int = 0

    def __post_init__(self) -> None:
        at_least(self, by_component=0)

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedLinear:
        """Fit on training spots."""
        reducer, points = _reduce(self, samples)
        return _regress(self, samples, reducer, None, points)

    def restore(self, state: State) -> FittedLinear:
        """Rebuild from arrays."""
        return FittedLinear.from_state(self, state)


@dataclass(frozen=True)
class KernelRidge:
    """Ridge over Nystroem features of a Laplace kernel: kernel ridge whose memory does not grow with n squared.

    Parameters
    ----------
    name
        Name of its layer.
    standardized
        Use features relative to the slide's own tissue.
    blocks
        Which features: those of the encoder's fields of view (``"own"``), their averages over the context too (``"all"``),
        or positions among these.
    components
        Principal components the kernel sees.
    landmarks
        Training spots that span the kernel.
    width
        Of the kernel, in median distances.
    ranks
        Candidates for the number of target components, 0 for all.
    by_component
        So many leading components of the targets, 32 for instance, get a regularization strength of their own each, and a
        slope from regressing them on their predictions, both by leaving inner groups out; others are dropped (curds and
        whey, Breiman and Friedman, J R Stat Soc B 59, 1997). With fewer than three inner groups, or 0, one strength and a
        rank are chosen for all.
    """

    kind: ClassVar[str] = "model"
    needs_tiles: ClassVar[bool] = False
    name: str = "kernel_ridge"
    standardized: bool = False
    blocks: Blocks = "own"
    components: int = 128
    landmarks: int = 1000
    width: float = 1.5
    ranks: tuple[int, ...] = ridge.RANKS
    by_component: int = 0

    def __post_init__(self) -> None:
        at_least(self, by_component=0)

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedLinear:
        """Fit on training spots."""
        reducer, points = _reduce(self, samples)
        kernel = Nystroem.fit(points, self.landmarks, self.width, seed)
        return _regress(self, samples, reducer, kernel, points)

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
    def fit(cls, features: Callable[[], Iterable[np.ndarray]], components: int) -> Reducer:
        """Fit on training features: what is called gives all of them anew, ``(m, F)`` at a time."""
        from sklearn.preprocessing import StandardScaler

        # twice through the features, part by part: all of them may not fit into memory
        scaler = StandardScaler()
        for part in features():
            scaler.partial_fit(part)
        mean, deviation, n = scaler.mean_.astype(np.float32), np.sqrt(scaler.var_), int(scaler.n_samples_seen_)
        # a constant feature deviates by rounding alone: it is left out, not blown up
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
        # sums over many spots lose digits in single precision
        scaled = (((f - mean) * scale).astype(np.float64) for f in features())
        axes = _principal_axes(scaled, n, len(mean))[:, : min(components, n, len(mean))]
        return cls(mean, scale.astype(np.float32), np.ascontiguousarray(axes).astype(np.float32))

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Project to ``(n, components)`` float64.

        A feature that hardly varied in training must not decide alone on a slide where it does.
        """
        scaled = np.clip((features - self.mean) * self.scale, -CLIP, CLIP)
        return (scaled @ self.axes).astype(np.float64)


def _principal_axes(parts: Iterable[np.ndarray], n: int, n_features: int) -> np.ndarray:
    """Axes ``(F, axes)``, leading ones first, of ``n`` centered spots in parts, from whichever Gram matrix is the smaller."""
    if n_features <= n:
        return np.linalg.eigh(sum(part.T @ part for part in parts))[1][:, ::-1]
    centered = np.concatenate(list(parts))
    values, vectors = np.linalg.eigh(centered @ centered.T)
    # centered spots span one axis less than there are spots: what is left of it is rounding
    varies = values > 1e-9 * max(values[-1], 1e-12)
    return (centered.T @ (vectors[:, varies] / np.sqrt(values[varies])))[:, ::-1]


@dataclass(frozen=True)
class Nystroem:
    """Features whose inner product approximates a Laplace kernel (Williams and Seeger, 2001).

    The kernel falls with the distance, not with its square: a spot that is far from all others in a few odd features
    keeps its neighbors.
    """

    landmarks: np.ndarray
    whiten: np.ndarray
    width: float

    @classmethod
    def fit(cls, points: np.ndarray, n: int, width: float, seed: int) -> Nystroem:
        """Choose landmarks at random among training points."""
        rng = np.random.default_rng(seed)
        landmarks = points[np.sort(rng.permutation(len(points))[:n])]
        # scipy.spatial takes as long to import as all of this module
        from scipy.spatial.distance import cdist

        distances = cdist(landmarks, landmarks)
        off_diagonal = distances[np.triu_indices(len(landmarks), 1)]
        # a single landmark has no distance to another, and equal ones have none to divide by
        middle = float(np.median(off_diagonal)) if len(off_diagonal) else 1.0
        width = width * max(middle, 1e-6)
        values, vectors = np.linalg.eigh(np.exp(-distances / width))
        # directions that landmarks nearly share would be blown up by their rounding errors
        kept = values > 1e-6 * values[-1]
        return cls(landmarks, vectors[:, kept] / np.sqrt(values[kept]), width)

    def transform(self, points: np.ndarray) -> np.ndarray:
        """``(n, landmarks kept)``, scaled like the other designs."""
        from scipy.spatial.distance import cdist

        kernel = cdist(points, self.landmarks)
        kernel /= -self.width
        design = np.exp(kernel, out=kernel) @ self.whiten
        # rows have a length of 1 at most: as long as rows of scaled features, they are fitted with the same strengths
        design *= np.sqrt(1e3)
        return design


def feature_parts(samples: Samples, standardized: bool, blocks: Blocks) -> Iterator[np.ndarray]:
    """Features of the chosen blocks side by side ``(m, F)``, some of the spots after the other."""
    for rows in row_parts(len(samples)):
        yield np.concatenate(samples.blocks(standardized, blocks, rows), axis=1)


def _reduce(predictor: Ridge | KernelRidge, samples: Samples) -> tuple[Reducer, np.ndarray]:
    """Components of training features, and the training spots in them ``(n, components)``."""
    features = partial(feature_parts, samples, predictor.standardized, predictor.blocks)
    reducer = Reducer.fit(features, predictor.components)
    return reducer, np.concatenate([reducer.transform(part) for part in features()])


def _regress(
    predictor: Ridge | KernelRidge,
    samples: Samples,
    reducer: Reducer,
    kernel: Nystroem | None,
    points: np.ndarray,
) -> FittedLinear:
    centered, intercept = ridge.center_by_slide(samples.training_targets.astype(np.float64), samples.slide)
    design = ridge.Design(points) if kernel is None else ridge.Design(points, kernel.transform)
    inner = samples.inner_groups()
    sums = ridge.GroupSums.of(design, centered, inner)
    # sums over the inner groups are kept, so that the fit on all spots needs no further pass
    weights, chosen = _chosen_weights(predictor, design, sums, centered, samples.slide, inner)
    return FittedLinear(predictor, reducer, kernel, sums.level, weights.astype(np.float32), intercept, chosen)


def _chosen_weights(
    predictor: Ridge | KernelRidge,
    design: ridge.Design,
    sums: ridge.GroupSums,
    targets: np.ndarray,
    slide: np.ndarray,
    inner: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Coefficients ``(features, genes)`` on all spots with what the inner groups chose, and that."""
    if predictor.by_component and (
        own := choose_by_component(design, sums, targets, slide, inner, predictor.by_component)
    ):
        return own.solve(sums.all()), own.chosen()
    choice = ridge.choose(design, sums, targets, slide, inner, ranks=predictor.ranks)
    chosen = {"strength": choice.strength, "rank": choice.rank, "inner_score": choice.score}
    return sums.all().solve(choice.strength, choice.rank), chosen


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
        parts = feature_parts(samples, self.predictor.standardized, self.predictor.blocks)
        return np.concatenate([self._predict(part) for part in parts])

    def _predict(self, features: np.ndarray) -> np.ndarray:
        design = self.reducer.transform(features)
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
        a, stored = state
        lifted = {"landmarks": "LC", "whiten": "LD", "width": "w"} if "landmarks" in a else {}
        level = "D" if lifted else "C"
        fits = {"mean": "F", "scale": "F", "axes": "FC", "level": level, "weights": f"{level}G", "intercept": "G"}
        check_arrays(a, fits | lifted)
        chosen = {key: stored[key] for key in (BY_COMPONENT if "slopes" in stored else OF_ALL)}
        kernel = Nystroem(a["landmarks"], a["whiten"], float(a["width"][0])) if "landmarks" in a else None
        reducer = Reducer(a["mean"], a["scale"], a["axes"])
        return cls(predictor, reducer, kernel, a["level"], a["weights"], a["intercept"], chosen)


PRESETS = (Ridge(), Ridge(name="ridge_raw", standardized=False), KernelRidge())

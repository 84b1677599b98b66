"""Baselines, which a model has to beat: they see no image, or less of it, or no labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spatialhist.tl._predictors.linear import Ridge
from spatialhist.tl._predictors.ridge_solver import center_by_slide
from spatialhist.tl._predictors.stored import check_arrays, whole

if TYPE_CHECKING:
    from spatialhist.tl._data.samples import Samples
    from spatialhist.tl._predictors.protocol import Fitted, Predictor, State


@dataclass(frozen=True)
class MeanProfile:
    """The mean expression of the training slides, the same for every spot."""

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    name: str = "baseline_mean"

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedMeans:
        """Average the training slides, each with the same weight."""
        _, mean = center_by_slide(samples.training_targets, samples.slide)
        return FittedMeans({"": mean.astype(np.float32)})

    def restore(self, state: State) -> FittedMeans:
        """Rebuild from arrays."""
        return FittedMeans.from_state(state)


@dataclass(frozen=True)
class PatientMean:
    """The mean expression of the scored patient's other slides; NaN where training holds none."""

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    name: str = "baseline_patient"

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedMeans:
        """Average each patient's training slides."""
        means = {}
        for patient in np.unique(samples.patient[samples.patient != ""]):
            rows = samples.patient == patient
            means[str(patient)] = center_by_slide(samples.training_targets[rows], samples.slide[rows])[1].astype(
                np.float32
            )
        return FittedMeans(means, n_genes=samples.training_targets.shape[1])

    def restore(self, state: State) -> FittedMeans:
        """Rebuild from arrays."""
        return FittedMeans.from_state(state)


@dataclass(frozen=True)
class FittedMeans:
    """One profile for everybody (key ``""``), or one a patient."""

    means: dict[str, np.ndarray]
    n_genes: int = 0

    def predict(self, samples: Samples) -> np.ndarray:
        """Repeat the profile."""
        if "" in self.means:
            return np.tile(self.means[""], (len(samples), 1))
        unknown = np.full(self.n_genes, np.nan, dtype=np.float32)
        return np.stack([self.means.get(str(p), unknown) for p in samples.patient])

    def state(self) -> State:
        """Profiles and their names."""
        names = sorted(self.means)
        return {str(i): self.means[n] for i, n in enumerate(names)}, {"names": names, "n_genes": self.n_genes}

    @classmethod
    def from_state(cls, state: State) -> FittedMeans:
        """Inverse of :meth:`state`."""
        arrays, extra = state
        names = [str(name) for name in extra["names"]]
        check_arrays(arrays, {str(i): "G" for i in range(len(names))})
        return cls({n: arrays[str(i)] for i, n in enumerate(names)}, whole("n_genes", extra["n_genes"], 0))


@dataclass(frozen=True)
class PositionNeighbors:
    """Mean of the training spots nearest in position, centered and in spot spacings: what the outline alone tells.

    Parameters
    ----------
    neighbors
        Training spots averaged.
    """

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    name: str = "baseline_position"
    neighbors: int = 20

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedNeighbors:
        """Remember where training spots lie."""
        # slides differ in level, which no position tells: each mean gives way to the common one
        centered, intercept = center_by_slide(samples.training_targets, samples.slide)
        return FittedNeighbors(self.neighbors, samples.position, (centered + intercept).astype(np.float32))

    def restore(self, state: State) -> FittedNeighbors:
        """Rebuild from arrays."""
        arrays, _ = state
        check_arrays(arrays, {"position": "NP", "targets": "NG"})
        return FittedNeighbors(self.neighbors, arrays["position"], arrays["targets"])


@dataclass(frozen=True)
class FittedNeighbors:
    """Training positions with their targets."""

    neighbors: int
    position: np.ndarray
    targets: np.ndarray

    def predict(self, samples: Samples) -> np.ndarray:
        """Average the nearest training spots."""
        from scipy.spatial import cKDTree

        _, near = cKDTree(self.position).query(samples.position, k=min(self.neighbors, len(self.position)))
        # a query for a single neighbor drops its axis
        return self.targets[near.reshape(len(samples), -1)].mean(axis=1)

    def state(self) -> State:
        """Positions and targets."""
        return {"position": self.position, "targets": self.targets}, {}


@dataclass(frozen=True)
class ColorBaseline:
    """A plain ridge on color and texture of one field of view, for a run of any encoder.

    Parameters
    ----------
    predictor
        What is fitted on them, as the only block of features.
    name
        Name of its layer.
    """

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    predictor: Predictor = Ridge(standardized=False, blocks=(0,))
    name: str = "baseline_color"

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedColor:
        """Fit on color and texture of the training spots."""
        return FittedColor(self.predictor.fit(_colors_of(samples), seed=seed, scratch=scratch))

    def restore(self, state: State) -> FittedColor:
        """Rebuild from arrays."""
        return FittedColor(self.predictor.restore(state))


@dataclass(frozen=True)
class FittedColor:
    """A predictor that was fitted on color and texture."""

    fitted: Fitted

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict from color and texture alone."""
        return self.fitted.predict(_colors_of(samples))

    def state(self) -> State:
        """State of what was fitted."""
        return self.fitted.state()


def _colors_of(samples: Samples) -> Samples:
    if samples.color is None:
        raise ValueError("these samples hold no features of color and texture: gather them with a cross-validation")
    return replace(samples, features=samples.color, standardized=(), n_own=1)


@dataclass(frozen=True)
class DepthBaseline:
    """One number a spot, its depth, predicted from the image, times the slope of each gene on depth.

    What it scores is what an image tells of genes by telling how much RNA lies under a spot. It knows nothing beyond that: all
    its genes rise and fall together.

    Parameters
    ----------
    predictor
        What predicts log depth.
    name
        Name of its layer.
    """

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    needs_depth: ClassVar[bool] = True
    predictor: Predictor = Ridge()
    name: str = "baseline_depth"

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedDepth:
        """Fit depth on the image, and every gene on measured depth, both within the training slides."""
        depth = np.log1p(samples.training_depth.astype(np.float64))[:, None]
        fitted = self.predictor.fit(replace(samples, targets=depth.astype(np.float32)), seed=seed, scratch=scratch)
        deep, middle = center_by_slide(depth, samples.slide)
        centered, level = center_by_slide(samples.training_targets.astype(np.float64), samples.slide)
        spread = float(np.sum(deep**2))
        slope = deep.T @ centered / spread if spread > 0 else np.zeros((1, centered.shape[1]))
        return FittedDepth(fitted, slope.astype(np.float32), level.astype(np.float32), middle.astype(np.float32))

    def restore(self, state: State) -> FittedDepth:
        """Rebuild from arrays."""
        arrays, _ = state
        check_arrays(arrays, {"gene_slope": "1G", "gene_level": "G", "depth_level": "1"})
        return FittedDepth(self.predictor.restore(state), *(arrays[key] for key in FittedDepth.KEYS))


@dataclass(frozen=True)
class FittedDepth:
    """A predictor of depth, with slope and level of every gene, and the depth at that level."""

    KEYS: ClassVar[tuple[str, ...]] = ("gene_slope", "gene_level", "depth_level")

    fitted: Fitted
    slope: np.ndarray
    level: np.ndarray
    middle: np.ndarray

    def predict(self, samples: Samples) -> np.ndarray:
        """Predict depth, and from it every gene."""
        return self.level + (self.fitted.predict(samples) - self.middle) * self.slope

    def state(self) -> State:
        """State of what predicts depth, and what genes follow of it."""
        arrays, extra = self.fitted.state()
        return arrays | dict(zip(self.KEYS, (self.slope, self.level, self.middle), strict=True)), extra


@dataclass(frozen=True)
class SingleScale:
    """A plain ridge on what the run's encoder sees in one field of view.

    Parameters
    ----------
    predictor
        What is fitted, with its only block of features.
    name
        Name of its layer.
    """

    kind: ClassVar[str] = "baseline"
    needs_tiles: ClassVar[bool] = False
    predictor: Predictor = Ridge(standardized=False, blocks=(1,))
    name: str = "baseline_single_scale"

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> Fitted:
        """Fit on training spots."""
        return self.predictor.fit(samples, seed=seed, scratch=scratch)

    def restore(self, state: State) -> Fitted:
        """Rebuild from arrays."""
        return self.predictor.restore(state)


@dataclass(frozen=True)
class Permuted:
    """A negative control: any predictor, fitted on labels that were permuted between the spots of each slide.

    Parameters
    ----------
    predictor
        What is fitted.
    name
        Name of its layer.
    """

    kind: ClassVar[str] = "baseline"
    predictor: Predictor = Ridge()
    name: str = "control_permuted"

    @property
    def needs_tiles(self) -> bool:
        """Whether what is fitted looks at pixels besides features."""
        return self.predictor.needs_tiles

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> Fitted:
        """Fit on permuted labels."""
        return self.predictor.fit(replace(samples, targets=permuted(samples, seed)), seed=seed, scratch=scratch)

    def restore(self, state: State) -> Fitted:
        """Rebuild from arrays."""
        return self.predictor.restore(state)


def permuted(samples: Samples, seed: int) -> np.ndarray:
    """Permute targets between the spots of each slide."""
    # each slide keeps its own labels, so that its level and spread stay as they are
    rng = np.random.default_rng(seed)
    targets = samples.training_targets.copy()
    for name in np.unique(samples.slide):
        rows = np.flatnonzero(samples.slide == name)
        targets[rows] = samples.training_targets[rng.permutation(rows)]
    return targets


PRESETS = (
    MeanProfile(),
    PatientMean(),
    PositionNeighbors(),
    ColorBaseline(),
    DepthBaseline(),
    SingleScale(),
    Permuted(),
)

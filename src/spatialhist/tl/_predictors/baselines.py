"""Baselines: predictors that do not look at the image, and that a model has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist.tl._predictors.ridge_solver import center_by_slide

if TYPE_CHECKING:
    from spatialhist.tl._data.samples import Samples
    from spatialhist.tl._predictors.protocol import State


@dataclass(frozen=True)
class MeanProfile:
    """The mean expression of the training slides, the same for every spot."""

    name: str = "baseline_mean"
    kind: str = "baseline"
    needs_tiles: bool = False

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedMeans:
        """Average the training slides, each with the same weight."""
        _, mean = center_by_slide(samples.targets, samples.slide)
        return FittedMeans({"": mean.astype(np.float32)})

    def restore(self, state: State) -> FittedMeans:
        """Rebuild from arrays."""
        return FittedMeans.from_state(state)


@dataclass(frozen=True)
class PatientMean:
    """The mean expression of the scored patient's other slides; NaN where training holds none."""

    name: str = "baseline_patient"
    kind: str = "baseline"
    needs_tiles: bool = False

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedMeans:
        """Average each patient's training slides."""
        means = {}
        for patient in np.unique(samples.patient[samples.patient != ""]):
            rows = samples.patient == patient
            means[str(patient)] = center_by_slide(samples.targets[rows], samples.slide[rows])[1].astype(np.float32)
        return FittedMeans(means, n_genes=samples.targets.shape[1])

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
        return cls({n: arrays[str(i)] for i, n in enumerate(extra["names"])}, extra["n_genes"])


@dataclass(frozen=True)
class PositionNeighbors:
    """Mean of the training spots nearest in centered, pitch-scaled position: what the outline alone tells.

    Parameters
    ----------
    neighbors
        Training spots averaged.
    """

    name: str = "baseline_position"
    neighbors: int = 20
    kind: str = "baseline"
    needs_tiles: bool = False

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> FittedNeighbors:
        """Remember where training spots lie."""
        centered, intercept = center_by_slide(samples.targets, samples.slide)
        return FittedNeighbors(self.neighbors, samples.position, (centered + intercept).astype(np.float32))

    def restore(self, state: State) -> FittedNeighbors:
        """Rebuild from arrays."""
        arrays, _ = state
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
        return self.targets[near.reshape(len(samples), -1)].mean(axis=1)

    def state(self) -> State:
        """Positions and targets."""
        return {"position": self.position, "targets": self.targets}, {}

"""How far spots lie from everything a run was trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._runtime.files import BROKEN, intact, whole_file
from spatialhist.tl._predictors.linear import Reducer, feature_parts
from spatialhist.tl._predictors.stored import check_arrays

if TYPE_CHECKING:
    from spatialhist.tl._data.samples import Inputs

logger = logging.getLogger(__name__)

FILE = "training_features.safetensors"
COMPONENTS = 64
"""Principal components of the features, in which distances are taken."""
NEIGHBORS = 10
"""Which of the nearest training spots the distance is taken to (Sun et al., ICML 2022)."""
MAX_SPOTS = 2000
"""Training spots that are kept, the same number of every group where it has as many."""
FAR = 0.95
"""Score that one of twenty spots exceeds, if they are like those of training."""
PART = 1024
"""Spots whose distances are in memory at once."""


@dataclass(frozen=True)
class TrainingFeatures:
    """Where training spots lie in the space of features.

    Attributes
    ----------
    reducer
        Scaling and principal components of the features of all fields of view.
    points
        Training spots ``(n, components)``.
    group
        Number of the group of each ``(n,)``.
    distances
        Distance of each to the spots of the other groups ``(n,)``; to the other spots, if there is one group.
    n_extents
        Number of arrays of features that are used, the first ones; averages over the context follow them.
    """

    reducer: Reducer
    points: np.ndarray
    group: np.ndarray
    distances: np.ndarray
    n_extents: int

    @classmethod
    def of(cls, inputs: Inputs, groups: list[str], n_extents: int) -> TrainingFeatures:
        """Take them from the spots of a run; no labels are looked at."""
        code = np.array([groups.index(g) for g in inputs.column("group")])
        samples, kept = inputs.samples(np.arange(len(code))), _some_of_each(code)
        blocks = tuple(range(n_extents))
        reducer = Reducer.fit(partial(feature_parts, samples, False, blocks), COMPONENTS)
        features = np.concatenate(samples.blocks(False, blocks, kept), axis=1)
        points, group = reducer.transform(features).astype(np.float32), code[kept]
        return cls(reducer, points, group, _left_out_distances(points, group), n_extents)

    def score(self, features: Sequence[np.ndarray], *, held_out: int | None = None) -> np.ndarray:
        """Fraction of training spots that are nearer to the spots of other groups, with groups weighted equally.

        Parameters
        ----------
        features
            One array ``(n, F)`` per field of view, as the encoder gave them.
        held_out
            Number of the group that the spots belong to, which is left out.

        Returns
        -------
        ndarray
            ``(n,)`` float32, from 0 to 1.
        """
        # not equal to None, the group of a new slide, is every group
        known = self.group != held_out
        points = self.reducer.transform(np.concatenate(features[: self.n_extents], axis=1)).astype(np.float32)
        distances = _to_neighbors(points, self.points[known])
        groups = [np.sort(self.distances[self.group == g]) for g in np.unique(self.group[known])]
        shares = [np.searchsorted(each, distances) / len(each) for each in groups]
        # groups weigh the same, however many of their spots were kept
        return np.mean(shares, axis=0).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write them into a run folder, under a temporary name first."""
        from safetensors.numpy import save_file

        # safetensors holds arrays alone
        arrays = vars(self) | vars(self.reducer) | {"n_extents": np.array([self.n_extents])}
        del arrays["reducer"]
        with whole_file(folder / FILE) as new:
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, new)

    @classmethod
    def load(cls, folder: Path) -> TrainingFeatures:
        """Inverse of :meth:`save`.

        Raises
        ------
        ValueError
            If the folder holds none, or a broken one.
        """
        from safetensors.numpy import load_file

        says = "{path} is missing or broken ({error}): make the run again"
        with intact(folder / FILE, says, errors=(*BROKEN, FileNotFoundError)):
            a = load_file(folder / FILE)
            check_arrays(
                a,
                {
                    "mean": "F",
                    "scale": "F",
                    "axes": "FC",
                    "points": "NC",
                    "group": "N",
                    "distances": "N",
                    "n_extents": "n",
                },
            )
            reducer = Reducer(a["mean"], a["scale"], a["axes"])
            return cls(reducer, a["points"], a["group"], a["distances"], int(a["n_extents"][0]))


def warn_of_far(slide: str, scores: np.ndarray) -> None:
    """Say that most spots of a slide are unlike everything the model has seen."""
    share = float((scores > FAR).mean()) if len(scores) else 0.0
    if share > 0.5:
        logger.warning(
            "slide %r is unlike the training slides: %.0f %% of its spots have out_of_distribution above %g, where 5 %% "
            "are expected; the accuracy of their predictions is unknown", slide, 100 * share, FAR,
        )  # fmt: skip


def _some_of_each(code: np.ndarray) -> np.ndarray:
    """Positions of at most ``MAX_SPOTS`` spots, drawn from each group in equal number."""
    # a fixed seed: which spots are kept must not change with the seed of the models
    rng = np.random.default_rng(0)
    groups = np.unique(code)
    n = max(1, MAX_SPOTS // len(groups))
    return np.sort(np.concatenate([rng.permutation(np.flatnonzero(code == g))[:n] for g in groups]))


def _left_out_distances(points: np.ndarray, group: np.ndarray) -> np.ndarray:
    names = np.unique(group)
    if len(names) == 1:
        # each spot is its own nearest
        return _to_neighbors(points, points, NEIGHBORS + 1)
    distances = np.empty(len(points), dtype=np.float32)
    for g in names:
        distances[group == g] = _to_neighbors(points[group == g], points[group != g])
    return distances


def _to_neighbors(points: np.ndarray, known: np.ndarray, k: int = NEIGHBORS) -> np.ndarray:
    """Distance ``(n,)`` to the ``k``-th nearest of the known points, or to the farthest where there are fewer."""
    from scipy.spatial.distance import cdist

    k = min(k, len(known)) - 1
    parts = (points[i : i + PART] for i in range(0, len(points), PART))
    # a view would keep the distances to all
    each = [np.partition(cdist(part, known), k, axis=1)[:, k].copy() for part in parts]
    return np.concatenate(each).astype(np.float32) if each else np.empty(0, dtype=np.float32)

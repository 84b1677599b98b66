"""How the predictions of several models become one: the combiners of this package, one entry each, at the foot.

Pure arrays; ``predictions`` are ``(models, n, genes)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist.tl._predictors.handed_in import check_same, identity
from spatialhist.tl._predictors.held_out import within_slide_score
from spatialhist.tl._predictors.protocol import check_combiner
from spatialhist.tl._predictors.ridge_solver import center_by_slide
from spatialhist.tl._predictors.stored import check_arrays, check_finite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spatialhist.tl._predictors.protocol import Combiner, FittedCombiner, State

MIN_GROUPS_CHOOSING = 3
"""With fewer groups to leave out, genes keep the common weights: two groups agree too often by chance."""
PULL, PULL_OF_FEW = 0.05, 1.0
"""Strength with which the common weights are drawn to equal ones, relative to the mean variance of a model; with fewer
than that many groups they differ from equal ones only for models that say next to nothing."""
SHRINKAGE = (0.03, 0.3, 3.0)
"""Strengths with which a gene's own weights are drawn to the common ones; the common ones alone are tried too."""


class Unfitted:
    """A combiner that is its own fitted one, for nothing is fitted."""

    min_groups: ClassVar[int] = 2
    needs_inner: ClassVar[bool] = False
    in_ranks: ClassVar[bool] = False

    def fit(self, predictions: np.ndarray, targets: np.ndarray, **options: Any) -> Self:
        """Nothing."""
        return self

    def restore(self, state: State) -> Self:
        """Nothing."""
        return self

    def state(self) -> State:
        """Nothing."""
        return {}, {}


@dataclass(frozen=True)
class Mean(Unfitted):
    """The plain mean; nothing is fitted."""

    name: ClassVar[str] = "mean"

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Average the models."""
        return predictions.mean(axis=0).astype(np.float32)


@dataclass(frozen=True)
class RankMean(Unfitted):
    """The mean of each spot's ranks over the targets; nothing is fitted."""

    name: ClassVar[str] = "rank_mean"
    in_ranks: ClassVar[bool] = True

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Rank each model's targets within the spot, then average."""
        from spatialhist.pp._expression.ranks import rank_rows

        return np.mean([rank_rows(p, method="average", scale="unit") for p in predictions], axis=0).astype(np.float32)


@dataclass(frozen=True)
class NonNegative:
    """One set of non-negative weights, and per gene a set drawn towards it."""

    name: ClassVar[str] = "nnls"
    min_groups: ClassVar[int] = 3
    needs_inner: ClassVar[bool] = True
    in_ranks: ClassVar[bool] = False

    def fit(
        self, predictions: np.ndarray, targets: np.ndarray, *, slide: np.ndarray, group: np.ndarray, **_: Any
    ) -> Weights:
        """Fit one set of non-negative weights, and per gene a set drawn towards it.

        How strongly it is drawn is chosen by leaving groups out once more: weights fitted on the other groups are scored on
        the one left out (within-slide Pearson); genes get weights of their own only if that helps in every one. Slide means
        are removed before fitting, as scores are taken within slides.
        """
        each = [center_by_slide(p.astype(np.float64), slide) for p in predictions]
        centered, base = (np.stack(parts) for parts in zip(*each, strict=True))
        truth, level = center_by_slide(targets.astype(np.float64), slide)
        few = len(np.unique(group)) < MIN_GROUPS_CHOOSING
        shrinkage = np.inf if few else _choose_shrinkage(centered, truth, slide, group)
        weights = _solve(centered, truth, shrinkage, PULL_OF_FEW if few else PULL)
        # what the weights make of the models' own levels is taken off, so that the level is that of the measurements
        intercept = level - (weights * base).sum(axis=0)
        return Weights(weights.astype(np.float32), intercept.astype(np.float32), float(shrinkage))

    def restore(self, state: State) -> Weights:
        """Inverse of ``state``."""
        arrays, extra = state
        check_arrays(arrays, {"weights": "MG", "intercept": "G"})
        return Weights(arrays["weights"], arrays["intercept"], extra["shrinkage"])


@dataclass(frozen=True)
class Weights:
    """Non-negative weights ``(models, genes)`` and an intercept ``(genes,)``."""

    weights: np.ndarray
    intercept: np.ndarray
    shrinkage: float

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Weighted sum."""
        return (np.einsum("mng,mg->ng", predictions, self.weights) + self.intercept).astype(np.float32)

    def state(self) -> State:
        """Weights and intercepts."""
        return {"weights": self.weights, "intercept": self.intercept}, {"shrinkage": self.shrinkage}


def _choose_shrinkage(predictions: np.ndarray, targets: np.ndarray, slide: np.ndarray, group: np.ndarray) -> float:
    """Best shrinkage among those that beat the common weights in every group left out; else the common weights."""
    names = np.unique(group)
    scores = np.empty((len(names), len(SHRINKAGE) + 1))
    for row, name in zip(scores, names, strict=True):
        held = group == name
        for i, shrinkage in enumerate((*SHRINKAGE, np.inf)):
            weights = _solve(predictions[:, ~held], targets[~held], shrinkage)
            combined = np.einsum("mng,mg->ng", predictions[:, held], weights)
            row[i] = within_slide_score(targets[held], combined, slide[held])
    better = (scores[:, :-1] > scores[:, -1:]).all(axis=0)
    means = np.where(better, scores[:, :-1].mean(axis=0), -np.inf)
    return SHRINKAGE[int(np.argmax(means))] if better.any() else np.inf


def _solve(predictions: np.ndarray, targets: np.ndarray, shrinkage: float, pull_common: float = PULL) -> np.ndarray:
    """Weights ``(models, genes)`` of one shrinkage; genes count alike, whatever their variance."""
    # a gene that does not vary has no scale to divide by
    scale = np.maximum(targets.std(axis=0), 1e-8)
    gram = np.einsum("ang,bng->gab", predictions, predictions, optimize=True) / scale[:, None, None] ** 2
    cross = np.einsum("ang,ng->ga", predictions, targets, optimize=True) / scale[:, None] ** 2
    common = _common(gram.sum(axis=0), cross.sum(axis=0), pull_common)
    if np.isinf(shrinkage):
        return np.tile(common[:, None], (1, targets.shape[1]))
    pull = shrinkage * np.trace(gram, axis1=1, axis2=2).mean() / len(common)
    eye = np.eye(len(common))
    return np.stack(
        [_non_negative(g + pull * eye, c + pull * common) for g, c in zip(gram, cross, strict=True)], axis=1
    )


def _common(gram: np.ndarray, cross: np.ndarray, strength: float) -> np.ndarray:
    """One weight a model, drawn to equal ones: alike models carry little evidence on how to share a weight."""
    equal = np.full(len(cross), 1 / len(cross))
    # equal weights may be no negative ones either; the floor is for models that all predict 0
    fitted = max(float(equal @ cross / max(equal @ gram @ equal, 1e-12)), 0.0)
    pull = strength * np.trace(gram) / len(cross)
    return _non_negative(gram + pull * np.eye(len(cross)), cross + pull * fitted * equal)


def _non_negative(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Non-negative least squares from the normal equations."""
    from scipy.optimize import nnls

    # models that predict the same make the matrix singular, which has no Cholesky factor
    ridge = 1e-9 * max(float(np.trace(gram)), 1e-12) * np.eye(len(gram))
    # the square root of the Gram matrix stands for all spots: nnls solves on as many rows as there are models
    root = np.linalg.cholesky(gram + ridge).T
    return nnls(root, np.linalg.solve(root.T, cross))[0]


@dataclass(frozen=True)
class StackingNetwork:
    """:class:`spatialhist.nn.StackingMLP` on the concatenated predictions of all models."""

    name: ClassVar[str] = "mlp"
    min_groups: ClassVar[int] = 5
    needs_inner: ClassVar[bool] = True
    in_ranks: ClassVar[bool] = False

    def fit(
        self, predictions: np.ndarray, targets: np.ndarray, *, slide: np.ndarray, seed: int, scratch: Path, **_: Any
    ) -> StackedNetwork:
        """Train the stacking network for a fixed number of epochs; nothing is monitored. Resumes from ``scratch``."""
        import torch

        from spatialhist.nn import StackingMLP, get_loss
        from spatialhist.tl._predictors.batches import Schedule, seeded
        from spatialhist.tl._predictors.networks import ArrayData
        from spatialhist.tl._predictors.short_training import train_together

        flat = _flat(predictions)
        # a column that never varies has no deviation to divide by
        mean, deviation = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-6)
        centered, level = center_by_slide(targets, slide)
        spread = np.maximum(centered.std(axis=0), 1e-6).astype(np.float32)
        scaled = torch.from_numpy((centered / spread).astype(np.float32))
        data = ArrayData(_inputs(predictions, mean, deviation), scaled)
        schedule = Schedule(epochs=20, batch=64, learning_rate=1e-3, weight_decay=1e-3, accelerator="cpu")
        with seeded(seed):
            network = StackingMLP(flat.shape[1], targets.shape[1])
            train_together([network], get_loss("mse"), data, schedule, [seed], scratch)
        return StackedNetwork(network.eval(), mean, deviation, level.astype(np.float32), spread)

    def restore(self, state: State) -> StackedNetwork:
        """Inverse of ``state``."""
        import torch

        from spatialhist.nn import StackingMLP

        arrays, _ = state
        check_arrays(arrays, {"mean": "I", "deviation": "I", "level": "G", "spread": "G"})
        for name, array in arrays.items():
            check_finite(name, array)
        # initial weights that are replaced must not move the caller's generator
        with torch.random.fork_rng(devices=[]):
            network = StackingMLP(len(arrays["mean"]), len(arrays["level"]))
        own = {k.removeprefix("network/"): torch.tensor(v) for k, v in arrays.items() if k.startswith("network/")}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            raise TypeError(f"weights do not fit the network ({error})") from error
        return StackedNetwork(network.eval(), arrays["mean"], arrays["deviation"], arrays["level"], arrays["spread"])


@dataclass(frozen=True)
class StackedNetwork:
    """A trained network and its scaling."""

    network: Any
    mean: np.ndarray
    deviation: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    def apply(self, predictions: np.ndarray) -> np.ndarray:
        """Predict from all models' predictions at once."""
        import torch

        inputs = torch.from_numpy(_inputs(predictions, self.mean, self.deviation))
        with torch.inference_mode():
            return (self.network(inputs).numpy() * self.spread + self.level).astype(np.float32)

    def state(self) -> State:
        """Network weights and scaling."""
        arrays = {"mean": self.mean, "deviation": self.deviation, "level": self.level, "spread": self.spread}
        return arrays | {f"network/{k}": v.numpy() for k, v in self.network.state_dict().items()}, {}


def _flat(predictions: np.ndarray) -> np.ndarray:
    """Models side by side ``(n, models * genes)``."""
    return np.ascontiguousarray(predictions.transpose(1, 0, 2).reshape(predictions.shape[1], -1), dtype=np.float32)


def _inputs(predictions: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return ((_flat(predictions) - mean) / deviation).astype(np.float32)


COMBINERS: tuple[Combiner, ...] = (NonNegative(), StackingNetwork(), Mean(), RankMean())


def resolve_combiner(method: str | Combiner) -> Combiner:
    """Turn a name into the combiner of this package, or check one of the user's.

    Raises
    ------
    TypeError
        If it is neither a name nor a combiner.
    ValueError
        If there is none of this name, or the user's has a name that it cannot have.
    """
    if isinstance(method, str):
        return _by_name(method)
    check_combiner(method)
    if not method.name or _keys.sanitize(method.name) != method.name:
        raise ValueError(
            f"combiner name={method.name!r} must hold only letters, digits, '_', '.', '-'; "
            f"try {_keys.sanitize(method.name)!r}"
        )
    if not is_ours(method) and method.name in [c.name for c in COMBINERS]:
        raise ValueError(f"combiner name={method.name!r} is that of one in this package: give yours another name")
    return method


def _by_name(name: str) -> Combiner:
    found = {c.name: c for c in COMBINERS}
    check_choice("method", name, found, otherwise="nor a combiner of your own (sh.tl.Combiner)")
    return found[name]


def combine(combiner: FittedCombiner, predictions: np.ndarray) -> np.ndarray:
    """Make one prediction ``(n, genes)`` of several.

    Raises
    ------
    ValueError
        If the combiner returns something else.
    """
    combined = np.asarray(combiner.apply(predictions), dtype=np.float32)
    if combined.shape != predictions.shape[1:]:
        raise ValueError(
            f"combiner {type(combiner).__name__} made an array {combined.shape} of {predictions.shape}, expected "
            f"{predictions.shape[1:]}"
        )
    return combined


def is_ours(combiner: Combiner) -> bool:
    """Whether it is in the table of this package."""
    return type(combiner) in map(type, COMBINERS)


def describe_combiner(combiner: Combiner) -> dict[str, Any]:
    """What identifies one of the user's; nothing of one of this package, which goes by its name."""
    return {} if is_ours(combiner) else {"combiner": identity(combiner, f"combiner {combiner.name!r}")}


def restore_combiner(name: str, data: dict[str, Any], own: Sequence[Combiner]) -> Combiner:
    """Find the combiner that a folder names; one of the user's must be handed in again.

    Raises
    ------
    ValueError
        If it is not, or brings other arrays.
    """
    if "combiner" not in data:
        return _by_name(name)
    found = next((c for c in own if c.name == name), None)
    if found is None:
        raise ValueError(
            f"the stack was made by your own combiner {name!r}: sh.tl.load(folder, combiners=[...]) takes it"
        )
    check_same(found, f"combiner {name!r}", "combiners", data["combiner"])
    return found

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

EPSILON = 1e-8


def get_loss(name: str, **options: float) -> Loss:
    """Return a loss as a function of predictions and targets.

    Parameters
    ----------
    name
        ``"mse"``, ``"mse_pearson"``, ``"hinge_rank"``, ``"logistic_rank"`` or ``"soft_spearman"``.
    options
        Keyword options of the loss.

    Returns
    -------
    Loss
        Function of predictions and targets, both ``(B, K)``, that returns a scalar.

    Raises
    ------
    ValueError
        If no loss has this name.
    TypeError
        If the loss has no such option.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import get_loss
    >>> loss = get_loss("mse_pearson", alpha=0.5)
    >>> loss(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])).item()
    0.5
    """
    if name not in LOSSES:
        raise ValueError(f"Loss {name!r} is unknown; choose one of {', '.join(LOSSES)}.")
    allowed = list(inspect.signature(LOSSES[name]).parameters)[2:]
    if unknown := sorted(set(options) - set(allowed)):
        raise TypeError(f"Loss {name!r} has no option {unknown[0]!r}; it has {', '.join(allowed) or 'none'}.")
    return partial(LOSSES[name], **options)


def mse_loss(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error over all spots and targets, both ``(B, K)``."""
    _check_shapes(pred, target)
    return F.mse_loss(pred, target)


def mse_pearson_loss(pred: torch.Tensor, target: torch.Tensor, *, alpha: float = 0.5) -> torch.Tensor:
    """Blend mean squared error with one minus the mean Pearson correlation per target.

    Parameters
    ----------
    pred, target
        Predictions and truth of shape ``(B, K)``.
    alpha
        Weight of the correlation, between 0 and 1; the error has weight ``1 - alpha``.

    Returns
    -------
    torch.Tensor
        Scalar loss.

    Notes
    -----
    Correlations run over the spots of the batch. Targets that are constant there are left out of their mean.
    """
    _check_shapes(pred, target)
    varies = (target != target[:1]).any(dim=0)
    correlation = _pearson(pred[:, varies].T, target[:, varies].T)
    # 0 that depends on the predictions: a loss without a gradient stops the training
    penalty = (1 - correlation).mean() if len(correlation) else pred.sum() * 0
    return (1 - alpha) * F.mse_loss(pred, target) + alpha * penalty


def hinge_rank_loss(pred: torch.Tensor, target: torch.Tensor, *, margin: float = 0.1) -> torch.Tensor:
    """Penalize pairs of a spot's targets whose predicted difference falls short of a margin.

    Parameters
    ----------
    pred, target
        Predictions and truth of shape ``(B, K)``.
    margin
        Difference, in units of the predictions, at which a pair costs nothing.

    Returns
    -------
    torch.Tensor
        Mean of ``max(0, margin - (pred_i - pred_j))`` over all pairs with ``target_i > target_j``.

    Notes
    -----
    Memory grows with ``B * K ** 2``.
    """
    _check_shapes(pred, target)
    return _mean_over_ordered_pairs(F.relu(margin - _differences(pred)), target)


def logistic_rank_loss(pred: torch.Tensor, target: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
    """Logistic loss on the order of every pair of a spot's targets (RankNet, Burges et al. 2005).

    Parameters
    ----------
    pred, target
        Predictions and truth of shape ``(B, K)``.
    scale
        Difference, in units of the predictions, that counts as 1.

    Returns
    -------
    torch.Tensor
        Mean of ``log(1 + exp(-(pred_i - pred_j) / scale))`` over all pairs with ``target_i > target_j``.

    Notes
    -----
    Memory grows with ``B * K ** 2``.
    """
    _check_shapes(pred, target)
    return _mean_over_ordered_pairs(F.softplus(-_differences(pred) / scale), target)


def soft_spearman_loss(
    pred: torch.Tensor, target: torch.Tensor, *, temperature: float = 0.1, mse_weight: float = 0.0
) -> torch.Tensor:
    """One minus the correlation of a spot's soft predicted ranks with its true ranks, averaged over spots.

    Parameters
    ----------
    pred, target
        Predictions and truth of shape ``(B, K)``.
    temperature
        Difference, in units of the predictions, over which two ranks blend; towards 0 the ranks become exact.
    mse_weight
        Weight of the mean squared error blended in, between 0 and 1; the order alone leaves the scale open.

    Returns
    -------
    torch.Tensor
        Scalar loss.

    Notes
    -----
    The soft rank of target i is ``1/2 + sum_j sigmoid((pred_i - pred_j) / temperature)`` (Qin, Liu and Li 2010); ties
    in the truth get their average rank. Spots with a constant truth are left out. Memory grows with ``B * K ** 2``.
    """
    _check_shapes(pred, target)
    varies = (target != target[:, :1]).any(dim=1)
    # each target also meets itself, which adds a half: ranks start at 1
    soft = 0.5 + torch.sigmoid(_differences(pred[varies]) / temperature).sum(dim=2)
    correlation = _pearson(soft, _average_ranks(target[varies]))
    # 0 that depends on the predictions: a loss without a gradient stops the training
    penalty = (1 - correlation).mean() if len(correlation) else pred.sum() * 0
    return (1 - mse_weight) * penalty + mse_weight * F.mse_loss(pred, target)


LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mse": mse_loss,
    "mse_pearson": mse_pearson_loss,
    "hinge_rank": hinge_rank_loss,
    "logistic_rank": logistic_rank_loss,
    "soft_spearman": soft_spearman_loss,
}


def _check_shapes(pred: torch.Tensor, target: torch.Tensor) -> None:
    if pred.ndim != 2 or pred.shape != target.shape:
        raise ValueError(f"Predictions {tuple(pred.shape)} and targets {tuple(target.shape)} must both be (B, K).")


def _pearson(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Correlate the rows of two matrices; a constant row gives 0."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    # inside the root, because the root's own gradient at 0 is infinite
    scale = torch.sqrt((a * a).sum(dim=1) * (b * b).sum(dim=1) + EPSILON**2)
    return (a * b).sum(dim=1) / scale


def _differences(values: torch.Tensor) -> torch.Tensor:
    """Return ``values_i - values_j`` as ``(B, K, K)``."""
    return values[:, :, None] - values[:, None, :]


def _mean_over_ordered_pairs(cost: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    ordered = _differences(target) > 0
    # where all targets are equal no pair is ordered: the loss is 0, not NaN
    return (cost * ordered).sum() / ordered.sum().clamp(min=1)


def _average_ranks(values: torch.Tensor) -> torch.Tensor:
    """Rank the entries of each row from 1, ties getting their average."""
    difference = _differences(values)
    # each entry ties with itself, which adds the other half of rank 1
    return 0.5 + (difference > 0).sum(dim=2) + 0.5 * (difference == 0).sum(dim=2)

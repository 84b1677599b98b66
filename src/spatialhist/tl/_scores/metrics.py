"""The metrics, one entry each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from spatialhist import metrics
from spatialhist._runtime.checks import check_choice

HEADLINE = "pearson"
BEYOND_DEPTH = "pearson_beyond_depth"
"""The part of the headline that depth does not explain; it stands wherever the headline does."""
LOWER_BOUND = (
    "'Beyond depth' is a lower bound of what is learned about genes, since depth follows cellularity, which H&E shows."
)
"""Said wherever the second headline stands."""
NO_DEPTH = "It is empty here: nothing says how deep the spots are, as of proportions."
POOLED = "pooled_pearson"
RELIABILITY = "reliability"
Per = Literal["gene", "spot", "slide", "cohort", "measurement"]


@dataclass(frozen=True)
class Metric:
    """A metric of :func:`evaluate`. Pass one of your own among ``metrics=``, or the bare function of a metric per gene.

    Parameters
    ----------
    name
        What it is called in the table of scores.
    function
        ``function(truth, predicted)``, both ``(spots, genes)`` of one slide. Where ``per`` is ``"slide"``, a third argument
        says where the spots lie (``xy``, ``pitch``, ``connectivities``; the last two are None where they are unknown) and how
        deep they are (``depth``, total counts, None where they are unknown).
    per
        What it returns: one value per ``"gene"``, one per ``"spot"`` (their mean is reported), or one number per
        ``"slide"``, None where there is none. ``"cohort"`` is handed the spots of all slides at once, and the genes that
        all of them have, and returns one value per gene.
    in_units
        Whether it says something only where truth and prediction have the same units.
    label
        For the axis of a plot; the name where it is empty.
    default
        Whether it is among ``metrics="default"``.
    lower_is_better
        Whether a smaller value is a better one.
    needs_depth
        Whether a function that returns one value per gene takes the total counts of the spots as a third argument. Where
        they are unknown it is not called, and every value is missing.

    Examples
    --------
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> def bias(truth, predicted):
    ...     return np.mean(predicted - truth, axis=0)
    >>> metric = sh.tl.Metric("bias", bias, in_units=True, label="mean error")
    >>> metric.per
    'gene'
    """

    name: str
    function: Callable[..., Any] | None = None
    per: Per = "gene"
    in_units: bool = False
    label: str = ""
    default: bool = False
    lower_is_better: bool = False
    needs_depth: bool = False

    def __post_init__(self) -> None:
        check_choice("per", self.per, Per)


def call(metric: Metric, *given: Any) -> Any:
    """Values of a metric.

    Raises
    ------
    TypeError
        If it has no function.
    """
    if metric.function is None:
        raise TypeError(f"metric {metric.name!r} has no function: give it one, sh.tl.Metric({metric.name!r}, function)")
    return metric.function(*given)


@dataclass(frozen=True)
class Layout:
    """Where the scored spots of a slide lie, and how deep they are.

    Attributes
    ----------
    xy
        Spot centers ``(spots, 2)``.
    pitch
        Distance of neighbors in the units of these, None where it is unknown.
    connectivities
        Graph of the spots, sparse ``(spots, spots)``, None where there is none.
    depth
        Total counts of the spots ``(spots,)``, None where they are unknown.
    """

    xy: np.ndarray
    pitch: float | None = None
    connectivities: Any = None
    depth: np.ndarray | None = None


def _jensen_shannon(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
    """None of a truth below zero, which is no distribution over spots."""
    return None if truth.size and np.nanmin(truth) < 0 else metrics.jensen_shannon(truth, predicted)


def _spot_spearman(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
    """None of a single gene, which has no ranks within a spot."""
    return metrics.spot_spearman(truth, predicted) if truth.shape[1] > 1 else None


def _ssim(truth: np.ndarray, predicted: np.ndarray, layout: Layout) -> float | None:
    """NaN of spots too scattered to make a map of."""
    if layout.pitch is None or len(truth) < 2:
        return None
    try:
        return mean_known(metrics.ssim(truth, predicted, layout.xy, layout.pitch))
    except ValueError:
        return float("nan")


def mean_known(values: np.ndarray) -> float:
    """Mean of what could be scored, NaN where nothing could."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _moran_agreement(truth: np.ndarray, predicted: np.ndarray, layout: Layout) -> float | None:
    graph = layout.connectivities
    return None if graph is None or not graph.nnz else metrics.moran_agreement(truth, predicted, graph)


METRICS = (
    Metric(HEADLINE, metrics.pearson, label="within-slide Pearson r", default=True),
    Metric(
        BEYOND_DEPTH,
        metrics.pearson_beyond_depth,
        label="within-slide Pearson r beyond depth",
        default=True,
        needs_depth=True,
    ),
    Metric("spearman", metrics.spearman, label="within-slide Spearman ρ", default=True),
    Metric("rmse", metrics.rmse, in_units=True, label="RMSE", default=True, lower_is_better=True),
    Metric("nrmse", metrics.nrmse, in_units=True, lower_is_better=True),
    Metric("r2", metrics.r2, in_units=True, label="R²", default=True),
    Metric(
        "variance_ratio",
        metrics.variance_ratio,
        in_units=True,
        label="variance of the prediction / of the truth",
        default=True,
    ),
    Metric("mutual_information", metrics.mutual_information),
    Metric("jensen_shannon", _jensen_shannon, in_units=True, lower_is_better=True),
    Metric("auc_detected", metrics.auc_detected),
    Metric("spot_spearman", _spot_spearman, per="spot", label="per-spot Spearman ρ", default=True),
    Metric("ssim", _ssim, per="slide", label="structural similarity", default=True),
    Metric("moran_agreement", _moran_agreement, per="slide", label="agreement of Moran's I", default=True),
    Metric(POOLED, metrics.pooled_pearson, per="cohort", default=True),
    Metric(RELIABILITY, per="measurement"),
)
"""All metrics of this package, in the order of the table of scores."""
DEFAULT = tuple(m for m in METRICS if m.default)
GROUPS = {"default": DEFAULT, "all": METRICS}

Chosen = str | Metric | Callable[..., Any]


def choose_metrics(chosen: Chosen | Sequence[Chosen]) -> tuple[Metric, ...]:
    """Resolve ``"default"``, ``"all"``, names, metrics and functions, one or several, in the order of the table.

    The headline never comes without its part beyond depth.

    Raises
    ------
    ValueError
        If a name is unknown or taken by two metrics, or none is chosen.
    """
    each = [chosen] if isinstance(chosen, str | Metric) or callable(chosen) else list(chosen)
    found = list(dict.fromkeys(m for one in each for m in _resolved(one)))
    if named(HEADLINE) in found:
        found = list(dict.fromkeys([*found, named(BEYOND_DEPTH)]))
    names = [m.name for m in found]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"metrics={names} must be one or more, of different names")
    # metrics of the user's stand behind those of the table, in the order in which they were passed
    return tuple(sorted(found, key=lambda m: METRICS.index(m) if m in METRICS else len(METRICS)))


def _resolved(one: Chosen) -> Iterable[Metric]:
    if isinstance(one, Metric):
        return [one]
    if not isinstance(one, str):
        return [Metric(getattr(one, "__name__", type(one).__name__), one)]
    named = {m.name: [m] for m in METRICS}
    if one not in (*GROUPS, *named):
        raise ValueError(f"metrics={one!r} must be 'default', 'all', some of {list(named)}, or a metric of your own")
    return GROUPS.get(one) or named[one]


def named(metric: str | Metric) -> Metric:
    """The metric of a name; of one that is not in the table, more is taken for better."""
    if isinstance(metric, Metric):
        return metric
    return next((m for m in METRICS if m.name == metric), Metric(metric))


def label_of(name: str) -> str:
    """Name of a metric for the axis of a plot."""
    return named(name).label or name


Documented = TypeVar("Documented", bound=Callable[..., Any])


def documented(function: Documented) -> Documented:
    """Put the names of the metrics in the places of ``%(gene)s``, ``%(slide)s`` and so on."""
    by_level = {
        "gene": [m for m in METRICS if m.per == "gene"],
        "slide": [m for m in METRICS if m.per in ("spot", "slide")],
        "cohort": [m for m in METRICS if m.per == "cohort"],
        "measurement": [m for m in METRICS if m.per == "measurement"],
        "not_default": [m for m in METRICS if not m.default],
    }
    names = {level: ", ".join(f"``{m.name}``" for m in each) for level, each in by_level.items()}
    function.__doc__ = inspect.cleandoc(function.__doc__ or "") % names
    return function

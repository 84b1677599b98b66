"""Warm start from the weights of a fitted model: which models can, and whether the two fit together."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from spatialhist.tl._predictors.registry import current_description, describe
from spatialhist.tl._runs.fits import Fit

if TYPE_CHECKING:
    from spatialhist.tl._predictors.protocol import Predictor
    from spatialhist.tl._runs.model import Model
    from spatialhist.tl._runs.task import Task

MAY_DIFFER = (
    "epochs",
    "batch",
    "learning_rate",
    "weight_decay",
    "accelerator",
    "ema",
    "devices",
    "loss",
    "augment",
    "rank",
    "max_steps",
)
"""Parameters of networks that say how to train, not what."""


def can_go_on(predictor: Predictor) -> bool:
    """Whether a predictor has weights to go on from: its ``fit`` takes ``start``."""
    return "start" in inspect.signature(predictor.fit).parameters


def check_start(start: Model, task: Task, genes: int | Sequence[str]) -> None:
    """Refuse a model whose weights mean something else than those to be trained.

    Raises
    ------
    ValueError
        If no model has weights to go on from, or target, what models look at, a network or the panel differ.
    """
    networks = [m for m in task.models if can_go_on(m)]
    if not networks:
        raise ValueError(
            f"start={str(start.folder)!r}: none of the models {[m.name for m in task.models]} has weights to go on from "
            "(networks do): fit on old and new slides together"
        )
    differ = start.manifest.differences(task.recipe(), ("layer", "design"))
    design = task.design.to_json()
    differ += [f"model {m.name!r}" for m in networks if not _before(m, start.models, design)]
    if not isinstance(genes, int) and set(genes) != set(start.genes):
        differ.append("genes")
    if differ:
        raise ValueError(f"start={str(start.folder)!r} cannot be used for a warm start: they differ in {differ}")


def check_panel(start: Model, found: Sequence[str]) -> None:
    """Refuse slides on which part of the panel was not measured.

    Raises
    ------
    ValueError
        If genes are missing.
    """
    missing = sorted(set(start.genes) - set(found))
    if missing:
        raise ValueError(
            f"start={str(start.folder)!r} models {len(missing)} genes that not all slides measured: {missing[:5]}"
        )


def from_start(fits: Sequence[Fit], start: Model, design: dict[str, Any]) -> list[Fit]:
    """Let the fits of networks go on from those of a model; the others start afresh."""
    folders = {f.predictor.name: f.folder for f in start.fits()}
    return [
        replace(f, start=folders[_before(f.predictor, start.models, design)[0].name]) if can_go_on(f.predictor) else f
        for f in fits
    ]


def _before(predictor: Predictor, models: Sequence[Predictor], design: dict[str, Any]) -> list[Predictor]:
    """Models with the weights of a network: that of its name, else one that had another name in an earlier version."""
    alike = [m for m in models if _shape(m, design) == _shape(predictor, design)]
    return sorted(alike, key=lambda m: m.name != predictor.name)


def _shape(predictor: Predictor, design: dict[str, Any]) -> dict[str, Any]:
    """Parameters on which the weights depend; a network of the user's is hashed as if trained with the defaults."""
    alike = _with_default_training(predictor)
    # by way of JSON, as the description of the earlier model was stored
    described = current_description(json.loads(json.dumps(describe(alike))), design)
    return {k: v for k, v in described.items() if k not in MAY_DIFFER}


def _with_default_training(predictor: Any) -> Any:
    if not is_dataclass(predictor) or isinstance(predictor, type):
        return predictor
    training = {f.name: f.default for f in fields(predictor) if f.name in MAY_DIFFER and f.init}
    return replace(predictor, **{name: value for name, value in training.items() if value is not MISSING})

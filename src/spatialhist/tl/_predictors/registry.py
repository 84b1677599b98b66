"""Predictors by name, and as JSON holds them; those of this package stand at the foot of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import Any

from spatialhist import _keys
from spatialhist.tl._data.design import COLOR_TEXTURE, CUSTOM, Design
from spatialhist.tl._data.renamed import MODELS, current_description
from spatialhist.tl._predictors.baselines import (
    ColorBaseline,
    DepthBaseline,
    MeanProfile,
    PatientMean,
    Permuted,
    PositionNeighbors,
    SingleScale,
)
from spatialhist.tl._predictors.handed_in import check_same, identity
from spatialhist.tl._predictors.linear import Ridge
from spatialhist.tl._predictors.protocol import Predictor, check_predictor

FILES = ("linear", "baselines", "depth_adjusted", "networks")
"""Networks last, which bring torch: they are imported when one is asked for."""
DEFAULT = ("ridge", "kernel_ridge", "mlp")
"""Models that look at different things make a better stack: the ridge sees features relative to the slide's tissue, the
kernel ridge features as they are, and the network averages over the context too."""


def presets() -> Iterator[Predictor]:
    """All predictors of this package, with the parameters that their names stand for."""
    for file in FILES:
        yield from import_module(f"{__package__}.{file}").PRESETS


def by_name(name: str) -> Predictor:
    """Return one of the models of this package; one that had another name before goes by either.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    models = (p for p in presets() if p.kind == "model")
    if found := next((p for p in models if p.name == name), None):
        return found
    if former := {old: new for (_, old), new in MODELS.items()}.get(name):
        preset: Any = by_name(former)
        return replace(preset, name=name)
    names = sorted(p.name for p in presets() if p.kind == "model")
    raise ValueError(f"no model {name!r}; there are {names}, or pass a predictor of your own")


def resolve_models(models: str | Predictor | Sequence[str | Predictor]) -> list[Predictor]:
    """Turn names into predictors and check that they can be told apart.

    Raises
    ------
    TypeError
        If something is neither a name nor a predictor, or models are a set.
    ValueError
        If a name is unknown or used twice.
    """
    if isinstance(models, str) and models == "default":
        models = DEFAULT
    elif isinstance(models, str) or not isinstance(models, Sequence | set | Iterator):
        models = (models,)
    elif isinstance(models, set):
        # the order of a set of names differs from process to process, and a resumed run would be another one
        raise TypeError(f"models={models!r} has no order: pass a list")
    resolved = [by_name(m) if isinstance(m, str) else m for m in models]
    for predictor in resolved:
        check_predictor(predictor)
    # as layers and folders spell them: names that are one there would overwrite each other
    names = [_keys.sanitize(p.name) for p in resolved]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"models need different names, got {names}")
    return resolved


def baselines(design: Design, *, depth: bool) -> list[Predictor]:
    """Baselines of a run: no image, or a plain ridge on one field of view of it, or depth alone where known, or no labels."""
    alone = SingleScale(Ridge(standardized=False, blocks=(design.single_scale,)))
    own_encoder = [] if design.encoder == COLOR_TEXTURE else [alone]
    of_depth = [DepthBaseline()] if depth else []
    return [MeanProfile(), PatientMean(), PositionNeighbors(), ColorBaseline(), *of_depth, *own_encoder, Permuted()]


def describe(predictor: Predictor) -> dict[str, Any]:
    """Class and parameters, as JSON can hold them; of a predictor from outside, the plain ones of a dataclass."""
    parameters: dict[str, Any] = {}
    if is_dataclass(predictor):
        parameters = {f.name: getattr(predictor, f.name) for f in fields(predictor)}
    name = type(predictor).__name__
    if not _is_ours(predictor) or parameters.get("build") is not None:
        plain = {k: v for k, v in parameters.items() if isinstance(v, bool | int | float | str | tuple)}
        made_of = identity(predictor, f"model {predictor.name!r}")
        return {"class": f"{CUSTOM}{name}", **plain, "name": predictor.name, **made_of}
    return {"class": name} | {k: describe(v) if isinstance(v, Predictor) else v for k, v in parameters.items()}


def _is_ours(predictor: Predictor) -> bool:
    return type(predictor).__module__.startswith(f"{__package__}.")


def from_description(data: dict[str, Any], custom: Sequence[Predictor] = ()) -> Predictor:
    """Inverse of :func:`describe`; predictors from outside must be handed in again.

    A predictor keeps the name it was stored with, which names its folders and layers.

    Raises
    ------
    ValueError
        If one is missing or the class is unknown.
    """
    data = current_description(data) | ({"name": data["name"]} if "name" in data else {})
    name = data["class"]
    if name.startswith(CUSTOM):
        # a predictor of ours may hold one of the user's, such as `DepthAdjusted(own)`
        wrapped = (getattr(p, "predictor", p) for p in custom)
        own = next((p for p in (*custom, *wrapped) if p.name == data["name"]), None)
        if own is None:
            raise ValueError(f"the model holds your own predictor {data['name']!r}: pass it in models=[...] to load it")
        check_same(own, f"model {own.name!r}", "models", data)
        return own
    cls: Any = next((type(p) for p in presets() if type(p).__name__ == name), None)
    if cls is None:
        raise ValueError(f"unknown predictor class {name!r}: the model was made by a newer version of spatialhist")
    known = {f.name for f in fields(cls)}
    return cls(**{k: _restored(v, custom) for k, v in data.items() if k in known})


def _restored(value: Any, custom: Sequence[Predictor]) -> Any:
    """Parameter as JSON gave it back."""
    if isinstance(value, dict):
        return from_description(value, custom)
    return tuple(value) if isinstance(value, list) else value

"""Predictors by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from spatialhist import _keys
from spatialhist.tl._data.design import Design
from spatialhist.tl._predictors.linear import KernelRidge, Ridge
from spatialhist.tl._predictors.nulls import DonorMean, MeanProfile, PositionNeighbors
from spatialhist.tl._predictors.protocol import Predictor

DEFAULT = ("ridge", "kernel_ridge_raw", "head")
MEMBERS = 3
"""Networks of a head: the mean of a few seeds is better than one, and a head costs little."""
CLASSES = ("Ridge", "KernelRidge", "FeatureNetwork", "TileNetwork", "MeanProfile", "DonorMean", "PositionNeighbors")


def by_name(name: str, design: Design) -> Predictor:
    """Make one of the built-in predictors.

    Models that look at different things make a better stack: of the default ones the ridge sees features relative to the
    slide's tissue, the kernel ridge features as they are, and the head the averages of the surroundings too.

    Raises
    ------
    ValueError
        Listing the names.
    """
    own = tuple(range(len(design.extents)))
    makers = {
        "ridge": lambda: Ridge(extents=own),
        "ridge_raw": lambda: Ridge(name="ridge_raw", standardized=False, extents=own),
        "kernel_ridge": lambda: KernelRidge(),
        "kernel_ridge_raw": lambda: KernelRidge(name="kernel_ridge_raw", standardized=False, extents=own),
        "head": lambda: _class("FeatureNetwork")(members=MEMBERS),
        "head_raw": lambda: _class("FeatureNetwork")(name="head_raw", standardized=False, members=MEMBERS),
        "vision_mlp": lambda: _class("TileNetwork")(grid=design.grid),
    }
    if name not in makers:
        raise ValueError(f"no model {name!r}; there are {sorted(makers)}, or pass a predictor of your own")
    return makers[name]()


def resolve_models(models: str | Predictor | Sequence[str | Predictor], design: Design) -> list[Predictor]:
    """Turn names into predictors and check that they can be told apart.

    Raises
    ------
    TypeError
        If something is neither a name nor a predictor.
    ValueError
        If a name is unknown or used twice.
    """
    if isinstance(models, str):
        models = DEFAULT if models == "default" else (models,)
    elif isinstance(models, Predictor):
        models = (models,)
    resolved = [by_name(m, design) if isinstance(m, str) else m for m in models]
    for predictor in resolved:
        if isinstance(predictor, type) or not isinstance(predictor, Predictor):
            raise TypeError(f"{predictor!r} is no predictor: it needs name, kind, needs_tiles, fit() and restore()")
    names = [_keys.sanitize(p.name) for p in resolved]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"models need different names, got {names}")
    return resolved


def nulls(design: Design) -> list[Predictor]:
    """Null models: no image, or a plain ridge on one extent of it, or no labels."""
    near = design.extents[0] if len(design.extents) == 1 else design.extents[1]
    one = design.extents.index(near)
    return [
        MeanProfile(),
        DonorMean(),
        PositionNeighbors(),
        Ridge(name="null_color", standardized=False, extents=(one,), kind="null"),
        Ridge(name="null_permuted", shuffle=True, extents=tuple(range(len(design.extents))), kind="null"),
    ]


def describe(predictor: Predictor) -> dict[str, Any]:
    """Class and parameters, as JSON can hold them; of a predictor from outside, the plain ones of a dataclass."""
    name = type(predictor).__name__
    parameters: dict[str, Any] = {}
    if is_dataclass(predictor):
        parameters = {f.name: getattr(predictor, f.name) for f in fields(predictor)}
    if name not in CLASSES or parameters.get("build") is not None:
        plain = {k: v for k, v in parameters.items() if isinstance(v, bool | int | float | str | tuple)}
        return {"class": f"custom:{name}", **plain, "name": predictor.name}
    return {"class": name, **parameters}


def from_description(data: dict[str, Any], custom: Sequence[Predictor] = ()) -> Predictor:
    """Inverse of :func:`describe`; predictors from outside must be handed in again.

    Raises
    ------
    ValueError
        If one is missing or the class is unknown.
    """
    name = data["class"]
    if name.startswith("custom:"):
        own = [p for p in custom if p.name == data["name"]]
        if not own:
            raise ValueError(f"the model holds your own predictor {data['name']!r}: pass it in models=[...] to load it")
        return own[0]
    if name not in CLASSES:
        raise ValueError(f"unknown predictor class {name!r}: the model was made by a newer version of spatialhist")
    cls = _class(name)
    known = {f.name for f in fields(cls)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
    return cls(**given)


def _class(name: str) -> Any:
    """Import networks only when one is asked for: they bring torch and Lightning."""
    if name in ("FeatureNetwork", "TileNetwork"):
        from spatialhist.tl._predictors import networks

        return getattr(networks, name)
    return globals()[name]

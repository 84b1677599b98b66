"""Predictors by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from spatialhist import _keys
from spatialhist.tl._data.design import Design
from spatialhist.tl._data.renamed import BASELINES, KINDS
from spatialhist.tl._predictors.baselines import MeanProfile, PatientMean, PositionNeighbors
from spatialhist.tl._predictors.linear import KernelRidge, Ridge
from spatialhist.tl._predictors.protocol import Predictor

DEFAULT = ("ridge", "kernel_ridge", "mlp")
MEMBERS = 3
"""Networks of the default ``mlp``: the mean of a few seeds is better than one, and each costs little."""
CLASSES = ("Ridge", "KernelRidge", "FeatureNetwork", "TileNetwork", "MeanProfile", "PatientMean", "PositionNeighbors")

RENAMED_CLASSES = {"DonorMean": "PatientMean"}
RENAMED_MODELS = {
    ("KernelRidge", "kernel_ridge_raw"): "kernel_ridge",
    ("FeatureNetwork", "head"): "mlp",
    ("FeatureNetwork", "head_raw"): "mlp_raw",
}
"""Class and former name of models whose name is another one since version 0.1.0."""


def by_name(name: str, design: Design) -> Predictor:
    """Make one of the built-in predictors.

    Models that look at different things make a better stack: of the default ones the ridge sees features relative to the
    slide's tissue, the kernel ridge features as they are, and the network their averages over the context too.

    Raises
    ------
    ValueError
        Listing the names.
    """
    own = tuple(range(len(design.extents)))
    makers = {
        "ridge": lambda: Ridge(extents=own),
        "ridge_raw": lambda: Ridge(name="ridge_raw", standardized=False, extents=own),
        "kernel_ridge": lambda: KernelRidge(standardized=False, extents=own),
        "mlp": lambda: _class("FeatureNetwork")(members=MEMBERS),
        "mlp_raw": lambda: _class("FeatureNetwork")(name="mlp_raw", standardized=False, members=MEMBERS),
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


def baselines(design: Design) -> list[Predictor]:
    """Baselines: no image, or a plain ridge on one field of view, or no labels."""
    near = design.extents[0] if len(design.extents) == 1 else design.extents[1]
    one = design.extents.index(near)
    return [
        MeanProfile(),
        PatientMean(),
        PositionNeighbors(),
        Ridge(name="baseline_color", standardized=False, extents=(one,), kind="baseline"),
        Ridge(name="control_permuted", shuffle=True, extents=tuple(range(len(design.extents))), kind="baseline"),
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

    A predictor keeps the name it was stored with, which names its folders and layers.

    Raises
    ------
    ValueError
        If one is missing or the class is unknown.
    """
    data = current_description(data) | {"name": data["name"]}
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


def current_description(data: dict[str, Any]) -> dict[str, Any]:
    """Return a description in the words of this version, so that one that an earlier version wrote can be compared."""
    cls = RENAMED_CLASSES.get(data["class"], data["class"])
    kind, name = KINDS.get(data.get("kind", "model"), data.get("kind", "model")), data["name"]
    if kind == "baseline" and not cls.startswith("custom:"):
        name = BASELINES.get(name, name)
    return data | {"class": cls, "kind": kind, "name": RENAMED_MODELS.get((cls, name), name)}


def _class(name: str) -> Any:
    """Import networks only when one is asked for: they bring torch and Lightning."""
    if name in ("FeatureNetwork", "TileNetwork"):
        from spatialhist.tl._predictors import networks

        return getattr(networks, name)
    return globals()[name]

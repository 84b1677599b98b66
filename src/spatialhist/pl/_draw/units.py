"""What the numbers of a layer are, in words for a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._sdata.layers import recorded

if TYPE_CHECKING:
    from anndata import AnnData


def is_predicted(table: AnnData, layer: str | None) -> bool:
    """Whether a layer holds predictions."""
    return "target" in recorded(table, layer or "X")


def target_of(table: AnnData, layer: str | None) -> str:
    """Layer of measurements that a layer predicts; its own name where it is one."""
    return recorded(table, layer or "X").get("target", layer or "X")


def unit_of(table: AnnData, layer: str | None) -> str:
    """Return the units of a layer; of predictions, those the model was trained in."""
    target, own = target_of(table, layer), recorded(table, layer or "X")
    # a table that was never measured knows the units of its predictions from the model alone
    params = {**recorded(table, target), **own.get("units", {})}
    if {"method", "scale"} <= set(params) or "ranking" in own or own.get("space") == _keys.RANKS:
        unit = "rank within panel" if is_predicted(table, layer) else "rank within spot"
    elif "unit" in params:
        unit = params["unit"]
    elif "target_sum" in params:
        unit = f"log1p({_per(params['target_sum'])})"
    else:
        unit = "counts" if target == "X" else target
    return f"{unit}, smoothed" if params.get("smoothed") else unit


def _per(total: float) -> str:
    """Counts per total, as the field writes it."""
    names = {1e4: "CP10k", 1e6: "CPM"}
    return names.get(total, f"counts per {total:g}")

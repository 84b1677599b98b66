"""What a layer of predictions is to be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatialhist._sdata.layers import get_layer, recorded

if TYPE_CHECKING:
    from anndata import AnnData


def measured_target(table: AnnData, layer: str) -> str | None:
    """What a layer says it predicts; for a smoothed target the layer that was smoothed."""
    target = recorded(table, layer).get("target")
    made = recorded(table, target) if target else {}
    return made["layer"] if made.get("smoothed") else target


def check_predicts(table: AnnData, slides: Sequence[str], truth: str, layers: str | Sequence[str]) -> list[str]:
    """Layers that were asked for, checked against what they say they predict."""
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        get_layer(table, name)
        target = measured_target(table, name)
        if target not in (None, truth):
            raise ValueError(f"layer {name!r} predicts {target!r}, not {truth!r}: pass truth={target!r}")
        seen = sorted(set(recorded(table, name).get("fitted_on_own_labels", [])) & set(slides))
        if seen:
            raise ValueError(
                f"layer {name!r} was predicted by a model that was fitted on the labels of slides {seen}: there is "
                "nothing to score; leave them out with slides=, or score a cross-validation"
            )
    return names

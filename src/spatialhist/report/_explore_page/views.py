"""What of a gene can be shown on the spots: measurements, predictions, their bounds and residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist.pl._draw.units import is_predicted, target_of, unit_of
from spatialhist.pl._out_of_distribution import UNIT
from spatialhist.tl._data.renamed import KINDS

if TYPE_CHECKING:
    from anndata import AnnData

MEASURED, PREDICTED, LOWER, UPPER, RESIDUAL, FAR, TISSUE = (
    "measured", "predicted", "lower", "upper", "residual", "far", "tissue",
)  # fmt: skip
BOUNDS = (LOWER, UPPER)
STORED = (MEASURED, PREDICTED, LOWER, UPPER)
"""Kinds that are layers of the table; the page makes the others from them."""


@dataclass(frozen=True)
class View:
    """One choice of what is shown.

    Attributes
    ----------
    kind
        One of those above.
    label
        What the choice is called.
    unit
        Of its numbers.
    layer
        Where they are in the table; empty where the page makes them.
    of
        Layer of predictions that it is about, whose verdict holds for it; empty for measurements.
    target
        Layer of measurements that a residual is taken from.
    """

    kind: str
    label: str
    unit: str = ""
    layer: str = ""
    of: str = ""
    target: str = ""


def choose_layers(table: AnnData, layers: str | Sequence[str] | None) -> list[str]:
    """Layers that are shown: those that are named, or predictions with what they predict and their bounds.

    Raises
    ------
    KeyError
        If the table has no layer of a name; the message lists what there is.
    ValueError
        If none is named.
    """
    if layers is None:
        return _usual_layers(table)
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers=[] names nothing to show: leave it out, or name layers of the table, or 'X'")
    for name in names:
        get_layer(table, name)
    return list(dict.fromkeys(names))


def _usual_layers(table: AnnData) -> list[str]:
    found = layer_names(table)
    made = {name: recorded(table, name).get("kind") for name in found if is_predicted(table, name)}
    fair = [name for name, kind in made.items() if KINDS.get(str(kind), kind) != "baseline"]
    # the layer of a stack stands for those of its models
    whole = [name for name in fair if not name.startswith(_keys.oof(""))]
    predicted = sorted(whole or fair, key=lambda name: name not in (_keys.PREDICTED, _keys.OOF))
    measured = [name for name in {target_of(table, p): None for p in predicted} if name in (*found, "X")]
    if not predicted:
        measured = [_keys.LOG1P if _keys.LOG1P in found or table.X is None else "X"]
        get_layer(table, measured[0])
    bounds = [f"{name}_{bound}" for name in predicted for bound in BOUNDS if f"{name}_{bound}" in found]
    return [*measured, *predicted, *bounds]


def views_of(table: AnnData, layers: Sequence[str]) -> list[View]:
    """What can be shown of these layers, measurements first, and the tissue alone last."""
    stored = sorted((_stored(table, layer) for layer in layers), key=lambda view: STORED.index(view.kind))
    predicted = [view for view in stored if view.kind == PREDICTED]
    made = [_residual(table, view, stored, alone=len(predicted) == 1) for view in predicted]
    far = [View(FAR, "out of distribution", UNIT)] if _keys.OUT_OF_DISTRIBUTION in table.obs else []
    return [*stored, *filter(None, made), *far, View(TISSUE, "tissue only")]


def _stored(table: AnnData, layer: str) -> View:
    of = str(recorded(table, layer).get("of", ""))
    bound = next((b for b in BOUNDS if of and layer == f"{of}_{b}"), None)
    if bound:
        return View(bound, _label(f"{bound} bound", of), unit_of(table, of), layer, of)
    if is_predicted(table, layer):
        return View(PREDICTED, _label(PREDICTED, layer), unit_of(table, layer), layer, layer)
    return View(MEASURED, _label(MEASURED, layer), unit_of(table, layer), layer)


def _label(what: str, layer: str) -> str:
    plain = {_keys.OOF: "out of fold"}.get(layer, layer)
    return what if plain == what else f"{what} ({plain})"


def _residual(table: AnnData, view: View, stored: Sequence[View], *, alone: bool) -> View | None:
    """Measured less predicted, where both are there and in the same unit."""
    truth = next((v for v in stored if v.layer == target_of(table, view.layer)), None)
    if truth is None or truth.unit != view.unit:
        return None
    return View(RESIDUAL, RESIDUAL if alone else _label(RESIDUAL, view.layer), view.unit, "", view.layer, truth.layer)

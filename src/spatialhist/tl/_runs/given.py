"""Predictions of any origin that a user hands in to be scored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import check_key, get_dense_layer, recorded
from spatialhist.tl._data.joined import join
from spatialhist.tl._data.measured_target import check_predicts
from spatialhist.tl._predictors.registry import presets
from spatialhist.tl._scores.scorer import CEILING

if TYPE_CHECKING:
    from anndata import AnnData

STEP = "benchmark"
ORACLES = ("oracle_depth", "oracle_neighbors", CEILING)
Layers = str | Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """Predictions that were handed in.

    Attributes
    ----------
    name
        What they are called in the table of scores.
    values
        ``(spots, genes)``.
    made
        What is recorded of the layer that they were, None for those from elsewhere.
    notes
        What was not found.
    """

    name: str
    values: np.ndarray
    made: dict[str, Any] | None
    notes: list[str]

    @property
    def origin(self) -> str:
        """What is known of its training, in a sentence."""
        made = self.made or {}
        if made.get("step") in ("cross_validate", "stack"):
            return (
                f"{self.name}: out-of-fold predictions of run {made['run_id']}; no model saw the group that it predicts"
            )
        if made.get("step") == "predict":
            return f"{self.name}: predicted by {made['predictor']}, fitted on slides {', '.join(made['fitted_on'])}"
        return (
            f"{self.name}: whether these slides, or others of their patients, were in its training cannot be known from "
            "its predictions; if they were, its scores are too high"
        )


def gather_given(
    table: AnnData, layers: Layers, truth: str, rows: dict[str, np.ndarray], models: Sequence[str]
) -> list[Given]:
    """Layers and joined predictions, by the names that they get in the table of scores."""
    named = layers if isinstance(layers, Mapping) else _by_name([layers] if isinstance(layers, str) else layers, table)
    # these stand in the table of scores in any case
    reserved = {*models, *(p.name for p in presets()), *ORACLES}
    found = []
    for name, source in named.items():
        if name in reserved:
            raise ValueError(f"{name!r} is the name of a model, baseline or reference of the table: choose another one")
        if isinstance(source, str) and source in layer_names(table):
            check_predicts(table, list(rows), truth, [source])
            found.append(Given(name, get_dense_layer(table, source), recorded(table, source), []))
            continue
        check_key(name)
        # a layer that an earlier benchmark joined may be made anew
        if name in layer_names(table) and recorded(table, name).get("step") != STEP:
            raise ValueError(f"layers={{{name!r}: ...}} would replace the layer {name!r}: choose another name")
        joined = join(name, source, table, rows)
        found.append(Given(name, joined.values, None, joined.notes))
    if notes := [note for g in found for note in g.notes]:
        warnings.warn(f"predictions were joined in part: {'; '.join(notes)}", stacklevel=3)
    return found


def _by_name(layers: Sequence[Any], table: AnnData) -> dict[str, Any]:
    """Name layers by themselves, and files by their name."""
    if odd := [one for one in layers if not isinstance(one, str | Path)]:
        raise TypeError(
            f"layers= holds a {type(odd[0]).__name__} without a name: pass a dictionary, layers={{name: ...}}"
        )
    names = [one if one in layer_names(table) else _keys.sanitize(Path(one).name.split(".")[0]) for one in layers]
    if len(set(names)) < len(names):
        raise ValueError(
            f"layers= gives two predictions the same name, {names}: pass a dictionary, layers={{name: ...}}"
        )
    return dict(zip(names, layers, strict=True))

"""Models of parts of a whole: what is said of their scores, and whether their predictions can be made to sum to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.composition import is_composition
from spatialhist._sdata.layers import get_layer
from spatialhist.tl._runs.manifest import CROSS_VALIDATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from spatialhist.tl._runs.trained import Trained

PARTS = "parts"
"""Entry of the units of a run: how many parts the whole has."""


def count_parts(table: AnnData, rows: Mapping[str, np.ndarray], layer: str) -> int:
    """How many targets are parts of a whole in every spot that is trained on; 0 where they are none."""
    values = get_layer(table, layer)
    return values.shape[1] if all(is_composition(values[of_slide]) for of_slide in rows.values()) else 0


def note_of_parts(n: int, layer: str) -> list[str]:
    """What is to be said of the scores of parts of a whole."""
    if not n:
        return []
    return [
        f"the {n} targets in layer {layer!r} are parts of a whole, which sum to 1 in every spot: where one rises others fall, so "
        "that their scores are not independent of each other"
    ]


def check_composition(trained: Trained) -> None:
    """Refuse a model whose predictions are no parts of a whole.

    Raises
    ------
    ValueError
        Saying why.
    """
    if reason := _no_composition(trained):
        raise ValueError(f"composition=True: {reason}")


def _no_composition(trained: Trained) -> str | None:
    manifest, fix = trained.manifest, "or leave out composition="
    n: Any = manifest.units.get(PARTS)
    if n is None:
        return (
            f"the targets in {manifest.layer!r} that {trained.run_folder} was trained on do not sum to 1 in every spot; train on a "
            f"table of sh.pp.obsm_to_table with proportions, {fix}"
        )
    if trained.in_ranks:
        return f"{trained.name!r} predicts ranks, which do not sum to 1; take the cross-validation or a stack of another kind, {fix}"
    panels = manifest.panels if manifest.what == CROSS_VALIDATION else {"all": manifest.genes}
    short = {group: len(panel) for group, panel in panels.items() if len(panel) != n}
    if short:
        group, k = next(iter(short.items()))
        return (
            f"only {k} of {n} parts are in the panel of {group!r} of {trained.run_folder}; train with genes={n}, {fix}"
        )
    return None

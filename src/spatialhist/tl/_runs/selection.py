"""Everything that selected what a run is made and scored on, for its manifest, card and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import recorded
from spatialhist._sdata.spelling import names_in, told
from spatialhist.nn._fingerprint import has_weights
from spatialhist.tl._data.groups import shared_patients
from spatialhist.tl._data.hindsight import hindsight
from spatialhist.tl._data.origin import foreign

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide
    from spatialhist.nn import ColorTexture, FrozenEncoder

FILTERS = ("filter_spots", "select_genes")
"""Steps that leave out spots and genes."""


def selection(
    table: AnnData,
    slides: Sequence[Slide],
    every_slide: Sequence[str],
    rows: Mapping[str, np.ndarray],
    *,
    genes: int | Sequence[str],
    always: str | Sequence[str],
    groups: str,
    assigned: Mapping[str, str],
    encoder: ColorTexture | FrozenEncoder,
    told: Sequence[str] = (),
) -> dict[str, Any]:
    """What was chosen, by whom, before anything was fitted.

    Parameters
    ----------
    table
        With what earlier steps recorded.
    slides
        Those of the run.
    every_slide
        Those of the object.
    rows
        Rows of the table that are used, per slide.
    genes, always, groups
        As the call gave them.
    assigned
        Group per slide.
    encoder
        Of the run; what it says that its weights were fitted on is kept.
    told
        What was warned of.
    """
    return {
        "told": list(told),
        "genes": _chosen(genes),
        "always": [always] if isinstance(always, str) else list(always),
        "groups": groups,
        "patients_in_several_groups": list(shared_patients(slides, dict(assigned))),
        "slides_left_out": [s for s in every_slide if s not in rows],
        "spots_left_out": {s.name: len(s.rows) - len(rows[s.name]) for s in slides if len(s.rows) > len(rows[s.name])},
        "steps": {step: _thresholds(recorded(table, step)) for step in FILTERS if recorded(table, step)},
        **({"pooled": sizes} if (sizes := _pooled(table)) else {}),
        **({"encoder_trained_on": str(said)} if (said := getattr(encoder, "trained_on", None)) else {}),
    }


def _chosen(genes: int | Sequence[str]) -> str:
    if isinstance(genes, int | np.integer):
        return f"{genes} of the highest mean, chosen in each fold on its training slides"
    return f"{1 if isinstance(genes, str) else len(genes)} named by the caller, not chosen inside the folds"


def _pooled(table: AnnData) -> dict[str, str]:
    """Slides whose spots are sums of bins or cells, and the size of these spots."""
    return {
        str(slide): str(made.get("size")) for slide, made in recorded(table, "pool_spots").get("slides", {}).items()
    }


def _thresholds(made: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and words that a step was called with."""
    # the version that ran a step selects nothing
    return {
        key: value for key, value in made.items() if isinstance(value, bool | int | float | str) and key != "version"
    }


def flattering(
    table: AnnData,
    slides: Sequence[Slide],
    rows: Mapping[str, np.ndarray],
    *,
    layer: str,
    columns: np.ndarray,
    genes: int | Sequence[str],
    always: str | Sequence[str],
    encoder: ColorTexture | FrozenEncoder,
) -> list[str]:
    """What may make the scores of a run look better than they are, and is to be said before it is made.

    Parameters
    ----------
    table
        With the layer.
    slides
        Those of the run.
    rows
        Rows of the table that are used, per slide.
    layer
        What is predicted.
    columns
        Genes of all panels, as positions in the table.
    genes, always
        As the call gave them.
    encoder
        Of the run.
    """
    lists = [names for names in (genes, always) if not isinstance(names, int | np.integer)]
    named = [g for names in lists for g in ([names] if isinstance(names, str) else names)]
    n_genes = int(genes) if isinstance(genes, int | np.integer) else None
    origin = foreign(table, slides, rows, layer, columns)
    return [
        *([] if origin is None else [origin]),
        *hindsight(table, rows, layer, named, n_genes),
        *_unknown_training(encoder),
    ]


def _unknown_training(encoder: ColorTexture | FrozenEncoder) -> Iterator[str]:
    """Say that an encoder may have seen the labels: it has weights, and does not tell what they were fitted on."""
    own = getattr(encoder, "encode", None)
    if own is None or getattr(encoder, "trained_on", None):
        return
    if next(encoder.parameters(), None) is not None or has_weights(own):
        name = getattr(own, "__name__", type(own).__name__)
        yield (
            f"encoder {name!r} was made outside this package, and what its weights were fitted on is not recorded: if they "
            "have seen labels of slides that are scored, scores are not held-out. Say what it was: "
            "sh.nn.FrozenEncoder(encoder, trained_on='ImageNet'), or trained_on='nothing'"
        )


def spellings(table: AnnData, table_key: str) -> list[str]:
    """What is to be said of the names of patients."""
    return told(names_in(table, _keys.PATIENT), _keys.PATIENT, table_key)

"""Which values of a gene the ends of the color scale stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist._sdata.cohort import usable_rows
from spatialhist._sdata.layers import dense_columns, get_layer
from spatialhist.pl._draw.units import is_predicted, target_of

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

ColorRange = Literal["measured", "shown", "zscore"]
ENDS = (1, 99)
"""Percentiles at which the colors end."""
Z_ENDS = (-2.5, 2.5)
Z_UNIT = "z-score within the slide"


def slide_values(table: AnnData, slide: Slide, gene: str, layer: str) -> np.ndarray:
    """Values of a slide's spots ``(n,)``; NaN where nothing was measured or predicted."""
    column = table.var_names.get_loc(gene)
    values = dense_columns(get_layer(table, layer), slide.rows, np.array([column])).ravel()
    if is_predicted(table, layer):
        return values
    known = slide.measured & slide.genes_measured[column]
    return np.where(known, values, np.float32(np.nan))


def z_scores(values: np.ndarray) -> np.ndarray:
    """Values in standard deviations from their mean; as they are where they do not vary."""
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    centered, spread = values - known.mean(), known.std()
    return centered / spread if spread > 0 else centered


def color_ends(
    table: AnnData, slides: Sequence[Slide], gene: str, layers: Sequence[str], shown: np.ndarray, how: ColorRange
) -> tuple[float, float]:
    """Ends of the color scale of layers in the same units.

    Parameters
    ----------
    table
        Spots and genes.
    slides
        All of the table.
    gene, layers
        What is drawn.
    shown
        All values that are drawn.
    how
        ``"measured"``: from the measurements of all slides and those the model was trained on, which it left in ``var``; where
        neither is known, as ``"shown"``.
    """
    if how == "zscore":
        return Z_ENDS
    found = _measured(table, slides, gene, layers) if how == "measured" else None
    if found is None:
        known = shown[np.isfinite(shown)]
        found = np.percentile(known, ENDS).tolist() if len(known) else (0.0, 1.0)
    low, high = found
    return low, high if high > low else low + 1


def _measured(table: AnnData, slides: Sequence[Slide], gene: str, layers: Sequence[str]) -> tuple[float, float] | None:
    """From the lower to the higher end of what was measured here and of what models were trained on."""
    targets = dict.fromkeys(target_of(table, layer) for layer in layers)
    here = (np.concatenate([*_of_slides(table, slides, gene, target), np.empty(0)]) for target in targets)
    found = [np.percentile(known, ENDS) for known in here if len(known)]
    found += [ends for layer in layers if (ends := _of_training(table, gene, layer)) is not None]
    return (float(np.min(found)), float(np.max(found))) if found else None


def _of_training(table: AnnData, gene: str, layer: str) -> np.ndarray | None:
    low, high = (table.var.get(f"{layer}_measured_{end}") for end in ("low", "high"))
    if low is None or high is None or not np.isfinite([low[gene], high[gene]]).all():
        return None
    return np.array([low[gene], high[gene]], dtype=float)


def _of_slides(table: AnnData, slides: Sequence[Slide], gene: str, layer: str) -> Iterator[np.ndarray]:
    """Measurements on the spots that are trained on and scored."""
    if table.X is None if layer == "X" else layer not in table.layers:
        return
    column, matrix = table.var_names.get_loc(gene), get_layer(table, layer)
    rows = usable_rows(slide for slide in slides if slide.genes_measured[column])
    for mine in rows.values():
        yield dense_columns(matrix, mine, np.array([column])).ravel()

"""Where the colors of a gene end: where its measurements do, on all slides and in all panels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spatialhist._sdata.cohort import Cohort
from spatialhist.pl._draw.gene_colors import ENDS
from spatialhist.pl._draw.units import target_of
from spatialhist.report._explore_page.values import Layer
from spatialhist.report._explore_page.views import MEASURED, View

Range = tuple[float, float]
BY_TRAINING, BY_MEASUREMENTS, BY_PREDICTIONS = "training measurements", "measured values", "predicted values"


def ranges_of(
    views: Sequence[View], genes: Sequence[str], own: Cohort, training: Cohort | None
) -> tuple[list[Range], str]:
    """Range of every gene for views of one unit, and of what it is the range.

    Parameters
    ----------
    views
        Layers in this unit.
    genes
        Names.
    own
        The table of the page with all its slides.
    training
        A table whose measurements go before, None without one.
    """
    sources = list(_sources(views, genes, own, training))
    found = [_first_range(sources, i) for i in range(len(genes))]
    names = [name for name, _ in found if name]
    return [ends for _, ends in found], max(names, key=names.count, default="")


def _sources(
    views: Sequence[View], genes: Sequence[str], own: Cohort, training: Cohort | None
) -> list[tuple[str, Layer]]:
    """What a range may come from, the best first."""
    found = []
    if training is not None:
        targets = dict.fromkeys(target_of(own.table, view.of or view.layer) for view in views)
        held = [t for t in targets if t == "X" or t in training.table.layers]
        found += [(BY_TRAINING, Layer.of(training, target, genes)) for target in held]
    for view in views:
        name = BY_MEASUREMENTS if view.kind == MEASURED else BY_PREDICTIONS
        found.append((name, Layer.of(own, view.layer, genes)))
    return found


def _first_range(sources: Sequence[tuple[str, Layer]], i: int) -> tuple[str, Range]:
    for name, layer in sources:
        if (ends := color_range(layer.gene(i))) is not None:
            return name, ends
    return "", (0.0, 1.0)


def color_range(values: np.ndarray) -> Range | None:
    """1st and 99th percentile of a gene, None where nothing is known of it.

    A gene that is 0 on nearly all spots has both at 0; there, colors end at its highest value.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = (float(v) for v in np.percentile(known, ENDS))
    high = high if high > low else float(known.max())
    return low, high if high > low else low + 1

"""The pictures of the page, as data addresses."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys, pl
from spatialhist.report._page.headline import headline, layer_of
from spatialhist.tl._scores.metrics import LOWER_BOUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl import CrossValidation

SVG: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}}
WEBP: dict[str, Any] = {"format": "webp", "dpi": 140, "pil_kwargs": {"method": 2}}
"""Of effort 2: 4, as it is otherwise, takes twice as long for two hundredths less."""


@dataclass(frozen=True)
class Picture:
    """An image with what stands below it."""

    source: str
    caption: str


def collect(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> dict[str, Any]:
    """All pictures; None or empty where there is nothing to show."""
    return {
        "scores": _chart(pl.scores(scores), f"Score of every predictor in every held-out group. {LOWER_BOUND}"),
        "alignment": [
            _embed(pl.alignment(cohort.sdata, s, table_key=table_key), f"Slide {s} with its spots")
            for s in cohort.slides
        ],
        "stain": [
            _embed(pl.stain(cohort.sdata, s, table_key=table_key), f"Slide {s} before and after stain normalization")
            for s in cohort.slides
            if _keys.normalized(cohort.slide(s).full_image) in cohort.sdata.images
        ],
        "gene_scores": _gene_scores(scores),
        "calibration": _calibration(cohort, cv, scores, table_key),
        "training": _training(cv),
    }


def _chart(axes: Axes, caption: str) -> Picture:
    return _embed(axes, caption, vector=True)


def _embed(axes: Axes | np.ndarray, caption: str, *, vector: bool = False) -> Picture:
    """Draw a figure into a data address and close it: lines as SVG, tissue as WebP, a fifth of the size of PNG."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure: Any = (axes.flat[0] if isinstance(axes, np.ndarray) else axes).figure
    if len(figure.axes) == 1:
        # what lies outside the axes is found when the figure is written; to lay it out before takes as long again
        figure.set_layout_engine("none")
    buffer = io.BytesIO()
    kind, options = ("svg+xml", SVG) if vector else ("webp", WEBP)
    # without salt and date the same run gives the same file
    with mpl.rc_context({"svg.hashsalt": "spatialhist"}):
        figure.savefig(buffer, bbox_inches="tight", **options)
    plt.close(figure)
    return Picture(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", caption)


def _gene_scores(scores: pd.DataFrame) -> Picture | None:
    if "noise_ceiling" not in set(scores["predictor"]):
        return None
    name = headline(scores)
    axes = pl.gene_scores(scores, predictor=name)
    return _chart(axes, f"Score of every gene, as {name} predicts it, against its noise ceiling. {LOWER_BOUND}")


def _training(cv: CrossValidation) -> Picture | None:
    try:
        axes = pl.training(cv)
    except ValueError:
        return None
    return _chart(axes, "Training loss of the networks, one line per network")


def _calibration(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> Picture | None:
    name = headline(scores)
    layer = layer_of(cohort, name, cv.manifest.layer)
    if layer is None:
        return None
    axes = pl.calibration(cohort.sdata, layer=layer, table_key=table_key)
    return _chart(axes, f"Measured against predicted by {name}")

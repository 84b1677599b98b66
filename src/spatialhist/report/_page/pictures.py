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

DPI = 140
WEBP = {"method": 2}
"""Effort of the encoder: 4, as it is otherwise, takes twice as long for two hundredths less."""


@dataclass(frozen=True)
class Picture:
    """An image with what stands below it."""

    source: str
    caption: str


def collect(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> dict[str, Any]:
    """All pictures; None or empty where there is nothing to show."""
    return {
        "scores": _embed(
            pl.scores(scores), f"Score of every predictor in every held-out group. {LOWER_BOUND}", vector=True
        ),
        "alignment": [_alignment(cohort, s, table_key) for s in cohort.slides],
        "stain": [_stain(cohort, s, table_key) for s in cohort.slides if _is_normalized(cohort, s)],
        "gene_scores": _gene_scores(scores),
        "calibration": _calibration(cohort, cv, scores, table_key),
        "training": _training(cv),
    }


def _embed(axes: Axes | np.ndarray, caption: str, *, vector: bool = False) -> Picture:
    """Draw a figure into a data address and close it: lines as SVG, tissue as WebP, a fifth of the size of PNG."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure: Any = (axes.flat[0] if isinstance(axes, np.ndarray) else axes).figure
    if len(figure.axes) == 1:
        # what lies outside the axes is found when the figure is written; to lay it out before takes as long again
        figure.set_layout_engine("none")
    buffer = io.BytesIO()
    # without salt and date the same run gives the same file
    with mpl.rc_context({"svg.hashsalt": "spatialhist"}):
        options = (
            {"format": "svg", "metadata": {"Date": None}}
            if vector
            else {"format": "webp", "dpi": DPI, "pil_kwargs": WEBP}
        )
        figure.savefig(buffer, bbox_inches="tight", **options)
    plt.close(figure)
    kind = "svg+xml" if vector else "webp"
    return Picture(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", caption)


def _alignment(cohort: Cohort, slide: str, table_key: str) -> Picture:
    return _embed(pl.alignment(cohort.sdata, slide, table_key=table_key), f"Slide {slide} with its spots")


def _is_normalized(cohort: Cohort, slide: str) -> bool:
    return _keys.normalized(cohort.slide(slide).full_image) in cohort.sdata.images


def _stain(cohort: Cohort, slide: str, table_key: str) -> Picture:
    axes = pl.stain(cohort.sdata, slide, table_key=table_key)
    return _embed(axes, f"Slide {slide} before and after stain normalization")


def _gene_scores(scores: pd.DataFrame) -> Picture | None:
    if "noise_ceiling" not in set(scores["predictor"]):
        return None
    name = headline(scores)
    axes = pl.gene_scores(scores, predictor=name)
    return _embed(
        axes, f"Score of every gene, as {name} predicts it, against its noise ceiling. {LOWER_BOUND}", vector=True
    )


def _training(cv: CrossValidation) -> Picture | None:
    try:
        axes = pl.training(cv)
    except ValueError:
        return None
    return _embed(axes, "Training loss of the networks, one line per network", vector=True)


def _calibration(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> Picture | None:
    name = headline(scores)
    layer = layer_of(cohort, name, cv.manifest.layer)
    if layer is None:
        return None
    axes = pl.calibration(cohort.sdata, layer=layer, table_key=table_key)
    return _embed(axes, f"Measured against predicted by {name}", vector=True)

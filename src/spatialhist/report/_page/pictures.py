"""The pictures of the page, as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys, pl
from spatialhist.report._page.headline import gene_means, gene_means_beyond_depth, headline, layer_of
from spatialhist.tl._scores.metrics import LOWER_BOUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl import CrossValidation

N_GENES = 3
"""Best and worst genes on tissue."""
N_SLIDES = 2
"""Slides on which a gene is shown."""
DPI = 140


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
        "genes": _genes(cohort, cv, scores, table_key),
        "calibration": _calibration(cohort, cv, scores, table_key),
        "training": _training(cv),
    }


def _embed(axes: Axes | np.ndarray, caption: str, *, vector: bool = False) -> Picture:
    """Draw a figure into a data address and close it: lines as SVG, tissue as WebP, a fifth of the size of PNG."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure: Any = (axes.flat[0] if isinstance(axes, np.ndarray) else axes).figure
    buffer = io.BytesIO()
    # without salt and date the same run gives the same file
    with mpl.rc_context({"svg.hashsalt": "spatialhist"}):
        options = {"format": "svg", "metadata": {"Date": None}} if vector else {"format": "webp", "dpi": DPI}
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


def _genes(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> dict[str, list[Picture]]:
    """Best and worst genes of the predictor in the headline, measured beside predicted."""
    name, truth = headline(scores), cv.manifest.layer
    layer = layer_of(cohort, name, truth)
    if layer is None:
        return {}
    means, beyond = gene_means(scores, name), gene_means_beyond_depth(scores, name)
    chosen = {"best": means.index[:N_GENES], "worst": means.index[N_GENES:][::-1][:N_GENES]}
    return {
        rank: [
            _embed(
                pl.genes(cohort.sdata, gene, slides=slide, layers=(truth, layer), table_key=table_key),
                f"{gene} on {slide}; over all slides r = {means[gene]:.2f}{_beyond(beyond, gene)}",
            )
            for gene in found
            for slide in _one_slide_a_group(cv)
        ]
        for rank, found in chosen.items()
        if len(found)
    }


def _beyond(means: pd.Series, gene: str) -> str:
    return f", beyond depth {means[gene]:.2f}" if gene in means else ""


def _calibration(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame, table_key: str) -> Picture | None:
    name = headline(scores)
    layer = layer_of(cohort, name, cv.manifest.layer)
    if layer is None:
        return None
    axes = pl.calibration(cohort.sdata, layer=layer, table_key=table_key)
    return _embed(axes, f"Measured against predicted by {name}", vector=True)


def _one_slide_a_group(cv: CrossValidation) -> Iterator[str]:
    """First slide of the first groups: not chosen by how well it went."""
    first: dict[str, str] = {}
    for slide, group in cv.manifest.group_of.items():
        first.setdefault(group, slide)
    yield from list(first.values())[:N_SLIDES]

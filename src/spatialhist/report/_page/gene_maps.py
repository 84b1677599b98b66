"""Best and worst genes on tissue: measured beside predicted, in the units of the layer and as z-scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist.pl._draw.gene_colors import Z_ENDS, Z_UNIT, color_ends, slide_values, z_scores
from spatialhist.pl._draw.units import unit_of
from spatialhist.report._page.headline import gene_means, headline, layer_of
from spatialhist.report._page.maps import Map, Tissue, colors, make_map, make_tissue
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE

if TYPE_CHECKING:
    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl import CrossValidation

N_GENES = 3
"""Best and worst genes on tissue."""
N_SLIDES = 2
"""Slides on which a gene is shown."""
N_STOPS = 9
"""Colors that a color bar is made of."""


@dataclass(frozen=True)
class Pair:
    """Measured beside predicted in one color scale."""

    unit: str
    low: float
    high: float
    maps: list[Map]


@dataclass(frozen=True)
class OnSlide:
    """A gene on a slide, with what its prediction scores there, in words."""

    tissue: Tissue
    scored: str
    pairs: list[Pair]


@dataclass(frozen=True)
class Gene:
    """A gene on some slides, with its mean scores over all in words."""

    name: str
    scored: str
    slides: list[OnSlide]


def collect(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame) -> dict[str, Any]:
    """Genes by rank, the slides they are shown on, and the colors of the scale; no gene where nothing was predicted."""
    name, truth = headline(scores), cv.manifest.layer
    layer = layer_of(cohort, name, truth)
    if layer is None:
        return {"tissues": [], "genes": {}, "stops": []}
    tissues = [make_tissue(cohort.slide(s), f"tissue{i}") for i, s in enumerate(_one_slide_a_group(cv))]
    means, beyond = gene_means(scores, name), gene_means(scores, name, BEYOND_DEPTH)
    mine = scores[(scores["predictor"] == name) & scores["metric"].isin([HEADLINE, BEYOND_DEPTH])]
    genes = {
        rank: [
            Gene(
                gene, _words(means.get(gene), beyond.get(gene)), _on_slides(cohort, tissues, gene, (truth, layer), mine)
            )
            for gene in found
        ]
        for rank, found in choose(list(means.index)).items()
    }
    return {"tissues": tissues, "genes": genes, "stops": colors(N_STOPS)}


def choose(ranked: list[str]) -> dict[str, list[str]]:
    """First genes, and the last of the others, the last one first; a rank without genes is left out."""
    best, rest = ranked[:N_GENES], ranked[N_GENES:]
    return {rank: found for rank, found in {"best": best, "worst": rest[::-1][:N_GENES]}.items() if found}


def _one_slide_a_group(cv: CrossValidation) -> Iterator[str]:
    """First slide of the first groups: not chosen by how well it went."""
    first: dict[str, str] = {}
    for slide, group in cv.manifest.group_of.items():
        first.setdefault(group, slide)
    yield from list(first.values())[:N_SLIDES]


def _words(r: float | None, beyond_depth: float | None) -> str:
    """Both headlines, as far as they are known; no zero with a minus."""
    said = [(r, "r ="), (beyond_depth, "beyond depth")]
    return ", ".join(f"{what} {value:z.2f}" for value, what in said if value is not None and np.isfinite(value))


def _on_slides(
    cohort: Cohort, tissues: list[Tissue], gene: str, layers: tuple[str, str], mine: pd.DataFrame
) -> list[OnSlide]:
    """A gene on every slide; colors span its measurements on all slides of the object."""
    table, every = cohort.table, cohort.every_slide()
    own = mine[mine["target"] == gene].set_index(["slide", "metric"])["value"]
    drawn = {t.name: [slide_values(table, cohort.slide(t.name), gene, layer) for layer in layers] for t in tissues}
    shown = np.concatenate([v for pair in drawn.values() for v in pair])
    ends = color_ends(table, every, gene, layers, shown, "measured")
    unit = unit_of(table, layers[0])
    return [
        OnSlide(
            t,
            _words(own.get((t.name, HEADLINE)), own.get((t.name, BEYOND_DEPTH))),
            [_pair(t, unit, ends, drawn[t.name]), _pair(t, Z_UNIT, Z_ENDS, [z_scores(v) for v in drawn[t.name]])],
        )
        for t in tissues
    ]


def _pair(tissue: Tissue, unit: str, ends: tuple[float, float], drawn: list[np.ndarray]) -> Pair:
    predicted = "predicted" if np.isfinite(drawn[1]).any() else "not modeled in this fold"
    words = ", z-scores" if unit == Z_UNIT else ""
    titles = (f"measured{words}", f"{predicted}{words}")
    maps = [make_map(title, tissue.places, v, ends) for title, v in zip(titles, drawn, strict=True)]
    return Pair(unit, *ends, maps)

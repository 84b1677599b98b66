"""What the page holds: genes, views and color ranges, and of every slide its place, image and values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.text import printable
from spatialhist._sdata.cohort import Cohort
from spatialhist._sdata.slide import Slide
from spatialhist._sdata.values import as_numbers
from spatialhist.pl._out_of_distribution import FAR as FAR_ABOVE
from spatialhist.report._explore_page.codes import as_text, choose_bits, encode
from spatialhist.report._explore_page.figures import palettes
from spatialhist.report._explore_page.genes import UNKNOWN, Rating
from spatialhist.report._explore_page.picture import place
from spatialhist.report._explore_page.ranges import Range, ranges_of
from spatialhist.report._explore_page.values import Layer
from spatialhist.report._explore_page.views import FAR, STORED, View

MOST_SPOTS = 20_000
"""Of a slide that are shown as circles; values of more are shown as an image."""
MOST_NUMBERS = 200_000_000
"""On a page that a browser opens."""


@dataclass(frozen=True)
class Content:
    """What is shown of a table.

    Attributes
    ----------
    shown
        Table and slides of the page.
    every
        The same table with all its slides: the colors of a gene have one range on all of them.
    training
        Another table, whose measurements give this range; None for the table's own.
    genes, views
        What can be chosen.
    ratings
        Of genes, by layer of predictions.
    image_px
        Longer side of the H&E images.
    """

    shown: Cohort
    every: Cohort
    training: Cohort | None
    genes: list[str]
    views: list[View]
    ratings: Mapping[str, Mapping[str, Rating]]
    image_px: int

    @property
    def stored(self) -> list[View]:
        """Views that are layers."""
        return [view for view in self.views if view.kind in STORED]

    @property
    def spots(self) -> int:
        """Of all slides."""
        return sum(len(slide.rows) for slide in self.shown.every_slide())

    @property
    def numbers(self) -> int:
        """How many values the page holds."""
        return self.spots * len(self.genes) * len(self.stored)

    @property
    def bits(self) -> int:
        """Of every value."""
        return choose_bits(self.numbers)

    def check_size(self) -> None:
        """Refuse a page that no browser would open.

        Raises
        ------
        ValueError
            With what would make it smaller.
        """
        if self.numbers > MOST_NUMBERS:
            raise ValueError(
                f"{self.spots:,} spots, {len(self.genes)} genes and {len(self.stored)} layers are {self.numbers:,} numbers, "
                f"more than the {MOST_NUMBERS:,} that a page may hold: show fewer genes, slides or layers"
            )

    def facts(self) -> dict[str, Any]:
        """What holds for all slides."""
        ranges = self._ranges()
        return {
            "genes": self.genes,
            "views": [vars(view) for view in self.views],
            "ratings": {layer: [rated.get(g, UNKNOWN) for g in self.genes] for layer, rated in self.ratings.items()},
            "ranges": {unit: ends for unit, (ends, _) in ranges.items()},
            "sources": {unit: source for unit, (_, source) in ranges.items()},
            "bits": self.bits,
            "palettes": palettes(),
            "far": FAR_ABOVE,
            "slides": self.shown.slides,
        }

    def _ranges(self) -> dict[str, tuple[list[Range], str]]:
        """Range of every gene, and of what it is the range, by unit."""
        views: dict[str, list[View]] = {}
        for view in self.stored:
            views.setdefault(view.unit, []).append(view)
        return {unit: ranges_of(alike, self.genes, self.every, self.training) for unit, alike in views.items()}

    def slides(self) -> Iterator[dict[str, Any]]:
        """One slide after the other."""
        layers = {view.layer: Layer.of(self.shown, view.layer, self.genes) for view in self.stored}
        for slide in self.shown.every_slide():
            yield self._where(slide) | {
                "values": {
                    name: [encode(layer.gene(i)[slide.rows], self.bits) for i in range(len(self.genes))]
                    for name, layer in layers.items()
                },
                "far": self._far(slide),
            }

    def _where(self, slide: Slide) -> dict[str, Any]:
        """Names of the spots, where they lie, and what lies under them."""
        at = place(slide, self.image_px)
        names = [printable(name) for name in self.shown.table.obs_names[slide.rows]]
        return {
            "name": slide.name,
            "spots": len(names),
            "ids": as_text(json.dumps(names).encode()),
            "x": encode(at.xy[:, 0], 16),
            "y": encode(at.xy[:, 1], 16),
            "physical": at.physical,
            "spacing": at.spacing,
            "radius": at.radius,
            "raster": len(names) > MOST_SPOTS,
            "picture": at.picture,
        }

    def _far(self, slide: Slide) -> list[Any] | None:
        """Out-of-distribution score of its spots; None without one."""
        if all(view.kind != FAR for view in self.views):
            return None
        scores: np.ndarray = as_numbers(self.shown.table.obs[_keys.OUT_OF_DISTRIBUTION])
        return encode(scores[slide.rows], self.bits)

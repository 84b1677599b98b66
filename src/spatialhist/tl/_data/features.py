"""From pixels to what models look at: features around points, and statistics over a slide's own tissue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.geometry import apply
from spatialhist.tiles._features.cache import view_features
from spatialhist.tiles._features.encode import PIXELS, encoding_reader
from spatialhist.tiles._features.engines import Engine
from spatialhist.tiles._reading.view import TileView
from spatialhist.tl._data.context import Context
from spatialhist.tl._data.samples import Samples, row_parts, standardize
from spatialhist.tl._data.spot_pixels import SpotPixels

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._data.design import Design

Encoder = Callable[..., Any] | Engine

MAX_TISSUE_POINTS = 256
"""Points of a slide's tissue that mean and deviation are taken on, and that cost as much as so many spots."""
MAX_GRID_POINTS = 4096
"""Points of a slide's tissue that are encoded for the context; on more tissue they lie farther apart."""
N_AVERAGED = 2
"""Features of the first fields of view are averaged over the context; the wider ones show it themselves."""
SPACING = 2 / 3
"""Of the points whose features are averaged, in the smallest radius."""


@dataclass(frozen=True)
class View:
    """The pixels of a slide as a design looks at them; other processes read an image in a store themselves.

    Points are given in full-resolution pixels of the slide's H&E image.

    Attributes
    ----------
    slide, patient
        Ids; the patient is ``""`` where unknown.
    extents
        Tiles of the encoder, one size per field of view.
    tile
        Those of networks that learn from pixels, None where there are none.
    to_image
        3x3 matrix from the H&E image to the one that is looked at, None where they share their pixels.
    disc
        Side of the pixels over which features of a spot are averaged, and radius of a spot, in pixels of the H&E image; None
        where a spot is looked at from its center alone.
    """

    slide: str
    patient: str
    extents: tuple[TileView, ...]
    tile: TileView | None
    to_image: np.ndarray | None
    disc: tuple[float, float] | None = None

    @classmethod
    def of(cls, slide: Slide, design: Design, *, tiles: bool = False) -> View:
        """Look at a slide; ``tiles`` says whether a network looks at its pixels."""
        specs = [*design.specs, *([design.tile_spec] if tiles else [])]
        views, n = TileView.of(slide, specs, design.image), len(design.extents)
        full, image = slide.image().to_slide, slide.image(design.image).to_slide
        move = None if np.array_equal(full, image) else np.linalg.inv(image) @ full
        disc = None
        if design.spot_resolution is not None:
            disc = slide.px(design.spot_resolution), slide.spot_diameter_px / 2 / slide.image().px
        return cls(slide.name, slide.patient or "", views[:n], views[n] if tiles else None, move, disc)

    @property
    def sizes(self) -> tuple[tuple[float, ...], float | None]:
        """Sides of the tiles of encoder and networks in full-resolution pixels of the image."""
        return tuple(v.extent_px for v in self.extents), None if self.tile is None else self.tile.extent_px

    def encode(
        self, points: np.ndarray, encoder: Encoder, cache: Path | None = None, *, n: int | None = None
    ) -> list[np.ndarray]:
        """Features ``(n, F)`` around points, one array per field of view, or of the first ``n``."""
        xy = self._moved(points)
        return [view_features(view, encoder, xy, folder=cache) for view in self.extents[:n]]

    def encode_spots(
        self, spots: np.ndarray, encoder: Encoder, cache: Path | None = None, *, others: np.ndarray | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Features ``(n, F)`` of spots, and around other points, encoded in one pass over the pixels."""
        rest = np.empty((0, 2)) if others is None else others
        pixels = None if self.disc is None else SpotPixels.under(spots, *self.disc)
        points = spots if pixels is None else pixels.points
        both = self.encode(np.concatenate([points, rest]), encoder, cache)
        own, found = [b[: len(points)] for b in both], [b[len(points) :] for b in both]
        return own if pixels is None else [pixels.average(b) for b in own], found

    def tiles(self, points: np.ndarray) -> np.ndarray:
        """Tiles ``(n, 3, pixels, pixels)`` uint8 around points.

        Raises
        ------
        ValueError
            If no network looks at pixels.
        """
        if self.tile is None:
            raise ValueError(f"slide {self.slide!r} was opened for features alone: open it for tiles, too")
        reader = encoding_reader(self.tile.source)
        return reader.read(self._moved(points), self.tile.extent_px, self.tile.spec.pixels)

    def _moved(self, points: np.ndarray) -> np.ndarray:
        return points if self.to_image is None else apply(self.to_image, points)


@dataclass(frozen=True)
class Tissue:
    """A slide's own tissue, whatever its spots.

    Attributes
    ----------
    statistics
        Mean and deviation ``(2, F)`` of the features per field of view, then per average over the context, which has those
        of its field of view.
    context
        What is averaged around points.
    """

    statistics: list[np.ndarray]
    context: Context


@dataclass(frozen=True)
class SlideFeatures:
    """What models look at, at some points of a slide.

    Attributes
    ----------
    view
        The slide.
    tissue
        Of the slide.
    points
        ``(n, 2)`` in full-resolution pixels of its H&E image.
    position
        The same, relative to the center of the slide's spots, in spot spacings.
    spots
        ``(n, F)`` around these, per field of view.
    """

    view: View
    tissue: Tissue
    points: np.ndarray
    position: np.ndarray
    spots: Sequence[np.ndarray]

    def blocks(self, rows: slice = slice(None)) -> list[np.ndarray]:
        """Features ``(n, F)`` of some of the points, per field of view, then per average over their context."""
        return [*(b[rows] for b in self.spots), *self.tissue.context.around(self.points[rows])]

    def parts(self) -> Iterator[Samples]:
        """Samples without targets, part by part."""
        return (self.samples(rows) for rows in row_parts(len(self.points)))

    def samples(self, rows: slice = slice(None)) -> Samples:
        """Samples without targets at some of the points."""
        blocks, position = self.blocks(rows), self.position[rows]
        return Samples(
            slide=np.full(len(position), self.view.slide),
            group=np.full(len(position), ""),
            patient=np.full(len(position), self.view.patient),
            position=position,
            features=tuple(blocks),
            standardized=tuple(standardize(f, *s) for f, s in zip(blocks, self.tissue.statistics, strict=True)),
            tiles=None if self.view.tile is None else self.view.tiles(self.points[rows]),
            n_own=len(self.spots),
        )


def slide_features(
    slide: Slide, view: View, design: Design, encoder: Encoder, cache: Path | None = None, *, rows: Any = slice(None)
) -> SlideFeatures:
    """Encode a slide around some of its spots and over its tissue, each field of view in one pass over the pixels.

    Parameters
    ----------
    slide
        The slide.
    view
        Of the slide.
    design
        What models look at.
    encoder
        From uint8 batch to features.
    cache
        Folder for features, None to keep none.
    rows
        Positions among the slide's spots.
    """
    centers = slide.spots[rows]
    # spots and tissue in one call, so that a part of the image is read once for both
    spots, encoded = view.encode_spots(centers, encoder, cache, others=slide_tissue(slide))
    tissue = _tissue(encoded, _context(slide, view, design, encoder, cache))
    return SlideFeatures(view, tissue, centers, slide_position(slide)[rows], spots)


def slide_colors(slide: Slide, design: Design, encoder: Encoder, cache: Path | None, *, rows: Any) -> np.ndarray:
    """Encode some spots of a slide ``(n, F)`` in the field of view that baselines of a single one see."""
    # color and texture take tiles of this side, also where the run's own encoder takes another
    single = replace(design, extents=(design.extents[design.single_scale],), pixels=PIXELS)
    return View.of(slide, single).encode(slide.spots[rows], encoder, cache)[0]


def own_tissue(slide: Slide, view: View, design: Design, encoder: Encoder, cache: Path | None = None) -> Tissue:
    """Encode the tissue of a slide alone, where its points come later."""
    encoded = view.encode(slide_tissue(slide), encoder, cache)
    return _tissue(encoded, _context(slide, view, design, encoder, cache))


def _tissue(encoded: Sequence[np.ndarray], around: Context) -> Tissue:
    # sums over many points lose digits in single precision
    statistics = [_statistics(e.astype(np.float64)) for e in encoded]
    repeated = statistics[: len(around.features)] * len(around.radii)
    return Tissue([*statistics, *repeated], around)


def _statistics(tissue: np.ndarray) -> np.ndarray:
    return np.stack([tissue.mean(axis=0), tissue.std(axis=0)]).astype(np.float32)


def _context(slide: Slide, view: View, design: Design, encoder: Encoder, cache: Path | None = None) -> Context:
    """Encode a grid over a slide's tissue, for averages within the radii of the design."""
    radii = tuple(slide.px(radius) for radius in design.radii)
    points = context_points(slide, design)
    return Context(points, view.encode(points, encoder, cache, n=N_AVERAGED) if radii else [], radii)


def context_points(slide: Slide, design: Design) -> np.ndarray:
    """Points of a grid over a slide's tissue ``(n, 2)``, fine enough for the radii of the design; none without radii."""
    radii = [slide.px(radius) for radius in design.radii]
    if not radii:
        return np.empty((0, 2))
    mask, factors = slide.tissue
    wanted = mask.sum() * np.prod(factors) / (SPACING * min(radii)) ** 2
    return tissue_points(mask, factors, int(np.clip(wanted, 1, MAX_GRID_POINTS)))


def tissue_points(mask: np.ndarray, factors: tuple[float, float], limit: int = MAX_TISSUE_POINTS) -> np.ndarray:
    """Points of a square grid that lie on tissue, ``(n, 2)`` as (x, y) in full-resolution pixels.

    The grid hangs on the image, not on spots, so that statistics taken there are the same for whichever spots are
    predicted. It is as fine as ``limit`` points allow.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError(
            "the tissue mask is empty: look at it with sh.pl.alignment, and make another one with "
            "sh.pp.mask_background(sdata, method='otsu')"
        )
    # an estimate for solid tissue: more points of the grid may lie on scattered pieces
    step = max(1, int(np.sqrt(mask.sum() / limit)))
    while True:
        y, x = np.nonzero(mask[step // 2 :: step, step // 2 :: step])
        if len(x) <= limit:
            break
        step += 1
    # specks that the grid steps over: mean and deviation need at least one point
    if not len(x):
        y, x = (v[:1] for v in np.nonzero(mask))
        step = 1
    points = np.column_stack([x, y]) * step + step // 2 + 0.5
    return points * np.asarray(factors)


def slide_tissue(slide: Slide) -> np.ndarray:
    """Points of :func:`tissue_points` of a slide.

    Raises
    ------
    ValueError
        Naming the slide, if its mask is empty.
    """
    try:
        return tissue_points(*slide.tissue)
    except ValueError as error:
        raise ValueError(f"slide {slide.name!r}: {error}") from error


def check_slide(slide: Slide, design: Design) -> None:
    """Refuse a slide without image, mask, scale or positions, before hours are spent on the others.

    Raises
    ------
    KeyError, ValueError
        If an image, a mask or a scale is missing; the message names the call that adds it.
    """
    slide.image(design.image)
    slide_tissue(slide)
    for extent in (*design.extents, *design.radii, *design.spot_pixels):
        slide.scale.px(extent, slide.name)
    slide.spots  # noqa: B018, a spot without a circle is refused


def slide_position(slide: Slide) -> np.ndarray:
    """Positions of a slide's spots relative to their center, in spot spacings."""
    pitch = slide.scale.pitch_px
    return relative_position(slide.spots, pitch and pitch / slide.image().px)


def relative_position(centers: np.ndarray, pitch: float | None) -> np.ndarray:
    """Positions relative to the center of the points, in spot spacings."""
    return (centers - centers.mean(axis=0)) / (pitch or 1.0)

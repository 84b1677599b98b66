"""One slide of an object: whatever a step asks of it, answered once and in one place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.alignment import image_points, original_points
from spatialhist._sdata.coordinates import length_factor
from spatialhist._sdata.flags import nullable_flags, settled_flags
from spatialhist._sdata.geometry import (
    apply,
    areas_of_spots,
    check_on_image,
    inside,
    positions_of,
    spot_centers,
    spot_outlines,
)
from spatialhist._sdata.images import affine, image_key, pyramid, tissue_mask
from spatialhist._sdata.lattice import covered_area
from spatialhist._sdata.own_images import full_image
from spatialhist._sdata.pixel_hash import hash_pixels
from spatialhist._sdata.scale import Scale, scale, slide_info, stain_target
from spatialhist._sdata.spelling import names_in, one_spelling
from spatialhist._sdata.values import as_words, word

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.images import Pyramid


@dataclass(frozen=True, eq=False)
class SlideImage:
    """An image of a slide.

    Attributes
    ----------
    pyramid
        Its levels, read when they are indexed.
    """

    pyramid: Pyramid
    _element: Any = field(repr=False)
    _slide: str = field(repr=False)

    @cached_property
    def to_slide(self) -> np.ndarray:
        """3x3 matrix from full-resolution pixels of the image to those of the slide."""
        return affine(self._element, self._slide, f"sdata.images[{self.pyramid.key!r}]")

    @property
    def px(self) -> float:
        """Pixels of the slide a pixel of the image: more than 1 for a thumbnail."""
        return length_factor(self.to_slide)

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """Points of the slide in full-resolution pixels of the image."""
        return apply(np.linalg.inv(self.to_slide), xy)


@dataclass(frozen=True, eq=False)
class Slide:
    """A slide, made by :meth:`spatialhist._sdata.cohort.Cohort.slide`.

    Attributes
    ----------
    name
        Slide id.
    table_key
        Name of the table of its spots.
    """

    name: str
    _sdata: SpatialData = field(repr=False)
    _table: AnnData = field(repr=False)
    table_key: str = field(default=_keys.TABLE, repr=False)
    _laid: tuple[np.ndarray, Scale] | None = field(default=None, repr=False)
    _images: dict[str | None, SlideImage] = field(default_factory=dict, repr=False)

    @cached_property
    def rows(self) -> np.ndarray:
        """Row numbers of the slide's spots in the table."""
        return np.flatnonzero((self._table.obs[_keys.REGION] == self.name).to_numpy(dtype=bool))

    @property
    def measured(self) -> np.ndarray:
        """Boolean per spot: it carries measurements."""
        return is_measured(self._table, self.table_key)[self.rows]

    @property
    def usable(self) -> np.ndarray:
        """Rows that are trained on and scored: measured, and not marked by :func:`spatialhist.pp.filter_spots`.

        Spots of a slide that was never filtered are used.
        """
        good = self.measured
        if _keys.SPOT_QC in self._table.obs:
            found = self._table.obs[_keys.SPOT_QC].iloc[self.rows]
            good &= (found.isna() | (found.astype(object).map(word) == _keys.QC_REASONS[-1])).to_numpy(dtype=bool)
        return self.rows[good]

    @property
    def in_tissue(self) -> np.ndarray:
        """Boolean per spot: the reader found it on tissue; all where it does not say of the slide."""
        if _keys.IN_TISSUE not in self._table.obs:
            return np.ones(len(self.rows), dtype=bool)
        column, name = self._table.obs[_keys.IN_TISSUE], f"sdata[{self.table_key!r}].obs[{_keys.IN_TISSUE!r}]"
        # a slide joined to others that have the column has only gaps there
        if nullable_flags(column.iloc[self.rows], name).isna().all():
            return np.ones(len(self.rows), dtype=bool)
        return settled_flags(column, name, self.rows, gaps_are=True)

    @property
    def genes_measured(self) -> np.ndarray:
        """Boolean per gene: the slide's data holds this gene (genes are outer-joined between slides)."""
        flags = self._table.varm.get(_keys.MEASURED)
        if flags is None:
            return np.ones(self._table.n_vars, dtype=bool)
        name = f"sdata[{self.table_key!r}].varm[{_keys.MEASURED!r}]"
        if not hasattr(flags, "columns"):
            raise ValueError(
                f"{name} is a {type(flags).__name__} whose columns name no slides: make it a data frame of True and "
                f"False with a column a slide, or, where every slide measured every gene, delete it: del {name}"
            )
        if self.name not in flags.columns:
            return np.ones(self._table.n_vars, dtype=bool)
        return settled_flags(flags[self.name], f"{name}[{self.name!r}]")

    @cached_property
    def patient(self) -> str | None:
        """Patient of the slide, None where it is not known; in the first spelling of the table.

        Raises
        ------
        ValueError
            If its spots name several patients.
        """
        if not len(self.rows):
            return slide_info(self._sdata, self.name).get(_keys.PATIENT)
        if _keys.PATIENT not in self._table.obs:
            return None
        called = one_spelling(names_in(self._table, _keys.PATIENT))
        spelled = as_words(self._table.obs[_keys.PATIENT].iloc[self.rows]).dropna().unique()
        names = list(dict.fromkeys(called[name] for name in spelled))
        if len(names) > 1:
            raise ValueError(
                f"slide {self.name!r} names several patients in obs['patient']: {sorted(names)}. A slide is of one patient: "
                "cut it, making one of each patient's part of the image with sh.io.from_arrays(image, xy, counts, slide=..., "
                "patient=...), and join them with sh.io.concat(parts)"
            )
        return names[0] if len(names) else None

    @property
    def scale(self) -> Scale:
        """Micrometers per pixel, distance and diameter of spots, in pixels of the slide."""
        return scale(self._sdata, self.name) if self._laid is None else self._laid[1]

    @property
    def spot_diameter_px(self) -> float:
        """Diameter of a spot, in pixels of the slide."""
        return self.scale.diameter(self.name)

    @cached_property
    def spots(self) -> np.ndarray:
        """Spot centers ``(n, 2)`` in full-resolution pixels of the H&E image, placed by their footprint alone."""
        return image_points(self._sdata, self._table, self.name) if self._laid is None else self._laid[0]

    def with_spots(self, points: np.ndarray, spots: Scale) -> Slide:
        """The slide with other spots, of another distance and size, laid on its H&E image."""
        return replace(self, _laid=(points, spots))

    @property
    def xy(self) -> np.ndarray:
        """Spot centers ``(n, 2)`` as they are placed, in the slide's coordinate system."""
        return spot_centers(self._sdata, self._table, self.name)

    def outlines(self, which: str | None = None) -> np.ndarray:
        """Outlines of spots ``(n,)`` as polygons, as they are placed, in full-resolution pixels of an image."""
        import shapely

        outlines = spot_outlines(self._sdata, self._table, self.name)
        return np.asarray(shapely.transform(outlines, self.image(which).pixels))

    @property
    def known_xy(self) -> np.ndarray:
        """Spot centers ``(n, 2)`` in the slide's coordinate system, every one known.

        Raises
        ------
        ValueError
            If a spot has no position.
        """
        xy = self.xy
        lost = int((~np.isfinite(xy).all(axis=1)).sum())
        if lost:
            raise ValueError(
                f"{lost} spots of slide {self.name!r} have no position: drop them with "
                f"sh.pp.filter_spots(sdata, min_counts=0, min_tissue=0, table_key={self.table_key!r})"
            )
        return xy

    @property
    def spot_areas(self) -> np.ndarray:
        """Area of every spot in square pixels of the slide: of its circle, square or polygon.

        Bins are often held as the circles inside them: circles that touch have the area of the bin.
        """
        areas = areas_of_spots(self._sdata, self.name)
        found = areas.to_numpy()[positions_of(self._table.obs[_keys.INSTANCE].iloc[self.rows], areas.index)]
        diameter = self.spot_diameter_px
        # only circles of one size can be bins: outlines of cells have areas of their own
        alike = np.allclose(found, np.pi / 4 * diameter**2, rtol=0.01)
        bin_area = covered_area(self.xy, diameter) if alike else None
        return found if bin_area is None else np.full_like(found, bin_area)

    def centers(self, which: str | None = None) -> np.ndarray:
        """Spot centers ``(n, 2)`` as they are placed, in full-resolution pixels of an image."""
        image = self.image(which)
        xy = image.pixels(self.xy)
        check_on_image(self._sdata, self._table, self.name, image.pyramid.key, xy)
        return xy

    @property
    def original_spots(self) -> np.ndarray:
        """Original spot coordinates ``(n, 2)``, before any registration, in full-resolution pixels of the H&E image."""
        return original_points(self._sdata, self._table, self.name)

    @cached_property
    def full_image(self) -> str:
        """Key of the H&E image."""
        return full_image(self._sdata, self.name)

    def image(self, which: str | None = None) -> SlideImage:
        """The H&E image, or another one, as :func:`spatialhist._sdata.images.image_key` takes it."""
        if which not in self._images:
            key = image_key(self._sdata, self.name, which)
            self._images[which] = SlideImage(pyramid(self._sdata, key), self._sdata.images[key], self.name)
        return self._images[which]

    def px(self, length: tuple[str, float], which: str | None = None) -> float:
        """A length in full-resolution pixels of an image."""
        return self.scale.px(length, self.name) / self.image(which).px

    @property
    def has_image(self) -> bool:
        """Whether there is an H&E image."""
        return self.full_image in self._sdata.images

    @property
    def has_tissue(self) -> bool:
        """Whether the H&E image has a tissue mask."""
        return self.has_image and _keys.tissue(self.full_image) in self._sdata.labels

    @property
    def tissue(self) -> tuple[np.ndarray, tuple[float, float]]:
        """Boolean tissue mask ``(y, x)`` and full-resolution pixels of the H&E image per mask pixel, ``(x, y)``.

        It is read each time: masks of many slides would fill the memory.
        """
        return tissue_mask(self._sdata, self.name)

    def inside(self, points: np.ndarray, region: str) -> np.ndarray:
        """Boolean per point of the H&E image: it lies in one of the polygons of an element."""
        return inside(self._sdata, self.name, self.image().to_slide, points, region)

    @cached_property
    def pixel_hash(self) -> str:
        """Hash of pixels of the H&E image; ``""`` without one."""
        key = self.full_image
        return hash_pixels(pyramid(self._sdata, key).levels[0]) if key in self._sdata.images else ""

    def stain_target(self, which: str) -> dict[str, Any] | None:
        """What an image was recolored to, as the manifest of a run keeps it; None for the H&E image itself."""
        return stain_target(self._sdata, self.name, which)


def is_measured(table: AnnData, table_key: str = _keys.TABLE) -> np.ndarray:
    """Boolean per row of a table: the spot carries measurements."""
    if _keys.MEASURED not in table.obs:
        return np.ones(table.n_obs, dtype=bool)
    return settled_flags(table.obs[_keys.MEASURED], f"sdata[{table_key!r}].obs[{_keys.MEASURED!r}]")

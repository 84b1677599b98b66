"""Spots that bins, cells or smaller spots were pooled to: their circles, and the table that belongs to them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.added_tables import put_table, regions_of
from spatialhist._sdata.adopt import adopt
from spatialhist._sdata.coordinates import AXES, matrix, transformations
from spatialhist._sdata.elements import put_element
from spatialhist._sdata.layers import carry_records
from spatialhist._sdata.own_images import NOTED
from spatialhist._sdata.own_shapes import circles, spots_of
from spatialhist._sdata.scale import slide_info

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort
    from spatialhist._sdata.slide import Slide


@dataclass(frozen=True)
class PooledSlide:
    """Where the spots of a slide lie that smaller ones are pooled to.

    Attributes
    ----------
    slide
        With the smaller ones.
    centers
        ``(m, 2)``, (x, y) in the slide's coordinate system.
    member_of
        Spot of each smaller one ``(n,)``.
    spacing_px
        Distance of neighboring centers, which is the diameter of a spot, too.
    """

    slide: Slide
    centers: np.ndarray
    member_of: np.ndarray
    spacing_px: float


def add_pooled(cohort: Cohort, key: str, slides: list[PooledSlide], table: AnnData, step: str) -> AnnData:
    """Add circles and a table, whose rows are in the order of the slides; those of an earlier call are replaced.

    A pooled slide is a slide of its own name, on the image, at the scale and with the registration of the one that was
    pooled.

    Returns
    -------
    AnnData
        The table, which is in the object.

    Warns
    -----
    UserWarning
        Naming the layers that are lost with a table of an earlier call.
    """
    sdata, names = cohort.sdata, [_keys.pooled(p.slide.name, key) for p in slides]
    for name in regions_of(sdata, key, step):
        sdata.shapes.pop(name, None)
    table.obs[_keys.REGION] = pd.Categorical(np.repeat(names, [len(p.centers) for p in slides]), categories=names)
    table.obs[_keys.INSTANCE] = np.concatenate([np.arange(len(p.centers)) for p in slides])
    table.obs_names = table.obs[_keys.REGION].astype(str) + "_" + table.obs[_keys.INSTANCE].astype(str)
    table.obsm[_keys.SPATIAL] = np.concatenate([p.centers for p in slides])
    called = {p.slide.name: name for p, name in zip(slides, names, strict=True)}
    carry_records(table, cohort.table, called, ("select_genes",))
    flags = table.varm.get(_keys.MEASURED)
    if hasattr(flags, "columns"):
        table.varm[_keys.MEASURED] = flags[flags.columns.intersection(list(called))].rename(columns=called)
    for pooled, name in zip(slides, names, strict=True):
        _add_slide(cohort, pooled, name, table)
    parsed = put_table(sdata, key, table, names)
    for name in names:
        adopt(sdata, parsed, name)
    return parsed


def _add_slide(cohort: Cohort, pooled: PooledSlide, name: str, table: AnnData) -> None:
    """Add the circles of a slide, and what the object knows of it."""
    from spatialdata.transformations import Affine

    slide, diameter = pooled.slide.name, pooled.spacing_px
    placed = {system: Affine(move, AXES, AXES) for system, move in _moves(spots_of(cohort.sdata, slide), slide).items()}
    ids = pd.RangeIndex(len(pooled.centers))
    shapes = circles(pooled.centers, diameter, ids, {**placed, name: placed[slide]})
    put_element(cohort.sdata.shapes, name, shapes)
    # a copy: what a later step notes of one must not show in the other
    known = copy.deepcopy(slide_info(cohort.sdata, slide))
    sizes = {"pitch_px": pooled.spacing_px, "spot_diameter_px": diameter, NOTED: pooled.slide.full_image}
    slide_info(cohort.sdata, name).update(known | sizes)
    entry: dict[str, Any] = dict(cohort.table.uns.get(_keys.SPATIAL, {}).get(slide, {}))
    entry["scalefactors"] = {**entry.get("scalefactors", {}), "spot_diameter_fullres": diameter}
    table.uns.setdefault(_keys.SPATIAL, {})[name] = entry


def replace_by_pooled(sdata: SpatialData, key: str, slides: list[str]) -> None:
    """Put pooled spots in the place of what they were made from, under the slides' own names."""
    from spatialdata.models import TableModel
    from spatialdata.transformations import set_transformation

    table = sdata.tables[key]
    called = {_keys.pooled(slide, key): slide for slide in slides}
    for name, slide in called.items():
        shapes = sdata.shapes[name]
        placed = {system: move for system, move in transformations(shapes).items() if system != name}
        set_transformation(shapes, placed, set_all=True)
        put_element(sdata.shapes, slide, shapes)
        del sdata.shapes[name]
        slide_info(sdata, slide).update(sdata.attrs[_keys.ROOT]["slides"].pop(name))
        table.uns[_keys.SPATIAL][slide] = table.uns[_keys.SPATIAL].pop(name)
    table.obs[_keys.REGION] = table.obs[_keys.REGION].cat.rename_categories(called)
    table.obs_names = table.obs[_keys.REGION].astype(str) + "_" + table.obs[_keys.INSTANCE].astype(str)
    if hasattr(flags := table.varm.get(_keys.MEASURED), "rename"):
        table.varm[_keys.MEASURED] = flags.rename(columns=called)
    # it names the pooled regions, which no longer exist under these names
    table.uns.pop(TableModel.ATTRS_KEY, None)
    del sdata.tables[key]
    put_table(sdata, _keys.TABLE, table, slides)


def _moves(shapes: Any, slide: str) -> dict[str, np.ndarray]:
    """Matrix from the coordinate system of a slide to every one that its spots lie in."""
    back = np.linalg.inv(matrix(shapes, slide))
    return {system: matrix(shapes, system) @ back for system in transformations(shapes)} | {slide: np.eye(3)}

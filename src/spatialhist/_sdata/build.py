"""One slide from arrays, and several slides into one cohort."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.cohort import check_object, open_cohort
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.gene_names import IDS, joined_ids, with_common_names
from spatialhist._sdata.geometry import has_spots
from spatialhist._sdata.images import as_element
from spatialhist._sdata.lattice import lattice_pitch
from spatialhist._sdata.own_shapes import circles
from spatialhist._sdata.scale import DIAMETER_IN_PITCHES, slide_info
from spatialhist._sdata.shadow import shallow
from spatialhist._sdata.values import as_ids

if TYPE_CHECKING:
    from anndata import AnnData
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort


def build_slide(
    image: Any,
    xy: np.ndarray,
    counts: Any,
    *,
    slide: str,
    genes: Sequence[str],
    spot_ids: Sequence[Any] | None = None,
    patient: str | None = None,
    mpp: float | None = None,
    pitch_px: float | None = None,
    spot_diameter_px: float | None = None,
    measured: bool = True,
    obs: pd.DataFrame | None = None,
) -> SpatialData:
    """Make a one-slide SpatialData as the data contract wants it.

    Parameters
    ----------
    image
        ``(c, y, x)`` uint8, numpy or dask, a list of its levels, or an image element; None for a slide without an image.
    xy
        Spot centers ``(n, 2)``, (x, y) in full-resolution pixels.
    counts
        ``(n, genes)``, dense or CSR.
    slide
        Slide id: names the shapes, the region and the coordinate system.
    genes
        Gene names, unique.
    spot_ids
        Integers or strings, unique in the slide; 0..n-1 if None.
    patient
        Patient id.
    mpp
        Micrometers per full-resolution pixel.
    pitch_px
        Distance of neighboring spots; from the lattice if None.
    spot_diameter_px
        Diameter; 0.55 times the spot spacing (Visium's ratio) if None.
    measured
        False if ``counts`` are only a placeholder for a slide to be predicted.
    obs
        Further columns, in the order of ``xy``.
    """
    import spatialdata as sd
    from spatialdata.transformations import Identity

    pitch = pitch_px or lattice_pitch(xy)
    diameter = spot_diameter_px or (DIAMETER_IN_PITCHES * pitch if pitch else 1.0)
    ids = np.arange(len(xy)) if spot_ids is None else np.asarray(spot_ids)
    here = {slide: Identity()}
    elements: dict[str, Any] = {slide: circles(np.asarray(xy, dtype=float), diameter, ids, here)}
    if image is not None:
        elements[_keys.image(slide)] = as_element(image, here, f"image of slide {slide!r}")
    sdata = sd.SpatialData.init_from_elements(elements)
    sdata.tables[_keys.TABLE] = parse_table(counts, xy, ids, slide, genes, patient, measured, obs)
    slide_info(sdata, slide).update(mpp=mpp, pitch_px=pitch, spot_diameter_px=diameter)
    open_cohort(sdata)
    return sdata


def parse_table(
    counts: Any,
    xy: np.ndarray,
    ids: np.ndarray,
    slide: str,
    genes: Sequence[str],
    patient: str | None,
    measured: bool,
    obs: pd.DataFrame | None = None,
) -> AnnData:
    """Make the table of one slide; the parameters are those of :func:`build_slide`."""
    import anndata as ad
    from spatialdata.models import TableModel

    columns = {_keys.REGION: pd.Categorical([slide] * len(xy)), _keys.INSTANCE: ids, _keys.MEASURED: measured}
    if patient is not None:
        columns[_keys.PATIENT] = pd.Categorical([patient] * len(xy))
    # the slide in front: ids repeat between slides, and rows of a cohort need names of their own
    names = pd.Index([f"{slide}_{i}" for i in ids], dtype=object)
    frame = pd.DataFrame(columns, index=names)
    if obs is not None:
        frame = frame.join(_with_categories(obs.set_axis(names)))
    flags = pd.DataFrame({slide: np.full(len(genes), measured)}, index=list(genes))
    table = ad.AnnData(
        counts,
        obs=frame,
        var=pd.DataFrame(index=list(genes)),
        obsm={_keys.SPATIAL: np.asarray(xy, dtype=float)},
        varm={_keys.MEASURED: flags},
    )
    return TableModel.parse(table, region=slide, region_key=_keys.REGION, instance_key=_keys.INSTANCE)


def _with_categories(obs: pd.DataFrame) -> pd.DataFrame:
    """Make text columns categorical: as plain text a missing value would be stored as the word ``nan``."""
    return obs.astype({c: "category" for c in obs if obs[c].dtype == object and c != _keys.INSTANCE})


def concat_slides(parts: Sequence[SpatialData]) -> SpatialData:
    """Put several objects into one: elements side by side, tables of one name outer-joined on genes.

    A gene that a slide lacks is 0 there and False in ``varm["measured"]``. A layer that not all objects have is left
    out with a warning, because zeros would look like values. Where some spot ids are text, all become text. Objects of
    images alone add slides without spots; of nothing else there is no table.

    Raises
    ------
    ValueError
        If two objects hold the same slide.
    """
    import spatialdata as sd
    from spatialdata.models import TableModel

    cohorts = [open_cohort(part) for part in parts if not _only_images(part)]
    _check_unique([*(s for c in cohorts for s in c.slides), *(s for p in parts if _only_images(p) for s in _known(p))])
    slides = [s for c in cohorts for s in c.slides]
    tables = {_keys.TABLE: (_concat_tables(cohorts, slides), slides)} if cohorts else {}
    elements = {name: element for p in parts for _, name, element in p.gen_spatial_elements()}
    if cohorts and tables[_keys.TABLE][0].obs[_keys.INSTANCE].dtype == object:
        elements |= {slide: _with_text_index(elements[slide]) for slide in slides}
    joined = sd.SpatialData.init_from_elements(elements)
    for key, (table, regions) in {**tables, **_other_tables(parts)}.items():
        joined.tables[key] = TableModel.parse(
            table, region=regions, region_key=_keys.REGION, instance_key=_keys.INSTANCE
        )
    for part in parts:
        for slide in _known(part):
            slide_info(joined, slide).update(slide_info(part, slide))
    return joined


def _known(part: SpatialData) -> list[str]:
    """Slides that something is known of."""
    return list(part.attrs.get(_keys.ROOT, {}).get("slides", {}))


def _only_images(part: SpatialData) -> bool:
    """Whether it has slides, none of which has spots."""
    check_object(part)
    return not part.tables and bool(_known(part))


def _check_unique(slides: Sequence[str]) -> None:
    if twice := sorted({s for s in slides if slides.count(s) > 1}):
        raise ValueError(f"slides {twice} are in more than one object: slide ids must be unique in a cohort")


def _other_tables(parts: Sequence[SpatialData]) -> dict[str, tuple[AnnData, list[str]]]:
    """Tables beside the main one, each with the slides or grids that it annotates."""
    found: dict[str, list[Cohort]] = {}
    for part in parts:
        for key in [key for key, table in part.tables.items() if key != _keys.TABLE and has_spots(table)]:
            found.setdefault(key, []).append(open_cohort(part, table_key=key))
    left = sorted({key for part in parts for key in part.tables} - {_keys.TABLE, *found})
    if left:
        warnings.warn(
            f"tables {left} are left out: they do not annotate spots by obs[{_keys.REGION!r}] and "
            f"obs[{_keys.INSTANCE!r}]",
            stacklevel=4,
        )
    regions = {key: [s for c in cohorts for s in c.slides] for key, cohorts in found.items()}
    return {key: (_concat_tables(cohorts, regions[key]), regions[key]) for key, cohorts in found.items()}


def _concat_tables(cohorts: Sequence[Cohort], slides: list[str]) -> AnnData:
    import anndata as ad
    from spatialdata.models import TableModel

    named = with_common_names([c.table for c in cohorts])
    tables = _with_common_layers([_with_unique_names(t) for t in named])
    if len(tables) == 1 and tables[0].raw is None and not tables[0].is_view:
        # a table that is joined to none needs no second copy of its counts
        table = shallow(tables[0])
    else:
        table = ad.concat(tables, join="outer", fill_value=0, pairwise=True, uns_merge="unique", merge="first")
    ids = joined_ids(named, table.var_names)
    if ids is not None:
        table.var[IDS] = ids
    flags = [_gene_flags(c).set_axis(t.var_names) for c, t in zip(cohorts, named, strict=True)]
    genes = pd.concat(flags, axis=1).reindex(table.var_names)
    # nullable flags first, since pandas warns of filling gaps in a column of objects
    table.varm[_keys.MEASURED] = genes.astype("boolean").fillna(False).astype(bool)
    table.obs[_keys.REGION] = pd.Categorical(table.obs[_keys.REGION], categories=slides)
    table.obs[_keys.INSTANCE] = as_ids(table.obs[_keys.INSTANCE]).to_numpy()
    table.obs[_keys.MEASURED] = np.concatenate([c.measured() for c in cohorts])
    table.obs = _with_categories(table.obs)
    # it names the slides of one part; the caller writes that of all
    table.uns.pop(TableModel.ATTRS_KEY, None)
    return table


def _with_unique_names(table: AnnData) -> AnnData:
    """Put the slide before names like barcodes, which repeat between slides."""
    prefix = table.obs[_keys.REGION].astype(str) + "_"
    if all(map(str.startswith, table.obs_names, prefix)):
        return table
    table = table.copy()
    table.obs_names = prefix + table.obs_names
    return table


def _with_common_layers(tables: list[AnnData]) -> list[AnnData]:
    common = set.intersection(*(set(layer_names(t)) for t in tables))
    lost = sorted({layer for t in tables for layer in layer_names(t)} - common)
    if not lost:
        return tables
    warnings.warn(f"layers {lost} are left out: not all objects have them", stacklevel=4)
    tables = [t.copy() for t in tables]
    for table in tables:
        for layer in set(layer_names(table)) & set(lost):
            del table.layers[layer]
    return tables


def _with_text_index(shapes: GeoDataFrame) -> GeoDataFrame:
    shapes = shapes.copy()
    shapes.index = as_ids(shapes.index).astype(str)
    return shapes


def _gene_flags(cohort: Cohort) -> pd.DataFrame:
    """Genes x slides of one object, True where the slide measured the gene."""
    return pd.DataFrame(
        {slide: cohort.slide(slide).genes_measured for slide in cohort.slides}, index=cohort.table.var_names
    )

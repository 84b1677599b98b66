"""Circles of the cells that a table knows by the pixels of a labels element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.coordinates import length_factor, matrix, transformations
from spatialhist._sdata.elements import put_element
from spatialhist._sdata.geometry import apply, places, positions_of
from spatialhist._sdata.images import MAX_PIXELS, check_promise, levels_of
from spatialhist._sdata.own_images import words
from spatialhist._sdata.values import as_ids

if TYPE_CHECKING:
    from anndata import AnnData
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData

COMPARED = 30
"""Cells whose polygons are looked up in the labels."""
MOST = 0.8
"""Share of them that must lie on their own label: the centroid of a bent cell may lie beside it."""


def add_circles(sdata: SpatialData, table: AnnData, slide: str) -> None:
    """Add circles for the cells of a table that are known by labels alone, and have none yet.

    Polygons or circles of the same cells say where they lie and how large they are, or else the labels do.

    Raises
    ------
    ValueError
        If the labels have more than two dimensions.
    """
    key, obs = _keys.circles(slide), table.obs[(table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)]
    held = sdata.shapes[key] if key in sdata.shapes else None
    if held is not None:
        obs = obs[positions_of(obs[_keys.INSTANCE], held.index) < 0]
        if not len(obs):
            return
    found = _of_polygons(sdata, obs, slide)
    found = found if found is not None else _of_pixels(sdata, slide)
    if held is None:
        put_element(sdata.shapes, key, found)
    elif set(transformations(held)) >= set(transformations(found)):
        put_element(sdata.shapes, key, _joined(held, found[~as_ids(found.index).isin(as_ids(held.index))]))


def _joined(held: GeoDataFrame, more: GeoDataFrame) -> GeoDataFrame:
    """Circles and further ones, which are brought into their coordinates."""
    system = next(iter(transformations(more)))
    to_held = np.linalg.inv(matrix(held, system)) @ matrix(more, system)
    factor = length_factor(to_held)
    xy = np.concatenate([places(held), apply(to_held, places(more))])
    radius = np.concatenate([held["radius"], more["radius"] * factor])
    return _circles(xy, radius, held.index.append(more.index), transformations(held))


def _circles(xy: np.ndarray, radius: np.ndarray, ids: Any, placed: dict[str, Any]) -> GeoDataFrame:
    from spatialdata.models import ShapesModel

    return ShapesModel.parse(xy, geometry=0, radius=radius, index=pd.Index(ids), transformations=dict(placed))


def _of_polygons(sdata: SpatialData, obs: pd.DataFrame, slide: str) -> GeoDataFrame | None:
    """Circles of polygons of the same cells, by ids of the instances; None where there are none."""
    named = words(slide)
    alike = [key for key in sdata.shapes if words(key)[0] == named[0]]
    for key in sorted(alike, key=lambda key: -len(set(words(key)) & set(named))):
        shapes = sdata.shapes[key]
        column = shapes.index.name if shapes.index.name in obs else _keys.INSTANCE
        rows = positions_of(obs[column], shapes.index)
        if (rows >= 0).all() and _lie_on_labels(sdata, shapes.iloc[rows], obs[_keys.INSTANCE], slide):
            return _as_circles(shapes.iloc[rows], obs[_keys.INSTANCE])
    return None


def _as_circles(shapes: GeoDataFrame, ids: pd.Series) -> GeoDataFrame:
    area = shapes.geometry.area.to_numpy()
    radius = np.where(shapes.geom_type == "Point", shapes.get("radius", np.nan), np.sqrt(area / np.pi))
    return _circles(places(shapes), radius, as_ids(ids), transformations(shapes))


def _lie_on_labels(sdata: SpatialData, shapes: GeoDataFrame, ids: pd.Series, slide: str) -> bool:
    """Whether cells lie on labels of their ids; ids of text are no labels, so nothing speaks against them."""
    labels, wanted = sdata.labels[slide], as_ids(ids)
    common = [s for s in transformations(labels) if s in transformations(shapes)]
    if not common or (wanted.dtype.kind != "i" and len(wanted)):
        return bool(common)
    some = np.unique(np.linspace(0, len(wanted) - 1, COMPARED).astype(int))
    to_pixels = np.linalg.inv(matrix(labels, common[0])) @ matrix(shapes, common[0])
    x, y = np.floor(apply(to_pixels, places(shapes.iloc[some]))).astype(int).T
    pixels = _finest(labels, slide)
    height, width = pixels.shape
    on = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = np.asarray(pixels.vindex[y[on], x[on]])
    return bool((found == wanted[some][on]).sum() >= MOST * len(some))


def _finest(element: Any, slide: str) -> Any:
    import dask.array as da

    level = levels_of(element)[0]
    if set(level.dims) != {"x", "y"}:
        raise ValueError(
            f"labels {slide!r} have the axes {tuple(level.dims)}: cells are read from labels of y and x alone"
        )
    check_promise(level, f"labels {slide!r}", MAX_PIXELS)
    return da.asarray(level.transpose("y", "x").data)


def _of_pixels(sdata: SpatialData, slide: str) -> GeoDataFrame:
    """Circles of the place and area of every label, read block by block."""
    sums = pd.concat(_block_sums(_finest(sdata.labels[slide], slide))).groupby(level=0).sum()
    # 0 is the background of labels
    sums = sums[sums.index != 0]
    xy = sums[["x", "y"]].to_numpy() / sums[["area"]].to_numpy()
    return _circles(xy, np.sqrt(sums["area"] / np.pi).to_numpy(), sums.index, transformations(sdata.labels[slide]))


def _block_sums(pixels: Any) -> Iterator[pd.DataFrame]:
    """Number of pixels of each label of a block, and sums of where their middles lie."""
    starts = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in pixels.chunks]
    for row in range(pixels.numblocks[0]):
        for column in range(pixels.numblocks[1]):
            yield _run_sums(np.asarray(pixels.blocks[row, column]), starts[0][row], starts[1][column])


def _run_sums(block: np.ndarray, top: int, left: int) -> pd.DataFrame:
    """Sums over the runs of one label in each row, which are far fewer than pixels."""
    begins = np.ones(block.shape, dtype=bool)
    begins[:, 1:] = block[:, 1:] != block[:, :-1]
    first = np.flatnonzero(begins)
    length = np.diff(first, append=block.size)
    y, x = np.divmod(first, block.shape[1])
    codes, ids = pd.factorize(block.ravel()[first])
    sums = {
        "area": np.bincount(codes, length),
        "x": np.bincount(codes, length * (left + x + length / 2)),
        "y": np.bincount(codes, length * (top + y + 0.5)),
    }
    return pd.DataFrame(sums, index=ids.astype(np.int64))

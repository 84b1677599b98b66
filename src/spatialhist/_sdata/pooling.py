"""Sums of bins, cells or small spots over larger spots on a regular lattice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.added_tables import check_free
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.counts import get_counts, is_counts
from spatialhist._sdata.lattice_bins import lattice_bins
from spatialhist._sdata.layers import get_layer, record
from spatialhist._sdata.pool_columns import pool_columns
from spatialhist._sdata.pool_sums import NONE, mean_rows, sum_rows
from spatialhist._sdata.pooled import PooledSlide, add_pooled

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.cohort import Cohort
    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

STEP = "pool_spots"
N_POOLED = "n_pooled"
Lattice = Literal["hex", "square"]


def pool(
    cohort: Cohort,
    size: tuple[str, float],
    lattice: Lattice,
    *,
    layer: str | None = None,
    key_added: str = _keys.POOLED,
) -> None:
    """Add a table of larger spots and their circles, see :func:`spatialhist.pp.pool_spots`.

    Raises
    ------
    KeyError, ValueError
        If the layer or a scale is missing, or the name is taken.
    """
    check_free(cohort, key_added, STEP, shapes=[key_added])
    counts = get_counts(cohort, layer, step="sh.pp.pool_spots(sdata")
    pooled = [_pool_slide(slide, size, lattice) for slide in cohort.every_slide()]
    group, n = _groups(pooled, cohort.table.n_obs)
    obs, left = pool_columns(cohort.table.obs, group, n)
    layers = [k for k in layer_names(cohort.table) if k not in (layer, "X") and is_counts(cohort, k)]
    left += [f"layers[{k!r}]" for k in layer_names(cohort.table) if k not in (*layers, layer)]
    coordinates = {k: v for k, v in cohort.table.obsm.items() if k != _keys.SPATIAL}
    means = {k: _means(v, group, n) for k, v in coordinates.items() if _holds_numbers(v)}
    left += [f"obsm[{k!r}]" for k in coordinates if k not in means]
    table = _table(cohort.table, counts, obs, group, layers)
    table.obsm.update(means)
    _add_sizes(table, pooled)
    made = {"size": [str(v) for v in size], "lattice": lattice, "from_table": cohort.table_key, "layer": layer or "X"}
    record(table, STEP, {**made, "slides": {p.slide.name: _facts(p, size) for p in pooled}, "left_out": left})
    add_pooled(cohort, key_added, pooled, table, STEP)
    logger.info("added table %r: %d spots, pooled from %d of %r", key_added, n, (group != NONE).sum(), cohort.table_key)
    if left:
        logger.info("left out of table %r, whose values cannot be pooled: %s", key_added, left)


def _pool_slide(slide: Slide, size: tuple[str, float], lattice: Lattice) -> PooledSlide:
    spacing = slide.scale.px(size, slide.name)
    member_of, centers = lattice_bins(slide.known_xy, spacing, lattice)
    return PooledSlide(slide, centers, member_of, spacing)


def _groups(pooled: list[PooledSlide], n_obs: int) -> tuple[np.ndarray, int]:
    """Spot of every row of the table, counted on from slide to slide, and how many spots there are."""
    group, n = np.full(n_obs, NONE), 0
    for each in pooled:
        group[each.slide.rows] = n + each.member_of
        n += len(each.centers)
    return group, n


def _holds_numbers(values: Any) -> bool:
    types = values.dtypes if hasattr(values, "columns") else [values.dtype]
    return all(pd.api.types.is_numeric_dtype(t) for t in types)


def _means(values: Any, group: np.ndarray, n: int) -> Any:
    means = mean_rows(values, group, n)
    return pd.DataFrame(means, index=_names(n), columns=values.columns) if hasattr(values, "columns") else means


def _names(n: int) -> pd.Index:
    return pd.RangeIndex(n).astype(str)


def _table(held: AnnData, counts: Any, obs: pd.DataFrame, group: np.ndarray, layers: list[str]) -> AnnData:
    """Sums of counts of every spot; what belongs to genes as it was."""
    import anndata as ad

    n = len(obs)
    table = ad.AnnData(sum_rows(counts, group, n), obs=obs.set_axis(_names(n)), var=held.var.copy())
    for key in layers:
        table.layers[key] = sum_rows(get_layer(held, key), group, n)
    for key, values in held.varm.items():
        table.varm[key] = values
    return table


def _add_sizes(table: AnnData, pooled: list[PooledSlide]) -> None:
    """Add how many bins a spot has and what area they cover, in one unit for all slides."""
    known = all(p.slide.scale.mpp is not None for p in pooled)
    area = [
        np.bincount(p.member_of, p.slide.spot_areas * ((p.slide.scale.mpp or 1.0) ** 2 if known else 1.0))
        for p in pooled
    ]
    table.obs[N_POOLED] = np.concatenate([np.bincount(p.member_of) for p in pooled])
    table.obs["pooled_area_um2" if known else "pooled_area_px2"] = np.concatenate(area)


def _facts(pooled: PooledSlide, size: tuple[str, float]) -> dict[str, Any]:
    return {
        "size": f"{size[1]:g} {size[0]}",
        "spacing_px": pooled.spacing_px,
        N_POOLED: len(pooled.member_of),
        "spots": len(pooled.centers),
    }

"""Spots and their values for QuPath."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import dense_columns, gene_positions, get_layer
from spatialhist._sdata.values import as_words
from spatialhist.io._geojson.features import color_values, to_features, to_measurements, write_features
from spatialhist.io._geojson.one_slide import one_slide

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

Kind = Literal["detection", "annotation"]
N_GENES = 50
"""Written unless genes are named."""


def write_geojson(
    sdata: SpatialData,
    path: str | Path,
    *,
    genes: str | Sequence[str] | None = None,
    layer: str = _keys.PREDICTED,
    slide: str | None = None,
    kind: Kind = "detection",
    classification: str | None = None,
    color_by: str | None = None,
    cmap: str = "viridis",
    table_key: str = _keys.TABLE,
) -> None:
    """Write the spots of a slide as objects of QuPath, with genes as measurements.

    Parameters
    ----------
    sdata
        Object with the slide and its image.
    path
        File to write, ``.geojson``, or ``.geojson.gz`` to compress it; QuPath opens both. One that is there is
        replaced only when the new one is complete.
    genes
        Names; the 50 genes of the highest mean in the layer if None.
    layer
        Layer of their values.
    slide
        Slide id; may be left out where there is one slide.
    kind
        ``"detection"``, which QuPath shows by the thousand and colors by measurement, or ``"annotation"``.
    classification
        Column of ``obs`` that holds the class of each spot.
    color_by
        Gene by whose value spots are colored, from its lowest to its highest.
    cmap
        Color map of matplotlib.
    table_key
        Table to read, for instance ``"S1_grid_table"`` of :func:`spatialhist.tl.predict_grid`.

    Returns
    -------
    None
        A feature a spot: its outline in full-resolution pixels of the H&E image, its id as name, its values as
        measurements. Values that are NaN and spots that have no position are left out.

    Raises
    ------
    KeyError
        If the slide, the layer, a gene, the column or the image is missing.
    ValueError
        If there are several slides and none is chosen, or no gene has a value.

    See Also
    --------
    read_geojson : Read what was drawn in QuPath.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> path = Path(tempfile.mkdtemp()) / "spots.geojson"
    >>> gene = sdata["table"].var_names[0]
    >>> sh.io.write_geojson(sdata, path, genes=gene, layer="X", color_by=gene)
    >>> feature = json.loads(path.read_text())["features"][0]
    >>> sorted(feature["properties"])
    ['color', 'measurements', 'name', 'objectType']
    """
    check_choice("kind", kind, Kind)
    cohort = open_cohort(sdata, slide, table_key=table_key)
    opened = cohort.slide(one_slide(cohort.slides))
    table, rows, matrix = cohort.table, opened.rows, get_layer(cohort.table, layer)
    columns = _highest(matrix[rows]) if genes is None else gene_positions(table, genes)
    values = dense_columns(matrix, rows, columns)
    if not np.isfinite(values).any():
        raise ValueError(
            f"layer {layer!r} holds no value of these genes for slide {opened.name!r}: predict it with "
            "sh.tl.predict(sdata, model), or choose another layer="
        )
    nothing: list[Any] = [None] * len(rows)
    colors = nothing
    if color_by is not None:
        colors = color_values(dense_columns(matrix, rows, gene_positions(table, [color_by]))[:, 0], cmap)
    features = to_features(
        opened.outlines(),
        [str(i) for i in cohort.spot_ids()[rows]],
        to_measurements(values, list(table.var_names[columns])),
        kind=kind,
        classes=nothing if classification is None else _classes(table, rows, classification),
        colors=colors,
    )
    n = write_features(Path(path), features)
    logger.info("wrote %d %ss of slide %r with %d genes to %s", n, kind, opened.name, len(columns), path)


def _highest(values: Any) -> np.ndarray:
    """Positions of the genes of the highest mean, in the order of the table, without those that hold no value."""
    known = values if hasattr(values, "toarray") else np.nan_to_num(values)
    mean = np.asarray(known.mean(axis=0), dtype=float).ravel()
    if not hasattr(values, "toarray"):
        mean[~np.isfinite(values).any(axis=0)] = np.nan
    best = np.argsort(-mean, kind="stable")[:N_GENES]
    return np.sort(best[np.isfinite(mean[best])])


def _classes(table: AnnData, rows: np.ndarray, column: str) -> list[str | None]:
    if column not in table.obs:
        raise KeyError(f"classification={column!r} is no column of obs: {list(table.obs)}")
    return list(as_words(table.obs[column].iloc[rows]))

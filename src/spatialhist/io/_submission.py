"""Predictions as the table that a challenge asks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.files import whole_file
from spatialhist._runtime.text import cell

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort

logger = logging.getLogger(__name__)


def write_submission(
    sdata: SpatialData,
    path: str | Path,
    *,
    layer: str = _keys.PREDICTED,
    slides: str | Sequence[str] | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Write predictions as CSV: column ``ID``, then one column per target, one row per spot.

    Parameters
    ----------
    sdata
        Object with predictions.
    path
        File to write; one that is there is replaced only when the new one is complete.
    layer
        Layer to write.
    slides
        Slides to write; those without measurements if None, all where every slide is measured.
    table_key
        Table to read.

    Returns
    -------
    None
        ``ID`` is the spot id for one slide, and ``SLIDE_ID`` for several. A name that a spreadsheet would take for a
        formula, such as ``=A1``, starts with an apostrophe.

    Raises
    ------
    KeyError
        If the layer or a slide is missing.
    ValueError
        If a spot was not predicted.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> image = np.full((60, 80, 3), 255, dtype=np.uint8)
    >>> sdata = sh.io.from_arrays(image, [[20, 30], [40, 30]], genes=["C1", "C2"])
    >>> sdata["table"].layers["predicted"] = np.array([[0.5, 1.0], [0.25, 2.0]], dtype=np.float32)
    >>> path = Path(tempfile.mkdtemp()) / "submission.csv"
    >>> sh.io.write_submission(sdata, path)
    >>> print(path.read_text().strip())
    ID,C1,C2
    0,0.5,1.0
    1,0.25,2.0
    """
    from spatialhist._sdata.cohort import open_cohort
    from spatialhist._sdata.layers import get_layer

    cohort = open_cohort(sdata, slides, table_key=table_key)
    values = get_layer(cohort.table, layer)
    chosen = cohort.slides if slides is not None else _to_predict(cohort)
    rows = np.concatenate([cohort.rows(slide) for slide in chosen])
    rows_values = values[rows]
    dense = rows_values.toarray() if hasattr(rows_values, "toarray") else np.asarray(rows_values)
    _check_complete(dense, cohort.slide_of_row()[rows], layer)
    frame = pd.DataFrame(
        dense, index=_ids(cohort, rows, chosen), columns=[cell(name) for name in cohort.table.var_names]
    )
    with whole_file(Path(path)) as new:
        frame.to_csv(new)
    logger.info("wrote %d spots x %d targets to %s", *dense.shape, path)


def _to_predict(cohort: Cohort) -> list[str]:
    """Slides without measurements; all where there are none."""
    unmeasured = [s for s in cohort.slides if not cohort.measured()[cohort.rows(s)].any()]
    return unmeasured or cohort.slides


def _check_complete(values: np.ndarray, slide_of_row: np.ndarray, layer: str) -> None:
    missing = np.isnan(values).any(axis=1)
    if missing.any():
        slides = sorted(set(slide_of_row[missing]))
        raise ValueError(
            f"{missing.sum()} of {len(values)} spots have missing values in layers[{layer!r}], on slides {slides}: "
            f"predict them with sh.tl.predict(sdata, model), or choose others with slides="
        )


def _ids(cohort: Cohort, rows: np.ndarray, slides: list[str]) -> pd.Index:
    ids = cohort.spot_ids()[rows]
    if len(slides) > 1:
        ids = pd.Index(cohort.slide_of_row()[rows]) + "_" + ids.astype(str)
    return pd.Index([cell(i) for i in ids], name="ID")

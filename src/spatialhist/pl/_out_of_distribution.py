"""How far spots lie from those of training, on tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.values import as_numbers
from spatialhist.pl._draw.gene_titles import FAR
from spatialhist.pl._draw.panels import Panel, add_color_bars, draw_panel, new_cells
from spatialhist.pl._draw.style import check_axes

if TYPE_CHECKING:
    from spatialdata import SpatialData

SLIDES_PER_ROW = 3
UNIT = "out-of-distribution score"


def out_of_distribution(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    slides_per_row: int = SLIDES_PER_ROW,
    cmap: str = "plasma",
    axes: np.ndarray | None = None,
    table_key: str = _keys.TABLE,
) -> np.ndarray:
    """Draw how far predicted spots lie from everything the model was trained on.

    Parameters
    ----------
    sdata
        Object with predictions of :func:`spatialhist.tl.predict` or :func:`spatialhist.tl.predict_grid`.
    slides
        Slide ids; all if None.
    slides_per_row
        Further slides go into further rows.
    cmap
        Name of a color map of matplotlib.
    axes
        Axes to draw into, one per slide; those of a new figure if None.
    table_key
        Name of the table, ``"S1_grid_table"`` for spots of :func:`spatialhist.tl.predict_grid`.

    Returns
    -------
    ndarray
        Axes, one per slide. Colors run from 0 to 1, the range of ``obs["out_of_distribution"]``. The title gives the
        share of spots above 0.95, which is a twentieth on a slide like those of training. Spots without a score are
        gray.

    Raises
    ------
    KeyError
        If a slide or the column is missing.
    ValueError
        If the number of ``axes`` is another.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sdata["table"].obs["out_of_distribution"] = 0.5
    >>> sh.pl.out_of_distribution(sdata).shape
    (1,)
    """
    from matplotlib.colors import Normalize

    cohort = open_cohort(sdata, slides, table_key=table_key)
    key = _keys.OUT_OF_DISTRIBUTION
    if key not in cohort.table.obs:
        raise KeyError(f"no obs[{key!r}] in table {table_key!r}: predict it with sh.tl.predict or sh.tl.predict_grid")
    ood = as_numbers(cohort.table.obs[key])
    scores = [(s, ood[s.rows]) for s in cohort.every_slide()]
    panels = np.array([Panel(s, f"{s.name}\n{_share(v)}", UNIT, v) for s, v in scores], dtype=object)[None, :, None]
    cells: Any = (
        new_cells(panels.shape, slides_per_row, pictures=False)[0]
        if axes is None
        else check_axes(axes, panels.shape, "slides")
    )
    for index, panel in np.ndenumerate(panels):
        draw_panel(cells[index], cohort.table, panel, Normalize(0, 1), cmap)
    add_color_bars(panels, cells, extend="neither")
    return cells.ravel()


def _share(scores: np.ndarray) -> str:
    known = scores[np.isfinite(scores)]
    return f"{(known > FAR).mean():.0%} above {FAR}" if len(known) else "no score"

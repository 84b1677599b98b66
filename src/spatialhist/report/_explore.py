"""The interactive page: genes on tissue, to be looked at in a browser."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._runtime.checks import check_range
from spatialhist._runtime.files import whole_file
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._explore_page.content import Content
from spatialhist.report._explore_page.genes import choose_genes, rate
from spatialhist.report._explore_page.page import render
from spatialhist.report._explore_page.views import choose_layers, views_of

if TYPE_CHECKING:
    import pandas as pd
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

IMAGE_PX = 4096


def explore(
    sdata: SpatialData,
    path: str | Path,
    *,
    genes: str | Sequence[str] | None = None,
    layers: str | Sequence[str] | None = None,
    slides: str | Sequence[str] | None = None,
    scores: pd.DataFrame | None = None,
    training: SpatialData | None = None,
    image_px: int = IMAGE_PX,
    title: str | None = None,
    table_key: str = _keys.TABLE,
) -> Path:
    """Write an interactive HTML page: genes on the H&E image, measured beside predicted, with hover and selection.

    Parameters
    ----------
    sdata
        Object with a table of spots: that of a run, of predictions, or any other.
    path
        The file. One of that name is replaced.
    genes
        Names; if None, up to 300: those that are predicted, best first, or those that vary most.
    layers
        Layers of the table, ``"X"`` for counts; if None, predictions with what they predict and the bounds of
        :func:`spatialhist.tl.calibrate`. Residuals and the out-of-distribution score are added where they are known.
    slides
        Slide ids; all if None.
    scores
        What :func:`spatialhist.tl.evaluate` returned, for the verdicts on genes of a run. Predictions of new slides bring
        their own.
    training
        Object with the measurements that a model was trained on, for the range of colors where ``sdata`` holds
        predictions alone.
    image_px
        Longer side of the H&E images in pixels; smaller ones make a smaller page.
    title
        What the page is called; the name of the file if None.
    table_key
        Name of the table, ``"S1_grid_table"`` for spots of :func:`spatialhist.tl.predict_grid`.

    Returns
    -------
    Path
        The file. It needs no other file and loads nothing from the network.

    Raises
    ------
    FileNotFoundError
        If the folder of ``path`` does not exist.
    KeyError
        If a gene, slide, layer or table is missing; the message lists what there is.
    ValueError
        If there is nothing to show, ``scores`` is no table of scores, ``image_px`` is below 64, or the page would hold more
        than 200 million numbers.

    Warns
    -----
    UserWarning
        If a slide has no H&E image, so that its spots are shown on white.

    Notes
    -----
    Numbers on the page are rounded: the range of a gene on a slide is divided into 65,534 steps, or, above 12 million
    numbers, into 254. The page rounds no position by more than a ten thousandth of the slide.

    Colors of a gene run from the 1st to the 99th percentile of its measurements on all slides, in every panel, so that a
    prediction that hardly varies looks flat. Spots without a value are transparent. A slide of more than 20,000 spots is
    shown as an image, with a pixel a spot.

    Examples
    --------
    >>> import tempfile, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sh.pp.log_normalize(sdata)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = sh.report.explore(sdata, f"{folder}/explore.html")
    >>> path.name
    'explore.html'
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is no folder: make it, or choose another path=")
    check_range("image_px", image_px, 64)
    cohort = open_cohort(sdata, slides, table_key=table_key)
    views = views_of(cohort.table, choose_layers(cohort.table, layers))
    ratings = rate(cohort.table, views, scores)
    content = Content(
        shown=cohort,
        every=open_cohort(sdata, table_key=table_key),
        training=None if training is None else open_cohort(training),
        genes=choose_genes(cohort.table, views, genes, ratings),
        views=views,
        ratings=ratings,
        image_px=image_px,
    )
    content.check_size()
    with whole_file(target) as new, new.open("w", encoding="utf-8") as file:
        file.writelines(render(title or target.stem, content.facts(), content.slides()))
    logger.info("explore: wrote %s (%.1f MB)", target, target.stat().st_size / 1e6)
    return target

"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist import _keys, tl
from spatialhist._runtime.files import whole_file
from spatialhist._runtime.text import printable
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page import facts, gene_maps, pictures, score_tables, selection, stain_probe

if TYPE_CHECKING:
    import pandas as pd
    from spatialdata import SpatialData

    from spatialhist.tl import Benchmark, CrossValidation, Stack

logger = logging.getLogger(__name__)

TEMPLATE = "report.html.j2"


def write(
    sdata: SpatialData,
    cv: CrossValidation | Benchmark,
    *,
    stack: Stack | None = None,
    scores: pd.DataFrame | None = None,
    path: str | Path | None = None,
    table_key: str = _keys.TABLE,
) -> Path:
    """Write one HTML page on a run, with everything that is needed to believe its numbers or not.

    Parameters
    ----------
    sdata
        The object that was cross-validated.
    cv
        What :func:`spatialhist.tl.cross_validate` or :func:`spatialhist.tl.benchmark` returned.
    stack
        What :func:`spatialhist.tl.stack` returned, if anything was stacked.
    scores
        What :func:`spatialhist.tl.evaluate` returned; a benchmark brings its own.
    path
        The file; ``report.html`` in the run folder if None. A file of that name is replaced.
    table_key
        Name of the table.

    Returns
    -------
    Path
        The file. It holds its pictures and style, runs no script and loads nothing.

    Raises
    ------
    FileNotFoundError
        If the folder of ``path`` does not exist.
    TypeError
        If a cross-validation comes without scores.
    KeyError
        If a slide of the run is not in the object, or the scores lack within-slide Pearson.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> cv = sh.tl.cross_validate(sdata, models="ridge", genes=5, progress=False)
    >>> sh.report.write(sdata, cv, scores=sh.tl.evaluate(sdata)).name
    'report.html'
    """
    cv, scores, notes = _told(cv, scores)
    target = Path(path) if path is not None else cv.folder / "report.html"
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is no folder: make it, or choose another path=")
    cohort = open_cohort(sdata, list(cv.manifest.slides), table_key=table_key)
    # pandas copies attrs at every step, which takes longer than the steps
    bare = scores.copy()
    bare.attrs = {}
    page = _render(
        {
            "title": cv.folder.name,
            "notes": notes,
            "facts": facts.collect(cohort, cv, stack, bare),
            "explore": facts.interactive_page(cv, target),
            "told": selection.warnings_of(cohort, cv, scores),
            "selected": selection.collect(cohort, cv, scores),
            "scores": score_tables.collect(bare),
            "maps": gene_maps.collect(cohort, cv, bare),
            "pictures": pictures.collect(cohort, cv, bare, table_key),
            "stain_probe": stain_probe.collect(cohort, table_key),
        }
    )
    with whole_file(target) as new:
        new.write_text(printable(page, keep="\n"), encoding="utf-8")
    logger.info("report: wrote %s (%.1f MB)", target, len(page) / 1e6)
    return target


def _told(
    cv: CrossValidation | Benchmark, scores: pd.DataFrame | None
) -> tuple[CrossValidation, pd.DataFrame, list[str]]:
    """Run, scores and notes; a benchmark holds all three."""
    if isinstance(cv, tl.Benchmark):
        return cv.cv, cv.scores if scores is None else scores, cv.notes
    if scores is None:
        raise TypeError("scores= is missing: pass scores=sh.tl.evaluate(sdata)")
    return cv, scores, []


def _render(context: dict[str, Any]) -> str:
    """Fill the template; whatever comes from the data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "_page"),
        autoescape=True,
        # a name that a template misspells is an error, not an empty place
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "breakable": breakable}
    return environment.get_template(TEMPLATE).render(context)


def breakable(name: str) -> str:
    """Let a long name go on in the next line after an underscore."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in str(name).split("_"))


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many decimals, and a dash where there is none; words stay."""
    # NaN is the only value that differs from itself
    if value is None or value != value:
        return "–"
    return f"{value:z.{digits}f}" if isinstance(value, float) else str(value)

"""How well slides and patients are told by their color, before and after stain normalization."""

from __future__ import annotations

from spatialhist import _keys, tl
from spatialhist._sdata.cohort import Cohort
from spatialhist.report._page.score_tables import Table


def collect(cohort: Cohort, table_key: str) -> Table | None:
    """Compare the images of the slides that were normalized; None where fewer than two were."""
    elements = {*cohort.sdata.images, *cohort.sdata.labels}
    slides = [s for s in cohort.slides if _needed(cohort.slide(s).full_image) <= elements]
    rows = []
    for by in ("slide", _keys.PATIENT):
        if len(slides) > 1 and _can_be_told(cohort, slides, by):
            probes = [
                tl.slide_probe(cohort.sdata, image=image, by=by, slides=slides, table_key=table_key)
                for image in ("full", "normalized")
            ]
            rows.append([by, len(probes[0].confusion), probes[0].chance, *(probe.accuracy for probe in probes)])
    return Table(["told by color", "classes", "chance", "before", "after"], rows) if rows else None


def _needed(image: str) -> set[str]:
    return {image, _keys.normalized(image), _keys.tissue(image)}


def _can_be_told(cohort: Cohort, slides: list[str], by: str) -> bool:
    """Whether two patients have two slides each, of which one can be held out."""
    patients = [cohort.slide(s).patient for s in slides]
    return by == "slide" or len({p for p in patients if p is not None and patients.count(p) > 1}) > 1

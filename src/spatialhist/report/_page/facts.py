"""What is told in words and tables: the cohort, spot quality, what was fitted on what."""

from __future__ import annotations

import json
import platform
import shlex
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.alignment import alignment, alignment_scores
from spatialhist._sdata.counts import counts_behind
from spatialhist._sdata.geometry import apply, spot_centers
from spatialhist._sdata.layers import recorded
from spatialhist._sdata.scale import slide_info
from spatialhist.report._page.headline import gene_table, headline, layer_of
from spatialhist.report._page.score_tables import Table
from spatialhist.tl._calibrate import SKIPPED

if TYPE_CHECKING:
    import pandas as pd

    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl import CrossValidation, Stack

PAGE = "explore.html"
LIBRARIES = ("spatialhist", "spatialdata", "squidpy", "anndata", "numpy", "torch")


def collect(cohort: Cohort, cv: CrossValidation, stack: Stack | None, scores: pd.DataFrame) -> dict[str, Any]:
    """Everything the page says that is neither a score nor a picture."""
    bounds = _bounds(cohort, cv, scores)
    return {
        "size": _size(cv),
        "date": date.today().isoformat(),
        "slides": _slides(cohort, cv),
        "shared_patients": _shared_patients(cohort, cv),
        "alignment": _alignment(cohort),
        "quality": _quality(cohort),
        "genes": gene_table(scores),
        "level": bounds.get("level"),
        "coverage": _coverage(bounds),
        "no_intervals": recorded(cohort.table, SKIPPED).get("reason"),
        "folds": _folds(cv),
        "settings": _settings(cv),
        "standardized": [d["name"] for d in [*cv.manifest.models, *cv.manifest.baselines] if d.get("standardized")],
        "placed_by_expression": _placed_by_expression(cohort),
        "stain_fitted_on": list(recorded(cohort.table, "stain").get("fitted_on", [])),
        "weights": _weights(stack),
        "stack_method": stack.method if stack else None,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "made_with": cv.manifest.version,
        "command": cv.manifest.command,
    }


def _size(cv: CrossValidation) -> dict[str, int]:
    """How many of each were trained on and predicted."""
    return {
        "genes": len(cv.genes),
        "spots": sum(entry.spots for entry in cv.manifest.slides.values()),
        "slides": len(cv.manifest.slides),
        "groups": len(cv.groups),
    }


def _slides(cohort: Cohort, cv: CrossValidation) -> Table:
    columns = ["slide", "group", "patient", "spots used", "µm per pixel", "spacing, px", "spacing, µm", "median counts"]
    counts = counts_behind(cohort.table, cohort.every_slide(), cv.manifest.layer)
    totals = None if counts is None else np.asarray(counts.sum(axis=1)).ravel()
    rows = []
    for name, entry in cv.manifest.slides.items():
        slide = cohort.slide(name)
        mpp, pitch = slide.scale.mpp, slide.scale.pitch_px
        um = pitch * mpp if pitch and mpp else None
        median = None if totals is None else float(np.median(totals[slide.rows]))
        sizes = [_round(mpp, 3), _round(pitch, 1), _round(um, 1), _round(median, 0)]
        rows.append([name, entry.group, slide.patient, entry.spots, *sizes])
    return Table(columns, rows)


def _round(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _shared_patients(cohort: Cohort, cv: CrossValidation) -> list[str]:
    """Patients whose sections lie in several groups."""
    # a dict, which keeps the order
    held = dict.fromkeys((cohort.slide(slide).patient, group) for slide, group in cv.manifest.group_of.items())
    groups = Counter(patient for patient, _ in held)
    return [patient for patient, n in groups.items() if patient is not None and n > 1]


def _alignment(cohort: Cohort) -> Table | None:
    """How far spots were moved, and why or why not."""
    reports = {s: slide_info(cohort.sdata, s).get("alignment_report") for s in cohort.slides}
    rows = [[s, *_move(cohort, s, report)] for s, report in reports.items() if report]
    columns = ["slide", "moved, spot spacings", "rotated, °", "measure", "before", "after", "why"]
    return Table(columns, rows) if rows else None


def _move(cohort: Cohort, slide: str, report: dict[str, Any]) -> list[Any]:
    """Mean way of a spot, rotation, and what realignment says of itself."""
    matrix, pitch = alignment(cohort.sdata, slide), cohort.slide(slide).scale.pitch_px
    after = spot_centers(cohort.sdata, cohort.table, slide)
    way = float(np.nanmean(np.linalg.norm(after - apply(np.linalg.inv(matrix), after), axis=1)))
    turn = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    scores = alignment_scores(report) or (None, None, None)
    return [way / pitch if pitch else None, turn, *scores, report["reason"]]


def _quality(cohort: Cohort) -> Table | None:
    """Spots per slide and reason, with those that were dropped."""
    counts = recorded(cohort.table, "filter_spots").get("counts", {})
    if not counts:
        return None
    rows = []
    for slide in cohort.slides:
        found = counts.get(_keys.sanitize(slide), {})
        rows.append([slide, *(int(found.get(reason, 0)) for reason in _keys.QC_REASONS)])
    return Table(["slide", *_keys.QC_REASONS], rows)


def _folds(cv: CrossValidation) -> Table:
    rows = []
    for group in cv.groups:
        held = [s for s, of in cv.manifest.group_of.items() if of == group]
        rest = [s for s in cv.manifest.slides if s not in held]
        rows.append([group, ", ".join(held), ", ".join(rest), len(cv.panels[group])])
    return Table(["held-out group", "its slides", "fitted on slides", "genes in the panel"], rows)


def _settings(cv: CrossValidation) -> dict[str, str]:
    manifest, design = cv.manifest, cv.manifest.design
    # folds select genes on their own training slides, so panels differ
    everywhere = set.intersection(*(set(columns) for columns in cv.panels.values()))
    return {
        "predicted layer": manifest.layer,
        "genes": f"{len(cv.genes)} in the union of all panels, {len(everywhere)} in every panel",
        "models": ", ".join(m.name for m in cv.models),
        "image": design.image,
        "encoder": f"{design.encoder}, tiles of {design.pixels} pixels",
        "fields of view": "; ".join(_field_of_view(field) for field in manifest.fields_of_view),
        "context within": ", ".join(_extent(e) for e in design.radii) or "none",
        "seed": str(manifest.seed),
        "threads per fit": str(manifest.threads),
    }


def _field_of_view(field: dict[str, Any]) -> str:
    sizes = field["um_per_pixel"]
    if sizes is None:
        return _extent(field["extent"])
    return f"{_extent(field['extent'])} ({' to '.join(f'{s:.3g}' for s in dict.fromkeys(sizes))} µm per pixel)"


def _extent(extent: tuple[str, float]) -> str:
    unit, value = extent
    return f"{value:g} {({'um': 'µm', 'px': 'px', 'pitch': 'spot spacings'})[unit]}"


def _placed_by_expression(cohort: Cohort) -> list[str]:
    """Slides whose spots were placed with the help of what they express."""
    reports = {s: slide_info(cohort.sdata, s).get("alignment_report", {}) for s in cohort.slides}
    return [s for s, report in reports.items() if report.get("use_expression")]


def _bounds(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame) -> dict[str, Any]:
    """What is recorded of the intervals of the predictions in the headline."""
    layer = layer_of(cohort, headline(scores), cv.manifest.layer)
    return recorded(cohort.table, f"{layer}_lower")


def _coverage(bounds: dict[str, Any]) -> Table | None:
    """Share of measurements inside their interval."""
    if "coverage" not in bounds:
        return None
    return Table(
        ["held-out group", "share inside"],
        [[g, float(c)] for g, c in zip(bounds["groups"], bounds["coverage"], strict=True)],
    )


def interactive_page(cv: CrossValidation, report: Path) -> dict[str, Any]:
    """How to make the interactive page of this run, by the command where the run holds its slides, and where it will lie."""
    beside = report.parent.resolve() == cv.folder.resolve()
    page = f"{cv.folder.name}/{PAGE}" if beside else PAGE
    if (cv.folder / "data.zarr").exists():
        command = f"spatialhist explore {shlex.quote(cv.folder.name)} --out {shlex.quote(page)}"
    else:
        command = f"sh.report.explore(sdata, {json.dumps(page)}, scores=scores)"
    return {"command": command, "link": PAGE if beside else None, "folder": cv.folder.name}


def _weights(stack: Stack | None) -> Table | None:
    """Weight of each model, mean over genes, by which each group was evaluated, and for new slides."""
    if stack is None or stack.method != "nnls":
        return None
    combiners = {**stack.by_group, "new slides": stack.final}
    names = [m.name for m in stack.cv.models]
    rows = [[to, *(float(w) for w in combiner.weights.mean(axis=1))] for to, combiner in combiners.items()]
    return Table(["held-out group", *names, "sum"], [[*row, sum(row[1:])] for row in rows])

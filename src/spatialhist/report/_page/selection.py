"""What selected spots, genes and slides, and whether the scores belong to the run they stand beside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import tl
from spatialhist._sdata.layers import recorded
from spatialhist.report._page.score_tables import Table
from spatialhist.tl._runs.selection import spellings
from spatialhist.tl._scores.belonging import ABOUT, edited
from spatialhist.tl._scores.metrics import HEADLINE

if TYPE_CHECKING:
    import pandas as pd

    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl import CrossValidation

SAME = 2e-6
"""Difference of two means up to which they are of the same scores: cards hold six digits."""


def warnings_of(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame) -> list[str]:
    """What a reader has to know before the numbers, one sentence each."""
    about = scores.attrs.get(ABOUT, {})
    said = [*cv.manifest.selection.get("told", []), *spellings(cohort.table, cohort.table_key), *about.get("told", [])]
    every = dict.fromkeys([*said, *_of_other_scores(cv, scores, about), *_in_part(cv, scores)])
    return [text[:1].upper() + text[1:] for text in every]


def _in_part(cv: CrossValidation, scores: pd.DataFrame) -> Iterator[str]:
    lost, every = _not_scored(cv, scores), cv.manifest.slides
    if lost:
        yield f"Scores of {len(every) - len(lost)} of {len(every)} slides of the run: {', '.join(lost)} are not scored."


def _of_other_scores(cv: CrossValidation, scores: pd.DataFrame, about: dict[str, Any]) -> Iterator[str]:
    """Reasons why the scores are not those of the run."""
    runs = about.get("runs", [])
    if runs and cv.run_id not in runs:
        yield "The scores are of another run: call sh.tl.evaluate again, and hand in what it returns."
    elif changed := edited(scores):
        yield f"The scores were edited after sh.tl.evaluate returned them: {', '.join(changed)}."
    elif not runs and (differ := _differ(cv, scores)):
        yield (
            f"The scores differ from those that the run keeps of itself ({differ}), and what they were made of is not recorded "
            "in the table: they may be edited, of another run, or of some of its slides and spots."
        )


def _differ(cv: CrossValidation, scores: pd.DataFrame) -> str:
    """Means of predictors that are not those of the card."""
    own = {entry["predictor"]: entry["mean"] for entry in cv.card().get("scores", []) if entry["kind"] != "oracle"}
    now = tl.summarize(scores, metric=HEADLINE)["mean"]
    pairs = [(name, float(now[name]), own[name]) for name in own if name in now and own[name] is not None]
    return ", ".join(f"{name} {a:.3f} instead of {b:.3f}" for name, a, b in pairs if not abs(a - b) <= SAME)


def collect(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame) -> Table:
    """Everything that selected what the run is made and scored on."""
    return Table(["what", "chosen"], [[what, chosen] for what, chosen in _rows(cohort, cv, scores) if chosen])


def _rows(cohort: Cohort, cv: CrossValidation, scores: pd.DataFrame) -> Iterator[tuple[str, str]]:
    chosen, about = cv.manifest.selection, scores.attrs.get(ABOUT, {})
    yield "genes", chosen.get("genes", "")
    yield "genes in every panel, named by the caller", ", ".join(chosen.get("always", []))
    yield "groups", chosen.get("groups", "")
    yield "what the encoder says it was trained on", chosen.get("encoder_trained_on", "")
    yield "slides left out of the run", ", ".join(chosen.get("slides_left_out", []))
    yield "spots left out of the run", ", ".join(f"{n} of {s}" for s, n in chosen.get("spots_left_out", {}).items())
    yield "spots pooled from bins or cells", ", ".join(f"{s} to {um}" for s, um in chosen.get("pooled", {}).items())
    for step, made in chosen.get("steps", {}).items():
        yield step, ", ".join(f"{key}={value}" for key, value in made.items())
    yield "slides of the run that are not scored", ", ".join(_not_scored(cv, scores))
    yield "spots that are scored", _scored(cv, scores)
    yield "min_counts of scored spots", str(about.get("min_counts", ""))
    yield "layers that were predicted", _runs(cohort, cv)


def _not_scored(cv: CrossValidation, scores: pd.DataFrame) -> list[str]:
    return [slide for slide in cv.manifest.slides if slide not in set(scores["slide"])]


def _scored(cv: CrossValidation, scores: pd.DataFrame) -> str:
    """Scored spots of those of the run, where fewer."""
    of_slide = scores[scores["slide"].isin(list(cv.manifest.slides)) & (scores["kind"] != "oracle")]
    known = of_slide.groupby("slide")["n"].max()
    fewer = {s: (int(n), cv.manifest.slides[s].spots) for s, n in known.items() if np.isfinite(n)}
    lost = {s: pair for s, pair in fewer.items() if pair[1] is not None and pair[0] < pair[1]}
    return ", ".join(f"{n} of the {of} spots of the run on {slide}" for slide, (n, of) in lost.items())


def _runs(cohort: Cohort, cv: CrossValidation) -> str:
    """How often this object was cross-validated for this layer, where more than once."""
    runs = recorded(cohort.table, "cross_validate").get("runs", [])
    return f"{len(runs)} runs of this object, all of which its owner may have compared" if len(runs) > 1 else ""

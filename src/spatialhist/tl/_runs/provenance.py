"""What is remembered of predictions of a run."""

from __future__ import annotations

from typing import Any

from spatialhist.tl._runs.cross_validation import CrossValidation


def oof_record(cv: CrossValidation, predictor: str, kind: str) -> dict[str, Any]:
    """Provenance of an out-of-fold layer: what it predicts, and which slides each prediction was fitted on."""
    manifest, groups = cv.manifest, cv.manifest.group_of
    return {
        "step": "cross_validate",
        "run_id": cv.run_id,
        "predictor": predictor,
        "kind": kind,
        "target": manifest.layer,
        "ranking": manifest.ranking,
        "slides": list(groups),
        "groups": list(groups.values()),
        "seed": manifest.seed,
    }


def what_is_scored(cv: CrossValidation) -> dict[str, Any]:
    """What a card says of the run that it scores: its id, its layer, the group of each slide, and what selected."""
    manifest = cv.manifest
    return {
        "run_id": cv.run_id,
        "layer": manifest.layer,
        "groups": manifest.group_of,
        "selection": manifest.selection,
    }

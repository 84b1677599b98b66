"""Words of version 0.1.0, as folders and stores still hold them, in those of this version."""

from __future__ import annotations

from typing import Any

BASELINES = {
    "null_mean": "baseline_mean",
    "null_donor": "baseline_patient",
    "null_position": "baseline_position",
    "null_color": "baseline_color",
    "null_permuted": "control_permuted",
}
VERDICTS = {"trust": "reliable", "do not trust": "unreliable"}
KINDS = {"null": "baseline"}


def label(predictor: str, kind: str) -> tuple[str, str]:
    """Name and kind of a predictor; a model keeps its name, which its author may have chosen."""
    kind = KINDS.get(kind, kind)
    return (BASELINES.get(predictor, predictor) if kind == "baseline" else predictor), kind


def card(stored: dict[str, Any]) -> dict[str, Any]:
    """Scores and genes of a card."""
    return stored | {
        "scores": [_score(entry) for entry in stored.get("scores", [])],
        "genes": {gene: _gene(facts) for gene, facts in stored.get("genes", {}).items()},
    }


def _score(entry: dict[str, Any]) -> dict[str, Any]:
    predictor, kind = label(entry["predictor"], entry["kind"])
    return entry | {"predictor": predictor, "kind": kind}


def _gene(facts: dict[str, Any]) -> dict[str, Any]:
    facts = {"baseline" if column == "null" else column: value for column, value in facts.items()}
    return facts | {"verdict": VERDICTS.get(facts["verdict"], facts["verdict"])}


def identity(stored: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a run, with its baselines under their present key."""
    return {"baselines" if key == "nulls" else key: value for key, value in stored.items()}

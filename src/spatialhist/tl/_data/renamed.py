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
MODELS = {
    ("KernelRidge", "kernel_ridge_raw"): "kernel_ridge",
    ("FeatureNetwork", "head"): "mlp",
    ("FeatureNetwork", "head_raw"): "mlp_raw",
}
"""Class and name: another class of this name has an author of its own."""
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


def current_description(data: dict[str, Any], design: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the description of a predictor so that it can be compared with one that this version writes.

    Parameters
    ----------
    data
        Class and parameters.
    design
        What the run looks at, as JSON holds it. It tells whether positions of feature blocks are all of the encoder's own,
        and whether the baseline of color saw features of another encoder. None where neither matters.
    """
    if data["class"].startswith("custom:"):
        # version 0.1.0 held them of every dataclass; what a predictor of the user's does is in its hash
        return {k: v for k, v in data.items() if k not in ("kind", "needs_tiles")}
    data = dict(data)
    if (former := (data["class"], data.get("name"))) in MODELS:
        data["name"] = MODELS[former]
    if "extents" in data:
        data["blocks"] = "all" if data["extents"] is None else data["extents"]
    if data.get("kind") == "null":
        data = _baseline(data, design)
    data = {k: v for k, v in data.items() if k not in ("kind", "needs_tiles", "extents", "shuffle")}
    if design and data.get("blocks") == list(range(len(design["extents"]))):
        data["blocks"] = "own"
    return data | {k: current_description(v, design) for k, v in data.items() if isinstance(v, dict)}


def _baseline(data: dict[str, Any], design: dict[str, Any] | None) -> dict[str, Any]:
    """Describe a baseline by its own class: two of them have been ridges with options."""
    named = {"class": data["class"], "name": BASELINES.get(data["name"], data["name"])}
    if data["class"] != "Ridge":
        return data | named | ({"class": "PatientMean"} if data["class"] == "DonorMean" else {})
    ridge = {k: v for k, v in data.items() if k != "kind"} | {"name": "ridge"}
    if data["shuffle"]:
        return named | {"class": "Permuted", "predictor": ridge}
    if data["name"] == "null_color" and (design is None or design["encoder"] == "color_texture"):
        return named | {"class": "ColorBaseline", "predictor": ridge | {"blocks": [0]}}
    return named | {"class": "SingleScale", "predictor": ridge}

"""The card of a model as its file holds it, read without the libraries that scores are computed with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spatialhist._runtime.files import BROKEN, intact, write_json
from spatialhist.tl._data import renamed

CARD = "card.json"
RELIABLE, WEAK, UNRELIABLE = VERDICTS = ("reliable", "weak", "unreliable")
NUMBERS = [
    "score", "baseline", "ceiling", "fraction", "beyond_depth", "baseline_beyond_depth", "ceiling_beyond_depth",
]  # fmt: skip
RANGE = ("measured_low", "measured_high")
GENE_NUMBERS = [*NUMBERS, *RANGE]


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Put a card into the folder of what it describes."""
    write_json(folder / CARD, card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read a card; empty where there is none.

    Raises
    ------
    ValueError
        If it is broken.
    """
    path = folder / CARD
    if not path.exists():
        return {}
    with intact(path, errors=(*BROKEN, ValueError)):
        card = renamed.card(json.loads(path.read_text()))
        _check(card)
    return card


def _check(card: dict[str, Any]) -> None:
    """Refuse a card of which a later step would make something else than was evaluated.

    Raises
    ------
    TypeError
        Naming the gene or the predictor.
    """
    for entry in card["scores"]:
        if not isinstance(entry["predictor"], str) or not _is_number(entry["mean"]):
            raise TypeError(f"score of predictor {entry['predictor']!r} is {entry['mean']!r}")
    for gene, facts in card["genes"].items():
        wrong = [name for name in GENE_NUMBERS if not _is_number(facts.get(name))]
        if wrong or facts["verdict"] not in (None, *VERDICTS):
            raise TypeError(f"gene {gene!r} has { ({name: facts.get(name) for name in [*wrong, 'verdict']}) }")


def _is_number(value: Any) -> bool:
    """Whether it is a number, or known to be missing."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def count_genes(card: dict[str, Any], genes: Iterable[str]) -> dict[str, int]:
    """Number of genes by verdict, of those that a model predicts; empty for a model that was not evaluated."""
    rated = card.get("genes", {})
    found = [rated[gene]["verdict"] for gene in genes if gene in rated]
    counts = {verdict: found.count(verdict) for verdict in VERDICTS}
    return counts if any(counts.values()) else {}

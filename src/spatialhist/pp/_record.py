"""Provenance of steps that work slide by slide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spatialhist import _keys
from spatialhist._sdata.layers import record, recorded

if TYPE_CHECKING:
    from anndata import AnnData


def record_slides(table: AnnData, key: str, per_slide: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember how ``key`` was made on some slides; what is known of the others stays."""
    known = recorded(table, key).get("slides", {})
    record(table, key, {"slides": {**known, **{_keys.sanitize(s): p for s, p in per_slide.items()}}})

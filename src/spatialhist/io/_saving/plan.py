"""What a save will do to a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialhist.io._saving import history

PLACE = "transformations/"
"""Before the name of an image or mask, where the history of a store tells that it was moved."""


@dataclass
class Plan:
    """What a call will do to the store.

    Attributes
    ----------
    parts
        Staged folder per path in the store; None for what is removed.
    columns
        Columns of the stored data frames whose columns change.
    moved
        Images and masks of which only the transformations have changed, with those that are stored.
    attrs
        Paths of ``sdata.attrs`` that have changed, with what is stored there.
    """

    parts: dict[str, Path | None] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    moved: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> list[str]:
        """Name everything that is written or removed."""
        frames = [f"columns of {frame}" for frame in self.columns]
        moved = [f"transformations of {name}" for name in self.moved]
        return [*self.parts, *frames, *moved, *["attrs"] * bool(self.attrs)]

    def held(self, store: Path) -> history.Digests:
        """Digest of what the store holds where something will change."""
        parts = {path: history.digest(store / path, path) for path in self.parts}
        moved = {PLACE + name: history.digest_json(place) for name, place in self.moved.items()}
        return parts | moved | {path: history.digest_json(value) for path, value in self.attrs.items()}

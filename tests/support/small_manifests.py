"""Manifests of runs that never took place."""

from __future__ import annotations

from typing import Any

from spatialhist.tl._runs.manifest import CROSS_VALIDATION, Manifest


def as_stored(**identity: Any) -> dict[str, Any]:
    """What the folder of a cross-validation of two groups holds, with other parameters."""
    return {
        "format": 1,
        "what": CROSS_VALIDATION,
        "identity": {
            "models": [{"class": "Ridge", "name": "ridge", "components": 6}],
            "baselines": [{"class": "MeanProfile", "name": "the_mean"}],
            "layer": "log1p",
            "design": {"encoder": "color_texture", "extents": [["px", 20.0]], "tile_extent": ["um", 30.0]},
            "seed": 3,
            "threads": 2,
            "groups": ["P1", "P2"],
            "panels": {"P1": [0, 2], "P2": [1, 2]},
        }
        | identity,
        "slides": {
            "A": {
                "pixels": "aa",
                "group": "P2",
                "spots": 3,
                "stain": {"method": "macenko"},
                "mpp": 0.5,
                "pitch_px": 9.0,
            },
            "B": {"pixels": "", "group": "P1", "spots": 4},
        },
        "genes": ["G1", "G2", "G3"],
        "ranking": None,
    }


def manifest(**identity: Any) -> Manifest:
    """The same, read."""
    return Manifest.from_json(as_stored(**identity))

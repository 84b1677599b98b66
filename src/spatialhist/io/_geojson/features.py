"""Features of QuPath from outlines: one a spot, with its measurements."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import whole_file

DECIMALS = 2
"""Of pixels, as QuPath writes them."""
LEVEL = 6
"""Of compression: the highest takes twice the time and saves a fifth."""
Color = list[int]


def to_features(
    outlines: np.ndarray,
    names: Sequence[str],
    measurements: Iterable[dict[str, float]],
    *,
    kind: str,
    classes: Sequence[str | None],
    colors: Sequence[Color | None],
) -> Iterator[dict[str, Any]]:
    """Make a feature of every outline that has a place; the layout is that of QuPath 0.4 to 0.6."""
    import shapely
    from shapely.geometry import mapping

    outlines = shapely.transform(outlines, lambda xy: xy.round(DECIMALS))
    placed = np.isfinite(shapely.bounds(outlines)).all(axis=1)
    color_of = _class_colors(classes)
    for i, values in enumerate(measurements):
        if not placed[i]:
            continue
        about: dict[str, Any] = {"objectType": kind, "name": names[i]}
        if colors[i] is not None:
            about["color"] = colors[i]
        if (name := classes[i]) is not None:
            # QuPath reads no class without a color
            about["classification"] = {"name": name, "color": color_of[name]}
        yield {"type": "Feature", "geometry": mapping(outlines[i]), "properties": about | {"measurements": values}}


def to_measurements(values: np.ndarray, genes: Sequence[str]) -> Iterator[dict[str, float]]:
    """Name the values of each spot; those that are not known are left out, since JSON has no NaN."""
    for row in values:
        yield {gene: _short(value) for gene, value in zip(genes, row.tolist(), strict=True) if math.isfinite(value)}


def _short(value: float) -> float:
    """A float32 without the digits that it does not hold."""
    return float(f"{value:.6g}")


def color_values(values: np.ndarray, cmap: str) -> list[Color | None]:
    """Color values from the lowest to the highest one; those that are not known get no color."""
    import matplotlib as mpl

    if cmap not in mpl.colormaps:
        raise ValueError(f"cmap={cmap!r} is no color map of matplotlib: choose another one, such as 'viridis'")
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    colors = mpl.colormaps[cmap]((np.where(known, values, low) - low) / (high - low or 1), bytes=True)
    return [color[:3].tolist() if k else None for color, k in zip(colors, known, strict=True)]


def _class_colors(classes: Sequence[str | None]) -> dict[str, Color]:
    import matplotlib as mpl

    names = sorted({name for name in classes if name is not None})
    palette = mpl.colormaps["tab20"]
    return {name: list(map(int, palette(i % palette.N, bytes=True)[:3])) for i, name in enumerate(names)}


def write_features(path: Path, features: Iterable[dict[str, Any]]) -> int:
    """Write a collection of features whole, compressed where the name ends in ``.gz``, and count them."""
    n = 0
    with whole_file(path) as new, ExitStack() as stack:
        opened = gzip.open(new, "wt", LEVEL, "utf-8") if path.suffix == ".gz" else open(new, "w", encoding="utf-8")
        file = stack.enter_context(opened)
        file.write('{"type": "FeatureCollection", "features": [')
        for n, feature in enumerate(features, 1):
            file.write(",\n" if n > 1 else "\n")
            file.write(json.dumps(feature, allow_nan=False))
        file.write("\n]}\n")
    return n

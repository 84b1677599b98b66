"""The spots of a run as predictors see them, laid out in a folder so that every worker reads the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist.tl._folder import intact
from spatialhist.tl._panel import make_targets

TILES = "tiles.npy"
CLIP = 8.0
"""Standardised features are clipped here: one odd tile must not steer a linear model."""


@dataclass(frozen=True)
class Samples:
    """Some spots, with everything a predictor may look at.

    Attributes
    ----------
    slide, group, patient
        Ids ``(n,)``; the patient is ``""`` where unknown.
    position
        Spot centres ``(n, 2)``, relative to the centre of the slide's spots, in pitches.
    features
        One array ``(n, F)`` per extent, as the encoder gave them.
    standardized
        The same, relative to mean and deviation of the slide's own tissue.
    tiles
        ``(n, 3, pixels, pixels)`` uint8, in memory or read a batch at a time; None where no predictor asked for pixels.
    targets
        ``(n, genes)`` float32, or None where there is nothing to learn from.
    """

    slide: np.ndarray
    group: np.ndarray
    patient: np.ndarray
    position: np.ndarray
    features: tuple[np.ndarray, ...]
    standardized: tuple[np.ndarray, ...]
    tiles: np.ndarray | StoredTiles | None = None
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.slide)

    def take(self, rows: np.ndarray) -> Samples:
        """Some of the spots."""
        return Samples(
            slide=self.slide[rows],
            group=self.group[rows],
            patient=self.patient[rows],
            position=self.position[rows],
            features=tuple(f[rows] for f in self.features),
            standardized=tuple(f[rows] for f in self.standardized),
            tiles=None if self.tiles is None else self.tiles[rows],
            targets=None if self.targets is None else self.targets[rows],
        )

    def inner_groups(self) -> np.ndarray:
        """Who may be held out inside: groups, or slides where only one group is left."""
        return self.group if len(np.unique(self.group)) > 1 else self.slide


@dataclass(frozen=True)
class StoredTiles:
    """Tiles of some spots in a file, read when they are indexed; what is indexed is an array in memory.

    A fit on any number of spots so holds the tiles of a batch, and workers share what the system keeps of the file.

    Attributes
    ----------
    path
        ``.npy`` file with the tiles of all spots.
    rows
        Spots that this is about, as positions in the file.
    """

    path: Path
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(np.load(self.path, mmap_mode="r", allow_pickle=False)[self.rows[index]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.uint8, copy=False)


def standardize(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features relative to a slide's own tissue; a feature that is constant there becomes 0."""
    safe = np.where(deviation > 1e-6, deviation, np.inf)
    return np.clip((features - mean) / safe, -CLIP, CLIP).astype(np.float32)


@dataclass(frozen=True)
class Inputs:
    """A folder with the spots of a run; arrays are read lazily.

    ``values`` holds the columns that any panel of the run needs, before ranking.
    """

    folder: Path
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Inputs:
        """Open what :func:`write_inputs` wrote."""
        with intact(folder):
            return cls(folder, json.loads((folder / "inputs.json").read_text()))

    def _array(self, name: str) -> np.ndarray:
        with intact(self.folder):
            return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self._array("slide_code"))

    @property
    def tile_gb(self) -> float:
        """Size of the stored tiles."""
        path = self.folder / TILES
        return path.stat().st_size / 1e9 if path.exists() else 0.0

    def column(self, name: str) -> np.ndarray:
        """``"slide"``, ``"group"`` or ``"patient"`` of every spot."""
        return np.asarray(self.meta[name])[self._array("slide_code")]

    def samples(self, rows: np.ndarray, genes: Sequence[int] | None = None, *, tiles: bool = False) -> Samples:
        """Read some spots; ``genes`` are positions in ``values``, None for spots to be predicted."""
        features = tuple(self._array(f"features_{e}")[rows] for e in range(self.meta["n_extents"]))
        slide_code = self._array("slide_code")[rows]
        statistics = [self._array(f"statistics_{e}")[slide_code] for e in range(self.meta["n_extents"])]
        values = None if genes is None else self._array("values")[rows][:, np.asarray(genes, dtype=int)]
        return Samples(
            slide=self.column("slide")[rows],
            group=self.column("group")[rows],
            patient=self.column("patient")[rows],
            position=self._array("position")[rows],
            features=features,
            standardized=tuple(standardize(f, s[:, 0], s[:, 1]) for f, s in zip(features, statistics, strict=True)),
            tiles=StoredTiles(self.folder / TILES, rows) if tiles else None,
            targets=None if values is None else make_targets(np.asarray(values), self.meta["ranking"]),
        )


def write_inputs(
    folder: Path,
    *,
    slides: Sequence[str],
    groups: Sequence[str],
    patients: Sequence[str],
    slide_code: np.ndarray,
    position: np.ndarray,
    features: Sequence[np.ndarray],
    statistics: Sequence[np.ndarray],
    values: np.ndarray,
    tiles: Iterable[np.ndarray] | None,
    ranking: dict[str, Any] | None,
) -> Inputs:
    """Write the spots of a run.

    Parameters
    ----------
    folder
        Created where missing.
    slides, groups, patients
        One entry a slide.
    slide_code
        Slide number of every spot ``(n,)``.
    position
        ``(n, 2)``.
    features
        ``(n, F)`` per extent.
    statistics
        ``(slides, 2, F)`` per extent: mean and deviation over the slide's tissue.
    values
        ``(n, columns)`` target values of the union of all panels.
    tiles
        ``(n, 3, pixels, pixels)`` uint8 in parts, written one after another; or None.
    ranking
        How targets are ranked within a panel, None if they are not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"slide_code": slide_code, "position": position, "values": values}
    arrays |= {f"features_{e}": f for e, f in enumerate(features)}
    arrays |= {f"statistics_{e}": s for e, s in enumerate(statistics)}
    if tiles is not None:
        _write_tiles(folder / TILES, tiles, len(slide_code))
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    meta = {
        "slide": list(slides),
        "group": list(groups),
        "patient": list(patients),
        "n_extents": len(features),
        "ranking": ranking,
    }
    (folder / "inputs.json").write_text(json.dumps(meta))
    return Inputs(folder, meta)


def _write_tiles(path: Path, parts: Iterable[np.ndarray], n: int) -> None:
    """Write slide by slide: no more than the tiles of one slide are in memory."""
    start, stored = 0, None
    for part in parts:
        if stored is None:
            stored = np.lib.format.open_memmap(path, mode="w+", dtype=part.dtype, shape=(n, *part.shape[1:]))
        stored[start : start + len(part)] = part
        start += len(part)

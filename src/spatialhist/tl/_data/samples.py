"""The spots of a run as predictors see them, laid out in a folder so that every worker reads the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spatialhist._runtime.files import intact

TILES = "tiles.npy"
BLOCKS = "blocks.json"
"""What the blocks of features are; apart from what is hashed, since version 0.1.0 did not write it."""
DEPTH = "depth.npy"
"""How deep spots are; apart from what is hashed, since earlier runs hold none, and the manifest has a hash of its own."""
CLIP = 8.0
"""Standardized features are clipped here: one odd tile must not steer a linear model."""
ROWS = 8192
"""Spots whose features are in memory at once, where a step goes through all of them."""


def row_parts(n: int) -> Iterator[slice]:
    """Some of ``n`` spots after the other; at least one part, which may be empty."""
    return (slice(start, start + ROWS) for start in range(0, max(n, 1), ROWS))


@dataclass(frozen=True)
class StoredBlocks(Sequence[np.ndarray]):
    """Features of some spots in files: one array ``(n, F)`` per block, read when it is indexed.

    Attributes
    ----------
    arrays
        Features of all spots of the run, per block.
    rows
        Spots that this is about, as positions in the files.
    statistics
        ``(slides, 2, F)`` per block: mean and deviation that features are relative to; None for features as they are.
    slide_code
        Slide of each of the spots, as position in these.
    """

    arrays: tuple[np.ndarray, ...]
    rows: np.ndarray
    statistics: tuple[np.ndarray, ...] | None
    slide_code: np.ndarray

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, block: Any) -> Any:
        if isinstance(block, slice):
            return tuple(self[e] for e in range(len(self))[block])
        values = self.arrays[block][self.rows]
        if self.statistics is not None:
            # picking rows by position copied them, so that they may be written to
            for part in row_parts(len(values)):
                mean, deviation = self.statistics[block][self.slide_code[part]].swapaxes(0, 1)
                values[part] = standardize(values[part], mean, deviation)
        return values

    def take(self, rows: Any) -> StoredBlocks:
        """The same blocks of some of the spots."""
        return StoredBlocks(self.arrays, self.rows[rows], self.statistics, self.slide_code[rows])


Blocks = Literal["own", "all"] | tuple[int, ...]
"""Which blocks of features: those of the encoder's fields of view, averages over the context too, or positions."""


@dataclass(frozen=True)
class Samples:
    """Some spots, with everything that a :class:`Predictor` may look at.

    Training spots come from several slides; those to be predicted have no targets. Take features by :meth:`blocks`, some of
    the spots by :meth:`take`, and leave the arrays as they are: others read them too.

    Attributes
    ----------
    slide, group, patient
        Ids ``(n,)``; the patient is ``""`` where it is unknown, the group on a new slide.
    position
        Spot centers ``(n, 2)``, relative to the center of the slide's spots, in spot spacings.
    features
        Blocks of features ``(n, F)`` float32 as the encoder gave them: one per field of view, then one per average over
        the context. A block is read when it is indexed, so that no more of them than needed are in memory.
    standardized
        The same, relative to mean and deviation of the slide's own tissue, which cancels most of what staining and scanner
        add.
    tiles
        ``(n, 3, pixels, pixels)`` uint8, in memory or read a batch at a time (index them); None where no predictor asked
        for pixels.
    targets
        ``(n, genes)`` float32, finite, in the units of the layer that is predicted; None for spots to be predicted.
    n_own
        Blocks that are fields of view; None where all are.
    color
        A single block, color and texture of one field of view, with any encoder, for baselines; None on a new slide.
    depth
        Total counts of every spot ``(n,)`` over all genes of the table; None for spots to be predicted, and where no
        predictor of the run has ``needs_depth = True``.

    Examples
    --------
    >>> import numpy as np
    >>> from spatialhist.tl import Samples
    >>> samples = Samples(
    ...     slide=np.array(["S1", "S1", "S2"]),
    ...     group=np.array(["P1", "P1", "P2"]),
    ...     patient=np.array(["P1", "P1", "P2"]),
    ...     position=np.zeros((3, 2)),
    ...     features=[np.ones((3, 5)), np.ones((3, 5))],
    ...     standardized=[np.zeros((3, 5)), np.zeros((3, 5))],
    ...     targets=np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]]),
    ... )
    >>> np.hstack(samples.blocks(True, "own")).shape
    (3, 10)
    >>> len(samples.take(samples.group != "P2"))
    2
    """

    slide: np.ndarray
    group: np.ndarray
    patient: np.ndarray
    position: np.ndarray
    features: Sequence[np.ndarray]
    standardized: Sequence[np.ndarray]
    tiles: np.ndarray | StoredTiles | None = None
    targets: np.ndarray | None = None
    n_own: int | None = None
    color: Sequence[np.ndarray] | None = None
    depth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.slide)

    @property
    def training_targets(self) -> np.ndarray:
        """Targets of spots that are trained on.

        Raises
        ------
        ValueError
            If these are spots to be predicted.
        """
        if self.targets is None:
            raise ValueError(f"the {len(self)} samples have no targets: they are spots to be predicted")
        return self.targets

    @property
    def training_depth(self) -> np.ndarray:
        """Total counts of spots that are trained on.

        Raises
        ------
        ValueError
            If they were not gathered, or these are spots to be predicted.
        """
        if self.depth is None:
            raise ValueError(
                "the samples hold no depth: set needs_depth = True on the predictor, and read it in fit alone, since spots to "
                "be predicted have none"
            )
        return self.depth

    @property
    def needed_tiles(self) -> np.ndarray | StoredTiles:
        """Tiles, for a predictor that needs them.

        Raises
        ------
        ValueError
            If none were read.
        """
        if self.tiles is None:
            raise ValueError("the samples hold no tiles: set needs_tiles = True on the predictor")
        return self.tiles

    def take(self, rows: np.ndarray) -> Samples:
        """Return some of the spots.

        Parameters
        ----------
        rows
            Positions, or a boolean per spot.

        Returns
        -------
        Samples
            These spots.
        """
        return Samples(
            slide=self.slide[rows],
            group=self.group[rows],
            patient=self.patient[rows],
            position=self.position[rows],
            features=_take(self.features, rows),
            standardized=_take(self.standardized, rows),
            tiles=None if self.tiles is None else self.tiles[rows],
            targets=None if self.targets is None else self.targets[rows],
            n_own=self.n_own,
            color=None if self.color is None else _take(self.color, rows),
            depth=None if self.depth is None else self.depth[rows],
        )

    def blocks(self, standardized: bool, which: Blocks = "own", rows: Any = slice(None)) -> list[np.ndarray]:
        """Return features of some of the spots.

        Parameters
        ----------
        standardized
            Relative to the slide's own tissue, or as the encoder gave them.
        which
            ``"own"`` for the encoder's fields of view, ``"all"`` for averages over the context too, or positions.
        rows
            Which spots.

        Returns
        -------
        list
            One array ``(n, F)`` per block.
        """
        blocks = _take(self.standardized if standardized else self.features, rows)
        if isinstance(which, str):
            return [blocks[i] for i in range(len(blocks))[: self.n_own if which == "own" else None]]
        return [blocks[i] for i in which]

    def inner_groups(self) -> np.ndarray:
        """Return what may be left out to choose something: groups, or slides where there is only one group.

        Returns
        -------
        numpy.ndarray
            One name per spot.
        """
        return self.group if len(np.unique(self.group)) > 1 else self.slide


def _take(blocks: Sequence[np.ndarray], rows: Any) -> Sequence[np.ndarray]:
    return blocks.take(rows) if isinstance(blocks, StoredBlocks) else tuple(b[rows] for b in blocks)


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
    # float32 leaves a constant feature a deviation of about its rounding, which must not become its unit
    # infinity, not 1: a division by it gives the 0 that is promised
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
        blocks = folder / BLOCKS
        with intact(folder):
            meta = json.loads((folder / "inputs.json").read_text())
            return cls(folder, meta | (json.loads(blocks.read_text()) if blocks.exists() else {}))

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
        from spatialhist.tl._data.panel import make_targets

        blocks = range(self.meta["n_extents"])
        arrays = tuple(np.asarray(self._array(f"features_{e}")) for e in blocks)
        statistics = tuple(np.asarray(self._array(f"statistics_{e}")) for e in blocks)
        slide_code = np.asarray(self._array("slide_code"))[rows]
        values = None if genes is None else self._array("values")[rows][:, np.asarray(genes, dtype=int)]
        return Samples(
            slide=self.column("slide")[rows],
            group=self.column("group")[rows],
            patient=self.column("patient")[rows],
            position=self._array("position")[rows],
            features=StoredBlocks(arrays, rows, None, slide_code),
            standardized=StoredBlocks(arrays, rows, statistics, slide_code),
            tiles=StoredTiles(self.folder / TILES, rows) if tiles else None,
            targets=None if values is None else make_targets(np.asarray(values), self.meta["ranking"]),
            n_own=self.meta.get("n_own"),
            color=self._colors(arrays, rows, slide_code),
            # a spot to be predicted has none: depth follows from its counts, as its labels do
            depth=self._depth(rows) if genes is not None else None,
        )

    def _depth(self, rows: np.ndarray) -> np.ndarray | None:
        return np.asarray(self._array("depth")[rows]) if (self.folder / "depth.npy").exists() else None

    def _colors(self, arrays: tuple[np.ndarray, ...], rows: np.ndarray, slide_code: np.ndarray) -> StoredBlocks | None:
        """Color and texture: a block of the run's own encoder, or one of its own."""
        block = self.meta.get("color")
        if (self.folder / "colors.npy").exists():
            return StoredBlocks((np.asarray(self._array("colors")),), rows, None, slide_code)
        return None if block is None else StoredBlocks((arrays[block],), rows, None, slide_code)


def write_inputs(
    folder: Path,
    *,
    slides: Sequence[str],
    groups: Sequence[str],
    patients: Sequence[str],
    slide_code: np.ndarray,
    position: np.ndarray,
    features: Iterable[Sequence[np.ndarray]],
    statistics: Sequence[np.ndarray],
    values: np.ndarray,
    tiles: Iterable[np.ndarray] | None,
    ranking: dict[str, Any] | None,
    n_own: int | None = None,
    color: int | None = None,
    colors: np.ndarray | None = None,
    depth: np.ndarray | None = None,
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
        ``(m, F)`` per block, spot after spot in parts, written one after another.
    statistics
        ``(slides, 2, F)`` per block: mean and deviation over the slide's tissue.
    values
        ``(n, columns)`` target values of the union of all panels.
    tiles
        ``(n, 3, pixels, pixels)`` uint8 in parts, written one after another; or None.
    ranking
        How targets are ranked within a panel, None if they are not.
    n_own
        Blocks that are fields of view, None where all are.
    color
        Which block holds color and texture, None where none does.
    colors
        Color and texture ``(n, F)``, where no block holds them and a baseline asked for them.
    depth
        Total counts ``(n,)``, where a predictor asked for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"slide_code": slide_code, "position": position, "values": values}
    arrays |= {f"statistics_{e}": s for e, s in enumerate(statistics)}
    arrays |= {name: array for name, array in (("colors", colors), ("depth", depth)) if array is not None}
    _write_parts([folder / f"features_{e}.npy" for e in range(len(statistics))], features, len(slide_code))
    if tiles is not None:
        _write_parts([folder / TILES], ([part] for part in tiles), len(slide_code))
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    meta = {
        "slide": list(slides),
        "group": list(groups),
        "patient": list(patients),
        "n_extents": len(statistics),
        "ranking": ranking,
    }
    (folder / "inputs.json").write_text(json.dumps(meta))
    (folder / BLOCKS).write_text(json.dumps({"n_own": n_own, "color": color}))
    return Inputs.open(folder)


def _write_parts(paths: Sequence[Path], parts: Iterable[Sequence[np.ndarray]], n: int) -> None:
    """Write arrays of ``n`` rows, an array a file, part by part: no more than a part is in memory."""
    start, stored = 0, None
    for part in parts:
        if stored is None:
            stored = [
                np.lib.format.open_memmap(path, mode="w+", dtype=rows.dtype, shape=(n, *rows.shape[1:]))
                for path, rows in zip(paths, part, strict=True)
            ]
        for array, rows in zip(stored, part, strict=True):
            array[start : start + len(rows)] = rows
        start += len(part[0])

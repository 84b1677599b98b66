"""Predict many points of a slide block by block, here or in other processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.executor import run_tasks
from spatialhist._runtime.files import load_array, write_array
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.geometry import open_image
from spatialhist._sdata.pixel_hash import pixel_hash
from spatialhist.nn import get_encoder
from spatialhist.tiles import PixelSource
from spatialhist.tiles._features.encode import encode_tiles, encoding_reader
from spatialhist.tl._data.context import Surroundings
from spatialhist.tl._data.features import SlideFeatures, relative_position, slide_features
from spatialhist.tl._data.gather import point_samples
from spatialhist.tl._inference.grid import areas

if TYPE_CHECKING:
    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl._inference.grid import Grid
    from spatialhist.tl._inference.trained import Applier


@dataclass(frozen=True)
class Block:
    """What is the same for all blocks of a slide; small enough to be sent along with each.

    Attributes
    ----------
    slide, patient
        Ids.
    training_slide
        Name under which the run was trained on the slide.
    source
        The pixels.
    extents_px, tile_extent_px
        Sides of the squares that features and networks look at, in pixels of the source.
    pixels, tile_pixels
        Sides of their tiles.
    statistics
        Mean and deviation of the features over the slide's tissue.
    surroundings
        What is averaged around points.
    encoder
        Its name, or the callable.
    applier
        The model.
    """

    slide: str
    patient: str | None
    training_slide: str | None
    source: PixelSource
    extents_px: tuple[float, ...]
    tile_extent_px: float | None
    pixels: int
    tile_pixels: int
    statistics: list[np.ndarray]
    surroundings: Surroundings
    encoder: str | Callable[..., Any]
    applier: Applier

    @classmethod
    def of(cls, cohort: Cohort, grid: Grid, applier: Applier) -> Block:
        """Take it from a slide; its tissue is encoded."""
        design, slide = grid.design, grid.slide
        with pinned_threads(applier.threads):
            tissue = slide_features(cohort, slide, grid.points[:0], design, _encoder(design.encoder), None)
        opened = [open_image(cohort.sdata, slide, spec.extent, design.image) for spec in design.specs]
        tile = (
            open_image(cohort.sdata, slide, design.tile_spec.extent, design.image)[1] if applier.needs_tiles else None
        )
        return cls(
            slide, cohort.patient(slide), grid.training_slide, PixelSource(opened[0][0]), tuple(e for _, e in opened),
            tile, design.pixels, design.tile_pixels, tissue.statistics, tissue.surroundings, design.encoder, applier,
        )  # fmt: skip

    def predict(self, points: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict ``(n, genes)`` at points of the image, and say ``(n,)`` how far they are from training spots."""
        encode = _encoder(self.encoder)
        with pinned_threads(self.applier.threads):
            spots = [
                encode_tiles(encoding_reader(self.source), points, encode, extent_px=extent, pixels=self.pixels)
                for extent in self.extents_px
            ]
            tiles = None
            if self.tile_extent_px is not None:
                tiles = encoding_reader(self.source).read(points, self.tile_extent_px, self.tile_pixels)
            blocks = SlideFeatures(points, spots, self.statistics, self.surroundings).blocks()
            samples = point_samples(self.slide, self.patient, position, blocks, self.statistics, tiles)
            values = self.applier.predict(samples, training_slide=self.training_slide)
            return values, self.applier.out_of_distribution(samples, training_slide=self.training_slide)


def predict_blocks(
    cohort: Cohort, grid: Grid, applier: Applier, *, block: int, executor: Any, cache: Path | None, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Predict ``(n, genes)`` at all points of a grid, and say ``(n,)`` how far they are from training spots."""
    from tqdm.auto import tqdm

    values = np.empty((len(grid.points), len(applier.genes)), dtype=np.float32)
    away = np.empty(len(grid.points), dtype=np.float32)
    with tqdm(total=len(values), desc=f"predict {grid.slide}", unit="spot", disable=not progress) as bar:
        for rows, (predicted, far) in _parts(cohort, grid, applier, block, executor, cache):
            values[rows], away[rows] = predicted, far
            bar.update(len(rows))
    return values, away


def _parts(
    cohort: Cohort, grid: Grid, applier: Applier, block: int, executor: Any, cache: Path | None
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    position = relative_position(grid.points, grid.pitch_px)
    parts = areas(grid.points, grid.spacing_px * np.sqrt(block))
    shared = Block.of(cohort, grid, applier)
    tasks = [(shared, grid.points[rows], position[rows]) for rows in parts]
    if cache is None:
        yield from zip(parts, run_tasks(Block.predict, tasks, executor), strict=True)
        return
    facts = [
        applier.run.run_id,
        applier.name,
        pixel_hash(cohort, grid.slide),
        repr((shared.extents_px, shared.tile_extent_px)),
    ]
    names = [block_name(facts, [*shared.statistics, *task[1:]]) for task in tasks]
    kept = keep_blocks(cache, names, lambda some: run_tasks(Block.predict, [tasks[i] for i in some], executor))
    yield from zip(parts, kept, strict=True)


def _encoder(encoder: str | Callable[..., Any]) -> Callable[..., Any]:
    return _named_encoder(encoder) if isinstance(encoder, str) else get_encoder(encoder)


@lru_cache(maxsize=1)
def _named_encoder(name: str) -> Callable[..., Any]:
    """Keep the weights between the blocks of a process."""
    return get_encoder(name)


Result = tuple[np.ndarray, np.ndarray]
"""Predictions ``(n, genes)``, and how far ``(n,)`` from training."""


def block_name(facts: Sequence[str], arrays: Sequence[np.ndarray]) -> str:
    """Name of a block by everything that its predictions depend on."""
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=20)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def keep_blocks(folder: Path, names: Sequence[str], run: Callable[[list[int]], Iterator[Result]]) -> Iterator[Result]:
    """Yield the result of every block in order: what the folder holds, and the rest as it is computed and kept.

    Parameters
    ----------
    folder
        Made where missing.
    names
        Of the blocks.
    run
        Computes some blocks, given by number, in this order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.npy" for name in names]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    computed: Any = run(missing)
    for i, path in enumerate(paths):
        if i in set(missing):
            values, away = next(computed)
            write_array(path, np.column_stack([values, away]).astype(np.float32))
            yield values, away
        else:
            both = load_array(path)
            yield both[:, :-1], both[:, -1]

"""Predict many points of a slide block by block, here or in other processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.executor import run_tasks
from spatialhist._runtime.files import load_array, write_array
from spatialhist._runtime.threads import pinned_threads
from spatialhist.tiles._features.compute import DEFAULT, Compute
from spatialhist.tiles._features.engines import SentEncoder
from spatialhist.tl._data.features import SlideFeatures, Tissue, View, own_tissue, slide_position
from spatialhist.tl._inference.grid import areas

if TYPE_CHECKING:
    from spatialhist.tl._inference.grid import Grid
    from spatialhist.tl._runs.trained import Trained

TISSUE = "tissue"
"""Folder of the cache for features of a slide's tissue."""
Result = tuple[np.ndarray, np.ndarray]
"""Predictions ``(n, genes)``, and how far ``(n,)`` from training."""


@dataclass(frozen=True)
class Block:
    """What is the same for all blocks of a slide; small enough to be sent along with each.

    Attributes
    ----------
    view
        Pixels of the slide.
    tissue
        Its own tissue.
    training_slide
        Name under which the run was trained on the slide.
    encoder
        The encoder, and how it runs.
    trained
        The model.
    """

    view: View
    tissue: Tissue
    training_slide: str | None
    encoder: SentEncoder
    trained: Trained

    @classmethod
    def of(cls, grid: Grid, trained: Trained, cache: Path | None = None, *, compute: Compute = DEFAULT) -> Block:
        """Take it from a slide; its tissue is encoded, once for all calls where there is a folder for its features.

        Raises
        ------
        ValueError
            If the encoder gives more or fewer features than in training.
        """
        design = grid.design
        view = View.of(grid.slide, design, tiles=trained.needs_tiles)
        encoder = SentEncoder(design.encoder, compute)
        with pinned_threads(trained.threads):
            tissue = own_tissue(grid.slide, view, design, encoder.engine, cache and cache / TISSUE)
        _refuse_other_width(tissue, trained, len(design.extents))
        return cls(view, tissue, grid.training_slide, encoder, trained)

    def predict(self, points: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict ``(n, genes)`` at points of the image, and say ``(n,)`` how far they are from training spots."""
        (result,) = self.predict_parts(points, position, [slice(None)])
        return result

    def predict_parts(self, points: np.ndarray, position: np.ndarray, parts: Sequence[slice]) -> Iterator[Result]:
        """Encode points of the image in one pass over the pixels, and predict them part by part."""
        with pinned_threads(self.trained.threads):
            spots, _ = self.view.encode_spots(points, self.encoder.engine)
            features = SlideFeatures(self.view, self.tissue, points, position, spots)
            for part in parts:
                samples = features.samples(part)
                values = self.trained.predict(samples, training_slide=self.training_slide)
                yield values, self.trained.out_of_distribution(samples, training_slide=self.training_slide)


def _refuse_other_width(tissue: Tissue, trained: Trained, n_extents: int) -> None:
    found, known = sum(s.shape[1] for s in tissue.statistics[:n_extents]), trained.n_features()
    if found != known:
        raise ValueError(
            f"the encoder gives {found} features of {n_extents} field(s) of view, the model was trained on {known}: pass "
            "encoder= as in training, or train again"
        )


def predict_blocks(
    grid: Grid,
    trained: Trained,
    *,
    block: int,
    executor: Any,
    cache: Path | None,
    progress: bool,
    compute: Compute = DEFAULT,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict ``(n, genes)`` at all points of a grid, and say ``(n,)`` how far they are from training spots."""
    from tqdm.auto import tqdm

    values = np.empty((len(grid.slide.spots), len(trained.genes)), dtype=np.float32)
    ood = np.empty(len(values), dtype=np.float32)
    with tqdm(total=len(values), desc=f"predict {grid.slide.name}", unit="spot", disable=not progress) as bar:
        for rows, (predicted, score) in _parts(grid, trained, block, executor, cache, compute):
            values[rows], ood[rows] = predicted, score
            bar.update(len(rows))
    return values, ood


def _parts(
    grid: Grid, trained: Trained, block: int, executor: Any, cache: Path | None, compute: Compute
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    slide, shared = grid.slide, Block.of(grid, trained, cache, compute=compute)
    points, position = slide.spots, slide_position(slide)
    # squares of an area that holds about as many spots as a block
    parts = areas(points, grid.spacing_px / slide.image().px * np.sqrt(block))
    tasks = [(shared, points[rows], position[rows]) for rows in parts]
    if cache is None:
        yield from zip(parts, run_tasks(Block.predict, tasks, executor), strict=True)
        return
    facts = [trained.run_id, trained.name, slide.pixel_hash, repr(shared.view.sizes)]
    names = [block_name(facts, [*shared.tissue.statistics, *task[1:]]) for task in tasks]
    kept = keep_blocks(cache, names, lambda some: run_tasks(Block.predict, [tasks[i] for i in some], executor))
    yield from zip(parts, kept, strict=True)


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

    Raises
    ------
    FileNotFoundError
        If another process removes a block before it is read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.npy" for name in names]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    computed: Any = run(missing)
    for i, path in enumerate(paths):
        if i in set(missing):
            values, ood = next(computed)
            # written before it is handed on, so that a call that was killed resumes here
            write_array(path, np.column_stack([values, ood]).astype(np.float32))
            yield values, ood
        else:
            both = load_array(path)
            if both is None:
                raise FileNotFoundError(f"{path} was removed meanwhile: call again, and it is computed anew")
            yield both[:, :-1], both[:, -1]

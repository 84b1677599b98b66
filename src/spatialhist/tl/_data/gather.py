"""Collect what a run needs from the object into its folder: features, tiles, positions, values of the panels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.threads import thread_pool
from spatialhist._sdata.alignment import image_points
from spatialhist._sdata.layers import dense_columns
from spatialhist._sdata.scale import scale
from spatialhist.tl._data.features import SlideFeatures, relative_position, slide_features, slide_tiles
from spatialhist.tl._data.panel import target_source
from spatialhist.tl._data.samples import Inputs, Samples, row_parts, standardize, write_inputs

if TYPE_CHECKING:
    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl._data.design import Design


def gather_run(
    cohort: Cohort,
    folder: Path,
    cache: Path,
    *,
    rows: dict[str, np.ndarray],
    assigned: dict[str, str],
    columns: np.ndarray,
    layer: str,
    design: Design,
    encoder: Callable[..., Any],
    tiles: bool,
    workers: int,
    threads: int,
    progress: bool,
) -> Inputs:
    """Write the inputs of a cross-validation or of a fit on everything.

    Parameters
    ----------
    cohort
        The object.
    folder, cache
        Where inputs and features go.
    rows
        Rows of the table, per slide.
    assigned
        Group per slide.
    columns
        Genes any panel needs, as positions in the table.
    layer
        What is predicted.
    design, encoder
        What models look at.
    tiles
        Whether any model looks at pixels.
    workers, threads
        Slides that are encoded at once, and threads of each.
    progress
        Show a progress bar.
    """
    from tqdm.auto import tqdm

    slides = list(rows)

    def part(slide: str) -> tuple[np.ndarray, Any]:
        return _slide_part(cohort, slide, rows[slide], design, encoder, cache)

    matrix, ranking = target_source(cohort, layer)
    with thread_pool(workers, threads) as pool:
        parts = list(tqdm(pool.map(part, slides), total=len(slides), desc="features", disable=not progress))
        found = [features for _, features in parts]
        return write_inputs(
            folder,
            slides=slides,
            groups=[assigned[s] for s in slides],
            patients=[cohort.patient(s) or "" for s in slides],
            slide_code=np.repeat(np.arange(len(slides)), [len(rows[s]) for s in slides]),
            position=np.concatenate([position for position, _ in parts]),
            features=pool.map(lambda piece: piece[0].blocks(piece[1]), _pieces(found)),
            statistics=[np.stack(each) for each in zip(*(f.statistics for f in found), strict=True)],
            values=dense_columns(matrix, np.concatenate([rows[s] for s in slides]), columns),
            tiles=_tiles(cohort, slides, found, design) if tiles else None,
            ranking=ranking,
        )


def _pieces(slides: Sequence[SlideFeatures]) -> Iterator[tuple[SlideFeatures, slice]]:
    return ((features, rows) for features in slides for rows in row_parts(len(features.points)))


def _tiles(
    cohort: Cohort, slides: Sequence[str], found: Sequence[SlideFeatures], design: Design
) -> Iterator[np.ndarray]:
    for slide, features in zip(slides, found, strict=True):
        for rows in row_parts(len(features.points)):
            yield slide_tiles(cohort, slide, features.points[rows], design)


def _within(cohort: Cohort, slide: str, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Positions of the used rows among the slide's own rows."""
    return np.searchsorted(cohort.rows(slide), rows[slide])


def _slide_part(
    cohort: Cohort, slide: str, rows: np.ndarray, design: Design, encoder: Callable[..., Any], cache: Path | None
) -> tuple[np.ndarray, Any]:
    centers = image_points(cohort, slide)
    used = centers[_within(cohort, slide, {slide: rows})]
    position = relative_position(centers, scale(cohort.sdata, slide).pitch_px)
    features = slide_features(cohort, slide, used, design, encoder, cache)
    return position[_within(cohort, slide, {slide: rows})], features


def gather_slide(
    cohort: Cohort,
    slide: str,
    rows: np.ndarray,
    design: Design,
    encoder: Callable[..., Any],
    *,
    tiles: bool,
    cache: Path | None = None,
) -> Iterator[Samples]:
    """Samples of one slide to be predicted, without targets, part by part."""
    position, features = _slide_part(cohort, slide, rows, design, encoder, cache)
    for part in row_parts(len(position)):
        pixels = slide_tiles(cohort, slide, features.points[part], design) if tiles else None
        blocks = features.blocks(part)
        yield point_samples(slide, cohort.patient(slide), position[part], blocks, features.statistics, pixels)


def point_samples(
    slide: str,
    patient: str | None,
    position: np.ndarray,
    blocks: Sequence[np.ndarray],
    statistics: Sequence[np.ndarray],
    tiles: np.ndarray | None,
) -> Samples:
    """Samples at points of a slide, without targets, from what :class:`SlideFeatures` holds."""
    n = len(position)
    return Samples(
        slide=np.full(n, slide),
        group=np.full(n, ""),
        patient=np.full(n, patient or ""),
        position=position,
        features=tuple(blocks),
        standardized=tuple(standardize(f, s[0], s[1]) for f, s in zip(blocks, statistics, strict=True)),
        tiles=tiles,
    )


def fingerprint(folder: Path, names: Sequence[str] = ()) -> str:
    """Hash of the gathered arrays: a run goes on only with the same data."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.glob("*.npy")) + [folder / "inputs.json"]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update("\n".join(names).encode())
    return digest.hexdigest()

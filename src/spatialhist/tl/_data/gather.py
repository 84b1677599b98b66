"""Collect what a run needs from the object into its folder: features, tiles, positions, values of the panels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.threads import thread_pool
from spatialhist._sdata.layers import dense_columns
from spatialhist.tl._data.design import COLOR_TEXTURE
from spatialhist.tl._data.features import SlideFeatures, View, slide_colors, slide_features
from spatialhist.tl._data.panel import target_source
from spatialhist.tl._data.samples import DEPTH, Inputs, row_parts, write_inputs

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._data.design import Design
    from spatialhist.tl._data.features import Encoder


def gather_run(
    table: AnnData,
    slides: Sequence[Slide],
    folder: Path,
    cache: Path,
    *,
    rows: dict[str, np.ndarray],
    assigned: dict[str, str],
    columns: np.ndarray,
    layer: str,
    design: Design,
    encoder: Encoder,
    colors: Callable[..., Any] | None = None,
    depth: np.ndarray | None = None,
    tiles: bool,
    workers: int,
    progress: bool,
) -> Inputs:
    """Write the inputs of a cross-validation or of a fit on everything.

    Parameters
    ----------
    table
        Holds the layer.
    slides
        The slides.
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
    colors
        Encoder of color and texture for baselines, where that of the run is another one.
    depth
        Total counts of every row of the table, where a model or a baseline is trained with them.
    tiles
        Whether any model looks at pixels.
    workers
        Slides that are read at once; what encodes them is shared by all.
    progress
        Show a progress bar.
    """
    from tqdm.auto import tqdm

    # both ascend, so that this finds the positions among the slide's spots
    used = {s.name: np.searchsorted(s.rows, rows[s.name]) for s in slides}

    def look(slide: Slide) -> SlideFeatures:
        view = View.of(slide, design, tiles=tiles)
        return slide_features(slide, view, design, encoder, cache, rows=used[slide.name])

    def look_at_colors(slide: Slide, by: Callable[..., Any]) -> np.ndarray:
        return slide_colors(slide, design, by, cache, rows=used[slide.name])

    matrix, ranking = target_source(table, layer)
    with thread_pool(workers, 1) as pool:
        found = list(tqdm(pool.map(look, slides), total=len(slides), desc="features", disable=not progress))
        return write_inputs(
            folder,
            slides=[s.name for s in slides],
            groups=[assigned[s.name] for s in slides],
            patients=[s.patient or "" for s in slides],
            slide_code=np.repeat(np.arange(len(slides)), [len(rows[s.name]) for s in slides]),
            position=np.concatenate([features.position for features in found]),
            features=pool.map(lambda piece: piece[0].blocks(piece[1]), _pieces(found)),
            statistics=[np.stack(each) for each in zip(*(f.tissue.statistics for f in found), strict=True)],
            values=dense_columns(matrix, np.concatenate([rows[s.name] for s in slides]), columns),
            tiles=(f.view.tiles(f.points[part]) for f, part in _pieces(found)) if tiles else None,
            ranking=ranking,
            n_own=len(design.extents),
            # a run on color and texture holds what the color baseline looks at; others gather it apart
            color=design.single_scale if design.encoder == COLOR_TEXTURE else None,
            colors=None
            if colors is None
            else np.concatenate(list(pool.map(partial(look_at_colors, by=colors), slides))),
            depth=None if depth is None else np.concatenate([depth[rows[s.name]] for s in slides]),
        )


def _pieces(slides: Sequence[SlideFeatures]) -> Iterator[tuple[SlideFeatures, slice]]:
    return ((features, rows) for features in slides for rows in row_parts(len(features.points)))


def fingerprint(folder: Path, names: Sequence[str] = ()) -> str:
    """Hash of the gathered arrays: a run goes on only with the same data."""
    digest = hashlib.blake2b(digest_size=16)
    # sorted, since a folder lists its files in any order
    for path in sorted(p for p in folder.glob("*.npy") if p.name != DEPTH) + [folder / "inputs.json"]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update("\n".join(names).encode())
    return digest.hexdigest()

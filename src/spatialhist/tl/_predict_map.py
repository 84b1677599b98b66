"""Predict genes all over the tissue of a slide, as an image."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.executor import n_workers
from spatialhist._runtime.files import inside, remove_folder
from spatialhist._sdata.cohort import open_images
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.layers import check_key
from spatialhist._sdata.maps import add_map, check_map_name, check_map_size
from spatialhist._sdata.scale import slide_info
from spatialhist.io._saving.store import save_image
from spatialhist.tiles._features.compute import Compute
from spatialhist.tl._data.features import slide_tissue
from spatialhist.tl._inference.blocks import Block
from spatialhist.tl._inference.grid import Grid, as_trained_on, spacing_px
from spatialhist.tl._inference.layers import provenance
from spatialhist.tl._inference.mismatch import mismatches
from spatialhist.tl._inference.raster import Raster, Square, SquareTask, keep_squares, read_square, square_side
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._load import Source, as_trained
from spatialhist.tl._runs.composition import check_composition
from spatialhist.tl._runs.out_of_distribution import warn_of_far

if TYPE_CHECKING:
    from dask.array import Array
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._runs.trained import Trained

logger = logging.getLogger(__name__)

RESOLUTION = ("um", 8.0)
UNFINISHED = "maps"
"""Folder in the store's own for the squares of maps that are not finished."""
CHANNELS = 16
"""Genes of a chunk in the store: what a viewer reads to show one."""


def predict_map(
    sdata: SpatialData,
    model: Source,
    *,
    slide: str | None = None,
    resolution: tuple[str, float] = RESOLUTION,
    genes: str | Sequence[str] | None = None,
    key_added: str | None = None,
    composition: bool = False,
    encoder: Any = None,
    executor: Any = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> None:
    """Predict genes all over the tissue of a slide, as an image that lies on its H&E image.

    Where :func:`predict_grid` lays spots and makes a table, this makes pixels: one channel per gene, as fine as is asked for.
    Squares of the map are predicted one after another and kept in the object's store, so that memory does not grow with the
    slide, and a call that was killed resumes.

    Parameters
    ----------
    sdata
        Object with the slide and its tissue mask.
    model
        A stack, a cross-validation, a fitted model, or a run folder.
    slide
        Slide id; None where there is one slide.
    resolution
        Side of a pixel of the map: ``("um", micrometers)``, ``("px", pixels)`` or ``("pitch", multiples of the distance of
        spots in training)``. It does not change the size of the tissue a model looks at, so neighboring pixels of a fine map
        see nearly the same.
    genes
        Which genes; None for all that the model predicts.
    key_added
        Name of the image; ``"<slide>_predicted_map"`` if None. Another map of that name is replaced.
    composition
        Clip predictions at 0 and divide those of a pixel by their sum, as in :func:`predict`.
    encoder
        The encoder itself, if the model was trained on one of your own; the name of one whose weights are downloaded, which
        confirms that you trust it.
    executor
        Where squares are predicted: None for here, a number of processes, a ``concurrent.futures`` executor or a
        ``dask.distributed`` client. The result is the same, byte for byte.
    device, precision
        Where the encoder runs, and in which precision, as in :func:`predict_grid`.
    progress
        Show a progress bar.

    Returns
    -------
    None
        Added: ``images[key_added]``, multiscale float32 ``(genes + 1, y, x)`` in the units the model was trained in, placed
        wherever the slide's image is placed. The last channel is ``"out_of_distribution"``, as in :func:`predict_grid`. Pixels
        off tissue, and genes that no fold modeled, are NaN. Where the object has a store, the image and ``sdata.attrs`` are
        saved into it.

        How it was made is in ``sdata.attrs["spatialhist"]["slides"][slide]["maps"][key_added]``.

    Raises
    ------
    KeyError
        If the slide, its mask, its image or a gene is missing; the message names the call that makes it.
    ValueError
        As :func:`predict_grid`; also if there are several slides and none is named, or ``key_added`` is that of a picture.
    MemoryError
        If the object has no store, and the map is too large for memory.

    Warns
    -----
    UserWarning
        As :func:`predict_grid`.

    Notes
    -----
    A pixel has the values that :func:`predict` gives a spot at its center. Slide-wise statistics are taken on a fixed grid of
    the tissue, as there.

    Of a run with ``spot_resolution`` (:class:`Design`), whose spots are averages over such pixels, the map is a super-resolution
    of the spots, where its models are linear: its mean over the pixels of a spot is the prediction of the spot (area-to-point,
    with the same model for both). Pixels are clipped to 8 deviations of training in each feature, as spots are, so that the
    two differ where one is odder than that. Ask for ``resolution`` equal to ``spot_resolution``.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> model = sh.tl.fit(sdata, models="ridge", genes=5, slides=["S1", "S2"], progress=False)
    >>> sh.tl.predict_map(sdata, model, slide="S3", genes="ACTB", resolution=("px", 20), progress=False)
    >>> sdata["S3_predicted_map"]["scale0"]["image"].shape
    (2, 20, 15)
    """
    cohort = open_images(sdata, slide)
    if len(cohort.slides) > 1:
        raise ValueError(f"the object has the slides {cohort.slides}: name one, as in slide={cohort.slides[0]!r}")
    (name,) = cohort.slides
    key = key_added or _keys.map_image(name, _keys.PREDICTED)
    check_key(key)
    check_map_name(sdata, key)
    # refuses what is no executor, before a slide is opened
    n_workers(executor)
    compute = Compute(device, precision)
    trained = as_trained(model)
    columns = _columns(trained, genes)
    if composition:
        check_composition(trained)
    opened = cohort.slide(name)
    for text in [*Relatives.of(trained).told([opened]), *mismatches(cohort.table, [opened], trained)]:
        warnings.warn(text, stacklevel=2)
    bare, design, training_slide = as_trained_on(opened, trained, trained.design(encoder))
    raster = _lay(bare, resolution, square_side(len(columns) + 1))
    if sdata.path is None:
        advice = "write the object first, sdata.write(path), so that the map goes to its store; or name fewer genes="
        check_map_size(raster.shape, len(columns) + 1, advice=advice)
    with ExitStack() as stack:
        folder = _folder(sdata.path and Path(sdata.path), key, stack)
        grid = Grid(bare, raster.step * bare.image().px, design, training_slide)
        task = _task(grid, trained, raster, columns, compute, composition=composition)
        paths, away = _predict(
            task, raster, folder, [trained.run_id, trained.name, opened.pixel_hash], executor, progress
        )
        warn_of_far(name, np.concatenate(away))
        values = _assembled(raster, paths, len(columns) + 1)
        channels = [*(trained.genes[i] for i in columns), _keys.OUT_OF_DISTRIBUTION]
        image = opened.image().pyramid.key
        values = values if sdata.path else values.compute()
        add_map(sdata, key, values, names=channels, image=image, step=raster.step)
        made = provenance(trained, {name: training_slide}, composition=composition)
        about = {"step": "predict_map", "slide": name, "resolution_px": raster.step * bare.image().px}
        slide_info(sdata, name).setdefault("maps", {})[key] = made | about
        if sdata.path:
            with quiet():
                save_image(sdata, key, progress=progress)
            remove_folder(folder)
    logger.info("predict_map: added %r, %d genes of %d x %d pixels", key, len(columns), *raster.shape[::-1])


def _columns(trained: Trained, genes: str | Sequence[str] | None) -> tuple[int, ...]:
    """Positions of genes among those of a model.

    Raises
    ------
    KeyError
        If it does not predict some.
    ValueError
        If one is named twice, or none is.
    """
    known = trained.genes
    names = known if genes is None else [genes] if isinstance(genes, str) else list(genes)
    if missing := [g for g in names if g not in known]:
        raise KeyError(
            f"{len(missing)} genes are not predicted by the model, e.g. {missing[:5]}: it predicts {known[:5]}, ..."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"genes={names[:5]} must be names of genes, each of them once")
    return tuple(known.index(g) for g in names)


def _lay(slide: Slide, resolution: tuple[str, float], side: int) -> Raster:
    """Lay a raster over the tissue of a slide.

    Raises
    ------
    ValueError
        If there is no tissue.
    """
    step = spacing_px(slide, resolution) / slide.image().px
    # an empty mask is refused in words of its own
    slide_tissue(slide)
    mask, factors = slide.tissue
    image = slide.image().pyramid
    raster = Raster.over(mask, factors, (image.height, image.width), step, side)
    if not raster.squares:
        raise ValueError(
            f"no pixel of a map with resolution={resolution!r} lies on the tissue of slide {slide.name!r}: make them smaller"
        )
    return raster


def _folder(store: Path | None, key: str, stack: ExitStack) -> Path:
    """Where squares are kept until the map is finished."""
    if store is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spatialhist-")))
    return inside(store, _keys.STORE_FOLDER, UNFINISHED, key)


def _task(
    grid: Grid, trained: Trained, raster: Raster, columns: tuple[int, ...], compute: Compute, *, composition: bool
) -> SquareTask:
    slide = grid.slide
    mask, factors = slide.tissue
    # of the tissue, as a model that looks at positions knows them of spots: from their center, in spot spacings
    y, x = (float(found.mean()) for found in np.nonzero(mask))
    center = ((x + 0.5) * factors[0], (y + 0.5) * factors[1])
    pitch = slide.scale.pitch_px
    unit = pitch / slide.image().px if pitch else 1.0
    block = Block.of(grid, trained, compute=compute)
    # a pixel is looked at from its center, also where spots are looked at as many pixels
    block = replace(block, view=replace(block.view, disc=None))
    return SquareTask(block, raster.step, center, unit, columns, composition)


def _predict(
    task: SquareTask, raster: Raster, folder: Path, facts: list[str], executor: Any, progress: bool
) -> tuple[list[Path], list[np.ndarray]]:
    """Predict all squares, and return their files and how far ``(n,)`` their pixels are from training."""
    from tqdm.auto import tqdm

    paths, away = [], []
    facts = [*facts, repr(task.block.view.sizes)]
    with tqdm(total=raster.n, desc=f"predict {task.block.view.slide}", unit="pixel", disable=not progress) as bar:
        for path, ood in keep_squares(task, raster, folder, facts, executor):
            paths.append(path)
            # a copy: a column would keep the predictions of its square in memory
            away.append(ood.copy())
            bar.update(len(ood))
    return paths, away


def _assembled(raster: Raster, paths: Sequence[Path], n: int) -> Array:
    """All channels ``(n, y, x)`` of a map, read square by square when they are asked for."""
    import dask.array as da

    side = raster.side
    kept = {(0, s.origin[0] // side, s.origin[1] // side): (p, s) for s, p in zip(raster.squares, paths, strict=True)}
    squares = [tuple(min(side, length - start) for start in range(0, length, side)) for length in raster.shape]
    whole = da.map_blocks(
        partial(_square, kept, n), chunks=((n,), *squares), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    return whole.rechunk({0: CHANNELS})


def _square(kept: Mapping[Any, tuple[Path, Square]], n: int, block_info: Any = None) -> np.ndarray:
    place = block_info[None]
    if (found := kept.get(tuple(place["chunk-location"]))) is None:
        return np.full((n, *place["chunk-shape"][1:]), np.nan, dtype=np.float32)
    return read_square(*found)

"""Predict slides without measurements: spots are placed on their tissue."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder, check_choice
from spatialhist._runtime.executor import n_workers
from spatialhist._sdata.cohort import open_images
from spatialhist._sdata.composition import as_composition
from spatialhist._sdata.grid import add_grid
from spatialhist._sdata.layers import check_key, check_layer_size, record
from spatialhist.tiles._features.compute import Compute
from spatialhist.tl._calibrate import calibrate, leaves_residuals
from spatialhist.tl._inference.blocks import predict_blocks
from spatialhist.tl._inference.grid import TISSUE, Grid, Lattice, lay_grid
from spatialhist.tl._inference.layers import drop_intervals, provenance
from spatialhist.tl._inference.mismatch import mismatches
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._load import Source, as_trained
from spatialhist.tl._runs.composition import check_composition
from spatialhist.tl._runs.out_of_distribution import warn_of_far
from spatialhist.tl._scores.card import add_reliability

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist.tl._runs.trained import Trained

logger = logging.getLogger(__name__)

BLOCK = 1024
"""Spots whose tiles, features and predictions are in memory at once, about."""
LEVEL = 0.8
"""Of the intervals, as in :func:`calibrate`."""


def predict_grid(
    sdata: SpatialData,
    model: Source,
    *,
    slides: str | Sequence[str] | None = None,
    spacing: tuple[str, float] | None = None,
    lattice: Lattice = "hex",
    within: str = TISSUE,
    level: float | None = LEVEL,
    key_added: str = _keys.PREDICTED,
    composition: bool = False,
    encoder: Any = None,
    block: int = BLOCK,
    executor: Any = None,
    cache: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    table_key: str = _keys.TABLE,
    progress: bool = True,
) -> None:
    """Lay spots on the tissue of slides and predict them.

    A slide needs an image and a tissue mask, no spots. Its new spots have the size of those the model was trained on, by
    the micrometers per pixel of both, and touch each other, so that no tissue lies between them. A slide the run was
    trained on is predicted by the fold that left it out, as :func:`predict` does.

    Parameters
    ----------
    sdata
        Object with the slides, for instance of :func:`spatialhist.io.read_wsi`.
    model
        A stack, a cross-validation, a fitted model, or a run folder.
    slides
        Slides with or without spots; None for all.
    spacing
        Distance of neighboring spots: ``("um", micrometers)``, ``("px", pixels)`` or ``("pitch", multiples of the
        distance in training)``; the diameter of a spot if None. It does not change the size of the tissue a model
        looks at.
    lattice
        ``"hex"`` or ``"square"``.
    within
        Where spots are laid: ``"tissue"``, ``"image"`` (everywhere), or the key of polygons in ``sdata.shapes``.
    level
        Probability of intervals, as in :func:`calibrate`, which are added where the run held out enough groups for it;
        None for no intervals.
    key_added
        Name of the layer.
    composition
        Clip predictions at 0 and divide those of a spot by their sum, as in :func:`predict`.
    encoder
        The encoder itself, if the model was trained on one of your own; the name of one whose weights are downloaded, which
        confirms that you trust it.
    block
        Spots that are in memory at once, about.
    executor
        Where blocks are predicted: None for here, a number of processes, a ``concurrent.futures`` executor or a
        ``dask.distributed`` client. The result is the same, byte for byte. An image that lies in a store is read by the
        workers themselves; they must see the store and the run folder.
    cache
        Folder that keeps the predictions of finished blocks, so that an interrupted call resumes where it stopped, and the
        features of the slide's tissue; None to keep none.
    device
        Where the encoder runs: ``"auto"`` (CUDA, MPS, CPU, the first that is there), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
        ``"mps"``; an encoder without weights, as ``"color_texture"``, runs on all cores of the CPU.
    precision
        In which the encoder computes: ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere; or ``"float32"``,
        ``"float16"``, ``"bfloat16"``, the latter two on CUDA only.
    table_key
        Table of the slides that have spots.
    progress
        Show a progress bar.

    Returns
    -------
    None
        Added for a slide ``S1``: circles ``shapes["S1_grid"]``, and ``tables["S1_grid_table"]`` (region ``"S1_grid"``,
        the model's genes, nothing measured) with

        - ``layers[key_added]``: spots x genes float32 in the units the model was trained in, NaN for genes that no fold
          modeled;
        - ``layers["<key_added>_lower"]`` and ``layers["<key_added>_upper"]``: intervals;
        - ``obs["out_of_distribution"]``: from 0 to 1, see Notes.

        Spots within something else than the tissue have elements of their own, ``"S1_grid_<within>"`` and
        ``"S1_grid_<within>_table"``. A grid of the same spots and genes keeps its other layers; another one is replaced,
        with a warning that names what is lost.

    Raises
    ------
    KeyError
        If a slide, its mask or its image is missing; the message names the call that makes it.
    ValueError
        If the slide has no mpp where lengths are in micrometers, no tissue, a stain that was normalized in another way
        than in training, a fitted model was fitted on it, the device is not there, or ``composition`` is asked of a model that does not predict all
        parts of a whole.
    TypeError, NotADirectoryError
        If ``cache`` is no path, or a file.

    Warns
    -----
    UserWarning
        If pixels are 1.5 times larger or smaller than in training, if the slide's own table knows less than half of the
        model's genes, or if its layer is in other units than the predictions.

    Notes
    -----
    Slide-wise statistics are those of :func:`predict`, taken on a fixed grid of the tissue, so spots at the same place
    get the same prediction with any spacing. Memory grows with the block and the layer, not with the slide.

    ``out_of_distribution`` compares a spot with training spots (up to 2,000, as many of each group) by its features: those
    of all fields of view, scaled, on their first 64 principal components. It takes the distance to the tenth nearest training
    spot (Sun et al., ICML 2022) and says which share of the training spots are nearer to the spots of the other groups,
    every group counting the same. So 0.5 is what a spot of a further group should have at the median, and 1 is farther
    than any. Slides of one group are compared with each other. Labels play no part.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> model = sh.tl.fit(sdata, models="ridge", genes=5, slides=["S1", "S2"], progress=False)
    >>> sh.tl.predict_grid(sdata, model, slides="S3", progress=False)
    >>> sdata["S3_grid_table"].layers["predicted"].shape[1]
    5
    """
    cohort = open_images(sdata, slides, table_key=table_key)
    check_key(key_added)
    check_choice("lattice", lattice, Lattice)
    if block < 1:
        raise ValueError(f"block={block} must be at least 1")
    kept, compute = as_folder("cache", cache), Compute(device, precision)
    # refuses what is no executor, before a slide is opened
    n_workers(executor)
    trained = as_trained(model)
    if composition:
        check_composition(trained)
    opened = cohort.every_slide()
    for text in [*Relatives.of(trained).told(opened), *mismatches(cohort.table, opened, trained)]:
        warnings.warn(text, stacklevel=2)
    design = trained.design(encoder)
    grids = [lay_grid(s, trained, design, spacing=spacing, lattice=lattice, within=within) for s in opened]
    # all grids, before hours are spent on the first
    for grid in grids:
        check_layer_size(
            len(grid.slide.spots), len(trained.genes), n_layers=1 if _level(grid, trained, level) is None else 3
        )
    for grid in grids:
        name = grid.slide.name
        values, ood = predict_blocks(
            grid, trained, block=block, executor=executor, cache=kept, progress=progress, compute=compute
        )
        warn_of_far(name, ood)
        table = add_grid(cohort, name, grid.slide.spots, within=within, genes=trained.genes, scale=grid.scale)
        values = as_composition(values) if composition else values
        _fill(table, grid, trained, key_added, values, ood, lattice, composition=composition)
        if (bounds := _level(grid, trained, level)) is not None:
            calibrate(sdata, trained, level=bounds, layer=key_added, table_key=_keys.grid_table(name, within))
    logger.info("predict_grid: added tables %s", [_keys.grid_table(s, within) for s in cohort.slides])


def _fill(
    table: AnnData,
    grid: Grid,
    trained: Trained,
    key: str,
    values: np.ndarray,
    ood: np.ndarray,
    lattice: Lattice,
    *,
    composition: bool,
) -> None:
    """Put predictions of a grid into its table, with how they were made."""
    slide = grid.slide.name
    drop_intervals(table, key)
    table.layers[key] = values
    table.obs[_keys.OUT_OF_DISTRIBUTION] = ood
    made = provenance(trained, {_keys.grid(slide, grid.within): grid.training_slide}, composition=composition)
    about = {"step": "predict_grid", "slide": slide, "lattice": lattice, "spacing_px": grid.spacing_px}
    record(table, key, made | about)
    add_reliability(table, key, trained.card())
    record(table, _keys.OUT_OF_DISTRIBUTION, {k: made[k] for k in ("run", "fitted_on", "predicted_slides")} | about)


def _level(grid: Grid, trained: Trained, level: float | None) -> float | None:
    """Level of the intervals that the predictions of a grid get, None where they get none."""
    if level is None or not leaves_residuals(trained, level, trained_on=grid.training_slide is not None):
        return None
    return level

"""Predict slides where nobody measured: spots are laid on their tissue."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.geometry import Scale, scale
from spatialhist._sdata.grid import add_grid
from spatialhist._sdata.images import affine, image_key, tissue_mask
from spatialhist._sdata.layers import check_key, check_layer_size, record
from spatialhist._sdata.slides import Cohort, open_images
from spatialhist.nn import get_encoder
from spatialhist.tl._apply import Applier, Source
from spatialhist.tl._gather import point_samples
from spatialhist.tl._lattice import Lattice, lattice_on
from spatialhist.tl._pixel_hash import pixel_hash
from spatialhist.tl._pixels import SlideFeatures, encode, relative_position, slide_features
from spatialhist.tl._predict import provenance
from spatialhist.tl._threads import pinned_threads
from spatialhist.tl._trained_scale import TrainedScale, check_pitch, design_in_px

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tl._design import Design

logger = logging.getLogger(__name__)

BLOCK = 4096
"""Spots whose tiles, features and predictions are in memory at once."""


def predict_grid(
    sdata: SpatialData,
    model: Source,
    *,
    slides: str | Sequence[str] | None = None,
    spacing: tuple[str, float] | None = None,
    lattice: Lattice = "hex",
    key_added: str = _keys.PREDICTED,
    encoder: Any = None,
    block: int = BLOCK,
    table_key: str = _keys.TABLE,
    progress: bool = True,
) -> None:
    """Lay spots on the tissue of slides and predict them.

    A slide needs an image and a tissue mask, no spots. Its new spots have the size and the distance of those the model
    was trained on, by the micrometres per pixel of both. A slide the run was trained on is predicted by the fold that
    left it out, as :func:`predict` does.

    Parameters
    ----------
    sdata
        Object with the slides, for instance of :func:`spatialhist.io.read_wsi`.
    model
        A stack, a cross-validation, a fitted model, or a run folder.
    slides
        Slides with or without spots; None for all.
    spacing
        Distance of neighbouring spots: ``("um", micrometres)``, ``("px", pixels)`` or ``("pitch", multiples of the
        distance in training)``; that distance if None. It does not change the size of the tissue a model looks at.
    lattice
        ``"hex"`` or ``"square"``.
    key_added
        Name of the layer.
    encoder
        The encoder itself, if the model was trained on one of your own.
    block
        Spots that are in memory at once.
    table_key
        Table of the slides that have spots.
    progress
        Show a progress bar.

    Returns
    -------
    None. Added for a slide ``S1``: circles ``shapes["S1_grid"]``, and ``tables["S1_grid_table"]`` (region ``"S1_grid"``,
    the model's genes, nothing measured) with ``layers[key_added]``, spots x genes float32 in the units the model was trained
    in, NaN for genes that no fold modelled. A grid that is there is replaced.

    Raises
    ------
    KeyError
        If a slide, its mask or its image is missing; the message names the call that makes it.
    ValueError
        If the slide has no mpp where lengths are in micrometres, no tissue, or a fitted model was fitted on it.

    Notes
    -----
    Slide-wise statistics are those of :func:`predict`, taken on a fixed grid of the tissue, so spots at the same place
    get the same prediction whatever the spacing. Memory grows with the block and the layer, not with the slide.

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
    if lattice not in get_args(Lattice):
        raise ValueError(f"lattice={lattice!r} is not one of {list(get_args(Lattice))}")
    if block < 1:
        raise ValueError(f"block={block} must be at least 1")
    applier = Applier.of(model)
    grids = [_lay(cohort, s, applier, applier.design(encoder), spacing, lattice) for s in cohort.slides]
    for grid in grids:
        check_layer_size(len(grid.points), len(applier.genes))
    for grid in grids:
        values = _predict(cohort, grid, applier, block, progress)
        table = add_grid(
            cohort, grid.slide, grid.points, genes=applier.genes, scale=grid.scale, image=_keys.image(grid.slide)
        )
        table.layers[key_added] = values
        about = {"step": "predict_grid", "slide": grid.slide, "lattice": lattice, "spacing_px": grid.scale.pitch_px}
        record(table, key_added, provenance(applier, [_keys.grid(grid.slide)]) | about)
    logger.info("predict_grid: added tables %s", [_keys.grid_table(s) for s in cohort.slides])


@dataclass(frozen=True)
class _Grid:
    """Spots to be predicted.

    Attributes
    ----------
    slide
        Slide id.
    points
        Centres ``(n, 2)`` in pixels of the slide's image.
    pitch_px
        Distance of the model's spots, to which positions are relative.
    scale
        Of the grid: its ``pitch_px`` is the distance of its spots.
    design
        What the model looks at, in pixels of the slide.
    training_slide
        Name under which the run was trained on it.
    """

    slide: str
    points: np.ndarray
    pitch_px: float
    scale: Scale
    design: Design
    training_slide: str | None


def _lay(
    cohort: Cohort, slide: str, applier: Applier, design: Design, spacing: tuple[str, float] | None, lattice: Lattice
) -> _Grid:
    """Check that a slide fits the model, and lay spots on it."""
    sdata, trained = cohort.sdata, TrainedScale.of(applier.run.manifest)
    image_key(sdata, slide, design.image)
    mask, factors = tissue_mask(sdata, slide)
    own = scale(sdata, slide)
    spots = trained.spots(own)
    check_pitch(spots, slide, [("pitch", 1.0)])
    design = design_in_px(design, trained.complete(own), slide, tiles=applier.needs_tiles)
    training_slide = applier.trained_on(pixel_hash(cohort, slide))
    applier.check_slide(training_slide)
    distance = spots.px(spacing or ("pitch", 1.0), slide)
    if not 0 < distance < np.inf:
        raise ValueError(f"spacing={spacing!r} must be a positive length")
    trained.warn_if_other(own.mpp, slide)
    # The spots of a slide lie in its coordinate system, the mask in the image.
    size = float(np.sqrt(abs(np.linalg.det(affine(sdata.images[_keys.image(slide)], slide)[:2, :2]))))
    points = lattice_on(mask, factors, distance / size, lattice)
    if not len(points):
        raise ValueError(
            f"no spot at a distance of {distance:g} px lies on the tissue of slide {slide!r}: look at its mask"
        )
    return _Grid(slide, points, spots.pitch_px / size, replace(spots, pitch_px=distance), design, training_slide)


def _predict(cohort: Cohort, grid: _Grid, applier: Applier, block: int, progress: bool) -> np.ndarray:
    from tqdm.auto import tqdm

    values = np.empty((len(grid.points), len(applier.genes)), dtype=np.float32)
    position = relative_position(grid.points, grid.pitch_px)
    encoder = get_encoder(grid.design.encoder)
    with (
        pinned_threads(applier.threads),
        tqdm(total=len(values), desc=f"predict {grid.slide}", unit="spot", disable=not progress) as bar,
    ):
        tissue = slide_features(cohort, grid.slide, grid.points[:0], grid.design, encoder, None)
        for part in _blocks(len(values), block):
            points = grid.points[part]
            features = SlideFeatures(encode(cohort, grid.slide, points, grid.design, encoder), tissue.statistics)
            samples = point_samples(
                cohort, grid.slide, points, position[part], features, grid.design, tiles=applier.needs_tiles
            )
            values[part] = applier.predict(samples, training_slide=grid.training_slide)
            bar.update(len(points))
    return values


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(i, min(i + size, n)) for i in range(0, n, size))

"""Which spots are neighbors, and how far apart they are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, record

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

Unit = Literal["px", "um"]
COUNTED = 256
"""Spots whose neighbors are counted before all are looked for."""
BYTES_A_PAIR = 24
"""Of both matrices, and of one of them while it is made."""


def spot_distances(
    sdata: SpatialData,
    *,
    radius: tuple[str, float] = ("pitch", 1.5),
    unit: Unit = "px",
    key_added: str = _keys.SPATIAL,
    table_key: str = _keys.TABLE,
) -> None:
    """Connect every spot with the spots of its slide within a radius.

    Parameters
    ----------
    sdata
        The cohort.
    radius
        ``("pitch", r)`` in distances of neighboring spots, ``("um", r)`` or ``("px", r)``; turned into pixels slide by
        slide. ``r=1.5`` gives 6 neighbors on a hexagonal lattice and 8 on a square one, ``r=1.2`` gives 6 and 4.
    unit
        Unit of the distances; ``"um"`` needs every slide's mpp.
    key_added
        Prefix of what is added, as in squidpy.
    table_key
        Name of the table.

    Returns
    -------
    None
        Adds squidpy's ``obsp["spatial_distances"]``, ``obsp["spatial_connectivities"]`` and
        ``uns["spatial_neighbors"]``. Both matrices are CSR and block-diagonal by slide; a pair that is absent is far
        apart, not at distance 0. ``uns["spatialhist"]["spatial_distances"]`` holds the unit and, per slide,
        ``radius_px``, ``pitch_px`` and ``mpp`` where known.

    Raises
    ------
    ValueError
        If a slide lacks what the radius or the unit needs, or has spots without a position.
    MemoryError
        If the radius reaches so many spots that the matrices would not fit.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.spot_distances(sdata)
    >>> int(sdata["table"].obsp["spatial_connectivities"].sum(axis=1).max())
    6
    """
    check_choice("unit", unit, Unit)
    check_key(key_added)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    slides = cohort.every_slide()
    radii = [_radius_px(slide, radius, unit) for slide in slides]
    trees = [cKDTree(slide.known_xy, balanced_tree=False) for slide in slides]
    for slide, tree, radius_px in zip(slides, trees, radii, strict=True):
        _refuse_too_many(tree, radius_px, slide.name)
    blocks = [_within_radius(tree, radius_px) for tree, radius_px in zip(trees, radii, strict=True)]
    factors = [slide.scale.mpp if unit == "um" else 1.0 for slide in slides]
    rows = [slide.rows for slide in slides]
    distances, connectivities = f"{key_added}_distances", f"{key_added}_connectivities"
    table.obsp[distances] = _assemble([d * f for (_, d), f in zip(blocks, factors, strict=True)], rows, table.n_obs)
    table.obsp[connectivities] = _assemble([c for c, _ in blocks], rows, table.n_obs)
    table.uns[f"{key_added}_neighbors"] = {
        "connectivities_key": connectivities,
        "distances_key": distances,
        "params": {"coord_type": "generic", "radius": float(radius[1]), "radius_unit": radius[0]},
    }
    sizes = {
        s.name: {"radius_px": r, "pitch_px": s.scale.pitch_px, "mpp": s.scale.mpp}
        for s, r in zip(slides, radii, strict=True)
    }
    record(table, distances, {"radius": [str(r) for r in radius], "unit": unit, "slides": sizes})
    logger.info(
        "added obsp[%r] in %s and obsp[%r]: neighbors within %g %s", distances, unit, connectivities, *radius[::-1]
    )


def _radius_px(slide: Slide, radius: tuple[str, float], unit: Unit) -> float:
    # asked for its error: a slide without a scale is refused before anything is computed
    slide.scale.px((unit, 1.0), slide.name)
    return slide.scale.px(radius, slide.name)


def _refuse_too_many(tree: cKDTree, radius_px: float, slide: str) -> None:
    """Count the neighbors of some spots, so that no matrix of all spots with all is built by mistake."""
    some = tree.data[:: max(1, tree.n // COUNTED)]
    pairs = int(tree.n * tree.query_ball_point(some, radius_px, return_length=True).mean())
    if pairs * BYTES_A_PAIR > MAX_LAYER_GB * 1e9:
        raise MemoryError(
            f"within {radius_px:g} px, slide {slide!r} has about {pairs:,} pairs of spots, which take "
            f"{pairs * BYTES_A_PAIR / 1e9:.1f} GB, more than {MAX_LAYER_GB:g}: take a smaller radius"
        )


def _within_radius(tree: cKDTree, radius_px: float) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Return connectivities and distances of one slide's spots, in pixels; spots in one place have no distance."""
    one, other = tree.query_pairs(radius_px, output_type="ndarray").astype(np.int32).T
    apart = np.tile(np.hypot(*(tree.data[one] - tree.data[other]).T), 2)
    one, other = np.concatenate([one, other]), np.concatenate([other, one])
    connectivities = sp.csr_matrix((np.ones(len(one), np.float32), (one, other)), shape=(tree.n, tree.n))
    distances = sp.csr_matrix((apart, (one, other)), shape=(tree.n, tree.n))
    distances.eliminate_zeros()
    return connectivities, distances


def _assemble(blocks: list[sp.csr_matrix], rows: list[np.ndarray], n_obs: int) -> sp.csr_matrix:
    """Put the slides' matrices into one float32 matrix, in the order of the table's rows."""
    joined = sp.block_diag(blocks, format="csr", dtype=np.float32)
    place = np.argsort(np.concatenate(rows))
    return joined if np.array_equal(place, np.arange(n_obs)) else joined[place][:, place].tocsr()

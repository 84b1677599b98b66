"""Every name of the data contract: elements, table columns, layers, provenance.

One slide id generates all of them. Nothing else in the package spells these names out.
"""

from __future__ import annotations

import re

TABLE = "table"
REGION = "region"
INSTANCE = "spot_id"

PATIENT = "patient"
MEASURED = "measured"
"""``obs``: False for the spots of a slide to be predicted; ``varm``: genes x slides, which slide measured which gene."""
IN_TISSUE = "in_tissue"
SPOT_QC = "spot_qc"

SPATIAL = "spatial"
DISTANCES = "spatial_distances"
CONNECTIVITIES = "spatial_connectivities"
NEIGHBORS = "spatial_neighbors"

LOG1P = "log1p"
RANKS = "ranks"
PEARSON_RESIDUALS = "pearson_residuals"
LOG1P_BEYOND_DEPTH = "log1p_beyond_depth"
PREDICTED = "predicted"
OOF = "oof"
POOLED = "pooled"
"""Table of spots that bins or cells were pooled to."""
OUT_OF_DISTRIBUTION = "out_of_distribution"
"""``obs``: how far a predicted spot lies from training spots."""

ROOT = "spatialhist"
"""Key of our own entry in ``uns`` (per layer) and in ``sdata.attrs`` (per slide)."""

STORE_FOLDER = ".spatialhist"
"""Folder in a zarr store, hidden from zarr: the lock of those who save, and what they have saved."""

CHANNELS = ("r", "g", "b")

TISSUE = "tissue"
"""Where spots are laid unless polygons or the whole image are named."""

ARTIFACTS = {"ink": "ink_share", "blur": "sharpness", "fold": "fold_share"}
"""Columns of ``obs`` that flag artifacts, and what each flag is drawn from."""

QC_REASONS = ("nan", "duplicate", "out_of_bounds", "not_in_tissue", "off_tissue", "low_activity", "ok")
"""Categories of ``obs["spot_qc"]`` in the order in which they are checked."""


def image(slide: str) -> str:
    """Key of the full-resolution H&E image, as ``spatialdata_io.visium`` names it."""
    return f"{slide}_full_image"


def hires(slide: str) -> str:
    """Key of Space Ranger's small image of a slide."""
    return f"{slide}_hires_image"


def lowres(slide: str) -> str:
    """Key of Space Ranger's smallest image of a slide."""
    return f"{slide}_lowres_image"


def tissue(image_key: str) -> str:
    """Key of the tissue mask of an image, squidpy's own default."""
    return f"{image_key}_tissue"


def normalized(image_key: str) -> str:
    """Key of the stain-normalized image, squidpy's own default."""
    return f"{image_key}_normalized"


def masked(image_key: str) -> str:
    """Key of the image with its background filled."""
    return f"{image_key}_masked"


def grid(slide: str, within: str = TISSUE) -> str:
    """Name of the shapes and the region of spots that were laid on a slide: on its tissue, or within something else."""
    return f"{slide}_grid" if within == TISSUE else f"{slide}_grid_{sanitize(within)}"


def grid_table(slide: str, within: str = TISSUE) -> str:
    """Key of the table of spots that were laid on a slide."""
    return f"{grid(slide, within)}_table"


def pooled(slide: str, key: str) -> str:
    """Name of the shapes and the region of spots that bins or cells of a slide were pooled to."""
    return f"{slide}_{key}"


def circles(slide: str) -> str:
    """Key of the circles of cells that a table knows by labels alone."""
    return f"{slide}_circles"


def map_image(slide: str, layer: str) -> str:
    """Key of the image that a layer of genes was drawn into."""
    return f"{slide}_{layer}_map"


def oof(name: str) -> str:
    """Layer of the out-of-fold predictions of one predictor."""
    return f"{OOF}_{sanitize(name)}"


def sanitize(name: str) -> str:
    """Make a name that zarr and SpatialData accept as a key."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    # "." and ".." are folders
    return plain if plain.strip(".") else "_" * len(plain)

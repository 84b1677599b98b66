"""Cells of Xenium, with their outlines and transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist.datasets._drawing.transcripts import NO_CELL

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.datasets._drawing.transcripts import Segmented


def build_xenium(slide: Segmented, name: str, patient: str, genes: list[str]) -> SpatialData:
    """Make an object of a slide with cells; outlines and transcripts have the names that spatialdata-io gives them."""
    from spatialhist.io._xenium_files.alignment import Alignment
    from spatialhist.io._xenium_files.counting import Spots, Tally
    from spatialhist.io._xenium_files.slide import build_spots

    mpp = slide.scene.design.mpp
    ids = np.arange(len(slide.xy)) + 1
    found = Spots(
        slide.xy * mpp,
        2 * np.sqrt(slide.area / np.pi),
        None,
        slide.counts,
        genes,
        Tally(int(slide.counts.sum()), low_quality=None),
        ids=ids,
        obs=_columns(slide),
    )
    alignment = Alignment(np.diag([mpp, mpp, 1.0]), None, "simulation")
    part = build_spots(found, alignment, slide.image, name, patient)
    part.shapes[f"{name}_cell_boundaries"] = _outlines(slide, ids, name)
    part.points[f"{name}_transcripts"] = _transcripts(slide, ids, genes, name)
    return part


def _columns(slide: Segmented) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "transcript_counts": np.asarray(slide.counts.sum(axis=1)).ravel().astype(int),
            "cell_area": slide.area,
            "nucleus_area": slide.nucleus_area,
        }
    )


def _outlines(slide: Segmented, ids: np.ndarray, name: str) -> Any:
    import geopandas as gpd
    import shapely
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity

    frame = gpd.GeoDataFrame(geometry=shapely.polygons(slide.outlines), index=pd.Index(ids, name=_keys.INSTANCE))
    return ShapesModel.parse(frame, transformations={name: Identity()})


def _transcripts(slide: Segmented, ids: np.ndarray, genes: list[str], name: str) -> Any:
    from spatialdata.models import PointsModel
    from spatialdata.transformations import Scale

    drawn, mpp = slide.transcripts, slide.scene.design.mpp
    frame = pd.DataFrame(
        {
            "x": drawn.xy[:, 0],
            "y": drawn.xy[:, 1],
            "feature_name": pd.Categorical.from_codes(drawn.gene, genes),
            "qv": drawn.quality,
            "cell_id": np.where(drawn.cell == NO_CELL, NO_CELL, ids[drawn.cell]),
        }
    )
    return PointsModel.parse(
        frame,
        coordinates={"x": "x", "y": "y"},
        feature_key="feature_name",
        instance_key="cell_id",
        transformations={name: Scale([1 / mpp, 1 / mpp], axes=("x", "y"))},
    )

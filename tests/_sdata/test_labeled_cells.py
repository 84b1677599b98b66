"""Places and sizes of cells that a table knows by pixels of labels."""

from __future__ import annotations

import anndata as ad
import dask.array as da
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import spatialdata as sd
from spatialdata.models import Labels2DModel, Labels3DModel, ShapesModel, TableModel
from spatialdata.transformations import Identity, Scale

from spatialhist._sdata.cohort import open_cohort

CELLS = {3: (5, 4, 12, 20), 70_000: (14, 22, 40, 31), 9: (41, 1, 59, 38)}
"""Left, top, right and bottom of boxes of 60 x 40 pixels; they cross the blocks that are read."""
UM = 0.5


def labeled(*, ids=None, chunks=(16, 25), scale_factors=None, **shapes) -> sd.SpatialData:
    pixels = np.zeros((40, 60), np.int32)
    for i, (left, top, right, bottom) in CELLS.items():
        pixels[top:bottom, left:right] = i
    names = [f"cell-{i}" for i in CELLS]
    obs = pd.DataFrame({"region": "cell_labels", "label": ids or list(CELLS), "cell_id": names}, index=names)
    obs["region"] = pd.Categorical(obs["region"])
    table = ad.AnnData(np.ones((3, 2), np.float32), obs=obs)
    labels = Labels2DModel.parse(da.from_array(pixels, chunks=chunks), dims=("y", "x"), scale_factors=scale_factors)
    return sd.SpatialData(
        labels={"cell_labels": labels},
        shapes={key: ShapesModel.parse(value, transformations={"global": Scale([1 / UM] * 2, ("x", "y"))}) for key, value in shapes.items()},
        tables={"table": TableModel.parse(table, region="cell_labels", region_key="region", instance_key="label")},
    )  # fmt: skip


def outlines(*, shrink: float = 0.0, rename=lambda i: f"cell-{i}") -> gpd.GeoDataFrame:
    boxes = [shapely.box(*(np.array(box) * UM)).buffer(-shrink) for box in CELLS.values()]
    return gpd.GeoDataFrame(geometry=boxes, index=pd.Index([rename(i) for i in CELLS], name="cell_id"))[::-1]


MIDDLES = np.array([[(left + right) / 2, (top + bottom) / 2] for left, top, right, bottom in CELLS.values()])
AREAS = np.array([(right - left) * (bottom - top) for left, top, right, bottom in CELLS.values()], dtype=float)


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (40, 60)}, {"scale_factors": [2]}, {"ids": [str(i) for i in CELLS]}]
)
def test_cells_lie_and_measure_what_their_pixels_say(options):
    slide = open_cohort(labeled(**options)).slide("cell_labels")
    np.testing.assert_allclose(slide.xy, MIDDLES)
    np.testing.assert_allclose(slide.spot_areas, AREAS)


def test_spatialdata_finds_the_same_circles():
    sdata = labeled()
    open_cohort(sdata)
    expected, found = sd.to_circles(sdata["cell_labels"]), sdata["cell_labels_circles"]
    assert found.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(found.get_coordinates(), expected.get_coordinates())
    np.testing.assert_allclose(found["radius"], expected["radius"])


def test_outlines_of_the_same_cells_save_reading_the_pixels(monkeypatch):
    sdata = labeled(cell_boundaries=outlines(shrink=0.5), nucleus_boundaries=outlines(shrink=1))
    monkeypatch.setattr("spatialhist._sdata.labeled_cells._of_pixels", None)
    slide = open_cohort(sdata).slide("cell_labels")
    np.testing.assert_allclose(slide.xy, MIDDLES)
    expected = [(right - left - 2) * (bottom - top - 2) for left, top, right, bottom in CELLS.values()]
    np.testing.assert_allclose(slide.spot_areas, expected)


@pytest.mark.parametrize(
    "other",
    [
        {"nucleus_boundaries": outlines(shrink=1)},
        {"cell_boundaries": outlines(rename=lambda i: f"cell-{ {3: 9, 9: 3}.get(i, i) }")},
        {"cell_boundaries": outlines()[1:]},
    ],
    ids=["nuclei", "ids of other cells", "some"],
)
def test_outlines_of_others_are_not_taken(other):
    slide = open_cohort(labeled(**other)).slide("cell_labels")
    np.testing.assert_allclose(slide.xy, MIDDLES)
    np.testing.assert_allclose(slide.spot_areas, AREAS)


def test_a_second_table_brings_the_cells_that_the_first_had_not():
    sdata = labeled(cell_boundaries=outlines())
    whole = sdata["table"]
    sdata["some"] = whole[1:].copy()
    assert len(open_cohort(sdata, table_key="some").slide("cell_labels").xy) == 2
    np.testing.assert_allclose(open_cohort(sdata).slide("cell_labels").xy, MIDDLES / 1)
    np.testing.assert_allclose(open_cohort(sdata, table_key="some").slide("cell_labels").xy, MIDDLES[1:])


def test_cells_that_labels_do_not_show_are_named():
    sdata = labeled(ids=[3, 9, 70_001])
    with pytest.raises(
        ValueError,
        match=r"1 spots of slide 'cell_labels' .* \[70001\], the index of sdata.shapes\['cell_labels_circles'\]",
    ):
        open_cohort(sdata)


def test_labels_of_volumes_are_refused():
    sdata = labeled()
    del sdata.labels["cell_labels"]
    sdata.labels["cell_labels"] = Labels3DModel.parse(
        np.ones((2, 4, 5), np.int16), dims=("z", "y", "x"), transformations={"global": Identity()}
    )
    with pytest.raises(ValueError, match=r"labels 'cell_labels' have the axes \('z', 'y', 'x'\)"):
        open_cohort(sdata)

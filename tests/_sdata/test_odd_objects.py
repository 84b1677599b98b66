"""Odd but possible objects work right, or are refused with an error whose advice works."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from foreign_objects import XY, N, squidpy_layout
from spatialdata.models import ShapesModel
from spatialdata.transformations import Affine, Identity, Scale, set_transformation

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort

AXES = ("x", "y")
TURN = Affine([[0.6, -0.8, 170], [0.8, 0.6, 20], [0, 0, 1]], AXES, AXES)


@pytest.fixture
def sdata():
    return squidpy_layout(0)


def opened(sdata, slide: str = "spots"):
    return open_cohort(sdata, table_key="adata").slide(slide)


def put_outlines(sdata, outline) -> None:
    del sdata.shapes["spots"]
    shapes = gpd.GeoDataFrame(geometry=[outline(x, y, i) for i, (x, y) in enumerate(XY)], index=range(N))
    sdata.shapes["spots"] = ShapesModel.parse(shapes)


def two_boxes(x: float, y: float, _=0):
    return shapely.MultiPolygon([shapely.box(x - 6, y - 6, x - 2, y + 6), shapely.box(x + 2, y - 6, x + 6, y + 6)])


OUTLINES = {
    "with holes": (lambda x, y, _: shapely.box(x - 6, y - 6, x + 6, y + 6) - shapely.box(x - 2, y - 2, x + 2, y + 2), 128),
    "of two parts": (two_boxes, 96),
    "of both kinds": (lambda x, y, i: two_boxes(x, y) if i % 3 else shapely.box(x - 6, y - 6, x + 6, y + 6), 96),
    "some without area": (lambda x, y, i: shapely.box(x - 6, y - 4, x + 6, y + 4) if i % 9 else shapely.box(x, y, x, y), 96),
}  # fmt: skip


@pytest.mark.parametrize("kind", OUTLINES)
def test_outlines_of_any_form_lie_at_their_centroid(sdata, kind):
    outline, area = OUTLINES[kind]
    put_outlines(sdata, outline)
    slide = opened(sdata)
    np.testing.assert_allclose(slide.centers(), XY, atol=1e-9)
    assert slide.spot_diameter_px == pytest.approx(np.sqrt(4 * area / np.pi))


def test_image_and_spots_that_are_turned_together_stay_together(sdata):
    for element in (sdata.images["hne"], sdata.shapes["spots"]):
        set_transformation(element, {"global": TURN}, set_all=True)
    np.testing.assert_allclose(opened(sdata).centers(), XY)


@pytest.mark.parametrize(
    "ids", [[str(i) for i in range(N)], np.arange(N).astype(np.uint16), [float(i) for i in range(N)]]
)
def test_ids_are_the_same_in_any_type(sdata, ids):
    sdata["adata"].obs["spot_id"] = ids
    np.testing.assert_allclose(opened(sdata).centers(), XY)


def test_regions_that_no_row_is_of_are_no_slides(sdata):
    table = sdata["adata"]
    table.obs["region"] = table.obs["region"].cat.add_categories(["gone"])
    table.uns["spatialdata_attrs"]["region"] = ["spots", "gone"]
    assert open_cohort(sdata, table_key="adata").slides == ["spots"]


def test_regions_that_are_numbers_are_names_of_shapes(sdata):
    sdata.shapes["1"] = sdata.shapes.pop("spots")
    sdata["adata"].obs["region"] = pd.Categorical([1] * N)
    np.testing.assert_allclose(opened(sdata, "1").centers(), XY)


def test_a_table_that_does_not_say_what_its_columns_mean_is_completed(sdata):
    del sdata["adata"].uns["spatialdata_attrs"]
    sh.pp.filter_spots(sdata, min_counts=0, min_tissue=0, table_key="adata")
    assert sdata["adata"].uns["spatialdata_attrs"] == {
        "region": ["spots"], "region_key": "region", "instance_key": "spot_id"
    }  # fmt: skip


def test_tables_on_the_same_shapes_lose_the_same_spots(sdata):
    sdata["some"] = sdata["adata"][10:60].copy()
    sdata["some"].X[:7] = 0
    sh.pp.filter_spots(sdata, min_counts=1, min_tissue=0, table_key="some")
    assert (len(sdata["some"]), len(sdata["adata"]), len(sdata.shapes["spots"])) == (43, N - 7, N - 7)
    np.testing.assert_allclose(opened(sdata).centers(), np.delete(XY, range(10, 17), axis=0))


def index_twice(sdata):
    index = sdata.shapes["spots"].index.to_numpy().copy()
    index[1] = index[0]
    sdata.shapes["spots"].index = index


def squeezed(sdata):
    set_transformation(sdata.shapes["spots"], Scale([1, 0], AXES), "global")


def no_radius(sdata):
    sdata.shapes["spots"]["radius"] = 0.0


def crossing(sdata):
    put_outlines(
        sdata, lambda x, y, _: shapely.Polygon([(x - 6, y - 6), (x + 6, y + 6), (x + 6, y - 6), (x - 6, y + 6)])
    )


@pytest.mark.parametrize(
    ("spoil", "message", "before", "after"),
    [
        (
            squeezed,
            r"sdata.shapes\['spots'\] to the coordinate system 'global' cannot be inverted",
            "Set the right one, ",
            "\0",
        ),
        (no_radius, r"sdata.shapes\['spots'\] have no area", "own units, ", ", and make"),
        (crossing, r"sdata.shapes\['spots'\] have no area", "themselves valid, ", "\0"),
    ],
)
def test_what_cannot_be_is_named_and_the_advice_works(sdata, spoil, message, before, after):
    spoil(sdata)
    with pytest.raises(ValueError, match=message) as said:
        opened(sdata)
    exec(str(said.value).split(before)[1].split(after)[0], {"sdata": sdata})
    np.testing.assert_allclose(opened(sdata).centers(), XY)


def test_shapes_of_one_id_are_named_and_the_advice_works(sdata):
    index_twice(sdata)
    with pytest.raises(
        ValueError, match=r"the index of sdata.shapes\['spots'\] holds 1 ids more than once, e.g. 0"
    ) as said:
        opened(sdata)
    exec(str(said.value).split("first of each, ")[1], {"sdata": sdata})
    with pytest.raises(ValueError, match="1 spots of slide 'spots' are in the table but not in its shapes"):
        opened(sdata)


def test_an_image_of_another_system_is_named_and_the_advice_works(sdata):
    set_transformation(sdata.images["hne"], {"elsewhere": Identity()}, set_all=True)
    with pytest.raises(KeyError, match=r"'hne' lies in the coordinate systems \['elsewhere'\]") as said:
        opened(sdata).centers()
    exec(said.value.args[0].split("where they are: ")[1], {"sdata": sdata})
    np.testing.assert_allclose(opened(sdata).centers(), XY)

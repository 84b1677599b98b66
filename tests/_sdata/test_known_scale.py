from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from spatialdata.models import PointsModel
from spatialdata.transformations import Identity, Scale, set_transformation
from tests.io.conftest import hexagon

from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.known_scale import spot_pitch

AXES = ("x", "y")


@pytest.fixture
def bare(slide_of_five):
    """A slide of spots of 110 pixels, 200 apart, that nothing is known of."""
    slide_of_five.attrs.clear()
    del slide_of_five["table"].uns["spatial"]
    return slide_of_five


def mpp(sdata) -> float | None:
    return open_cohort(sdata).slide("S1").scale.mpp


def cells(sdata, area_um: float) -> None:
    sdata["table"].obs[["cell_id", "transcript_counts"]] = 1
    sdata["table"].obs["cell_area"] = area_um


@pytest.mark.parametrize(("off", "known"), [(1.0, 0.2125), (1.04, 0.2125), (1.2, None)])
def test_areas_of_the_cells_of_xenium(bare, off, known):
    cells(bare, np.pi * (55 * 0.2125 * off) ** 2)
    assert mpp(bare) == (None if known is None else pytest.approx(known, rel=1e-9))


def test_cells_of_xenium_in_micrometers_of_another_pixel(bare):
    cells(bare, np.pi * 55**2)
    set_transformation(bare.shapes["S1"], {"S1": Scale([1 / 0.3] * 2, AXES)}, set_all=True)
    set_transformation(bare.images["S1_full_image"], {"S1": Scale([4, 4], AXES)}, set_all=True)
    assert mpp(bare) == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize("system", ["microns", "um", "microns-A"])
def test_a_coordinate_system_in_micrometers(bare, system):
    set_transformation(bare.shapes["S1"], Scale([0.4, 0.4], AXES), system)
    assert mpp(bare) == pytest.approx(0.4)


def test_elements_beside_the_spots_in_micrometers(bare):
    for i, factor in enumerate((2.5, 2.5)):
        bare.points[f"p{i}"] = PointsModel.parse(
            pd.DataFrame({"x": [1.0], "y": [2.0]}),
            transformations={"microns": Identity(), "S1": Scale([factor] * 2, AXES)},
        )
    assert mpp(bare) == pytest.approx(0.4)


def test_elements_that_disagree_say_nothing(bare):
    for i, factor in enumerate((2.5, 3.5)):
        bare.points[f"p{i}"] = PointsModel.parse(
            pd.DataFrame({"x": [1.0], "y": [2.0]}),
            transformations={"microns": Identity(), "S1": Scale([factor] * 2, AXES)},
        )
    assert mpp(bare) is None


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"shape": [700, 1100], "mpp": 0.46}, 0.46),
        ({"shape": [500, 1100], "mpp": 0.46}, None),
        ({"shape": [700, 1100], "mpp": None}, None),
    ],
)
def test_the_scan_of_lazyslide(bare, said, known):
    bare.attrs["slide_properties"] = said
    assert mpp(bare) == known


@pytest.mark.parametrize(("reader", "known"), [("visium", 0.5), ("visium_hd", None)])
def test_the_reader_of_visium(bare, reader, known):
    bare.attrs["spatialdata_io_reader"] = reader
    assert mpp(bare) == known


def test_distance_of_spots_holds_where_every_other_one_is_left():
    spots = hexagon(pitch=40.0)
    left = spots.iloc[::3]
    assert spot_pitch(left, left[["x", "y"]].to_numpy()) == pytest.approx(40.0)
    assert spot_pitch(left[[]], spots[["x", "y"]].to_numpy()) == pytest.approx(40.0)

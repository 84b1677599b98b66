from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import shapely
from geopandas import GeoDataFrame
from shapely.geometry import shape
from spatialdata.models import ShapesModel
from spatialdata.transformations import Affine, set_transformation
from tests.io.conftest import picture

import spatialhist as sh

XY = np.array([[100.0, 50.0], [150.0, 55.0], [200.0, 250.0]])
TO_SLIDE = np.array([[0.0, -2.0, 700.0], [2.0, 0.0, 10.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def turned():
    """Three spots of 20 px, on a slide whose axes are turned and twice as fine as those of the image."""
    sdata = sh.io.from_arrays(picture(), XY, np.ones((3, 2)), genes=["A", "B"], spot_ids=[7, 8, 9], spot_diameter_px=20)
    for element in (sdata["S1_full_image"], sdata["S1"]):
        set_transformation(element, Affine(TO_SLIDE, ("x", "y"), ("x", "y")), "S1")
    sdata["table"].layers["predicted"] = np.array([[0.1, np.nan], [0.2, 5], [0.4, np.inf]], dtype=np.float32)
    sdata["table"].obs["region_of"] = ["Tumor", None, "Stroma"]
    return sdata


def written(sdata, path, **options):
    sh.io.write_geojson(sdata, path, **options)
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_text()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return json.loads(text)["features"]


@pytest.mark.parametrize("name", ["a.geojson", "a.geojson.gz"])
def test_spots_lie_on_the_image(turned, tmp_path, name):
    features = written(turned, tmp_path / name)
    outlines = [shape(f["geometry"]) for f in features]
    np.testing.assert_allclose([(o.centroid.x, o.centroid.y) for o in outlines], XY, atol=0.01)
    np.testing.assert_allclose([o.area for o in outlines], 12 * np.sin(np.pi / 12) * 10**2, rtol=1e-3)
    about = [f["properties"] for f in features]
    assert about[0] == {"objectType": "detection", "name": "7", "measurements": {"A": 0.1}}
    assert [a["measurements"] for a in about[1:]] == [{"A": 0.2, "B": 5.0}, {"A": 0.4}]


def test_classes_and_colors(turned, tmp_path):
    options = {"kind": "annotation", "classification": "region_of", "color_by": "A", "cmap": "gray"}
    about = [f["properties"] for f in written(turned, tmp_path / "a.geojson", genes="B", **options)]
    assert [a["objectType"] for a in about] == ["annotation"] * 3
    assert [a.get("classification", {}).get("name") for a in about] == ["Tumor", None, "Stroma"]
    assert len({tuple(about[i]["classification"]["color"]) for i in (0, 2)}) == 2
    assert [a["color"] for a in about] == [[0] * 3, [85] * 3, [255] * 3]
    assert "color" not in written(turned, tmp_path / "a.geojson", color_by="B")[0]["properties"]


def test_cells_keep_their_outline_and_spots_without_a_place_are_left_out(turned, tmp_path):
    cells = [shapely.box(10, 20, 40, 90), shapely.Point(np.nan, np.nan).buffer(3), shapely.box(50, 60, 53, 69.5)]
    frame = GeoDataFrame(geometry=cells, index=turned["S1"].index)
    del turned.shapes["S1"]
    turned.shapes["S1"] = ShapesModel.parse(frame, transformations={"S1": Affine(TO_SLIDE, ("x", "y"), ("x", "y"))})
    features = written(turned, tmp_path / "a.geojson")
    assert [f["properties"]["name"] for f in features] == ["7", "9"]
    assert all(shape(f["geometry"]).equals(cells[i]) for f, i in zip(features, (0, 2), strict=True))


def test_the_genes_of_highest_mean_by_default(tmp_path):
    values = np.tile(np.arange(60, dtype=np.float32), (3, 1))
    sdata = sh.io.from_arrays(picture(), XY, values, genes=[f"G{i}" for i in range(60)])
    values[:, 59] = np.nan
    sdata["table"].layers["predicted"] = values
    expected = [f"G{i}" for i in range(9, 59)]
    assert list(written(sdata, tmp_path / "a.geojson")[0]["properties"]["measurements"]) == expected
    counted = written(sdata, tmp_path / "a.geojson", layer="X")
    assert list(counted[0]["properties"]["measurements"]) == [f"G{i}" for i in range(10, 60)]


def test_several_slides(turned, tmp_path):
    other = sh.io.from_arrays(picture(), XY[:2] + 1, np.ones((2, 2)), genes=["A", "B"], slide="S2")
    sdata = sh.io.concat([turned, other])
    assert len(written(sdata, tmp_path / "a.geojson", layer="X", slide="S2")) == 2
    before = (tmp_path / "a.geojson").read_bytes()
    with pytest.raises(ValueError, match=r"\['S1', 'S2'\]: choose with slide="):
        sh.io.write_geojson(sdata, tmp_path / "a.geojson", layer="X")
    assert (tmp_path / "a.geojson").read_bytes() == before


def test_spots_come_back_as_annotations(turned, tmp_path):
    sh.io.write_geojson(turned, tmp_path / "a.geojson.gz", kind="annotation", classification="region_of")
    sh.io.read_geojson(turned, tmp_path / "a.geojson.gz")
    read = turned["annotations"]
    on_slide = XY @ TO_SLIDE[:2, :2].T + TO_SLIDE[:2, 2]
    np.testing.assert_allclose(np.column_stack([read.centroid.x, read.centroid.y]), on_slide, atol=0.02)
    assert read["name"].tolist() == ["7", "8", "9"]
    assert read["classification"].tolist() == ["Tumor", None, "Stroma"]
    # a spot without a class is in an annotation that has a name alone
    assert turned["table"].obs["annotations"].tolist() == ["Tumor", "8", "Stroma"]

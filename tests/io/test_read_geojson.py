from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import shapely
import spatialdata as sd
from shapely.geometry import mapping
from spatialdata.transformations import Affine, set_transformation
from tests.io.conftest import picture

import spatialhist as sh
from spatialhist._sdata.cohort import open_images

# within the hole, within the ring around it, in the second part of the other annotation, outside of all
XY = np.array([[100.0, 60.0], [60.0, 60.0], [310.0, 210.0], [250.0, 290.0]])
HOLED = shapely.Polygon([(50, 30), (150, 30), (150, 90), (50, 90)], [[(80, 50), (120, 50), (120, 70), (80, 70)]])
TWO = shapely.MultiPolygon([shapely.box(200, 100, 220, 130), shapely.box(300, 200, 340, 230)])
TO_SLIDE = np.array([[0.0, -2.0, 700.0], [2.0, 0.0, 10.0], [0.0, 0.0, 1.0]])
NEW = [
    {"objectType": "annotation", "name": "a", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
    {"objectType": "detection", "classification": {"names": ["Immune", "CD3"], "color": [0, 9, 0, 50]},
     "measurements": {"Area": 3.5}},
]  # fmt: skip
OLD = [
    {"name": "a", "classification": {"name": "Tumor", "colorRGB": -3670016}, "isLocked": True},
    {"classification": {"name": "CD3", "parentClass": {"name": "Immune", "colorRGB": -1}, "colorRGB": -3},
     "measurements": [{"name": "Area", "value": 3.5}]},
]  # fmt: skip
TEXT = [{"name": "a", "classification": "Tumor"}, {"classification": "Immune: CD3"}]


def features(properties, polygons=(HOLED, TWO)):
    return [
        {"type": "Feature", "geometry": mapping(polygon), "properties": about}
        for polygon, about in zip(polygons, properties, strict=True)
    ]


def nested(found):
    """A hierarchy: what lies within an object is written into it."""
    found[0]["properties"] = found[0]["properties"] | {"childObjects": found[1:]}
    return found[0]


@pytest.fixture
def turned():
    """A slide whose axes are turned and twice as fine as those of its image, wider than high."""
    sdata = sh.io.from_arrays(picture(), XY, np.ones((4, 2)))
    for element in (sdata["S1_full_image"], sdata["S1"]):
        set_transformation(element, Affine(TO_SLIDE, ("x", "y"), ("x", "y")), "S1")
    return sdata


def put(path, content):
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("properties", [NEW, OLD, TEXT], ids=["0.4 to 0.6", "before 0.4", "by others"])
@pytest.mark.parametrize("wrap", [list, nested, lambda f: {"type": "FeatureCollection", "features": f}])
@pytest.mark.parametrize("name", ["a.geojson", "a.json.gz"])
def test_every_layout(turned, tmp_path, properties, wrap, name):
    sh.io.read_geojson(turned, put(tmp_path / name, wrap(features(properties))))
    read = turned["annotations"]
    back = shapely.transform(read.geometry, lambda xy: (xy - TO_SLIDE[:2, 2]) @ np.linalg.inv(TO_SLIDE[:2, :2]).T)
    assert [g.equals(expected) for g, expected in zip(back, (HOLED, TWO), strict=True)] == [True, True]
    assert read["classification"].tolist() == ["Tumor", "Immune: CD3"]
    assert read["name"].tolist() == ["a", None]
    labels = turned["table"].obs["annotations"]
    assert labels.astype(object).where(labels.notna(), None).tolist() == [None, "Tumor", "Immune: CD3", None]


def test_grids_are_laid_within_and_the_store_keeps_all(turned, tmp_path):
    turned.write(tmp_path / "a.zarr")
    sh.io.read_geojson(turned, put(tmp_path / "a.json", features(NEW)), key_added="drawn")
    sh.io.save(turned)
    again = sd.read_zarr(tmp_path / "a.zarr")
    inside = open_images(again, "S1").slide("S1").inside(XY, "drawn")
    assert inside.tolist() == [False, True, True, False]
    assert again["drawn"]["name"].tolist() == ["a", None]
    assert again["table"].obs["drawn"].cat.categories.tolist() == ["Immune: CD3", "Tumor"]


def test_the_smallest_annotation_labels_a_spot(turned, tmp_path):
    around = features([{"classification": "Tissue"}, {"name": "unclassified"}], [shapely.box(0, 0, 423, 300), HOLED])
    sh.io.read_geojson(turned, put(tmp_path / "a.json", around))
    assert turned["table"].obs["annotations"].tolist() == ["Tissue", "unclassified", "Tissue", "Tissue"]


def test_a_slide_without_spots(tmp_path):
    sdata = sh.io.from_arrays(picture(), XY, np.ones((4, 2)))
    del sdata.tables["table"], sdata.shapes["S1"]
    sh.io.read_geojson(sdata, put(tmp_path / "a.json", features(NEW)))
    assert len(sdata["annotations"]) == 2


def test_points_are_left_out_and_crossing_outlines_repaired(turned, tmp_path, caplog):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [40, 20], [40, 0], [0, 20], [0, 0]]]}
    mixed = [{"type": "Feature", "geometry": g, "properties": None} for g in (mapping(shapely.Point(1, 2)), bow)]
    sh.io.read_geojson(turned, put(tmp_path / "a.json", mixed))
    assert "left out 1 of 2 features" in caplog.text
    assert turned["annotations"].geometry.is_valid.all()
    assert turned["annotations"].area.tolist() == [4 * 2 * (20 * 20 / 2)]


def test_a_file_that_unpacks_without_end_is_refused(turned, tmp_path, monkeypatch):
    monkeypatch.setattr("spatialhist.io._geojson.annotations.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="unpacks to more than 100 bytes"):
        sh.io.read_geojson(turned, put(tmp_path / "a.json.gz", features(NEW)))

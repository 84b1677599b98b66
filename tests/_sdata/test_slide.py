from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas import GeoDataFrame
from small_cohorts import HEIGHT, WIDTH, draw_cohort, lattice
from spatialdata.models import Image2DModel, ShapesModel
from spatialdata.transformations import Affine, Identity, Translation, set_transformation

from spatialhist._sdata.alignment import set_alignment
from spatialhist._sdata.cohort import get_slide, open_cohort
from spatialhist._sdata.scale import Scale, slide_info


@pytest.fixture
def sdata():
    return draw_cohort(1, n_slides=2)


@pytest.fixture
def slide(sdata):
    return open_cohort(sdata).slide("S2")


def add_thumbnail(sdata, slide="S2"):
    """Half as fine, and its corner 6 pixels right and 2 below that of the slide."""
    half = np.asarray(sdata.images[f"{slide}_full_image"].data)[:, ::2, ::2]
    placed = {slide: Affine(np.array([[2.0, 0, 6], [0, 2, 2], [0, 0, 1]]), ("x", "y"), ("x", "y"))}
    sdata.images[f"{slide}_hires_image"] = Image2DModel.parse(half, dims=("c", "y", "x"), transformations=placed)


def test_facts_of_a_slide(slide):
    assert (slide.name, slide.patient) == ("S2", "P2")
    assert slide.rows.tolist() == list(range(96, 192))
    assert (slide.scale.mpp, slide.scale.pitch_px) == (2.0, 20.0)
    np.testing.assert_allclose(slide.spots, lattice())


def test_genes_measured(two_slides):
    cohort = open_cohort(two_slides)
    genes = cohort.table.var_names
    assert set(genes[cohort.slide("S1").genes_measured]) == {"A", "B", "C"}
    assert not cohort.slide("S2").genes_measured.any()


def test_patient_known_unknown_and_ambiguous(slide_of_five):
    def patient(names):
        slide_of_five["table"].obs["patient"] = names
        return open_cohort(slide_of_five).slide("S1").patient

    assert patient(["P1", np.nan, "P1", "P1", "P1"]) == "P1"
    assert patient([np.nan] * 5) is None
    with pytest.raises(ValueError, match=r"'S1' names several patients.*'P1', 'P2'"):
        patient(["P1", "P1", "P2", "P1", np.nan])
    del slide_of_five["table"].obs["patient"]
    assert open_cohort(slide_of_five).slide("S1").patient is None


def test_usable_spots_were_measured_and_passed_quality(sdata):
    obs = sdata["table"].obs
    obs["measured"] = np.arange(len(obs)) != 100
    obs["spot_qc"] = pd.Categorical(np.where(np.arange(len(obs)) < 102, "off_tissue", "ok"))
    slide = open_cohort(sdata).slide("S2")
    assert (~slide.measured).nonzero()[0].tolist() == [4]
    assert slide.usable.tolist() == list(range(102, 192))
    assert obs["measured"].sum() == len(obs) - 1


def test_spots_do_not_follow_expression(sdata, caplog):
    labels, footprint = (np.array([[1.0, 0, dx], [0, 1, 0], [0, 0, 1]]) for dx in (9.0, 4.0))
    set_alignment(sdata, sdata["table"], "S2", labels)
    report = {"use_expression": False, "footprint_matrix": footprint.tolist()}
    slide_info(sdata, "S2")["alignment_report"] = report
    np.testing.assert_allclose(open_cohort(sdata).slide("S2").spots, lattice() + [9, 0])
    report["use_expression"] = True
    slide = open_cohort(sdata).slide("S2")
    with caplog.at_level(logging.INFO):
        np.testing.assert_allclose(slide.spots, lattice() + [4, 0])
        np.testing.assert_allclose(slide.spots, lattice() + [4, 0])
    assert caplog.text.count("placed by their footprint") == 1
    np.testing.assert_allclose(slide.centers(), lattice() + [9, 0])
    np.testing.assert_array_equal(slide.original_spots, lattice())


def test_an_image_knows_how_many_pixels_of_the_slide_one_of_its_own_is(sdata):
    add_thumbnail(sdata)
    slide = open_cohort(sdata).slide("S2")
    full, small = slide.image(), slide.image("{slide}_hires_image")
    assert (full.px, small.px) == (1.0, 2.0)
    assert (small.pyramid.width, small.pyramid.height) == (WIDTH // 2, HEIGHT // 2)
    np.testing.assert_allclose(small.pixels(np.array([[106.0, 42.0]])), [[50, 20]])
    np.testing.assert_allclose(slide.centers("{slide}_hires_image"), (lattice() - [6, 2]) / 2)
    np.testing.assert_allclose(slide.xy, lattice())
    assert slide.px(("um", 60.0)) == 30
    assert slide.px(("um", 60.0), "{slide}_hires_image") == 15
    assert slide.image() is full


def test_missing_image_and_mask_name_the_slide(sdata):
    del sdata.labels["S2_full_image_tissue"]
    slide = open_cohort(sdata).slide("S2")
    with pytest.raises(KeyError, match=r"'S2_full_image_normalized'.*normalize_stain"):
        slide.image("normalized")
    with pytest.raises(KeyError, match=r"slide 'S2' has no tissue mask .*mask_background"):
        _ = slide.tissue


def test_tissue_covers_the_image(slide):
    mask, factors = slide.tissue
    assert mask.shape == (HEIGHT // 4, WIDTH // 4)
    assert factors == (4.0, 4.0)


def test_a_mask_without_its_image_is_none(sdata, slide):
    assert slide.has_tissue
    del sdata.images["S2_full_image"]
    assert not slide.has_tissue


def test_other_spots_on_the_same_slide(slide):
    points, spots = np.array([[10.0, 30.0], [50.0, 90.0]]), Scale(2.0, 44.0, 20.0)
    laid = slide.with_spots(points, spots)
    assert laid.spots is points
    assert laid.scale is spots
    assert laid.px(("pitch", 0.5)) == 22
    assert laid.image() is slide.image()
    assert (laid.name, laid.patient, laid.pixel_hash) == (slide.name, slide.patient, slide.pixel_hash)
    np.testing.assert_allclose(slide.spots, lattice())


def test_points_inside_polygons_that_lie_elsewhere(sdata, slide):
    boxes = GeoDataFrame(geometry=[shapely.box(0, 0, 20, 10), shapely.box(40, 0, 60, 10)])
    placed = {"S2": Translation([100.0, 50.0], axes=("x", "y"))}
    sdata.shapes["part"] = ShapesModel.parse(boxes, transformations=placed)
    points = np.array([[110.0, 55.0], [130.0, 55.0], [150.0, 55.0], [110.0, 65.0]])
    assert slide.inside(points, "part").tolist() == [True, False, True, False]
    with pytest.raises(KeyError, match=r"within='nowhere' is not .* polygons in sdata.shapes: .*'part'"):
        slide.inside(points, "nowhere")
    with pytest.raises(ValueError, match=r"within='S2' holds \['Point'\]: want polygons"):
        slide.inside(points, "S2")


def test_stain_of_an_image(sdata, slide):
    slide_info(sdata, "S2")["stain"] = {"target": {"method": "macenko"}}
    assert slide.stain_target("normalized") == {"method": "macenko"}
    assert slide.stain_target("full") is None


def test_images_need_neither_spots_nor_table(sdata):
    before = open_cohort(sdata).slide("S1").pixel_hash
    del sdata.tables["table"], sdata.shapes["S1"]
    slide_info(sdata, "S1")["patient"] = "P7"
    slide = get_slide(sdata, "S1")
    assert (slide.patient, slide.pixel_hash, len(slide.rows)) == ("P7", before, 0)


def test_an_image_that_does_not_lie_on_the_slide_is_read_but_not_placed(sdata, slide):
    set_transformation(sdata.images["S2_full_image"], {"elsewhere": Identity()}, set_all=True)
    assert slide.image().pyramid.width == WIDTH
    with pytest.raises(ValueError, match=r"coordinate systems \['elsewhere'\], not in 'S2'"):
        slide.px(("px", 3.0))

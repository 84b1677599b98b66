from __future__ import annotations

import copy
import logging
import re

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.alignment import alignment
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.geometry import spot_centers
from spatialhist._sdata.images import add_mask
from spatialhist._sdata.layers import recorded
from spatialhist._sdata.scale import slide_info

PITCH, HEIGHT, WIDTH = 20.0, 560, 700
SHIFT = np.array([38.0, -30.0])


def outline():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    body = (x + 0.25 * y > 190) & (x + 0.1 * y < 520) & (y - 0.2 * x > 30) & (y + 0.1 * x < 430)
    return (body | ((x - 480) ** 2 + (y - 190) ** 2 < 70**2)) & ~((x - 290) ** 2 + (y - 390) ** 2 < 55**2)


def lattice():
    i, j = np.meshgrid(np.arange(3, 31), np.arange(3, 29))
    return np.column_stack([((i + 0.5 * (j % 2)) * PITCH).ravel(), (j * PITCH * np.sqrt(3) / 2).ravel()])


def inside(xy):
    column, row = xy.astype(int).T
    return outline()[row, column]


def one(slide, xy, counts=None, *, measured=True, mask=True):
    rng = np.random.default_rng(0)
    image = np.where(outline(), rng.integers(90, 200, (HEIGHT, WIDTH)), 245).astype(np.uint8)
    image = np.stack([image, image - 30 * outline().astype(np.uint8), image])
    counts = np.full((len(xy), 3), 9.0, np.float32) if counts is None else counts
    sdata = build_slide(image, xy, counts, slide=slide, genes=["a", "b", "c"], mpp=5.0, measured=measured)
    if mask:
        add_mask(sdata, outline()[::2, ::2], image=f"{slide}_full_image")
    return sdata


@pytest.fixture
def right():
    xy = lattice()
    return xy[inside(xy)]


def centers(sdata, slide):
    return spot_centers(sdata, sdata["table"], slide)


def test_moves_what_is_wrong_and_keeps_what_is_right(right, caplog):
    sdata = concat_slides([one("S1", right + SHIFT), one("S2", right)])
    with caplog.at_level(logging.INFO):
        assert sh.pp.realign(sdata) is None
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) < 0.2 * PITCH
    np.testing.assert_array_equal(centers(sdata, "S2"), right)
    np.testing.assert_allclose(sdata["table"].obsm["spatial"][: len(right)], centers(sdata, "S1"))
    assert [r.levelname for r in caplog.records if r.name.endswith("_realign")] == ["INFO", "INFO"]
    spacings = np.linalg.norm(SHIFT) / PITCH
    said = re.search(
        r"slide 'S1': moved by ([\d.]+) spot spacings \(([\d.]+) px\), rotated by (-?[\d.]+)°, overlap", caplog.text
    )
    assert float(said[1]) == pytest.approx(spacings, abs=0.2)
    assert float(said[2]) == pytest.approx(np.linalg.norm(SHIFT), abs=0.2 * PITCH)
    assert abs(float(said[3])) < 3
    assert "slide 'S2': not moved, no registration is clearly better" in caplog.text
    report = slide_info(sdata, "S1")["alignment_report"]
    assert report["accepted"] and report["overlap_after"] > report["overlap_before"]
    assert len(report["overlaps_random"]) == 200
    np.testing.assert_allclose(np.quantile(report["overlaps_random"], 0.99), report["overlap_random"], atol=1e-4)
    assert 0 < report["sharpness"] < 2
    assert recorded(sdata["table"], "realign")["slides"]["S2"]["accepted"] is False


def test_twice_is_byte_equal(right):
    sdata = one("S1", right + SHIFT)
    sh.pp.realign(sdata)
    first = copy.deepcopy(slide_info(sdata, "S1")), centers(sdata, "S1"), sdata["table"].obsm["spatial"].copy()
    sh.pp.realign(sdata)
    assert slide_info(sdata, "S1") == first[0]
    np.testing.assert_array_equal(centers(sdata, "S1"), first[1])
    np.testing.assert_array_equal(sdata["table"].obsm["spatial"], first[2])


def test_mirrored_spots_are_turned_if_asked_for(right):
    mirrored = right * [-1, 1] + [WIDTH, 0]
    sdata = one("S1", mirrored)
    sh.pp.realign(sdata)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) > PITCH
    sh.pp.realign(sdata, orientations=True)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) < 0.2 * PITCH


def test_spots_move_no_farther_than_asked_for(right):
    sdata = one("S1", right + SHIFT)
    sh.pp.realign(sdata, model="translation", max_shift=1.0)
    assert np.abs(centers(sdata, "S1") - right - SHIFT).max() <= 1.5 * PITCH
    sh.pp.realign(sdata, model="translation", max_shift=3.0)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) < 0.2 * PITCH


def test_without_a_mask_and_unmeasured(right):
    sdata = one("S1", right + SHIFT, measured=False, mask=False)
    sh.pp.realign(sdata, use_expression=True)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) < 0.25 * PITCH
    assert slide_info(sdata, "S1")["alignment_report"]["use_expression"] is False
    assert not sdata.labels


def test_labels_do_not_matter_unless_asked(right):
    rng = np.random.default_rng(0)
    slides = [one("S1", right + SHIFT, rng.poisson(5, (len(right), 3)).astype(np.float32)) for _ in range(2)]
    slides[1]["table"].X = rng.permutation(slides[1]["table"].X)
    for sdata in slides:
        sh.pp.realign(sdata)
    assert slide_info(slides[0], "S1") == slide_info(slides[1], "S1")


def test_expression_places_a_whole_lattice():
    everything = lattice()
    on = inside(everything)
    counts = np.random.default_rng(0).poisson(np.where(on, 40, 0.5)[:, None], (len(on), 3)).astype(np.float32)
    sdata = one("S1", everything - SHIFT, counts)
    sh.pp.realign(sdata)
    np.testing.assert_array_equal(alignment(sdata, "S1"), np.eye(3))
    sh.pp.realign(sdata, use_expression=True)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - everything, axis=1)) < 0.12 * PITCH
    report = slide_info(sdata, "S1")["alignment_report"]
    assert report["use_expression"] and report["footprint_matrix"] == np.eye(3).tolist()
    assert -1 <= report["correlation_before"] < report["correlation_after"] <= 1
    assert report["log_likelihood_lead"] > 10
    assert not [key for key in report if "overlap" in key or "sharpness" in key]
    sh.pp.realign(sdata)
    np.testing.assert_allclose(centers(sdata, "S1"), everything - SHIFT)


def test_expression_that_says_nothing_leaves_it_to_the_footprint(right, caplog):
    counts = np.random.default_rng(0).poisson(40, (len(right), 3)).astype(np.float32)
    sdata = one("S1", right + SHIFT, counts)
    with caplog.at_level(logging.INFO):
        sh.pp.realign(sdata, use_expression=True)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - right, axis=1)) < 0.2 * PITCH
    report = slide_info(sdata, "S1")["alignment_report"]
    assert report["use_expression"] is False and report["matrix"] == report["footprint_matrix"]
    assert "slide 'S1': moved by its footprint by" in caplog.text
    assert not [key for key in report if "correlation" in key or "lead" in key]


def test_in_tissue_flag_is_the_footprint():
    everything = lattice()
    sdata = one("S1", everything - SHIFT)
    sdata["table"].obs["in_tissue"] = inside(everything).astype(int)
    sh.pp.realign(sdata)
    assert np.median(np.linalg.norm(centers(sdata, "S1") - everything, axis=1)) < 0.2 * PITCH


def test_few_spots_stay(right, tmp_path, caplog):
    sdata = one("S1", right[:5] + SHIFT)
    sh.pp.realign(sdata)
    sdata.write(tmp_path / "a.zarr")
    assert "too few" in slide_info(sdata, "S1")["alignment_report"]["reason"]
    assert "slide 'S1': could not be placed and stays as it was read: 5 spots are too few" in caplog.text
    assert sh.pl.alignment(sdata, "S1").get_title(loc="left") == "S1: left in place"


def test_a_slide_that_could_not_be_placed_is_named_at_the_level_that_everybody_sees(right, caplog):
    """Spots of a few rows can slide along the tissue; nothing has to be set up for a warning to be shown."""
    inner = right[np.abs(right[:, 1] - np.median(right[:, 1])) < 1.5 * PITCH]
    inner = inner[np.abs(inner[:, 0] - np.median(inner[:, 0])) < 3 * PITCH]
    sh.pp.realign(one("S1", inner + SHIFT))
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warned) == 1 and warned[0].startswith("slide 'S1': could not be placed and stays as it was read: ")


def test_store_keeps_it(right, tmp_path):
    import spatialdata as sd

    sdata = one("S1", right + SHIFT)
    sh.pp.realign(sdata)
    moved = centers(sdata, "S1")
    sdata.write(tmp_path / "a.zarr")
    stored = sd.read_zarr(tmp_path / "a.zarr")
    np.testing.assert_allclose(centers(stored, "S1"), moved)
    sh.pp.realign(stored)
    np.testing.assert_allclose(centers(stored, "S1"), moved, atol=1e-6)


def test_errors_change_nothing(right):
    sdata = one("S1", right + SHIFT)
    with pytest.raises(ValueError, match="model='affine' is not one of"):
        sh.pp.realign(sdata, model="affine")
    with pytest.raises(ValueError, match="max_shift=0"):
        sh.pp.realign(sdata, max_shift=0)
    with pytest.raises(KeyError, match="no layer 'none'"):
        sh.pp.realign(sdata, use_expression=True, layer="none")
    assert "alignment" not in slide_info(sdata, "S1")


def test_logarithms_taken_for_expression_are_named(cohort):
    cohort["table"].X = cohort["table"].X.log1p()
    with pytest.warns(UserWarning, match=r"call sh\.pp\.realign|layer="):
        sh.pp.realign(cohort, use_expression=True)

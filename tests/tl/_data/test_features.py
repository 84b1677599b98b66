from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_cohorts import FAST, HEIGHT, WIDTH, draw_cohort, lattice, mean_color
from spatialdata.models import Image2DModel
from spatialdata.transformations import Affine, Scale

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.images import add_mask
from spatialhist.tl._data.design import Design
from spatialhist.tl._data.features import (
    SlideFeatures,
    View,
    own_tissue,
    relative_position,
    slide_features,
    slide_position,
    tissue_points,
)

DESIGN = Design(mean_color, (("px", 20.0), ("px", 40.0)), 8, "full", ("px", 24.0), 24)


@pytest.fixture(scope="module")
def cohort():
    return open_cohort(draw_cohort(1, n_slides=2))


@given(
    arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any),
    st.integers(1, 60),
    st.tuples(st.floats(1, 9), st.floats(1, 9)),
)
@settings(max_examples=60, deadline=None)
def test_points_lie_on_tissue_and_respect_the_limit(mask, limit, factors):
    points = tissue_points(mask, factors, limit)
    x, y = np.floor(points / np.asarray(factors) + 1e-9).astype(int).T
    assert mask[y, x].all()
    assert 1 <= len(points) <= limit
    assert len(np.unique(points, axis=0)) == len(points)


def test_points_of_a_known_mask():
    mask = np.zeros((4, 6), dtype=bool)
    mask[1, 4] = mask[3, 0] = True
    # pixel centers, x before y, in full-resolution pixels
    assert tissue_points(mask, (10.0, 20.0)).tolist() == [[45.0, 30.0], [5.0, 70.0]]


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="the tissue mask is empty: look at it with sh.pl.alignment"):
        tissue_points(np.zeros((3, 3), dtype=bool), (1.0, 1.0))


def test_statistics_do_not_depend_on_the_spots(cohort):
    slide, view = cohort.slide("S1"), View.of(cohort.slide("S1"), DESIGN)
    every = slide_features(slide, view, DESIGN, mean_color)
    few = slide_features(slide, view, DESIGN, mean_color, rows=[7, 2, 50])
    alone = own_tissue(slide, view, DESIGN, mean_color)
    for e in range(2):
        np.testing.assert_array_equal(every.tissue.statistics[e], few.tissue.statistics[e])
        np.testing.assert_array_equal(every.tissue.statistics[e], alone.statistics[e])
        np.testing.assert_array_equal(every.spots[e][[7, 2, 50]], few.spots[e])


def test_points_laid_where_spots_lie_are_the_same_samples():
    """Points that come block by block, as those of a grid, and spots that are encoded with the tissue in one pass."""
    slide, design = open_cohort(draw_cohort(1, n_slides=1)).slide("S1"), replace(DESIGN, context=(("px", 30.0),))
    (known,) = slide_features(slide, View.of(slide, design, tiles=True), design, mean_color).parts()
    laid = slide.with_spots(lattice()[::-1], slide.scale)
    view = View.of(laid, design, tiles=True)
    tissue, position = own_tissue(laid, view, design, mean_color), slide_position(laid)
    for rows in (slice(0, 40), slice(40, 96)):
        points = laid.spots[rows]
        block = SlideFeatures(view, tissue, points, position[rows], view.encode(points, mean_color)).samples()
        same = known.take(np.arange(96)[::-1][rows])
        for name in ("slide", "patient", "position", "tiles"):
            np.testing.assert_array_equal(getattr(block, name), getattr(same, name))
        for ours, theirs in zip(block.standardized, same.standardized, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_features_are_those_of_the_pixels_around_the_spot(cohort):
    image = np.asarray(cohort.sdata.images["S2_full_image"].data)
    slide = cohort.slide("S2")
    features = slide_features(slide, View.of(slide, DESIGN), DESIGN, mean_color).spots[0]
    spot = 30
    x, y = lattice()[spot].astype(int)
    window = image[:, y - 10 : y + 10, x - 10 : x + 10].reshape(3, -1)
    np.testing.assert_allclose(features[spot, :3], window.mean(axis=1), atol=1)


def test_tiles_are_cut_at_their_own_extent(cohort):
    image = np.asarray(cohort.sdata.images["S1_full_image"].data)
    (tile,) = View.of(cohort.slide("S1"), DESIGN, tiles=True).tiles(np.array([[100.0, 60.0]]))
    np.testing.assert_array_equal(tile, image[:, 48:72, 88:112])
    assert image.shape == (3, HEIGHT, WIDTH)


def test_tiles_of_a_thumbnail_show_the_same_tissue():
    sdata = draw_cohort(1, n_slides=1)
    half = sdata.images["S1_full_image"].data[:, ::2, ::2]
    placed = {"S1": Affine(np.diag([2.0, 2.0, 1.0]), ("x", "y"), ("x", "y"))}
    sdata.images["S1_small"] = Image2DModel.parse(half, dims=("c", "y", "x"), transformations=placed)
    design = replace(DESIGN, image="{slide}_small", tile_pixels=12)
    (tile,) = View.of(open_cohort(sdata).slide("S1"), design, tiles=True).tiles(np.array([[100.0, 60.0]]))
    np.testing.assert_array_equal(tile, np.asarray(half)[:, 24:36, 44:56])


def test_positions_are_centered_and_in_pitches():
    centers = np.array([[10.0, 0.0], [30.0, 0.0], [20.0, 60.0]])
    np.testing.assert_allclose(relative_position(centers, 20.0), [[-0.5, -1], [0.5, -1], [0, 2]])
    np.testing.assert_allclose(relative_position(centers[:1], None), [[0, 0]])


def test_a_small_image_can_stand_for_the_slide(tmp_path):
    """Half as fine, in the slide's coordinates: the same spots, lengths in micrometers and positions as before."""
    sdata = draw_cohort(1, n_slides=2, signal=0.8)
    for slide in ("S1", "S2"):
        pixels = np.asarray(sdata.images.pop(f"{slide}_full_image").data)[:, ::2, ::2]
        placed = {slide: Scale([2.0, 2.0], axes=("x", "y"))}
        sdata.images[f"{slide}_hires_image"] = Image2DModel.parse(
            pixels, dims=("c", "y", "x"), c_coords=("r", "g", "b"), transformations=placed
        )
        del sdata.labels[f"{slide}_full_image_tissue"]
    options = FAST | {"models": "ridge", "genes": 4, "extents": [("um", 40.0)], "context": [("um", 60.0)]}
    with pytest.raises(KeyError, match=r"slide 'S1' has no image 'S1_full_image', .*'S1_hires_image'.* stand for it"):
        sh.tl.fit(sdata, image="{slide}_hires_image", **options)
    for slide in ("S1", "S2"):
        sdata.images[f"{slide}_full_image"] = sdata.images[f"{slide}_hires_image"]
        add_mask(sdata, np.ones((HEIGHT // 4, WIDTH // 4), dtype=bool), image=f"{slide}_full_image")
    sh.tl.fit(sdata, out=tmp_path / "m", **options)
    sh.tl.fit(draw_cohort(1, n_slides=2, signal=0.8), out=tmp_path / "n", **options)
    for name, tolerance in (("features_0", 1), ("features_1", 1), ("position", 1e-9)):
        small, full = (np.load(tmp_path / run / "inputs" / f"{name}.npy") for run in "mn")
        np.testing.assert_allclose(small, full, atol=tolerance)


def test_a_finer_image_than_that_of_the_slide_shows_the_same_tissue():
    """The image of a design may have other pixels than the H&E image that spots and tissue lie on."""
    sdata = draw_cohort(1, n_slides=1)
    fine = np.asarray(sdata.images["S1_full_image"].data).repeat(2, axis=1).repeat(2, axis=2)
    placed = {"S1": Scale([0.5, 0.5], axes=("x", "y"))}
    sdata.images["S1_fine"] = Image2DModel.parse(fine, dims=("c", "y", "x"), transformations=placed)
    slide, design = open_cohort(sdata).slide("S1"), replace(DESIGN, context=(("px", 30.0),))
    blocks = [
        slide_features(slide, View.of(slide, looks), looks, mean_color).blocks()
        for looks in (design, replace(design, image="{slide}_fine"))
    ]
    for same, finer in zip(*blocks, strict=True):
        np.testing.assert_allclose(finer, same, atol=1)

"""Objects of readers of others are drawn with their spots on their tissue, by squidpy, spatialdata-plot and our own pictures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import spatialdata_plot  # noqa: F401
import squidpy as sq
from foreign_objects import MAKES, red_at_spots

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.own_shapes import spots_key

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*stands for its H&E image"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def opened(request):
    make, key = MAKES[request.param]
    sdata = make()
    sh.pp.log_normalize(sdata, table_key=key)
    yield open_cohort(sdata, table_key=key)
    plt.close("all")


def red_below(ax) -> tuple[np.ndarray, np.ndarray]:
    """Red of the picture below every spot that is drawn, and the values that color the spots."""
    picture, spots = ax.images[0], ax.collections[-1]
    left, right, low, high = picture.get_extent()
    boxes = [path.get_extents() for path in spots.get_paths()]
    middles = np.array([[(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2] for box in boxes])
    x, y = (spots.get_transform() - picture.get_transform()).transform(middles).T
    pixels = np.asarray(picture.get_array(), dtype=float)
    column = np.floor((x - left) / (right - left) * pixels.shape[1]).astype(int)
    row = np.floor((y - high) / (low - high) * pixels.shape[0]).astype(int)
    return pixels[row, column, 0], np.asarray(spots.get_array(), dtype=float)


def lie_on_tissue(ax, slide) -> bool:
    """Whether the picture below the spots has the red that the spots have on the full image, spot by spot."""
    red, _ = red_below(ax)
    return len(red) == len(slide.rows) and np.corrcoef(red, red_at_spots(slide))[0, 1] > 0.95


@pytest.mark.parametrize("opened", MAKES, indirect=True)
def test_our_pictures_lay_its_spots_on_its_tissue(opened):
    axes = sh.pl.genes(opened.sdata, "G7", layers="log1p", table_key=opened.table_key)
    for ax, slide in zip(axes[0, :, 0], opened.every_slide(), strict=True):
        assert lie_on_tissue(ax, slide)
        assert np.corrcoef(*red_below(ax))[0, 1] > 0.5


@pytest.mark.parametrize("opened", MAKES, indirect=True)
def test_squidpy_lays_its_spots_on_its_tissue(opened):
    axes = sq.pl.spatial_scatter(
        opened.table, color="G7", library_key="region", library_id=opened.slides, return_ax=True
    )
    for ax, slide in zip(axes, opened.every_slide(), strict=True):
        assert lie_on_tissue(ax, slide)


@pytest.mark.parametrize("opened", MAKES, indirect=True)
def test_spatialdata_plot_lays_its_spots_on_its_tissue(opened):
    slide, sdata = opened.every_slide()[1], opened.sdata
    figure, ax = plt.subplots()
    drawn = sdata.pl.render_images(slide.full_image).pl.render_shapes(spots_key(sdata, slide.name))
    drawn.pl.show(coordinate_systems=slide.name, ax=ax)
    figure.canvas.draw()
    assert lie_on_tissue(ax, slide)

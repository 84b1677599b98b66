from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh


@pytest.fixture
def ds(cohort):
    return sh.tiles.TileDataset(cohort, sh.tiles.TileSpec(extent=("um", 150.0), pixels=30, grid=5), slides=["S2", "S3"])


def test_pictures_are_tiles_of_the_dataset(ds):
    axes = sh.pl.tiles(ds, n=5, seed=1)
    assert axes.shape == (5,)
    known = {f"{s['region']} · {s['spot']}": s["tile"].numpy() for s in ds}
    titles = [ax.get_title(loc="left") for ax in axes]
    assert len(set(titles)) == 5
    for ax, title in zip(axes, titles, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), np.moveaxis(known[title], 0, -1))


def test_lines_part_the_subtiles(ds):
    ax = sh.pl.tiles(ds, n=1)[0]
    rows = sorted(line.get_ydata()[0] for line in ax.lines if line.get_ydata()[0] == line.get_ydata()[1])
    np.testing.assert_allclose(rows, [5.5, 11.5, 17.5, 23.5])
    (frame,) = ax.patches
    assert (frame.get_x(), frame.get_y(), frame.get_width()) == (11.5, 11.5, 6)


def test_figure_says_how_large_tiles_are(ds):
    fig = sh.pl.tiles(ds, n=2)[0].figure
    assert fig.get_suptitle() == "tiles of 150 µm, 30 pixels wide, 5 × 5 subtiles"


def test_seed_chooses(ds):
    def titles(seed):
        return [ax.get_title(loc="left") for ax in sh.pl.tiles(ds, n=3, seed=seed)]

    assert titles(0) == titles(0) != titles(1)


def test_no_more_than_there_are(ds):
    assert len(sh.pl.tiles(ds, n=10_000)) == len(ds)


def test_none_asked_for(ds):
    with pytest.raises(ValueError, match="cannot draw n=0"):
        sh.pl.tiles(ds, n=0)

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


def test_several_sizes_stand_side_by_side(cohort):
    specs = [sh.tiles.TileSpec(extent=("um", um), pixels=30) for um in (75.0, 300.0)]
    ds = sh.tiles.TileDataset(cohort, specs, slides="S2")
    axes = sh.pl.tiles(ds, n=3)
    assert axes.shape == (3, 2)
    assert [ax.get_title(loc="left").split("\n")[1] for ax in axes[0]] == ["75 µm", "300 µm"]
    known = {f"{s['region']} · {s['spot']}": s["tile"] for s in ds}
    for row in axes:
        for ax, tile in zip(row, known[row[0].get_title(loc="left").split("\n")[0]], strict=True):
            np.testing.assert_array_equal(ax.images[0].get_array(), np.moveaxis(tile.numpy(), 0, -1))
    assert axes[0, 0].figure.get_suptitle() == "tiles, 30 pixels wide, 3 × 3 subtiles"


def test_axes_are_those_passed(ds):
    import matplotlib.pyplot as plt

    _, mine = plt.subplots(1, 3)
    assert sh.pl.tiles(ds, n=3, axes=mine).tolist() == mine.tolist()
    with pytest.raises(ValueError, match="2 axes are needed .* got 3"):
        sh.pl.tiles(ds, n=2, axes=mine)

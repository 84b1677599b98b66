from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_scenes import DESIGN, N_GENES, draw

from spatialhist.datasets._drawing.bins import Bins, draw_bins
from spatialhist.datasets._drawing.counts import AMBIENT, DEPTH_SPREAD, SPOT_AREA, TYPICAL
from spatialhist.datasets._drawing.genes import RNA_CONTENT


@pytest.fixture(scope="module")
def turned() -> Bins:
    """Bins of 10 um that are off by 40 to 100 um and turned by up to 8 degrees."""
    return draw_bins(*draw(replace(DESIGN, bin_um=10, max_rotation=8.0), misplaced=True, seed=1))


def test_bins_are_an_array_of_touching_squares(turned: Bins) -> None:
    np.testing.assert_allclose(turned.xy * 3.0, np.column_stack([turned.column, turned.row]) * 10.0 + 5)
    assert turned.column.max() < 90 < turned.row.max() < 126
    assert len(set(zip(turned.row, turned.column, strict=True))) == len(turned.xy)
    order = np.lexsort([turned.column, turned.row])
    np.testing.assert_array_equal(order, np.arange(len(order)))


def test_bins_hold_the_nuclei_of_their_true_place(turned: Bins) -> None:
    """Counted without the picture's frame: nuclei by their distance along the sides of each true square."""
    angle, nuclei = np.deg2rad(turned.rotation_deg), turned.scene.cells
    assert abs(turned.rotation_deg) > 1 and np.linalg.norm(turned.offset_px) > 10
    along, down = np.array([np.cos(angle), -np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)])
    for i in np.flatnonzero(turned.composition.sum(axis=1) > 1)[:40]:
        from_center = nuclei.xy - turned.true_xy[i] * 3.0
        inside = (np.abs(from_center @ along) < 5) & (np.abs(from_center @ down) < 5)
        np.testing.assert_array_equal(np.bincount(nuclei.kind[inside], minlength=6), turned.composition[i])


def test_nearly_all_nuclei_lie_in_a_bin_and_nearly_all_bins_on_tissue() -> None:
    scene, share, rng = draw()
    bins = draw_bins(scene, share, rng)
    assert bins.composition.sum() == len(scene.cells)
    at = np.floor(bins.xy).astype(int)
    assert (scene.image[1][at[:, 1], at[:, 0]] > 225).mean() < 0.3 < (scene.image[1] > 225).mean()


def test_a_slide_has_as_many_counts_as_its_cells_make() -> None:
    scene, share, rng = draw()
    bins = draw_bins(scene, share, rng)
    typical = (TYPICAL * RNA_CONTENT).sum()
    cells = RNA_CONTENT[scene.cells.kind].sum() / typical
    diffused = AMBIENT * len(bins.xy) * 64 / SPOT_AREA
    expected = 2000 * (cells + diffused) * np.exp(DEPTH_SPREAD**2 / 2) * share.sum(axis=0).mean()
    assert bins.counts.shape == (len(bins.xy), N_GENES) and bins.counts.dtype == np.float32
    assert bins.counts.sum() == pytest.approx(expected, rel=0.25)


def test_without_a_signal_counts_do_not_follow_nuclei() -> None:
    bins = draw_bins(*draw(replace(DESIGN, signal=0.0)))
    total = np.asarray(bins.counts.sum(axis=1)).ravel()
    assert abs(np.corrcoef(total, bins.composition.sum(axis=1))[0, 1]) < 0.1
    assert np.corrcoef(total, draw_bins(*draw()).composition.sum(axis=1))[0, 1] < 0.1

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from drawn_scenes import DESIGN, N_GENES, draw

from spatialhist.datasets._drawing.cells import TUMOR
from spatialhist.datasets._drawing.transcripts import NO_CELL, Segmented, draw_segmented


@pytest.fixture(scope="module")
def slide() -> Segmented:
    return draw_segmented(*draw(replace(DESIGN, depth=400.0, max_rotation=8.0), misplaced=True, seed=1))


def test_cells_count_their_transcripts_of_good_quality(slide: Segmented) -> None:
    drawn = slide.transcripts
    expected = np.zeros((len(slide.xy), N_GENES))
    for cell, gene, quality in zip(drawn.cell, drawn.gene, drawn.quality, strict=True):
        if cell != NO_CELL and quality >= 20:
            expected[cell, gene] += 1
    np.testing.assert_array_equal(slide.counts.toarray(), expected)
    assert 0.05 < 1 - drawn.counted.mean() < 0.2
    assert 0.02 < (drawn.cell == NO_CELL).mean() < 0.25


def test_transcripts_lie_in_the_outline_of_their_cell(slide: Segmented) -> None:
    polygons, drawn = shapely.polygons(slide.outlines * DESIGN.mpp), slide.transcripts
    chosen = np.flatnonzero(drawn.cell != NO_CELL)[::50]
    assert shapely.contains_xy(polygons[drawn.cell[chosen]], *drawn.xy[chosen].T).mean() > 0.999
    between = np.flatnonzero(drawn.cell == NO_CELL)[::50]
    in_some, _ = shapely.STRtree(polygons).query(shapely.points(drawn.xy[between]), "within")
    assert len(in_some) < 0.01 * len(between)


def test_outlines_lie_around_the_reported_place(slide: Segmented) -> None:
    assert shapely.contains_xy(shapely.polygons(slide.outlines), *slide.xy.T).all()
    moved = slide.scene.placement.reported(slide.true_xy * DESIGN.mpp) / DESIGN.mpp
    np.testing.assert_allclose(slide.xy, moved)
    assert np.abs(slide.xy - slide.true_xy).max() > 10
    np.testing.assert_allclose(shapely.area(shapely.polygons(slide.outlines * DESIGN.mpp)), slide.area)


def test_cells_make_what_their_type_makes(slide: Segmented) -> None:
    scene, share, _ = draw(replace(DESIGN, depth=400.0, max_rotation=8.0), misplaced=True, seed=1)
    marker = int((share[:, TUMOR] / share.mean(axis=1) * (share[:, TUMOR] > 0.02)).argmax())
    part = slide.counts[:, [marker]].toarray().ravel() / np.maximum(slide.counts.sum(axis=1).A1, 1)
    tumor = slide.scene.cells.kind == TUMOR
    np.testing.assert_array_equal(slide.composition.argmax(axis=1), slide.scene.cells.kind)
    assert part[tumor].mean() > 2 * part[~tumor].mean()


def test_without_a_signal_all_cells_make_the_same() -> None:
    slide = draw_segmented(*draw(replace(DESIGN, depth=400.0, signal=0.0)))
    tumor = slide.composition[:, TUMOR] == 1
    of_type = [slide.counts[rows].sum(axis=0).A1 for rows in (tumor, ~tumor)]
    shares = [n / n.sum() for n in of_type]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.05)

from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.cells import CELL_TYPES
from spatialhist.datasets._drawing.genes import CONTROLS, MARKERS, draw_signatures, gene_names


@pytest.mark.parametrize("n_genes", [4, 20, 100, 500])
def test_names_are_unique_and_a_quarter_at_least_are_controls(n_genes: int) -> None:
    names, owner = gene_names(n_genes)
    assert len(names) == len(set(names)) == len(owner) == n_genes
    assert (owner < 0).sum() >= n_genes // 4


def test_no_gene_is_listed_twice() -> None:
    listed = [gene for group in [*MARKERS.values(), CONTROLS] for gene in group.split()]
    assert len(listed) == len(set(listed))


def test_markers_are_made_by_their_own_cell_type() -> None:
    signatures = draw_signatures(60, np.random.default_rng(0))
    for gene, name in [("ERBB2", "tumor"), ("COL1A1", "fibroblast"), ("CD3E", "lymphocyte"), ("ADIPOQ", "adipocyte")]:
        share = signatures.share[signatures.genes.index(gene)]
        assert CELL_TYPES[share.argmax()] == name
        assert share.max() > 3 * np.sort(share)[-2]


def test_shares_add_up_and_controls_are_the_same_everywhere() -> None:
    signatures = draw_signatures(40, np.random.default_rng(1))
    np.testing.assert_allclose(signatures.share.sum(axis=0), 1)
    assert np.ptp(signatures.share[signatures.control], axis=1).max() == 0


def test_levels_span_orders_of_magnitude() -> None:
    level = draw_signatures(100, np.random.default_rng(2)).share.mean(axis=1)
    assert level.max() / level.min() > 300

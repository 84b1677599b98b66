from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from spatialhist.tl._data.profiles import choose_genes, matched, profile


@pytest.fixture(scope="module")
def section():
    """Counts and places of 80 spots, noise around a gradient."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(10) * 20.0, np.arange(8) * 20.0)
    xy = np.column_stack([x.ravel(), y.ravel()])
    return rng.poisson(expected(xy)), xy


def expected(xy):
    gain = np.linspace(-1, 1, 200)
    return 8 * np.exp(np.outer(xy[:, 0] / 100 - 1, gain))


def compare(a, b, pitch=20.0):
    genes = choose_genes(csr_matrix(np.concatenate([a[0], b[0]])))
    return matched(profile(csr_matrix(a[0]), a[1], genes, 20.0), profile(csr_matrix(b[0]), b[1], genes, pitch))


def test_thinned_scaled_turned_mirrored_and_cropped_counts_are_recognized(section):
    counts, xy = section
    thinned = np.random.default_rng(1).binomial(counts, 0.5)
    assert compare(section, (thinned, xy))[0] > 70
    assert compare(section, (counts * 2, xy @ [[0, -1], [1, 0]])) == (80, 80)
    assert compare(section, (thinned, 3 * xy * [-1, 1] + 40), pitch=60.0)[0] > 70
    right = xy[:, 0] > 90
    n, of = compare(section, (thinned[right], xy[right]))
    assert of == right.sum() == 40 and n > 35


def test_another_section_of_the_same_expression_is_not(section):
    counts, xy = section
    for seed in range(3):
        n, of = compare(section, (np.random.default_rng(10 + seed).poisson(expected(xy)), xy))
        assert of == 80 and n < 10


def test_shuffled_spots_and_empty_slides_match_nothing(section):
    counts, xy = section
    order = np.random.default_rng(2).permutation(len(xy))
    assert compare(section, (counts[order], xy))[0] < 10
    assert compare(section, (0 * counts, xy)) == (0, 0)

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tissue_pictures import tissue_picture

from spatialhist.tl._data.copies import MIN_CONTINUITY
from spatialhist.tl._data.edges import continuities, edges_of


def edges(pixels):
    return edges_of(SimpleNamespace(levels=[np.moveaxis(pixels, 2, 0)], factors=[(1.0, 1.0)]))


def continuity(a, b):
    return continuities([a, b])[0, 1]


CUTS = {"as it is": lambda p: p, "a pixel lost": lambda p: p[:, 1:], "turned": np.rot90, "mirrored": lambda p: p[::-1]}


@pytest.mark.parametrize("how", CUTS)
def test_a_picture_goes_on_across_a_cut(how):
    left, right = np.split(tissue_picture(0), [200], axis=1)
    assert continuity(edges(left), edges(CUTS[how](right))) > MIN_CONTINUITY


def test_other_pictures_do_not():
    each = [edges(tissue_picture(seed)) for seed in range(8)]
    r = continuities(each)
    assert 0 < r.max() < MIN_CONTINUITY - 0.05 and not np.tril(r).any()
    assert r[2, 5] == pytest.approx(continuity(each[2], each[5]), abs=1e-12)


def test_edges_of_another_length_and_of_glass_are_not_compared():
    left, right = np.split(tissue_picture(0), [200], axis=1)
    assert len(edges(left)) == 4
    assert continuity(edges(left[:, 120:]), edges(right[30:])) < MIN_CONTINUITY
    gray = edges(right[:, :, :1])
    assert continuities([edges(left), gray, edges(right)])[0, 1:].tolist() == [0, continuity(edges(left), edges(right))]
    assert edges(np.pad(left, ((9, 9), (9, 9), (0, 0)), constant_values=240)) == []

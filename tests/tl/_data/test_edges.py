from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tissue_pictures import tissue_picture

from spatialhist.tl._data.copies import MIN_CONTINUITY
from spatialhist.tl._data.edges import continuity, edges_of


def edges(pixels):
    return edges_of(SimpleNamespace(levels=[np.moveaxis(pixels, 2, 0)], factors=[(1.0, 1.0)]))


CUTS = {"as it is": lambda p: p, "a pixel lost": lambda p: p[:, 1:], "turned": np.rot90, "mirrored": lambda p: p[::-1]}


@pytest.mark.parametrize("how", CUTS)
def test_a_picture_goes_on_across_a_cut(how):
    left, right = np.split(tissue_picture(0), [200], axis=1)
    assert continuity(edges(left), edges(CUTS[how](right))) > MIN_CONTINUITY


def test_other_pictures_do_not():
    each = [edges(tissue_picture(seed)) for seed in range(8)]
    assert max(continuity(a, b) for i, a in enumerate(each) for b in each[:i]) < MIN_CONTINUITY - 0.05


def test_edges_of_another_length_and_of_glass_are_not_compared():
    left, right = np.split(tissue_picture(0), [200], axis=1)
    assert len(edges(left)) == 4
    assert continuity(edges(left[:, 120:]), edges(right[30:])) < MIN_CONTINUITY
    assert edges(np.pad(left, ((9, 9), (9, 9), (0, 0)), constant_values=240)) == []

from __future__ import annotations

import numpy as np
import pytest
from tests.io.conftest import hexagon

from spatialhist.io._anndata.libraries import Library
from spatialhist.io._anndata.scale import is_hexagonal, said_mpp

SPOTS = hexagon(pitch=40.0)
XY = SPOTS[["x", "y"]].to_numpy()
SQUARE = np.stack(np.meshgrid(np.arange(8) * 40.0, np.arange(6) * 40.0), -1).reshape(-1, 2)


def said(xy=XY, *, pitch=40.0, metadata=None, **factors):
    return said_mpp(Library("A", np.arange(len(xy)), {"scalefactors": factors, "metadata": metadata or {}}), xy, pitch)


def test_scale_is_what_the_factors_say_before_what_the_array_says():
    assert said(microns_per_pixel=0.3, spot_diameter_fullres=26.0) == 0.3
    assert said(bin_size_um=8, spot_diameter_fullres=16.0) == 0.5
    assert said(metadata={"chemistry_description": "Visium V4 Slide"}) == 2.5
    assert said(metadata={"chemistry_description": "Visium HD v1"}, spot_diameter_fullres=26.0) is None


@pytest.mark.parametrize("diameter", [22.0, 26.0])
def test_hexagons_of_visium_are_100_um_apart_whatever_their_diameter(diameter):
    assert said(spot_diameter_fullres=diameter) == 2.5
    turned = XY @ np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    assert said(turned, spot_diameter_fullres=diameter) == 2.5


def test_other_arrays_have_no_scale():
    assert said(SQUARE, spot_diameter_fullres=22.0) is None
    assert said(spot_diameter_fullres=40.0) is None
    assert said() is None
    assert not is_hexagonal(XY[:8], 40.0) and not is_hexagonal(XY[:1], 40.0)

from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.build import build_slide
from spatialhist._sdata.images import add_mask
from spatialhist.pp._stain.fit import fit_stain


@pytest.fixture(scope="module")
def sdata():
    sdata = sh.datasets.synthetic(n_slides=2, size_px=(300, 380), n_genes=8, seed=0)
    sh.pp.mask_background(sdata, fill=False)
    return sdata


def test_one_slide_is_fitted_on_its_tissue(sdata):
    found = sh.pp.fit_stain_reference(sdata, slides="S2")
    pixels = np.moveaxis(sdata["S2_full_image"].to_numpy(), 0, -1)
    expected = fit_stain(pixels, sdata["S2_full_image_tissue"].to_numpy() > 0, "macenko")
    np.testing.assert_allclose(found.stain_matrix, expected.stain_matrix)
    assert found.fitted_on == ("S2",)


def test_slides_are_pooled_in_equal_parts_by_seed(sdata):
    pooled, again = (sh.pp.fit_stain_reference(sdata, method="reinhard") for _ in range(2))
    single = [sh.pp.fit_stain_reference(sdata, slides=s, method="reinhard").mu[0] for s in ("S1", "S2")]
    assert pooled.mu[0] == pytest.approx(np.mean(single), abs=0.1 * abs(single[0] - single[1]) + 0.01)
    np.testing.assert_array_equal(pooled.mu, again.mu)
    assert not np.array_equal(pooled.mu, sh.pp.fit_stain_reference(sdata, method="reinhard", seed=1).mu)
    assert pooled.fitted_on == ("S1", "S2")


def test_a_white_slide_gives_no_reference():
    white = build_slide(
        np.full((3, 40, 50), 255, np.uint8), np.array([[9.0, 9]]), np.ones((1, 1)), slide="S7", genes=["a"]
    )
    add_mask(white, np.ones((40, 50), bool), image="S7_full_image")
    with pytest.raises(ValueError, match=r"no macenko reference from slides \['S7'\]"):
        sh.pp.fit_stain_reference(white)
    with pytest.raises(ValueError, match="method='makenko'"):
        sh.pp.fit_stain_reference(white, method="makenko")

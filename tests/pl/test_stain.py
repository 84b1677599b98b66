from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd

import spatialhist as sh


@pytest.fixture
def normalized(cohort):
    own = sd.deepcopy(cohort)
    sh.pp.normalize_stain(own, slides="S2")
    return own


def test_before_and_after(normalized):
    axes = sh.pl.stain(normalized, "S2")
    assert [ax.get_title(loc="left") for ax in axes.flat] == [
        "S2: before",
        "detail",
        "S2: after (macenko, canonical)",
        "detail",
    ]
    for ax, key in zip(axes[:, 0], ("S2_full_image", "S2_full_image_normalized"), strict=True):
        pixels = normalized.images[key].to_numpy()
        np.testing.assert_array_equal(ax.images[0].get_array(), np.moveaxis(pixels, 0, -1))


def test_detail_is_a_window_of_the_slide(normalized):
    ax = sh.pl.stain(normalized, "S2")[0, 1]
    x0, x1, y1, y0 = (round(v) for v in ax.images[0].get_extent())
    assert x1 - x0 == pytest.approx(200, abs=2)
    pixels = normalized.images["S2_full_image"].to_numpy()[:, y0:y1, x0:x1]
    np.testing.assert_array_equal(ax.images[0].get_array(), np.moveaxis(pixels, 0, -1))


def test_swatches_are_the_colors_of_the_vectors(normalized):
    axes = sh.pl.stain(normalized, "S2")
    source = normalized.attrs["spatialhist"]["slides"]["S2"]["stain"]["source"]
    hematoxylin = np.array(source["stain_matrix"])[:, 0]
    expected = np.clip(np.array(source["white_point"]) * np.exp(-hematoxylin) / 255, 0, 1)
    np.testing.assert_allclose(axes[0, 1].patches[0].get_facecolor()[:3], expected)
    assert [len(ax.patches) for ax in axes[:, 1]] == [2, 2]


def test_no_vectors_no_swatches(cohort):
    own = sd.deepcopy(cohort)
    sh.pp.normalize_stain(own, slides="S1", method="reinhard")
    assert not [p for ax in sh.pl.stain(own, "S1").flat for p in ax.patches]


def test_a_slide_left_as_it_is(normalized):
    entry = normalized.attrs["spatialhist"]["slides"]["S2"]["stain"]
    entry.update(applied=False, reason="one stain only")
    assert "unchanged (one stain only)" in sh.pl.stain(normalized, "S2")[1, 0].get_title(loc="left")


def test_not_normalized_yet(cohort):
    with pytest.raises(KeyError, match=r"sh.pp.normalize_stain\(sdata\)"):
        sh.pl.stain(cohort, "S1")


def test_axes_are_those_passed(normalized):
    import matplotlib.pyplot as plt

    _, mine = plt.subplots(1, 4)
    axes = sh.pl.stain(normalized, "S2", axes=mine)
    assert axes.ravel().tolist() == mine.tolist()
    with pytest.raises(ValueError, match="4 axes are needed .* got 3"):
        sh.pl.stain(normalized, "S2", axes=mine[:3])

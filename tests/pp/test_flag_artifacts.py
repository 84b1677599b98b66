from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides

WIDTH, HEIGHT, PITCH = 560, 400, 40.0
INK, BLUR, FOLD = (slice(0, 120), slice(0, 200), slice(480, 560))
"""Columns with a defect; blur in the lower half only."""


def lattice():
    x, y = np.meshgrid(np.arange(40, WIDTH - 20, PITCH), np.arange(40, HEIGHT - 20, PITCH))
    return np.column_stack([x.ravel(), y.ravel()])


def picture(*, broken):
    rng = np.random.default_rng(0)
    amounts = rng.gamma(2.0, 0.3, (HEIGHT, WIDTH, 2))
    image = 255 * np.exp(-amounts @ np.array([[0.65, 0.70, 0.29], [0.15, 0.92, 0.33]]))
    image[:20] = 240
    if broken:
        image[250:, BLUR] = ndi.gaussian_filter(image[250:, BLUR], (5, 5, 0))
        image[20:200, INK] = (20, 120, 50)
        image[20:, FOLD] = image[20:, FOLD] ** 2 / 255
    return np.moveaxis(image.astype(np.uint8), -1, 0)


def one(slide, *, broken, image=None):
    xy = lattice()
    counts = np.ones((len(xy), 2), np.float32)
    image = picture(broken=broken) if image is None else image
    return build_slide(image, xy, counts, slide=slide, genes=["a", "b"], mpp=2.0, spot_diameter_px=36.0)


@pytest.fixture(scope="module")
def judged():
    sdata = concat_slides([one("S1", broken=True), one("S2", broken=False)])
    sh.pp.flag_artifacts(sdata)
    return sdata


def of(sdata, slide):
    return sdata["table"].obs[sdata["table"].obs["region"] == slide]


def test_flags_lie_where_the_defects_are(judged):
    x, y = lattice().T
    obs = of(judged, "S1")
    np.testing.assert_array_equal(obs["ink"], (x < 130) & (y < 210))
    inside = (x < 130) & (y > 310)
    assert obs["blur"][inside].all() and not obs["blur"][(x > 190) | ((y < 260) & (x > 110))].any()
    assert obs["fold"][x > 500].all() and not obs["fold"][x < 460].any()


def test_a_good_slide_has_none(judged):
    obs = of(judged, "S2")
    assert not obs[["ink", "blur", "fold"]].to_numpy().any()
    assert obs[["ink_share", "sharpness", "fold_share"]].notna().all(axis=None)


def test_tissue_of_two_densities_has_no_folds():
    image = picture(broken=False).astype(float)
    image[:, :, 400:] = image[:, :, 400:] ** 2 / 255
    sdata = one("S1", broken=False, image=image.astype(np.uint8))
    sh.pp.flag_artifacts(sdata)
    obs = sdata["table"].obs
    assert (obs["fold_share"] > 0.5).mean() > 0.2 and not obs["fold"].any()


def test_dropping_nothing_and_recorded(judged):
    assert judged["table"].n_obs == 2 * len(lattice())
    assert judged["table"].uns["spatialhist"]["flag_artifacts"]["slides"]["S1"]["max_ink"] == 0.1


def test_other_slides_stay_as_they_were():
    sdata = concat_slides([one("S1", broken=False), one("S2", broken=False)])
    sh.pp.flag_artifacts(sdata, slides="S2")
    assert of(sdata, "S1")["sharpness"].isna().all() and not of(sdata, "S1")["blur"].any()
    before = of(sdata, "S2").copy()
    sh.pp.flag_artifacts(sdata, slides="S1", max_fold=0.0)
    assert of(sdata, "S2").equals(before)


def test_result_survives_the_store(judged, tmp_path):
    import spatialdata as sd

    judged.write(tmp_path / "a.zarr", update_sdata_path=False)
    back = sd.read_zarr(tmp_path / "a.zarr")
    assert back["table"].obs["ink"].tolist() == judged["table"].obs["ink"].tolist()


def test_a_slide_without_an_image_is_named():
    sdata = one("S1", broken=False)
    del sdata.images["S1_full_image"]
    with pytest.raises(KeyError, match="S1_full_image"):
        sh.pp.flag_artifacts(sdata)
    assert "ink" not in sdata["table"].obs

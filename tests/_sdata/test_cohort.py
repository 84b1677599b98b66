from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from spatialdata import SpatialData

import spatialhist as sh
from spatialhist._sdata.cohort import get_table, open_cohort, open_images, usable_rows
from spatialhist._sdata.scale import Scale, scale, slide_info


def test_all_slides_in_order(two_slides):
    cohort = open_cohort(two_slides)
    assert cohort.slides == ["S1", "S2"]
    assert cohort.rows("S2").tolist() == [5, 6, 7, 8, 9]
    assert cohort.slide_of_row().tolist() == ["S1"] * 5 + ["S2"] * 5
    assert cohort.measured().tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize(("slides", "expected"), [("S2", ["S2"]), (["S2", "S1"], ["S2", "S1"])])
def test_chosen_slides(two_slides, slides, expected):
    assert open_cohort(two_slides, slides).slides == expected


def test_everything_is_measured_without_flags(slide_of_five):
    table = slide_of_five["table"]
    del table.obs["measured"], table.varm["measured"]
    cohort = open_cohort(slide_of_five)
    assert cohort.measured().all()
    assert cohort.slide("S1").genes_measured.all()


def test_a_slide_is_opened_once(two_slides):
    cohort = open_cohort(two_slides, ["S2", "S1"])
    assert [slide.name for slide in cohort.every_slide()] == ["S2", "S1"]
    assert cohort.slide("S2") is cohort.every_slide()[0]


def test_spots_that_passed_quality_are_used_and_slides_without_any_left_out(two_slides):
    table = two_slides["table"]
    table.obs["spot_qc"] = pd.Categorical(["nan", *["ok"] * 9])
    cohort = open_cohort(two_slides)
    assert {name: rows.tolist() for name, rows in usable_rows(cohort.every_slide()).items()} == {"S1": [1, 2, 3, 4]}
    assert cohort.measured().tolist() == [True] * 5 + [False] * 5


def test_unknown_slide_lists_what_there_is(two_slides):
    with pytest.raises(KeyError, match=r"no slide \['S9'\].*'S1', 'S2'"):
        open_cohort(two_slides, ["S1", "S9"])


def test_slide_without_shapes(two_slides):
    del two_slides.shapes["S2"]
    with pytest.raises(KeyError, match=r"\['S2'\] have no spots in sdata.shapes"):
        open_cohort(two_slides)
    assert open_cohort(two_slides, "S1").slides == ["S1"]


def test_missing_table_and_columns(slide_of_five):
    with pytest.raises(KeyError, match=r"no table 'other'; found \['table'\]: choose one with table_key="):
        get_table(slide_of_five, "other")
    ids = slide_of_five["table"].obs.pop("spot_id")
    with pytest.raises(ValueError, match=r"no obs\['spot_id'\]: set sdata\['table'\].obs\['spot_id'\] to its id"):
        open_cohort(slide_of_five)
    slide_of_five["table"].obs["spot_id"] = ids
    assert open_cohort(slide_of_five).slides == ["S1"]


def test_table_without_spots(slide_of_five):
    slide_of_five.tables["table"]._inplace_subset_obs(np.zeros(5, dtype=bool))
    with pytest.raises(ValueError, match="no spots"):
        open_cohort(slide_of_five)


def without_spots(sdata, slide):
    """Take the spots of a slide away, the image stays."""
    table = sdata["table"]
    keep = (table.obs["region"] != slide).to_numpy()
    del sdata.tables["table"], sdata.shapes[slide]
    if keep.any():
        sdata.tables["table"] = SpatialData.update_annotated_regions_metadata(table[keep].copy())
    return sdata


def test_slides_with_an_image_but_no_spots(two_slides):
    sdata = without_spots(two_slides, "S1")
    cohort = open_images(sdata)
    assert cohort.slides == ["S2", "S1"]
    assert len(cohort.rows("S1")) == 0
    assert len(cohort.rows("S2")) == 5
    assert open_images(sdata, "S1").slides == ["S1"]
    with pytest.raises(KeyError, match=r"no slide \['S9'\]; the object has \['S2', 'S1'\]"):
        open_images(sdata, "S9")


def test_object_without_a_table(slide_of_five):
    sdata = without_spots(slide_of_five, "S1")
    sdata.attrs = {}
    slide_info(sdata, "S1").update(mpp=0.5, patient="P7")
    cohort = open_images(sdata)
    assert cohort.slides == ["S1"]
    assert cohort.slide("S1").patient == "P7"
    assert cohort.measured().tolist() == []
    assert scale(sdata, "S1") == Scale(mpp=0.5, pitch_px=None, spot_diameter_px=None)
    with pytest.raises(KeyError, match=r"no table, so none of its slides has spots: .*predict_grid"):
        open_cohort(sdata)


def test_steps_on_images_need_no_spots(slide_of_five):
    sdata = without_spots(slide_of_five, "S1")
    sh.pp.mask_background(sdata, method=lambda pixels: pixels[:, :, 0] > 60)
    with pytest.warns(UserWarning, match="stain left as it is"):
        sh.pp.normalize_stain(sdata)
    assert set(sdata.images) == {"S1_full_image", "S1_full_image_masked", "S1_full_image_normalized"}
    assert "S1_full_image_tissue" in sdata.labels

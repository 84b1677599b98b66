from __future__ import annotations

import pytest

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page.stain_probe import collect


@pytest.fixture(scope="module")
def patients():
    """Two patients with two slides each."""
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=2, size_px=(300, 380), n_genes=8, seed=0)
    sh.pp.mask_background(sdata, fill=False)
    return sdata


def test_slides_that_were_normalized_before_and_after(sdata):
    found = collect(open_cohort(sdata), "table")
    assert found.columns == ["told by color", "classes", "chance", "before", "after"]
    slides = ["S1", "S2"]
    before = sh.tl.slide_probe(sdata, slides=slides).accuracy
    after = sh.tl.slide_probe(sdata, slides=slides, image="normalized").accuracy
    assert found.rows == [["slide", 2, 0.5, before, after]]


def test_nothing_to_compare_without_normalized_images(patients):
    assert collect(open_cohort(patients), "table") is None


def test_patients_where_each_has_slides_to_hold_out(patients):
    sh.pp.normalize_stain(patients)
    found = collect(open_cohort(patients), "table")
    assert [row[:3] for row in found.rows] == [["slide", 4, 0.25], ["patient", 2, 0.5]]
    single = collect(open_cohort(patients, ["S1", "S3"]), "table")
    assert [row[0] for row in single.rows] == ["slide"]

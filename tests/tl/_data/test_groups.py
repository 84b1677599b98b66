from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import Cohort, open_cohort
from spatialhist.tl._data.groups import assign_groups, refuse_duplicates, refuse_shared_stain

SLIDES = ["A1", "A2", "B1", "C1"]


def table_of(**columns):
    """Two spots a slide; every column names one value a slide."""
    obs = pd.DataFrame({"region": np.repeat(SLIDES, 2), **{k: np.repeat(v, 2) for k, v in columns.items()}})
    obs.index = obs.index.astype(str)
    counts = csr_matrix(np.random.default_rng(0).poisson(9, (8, 5)).astype(np.float32))
    return Cohort(None, ad.AnnData(counts, obs=obs), SLIDES)


def test_auto_takes_three_known_patients():
    cohort = table_of(patient=["A", "A", "B", "C"])
    assert assign_groups(cohort) == {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}


@pytest.mark.parametrize("patients", [["A", "A", "B", "B"], ["A", "B", "C", None]])
def test_auto_takes_slides_where_patients_are_few_or_unknown(patients):
    with pytest.warns(UserWarning, match="sections of one donor in training flatter"):
        assert assign_groups(table_of(patient=patients)) == {s: s for s in SLIDES}


def test_slides_and_columns_are_taken_as_asked():
    cohort = table_of(patient=["A", "A", "B", "C"], center=[1, 2, 1, 2])
    assert assign_groups(cohort, "slide") == {s: s for s in SLIDES}
    assert assign_groups(cohort, "center") == {"A1": "1", "A2": "2", "B1": "1", "C1": "2"}


def test_a_missing_column_lists_what_there_is():
    with pytest.raises(KeyError, match="groups='donor' is no column of obs; found .*patient"):
        assign_groups(table_of(patient=["A", "B", "C", "D"]), "donor")


def test_a_column_must_name_one_group_a_slide():
    cohort = table_of(center=["x", "y", "x", "y"])
    cohort.table.obs.loc["1", "center"] = "y"
    with pytest.raises(ValueError, match="one group for slide 'A1', it holds \\['x', 'y'\\]"):
        assign_groups(cohort, "center")


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match="one group for slide 'C1'"):
        assign_groups(table_of(patient=["A", "A", "B", None]), "patient")


def test_a_single_group_is_refused():
    with pytest.raises(ValueError, match="puts all 4 slides into one group \\['A'\\]"):
        assign_groups(table_of(patient=["A"] * 4), "patient")


@pytest.fixture(scope="module")
def two_slides():
    return draw_cohort(3, n_slides=2, n_genes=6)


def test_equal_pixels_in_two_groups_are_refused(two_slides):
    cohort = open_cohort(two_slides)
    assigned, hashes = {"S1": "P1", "S2": "P2"}, {"S1": "same", "S2": "same"}
    with pytest.raises(ValueError, match="'S1' \\(group 'P1'\\) and 'S2' \\(group 'P2'\\) have the same pixels"):
        refuse_duplicates(cohort, assigned, hashes)
    refuse_duplicates(cohort, {"S1": "P", "S2": "P"}, hashes)
    refuse_duplicates(cohort, assigned, {"S1": "", "S2": ""})


@pytest.mark.parametrize(("copied", "refused"), [(60, True), (40, False)])
def test_more_than_half_of_the_counts_shared_is_refused(copied, refused):
    sdata = draw_cohort(3, n_slides=2, n_genes=6)
    cohort = open_cohort(sdata)
    counts = cohort.table.X.toarray()
    rows = [cohort.rows(s) for s in cohort.slides]
    counts[rows[1][:copied]] = counts[rows[0][:copied]]
    cohort.table.X = csr_matrix(counts)
    call = lambda: refuse_duplicates(cohort, {"S1": "P1", "S2": "P2"}, {"S1": "a", "S2": "b"})
    if not refused:
        return call()
    with pytest.raises(ValueError, match="share the counts of 60 of 96 spots"):
        call()


def test_spots_without_counts_are_not_alike():
    sdata = draw_cohort(3, n_slides=2, n_genes=6)
    sdata["table"].X = csr_matrix(sdata["table"].shape, dtype=np.float32)
    refuse_duplicates(open_cohort(sdata), {"S1": "P1", "S2": "P2"}, {"S1": "a", "S2": "b"})


class TestStainReferences:
    def normalized(self, **options):
        sdata = draw_cohort(1, n_slides=3)
        with warnings.catch_warnings():  # the colors are no stains, so pixels stay as they are
            warnings.simplefilter("ignore", UserWarning)
            sh.pp.normalize_stain(sdata, **options)
        return sdata

    def test_one_that_saw_a_scored_slide_is_refused(self):
        seen = sh.pp.StainReference.canonical("macenko")
        seen = type(seen)(**{**vars(seen), "fitted_on": ("S2", "elsewhere")})
        sdata = self.normalized(reference=seen)
        with pytest.raises(ValueError, match=r"of slide 'S1' was recolored .* fitted on slides \['S2'\], which"):
            sh.tl.cross_validate(sdata, models="ridge", genes=4, image="normalized", **FAST)
        refuse_shared_stain(open_cohort(sdata), "full")
        refuse_shared_stain(open_cohort(sdata, ["S1", "S3"]), "normalized")

    def test_the_shipped_one_and_images_it_made_are_fine(self):
        sdata = self.normalized()
        refuse_shared_stain(open_cohort(sdata), "normalized")

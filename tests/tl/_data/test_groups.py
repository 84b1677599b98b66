from __future__ import annotations

import warnings
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import Cohort, get_slide, open_cohort
from spatialhist.tl._data.groups import assign_groups, refuse_duplicates, refuse_shared_stain

SLIDES = ["A1", "A2", "B1", "C1"]


def table_of(**columns):
    """Two spots a slide; every column names one value a slide."""
    obs = pd.DataFrame({"region": np.repeat(SLIDES, 2), **{k: np.repeat(v, 2) for k, v in columns.items()}})
    obs.index = obs.index.astype(str)
    counts = csr_matrix(np.random.default_rng(0).poisson(9, (8, 5)).astype(np.float32))
    return ad.AnnData(counts, obs=obs)


def assign(table, groups="auto"):
    return assign_groups(table, Cohort(None, table, SLIDES).every_slide(), groups)


def test_auto_takes_three_known_patients():
    table = table_of(patient=["A", "A", "B", "C"])
    assert assign(table) == {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}


@pytest.mark.parametrize(
    ("patients", "says"),
    [
        (
            ["A", "A", "B", "B"],
            "of 2 patients only; sections of one .* look better .*: groups='patient' holds out patients",
        ),
        (
            ["A", "B", "C", None],
            r"the patient of slides \['C1'\] is not known; sections of one .*: set obs\['patient'\]",
        ),
        (["A"] * 4, "all are of one patient, so how well other patients are predicted cannot be known$"),
    ],
)
def test_auto_takes_slides_where_patients_are_few_or_unknown(patients, says):
    with pytest.warns(UserWarning, match=f"slides are held out one by one: .*{says}"):
        assert assign(table_of(patient=patients)) == {s: s for s in SLIDES}


def test_two_slides_of_two_patients_need_no_advice(recwarn):
    table = table_of(patient=["A", "A", "B", "C"])[2:6]
    slides = Cohort(None, table, ["A2", "B1"]).every_slide()
    assert assign_groups(table, slides) == {"A2": "A2", "B1": "B1"}
    assert not recwarn


@pytest.mark.parametrize("groups", ["auto", "slide", "patient"])
def test_one_slide_leaves_none_to_score_on(groups, recwarn):
    table = table_of(patient=["A", "A", "B", "C"])[:2]
    with pytest.raises(ValueError, match=r"found \['A1'\]: .*cannot be known; sh\.tl\.fit\(sdata\) fits one"):
        assign_groups(table, Cohort(None, table, ["A1"]).every_slide(), groups)
    assert not recwarn


def test_slides_and_columns_are_taken_as_asked():
    table = table_of(patient=["A", "A", "B", "C"], center=[1, 2, 1, 2])
    assert assign(table, "slide") == {s: s for s in SLIDES}
    assert assign(table, "center") == {"A1": "1", "A2": "2", "B1": "1", "C1": "2"}


def test_a_missing_column_lists_what_there_is():
    with pytest.raises(KeyError, match="groups='donor' is no column of obs; found .*patient"):
        assign(table_of(patient=["A", "B", "C", "D"]), "donor")


def test_a_column_must_name_one_group_a_slide():
    table = table_of(center=["x", "y", "x", "y"])
    table.obs.loc["1", "center"] = "y"
    with pytest.raises(ValueError, match="one group for slide 'A1', it holds \\['x', 'y'\\]"):
        assign(table, "center")


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match="one group for slide 'C1'"):
        assign(table_of(patient=["A", "A", "B", None]), "patient")


def test_a_single_group_is_refused():
    with pytest.raises(ValueError, match="puts all 4 slides into one group \\['A'\\]"):
        assign(table_of(patient=["A"] * 4), "patient")


@pytest.fixture(scope="module")
def two_slides():
    return draw_cohort(3, n_slides=2, n_genes=6)


def refuse(sdata, assigned, hashes):
    """Compare slides as if their pixels had these hashes."""
    cohort = open_cohort(sdata)
    slides = [SimpleNamespace(name=s, rows=cohort.rows(s), pixel_hash=h) for s, h in zip(assigned, hashes, strict=True)]
    refuse_duplicates(cohort.table, slides, assigned)


def test_equal_pixels_in_two_groups_are_refused(two_slides):
    assigned, same = {"S1": "P1", "S2": "P2"}, ["same", "same"]
    with pytest.raises(ValueError, match="'S1' \\(group 'P1'\\) and 'S2' \\(group 'P2'\\) have the same pixels"):
        refuse(two_slides, assigned, same)
    refuse(two_slides, {"S1": "P", "S2": "P"}, same)
    refuse(two_slides, assigned, ["", ""])


@pytest.mark.parametrize(("copied", "refused"), [(60, True), (40, False)])
def test_more_than_half_of_the_counts_shared_is_refused(copied, refused):
    sdata = draw_cohort(3, n_slides=2, n_genes=6)
    cohort = open_cohort(sdata)
    counts = cohort.table.X.toarray()
    rows = [cohort.rows(s) for s in cohort.slides]
    counts[rows[1][:copied]] = counts[rows[0][:copied]]
    cohort.table.X = csr_matrix(counts)
    call = lambda: refuse(sdata, {"S1": "P1", "S2": "P2"}, ["a", "b"])
    if not refused:
        return call()
    with pytest.raises(ValueError, match="share the counts of 60 of 96 spots"):
        call()


def test_spots_without_counts_are_not_alike():
    sdata = draw_cohort(3, n_slides=2, n_genes=6)
    sdata["table"].X = csr_matrix(sdata["table"].shape, dtype=np.float32)
    refuse(sdata, {"S1": "P1", "S2": "P2"}, ["a", "b"])


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
        slides = open_cohort(sdata).every_slide()
        refuse_shared_stain(sdata["table"], slides, "full")
        refuse_shared_stain(sdata["table"], [slides[0], slides[2]], "normalized")

    def recolored(self):
        """Three slides that are recolored by a reference fitted on themselves, and this reference."""
        sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(260, 340), n_genes=8, seed=4)
        sh.pp.mask_background(sdata)
        reference = sh.pp.fit_stain_reference(sdata)
        sh.pp.normalize_stain(sdata, reference=reference)
        return sdata, reference

    def slides_of(self, sdata):
        return sdata["table"], open_cohort(sdata).every_slide()

    @pytest.mark.parametrize("stored", [False, True])
    def test_its_images_under_another_key_are_told(self, tmp_path, stored):
        sdata, _ = self.recolored()
        refuse_shared_stain(*self.slides_of(sdata), "full")
        for slide in ("S1", "S2", "S3"):
            sdata.images[f"{slide}_mine"] = sdata.images.pop(f"{slide}_full_image_normalized")
        if stored:
            sdata.write(tmp_path / "s.zarr")
            sdata = sd.read_zarr(tmp_path / "s.zarr")
        with pytest.warns(
            UserWarning, match=r"image='\{slide\}_mine' of slide 'S1' was recolored .* \['S1', 'S2', 'S3'\]"
        ):
            refuse_shared_stain(*self.slides_of(sdata), "{slide}_mine")

    def test_so_are_images_put_in_place_of_the_full_ones(self):
        sdata, _ = self.recolored()
        for slide in ("S1", "S2", "S3"):
            recolored = sdata.images.pop(f"{slide}_full_image_normalized")
            del sdata.images[f"{slide}_full_image"]
            sdata.images[f"{slide}_full_image"] = recolored
        with pytest.warns(UserWarning, match=r"image='full' of slide 'S1' was recolored .* \['S1', 'S2', 'S3'\]"):
            refuse_shared_stain(*self.slides_of(sdata), "full")

    def test_slides_are_known_under_other_names(self, tmp_path):
        sdata, reference = self.recolored()
        reference.save(tmp_path / "stain.json")
        renamed = sh.io.concat(
            [
                sh.io.from_arrays(
                    np.asarray(get_slide(sdata, s).image().pyramid.levels[0]).transpose(1, 2, 0),
                    sdata["table"][sdata["table"].obs["region"] == s].obsm["spatial"],
                    sdata["table"][sdata["table"].obs["region"] == s].X,
                    slide=f"X{s}",
                    mpp=4.0,
                )
                for s in ("S3", "S2")
            ]
        )
        sh.pp.mask_background(renamed)
        sh.pp.normalize_stain(renamed, reference=tmp_path / "stain.json")
        with pytest.raises(ValueError, match=r"of slide 'XS3' was recolored .* fitted on slides \['XS2', 'XS3'\]"):
            refuse_shared_stain(*self.slides_of(renamed), "normalized")

    def test_the_shipped_one_and_images_it_made_are_fine(self):
        sdata = self.normalized()
        refuse_shared_stain(sdata["table"], open_cohort(sdata).every_slide(), "normalized")


class TestSpellings:
    def test_one_patient_in_two_spellings_is_one_group(self):
        with pytest.warns(UserWarning, match="'a ' is taken as 'A'"):
            assert assign(table_of(patient=["A", "a ", "B", "C"])) == {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}

    def test_so_is_one_group_of_any_column(self):
        table = table_of(patient=list("ABCD"), center=["one-x", "ONE_X", "two", "two"])
        with pytest.warns(UserWarning, match="'ONE_X' is taken as 'one-x'"):
            assert assign(table, "center") == {"A1": "one-x", "A2": "one-x", "B1": "two", "C1": "two"}

    def test_a_slide_in_two_spellings_is_of_one_patient(self):
        table = table_of(patient=["A", "A", "B", "C"])
        table.obs.loc["1", "patient"] = "a"
        assert Cohort(None, table, SLIDES).slide("A1").patient == "A"

    @pytest.mark.parametrize("groups", ["slide", "center"])
    def test_patients_in_several_groups_are_named(self, groups):
        table = table_of(patient=["A", "A", "B", "C"], center=[1, 2, 1, 2])
        says = rf"groups='{groups}' puts sections of patients \['A'\] into several groups.*: groups='patient' holds"
        with pytest.warns(UserWarning, match=says):
            assign(table, groups)

    def test_patients_in_one_group_each_are_not(self, recwarn):
        assign(table_of(patient=["A", "A", "B", "C"], center=[1, 1, 2, 2]), "center")
        assign(table_of(patient=["A", "B", "C", "D"]), "slide")
        assert not recwarn

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spatialhist as sh


@pytest.fixture(scope="module")
def cohort():
    """Two small slides of cells with their transcripts, wider than high."""
    return sh.datasets.synthetic(n_slides=2, n_patients=2, size_px=(260, 200), n_genes=12, platform="xenium", seed=1)


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_every_transcript_of_good_quality_is_in_the_spot_whose_center_is_nearest(cohort, lattice):
    from scipy.spatial import cKDTree

    sh.pp.pool_spots(cohort, ("um", 55), lattice=lattice, from_points="transcripts", min_qv=25, key_added=lattice)
    table = cohort[lattice]
    for slide in ("S1", "S2"):
        here = table[(table.obs["region"] == f"{slide}_{lattice}").to_numpy()]
        known = cohort[f"{slide}_transcripts"].compute()
        known = known[known["qv"] >= 25]
        mpp = cohort.attrs["spatialhist"]["slides"][slide]["mpp"]
        _, nearest = cKDTree(here.obsm["spatial"]).query(known[["x", "y"]].to_numpy() / mpp)
        expected = pd.crosstab(nearest, known["feature_name"].astype(str)).reindex(
            index=range(here.n_obs), columns=here.var_names, fill_value=0
        )
        np.testing.assert_array_equal(here.X.toarray(), expected.to_numpy())
        said = table.uns["spatialhist"]["pool_spots"]["slides"][slide]
        assert (int(said["counted"]), int(said["of_no_gene"])) == (len(known), 0)
        assert int(said["low_quality"]) == len(cohort[f"{slide}_transcripts"]) - len(known)


def test_the_table_goes_on_as_any_other(cohort):
    sh.pp.mask_background(cohort)
    sh.pp.pool_spots(cohort, ("um", 12), from_points="transcripts")
    sh.pp.log_normalize(cohort, table_key="pooled")
    cv = sh.tl.cross_validate(cohort, models="ridge", genes=4, groups="patient", table_key="pooled", progress=False)
    assert set(cv.groups) == set(cohort["pooled"].obs["patient"])


def test_transcripts_of_no_gene_of_the_table_are_left_out_and_counted():
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(220, 180), n_genes=12, platform="xenium", seed=2)
    left, names = sdata["table"].var_names[:3], sdata["S1_transcripts"]["feature_name"].compute().astype(str)
    sdata.tables["table"] = sdata["table"][:, 3:].copy()
    sh.pp.pool_spots(sdata, from_points="transcripts", min_qv=0)
    said = sdata["pooled"].uns["spatialhist"]["pool_spots"]["slides"]["S1"]
    assert int(said["of_no_gene"]) == names.isin(left).sum() > 0
    assert sdata["pooled"].X.sum() == len(names) - names.isin(left).sum()


def test_transcripts_go_where_the_cells_of_their_slide_were_moved():
    from spatialhist._sdata.alignment import set_alignment

    sdata = sh.datasets.synthetic(n_slides=1, size_px=(220, 180), n_genes=6, platform="xenium", seed=2)
    sh.pp.pool_spots(sdata, ("px", 20), lattice="square", from_points="transcripts", key_added="before")
    moved = np.eye(3)
    moved[:2, 2] = (40, -20)
    set_alignment(sdata, sdata["table"], "S1", moved)
    sh.pp.pool_spots(sdata, ("px", 20), lattice="square", from_points="transcripts", key_added="after")
    # by two spots and one: the same counts at other places
    np.testing.assert_allclose(sdata["after"].obsm["spatial"], sdata["before"].obsm["spatial"] + (40, -20))
    np.testing.assert_array_equal(sdata["after"].X.toarray(), sdata["before"].X.toarray())


def test_bad_points(cohort):
    with pytest.raises(KeyError, match=r"slide 'S1' has no points 'cells' or 'S1_cells'; found \['S1_transcripts'"):
        sh.pp.pool_spots(cohort, from_points="cells", key_added="new")
    with pytest.raises(
        ValueError, match="holds no transcript of quality 1000 or more of a gene of the table .* Lower min_qv="
    ):
        sh.pp.pool_spots(cohort, from_points="transcripts", min_qv=1000, key_added="new")
    with pytest.raises(ValueError, match="min_qv=nan must be 0 or more"):
        sh.pp.pool_spots(cohort, from_points="transcripts", min_qv=float("nan"), key_added="new")
    with pytest.raises(ValueError, match="layer='log1p' is of a table, and from_points='transcripts'"):
        sh.pp.pool_spots(cohort, from_points="transcripts", layer="log1p", key_added="new")
    held = cohort["S1_transcripts"].attrs.pop("spatialdata_attrs")
    with pytest.raises(
        ValueError, match=r"does not say which column holds the gene: set sdata.points\['S1_transcripts'\]"
    ):
        sh.pp.pool_spots(cohort, from_points="transcripts", key_added="new")
    cohort["S1_transcripts"].attrs["spatialdata_attrs"] = held
    assert "new" not in cohort.tables

"""The same results whatever types a table went through before."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from small_cohorts import FAST, draw_cohort

import spatialhist as sh

KINDS = {
    "csc": sparse.csc_matrix,
    "csc array": sparse.csc_array,
    "csr array": sparse.csr_array,
    "array": lambda m: m.toarray(),
    "fortran": lambda m: np.asfortranarray(m.toarray()),
    "unsigned": lambda m: m.toarray().astype(np.uint16),
    "dask": lambda m: da.from_array(m.toarray(), chunks=(50, 5)),
    "lazy csc": lambda m: da.from_array(sparse.csc_matrix(m), chunks=m.shape),
}


def whole_counts():
    sdata = draw_cohort(3, n_slides=2, n_genes=9, signal=0.5)
    table = sdata["table"]
    table.X = table.X.astype(np.float32)
    table.obs["in_tissue"] = np.arange(table.n_obs) % 7 > 0
    return sdata


def preprocessed(sdata):
    """Everything that steps of ``pp`` write, as plain arrays."""
    sh.pp.filter_spots(sdata, min_counts=1)
    sh.pp.log_normalize(sdata)
    sh.pp.select_genes(sdata, n=6, by="variance")
    sh.pp.rank_expression(sdata)
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p")
    table = sdata["table"]
    found = {name: table.layers[name] for name in ("log1p", "ranks", "log1p_smooth")}
    found = {name: v.toarray() if hasattr(v, "toarray") else np.asarray(v) for name, v in found.items()}
    return found | {"selected": table.var["selected"], "spots": table.obs["spot_id"].to_numpy()}


def scored(sdata):
    """Scores of a layer that somebody else predicted, and of what sees the truth."""
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    table = sdata["table"]
    theirs = np.random.default_rng(0).normal(size=table.shape).astype(np.float32)
    table.layers["theirs"] = sparse.csc_matrix(theirs) if sparse.issparse(table.X) else theirs
    return sh.tl.evaluate(sdata, layers="theirs", min_counts=100, metrics="all")


@pytest.fixture(scope="module")
def expected():
    return preprocessed(whole_counts()), scored(whole_counts())


@pytest.mark.parametrize("kind", KINDS)
def test_steps_give_the_same_for_any_matrix(expected, kind):
    sdata = whole_counts()
    sdata["table"].X = KINDS[kind](sdata["table"].X)
    found = preprocessed(sdata)
    for name, values in expected[0].items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_same_for_any_matrix(expected, kind):
    sdata = whole_counts()
    sdata["table"].X = KINDS[kind](sdata["table"].X)
    pd.testing.assert_frame_equal(scored(sdata), expected[1], rtol=1e-4)


FLAGS = {
    "words": lambda f: f.astype(str),
    "digits": lambda f: f.astype(int).astype(str).astype("category"),
    "bytes": lambda f: f.astype(int).astype(str).str.encode("ascii"),
    "nullable": lambda f: f.astype("boolean"),
    "whole": lambda f: f.astype("Int8"),
    "float": lambda f: f.astype(float),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_of_any_type(kind):
    sdata, plain = whole_counts(), whole_counts()
    for each in (sdata, plain):
        obs = each["table"].obs
        obs["measured"] = (np.arange(len(obs)) % 5 > 0) | (obs["region"] == "S2").to_numpy()
    obs = sdata["table"].obs
    for column in ("measured", "in_tissue"):
        obs[column] = FLAGS[kind](obs[column])
    for each in (sdata, plain):
        sh.pp.filter_spots(each, drop=False, min_counts=0)
        sh.pp.rank_expression(each)
        sh.pp.realign(each, max_shift=1)
    np.testing.assert_array_equal(obs["spot_qc"], plain["table"].obs["spot_qc"])
    np.testing.assert_array_equal(sdata["table"].layers["ranks"], plain["table"].layers["ranks"])
    reports = [s.attrs["spatialhist"]["slides"]["S1"]["alignment_report"] for s in (sdata, plain)]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("step", [sh.pp.filter_spots, sh.pp.realign])
def test_gaps_in_a_reader_flag_are_refused_and_the_advice_helps(step):
    sdata = whole_counts()
    obs = sdata["table"].obs
    obs["in_tissue"] = pd.Categorical(np.where(np.arange(len(obs)) == 3, None, "1"))
    with pytest.raises(ValueError, match=r"sdata\['table'\].obs\['in_tissue'\] is missing for 1 of 96") as error:
        step(sdata)
    exec(str(error.value).partition(" by ")[2])
    step(sdata)


def test_a_slide_that_says_nothing_of_tissue_is_not_asked():
    sdata = whole_counts()
    obs = sdata["table"].obs
    obs["in_tissue"] = np.where(obs["region"] == "S1", obs["in_tissue"].astype(float), np.nan)
    sh.pp.filter_spots(sdata, drop=False)
    outside = obs["spot_qc"] == "not_in_tissue"
    assert outside.groupby(obs["region"], observed=True).sum().tolist() == [14, 0]


@pytest.mark.parametrize(
    "step",
    [sh.pp.filter_spots, sh.pp.rank_expression, sh.pp.select_genes, lambda s: sh.pl.genes(s, "G1", layers="log1p")],
)
def test_gaps_among_measured_spots_are_refused(step):
    sdata = whole_counts()
    sdata["table"].obs["measured"] = pd.array([True, None] * 96, dtype="boolean")
    with pytest.raises(ValueError, match=r"obs\['measured'\] is missing for 96 of 192"):
        step(sdata)


def test_slides_that_were_never_filtered_are_used():
    sdata = whole_counts()
    sh.pp.filter_spots(sdata, slides="S1", drop=False, min_counts=0)
    sdata["table"].layers["theirs"] = np.random.default_rng(0).normal(size=sdata["table"].shape)
    assert set(sh.tl.evaluate(sdata, layers="theirs", metrics="pearson", oracles=False).slide) == {"S1", "S2"}


def test_a_run_is_the_same_for_any_table():
    found = []
    for convert in (lambda m: m, sparse.csc_array):
        sdata = whole_counts()
        table = sdata["table"]
        table.X, table.layers["log1p"] = convert(table.X), convert(table.layers["log1p"])
        if not found:
            table.obs["patient"] = table.obs["patient"].astype(str).str.encode("ascii")
        sh.tl.cross_validate(sdata, models="ridge", genes=4, groups="patient", **FAST)
        found.append(table.layers["oof"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("kind", ["data frame", "wide", "whole"])
def test_centers_of_any_type_are_drawn_and_scored(kind):
    sdata = whole_counts()
    xy = sdata["table"].obsm["spatial"]
    frame = pd.DataFrame(xy, index=sdata["table"].obs_names, columns=["x", "y"])
    other = {"data frame": frame, "wide": np.column_stack([xy, xy[:, 0]]), "whole": xy.astype(np.int32)}
    sdata["table"].obsm["spatial"] = other[kind]
    sdata["table"].layers["theirs"] = np.random.default_rng(0).normal(size=sdata["table"].shape)
    sh.pl.genes(sdata, "G1", layers="log1p")
    sh.tl.evaluate(sdata, layers="theirs", metrics=["ssim", "moran_agreement"])


def test_numbers_of_a_column_may_be_nullable():
    sdata = whole_counts()
    sdata["table"].obs["out_of_distribution"] = pd.array([0.5, None] * 96, dtype="Float64")
    assert "0% above" in sh.pl.out_of_distribution(sdata)[0].get_title(loc="left")


def test_flags_of_genes_without_names_are_refused():
    sdata = whole_counts()
    sdata["table"].varm["measured"] = sdata["table"].varm["measured"].to_numpy()
    with pytest.raises(ValueError, match=r"varm\['measured'\] is a ndarray whose columns name no slides"):
        sh.pp.select_genes(sdata)

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import spatialdata as sd
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort

NAMES = ["B cells", "T/NK cells", "tumor"]


def with_values(values, **options):
    sdata = draw_cohort(0, n_slides=2, n_genes=6)
    sdata["table"].obsm["parts"] = values(sdata["table"]) if callable(values) else values
    sh.pp.obsm_to_table(sdata, "parts", key_added="cell_types", **options)
    return sdata


def abundances(table) -> np.ndarray:
    return np.random.default_rng(3).gamma(2.0, size=(table.n_obs, 3))


def proportions(table) -> np.ndarray:
    return abundances(table) / abundances(table).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["array", "frame", "csr", "csc", "sparse array"])
def test_values_are_those_of_any_kind_on_the_same_spots(kind):
    makes = {
        "array": np.asarray,
        "csr": sp.csr_matrix,
        "csc": sp.csc_matrix,
        "sparse array": sp.csr_array,
        "frame": lambda a: pd.DataFrame(a, columns=NAMES, index=[f"{s}_{i}" for s in ("S1", "S2") for i in range(96)]),
    }
    sdata = with_values(lambda t: makes[kind](abundances(t)), names=None if kind == "frame" else NAMES)
    made, first = sdata["cell_types"], sdata["table"]
    found = made.X.toarray() if sp.issparse(made.X) else made.X
    np.testing.assert_array_equal(found, abundances(first).astype(np.float32))
    assert made.var_names.tolist() == NAMES
    assert sp.issparse(made.X) == (kind in ("csr", "csc", "sparse array"))
    for column in ("region", "spot_id", "patient"):
        assert made.obs[column].tolist() == first.obs[column].tolist()
    np.testing.assert_array_equal(made.obsm["spatial"], first.obsm["spatial"])
    assert open_cohort(sdata, table_key="cell_types").slides == ["S1", "S2"]


def test_columns_without_names_are_numbered():
    assert with_values(abundances)["cell_types"].var_names.tolist() == ["parts_0", "parts_1", "parts_2"]


@pytest.mark.parametrize(("values", "composition"), [(abundances, False), (proportions, True)])
def test_compositions_are_told_and_have_no_depth(values, composition, caplog):
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        sdata = with_values(values)
    made = sdata["cell_types"]
    assert made.uns["spatialhist"]["obsm_to_table"]["composition"] is composition
    assert ("sum to 1 in every spot" in caplog.text) is composition
    assert ("total_counts" in made.obs) is not composition
    if not composition:
        np.testing.assert_array_equal(made.obs["total_counts"], np.asarray(sdata["table"].X.sum(axis=1)).ravel())


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_spots_without_values_are_to_be_predicted(kind):
    def holes(table):
        values = proportions(table)
        values[5], values[100, 1] = np.nan, np.inf
        return kind(values)

    made = with_values(holes)["cell_types"]
    assert np.flatnonzero(~made.obs["measured"]).tolist() == [5, 100]
    values = made.X.toarray() if sp.issparse(made.X) else made.X
    assert (values[[5, 100]] == 0).all() and np.isfinite(values).all()
    assert made.uns["spatialhist"]["obsm_to_table"]["composition"]


def test_what_is_known_of_spots_and_images_stays():
    sdata = draw_cohort(0, n_slides=2, n_genes=6)
    sh.pp.spot_distances(sdata)
    sh.pp.filter_spots(sdata, min_counts=60, drop=False)
    sdata["table"].uns["spatialhist"]["stain"] = {"slides": {"S1": {"images": {"x": ["S2"]}}}, "fitted_on": ["S2"]}
    sdata["table"].obsm["parts"] = abundances(sdata["table"])
    sh.pp.obsm_to_table(sdata, "parts", key_added="cell_types")
    made, first = sdata["cell_types"], sdata["table"]
    assert made.obs["spot_qc"].equals(first.obs["spot_qc"])
    assert (made.obsp["spatial_connectivities"] != first.obsp["spatial_connectivities"]).nnz == 0
    for step in ("stain", "filter_spots", "spatial_distances"):
        assert made.uns["spatialhist"][step] == first.uns["spatialhist"][step]
    assert "select_genes" not in made.uns["spatialhist"]


def test_a_second_call_gives_the_same_and_says_what_goes():
    sdata = with_values(abundances)
    before = sdata["cell_types"].X.copy()
    sh.pp.rank_expression(sdata, layer="X", table_key="cell_types")
    with pytest.warns(UserWarning, match=r"its layers \['ranks'\]"):
        sh.pp.obsm_to_table(sdata, "parts", key_added="cell_types")
    np.testing.assert_array_equal(sdata["cell_types"].X, before)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (abundances, {"names": ["a", "b"]}, "are 2 for 3 columns"),
        (abundances, {"names": ["a", "b", "a"]}, r"are repeated: \['a'\]"),
        (lambda t: np.full((t.n_obs, 2), np.nan), {}, "no spot of which all values are known"),
        (lambda t: np.zeros((t.n_obs, 2, 2)), {}, r"shape \(192, 2, 2\): want spots x targets"),
        (lambda t: np.full((t.n_obs, 2), "a"), {}, r"obsm\['parts'\] holds"),
    ],
)
def test_what_is_no_matrix_of_named_targets_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        with_values(values, **options)


def test_a_model_is_trained_on_them(tmp_path):
    """A proportion that follows the red of the image is predicted, and stays so in the store."""
    sdata = draw_cohort(1, n_slides=3, n_genes=6)
    red = np.empty(sdata["table"].n_obs)
    for slide in ("S1", "S2", "S3"):
        rows = (sdata["table"].obs["region"] == slide).to_numpy()
        x, y = sdata["table"].obsm["spatial"][rows].astype(int).T
        red[rows] = np.asarray(sdata.images[f"{slide}_full_image"])[0][y, x] / 256
    sdata["table"].obsm["parts"] = pd.DataFrame({"tumor": red, "other": 1 - red}, index=sdata["table"].obs_names)
    sh.pp.obsm_to_table(sdata, "parts", key_added="cell_types")
    sdata.write(tmp_path / "cohort.zarr")
    sdata = sd.read_zarr(tmp_path / "cohort.zarr")
    key = {"table_key": "cell_types"}
    cv = sh.tl.cross_validate(
        sdata,
        models="ridge",
        layer="X",
        genes=["tumor", "other"],
        groups="patient",
        out=tmp_path / "run",
        **key,
        **FAST,
    )
    sh.tl.predict(sdata, cv, encoder=FAST["encoder"], progress=False, **key)
    scores = sh.tl.summarize(sh.tl.evaluate(sdata, truth="X", **key))
    assert scores.loc["ridge", "mean"] > 0.5
    sh.io.save(sdata)
    again = sd.read_zarr(tmp_path / "cohort.zarr")["cell_types"]
    assert np.isfinite(again.layers["predicted"]).all() and again.obs["region"].nunique() == 3

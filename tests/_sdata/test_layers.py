from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from spatialhist._sdata import layers
from spatialhist._sdata.layers import (
    add_dense_rows,
    check_key,
    check_layer_size,
    get_layer,
    record,
    recorded,
    with_genes,
)


@pytest.fixture
def table() -> ad.AnnData:
    return ad.AnnData(np.arange(12, dtype=np.float32).reshape(4, 3))


def test_layer_size_counts_every_layer():
    check_layer_size(1000, 1000, n_layers=2, max_layer_gb=0.008)
    with pytest.raises(MemoryError, match=r"2 dense layer.*1,000 spots x 1,001 genes.*select_genes"):
        check_layer_size(1000, 1001, n_layers=2, max_layer_gb=0.008)


def test_get_layer(table):
    table.layers["log1p"] = table.X + 1
    assert get_layer(table, None) is table.X
    assert get_layer(table, "X") is table.X
    np.testing.assert_array_equal(get_layer(table, "log1p"), table.X + 1)


@pytest.mark.parametrize(("layer", "advice"), [("log1p", "sh.pp.log_normalize"), ("ranks", "sh.pp.rank_expression")])
def test_missing_layer_names_the_call(table, layer, advice):
    with pytest.raises(KeyError, match=f"no layer '{layer}'; found .*{advice}"):
        get_layer(table, layer)


@pytest.mark.parametrize(("key", "better"), [("a/b", "a_b"), ("my layer", "my_layer")])
def test_key_that_a_store_cannot_hold(key, better):
    with pytest.raises(ValueError, match=f"try '{better}'"):
        check_key(key)


def test_dense_rows_leave_the_rest_missing(table):
    add_dense_rows(table, "predicted", np.array([2, 0]), np.array([1]), np.array([[5.0], [7.0]]))
    expected = np.full((4, 3), np.nan)
    expected[2, 1], expected[0, 1] = 5, 7
    np.testing.assert_array_equal(table.layers["predicted"], expected)
    assert table.layers["predicted"].dtype == np.float32


def test_dense_rows_add_to_a_layer_or_start_afresh(table):
    everything = np.arange(4), np.arange(3)
    add_dense_rows(table, "predicted", *everything, np.zeros((4, 3)))
    add_dense_rows(table, "predicted", np.array([1]), np.array([2]), np.array([[9.0]]))
    assert table.layers["predicted"].sum() == 9
    add_dense_rows(table, "predicted", np.array([1]), np.array([2]), np.array([[9.0]]), fresh=True)
    assert np.isnan(table.layers["predicted"]).sum() == 11


def test_refused_layer_is_not_added(table, monkeypatch):
    monkeypatch.setattr(layers.check_layer_size, "__kwdefaults__", {"n_layers": 1, "max_layer_gb": 1e-9})
    with pytest.raises(MemoryError):
        add_dense_rows(table, "predicted", np.arange(4), np.arange(3), np.zeros((4, 3)))
    assert not table.layers


def test_record_survives_the_store(table, tmp_path):
    params = {
        "extent": ("pitch", 3.0),
        "slides": ["S1", "S2"],
        "n": np.int64(4),
        "none": None,
        "nested": {"a key/with": (1, 2), "mixed": ["x", 1]},
        "weights": np.array([0.5, 0.25]),
        "empty": [],
    }
    record(table, "log1p", params)
    table.write_zarr(tmp_path / "table.zarr")
    read = recorded(ad.read_zarr(tmp_path / "table.zarr"), "log1p")
    assert set(read) == set(params) - {"none"} | {"version"}
    assert list(read["extent"]) == ["pitch", "3.0"]
    assert list(read["slides"]) == ["S1", "S2"]
    assert read["n"] == 4
    assert list(read["nested"]["a_key_with"]) == [1, 2]
    np.testing.assert_array_equal(read["weights"], [0.5, 0.25])


def test_nothing_recorded(table):
    assert recorded(table, "log1p") == {}


def test_further_genes_leave_everything_else_as_it_was(table):
    table.var_names = ["a", "b", "c"]
    table.obs["region"] = "S1"
    table.raw = table.copy()
    table.var["length"] = [5.0, 6.0, 7.0]
    table.varm["loadings"] = np.arange(6.0).reshape(3, 2)
    table.varm["sparse"] = csr_matrix(np.eye(3))
    table.varm["frame"] = pd.DataFrame({"x": [1, 2, 3]}, index=table.var_names)
    table.varp["pairs"] = np.arange(9.0).reshape(3, 3)
    table.layers["counts"] = csr_matrix(table.X)
    wider = with_genes(table, ["c", "d"])
    assert list(wider.var_names) == ["a", "b", "c", "d"]
    assert wider.raw.shape == (4, 3)
    np.testing.assert_array_equal(wider.raw.X, table.raw.X)
    for key in ("loadings", "sparse", "frame"):
        kept, own = np.asarray(wider.varm[key]), table.varm[key]
        np.testing.assert_array_equal(kept[:3], own.toarray() if key == "sparse" else np.asarray(own))
        assert np.isnan(kept[3]).all()
    expected = np.zeros((4, 4))
    expected[:3, :3] = table.varp["pairs"]
    np.testing.assert_array_equal(wider.varp["pairs"].toarray(), expected)
    np.testing.assert_array_equal(wider.layers["counts"].toarray()[:, :3], table.X)
    assert wider.varm["measured"]["S1"].tolist() == [True, True, True, False]


def test_no_further_genes_return_the_table_itself(table):
    table.var_names = ["a", "b", "c"]
    assert with_genes(table, ["b"]) is table

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from spatialhist import pp
from spatialhist._sdata.images import add_mask


def put_masks(sdata, left: dict[str, int]) -> None:
    """Tissue from a column of the image rightwards."""
    for slide, column in left.items():
        key = f"{slide}_full_image"
        mask = np.zeros(sdata[key].shape[1:], dtype=bool)
        mask[:, column:] = True
        add_mask(sdata, mask, image=key)


@pytest.fixture
def masked(cohort):
    put_masks(cohort, {"S1": 0, "S2": 0})
    return cohort


def move(sdata, slide: str, row: int, xy: tuple[float, float]) -> None:
    """Put one circle elsewhere."""
    import shapely

    shapes = sdata.shapes[slide].copy()
    shapes.loc[shapes.index[row], "geometry"] = shapely.Point(xy)
    del sdata.shapes[slide]
    sdata.shapes[slide] = shapes


def test_first_reason_wins_in_the_documented_order(masked):
    table = masked["table"]
    counts = table.X.toarray()
    counts[0, 2] = np.nan
    counts[4] = 0
    counts[5, 1] = np.inf
    table.X = counts
    table.obs["in_tissue"] = 1
    table.obs.loc[table.obs_names[[3, 4]], "in_tissue"] = 0
    move(masked, "S1", 2, (50, 25))
    move(masked, "S1", 6, (181, 40))
    pp.filter_spots(masked, drop=False)
    qc = masked["table"].obs["spot_qc"]
    assert list(qc[:8]) == ["nan", "ok", "duplicate", "not_in_tissue", "not_in_tissue", "nan", "out_of_bounds", "ok"]
    assert (qc[8:] == "ok").all()
    assert list(qc.cat.categories)[-1] == "ok"


def test_off_tissue_is_the_share_of_the_disc(cohort):
    put_masks(cohort, {"S1": 52, "S2": 0})
    pp.filter_spots(cohort, drop=False, min_tissue=0.1)
    loose = (cohort["table"].obs["spot_qc"] == "off_tissue").to_numpy()
    pp.filter_spots(cohort, drop=False, min_tissue=0.5)
    strict = (cohort["table"].obs["spot_qc"] == "off_tissue").to_numpy()
    x, radius = cohort["table"].obsm["spatial"][:30, 0], 5.5
    np.testing.assert_array_equal(strict[:30], x < 52)
    np.testing.assert_array_equal(loose[:30], x + 0.6 * radius < 52)
    assert loose.sum() < strict.sum()
    assert not strict[30:].any()


def test_dropping_keeps_table_shapes_and_graph_in_step(masked):
    pp.spot_distances(masked)
    outer = masked["table"]
    outer.X[np.ix_([3, 31], range(8))] = 0
    pp.filter_spots(masked)
    table = masked["table"]
    assert table.n_obs == 52
    assert outer.n_obs == 54
    assert table.obsp["spatial_distances"].shape == (52, 52)
    for slide in ("S1", "S2"):
        ids = table.obs["spot_id"][table.obs["region"] == slide]
        assert set(masked.shapes[slide].index) == set(ids)
    assert list(masked.shapes["S1"].attrs["transform"]) == ["S1"]
    assert table.uns["spatialdata_attrs"]["region"] == ["S1", "S2"]


def test_counts_per_slide_and_reason_survive_dropping_and_running_twice(masked):
    masked["table"].X[3] = 0
    pp.filter_spots(masked)
    first = masked["table"].uns["spatialhist"]["filter_spots"]
    pp.filter_spots(masked)
    second = masked["table"].uns["spatialhist"]["filter_spots"]
    assert first == second
    assert first["counts"]["S1"]["low_activity"] == 1
    assert first["counts"]["S1"]["ok"] == 29
    assert first["dropped"]["S1"]["low_activity"] == 1
    assert first["dropped"]["S2"] == dict.fromkeys(first["dropped"]["S2"], 0)


def test_spots_that_went_because_of_their_labels_are_named(masked):
    ids = masked["table"].obs["spot_id"].to_numpy()
    masked["table"].X[3] = 0
    move(masked, "S1", 6, (181, 40))
    pp.filter_spots(masked, drop=False)
    assert masked["table"].uns["spatialhist"]["filter_spots"]["dropped_by_labels"] == {}
    pp.filter_spots(masked)
    masked["table"].X[10] = 0
    lost = masked["table"].obs["spot_id"].iloc[10]
    pp.filter_spots(masked)
    named = masked["table"].uns["spatialhist"]["filter_spots"]["dropped_by_labels"]
    assert named == {"S1": [str(ids[3]), str(lost)], "S2": []}


def test_marking_first_and_dropping_later_counts_once(masked):
    masked["table"].X[3] = 0
    pp.filter_spots(masked, drop=False)
    assert masked["table"].n_obs == 54
    pp.filter_spots(masked)
    assert masked["table"].uns["spatialhist"]["filter_spots"]["counts"]["S1"]["low_activity"] == 1


def test_spots_to_be_predicted_are_checked_by_their_position_alone(masked):
    table = masked["table"]
    table.obs["measured"] = (table.obs["region"] == "S1").to_numpy()
    counts = table.X.toarray()
    counts[30:] = 0
    counts[40] = np.nan
    table.X = counts
    move(masked, "S2", 23, (-3, 40))
    pp.filter_spots(masked)
    kept = masked["table"].obs
    assert (kept["region"] == "S2").sum() == 23
    assert masked["table"].uns["spatialhist"]["filter_spots"]["counts"]["S2"]["out_of_bounds"] == 1


def test_mads_find_the_spot_far_below_its_slide(masked):
    counts = masked["table"].X.toarray()
    counts[7] = 8
    masked["table"].X = counts
    pp.filter_spots(masked, drop=False)
    assert (masked["table"].obs["spot_qc"] == "ok").all()
    pp.filter_spots(masked, drop=False, max_mads=12)
    assert list(np.flatnonzero(masked["table"].obs["spot_qc"] == "low_activity")) == [7]


def test_only_the_named_slide_is_filtered(masked):
    masked["table"].X[[0, 30]] = 0
    pp.filter_spots(masked, slides="S2")
    qc = masked["table"].obs["spot_qc"]
    assert masked["table"].n_obs == 53
    assert qc[:30].isna().all()
    assert (qc[30:] == "ok").all()


def test_a_slide_that_would_vanish_is_an_error_and_nothing_changes(masked):
    with pytest.raises(ValueError, match="'S1' would lose all its spots.*low_activity"):
        pp.filter_spots(masked, min_counts=1e6)
    assert masked["table"].n_obs == 54
    assert "spot_qc" not in masked["table"].obs


def test_missing_mask_names_the_step(cohort):
    with pytest.raises(KeyError, match="pp.mask_background"):
        pp.filter_spots(cohort)
    pp.filter_spots(cohort, min_tissue=0)
    assert cohort["table"].n_obs == 54


def test_result_survives_the_store(masked, tmp_path):
    import spatialdata as sd

    masked["table"].X[3] = 0
    pp.filter_spots(masked)
    masked.write(tmp_path / "a.zarr")
    back = sd.read_zarr(tmp_path / "a.zarr")
    pp.filter_spots(back)
    assert back["table"].uns["spatialhist"]["filter_spots"]["counts"]["S1"]["low_activity"] == 1
    assert back["table"].n_obs == 53


def test_totals_of_logarithms_are_named_where_totals_decide(masked):
    masked["table"].X = masked["table"].X.log1p()
    with pytest.warns(UserWarning, match="X of table 'table' is taken for raw counts"):
        pp.filter_spots(masked, drop=False, min_counts=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.filter_spots(masked, drop=False, min_counts=0)


def test_a_missing_value_is_found_in_its_own_row_of_columns(masked):
    """A matrix of columns with as many rows as columns is where rows and columns are mixed up."""
    table = masked["table"]
    counts = table.X.toarray()
    counts[7, 3] = np.nan
    for kind in (sp.csc_matrix, sp.csc_array, sp.csr_array):
        table.X = kind(counts)
        pp.filter_spots(masked, drop=False, min_counts=0)
        assert np.flatnonzero(table.obs["spot_qc"] == "nan").tolist() == [7]

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from scipy import sparse
from spatialdata.models import TableModel
from tests._sdata.conftest import XY, gradient, one_slide

from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.images import pyramid, read_level


def reread(sdata, folder):
    sdata.write(folder / "x.zarr")
    return sd.read_zarr(folder / "x.zarr")


def test_slide_follows_the_contract(slide_of_five):
    table = slide_of_five["table"]
    assert set(slide_of_five.shapes) == {"S1"}
    assert set(slide_of_five.images) == {"S1_full_image"}
    assert slide_of_five.coordinate_systems == ["S1"]
    assert table.obs["region"].unique().tolist() == ["S1"]
    assert table.obs["patient"].unique().tolist() == ["P1"]
    assert table.obs["measured"].all()
    assert table.varm["measured"]["S1"].all()
    np.testing.assert_array_equal(table.obsm["spatial"], XY)
    assert sd.models.get_channel_names(slide_of_five.images["S1_full_image"]) == ["r", "g", "b"]


def test_scale_is_kept_or_derived():
    given = one_slide(mpp=0.7, pitch_px=150.0, spot_diameter_px=80.0)
    assert given.attrs["spatialhist"]["slides"]["S1"] == {"mpp": 0.7, "pitch_px": 150.0, "spot_diameter_px": 80.0}
    assert (given.shapes["S1"]["radius"] == 40).all()
    derived = one_slide().attrs["spatialhist"]["slides"]["S1"]
    assert derived == {"mpp": None, "pitch_px": 200.0, "spot_diameter_px": pytest.approx(110)}


def test_single_spot_without_image():
    sdata = build_slide(None, XY[:1], np.ones((1, 2)), slide="S1", genes=["A", "B"])
    assert not sdata.images
    assert sdata.attrs["spatialhist"]["slides"]["S1"]["pitch_px"] is None
    assert list(sdata["table"].uns["spatial"]["S1"]) == ["scalefactors"]


def test_slide_survives_the_store(tmp_path):
    obs = pd.DataFrame({"cluster": ["x", "y", "x", None, "y"], "depth": range(5)})
    ids = np.array(["2x3", "4x3", "6x3", "2x5", "9x9"])
    before = one_slide(spot_ids=ids, obs=obs)
    after = reread(before, tmp_path)
    assert after.shapes["S1"].index.tolist() == after["table"].obs["spot_id"].tolist() == ids.tolist()
    assert after["table"].obs["depth"].tolist() == [0, 1, 2, 3, 4]
    assert after["table"].obs["cluster"].isna().sum() == 1
    np.testing.assert_array_equal(after["table"].varm["measured"]["S1"], True)
    assert after.attrs == before.attrs
    np.testing.assert_array_equal(read_level(pyramid(after, "S1_full_image"), 0), np.moveaxis(gradient(), 0, -1))
    joined, table = sd.join_spatialelement_table(
        sdata=after, spatial_element_names="S1", table_name="table", how="inner"
    )
    assert len(joined["S1"]) == table.n_obs == 5


def test_genes_are_outer_joined(two_slides):
    frame = two_slides["table"].to_df()
    measured = two_slides["table"].varm["measured"]
    assert frame.columns.tolist() == ["A", "B", "C", "D"]
    assert frame.loc["S1_1"].tolist() == [3, 4, 5, 0]
    assert frame.loc["S2_1"].tolist() == [0, 2, 0, 3]
    assert measured["S1"].tolist() == [True, True, True, False]
    assert measured.dtypes.tolist() == [bool, bool]


def test_joined_slides_survive_the_store(two_slides, tmp_path):
    after = reread(two_slides, tmp_path)
    assert set(after.coordinate_systems) == {"S1", "S2"}
    assert set(after["table"].uns["spatial"]) == {"S1", "S2"}
    pd.testing.assert_frame_equal(after["table"].to_df(), two_slides["table"].to_df())
    assert after.attrs == two_slides.attrs


def test_sparse_stays_sparse():
    counts = sparse.csr_matrix(np.eye(5, 3, dtype=np.float32))
    parts = [build_slide(None, XY, counts, slide=s, genes=["A", "B", c]) for s, c in (("S1", "C"), ("S2", "D"))]
    table = concat_slides(parts)["table"]
    assert sparse.issparse(table.X)
    assert table.to_df().loc["S2_2"].tolist() == [0, 0, 0, 1]


def test_slide_twice():
    with pytest.raises(ValueError, match=r"slides \['S1'\] are in more than one object"):
        concat_slides([one_slide(), one_slide("S2"), one_slide()])


def test_text_and_integer_ids_become_text(tmp_path):
    text = one_slide("S2", spot_ids=list("abcde"))
    numbers = one_slide("S1")
    after = reread(concat_slides([numbers, text]), tmp_path)
    assert after["table"].obs["spot_id"].tolist() == [*"01234", *"abcde"]
    assert after.shapes["S1"].index.tolist() == list("01234")
    assert numbers.shapes["S1"].index.tolist() == [0, 1, 2, 3, 4]
    assert set(after.coordinate_systems) == {"S1", "S2"}


def test_objects_without_our_columns(tmp_path):
    plain = one_slide("S2")
    del plain["table"].obs["measured"], plain["table"].varm["measured"]
    plain["table"].obs_names = [f"AAC{i}-1" for i in range(5)]
    plain["table"].obs["in_tissue"] = 1
    after = reread(concat_slides([one_slide(measured=False), plain]), tmp_path)["table"]
    assert after.obs["measured"].tolist() == [False] * 5 + [True] * 5
    assert after.obs_names[5] == "S2_AAC0-1"
    assert plain["table"].obs_names[0] == "AAC0-1"
    assert after.varm["measured"]["S2"].all()
    assert after.obs["in_tissue"].isna().sum() == 5


def test_layers_that_only_some_have_are_left_out():
    a, b = one_slide(), one_slide("S2")
    for part in (a, b):
        part["table"].layers["log1p"] = np.log1p(part["table"].X)
    a["table"].layers["predicted"] = a["table"].X
    with pytest.warns(UserWarning, match=r"layers \['predicted'\] are left out"):
        joined = concat_slides([a, b])
    assert layer_names(joined["table"]) == ["log1p"]
    assert set(layer_names(a["table"])) == {"log1p", "predicted"}


def test_missing_labels_stay_missing(tmp_path):
    labeled = one_slide(obs=pd.DataFrame({"label": ["x", None, "y", "x", "y"]}))
    after = reread(concat_slides([labeled, one_slide("S2", patient=None)]), tmp_path)["table"].obs
    assert after["label"].isna().tolist() == [False, True, False, False, False, *[True] * 5]
    assert after["patient"].isna().tolist() == [False] * 5 + [True] * 5


def proportions(sdata, slides: list[str]):
    """A table of cell types beside the main one, without the last spot of every slide."""
    table = sdata["table"]
    rows = np.flatnonzero(table.obs["region"].isin(slides).to_numpy() & (table.obs["spot_id"] < 4).to_numpy())
    obs = table.obs[["region", "spot_id"]].iloc[rows]
    cells = ad.AnnData(np.linspace(0, 1, 2 * len(rows)).reshape(-1, 2), obs=obs, var=pd.DataFrame(index=["B", "T"]))
    return TableModel.parse(cells, region=slides, region_key="region", instance_key="spot_id")


def test_tables_beside_the_main_one_are_joined():
    parts = [one_slide("S1"), one_slide("S2"), one_slide("S3")]
    for part, slide in zip(parts[:2], ["S1", "S2"], strict=True):
        part.tables["cells"] = proportions(part, [slide])
    joined = concat_slides(parts)
    cells = joined["cells"]
    assert cells.obs["region"].tolist() == ["S1"] * 4 + ["S2"] * 4
    np.testing.assert_allclose(cells.X[4:], np.linspace(0, 1, 8).reshape(4, 2))
    assert cells.uns["spatialdata_attrs"]["region"] == ["S1", "S2"]


def test_a_table_that_annotates_no_spots_is_left_out_with_a_word():
    part = one_slide("S1")
    part.tables["genes"] = TableModel.parse(ad.AnnData(np.ones((3, 1))))
    with pytest.warns(UserWarning, match=r"tables \['genes'\] are left out"):
        assert list(concat_slides([part, one_slide("S2")]).tables) == ["table"]

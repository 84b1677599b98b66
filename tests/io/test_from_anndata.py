from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import sparse
from tests.io.conftest import make_adata, picture

import spatialhist as sh
from spatialhist._sdata.images import pyramid

IMAGE = picture(300, 440)


def scale_of(sdata, slide):
    return sdata.attrs["spatialhist"]["slides"][slide]


def test_all_of_a_table_is_kept_and_the_table_as_it_was():
    adata = make_adata("A", format="csc")
    adata.obs["depth"] = np.asarray(adata.X.sum(axis=1)).ravel()
    before = adata.copy()
    table = sh.io.from_anndata(adata, IMAGE)["table"]
    assert sparse.issparse(table.X) and isinstance(table.layers["log"], np.ndarray)
    np.testing.assert_array_equal(table.X.toarray(), before.X.toarray())
    np.testing.assert_array_equal(table.layers["log"], before.layers["log"])
    np.testing.assert_array_equal(table.obsm["X_pca"], before.obsm["X_pca"])
    np.testing.assert_array_equal(table.obsm["spatial"], before.obsm["spatial"])
    assert table.obs["spot_id"].tolist() == before.obs_names.tolist()
    assert table.obs["in_tissue"].tolist() == before.obs["in_tissue"].tolist()
    assert table.obs["depth"].tolist() == before.obs["depth"].tolist()
    pd.testing.assert_frame_equal(table.var, before.var)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert adata.X.format == "csc" and (adata.X != before.X).nnz == 0
    assert list(adata.uns["spatial"]["A"]["images"]) == ["hires"] and "spatialhist" not in adata.uns


def test_libraries_become_slides_with_an_image_each(tmp_path):
    adata = make_adata("A", "B")
    adata = adata[np.random.default_rng(3).permutation(adata.n_obs)]
    tifffile.imwrite(tmp_path / "b.tif", picture(310, 450), tile=(64, 64))
    sdata = sh.io.from_anndata(
        adata,
        {"A": IMAGE, "B": tmp_path / "b.tif"},
        slide={"B": "S2"},
        patient={"A": "P1", "B": "P2"},
        store=tmp_path / "s",
    )
    table = sdata["table"]
    assert table.obs["region"].cat.categories.tolist() == sorted(
        ["A", "S2"], key=lambda s: s != str(table.obs["region"].iloc[0])
    )
    for library, slide, patient, shape in (("A", "A", "P1", (300, 440)), ("B", "S2", "P2", (310, 450))):
        mine, theirs = table[table.obs["region"] == slide], adata[adata.obs["library_id"] == library]
        np.testing.assert_array_equal(mine.X.toarray(), theirs.X.toarray())
        np.testing.assert_array_equal(mine.obsm["spatial"], theirs.obsm["spatial"])
        assert set(mine.obs["patient"]) == {patient}
        assert pyramid(sdata, f"{slide}_full_image").levels[0].shape[1:] == shape
        assert scale_of(sdata, slide)["mpp"] == pytest.approx(2.5)
    np.testing.assert_array_equal(
        np.asarray(pyramid(sdata, "S2_full_image").levels[0])[0, 0], picture(310, 450)[0, :, 0]
    )


def test_small_pictures_stand_for_images_with_positions_and_scale_on_them():
    with pytest.warns(
        UserWarning, match=r"positions are scaled by 0.25 onto its hires picture of 110 x 75 pixels, 10 um"
    ):
        sdata = sh.io.from_anndata(make_adata("A"), None)
    np.testing.assert_allclose(sdata["table"].obsm["spatial"], make_adata("A").obsm["spatial"] / 4)
    assert scale_of(sdata, "A") == pytest.approx({"mpp": 10.0, "pitch_px": 10.0, "spot_diameter_px": 6.5})
    pixels = np.asarray(pyramid(sdata, "A_full_image").levels[0])
    np.testing.assert_array_equal(np.moveaxis(pixels, 0, -1), picture(300, 440)[::4, ::4])
    with pytest.warns(UserWarning, match="hires"):
        given = sh.io.from_anndata(make_adata("A"), None, mpp=2.0)
    assert scale_of(given, "A")["mpp"] == pytest.approx(8.0)


def test_a_library_without_a_picture_names_the_way_to_give_one():
    adata = make_adata("A", "B")
    del adata.uns["spatial"]["B"]["images"]
    with pytest.raises(ValueError, match=r"library 'B' has no picture .* sh.io.from_anndata\(adata, image=\)"):
        sh.io.from_anndata(adata, {"A": IMAGE, "B": None})
    del adata.uns["spatial"]["A"]["scalefactors"]["tissue_hires_scalef"]
    with pytest.raises(ValueError, match=r"\['A'\]\['scalefactors'\] has no 'tissue_hires_scalef'"):
        sh.io.from_anndata(adata, None, library="A")


def test_a_small_picture_that_was_scaled_is_refused():
    adata = make_adata("A")
    adata.uns["spatial"]["A"]["images"]["hires"] = IMAGE[::4, ::4] - 100.0
    with pytest.raises(ValueError, match=r"\['hires'\] holds floats from -.*Or give the image .* by image="):
        sh.io.from_anndata(adata)


def test_the_scale_of_a_slide_of_read_wsi_is_taken_and_compared(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, tile=(64, 64))
    right = sh.io.read_wsi(tmp_path / "a.tif", mpp=2.5, patient="P7")
    sdata = sh.io.from_anndata(make_adata("A"), right)
    assert scale_of(sdata, "A")["mpp"] == 2.5 and set(sdata["table"].obs["patient"]) == {"P7"}
    wrong = sh.io.read_wsi(tmp_path / "a.tif", mpp=1.0)
    with pytest.warns(UserWarning, match="40 pixels apart, which are 40 um .* but the array has 100 um"):
        sh.io.from_anndata(make_adata("A"), wrong)


def test_a_smaller_copy_of_the_image_is_told_by_the_small_picture():
    with pytest.raises(ValueError, match=r"copy at 0.5 times the size; give the image of about 440 x 300 pixels"):
        sh.io.from_anndata(make_adata("A"), IMAGE[::2, ::2])
    with pytest.warns(UserWarning, match=r"copy at 2 times the size"):
        sh.io.from_anndata(make_adata("A"), np.kron(IMAGE, np.ones((2, 2, 1), np.uint8)))


def test_counts_in_raw_become_a_layer_where_x_holds_logarithms():
    adata = make_adata("A")
    raw = adata.X.toarray()
    adata.raw = adata[:, ::-1].copy()
    adata.X = np.log1p(adata.X)
    adata.uns["log1p"] = {"base": None}
    table = sh.io.from_anndata(adata, IMAGE)["table"]
    np.testing.assert_array_equal(table.layers["counts"].toarray(), raw)
    np.testing.assert_allclose(table.X.toarray(), np.log1p(raw), rtol=1e-6)
    assert table.uns["log1p"]["base"] == pytest.approx(np.e)
    counts = make_adata("A")
    counts.raw = counts.copy()
    assert "counts" not in sh.io.from_anndata(counts, IMAGE)["table"].layers


def test_names_that_a_store_cannot_hold_are_changed_and_told(tmp_path):
    adata = make_adata("A")
    shares = pd.DataFrame({"T/NK": np.arange(adata.n_obs), "B": 1.0}, index=adata.obs_names)
    adata.obsm["q05/cells"] = shares
    adata.obs["region"], adata.obs["n counts"], adata.obs["day"] = "cortex", 3, pd.Timestamp("2026-01-02")
    adata.obs["mixed"] = pd.Series([1, "b"] * 24, index=adata.obs_names, dtype=object)
    with pytest.warns(UserWarning, match="names are changed: obs.'n counts'. is 'n_counts', obs.'region'. is"):
        sdata = sh.io.from_anndata(adata, IMAGE, store=tmp_path / "s.zarr")
    table = sdata["table"]
    assert table.obsm["q05_cells"]["T_NK"].tolist() == shares["T/NK"].tolist()
    assert set(table.obs["original_region"]) == {"cortex"} and set(table.obs["mixed"]) == {"1", "b"}
    assert table.obs["n_counts"].tolist() == [3] * adata.n_obs and table.obs["day"].iloc[0].startswith("2026-01-02")


def test_genes_of_one_name_are_numbered():
    adata = make_adata("A")
    adata.var_names = ["X", "Y", "X", "Z"]
    adata.var["gene_ids"] = ["ENSG4", "ENSG2", "ENSG1", "ENSG3"]
    table = sh.io.from_anndata(adata, IMAGE)["table"]
    assert table.var_names.tolist() == ["X-1", "Y", "X", "Z"]
    np.testing.assert_array_equal(table.X.toarray(), adata.X.toarray())


def test_a_table_of_ours_comes_back(tmp_path):
    sdata = sh.datasets.synthetic(n_slides=2, size_px=(300, 260), n_genes=5, seed=3)
    sdata["table"].obs.loc[sdata["table"].obs["region"] == "S2", "measured"] = False
    images = {slide: sdata.images[f"{slide}_full_image"] for slide in ("S1", "S2")}
    made = sh.io.from_anndata(sdata["table"], images, mpp=scale_of(sdata, "S1")["mpp"])
    assert set(made.shapes) == {"S1", "S2"}
    assert made["table"].obs.groupby("region", observed=True)["measured"].all().to_dict() == {"S1": True, "S2": False}
    np.testing.assert_allclose(made["table"].obsm["spatial"], sdata["table"].obsm["spatial"])


def test_a_file_on_disk_is_read_in_parts(tmp_path):
    adata = make_adata("A", "B")
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    made = sh.io.from_anndata(backed, {"B": IMAGE}, library="B")["table"]
    np.testing.assert_array_equal(made.X.toarray(), adata[adata.obs["library_id"] == "B"].X.toarray())
    backed.file.close()


def squidpy_of(sdata):
    """Make an AnnData of squidpy's layout, and pixels by library, of an object of ours."""
    table = sdata["table"]
    adata = ad.AnnData(sparse.csc_matrix(table.X), var=table.var, obsm={"spatial": table.obsm["spatial"]})
    adata.obs = pd.DataFrame(
        {"library_id": table.obs["region"].astype(str).to_numpy(), "in_tissue": "1"}, table.obs_names
    )
    adata.uns["spatial"] = {slide: table.uns["spatial"][slide] for slide in sdata.shapes}
    pixels = {slide: np.asarray(pyramid(sdata, f"{slide}_full_image").levels[0]) for slide in sdata.shapes}
    return adata, pixels


@pytest.mark.slow
def test_from_table_to_prediction(tmp_path):
    origin = sh.datasets.synthetic(n_slides=2, size_px=(640, 520), n_genes=6, seed=1)
    adata, pixels = squidpy_of(origin)
    sdata = sh.io.from_anndata(adata, pixels, store=tmp_path / "s.zarr")
    for slide in origin.shapes:
        assert scale_of(sdata, slide)["mpp"] == pytest.approx(scale_of(origin, slide)["mpp"], rel=0.01)
    sh.pp.mask_background(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    cv = sh.tl.cross_validate(sdata, models="ridge", genes=3, groups="slide", out=tmp_path / "run", progress=False)
    sh.tl.predict(sdata, cv)
    sh.io.save(sdata)
    again = sh.io.read(tmp_path / "s.zarr")["table"]
    assert np.isfinite(again.layers["predicted"]).sum(axis=1).min() >= 3
    assert set(again.obs["spot_id"]) <= set(adata.obs_names)

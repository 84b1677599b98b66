from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import tifffile
from PIL import Image
from spatialdata_io import visium
from tests.io.conftest import picture, write_space_ranger

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.geometry import spot_pixels
from spatialhist._sdata.images import image_key, pyramid, read_level


@pytest.fixture(params=[False, True], ids=["v1", "v2"])
def outs(request, tmp_path):
    return write_space_ranger(tmp_path / "outs", header=request.param)


@pytest.fixture
def full_image(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "slide.tif")
    return tmp_path / "slide.tif"


@pytest.mark.parametrize("stored", [False, True])
def test_slide_with_its_image(outs, full_image, tmp_path, stored):
    store = tmp_path / "slide.zarr"
    sdata = sh.io.read_visium(outs, slide="V1", image=full_image, patient="P1", store=store if stored else None)
    if not stored:
        sdata.write(store)
        sdata = sd.read_zarr(store)
    table = sdata["table"]
    assert set(sdata.images) == {"V1_full_image", "V1_hires_image", "V1_lowres_image"}
    np.testing.assert_array_equal(read_level(pyramid(sdata, "V1_full_image"), 0), picture())
    np.testing.assert_array_equal(table.obsm["spatial"][5], [130, 77])
    np.testing.assert_array_equal(spot_pixels(sdata, table, "V1", "V1_hires_image")[5], [65, 38.5])
    assert table.obs["patient"].unique().tolist() == ["P1"]
    assert table.obs["measured"].all()
    info = sdata.attrs["spatialhist"]["slides"]["V1"]
    assert info["pitch_px"] == pytest.approx(20, rel=1e-3)
    assert info["mpp"] == pytest.approx(5, rel=1e-3)
    assert info["spot_diameter_px"] == 13
    assert table.uns["spatial"]["V1"]["metadata"]["chemistry_description"] == "Visium V1 Slide"


def test_into_a_store_the_image_is_decoded_once_and_never_as_a_whole(outs, full_image, tmp_path, monkeypatch):
    from spatialhist.io._images import tiff

    largest, read = [], tiff.Plane.__getitem__
    monkeypatch.setattr(tiff, "READ_PX", 64)
    monkeypatch.setattr(tiff.Plane, "__getitem__", lambda s, key: largest.append((p := read(s, key)).size) or p)
    sdata = sh.io.read_visium(outs, slide="V1", image=full_image, store=tmp_path / "s.zarr")
    np.testing.assert_array_equal(read_level(pyramid(sdata, "V1_full_image"), 0), picture())
    assert 0 < max(largest) < picture().size / 4 and sum(largest) == picture().size


def test_an_image_that_breaks_off_leaves_no_store(outs, tmp_path):
    tifffile.imwrite(tmp_path / "cut.tif", picture(), photometric="rgb", tile=(64, 64), compression="zlib")
    data = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=r"cut\.tif"):
        sh.io.read_visium(outs, image=tmp_path / "cut.tif", store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_genes_and_spots(outs):
    table = sh.io.read_visium(outs)["table"]
    assert table.var_names.tolist() == ["A", "B", "A-1"]
    assert table.var["gene_ids"].tolist() == ["ENSG0", "ENSG1", "ENSG2"]
    assert table.obs_names[1] == "S1_ACAA-1"
    assert table.to_df().iloc[1].tolist() == [3, 4, 5]
    assert table.n_obs == 11


def test_raw_counts_hold_the_spots_off_tissue(outs):
    table = sh.io.read_visium(outs, raw=True)["table"]
    assert table.obs["in_tissue"].tolist() == [1] * 11 + [0]


def test_without_a_full_image_the_small_one_is_offered(outs):
    sdata = sh.io.read_visium(outs, slide="V1")
    assert "V1_full_image" not in sdata.images
    with pytest.raises(KeyError, match="V1_hires_image"):
        image_key(sdata, "V1")
    entry = sdata["table"].uns["spatial"]["V1"]
    np.testing.assert_array_equal(entry["images"]["hires"], picture()[::2, ::2])
    assert entry["scalefactors"]["tissue_hires_scalef"] == pytest.approx(0.5)


def test_two_slides_in_one_cohort(outs, tmp_path):
    sh.io.concat([sh.io.read_visium(outs, slide=s) for s in ("V1", "V2")]).write(tmp_path / "x.zarr")
    table = sd.read_zarr(tmp_path / "x.zarr")["table"]
    assert table.obs_names.is_unique
    assert open_cohort(sd.read_zarr(tmp_path / "x.zarr")).slides == ["V1", "V2"]


@pytest.mark.filterwarnings("ignore:Variable names are not unique", "ignore:Converting `region_key")
@pytest.mark.parametrize("with_image", [False, True])
def test_object_of_spatialdata_io_alone_is_adopted(outs, full_image, tmp_path, with_image):
    sdata = visium(outs, dataset_id="V1", fullres_image_file=full_image if with_image else None)
    cohort = open_cohort(sdata)
    assert cohort.slides == ["V1"]
    assert sdata.attrs["spatialhist"]["slides"]["V1"]["mpp"] == pytest.approx(5, rel=1e-3)
    assert sdata["table"].uns["spatial"]["V1"]["images"]["hires"].shape[2] == 3
    assert set(sdata["table"].uns["spatial"]["V1"]["scalefactors"]) == {"spot_diameter_fullres", "tissue_hires_scalef"}
    sdata.write(tmp_path / "x.zarr")
    assert open_cohort(sd.read_zarr(tmp_path / "x.zarr")).measured().all()


@pytest.mark.parametrize(
    "missing", ["filtered_feature_bc_matrix.h5", "spatial/scalefactors_json.json", "spatial/tissue_positions.csv"]
)
def test_missing_file_is_named(tmp_path, missing):
    folder = write_space_ranger(tmp_path / "sample" / "outs", header=True)
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing):
        sh.io.read_visium(folder)
    with pytest.raises(FileNotFoundError, match=r"did you mean .*outs\?"):
        sh.io.read_visium(tmp_path / "sample")


WRONG = {
    "the small copy": (lambda: picture()[::2, ::2], {}, "it is as large as 'V1_hires_image', Space Ranger's small copy"),
    "a copy": (lambda: picture()[::3, ::3], {}, "it is a copy at 0.333 times the size; give the image of about 424 x 300"),
    "turned": (lambda: np.rot90(picture()), {}, "it is turned by a quarter"),
    "another slide": (lambda: picture(260, 300), {}, "it is of another slide, or cropped"),
    "its scale": (
        picture, {"resolution": (1e3, 1e3), "resolutionunit": "CENTIMETER"},
        "spots of slide 'V1' lie 20 pixels apart, which are 200 um at 10 um per pixel, but the array has 100 um",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_an_image_that_positions_were_not_measured_on_is_told(outs, tmp_path, kind):
    pixels, options, message = WRONG[kind]
    tifffile.imwrite(tmp_path / "slide.tif", pixels(), photometric="rgb", **options)
    with pytest.warns(UserWarning, match=message):
        sh.io.read_visium(outs, slide="V1", image=tmp_path / "slide.tif")


def test_steps_refuse_a_slide_on_another_image_and_the_small_one_can_be_chosen(outs, tmp_path):
    Image.fromarray(picture()[::3, ::3]).save(tmp_path / "small.tif")
    with pytest.warns(UserWarning, match="3 of 11 spots of slide 'V1' lie outside of it"):
        sdata = sh.io.read_visium(outs, slide="V1", image=tmp_path / "small.tif")
    spec = sh.tiles.TileSpec(("px", 8), 4)
    with pytest.raises(ValueError, match="not the one .* 3 of 11 spots .* it is a copy at 0.333 times the size"):
        sh.tiles.TileDataset(sdata, spec)
    assert len(sh.tiles.TileDataset(sdata, spec, image="V1_hires_image")) == 11


def test_small_images_of_any_kind_are_read_as_the_slide_is(outs):
    Image.fromarray(np.dstack([picture()[::2, ::2], np.full((150, 212), 255, np.uint8)])).save(
        outs / "spatial/tissue_hires_image.png"
    )
    Image.fromarray(picture()[::4, ::4, 0]).save(outs / "spatial/tissue_lowres_image.png")
    with pytest.warns(UserWarning, match="tissue_lowres_image.png has one channel"):
        sdata = sh.io.read_visium(outs)
    np.testing.assert_array_equal(read_level(pyramid(sdata, "S1_hires_image"), 0), picture()[::2, ::2])
    assert sdata.images["S1_lowres_image"].shape == (3, 75, 106)


def test_missing_image_is_named(outs):
    with pytest.raises(FileNotFoundError, match="nothing.tif"):
        sh.io.read_visium(outs, image=outs / "nothing.tif")


def test_barcode_without_a_position(tmp_path):
    folder = write_space_ranger(tmp_path / "outs", header=True)
    positions = folder / "spatial/tissue_positions.csv"
    positions.write_text("\n".join(positions.read_text().splitlines()[:-3]))
    with pytest.raises(ValueError, match="2 of 11 barcodes of .* have no position"):
        sh.io.read_visium(folder)


def test_bad_slide_id_and_store(outs, tmp_path):
    with pytest.raises(ValueError, match="slide id 'V 1'"):
        sh.io.read_visium(outs, slide="V 1")
    with pytest.raises(FileExistsError, match="outs exists"):
        sh.io.read_visium(outs, store=outs)


@pytest.mark.real_data
def test_real_space_ranger_folder(data_root):
    sdata = sh.io.read_visium(data_root / "formats/spaceranger_tiny", slide="V1")
    info = sdata.attrs["spatialhist"]["slides"]["V1"]
    assert sdata["table"].n_obs == 100
    # Space Ranger's own scale: it draws spots of 65 um
    assert info["mpp"] == pytest.approx(65 / info["spot_diameter_px"], rel=0.01)


@pytest.mark.real_data
def test_real_space_ranger_folder_holds_what_pandas_and_h5py_read(data_root):
    folder = data_root / "formats/spaceranger_tiny"
    table = sh.io.read_visium(folder, slide="V1")["table"]
    names = ["barcode", "in_tissue", "array_row", "array_col", "y", "x"]
    positions = pd.read_csv(folder / "spatial/tissue_positions_list.csv", names=names, index_col="barcode")
    with h5py.File(folder / "filtered_feature_bc_matrix.h5") as file:
        m = {k: file[f"matrix/{k}"][:] for k in ("data", "indices", "indptr", "barcodes", "features/id")}
    expected = np.zeros((len(m["barcodes"]), len(m["features/id"])))
    for spot in range(len(expected)):
        at = slice(int(m["indptr"][spot]), int(m["indptr"][spot + 1]))
        expected[spot, m["indices"][at].astype(int)] = m["data"][at]
    barcodes = [b.decode() for b in m["barcodes"]]
    assert table.obs_names.tolist() == [f"V1_{b}" for b in barcodes]
    assert table.var["gene_ids"].tolist() == [g.decode() for g in m["features/id"]]
    np.testing.assert_array_equal(table.X.toarray(), expected)
    np.testing.assert_array_equal(table.obsm["spatial"], positions.loc[barcodes, ["x", "y"]])
    for column in ("in_tissue", "array_row", "array_col"):
        np.testing.assert_array_equal(table.obs[column], positions.loc[barcodes, column])
    diameter = json.loads((folder / "spatial/scalefactors_json.json").read_text())["spot_diameter_fullres"]
    assert table.uns["spatial"]["V1"]["scalefactors"]["spot_diameter_fullres"] == pytest.approx(diameter)


@pytest.mark.parametrize(
    ("array", "position", "value"), [("indices", -1, 3), ("indices", 0, -1), ("indptr", 2, 99), ("indptr", 2, -1)]
)
def test_counts_at_positions_outside_of_the_matrix_are_refused(outs, array, position, value):
    counts = outs / "filtered_feature_bc_matrix.h5"
    with h5py.File(counts, "r+") as file:
        file["matrix"][array][position] = value
    with pytest.raises(ValueError, match=r"filtered_feature_bc_matrix.h5 is a broken sparse matrix"):
        sh.io.read_visium(outs)


def test_counts_of_another_file_are_refused(outs):
    counts = outs / "filtered_feature_bc_matrix.h5"
    counts.rename(outs / "other.h5")
    with h5py.File(counts, "w") as file:
        file["matrix"] = h5py.ExternalLink("other.h5", "matrix")
    with pytest.raises(ValueError, match="matrix is a link, or reads another file"):
        sh.io.read_visium(outs)

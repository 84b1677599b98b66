from __future__ import annotations

import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.io.conftest import GENES, make_adata, picture, write_hest

import spatialhist as sh
from spatialhist._sdata.images import pyramid


@pytest.fixture
def folder(tmp_path):
    return write_hest(
        tmp_path / "hest",
        NCBI10={"patient": "P1", "organ": "Bowel", "oncotree_code": "COAD"},
        NCBI9={"patient": "P2"},
    )


def test_samples_become_slides_with_their_scale_and_metadata(folder, tmp_path):
    sdata = sh.io.read_hest(folder, store=tmp_path / "s.zarr")
    table, adata = sdata["table"], make_adata("ST")
    assert table.obs["region"].cat.categories.tolist() == ["NCBI9", "NCBI10"]
    mine = table[table.obs["region"] == "NCBI10"]
    np.testing.assert_array_equal(mine.X.toarray(), adata.X.toarray())
    np.testing.assert_array_equal(mine.obsm["spatial"], adata.obsm["spatial"])
    columns = ["patient", "organ", "technology", "oncotree_code"]
    assert mine.obs[columns].iloc[0].tolist() == ["P1", "Bowel", "Visium", "COAD"]
    assert sdata.attrs["spatialhist"]["slides"]["NCBI10"] == pytest.approx(
        {"mpp": 2.5, "pitch_px": 40, "spot_diameter_px": 22}
    )
    pixels = np.asarray(pyramid(sdata, "NCBI10_full_image").levels[0])
    np.testing.assert_array_equal(np.moveaxis(pixels, 0, -1), picture(300, 440))


def test_samples_are_chosen_by_id_and_organ(folder):
    assert list(sh.io.read_hest(folder, ids="NCBI10").shapes) == ["NCBI10"]
    assert list(sh.io.read_hest(folder, ids=["NCBI10", "NCBI9"], organ="breast").shapes) == ["NCBI9"]
    assert list(sh.io.read(folder, slides=["NCBI9"]).shapes) == ["NCBI9"]
    with pytest.raises(KeyError, match=r"no sample of organ \['brain'\] .* there are \['Bowel', 'Breast'\]"):
        sh.io.read_hest(folder, organ="Brain")
    with pytest.raises(KeyError, match=r"samples \['NCBI8'\] in .*; it has \['NCBI9', 'NCBI10'\]"):
        sh.io.read_hest(folder, ids="NCBI8")


def test_the_sheet_says_what_the_file_of_a_sample_does_not(folder):
    (folder / "metadata" / "NCBI9.json").unlink()
    sdata = sh.io.read_hest(folder, ids="NCBI9")
    assert sdata["table"].obs["patient"].iloc[0] == "P2"
    (folder / "HEST_v1_1_0.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"'NCBI9' has no metadata: .*NCBI9.json"):
        sh.io.read_hest(folder, ids="NCBI9")
    assert list(sh.io.read_hest(folder, ids="NCBI10").shapes) == ["NCBI10"]


def test_known_errors_of_patients_are_corrected_and_told(tmp_path):
    folder = write_hest(
        tmp_path / "hest",
        TENX95={"patient": "patient 2"},
        TENX99={"patient": "patient 1"},
        TENX147={"patient": "Patient 1", "organ": "Bowel"},
        TENX148={"patient": "Patient 1", "organ": "Bowel"},
        TENX155={"patient": "Patient 1", "organ": "Bowel"},
    )
    with pytest.warns(UserWarning, match="corrected: TENX95 is of 'patient of TENX95 and TENX99', not of 'patient 2'"):
        obs = sh.io.read_hest(folder)["table"].obs
    patient = obs.groupby("region", observed=True)["patient"].first()
    assert patient["TENX95"] == patient["TENX99"]
    assert patient["TENX148"] == patient["TENX155"] != patient["TENX147"]


def test_labels_that_several_studies_use_are_told(tmp_path):
    folder = write_hest(tmp_path / "hest", A={"patient": "P1"}, B={"patient": "P1", "dataset_title": "Another study"})
    with pytest.warns(UserWarning, match=r"labels \['P1'\] of patients are used by several studies"):
        sh.io.read_hest(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sh.io.read_hest(folder, ids="A")


def test_pooled_squares_have_the_diameter_of_their_area_and_no_controls(tmp_path):
    folder = write_hest(
        tmp_path / "hest", X={"st_technology": "Xenium", "spot_diameter": None, "inter_spot_dist": float("nan")}
    )
    adata = make_adata("ST")
    adata.var_names = ["NegControlProbe_00042", "NegPrb3", *GENES[2:]]
    adata.write_h5ad(folder / "st" / "X.h5ad")
    with pytest.warns(UserWarning, match="2 controls of sample 'X'"):
        sdata = sh.io.read_hest(folder)
    assert sdata["table"].var_names.tolist() == GENES[2:]
    assert sdata.attrs["spatialhist"]["slides"]["X"]["spot_diameter_px"] ** 2 * np.pi / 4 == pytest.approx(
        (100 / 2.5) ** 2
    )


def test_a_pixel_size_that_the_spots_contradict_is_told(tmp_path):
    folder = write_hest(tmp_path / "hest", A={"pixel_size_um_estimated": 1.25})
    with pytest.warns(UserWarning, match="which are 50 um at 1.25 um per pixel, but the array has 100 um"):
        sh.io.read_hest(folder)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("metadata/A.json", '{"id": "A"', "A.json is no metadata of a sample, or broken"),
        ("metadata/A.json", "[1]", "A.json is no metadata of a sample, or broken"),
        (
            "metadata/A.json",
            '{"pixel_size_um_estimated": -1}',
            "'pixel_size_um_estimated' of sample 'A' .* positive number",
        ),
        (
            "metadata/A.json",
            '{"pixel_size_um_estimated": ""}',
            "A.json has no 'pixel_size_um_estimated' for sample 'A'",
        ),
        ("HEST_v1_1_0.csv", "name\nA\n", "has no column 'id'"),
        ("HEST_v1_1_0.csv", "id\nA\nA\n", "has sample 'A' twice"),
        ("st/A.h5ad", "text", "A.h5ad is no AnnData file, or a broken one"),
        ("wsis/A.tif", "text", "A.tif cannot be read as an image"),
    ],
)
def test_broken_files_are_named_and_leave_no_store(tmp_path, file, text, says):
    folder = write_hest(tmp_path / "hest", A={})
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=says):
        sh.io.read_hest(folder, store=tmp_path / "s.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hest"]


def test_missing_files_are_named(folder, tmp_path):
    (folder / "wsis" / "NCBI9.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"'NCBI9' has no image .*NCBI9.tif: download it, or .* sh.io.read\("):
        sh.io.read_hest(folder, store=tmp_path / "s.zarr")
    assert list(sh.io.read_hest(folder, organ="Bowel").shapes) == ["NCBI10"]
    with pytest.raises(FileNotFoundError, match="is no folder of HEST-1k, which has st/<id>.h5ad"):
        sh.io.read_hest(tmp_path)


def test_a_table_of_a_sample_is_read_by_its_own_small_picture(folder):
    path = folder / "st" / "NCBI9.h5ad"
    adata = ad.read_h5ad(path)
    entry = adata.uns["spatial"]["ST"]
    entry["images"]["downscaled_fullres"] = entry["images"].pop("hires")
    entry["scalefactors"]["tissue_downscaled_fullres_scalef"] = entry["scalefactors"].pop("tissue_hires_scalef")
    adata.write_h5ad(path)
    with pytest.warns(UserWarning, match="downscaled_fullres picture of 110 x 75"):
        sdata = sh.io.read(path, slide="A")
    assert list(sdata.shapes) == ["A"]
    assert json.loads((folder / "metadata" / "NCBI9.json").read_text())["id"] == "NCBI9"
    assert pd.api.types.is_float_dtype(sdata["table"].X.dtype)

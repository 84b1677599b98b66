from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from PIL import Image
from tests.io.conftest import picture, write_matrix, write_spots

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level


def read(folder, **options):
    return sh.io.read_st(folder, progress=False, **options)


def edit_csv(path, change) -> None:
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def test_counts_are_joined_on_the_spot_id(st_folder):
    sdata = read(st_folder)
    frame = sdata["table"].to_df()
    assert frame.loc["S1_2x1"].tolist() == [20, 21, 0]
    assert frame.loc["S1_4x1"].tolist() == [40, 41, 0]
    assert frame.loc["S2_3x1"].tolist() == [0, 3, 0]
    assert sdata["table"].varm["measured"]["S2"].tolist() == [False, True, True]
    np.testing.assert_array_equal(sdata["table"].obsm["spatial"][1], [150, 40])
    assert sdata.shapes["S1"].index.tolist() == ["2x1", "3x1", "4x1"]


def test_columns_and_scale(st_folder):
    sdata = read(st_folder)
    obs = sdata["table"].obs
    assert obs["patient"].tolist() == ["P1"] * 3 + ["2"] * 2
    assert obs["array_x"].tolist() == [2, 3, 4, 2, 3]
    assert obs["label"].isna().tolist() == [False, True, False, True, True]
    slides = sdata.attrs["spatialhist"]["slides"]
    assert slides["S1"] == {"mpp": 0.5, "pitch_px": 50.0, "spot_diameter_px": 20.0}
    assert slides["S2"] == {"mpp": None, "pitch_px": 50.0, "spot_diameter_px": 25.0}


def test_chosen_slides(st_folder):
    assert list(read(st_folder, slides="S2").shapes) == ["S2"]
    with pytest.raises(KeyError, match=r"no slides \['S9'\] in .*slides.csv; it has \['S1', 'S2'\]"):
        read(st_folder, slides=["S1", "S9"])


@pytest.mark.parametrize("stored", [False, True])
def test_survives_the_store(st_folder, tmp_path, stored):
    store = tmp_path / "made" / "cohort.zarr"
    sdata = read(st_folder, store=store if stored else None)
    if not stored:
        sdata.write(store)
        sdata = sd.read_zarr(store)
    assert sdata.path == store
    memory = read(st_folder)
    pd.testing.assert_frame_equal(sdata["table"].to_df(), memory["table"].to_df())
    assert sdata.attrs == memory.attrs
    assert set(sdata["table"].uns["spatial"]) == {"S1", "S2"}
    for slide, size in (("S1", (300, 423)), ("S2", (520, 610))):
        pyr = pyramid(sdata, f"{slide}_full_image")
        assert pyr.stored is not None
        np.testing.assert_array_equal(read_level(pyr, 0), picture(*size))
    assert [p.name for p in store.parent.iterdir()] == ["cohort.zarr"]


def test_store_that_exists_is_left_alone(st_folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="store .*full exists"):
        read(st_folder, store=tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert read(st_folder, store=tmp_path / "empty").path == tmp_path / "empty"


def test_interrupted_read_leaves_no_store(st_folder, tmp_path, monkeypatch):
    def interrupt(path):
        if path.stem == "S2":
            raise KeyboardInterrupt
        return np.moveaxis(picture(), -1, 0)

    monkeypatch.setattr("spatialhist.io._images.image_file.read_pixels", interrupt)
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        read(st_folder, store=tmp_path / "out" / "cohort.zarr")
    assert not list((tmp_path / "out").iterdir())


def test_spots_and_counts_without_each_other_are_reported(st_folder):
    write_matrix(st_folder / "counts/S1.tsv.gz", ["9x9", "2x1", "8x8"], ["A"], [[1], [2], [3]])
    message = "slide 'S1': left out 2 spots without counts and 2 rows of counts without a spot; 1 spots remain"
    with pytest.warns(UserWarning, match=message):
        sdata = read(st_folder, slides="S1")
    assert sdata["table"].to_df()["A"].to_dict() == {"S1_2x1": 2}


def test_repeated_genes_are_summed(st_folder):
    write_matrix(
        st_folder / "counts/S1.tsv.gz", ["2x1", "3x1", "4x1"], ["B", "A", "B"], [[1, 2, 3], [4, 5, 6], [0, 0, 1]]
    )
    frame = read(st_folder, slides="S1")["table"].to_df()
    assert frame.columns.tolist() == ["B", "A"]
    assert frame.loc["S1_3x1"].tolist() == [10, 5]


def test_header_without_a_corner_and_numeric_ids(st_folder):
    write_spots(st_folder / "spots/S1.csv", ["007", "010"])
    with gzip.open(st_folder / "counts/S1.tsv.gz", "wt") as file:
        file.write("A\tB\n010\t1\t2\n007\t3\t4\n")
    frame = read(st_folder, slides="S1")["table"].to_df()
    assert frame.loc["S1_007"].tolist() == [3, 4]


def test_in_tissue_flag(st_folder):
    write_spots(st_folder / "spots/S1.csv", ["2x1", "3x1", "4x1"], selected=[True, False, True])
    obs = read(st_folder)["table"].obs
    assert obs["in_tissue"].tolist()[:3] == [1, 0, 1]
    assert obs["in_tissue"].isna().tolist() == [False] * 3 + [True] * 2


def test_columns_that_a_store_cannot_hold_are_renamed(st_folder, tmp_path):
    columns = {"a/b c": [1, 2, 3], "region": ["x"] * 3, "measured": [0] * 3}
    write_spots(st_folder / "spots/S1.csv", ["2x1", "3x1", "4x1"], **columns)
    obs = read(st_folder, slides="S1", store=tmp_path / "x.zarr")["table"].obs
    assert obs["a_b_c"].tolist() == [1, 2, 3]
    assert obs["region"].unique().tolist() == ["S1"]
    assert obs["measured"].all()


def test_log_expression_is_read_with_a_warning(st_folder):
    (st_folder / "counts/S1.tsv.gz").unlink()
    write_matrix(st_folder / "log_expression/S1.tsv.gz", ["2x1", "3x1", "4x1"], ["A"], [[0.5], [1.5], [0]])
    with pytest.warns(UserWarning, match="slide 'S1' has only .*: X holds log expression, not raw counts"):
        table = read(st_folder, slides="S1")["table"]
    assert table.to_df()["A"].tolist() == [0.5, 1.5, 0]


@pytest.mark.parametrize(
    "missing", ["slides.csv", "counts/S1.tsv.gz", "spots/S1.csv", "images/S1.png", "images/S2.png"]
)
def test_missing_file_is_named(st_folder, missing, tmp_path):
    (st_folder / missing).unlink()
    named = "images" if missing == "images/S2.png" else missing
    with pytest.raises(FileNotFoundError, match=named):
        read(st_folder, store=tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*nowhere.*slides.csv"):
        read(tmp_path / "nowhere")


def test_two_images_of_one_name(st_folder):
    Image.fromarray(picture()).save(st_folder / "images/S2.jpg")
    with pytest.raises(FileNotFoundError, match="slide 'S2' has 2 images"):
        read(st_folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("slides.csv", lambda f: f.rename(columns={"slide": "id"}), r"slides.csv lacks columns \['slide'\]"),
        ("slides.csv", lambda f: f.assign(slide="S1"), "must name each slide once"),
        ("slides.csv", lambda f: f[:0], "slides.csv has no rows"),
        ("slides.csv", lambda f: f.assign(slide=["../S1", "S2"]), "slide id '../S1' must hold only"),
        ("slides.csv", lambda f: f.assign(mpp_um=["-1", None]), "mpp of slide 'S1' is -1.0"),
        ("slides.csv", lambda f: f.assign(mpp_um="unknown"), r"no numbers in columns \['mpp_um'\]"),
        ("spots/S1.csv", lambda f: f[:0], "S1.csv has no rows"),
        ("spots/S1.csv", lambda f: f.drop(columns="pixel_y"), r"S1.csv lacks columns \['pixel_y'\]"),
        ("spots/S1.csv", lambda f: f.assign(pixel_x=None), r"S1.csv has empty cells in columns \['pixel_x'\]"),
        (
            "spots/S1.csv",
            lambda f: f.assign(pixel_x="left"),
            r"S1.csv has cells that are no numbers in columns \['pixel_x'\]",
        ),
        ("spots/S1.csv", lambda f: f.assign(spot_id="2x1"), "spot ids repeat in .*S1.csv, e.g. '2x1'"),
        ("spots/S1.csv", lambda f: f.assign(spot_id=["a", "b", "c"]), "look like 'a', in the counts like '4x1'"),
    ],
)
def test_bad_tables_are_named(st_folder, name, change, message):
    edit_csv(st_folder / name, change)
    with pytest.raises(ValueError, match=message):
        read(st_folder)


@pytest.mark.parametrize(
    ("ids", "values", "message"),
    [
        (["2x1", "2x1"], [[1, 2], [3, 4]], "spot ids repeat in the expression of slide 'S1'"),
        (["2x1", "3x1"], [[], []], "S1.tsv.gz names 3 columns but has 0"),
        ([], [], "S1.tsv.gz cannot be read"),
        (["2x1", "3x1"], [["", 2], [3, 4]], "1 counts of slide 'S1' are missing"),
        (["2x1", "3x1"], [["many", 2], [3, 4]], "S1.tsv.gz cannot be read as a gzipped table"),
        (["2x1", "3x1"], [[-1, 2], [3, 4]], "counts of slide 'S1' are negative"),
        (["2x1", "3x1"], [[1, 2, 3, 4], [3, 4, 5, 6]], "S1.tsv.gz names 3 columns but has 4"),
    ],
)
@pytest.mark.filterwarnings("ignore:slide 'S1'. left out")
def test_bad_counts_are_named(st_folder, ids, values, message):
    write_matrix(st_folder / "counts/S1.tsv.gz", ids, ["A", "B"], values)
    with pytest.raises(ValueError, match=message):
        read(st_folder)


def test_damaged_gzip(st_folder):
    path = st_folder / "counts/S1.tsv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match="S1.tsv.gz cannot be read"):
        read(st_folder)


@pytest.mark.real_data
def test_real_sections_of_two_patients(data_root, tmp_path):
    sdata = read(data_root / "her2st", slides=["A1", "A2"], store=tmp_path / "x.zarr")
    table = sdata["table"]
    sheet = pd.read_csv(data_root / "her2st/slides.csv", index_col="slide")
    counts = table.obs["region"].value_counts()
    for slide in ("A1", "A2"):
        assert counts[slide] == sheet.loc[slide, "spots"]
        assert table.varm["measured"][slide].sum() == sheet.loc[slide, "genes"]
        depth = table[table.obs["region"] == slide].X.sum(axis=1)
        assert np.median(np.asarray(depth)) == pytest.approx(sheet.loc[slide, "median_umi"], abs=1)
        assert sdata.attrs["spatialhist"]["slides"][slide]["mpp"] == sheet.loc[slide, "mpp_um"]
    assert table.obs["pathology_label"].isna().sum() == counts["A2"]


@pytest.mark.real_data
def test_real_section_without_raw_counts(data_root):
    with pytest.warns(UserWarning, match="log expression"):
        sdata = read(data_root / "tiny_st_spatialcpie")
    assert sdata["table"].shape == (600, 19)


@pytest.mark.parametrize("part", ["images", "images/S1.png", "spots/S1.csv", "counts/S1.tsv.gz", "counts"])
def test_links_to_outside_are_refused(st_folder, part, tmp_path):
    (st_folder / part).rename(tmp_path / "outside")
    (st_folder / part).symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match=r"leads outside of .*st, to .*outside.*put a copy"):
        sh.io.read_st(st_folder, progress=False)


@pytest.mark.parametrize("named", ["../secret.png", "images/../../secret.png", "/secret.png"])
def test_images_of_other_folders_are_refused(st_folder, named):
    sheet = pd.read_csv(st_folder / "slides.csv")
    sheet["image"] = [named, None]
    sheet.to_csv(st_folder / "slides.csv", index=False)
    with pytest.raises(ValueError, match=r"secret\.png leads outside of .*st"):
        sh.io.read_st(st_folder, progress=False)

"""Transcripts are counted once, in the nearest spot, and what is left out is told."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree
from small_xenium import CONTROLS, GENES, make_transcripts

from spatialhist._sdata import key_sums
from spatialhist.io._xenium_files import transcripts
from spatialhist.io._xenium_files.counting import count_in_spots


def _expected(frame: pd.DataFrame, centers: np.ndarray, min_qv: float = 20) -> pd.DataFrame:
    """Count with pandas, by the distance to every spot."""
    good = frame[frame["feature_name"].isin(list(GENES)) & (frame["qv"] >= min_qv)]
    _, spot = cKDTree(centers).query(good[["x_location", "y_location"]])
    return pd.crosstab(spot, good["feature_name"].to_numpy()).reindex(range(len(centers)), fill_value=0)


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_counts_are_those_of_pandas(tmp_path, lattice):
    frame = make_transcripts()
    frame.to_parquet(tmp_path / "transcripts.parquet")
    counted = count_in_spots(tmp_path / "transcripts.parquet", 17.0, lattice, 20)
    assert counted.genes == sorted(GENES)
    assert np.array_equal(counted.matrix.toarray(), _expected(frame, counted.centers_um)[counted.genes])
    assert counted.matrix.has_canonical_format and counted.matrix.dtype == np.float32
    assert (counted.matrix.sum(axis=1) > 0).all()


def test_what_is_left_out_is_told(tmp_path):
    frame = make_transcripts()
    frame.to_parquet(tmp_path / "transcripts.parquet")
    tally = count_in_spots(tmp_path / "transcripts.parquet", 17.0, "hex", 20).tally
    controls = frame[~frame["is_gene"]]
    assert tally.controls == controls["codeword_category"].value_counts().to_dict()
    assert tally.low_quality == (frame["is_gene"] & (frame["qv"] < 20)).sum()
    assert tally.counted + tally.low_quality + sum(tally.controls.values()) == len(frame)
    assert f"{tally.counted} transcripts counted; left out {tally.low_quality} of low quality and" in str(tally)
    assert f"{tally.controls['blank_codeword']} blank codeword" in str(tally)


@pytest.mark.parametrize("columns", [["codeword_category"], ["is_gene"], ["codeword_category", "is_gene"]])
def test_controls_are_told_by_whatever_the_version_says(tmp_path, columns):
    frame = make_transcripts()
    frame.to_parquet(tmp_path / "whole.parquet")
    frame.drop(columns=columns).to_parquet(tmp_path / "part.parquet")
    whole, part = (count_in_spots(tmp_path / f"{name}.parquet", 17.0, "hex", 20) for name in ("whole", "part"))
    assert part.genes == whole.genes and part.tally == whole.tally
    assert (part.matrix != whole.matrix).nnz == 0


def test_a_column_beats_the_name(tmp_path):
    frame = make_transcripts()
    frame.loc[frame["feature_name"] == "ACTA2", "is_gene"] = False
    frame.drop(columns="codeword_category").to_parquet(tmp_path / "transcripts.parquet")
    counted = count_in_spots(tmp_path / "transcripts.parquet", 17.0, "hex", 20)
    assert counted.genes == ["ERBB2", "FASN"]
    assert counted.tally.controls["other_control"] == (frame["feature_name"] == "ACTA2").sum()


@pytest.mark.parametrize("name", ["transcripts.csv", "transcripts.csv.gz"])
def test_a_csv_is_what_the_parquet_is(tmp_path, name):
    frame = make_transcripts()
    frame.to_csv(tmp_path / name)  # with a column without a name, as R writes it
    frame.to_parquet(tmp_path / "transcripts.parquet")
    csv, parquet = (count_in_spots(tmp_path / n, 17.0, "hex", 20) for n in (name, "transcripts.parquet"))
    assert csv.tally == parquet.tally and csv.genes == parquet.genes
    assert (csv.matrix != parquet.matrix).nnz == 0


def test_text_as_bytes_is_read(tmp_path):
    frame = make_transcripts()
    old = frame.drop(columns=["codeword_category", "is_gene"])
    old.assign(feature_name=old["feature_name"].str.encode("utf-8")).to_parquet(tmp_path / "old.parquet")
    frame.to_parquet(tmp_path / "new.parquet")
    old, new = (count_in_spots(tmp_path / f"{n}.parquet", 17.0, "hex", 20) for n in ("old", "new"))
    assert old.genes == new.genes and (old.matrix != new.matrix).nnz == 0


@pytest.mark.parametrize("name", ["transcripts.parquet", "transcripts.csv"])
def test_parts_of_any_size_sum_to_the_same(tmp_path, monkeypatch, name):
    frame = make_transcripts()
    frame.to_parquet(tmp_path / name) if name.endswith("parquet") else frame.to_csv(tmp_path / name)
    whole = count_in_spots(tmp_path / name, 17.0, "hex", 20)
    monkeypatch.setattr(transcripts, "PART", 7)
    monkeypatch.setattr(transcripts, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(key_sums, "STRETCH", 5)
    parts = count_in_spots(tmp_path / name, 17.0, "hex", 20)
    assert parts.tally == whole.tally and np.array_equal(parts.centers_um, whole.centers_um)
    assert (parts.matrix != whole.matrix).nnz == 0


def test_a_gene_without_good_transcripts_was_measured_all_the_same(tmp_path):
    frame = make_transcripts()
    frame.loc[frame["feature_name"] == "ACTA2", "qv"] = 12.0
    frame.to_parquet(tmp_path / "transcripts.parquet")
    counted = count_in_spots(tmp_path / "transcripts.parquet", 17.0, "hex", 20)
    assert counted.genes[0] == "ACTA2" and counted.matrix[:, 0].sum() == 0


BAD = {
    "no qv": (lambda f: f.drop(columns="qv"), r"transcripts.parquet lacks columns \['qv'\]; it has \['transcript_id'"),
    "a gap": (
        lambda f: f.assign(feature_name=f["feature_name"].where(f.index > 3)),
        "has no feature_name for 4 of 900",
    ),
    "nowhere": (
        lambda f: f.assign(x_location=f["x_location"].replace(f["x_location"][5], np.inf)),
        "not finite for 1 of",
    ),
    "far away": (lambda f: f.assign(x_location=1e12), r"transcripts.parquet: point .* too far away"),
    "words": (lambda f: f.assign(y_location="here"), "column 'y_location' of .* holds no numbers"),
    "controls alone": (
        lambda f: f[f["feature_name"].isin(list(CONTROLS))],
        "no transcript of a gene of quality 20 or more",
    ),
    "nothing": (lambda f: f[:0], "no transcript of a gene"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_tables_are_refused(tmp_path, what):
    change, message = BAD[what]
    change(make_transcripts()).to_parquet(tmp_path / "transcripts.parquet")
    with pytest.raises(ValueError, match=message):
        count_in_spots(tmp_path / "transcripts.parquet", 17.0, "hex", 20)


@pytest.mark.parametrize("name", ["transcripts.parquet", "transcripts.csv.gz"])
def test_a_file_that_is_cut_short_is_damaged(tmp_path, name):
    path = tmp_path / name
    frame = make_transcripts()
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match=f"{name} is no table of transcripts, or it is damaged: .* Copy it again"):
        count_in_spots(path, 17.0, "hex", 20)


def test_a_row_of_a_csv_that_is_cut_short_is_damaged(tmp_path):
    path = tmp_path / "transcripts.csv"
    make_transcripts().to_csv(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="csv is no table of transcripts, or it is damaged"):
        count_in_spots(path, 17.0, "hex", 20)

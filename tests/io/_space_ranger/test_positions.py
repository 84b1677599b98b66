from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist.io._space_ranger import positions
from spatialhist.io._space_ranger.positions import COLUMNS, read_positions

HEADER = ",".join(COLUMNS)
ROWS = "AA-1,1,0,0,100,107\nAC-1,0,0,2,101,140"


@pytest.mark.parametrize("name", ["tissue_positions.csv", "tissue_positions_list.csv"])
@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROWS}",
        ROWS,
        f"{HEADER}\n" + ROWS.replace(",1,0,", ",True,0,").replace(",0,0,2", ",False,0,2"),
        '"","'
        + HEADER.replace(",", '","')
        + '"\n'
        + "\n".join(f'"{i}",{row}' for i, row in enumerate(ROWS.split("\n"))),
        f"\ufeff{HEADER}\r\n" + ROWS.replace("\n", "\r\n"),
    ],
    ids=["header", "none", "words", "row names of R", "mark and line ends of Windows"],
)
def test_any_header_under_any_name(tmp_path, name, text):
    (tmp_path / name).write_text(text, newline="")
    frame = read_positions(tmp_path / name)
    expected = pd.DataFrame(
        [[1, 0, 0, 100, 107], [0, 0, 2, 101, 140]],
        index=pd.Index(["AA-1", "AC-1"], name="barcode"),
        columns=COLUMNS[1:],
    )
    pd.testing.assert_frame_equal(frame, expected, check_names=False)
    assert all(np.issubdtype(t, np.integer) for t in frame.dtypes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"barcode,x,y\n{ROWS}", r"first row of .*p.csv is barcode,x,y: want barcode,in_tissue"),
        ("AA-1,100,107\nAC-1,101,140", r"first row of .*p.csv is AA-1,100,107: want barcode"),
        (ROWS.replace("140", "far"), r"p.csv holds no numbers for 1 barcodes, e.g. 'AC-1': .*'far'"),
        (ROWS.replace("140", ""), r"p.csv holds no numbers for 1 barcodes, e.g. 'AC-1'"),
        (f"{ROWS}\nAA-1,1,0,4,1,1", r"p.csv holds barcodes twice, e.g. 'AA-1'"),
        (ROWS.replace("AC-1,0", "AC-1,maybe"), r"column 'in_tissue' of .*p.csv holds 'maybe': want True and False"),
        (ROWS.replace("AC-1,0", "AC-1,"), r"column 'in_tissue' of .*p.csv is empty in 1 of 2 rows"),
        ("", r"p.csv has no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_positions(tmp_path / "p.csv")


@pytest.mark.parametrize("head", [f"{HEADER}\n", ""], ids=["header", "none"])
def test_a_row_that_is_cut_is_refused_and_a_lost_line_end_is_not(tmp_path, head):
    path, whole = tmp_path / "p.csv", f"{head}{ROWS}\n"
    path.write_text(whole)
    expected = read_positions(path)
    path.write_text(whole[:-1])
    pd.testing.assert_frame_equal(read_positions(path), expected)
    for end in range(len(whole) - len("AC-1,0,0,2,101,140\n") + 1, len(whole) - len("140\n") + 1):
        path.write_text(whole[:end])
        with pytest.raises(ValueError, match=r"p\.csv"):
            read_positions(path)


FRAME = pd.DataFrame(
    [["s_008um_00003_00007-1", 1, 3, 7, 90.5, 140.25], ["s_008um_00000_00002-1", 0, 0, 2, 41.5, 60.75]], columns=COLUMNS
)


@pytest.mark.parametrize("indexed", [False, True])
def test_parquet_with_barcodes_as_a_column_or_as_the_index(tmp_path, indexed):
    frame = FRAME.assign(other="x")[::-1]
    (frame.set_index("barcode") if indexed else frame).to_parquet(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(read_positions(tmp_path / "p.parquet"), FRAME.set_index("barcode")[::-1])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            FRAME.drop(columns="array_col"),
            r"p.parquet has 2 rows of \['barcode', .*: want 1 to 50,000,000 rows of barcode,",
        ),
        (FRAME[:0], r"p.parquet has 0 rows of"),
        (FRAME.assign(barcode="a"), r"p.parquet holds barcodes twice, e.g. 'a'"),
        (
            FRAME.assign(pxl_row_in_fullres=[1.0, np.nan]),
            r"p.parquet holds no numbers for 1 barcodes, e.g. 's_008um_00000_00002-1'",
        ),
        (FRAME.assign(in_tissue=[1, 7]), r"column 'in_tissue' of .*p.parquet holds 7"),
    ],
)
def test_what_is_wrong_with_parquet_is_named(tmp_path, frame, message):
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=message):
        read_positions(tmp_path / "p.parquet")


def test_more_rows_than_bins_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(positions, "MAX_BINS", 1)
    monkeypatch.setattr(positions, "_read_columns", None)
    FRAME.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="p.parquet has 2 rows of .*: want 1 to 1 rows"):
        read_positions(tmp_path / "p.parquet")

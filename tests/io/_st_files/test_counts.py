"""Tables of plain numbers are read the short way, with the same values as by pandas; all others by pandas."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from spatialhist.io._st_files import counts
from spatialhist.io._st_files.counts import read_matrix


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes):
        path = tmp_path / "S1.tsv.gz"
        path.write_bytes(gzip.compress(text if isinstance(text, bytes) else text.encode()))
        return path

    return written


def assert_same(ours, theirs) -> None:
    """Compare two tables to the byte."""
    assert list(ours[0]) == list(theirs[0]) and ours[2] == theirs[2]
    for part in ("data", "indices", "indptr"):
        ours_, theirs_ = getattr(ours[1], part), getattr(theirs[1], part)
        assert ours_.dtype == theirs_.dtype and ours_.tobytes() == theirs_.tobytes()
    assert ours[1].shape == theirs[1].shape


def text_of(values, *, corner: str = "\t", end: str = "\n", form: str = "{}") -> str:
    header = corner + "\t".join(f"G{g}" for g in range(values.shape[1])) + end
    rows = ("\t".join([f"{i}x{i + 1}", *(form.format(v) for v in row)]) + end for i, row in enumerate(values))
    return header + "".join(rows)


RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.7, (7, 31))
FLOATS = RNG.lognormal(0, 4, (7, 31)) * (RNG.random((7, 31)) < 0.6)
PLAIN = {
    "integers": text_of(COUNTS),
    "no corner": text_of(COUNTS, corner=""),
    "a name above the ids": text_of(COUNTS, corner="spot\t"),
    "floats": text_of(FLOATS),
    "short floats": text_of(FLOATS, form="{:.3g}"),
    "exponents": text_of(FLOATS, form="{:.5e}"),
    "negative": text_of(FLOATS - 1),
    "CRLF": text_of(COUNTS, end="\r\n"),
    "no last end of line": text_of(COUNTS)[:-1],
    "empty lines": text_of(COUNTS).replace("\n3x4", "\n\n3x4") + "\n\n",
    "missing values": text_of(COUNTS).replace("\t2", "\t").replace("\t3", "\tNA"),
    "one gene": text_of(COUNTS[:, :1]),
    "one gene, missing": "\tA\ns1\t\ns2\t4\ns3\t\n",
    "one spot": text_of(COUNTS[:1]),
    "names in UTF-8": text_of(COUNTS).replace("G3", "β-actin").replace("4x5", "ü"),
    "infinite": text_of(COUNTS).replace("\t3", "\tinf"),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("block", [1, 200, 16_000_000])
def test_plain_numbers_are_those_of_pandas(write, monkeypatch, name, block):
    path = write(PLAIN[name])
    monkeypatch.setattr(counts, "_BLOCK_BYTES", block)
    ours = read_matrix(path)
    monkeypatch.setattr(counts, "_read_plain", lambda _: None)
    assert_same(ours, read_matrix(path))


@pytest.mark.parametrize("name", PLAIN)
def test_plain_numbers_are_read_the_short_way(write, monkeypatch, name):
    monkeypatch.setattr(counts, "_read_any", None)
    read_matrix(write(PLAIN[name]))


def test_values_are_those_of_python(write):
    ids, values, genes = read_matrix(write(text_of(FLOATS)))
    assert ids.tolist() == [f"{i}x{i + 1}" for i in range(7)] and genes == [f"G{g}" for g in range(31)]
    np.testing.assert_array_equal(values.toarray(), FLOATS.astype(np.float32))


ODD = {
    "quotes": '"A"\t"B"\n"2x1"\t1\t2\n"3x1"\t3\t4\n',
    "ends of lines in quotes": '\tA\tB\n"2\nx1"\t1\t2\n3x1\t3\t4\n',
    "words for numbers": "\tA\tB\n2x1\tTrue\tFalse\n3x1\tFalse\tTrue\n",
    "signs": "\tA\tB\n2x1\t+1\t2\n3x1\t3\t+4\n",
    "None": "\tA\tB\n2x1\tNone\t2\n3x1\t3\t<NA>\n",
    "missing ids": "\tA\tB\nNA\t1\t2\n3x1\t3\t4\n",
    "ends of old files": "\tA\tB\n2x1\t1\t2\r3x1\t3\t4\n",
    "a line of tabs": "\tA\tB\n2x1\t1\t2\n\t\t\n",
    "spaces": "\tA\tB\n2x1\t 1\t2\n3x1\t3 \t4\n",
}


@pytest.mark.parametrize("name", ODD)
def test_what_pandas_alone_knows_is_read_by_pandas(write, monkeypatch, name):
    path = write(ODD[name])
    ours = read_matrix(path)
    monkeypatch.setattr(counts, "_read_plain", lambda _: None)
    assert [str(i) for i in ours[0]] == [str(i) for i in read_matrix(path)[0]]
    np.testing.assert_array_equal(ours[1].toarray(), read_matrix(path)[1].toarray())
    assert ours[1].shape == (2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\tA\tB\n2x1\tmany\t2\n", "could not convert string to float: 'many'"),
        ("\tA\tB\n2x1\t1\t2\n3x1\t3\t4\t5\n", "Expected 3 fields in line 3, saw 4"),
        ("\tA\tB\n2x1\t1\n", "names 3 columns but has 1 beside the spot ids"),
        ("\tA\tB\n2x1\n", "names 3 columns but has 0"),
        ("\tA\tB\n", "cannot be read as a gzipped table of spots x genes: No columns to parse"),
        ("", "cannot be read as a gzipped table"),
        (b"\tA\tB\n\xff\xfe\t1\t2\n", "cannot be read as a gzipped table.*decode"),
        (b"\tA\xff\tB\n2x1\t1\t2\n", "cannot be read as a gzipped table.*decode"),
    ],
)
def test_what_is_wrong_is_said_by_pandas(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_matrix(write(text))


def test_a_line_that_is_too_long_is_refused(write, monkeypatch):
    path = write(text_of(COUNTS))
    monkeypatch.setattr(counts, "MAX_TABLE_BYTES", 300)
    with pytest.raises(ValueError, match="unpacks to more than 300 bytes"):
        read_matrix(path)

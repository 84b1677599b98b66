from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from spatialhist.tl._data.joined import join

SPOTS = ["S1_AA-1", "S1_CC-1", "S2_AA-1", "S2_GG-1", "S2_TT-1"]
GENES = ["A", "B", "C", "D"]
ROWS = {"S1": np.array([0, 1]), "S2": np.array([2, 3, 4])}


@pytest.fixture
def table():
    """Two slides that share a barcode, named as a cohort names them."""
    slide = [name[:2] for name in SPOTS]
    obs = pd.DataFrame({"region": pd.Categorical(slide), "spot_id": [0, 1, 0, 1, 2]}, index=SPOTS)
    return ad.AnnData(np.zeros((5, 4), np.float32), obs=obs, var=pd.DataFrame(index=GENES))


def frame(rows=SPOTS, columns=("C", "A"), slide=None):
    """Another order of spots and genes than the table has."""
    values = pd.DataFrame(
        {gene: [10 * SPOTS.index(spot) + GENES.index(gene) for spot in SPOTS] for gene in columns}, index=SPOTS
    )
    values = values.loc[list(rows)][::-1]
    return (
        values
        if slide is None
        else values.set_axis([s[3:] for s in values.index]).assign(slide=[s[:2] for s in values.index])
    )


def expected(table):
    return np.array([[10 * i, np.nan, 10 * i + 2, np.nan] for i in range(5)])


def test_spots_by_the_names_of_the_table(table):
    joined = join("mine", frame(), table, ROWS)
    np.testing.assert_array_equal(joined.values, expected(table))
    assert joined.values.dtype == np.float32
    assert joined.notes == []


def test_spots_by_barcode_and_slide(table):
    np.testing.assert_array_equal(join("mine", frame(slide=True), table, ROWS).values, expected(table))


def test_spots_by_slide_and_id(table):
    named = frame().set_axis(["S2_2", "S2_1", "S2_0", "S1_1", "S1_0"])
    np.testing.assert_array_equal(join("mine", named, table, ROWS).values, expected(table))


def test_barcodes_alone_where_they_tell_spots_apart(table):
    one = table[2:].copy()
    alone = frame(SPOTS[2:]).set_axis(["TT-1", "GG-1", "AA-1"])
    np.testing.assert_array_equal(join("mine", alone, one, {}).values, expected(table)[2:])


def test_anndata_sparse(table):
    values = frame()
    other = ad.AnnData(
        csr_matrix(values.to_numpy(dtype=float)),
        obs=pd.DataFrame(index=values.index),
        var=pd.DataFrame(index=values.columns),
    )
    np.testing.assert_array_equal(join("mine", other, table, ROWS).values, expected(table))


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.tsv", "p.parquet"])
def test_files(table, tmp_path, name):
    path, values = tmp_path / name, frame()
    if name.endswith("parquet"):
        values.to_parquet(path)
    else:
        values.to_csv(path, sep="\t" if "tsv" in name else ",")
    np.testing.assert_array_equal(join("mine", path, table, ROWS).values, expected(table))


def test_every_digit_is_read(table, tmp_path):
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(5, 4)).astype(np.float32), SPOTS, GENES)
    values.to_csv(tmp_path / "p.csv")
    np.testing.assert_array_equal(join("mine", tmp_path / "p.csv", table, ROWS).values, values.to_numpy())


def test_h5ad_and_numbers_as_barcodes(table, tmp_path):
    table.obs_names = ["001", "002", "003", "004", "005"]
    values = frame().set_axis(["005", "004", "003", "002", "001"])
    values.to_csv(tmp_path / "p.csv")
    ad.AnnData(values).write_h5ad(tmp_path / "p.h5ad")
    for path in ("p.csv", "p.h5ad"):
        np.testing.assert_array_equal(join("mine", tmp_path / path, table, ROWS).values, expected(table))


def test_what_is_not_found_is_counted(table):
    part = frame(SPOTS[:4]).assign(X=1.0, Y=2.0)
    part.loc["S9_AA-1"] = 0.0
    notes = join("mine", part, table, ROWS).notes
    assert notes == [
        "mine: 1 of its 5 barcodes are those of no spot of the table",
        "mine: no prediction of 1 of 3 spots of slide 'S2'",
        "mine: 2 of its 4 columns are no genes of the table",
    ]


def test_values_that_are_not_finite_are_no_predictions(table):
    values = frame().astype(float)
    values.loc["S1_AA-1"] = np.inf
    assert join("mine", values, table, ROWS).notes == ["mine: no prediction of 1 of 2 spots of slide 'S1'"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (frame().set_axis(list("VWXYZ")), r"none of the 5 spots of 'mine' is in the table: it has \['V', 'W', 'X'\]"),
        (
            frame().set_axis(["E1", "E2"], axis=1),
            r"none of the 2 genes of 'mine' .* \['A', 'B', 'C'\]; give them the same",
        ),
        (
            frame(["S1_AA-1"]).set_axis(["AA-1"]),
            r"names spots \['AA-1'\], which lie on several slides: add a column 'slide'",
        ),
        (frame(columns=GENES).T, "'mine' has genes in rows: transpose it"),
        (pd.concat([frame(), frame()]), "'mine' has spot 'S2_TT-1' twice"),
        (pd.concat([frame(), frame()], axis=1), "'mine' has gene 'C' twice"),
        (frame().astype(str).replace("0", "low"), "what 'mine' predicts holds objects that are not numbers"),
        (np.zeros((4, 5)), r"'mine' is an array of shape \(4, 5\), the table has \(5, 4\) \(spots, genes\)"),
    ],
)
def test_what_cannot_be_joined(table, source, message):
    with pytest.raises(ValueError, match=message):
        join("mine", source, table, ROWS)


def test_sources_of_other_types(table):
    with pytest.raises(FileNotFoundError, match="'mine': there is neither a layer nor a file 'p.csv'"):
        join("mine", "p.csv", table, ROWS)
    with pytest.raises(TypeError, match="'mine' is of type dict: pass the name of a layer, a path"):
        join("mine", {}, table, ROWS)

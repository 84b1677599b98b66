from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import spatialhist as sh
from spatialhist._sdata.gene_names import unique_names, with_common_names


def table(names, ids=None) -> ad.AnnData:
    var = pd.DataFrame({} if ids is None else {"gene_ids": ids}, index=names)
    return ad.AnnData(np.zeros((1, len(names)), np.float32), var=var)


def names(*tables):
    return [t.var_names.tolist() for t in with_common_names(tables)]


def test_names_do_not_depend_on_the_order():
    assert unique_names(["A", "B", "A"], ["E2", "E3", "E1"]).tolist() == ["A-1", "B", "A"]
    assert unique_names(["A", "A", "B"], ["E1", "E2", "E3"]).tolist() == ["A", "A-1", "B"]


@pytest.mark.filterwarnings("ignore:Suffix used")
def test_a_number_that_is_taken_is_not_given_again():
    assert unique_names(["A", "A-1", "A"], ["E1", "E2", "E3"]).tolist() == ["A", "A-1", "A-2"]


def test_a_gene_of_a_shared_symbol_has_one_name():
    assert names(table(["A", "B", "A-1"], ["E1", "E3", "E2"]), table(["A", "A-1", "B"], ["E2", "E1", "E3"])) == [
        ["A", "B", "A-1"],
        ["A-1", "A", "B"],
    ]
    # the second has one of the two alone
    assert names(table(["A", "A-1"], ["E1", "E2"]), table(["A"], ["E2"])) == [["A", "A-1"], ["A-1"]]


def test_other_names_stay():
    releases = table(["A", "B"], ["E1", "E2"]), table(["A", "B"], ["E1", "E9"])
    assert with_common_names(releases) == list(releases)
    assert names(table(["NKX2", "NKX2-1"], ["E2", "E1"]), table(["NKX2", "NKX2-1"], ["E2", "E1"]))[0] == [
        "NKX2",
        "NKX2-1",
    ]
    assert names(table(["A", "A-1"]), table(["A"], [None])) == [["A", "A-1"], ["A"]]


def test_counts_of_two_slides_meet_under_the_same_gene():
    def slide(name, genes, ids, counts):
        image = np.full((80, 120, 3), 200, np.uint8)
        sdata = sh.io.from_arrays(image, [[30, 40], [70, 40]], counts, genes=genes, slide=name)
        sdata["table"].var["gene_ids"] = ids
        return sdata

    joined = sh.io.concat(
        [
            slide("S1", ["A", "A-1"], ["E1", "E2"], [[1, 20], [2, 30]]),
            slide("S2", ["A", "A-1", "C"], ["E2", "E1", "E3"], [[40, 3, 7], [50, 4, 8]]),
        ]
    )["table"]
    frame = joined.to_df()
    assert frame["A"].tolist() == [1, 2, 3, 4]
    assert frame["A-1"].tolist() == [20, 30, 40, 50]
    assert joined.var["gene_ids"].to_dict() == {"A": "E1", "A-1": "E2", "C": "E3"}
    assert joined.varm["measured"].loc["A"].all()
    assert joined.varm["measured"].loc["C"].tolist() == [False, True]

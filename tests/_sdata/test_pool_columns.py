from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist._sdata.pool_columns import pool_columns
from spatialhist._sdata.pool_sums import NONE

GROUP = np.array([1, 0, 1, NONE, 0])


def pool(**columns):
    return pool_columns(pd.DataFrame(columns, index=list("abcde")), GROUP, 2)


@pytest.mark.parametrize("dtype", [float, "Float64", "float32"])
def test_numbers_have_means_and_totals_sums(dtype):
    column = pd.Series([1, 2, 4, 100, 5], list("abcde"), dtype=dtype)
    pooled, left = pool(density=column, total_counts=column, cell_area=column)
    assert pooled["density"].tolist() == [3.5, 2.5]
    assert pooled["total_counts"].tolist() == pooled["cell_area"].tolist() == [7, 5]
    assert left == []


def test_unknown_numbers_do_not_count():
    pooled, _ = pool(a=[np.nan, 2.0, 4.0, 9.0, np.nan], b=[np.nan, 1.0, np.nan, 1.0, 1.0])
    assert pooled["a"].tolist() == [2, 4]
    assert pooled["b"][0] == 1 and np.isnan(pooled["b"][1])


@pytest.mark.parametrize("kind", ["category", object])
def test_words_stay_where_members_of_a_group_share_them(kind):
    patient = pd.Series(["P2", "P1", "P2", "P9", "P1"], list("abcde"), dtype=kind)
    cluster = pd.Series(["x", "y", "x", "x", "z"], list("abcde"), dtype=kind)
    pooled, left = pool(patient=patient, cluster=cluster)
    assert pooled["patient"].tolist() == ["P1", "P2"]
    assert left == ["cluster"]
    assert pooled["patient"].dtype == patient.dtype


def test_a_gap_is_not_what_the_others_have():
    patient = pd.Series(["P2", "P1", None, "P9", "P1"], list("abcde"), dtype="category")
    assert pool(patient=patient)[1] == ["patient"]


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (True, False), ("yes", "no")])
def test_flags_stay_flags(yes, no):
    flags = [no, no, yes, yes, no]
    pooled, _ = pool(in_tissue=flags, measured=flags)
    assert pooled["in_tissue"].tolist() == [False, True]
    assert pooled["measured"].tolist() == [False, False]


def test_what_numbers_the_bins_goes():
    pooled, left = pool(array_row=range(5), spot_id=range(5), region="S1", spot_qc="ok", depth=range(5))
    assert list(pooled) == ["depth"] and left == []

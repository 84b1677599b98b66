from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from spatialhist import pp
from spatialhist._sdata.build import concat_slides


def test_adds_ranks_of_every_spot_and_their_parameters(cohort):
    pp.rank_expression(cohort, method="min")
    table = cohort["table"]
    np.testing.assert_array_equal(table.layers["ranks"], rankdata(table.X.toarray(), method="min", axis=1))
    assert table.layers["ranks"].dtype == np.float32
    entry = table.uns["spatialhist"]["ranks"]
    assert (entry["method"], entry["scale"], entry["layer"]) == ("min", "raw", "X")


def test_running_twice_changes_nothing(cohort):
    pp.rank_expression(cohort, scale="normal")
    first = cohort["table"].layers["ranks"].copy()
    pp.rank_expression(cohort, scale="normal")
    np.testing.assert_array_equal(cohort["table"].layers["ranks"], first)


def test_what_was_not_measured_is_nan_and_not_counted(slide_of, lattice):
    xy = lattice(3, 2, 20.0, (30, 30))
    counts = np.arange(18).reshape(6, 3) + 1
    measured = slide_of("S1", xy, counts, size=(120, 90), genes=["A", "B", "C"])
    other = slide_of("S2", xy, counts[:, ::-1], size=(120, 90), genes=["B", "C", "D"])
    placeholder = slide_of("S3", xy, counts * 0, size=(120, 90), genes=["A", "B", "C"], measured=False)
    sdata = concat_slides([measured, other, placeholder])
    pp.rank_expression(sdata, scale="unit")
    table = sdata["table"]
    assert list(table.var_names) == ["A", "B", "C", "D"]
    ranks = table.layers["ranks"]
    np.testing.assert_allclose(ranks[0], [1 / 6, 3 / 6, 5 / 6, np.nan])
    np.testing.assert_allclose(ranks[6], [np.nan, 5 / 6, 3 / 6, 1 / 6])
    assert np.isnan(ranks[12:]).all()


def test_a_layer_that_would_not_fit_is_refused_before_anything_changes(cohort):
    with pytest.raises(MemoryError, match="select_genes"):
        pp.rank_expression(cohort, max_layer_gb=1e-9)
    assert not cohort["table"].layers


def test_unknown_layer_is_named(cohort):
    with pytest.raises(KeyError, match="no layer 'log1p'.*log_normalize"):
        pp.rank_expression(cohort, layer="log1p")

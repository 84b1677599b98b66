from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from spatialhist._sdata.layers import record
from spatialhist.pl._draw.units import is_predicted, unit_of


@pytest.fixture
def table():
    table = ad.AnnData(np.ones((2, 3), np.float32))
    record(table, "log1p", {"target_sum": 1e4})
    record(table, "cpm", {"target_sum": 1e6})
    record(table, "own", {"target_sum": 500})
    record(table, "ranks", {"method": "average", "scale": "unit"})
    record(table, "ranks_smooth", {"method": "average", "scale": "unit", "smoothed": True})
    record(table, "beyond", {"layer": "log1p", "unit": "log1p beyond depth"})
    record(table, "grid_beyond", {"target": "only_in_training", "units": {"unit": "Pearson residual"}})
    record(table, "oof_beyond", {"target": "beyond"})
    record(table, "oof", {"target": "log1p"})
    record(table, "oof_ranks", {"target": "ranks"})
    record(table, "grid", {"target": "only_in_training", "units": {"target_sum": 1e4, "smoothed": True}})
    record(table, "grid_ranks", {"target": "only_in_training", "ranking": {"method": "average", "scale": "unit"}})
    record(table, "rank_mean", {"target": "log1p", "space": "ranks"})
    return table


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (None, "counts"),
        ("X", "counts"),
        ("unknown", "unknown"),
        ("log1p", "log1p(CP10k)"),
        ("cpm", "log1p(CPM)"),
        ("own", "log1p(counts per 500)"),
        ("oof", "log1p(CP10k)"),
        ("beyond", "log1p beyond depth"),
        ("oof_beyond", "log1p beyond depth"),
        ("grid_beyond", "Pearson residual"),
        ("ranks", "rank within spot"),
        ("ranks_smooth", "rank within spot, smoothed"),
        ("oof_ranks", "rank within panel"),
        ("grid", "log1p(CP10k), smoothed"),
        ("grid_ranks", "rank within panel"),
        ("rank_mean", "rank within panel"),
    ],
)
def test_unit_of(table, layer, expected):
    assert unit_of(table, layer) == expected


def test_is_predicted(table):
    assert is_predicted(table, "oof")
    assert not is_predicted(table, "log1p")
    assert not is_predicted(table, None)

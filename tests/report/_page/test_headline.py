from __future__ import annotations

import numpy as np
import pandas as pd

from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page import headline as _headline


def test_genes_are_ranked_by_groups_and_only_where_every_fold_has_them():
    rows = [("ridge", g, s, t, "pearson", v) for g, s, t, v in (
        ("P1", "S1", "A", 0.5), ("P1", "S2", "A", 0.1), ("P2", "S3", "A", 0.3),
        ("P1", "S1", "B", 0.9), ("P1", "S2", "B", 0.9), ("P2", "S3", "B", 0.1),
        ("P1", "S1", "C", 1.0), ("P2", "S3", "C", np.nan),
    )]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["predictor", "group", "slide", "target", "metric", "value"])
    means = _headline.gene_means(scores, "ridge")
    assert list(means.index) == ["B", "A"]
    np.testing.assert_allclose(means, [0.5, 0.3])


def test_layer_is_not_that_of_a_later_prediction(sdata, monkeypatch):
    cohort = open_cohort(sdata)
    assert _headline.layer_of(cohort, "ridge", "log1p") == "oof_ridge"
    assert _headline.layer_of(cohort, "ridge", "ranks") is None
    later = {"step": "predict", "predictor": "x", "target": "log1p"}
    monkeypatch.setitem(cohort.table.uns["spatialhist"], "oof_baseline_mean", later)
    assert _headline.layer_of(cohort, "x", "log1p") is None

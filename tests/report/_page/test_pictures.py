from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page import headline as _headline
from spatialhist.report._page import pictures as _pictures


def draw(vector):
    _, axes = plt.subplots(1, 2)
    axes[0].plot([1, 3, 2])
    return _pictures._embed(axes, "c", vector=vector)


@pytest.mark.parametrize("vector", [True, False])
def test_the_same_figure_gives_the_same_bytes(vector):
    assert draw(vector) == draw(vector)
    assert not plt.get_fignums()


def test_training_curves_where_there_are_some(cv):
    assert _pictures._training(cv) is None
    log = cv.folder / "folds" / "00_P1" / "mlp" / "log"
    log.mkdir(parents=True)
    (log / "metrics.csv").write_text("epoch,step,loss\n0,7,1.5\n1,15,0.75\n")
    assert _pictures._training(cv).source.startswith("data:image/svg+xml;base64,")


def test_no_ceiling_no_picture_of_it(scores):
    assert _pictures._gene_scores(scores[scores["predictor"] != "noise_ceiling"]) is None


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


def test_best_and_worst_do_not_overlap(sdata, cv, scores, monkeypatch):
    asked = []
    monkeypatch.setattr(_pictures, "_embed", lambda axes, caption, **_: caption)
    monkeypatch.setattr(sh.pl, "genes", lambda _, gene, **options: asked.append((gene, options)))
    few = scores[~scores["target"].isin(sdata["table"].var_names[5:])]
    found = _pictures._genes(open_cohort(sdata), cv, few, "table")
    genes = {rank: list(dict.fromkeys(c.split()[0] for c in captions)) for rank, captions in found.items()}
    assert (len(genes["best"]), len(genes["worst"])) == (3, 1)
    assert not set(genes["best"]) & set(genes["worst"])
    assert {options["layers"] for _, options in asked} == {("log1p", "oof")}
    assert [options["slides"] for _, options in asked[:3]] == ["S1", "S2", "S1"]


def test_layer_is_not_that_of_a_later_prediction(sdata, monkeypatch):
    cohort = open_cohort(sdata)
    assert _headline.layer_of(cohort, "ridge", "log1p") == "oof_ridge"
    assert _headline.layer_of(cohort, "ridge", "ranks") is None
    later = {"step": "predict", "predictor": "x", "target": "log1p"}
    monkeypatch.setitem(cohort.table.uns["spatialhist"], "oof_baseline_mean", later)
    assert _headline.layer_of(cohort, "x", "log1p") is None

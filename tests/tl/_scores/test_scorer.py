from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import draw_cohort

from spatialhist._sdata.cohort import open_cohort
from spatialhist.tl._scores.metrics import choose_metrics
from spatialhist.tl._scores.scorer import Scorer


@pytest.fixture(scope="module")
def cohort():
    sdata = draw_cohort(4, n_slides=3, n_genes=9, signal=0.8)
    opened = open_cohort(sdata, None)
    return opened.table, opened.every_slide()


@pytest.mark.parametrize("genes", [[1, 2, 6, 7], [6, 1, 7, 2]], ids=["in order", "out of order"])
def test_predictions_of_a_few_genes_are_scored_as_those_of_the_table(cohort, genes):
    table, slides = cohort
    rng = np.random.default_rng(0)
    groups = {s.name: s.name for s in slides}
    layers = []
    for _ in range(2):
        whole = np.full(table.shape, np.nan, dtype=np.float32)
        whole[:, genes] = table.layers["log1p"].toarray()[:, genes] + rng.normal(size=(table.n_obs, len(genes)))
        layers.append(whole)
    layers[0][slides[0].rows[:5]] = np.nan  # spots that one of them does not predict
    layers[1][slides[1].rows, 6] = np.nan  # and a gene of one slide
    found = []
    for predicted, values in ((None, layers), (np.array(genes), [layer[:, genes] for layer in layers])):
        scorer = Scorer.of(table, slides, "log1p", chosen=choose_metrics("default"), predicted=predicted)
        with pytest.warns(UserWarning, match="Not predicted"):
            scorer = scorer.on_what_all_predict(lambda values=values: zip("ab", values, strict=True))
        records = scorer.score(values[1], "b", "model", groups) + scorer.ceilings(values[1], groups)
        found.append((records, scorer.genes(), scorer.n_scored(values[0]), scorer.measured_range(values[0])))
    assert str(found[0]) == str(found[1])
    assert found[0][1] == [table.var_names[g] for g in sorted(genes)]
    assert {r[3] for r in found[0][0]} == {s.name for s in slides} | {"all"}

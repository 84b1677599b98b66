from __future__ import annotations

import pandas as pd
import pytest

from spatialhist.pl._draw.score_means import best_predictor


@pytest.mark.parametrize(("metric", "best"), [("pearson", "large"), ("rmse", "small")])
def test_the_best_model_of_an_error_is_the_one_of_the_lowest(metric, best):
    rows = [(p, "model", g, g, "G0", metric, v) for p, v in {"large": 0.9, "small": 0.2}.items() for g in "ab"]
    scores = pd.DataFrame(rows, columns=["predictor", "kind", "group", "slide", "target", "metric", "value"])
    assert best_predictor(scores, metric) == best

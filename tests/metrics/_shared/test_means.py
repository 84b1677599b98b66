from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist import metrics
from spatialhist.metrics._shared.means import group_means, slide_means


@pytest.fixture
def rows():
    """Two predictors; slides of unequal numbers of genes, groups of unequal numbers of slides."""
    values = {
        ("m", "B", "b1"): [0.8, np.nan],
        ("m", "A", "a1"): [0.1, 0.3],
        ("m", "A", "a2"): [0.6],
        ("n", "A", "a1"): [0.5],
    }
    found = [(*key, v) for key, several in values.items() for v in several]
    return pd.DataFrame(found, columns=["predictor", "group", "slide", "value"])


def test_slides_count_the_same_and_so_do_groups(rows):
    slides = slide_means(rows, ["predictor"])
    assert slides.to_dict() == pytest.approx(
        {("m", "B", "b1"): 0.8, ("m", "A", "a1"): 0.2, ("m", "A", "a2"): 0.6, ("n", "A", "a1"): 0.5}
    )
    assert group_means(slides).to_dict() == pytest.approx({("m", "B"): 0.8, ("m", "A"): 0.4, ("n", "A"): 0.5})


def test_arrays_and_tables_get_the_same_number_to_the_last_digit():
    rng = np.random.default_rng(0)
    slide = rng.permutation(np.repeat([f"s{i}" for i in range(7)], 41))
    group = np.where(slide < "s2", "A", np.where(slide < "s5", "B", "C"))
    value = np.where(rng.random(slide.size) < 0.1, np.nan, rng.normal(size=slide.size))
    summary = metrics.summarize(value, slide, group)
    table = group_means(slide_means(pd.DataFrame({"group": group, "slide": slide, "value": value})))
    assert summary.groups == table.to_dict()
    assert summary.score == table.mean()

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

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

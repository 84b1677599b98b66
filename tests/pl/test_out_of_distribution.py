from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import spatialhist as sh


@pytest.fixture
def scored():
    """Two slides, of which the second has no scores."""
    sdata = sh.datasets.synthetic(n_slides=2, size_px=(200, 260), n_genes=5)
    obs = sdata["table"].obs
    score = np.linspace(0, 1, len(obs)).astype(np.float32)
    score[(obs["region"] == "S2").to_numpy()] = np.nan
    obs["out_of_distribution"] = score
    yield sdata
    plt.close("all")


def test_slides_side_by_side(scored):
    first, second = sh.pl.out_of_distribution(scored)
    of_first = scored["table"].obs["region"] == "S1"
    score = scored["table"].obs["out_of_distribution"][of_first].to_numpy()
    drawn = first.collections[0]
    np.testing.assert_allclose(np.ma.filled(drawn.get_array(), np.nan), score, rtol=1e-6)
    assert (drawn.norm.vmin, drawn.norm.vmax) == (0, 1)
    assert first.get_title("left") == f"S1\n{(score > 0.95).mean():.0%} above 0.95"
    assert second.get_title("left") == "S2\nno score"


def test_axes_of_ones_own(scored):
    _, ax = plt.subplots()
    assert sh.pl.out_of_distribution(scored, slides="S1", axes=ax).tolist() == [ax]
    with pytest.raises(ValueError, match="2 axes are needed"):
        sh.pl.out_of_distribution(scored, axes=ax)


def test_nothing_to_draw(scored):
    del scored["table"].obs["out_of_distribution"]
    with pytest.raises(KeyError, match="predict it with sh.tl.predict or sh.tl.predict_grid"):
        sh.pl.out_of_distribution(scored)

from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh


@pytest.fixture
def comparison(scores):
    return sh.tl.compare(scores, "stack", "baseline_mean")


def test_both_scores_of_every_group(comparison):
    ax = sh.pl.compare(comparison)
    rows = dict(zip(ax.get_yticks(), [t.get_text() for t in ax.get_yticklabels()], strict=True))
    by_name = {line.get_label(): line for line in ax.lines}
    for name, line in ((n, by_name[n]) for n in ("stack", "baseline_mean")):
        found = {rows[y]: x for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
        assert found == pytest.approx(comparison.table[name].to_dict())


def test_difference_stands_below_with_its_interval(comparison):
    ax = sh.pl.compare(comparison)
    below = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))["difference"]
    bars = [s for c in ax.collections for s in c.get_segments() if s[0][1] == below]
    np.testing.assert_allclose(np.array(bars)[0, :, 0], [comparison.low, comparison.high])
    means = [line for line in ax.lines if line.get_marker() == "|"]
    assert means[0].get_xdata()[0] == comparison.difference
    assert "50 % interval" in ax.texts[0].get_text()


def test_one_group_has_no_interval(scores):
    one = sh.tl.compare(scores[scores["group"] == "P1"], "stack", "ridge")
    assert "interval" not in sh.pl.compare(one).texts[0].get_text()


def test_axes_are_those_passed(comparison):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sh.pl.compare(comparison, ax=ax) is ax

from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd

import spatialhist as sh
from spatialhist._sdata.layers import record


@pytest.fixture
def own(cohort):
    """Predictions at half the true differences, with a level of their own; slides S1 and S2 are one group."""
    own = sd.deepcopy(cohort)
    table = own["table"]
    truth = table.layers["log1p"].toarray()
    table.layers["oof"] = (0.5 * truth + 3).astype(np.float32)
    groups = {"slides": ["S1", "S2", "S3"], "groups": ["P1", "P1", "P2"]}
    record(table, "oof", {"target": "log1p", "predictor": "ridge", **groups})
    return own


def lines(ax):
    return {line.get_label(): np.column_stack(line.get_data()) for line in ax.lines if line.get_label()[0] != "_"}


def test_levels_are_taken_off_and_the_slope_is_that_of_the_differences(own):
    ax = sh.pl.calibration(own)
    assert ax.get_title(loc="left") == "oof: slope 2.00"
    assert ax.get_xlabel() == "predicted, log1p(CP10k)"
    for dots in lines(ax).values():
        assert dots.shape == (10, 2)
        np.testing.assert_allclose(dots[:, 1], 2 * dots[:, 0], atol=1e-4)


def test_one_line_a_group(own):
    assert set(lines(sh.pl.calibration(own))) == {"P1", "P2"}
    assert set(lines(sh.pl.calibration(own, layer="predicted"))) == {"S1", "S2", "S3"}


def test_what_was_not_predicted_or_not_measured_is_left_out(own):
    table = own["table"]
    first = (table.obs["region"] == "S1").to_numpy()
    table.layers["oof"][np.flatnonzero(first)[:3]] = np.nan
    table.layers["oof"][first, 0] = np.nan
    truth = table.layers["log1p"].toarray()
    truth[first, 1] = 100
    table.layers["log1p"] = truth
    table.varm["measured"].loc[table.var_names[1], "S1"] = False
    assert sh.pl.calibration(own).get_title(loc="left") == "oof: slope 2.00"


def test_ranks_are_those_within_the_panel(own):
    table = own["table"]
    sh.pp.rank_expression(own, scale="unit")
    panel = np.arange(0, table.n_vars, 2)
    from spatialhist.pp._expression.ranks import rank_rows

    truth = rank_rows(table.X[:, panel].toarray(), method="average", scale="unit")
    table.layers["oof"][:] = np.nan
    table.layers["oof"][:, panel] = truth
    ranking = {"method": "average", "scale": "unit"}
    record(table, "oof", {"target": "ranks", "ranking": ranking, "slides": [], "groups": []})
    ax = sh.pl.calibration(own)
    assert ax.get_title(loc="left") == "oof: slope 1.00"
    assert ax.get_ylabel() == "measured, rank within panel"


def test_axes_are_those_passed(own):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sh.pl.calibration(own, ax=ax) is ax


def test_nothing_to_compare(own):
    with pytest.raises(ValueError, match="'log1p' holds no predictions"):
        sh.pl.calibration(own, layer="log1p")
    with pytest.raises(KeyError, match="no layer 'later'"):
        sh.pl.calibration(own, layer="later")
    own["table"].layers["oof"][:] = np.nan
    with pytest.raises(ValueError, match="both a measurement and a prediction in layer 'oof'"):
        sh.pl.calibration(own)

from __future__ import annotations

import numpy as np
import pytest


def test_out_of_fold_residuals_by_hand(finished):
    sdata, cv, stack = finished
    table = sdata["table"]
    columns = table.var_names.get_indexer(cv.genes)
    truth = table.layers["log1p"].toarray()[:, columns]
    np.testing.assert_allclose(stack.held_out().residuals(), truth - table.layers["oof"][:, columns], atol=1e-5)
    mean = (table.layers["oof_ridge"] + table.layers["oof_ridge_raw"])[:, columns] / 2
    np.testing.assert_allclose(cv.held_out().residuals(), truth - mean, atol=1e-5)


@pytest.mark.parametrize("stacked", [True, False])
def test_residuals_without_a_group_come_from_fits_that_saw_neither(finished, stacked):
    sdata, cv, stack = finished
    held = (stack if stacked else cv).held_out()
    found = held.residuals_without("P2")
    group = cv.inputs.column("group")
    columns = list(cv.panels["P2"])
    assert np.isnan(found[group == "P2"]).all()
    assert np.isnan(np.delete(found, columns, axis=1)).all()
    rows = np.flatnonzero(group == "P4")
    samples = cv.inputs.samples(rows)
    each = np.stack([cv.inner()["P2", "P4", m.name].fitted().predict(samples) for m in cv.models])
    predicted = stack.by_group["P2"].apply(each) if stacked else each.mean(axis=0)
    truth = cv.inputs.samples(rows, columns).targets
    np.testing.assert_allclose(found[np.ix_(rows, columns)], truth - predicted, atol=1e-4)
    assert held.nested

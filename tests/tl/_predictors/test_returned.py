from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from spatialhist.tl._predictors.returned import fitted_model, model_state, predictions

WANTED = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize(
    "values", [WANTED, WANTED.tolist(), torch.from_numpy(WANTED), pd.DataFrame(WANTED), WANTED.astype(object)]
)
def test_whatever_holds_a_row_a_spot_is_taken(values):
    np.testing.assert_array_equal(predictions(values, "mine", (3, 2)), WANTED)


def test_missing_predictions_are_nan():
    np.testing.assert_array_equal(predictions([[1.0, None]], "mine", (1, 2)), [[1, np.nan]])


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (None, r"an array \(\)"),
        (WANTED[:, 0], r"an array \(3,\)"),
        (WANTED.T, r"an array \(2, 3\)"),
        ([[1.0], [1.0, 2.0], [3.0]], "a list"),
        (torch.ones(3, 2, requires_grad=True), "a Tensor"),
        (np.full((3, 2), pd.NA), "a ndarray"),
        (WANTED.astype(str), "an array of type <U"),
        (WANTED * 1j, "an array of type complex"),
    ],
)
def test_other_predictions_are_refused_with_the_name_of_the_model(values, found):
    with pytest.raises(ValueError, match=rf"model 'mine' predicted {found}.*expected numbers \(3, 2\), a row a spot"):
        predictions(values, "mine", (3, 2))


def test_what_was_fitted_predicts_and_can_be_stored():
    whole = SimpleNamespace(predict=len, state=dict)
    assert fitted_model(whole, "mine") is whole
    with pytest.raises(
        TypeError, match=r"model 'mine': its fit or restore returned a NoneType, .* \['predict', 'state'\]"
    ):
        fitted_model(None, "mine")
    with pytest.raises(TypeError, match=r"lacks the methods \['state'\]"):
        fitted_model(SimpleNamespace(predict=len, state=None), "mine")


def test_a_state_becomes_arrays_and_json():
    arrays, extra = model_state(({"weight": torch.ones(2), "bias": 3.0}, {"size": [1, 2]}), "mine")
    np.testing.assert_array_equal(arrays["weight"], [1, 1])
    assert arrays["bias"] == 3.0
    assert extra == {"size": [1, 2]}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"weight": 1.0}, "state returned a dict, expected two dictionaries"),
        (({}, {}, {}), "state returned a tuple, expected two dictionaries"),
        (({"names": np.array(["a"])}, {}), r"the arrays \['names'\] of state hold no numbers"),
        (({}, {"sizes": np.arange(2)}), "JSON cannot hold the second dictionary of state: .*ndarray"),
    ],
)
def test_other_states_are_refused_with_the_name_of_the_model(state, found):
    with pytest.raises(TypeError, match=f"model 'mine': {found}"):
        model_state(state, "mine")

from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge, TileNetwork
from spatialhist.tl._predictors.baselines import MeanProfile, PatientMean, PositionNeighbors
from spatialhist.tl._predictors.combiners import NonNegative, StackingNetwork
from spatialhist.tl._predictors.networks import FittedNetwork, TargetScaler
from spatialhist.tl._predictors.stored import check_arrays, whole

F, C, L, D, G, N = 7, 5, 6, 4, 3, 9


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def linear(level):
    arrays = {"mean": (F,), "scale": (F,), "axes": (F, C), "level": (level,), "weights": (level, G), "intercept": (G,)}
    return {name: numbers(*shape) for name, shape in arrays.items()}


CHOSEN = {"strength": 1.0, "rank": 4, "inner_score": float("nan")}
KERNEL = {"landmarks": numbers(L, C), "whiten": numbers(L, D), "width": np.ones(1)}
SCALED = {"mean": numbers(2 * G), "deviation": numbers(2 * G), "level": numbers(G), "spread": numbers(G)}


def network(predictor, made, **extra):
    scaler = TargetScaler(numbers(G), numbers(G))
    return FittedNetwork(predictor, [made], scaler, extra).state()


def stacking():
    from spatialhist.nn import StackingMLP

    weights = StackingMLP(2 * G, G).state_dict()
    return SCALED | {f"network/{name}": value.numpy() for name, value in weights.items()}, {}


STATES = {
    "ridge": (Ridge(), lambda: (linear(C), CHOSEN)),
    "kernel ridge": (KernelRidge(), lambda: (linear(D) | KERNEL, CHOSEN)),
    "mean": (MeanProfile(), lambda: ({"0": numbers(G)}, {"names": [""], "n_genes": 0})),
    "patients": (PatientMean(), lambda: ({"0": numbers(G), "1": numbers(G)}, {"names": ["A", "B"], "n_genes": G})),
    "position": (PositionNeighbors(), lambda: ({"position": numbers(N, 2), "targets": numbers(N, G)}, {})),
    "head": (
        FeatureNetwork(dim=4),
        lambda: network(FeatureNetwork(dim=4), FeatureNetwork(dim=4).build([F, C], G), sizes=[F, C]),
    ),
    "tiles": (TileNetwork(width=2), lambda: network(TileNetwork(width=2), TileNetwork(width=2).make(G))),
    "weights": (NonNegative(), lambda: ({"weights": numbers(2, G), "intercept": numbers(G)}, {"shrinkage": 1.0})),
    "stacking": (StackingNetwork(), stacking),
}
REFUSALS = (KeyError, TypeError, ValueError)


@pytest.mark.parametrize("kind", STATES)
def test_what_was_stored_is_restored(kind):
    predictor, state = STATES[kind]
    predictor.restore(state())


@pytest.mark.parametrize("kind", STATES)
def test_weights_that_no_fit_has_written_are_refused(kind):
    """Every array: with a missing or an infinite number, an axis more, another order of axes, a row less, or gone."""
    predictor, state = STATES[kind]
    for name, array in state()[0].items():
        if array.dtype.kind != "f":
            continue
        holed, endless = array.copy(), array.copy()
        holed.flat[0], endless.flat[-1] = np.nan, np.inf
        spoiled = [holed, endless, array[None], array.astype("U")]
        spoiled += [array.T] if array.ndim == 2 and array.shape[0] != array.shape[1] else []
        for other in spoiled:
            arrays, extra = state()
            with pytest.raises(REFUSALS):
                predictor.restore((arrays | {name: other}, extra))
        arrays, extra = state()
        del arrays[name]
        with pytest.raises(REFUSALS):
            predictor.restore((arrays, extra))


@pytest.mark.parametrize(
    "extra", [{}, {"sizes": [10**12, C]}, {"sizes": [10**7] * 50}, {"sizes": [F, -1]}, {"sizes": "77"}]
)
def test_a_network_of_no_end_is_refused_before_it_is_made(extra):
    predictor, state = STATES["head"]
    with pytest.raises(REFUSALS):
        predictor.restore((state()[0], extra))
    with pytest.raises(ValueError, match="do not fit the network"):
        TileNetwork(width=10**6).restore(STATES["tiles"][1]())


def test_choices_of_a_ridge_are_all_there():
    for chosen in ({}, {"strength": 1.0}, CHOSEN.keys() - {"rank"}):
        with pytest.raises(REFUSALS):
            Ridge().restore((linear(C), dict.fromkeys(chosen, 1.0)))


def test_arrays_of_one_letter_have_one_length():
    check_arrays({"a": numbers(3, 4), "b": numbers(4)}, {"a": "NM", "b": "M"})
    with pytest.raises(TypeError, match=r"array 'b' of float32 \(3,\) does not fit"):
        check_arrays({"a": numbers(3, 4), "b": numbers(3)}, {"a": "NM", "b": "M"})
    with pytest.raises(TypeError, match="array 'a' holds missing or infinite numbers"):
        check_arrays({"a": np.array([1.0, np.nan])}, {"a": "N"})
    check_arrays({"a": np.array([1.0, np.nan])}, {"a": "N"}, gaps=True)


@pytest.mark.parametrize("value", [0, -1, 10**12, 1.0, True, "3", None])
def test_sizes_are_whole_numbers(value):
    with pytest.raises(TypeError, match="size=.* is no whole number from 1 to"):
        whole("size", value)
    assert whole("size", 3) == 3

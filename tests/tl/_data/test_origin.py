from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort, usable_rows
from spatialhist.tl._data.origin import foreign


@pytest.fixture
def sdata():
    return draw_cohort(2, n_slides=3, n_genes=6, signal=0.5)


def ask(sdata, layer):
    slides = open_cohort(sdata).every_slide()
    return foreign(sdata["table"], slides, usable_rows(slides), layer, np.arange(6))


def values_of(sdata, layer="log1p"):
    return sdata["table"].layers[layer].toarray()


OWN = {
    "counts": lambda c: c,
    "counts per 1,000": lambda c: 1000 * c / c.sum(axis=1, keepdims=True),
    "natural logarithm": lambda c: np.log1p(30 * c / c.sum(axis=1, keepdims=True)),
    "logarithm of counts": lambda c: np.log1p(c),
    "logarithm to base 2": lambda c: np.log2(1 + c),
    "square root": np.sqrt,
}


@pytest.mark.parametrize("how", OWN)
def test_whoever_made_it_values_that_follow_from_the_counts_of_each_spot_are_fine(sdata, how):
    sdata["table"].layers["own"] = csr_matrix(OWN[how](sdata["table"].X.toarray()).astype(np.float32))
    assert ask(sdata, "own") is None


def test_layers_of_this_package_are_fine_also_of_some_spots_and_genes(sdata):
    sh.pp.rank_expression(sdata, layer="log1p")
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p")
    assert [ask(sdata, layer) for layer in ("X", "log1p", "ranks", "log1p_smooth")] == [None] * 4
    sdata["table"].layers["counts"] = sdata["table"].X.copy()
    sdata.tables["table"] = sdata["table"][np.r_[3:90, 100:280], 1:5].copy()
    slides = open_cohort(sdata).every_slide()
    assert foreign(sdata["table"], slides, usable_rows(slides), "log1p", np.arange(4)) is None


def scaled(v, slide):
    return (v - v.mean(0)) / v.std(0)


def centered(v, slide):
    return v - v.mean(0)


def corrected(v, slide):
    means = np.stack([v[slide == s].mean(0) for s in np.unique(slide)])
    return v - means[np.unique(slide, return_inverse=True)[1]] + v.mean(0)


def of_one_scale(v, slide):
    deviations = np.stack([v[slide == s].std(0) for s in np.unique(slide)])
    return v / deviations[np.unique(slide, return_inverse=True)[1]] * v.std(0)


SHARED = {
    scaled: "standard deviation of its genes over all slides is 1",
    centered: "the mean of its genes over all slides is 0",
    corrected: "the mean of its genes is the same on every slide",
    of_one_scale: "the standard deviation of its genes is the same on every slide",
}


@pytest.mark.parametrize("make", SHARED, ids=lambda make: make.__name__)
def test_what_slides_share_exactly_is_named(sdata, make):
    slide = sdata["table"].obs["region"].astype(str).to_numpy()
    sdata["table"].layers["own"] = make(values_of(sdata).astype(float), slide).astype(np.float32)
    text = ask(sdata, "own")
    assert text.startswith("layer 'own' was made outside this package, and how it was made is not recorded: if it was")
    assert SHARED[make] in text


def test_what_was_scaled_slide_by_slide_shares_nothing(sdata):
    slide, values = sdata["table"].obs["region"].astype(str).to_numpy(), values_of(sdata)
    parts = [scaled(values[slide == s], None) for s in np.unique(slide)]
    sdata["table"].layers["own"] = np.concatenate(parts).astype(np.float32)
    assert ask(sdata, "own").endswith("follow from its own counts")


def test_a_smoothed_layer_under_another_name_is_named(sdata):
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p")
    sdata["table"].layers["log1p"] = sdata["table"].layers["log1p_smooth"].copy()
    text = ask(sdata, "log1p")
    assert "no longer log(1 + counts per 10000) of 'X', as its record says; it was changed outside" in text
    assert text.endswith("it holds the smoothed values of layer 'log1p_smooth'")
    assert ask(sdata, "log1p_smooth") == text


def test_predictions_in_the_place_of_measurements_are_named(sdata):
    sdata["table"].layers["oof"] = np.random.default_rng(0).normal(size=sdata["table"].shape)
    sdata["table"].uns["spatialhist"]["oof"] = {"target": "log1p"}
    sdata["table"].layers["log1p"] = sdata["table"].layers["oof"].copy()
    assert ask(sdata, "log1p").endswith("it holds the predictions of layer 'oof'")


def test_one_changed_value_is_seen(sdata):
    values = values_of(sdata)
    values[0, 2] *= 1.1
    sdata["table"].layers["log1p"] = values
    assert "changed outside this package" in ask(sdata, "log1p")


def test_without_counts_nothing_can_be_compared(sdata):
    sdata["table"].layers["own"] = values_of(sdata) / 2
    sdata["table"].X[:] = values_of(sdata)
    assert "made outside this package" in ask(sdata, "X") and "log_normalize" not in ask(sdata, "X")
    del sdata["table"].X
    assert ask(sdata, "log1p") is None
    assert "made outside this package" in ask(sdata, "own")

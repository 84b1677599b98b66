from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from scipy.stats import rankdata

from spatialhist.tl._predictors.batches import EpochSampler
from spatialhist.tl._predictors.combiners import (
    COMBINERS,
    PULL_OF_FEW,
    Mean,
    NonNegative,
    RankMean,
    StackingNetwork,
    Weights,
    combine,
    describe_combiner,
    resolve_combiner,
    restore_combiner,
)
from spatialhist.tl._predictors.protocol import Combiner, FittedCombiner
from spatialhist.tl._predictors.ridge_solver import center_by_slide
from spatialhist.tl._runs.fits import read_state, write_state


def fit_weights(predictions, targets, slide, group):
    return NonNegative().fit(predictions, targets, slide=slide, group=group)


def planted(weights=(0.7, 0.0, 0.3), noise=0.05, n_genes=6, seed=0, per_gene=None):
    """Predictions of three models, and targets that are a mixture of them plus a level a slide."""
    rng = np.random.default_rng(seed)
    slide = np.repeat([f"s{i}" for i in range(6)], 30)
    group = np.repeat(["a", "b", "c"], 60)
    predictions = rng.normal(size=(len(weights), 180, n_genes)).astype(np.float32) + 2
    mixture = np.asarray(weights)[:, None] * np.ones(n_genes) if per_gene is None else per_gene
    level = rng.normal(size=6).repeat(30)[:, None]
    targets = np.einsum("mng,mg->ng", predictions, mixture) + level + noise * rng.normal(size=(180, n_genes))
    return predictions, targets.astype(np.float32), slide, group


def test_a_planted_mixture_is_found():
    fitted = fit_weights(*planted())
    np.testing.assert_allclose(fitted.weights, np.array([0.7, 0, 0.3])[:, None] * np.ones(6), atol=0.03)


def test_common_weights_are_nnls_on_all_genes_at_once_drawn_to_equal_ones():
    predictions, targets, slide, _ = planted(weights=(0.6, -0.5, 0.3), noise=1.0)
    fitted = fit_weights(predictions, targets, slide, np.repeat("one", 180))
    assert fitted.shrinkage == np.inf
    centered = np.stack([center_by_slide(p.astype(float), slide)[0] for p in predictions])
    truth = center_by_slide(targets.astype(float), slide)[0]
    scale = truth.std(axis=0)
    design, answer = (centered / scale).reshape(3, -1).T, (truth / scale).ravel()
    mean = design.mean(axis=1)
    equal = (mean @ answer) / (mean @ mean) / 3
    pull = np.sqrt(PULL_OF_FEW * (design**2).sum() / 3)
    expected, _ = nnls(np.vstack([design, pull * np.eye(3)]), np.append(answer, np.full(3, pull * equal)))
    np.testing.assert_allclose(fitted.weights, np.tile(expected[:, None], (1, 6)), atol=1e-5)
    assert expected[1] == 0


def test_with_two_groups_only_a_model_that_says_nothing_is_set_apart():
    predictions, targets, slide, group = planted(weights=(0.6, 0.3, 0.0))
    two = np.where(group == "c", "b", group)
    weights = fit_weights(predictions, targets, slide, two).weights[:, 0]
    fitted = fit_weights(predictions, targets, slide, group).weights[:, 0]
    assert weights[0] / weights[1] < fitted[0] / fitted[1]
    assert weights[0] > weights[1] > 2 * weights[2]


def test_genes_get_their_own_weights_only_where_they_differ():
    per_gene = np.zeros((3, 6))
    per_gene[0, :3] = per_gene[2, 3:] = 1.0
    fitted = fit_weights(*planted(per_gene=per_gene))
    assert fitted.shrinkage == 0.03
    np.testing.assert_allclose(fitted.weights, per_gene, atol=0.15)
    assert fit_weights(*planted(noise=6.0, weights=(0.3, 0.3, 0.3), n_genes=40)).shrinkage > 0.03


def test_the_intercept_brings_the_mean_of_the_slides_back():
    predictions, targets, slide, group = planted()
    fitted = fit_weights(predictions, targets, slide, group)
    level = center_by_slide(targets.astype(float), slide)[1]
    np.testing.assert_allclose(center_by_slide(fitted.apply(predictions), slide)[1], level, atol=1e-4)


def test_weights_sum_by_hand():
    weights = Weights(np.array([[1.0, 0], [2, 3]], np.float32), np.array([10.0, 20], np.float32), 0.3)
    predictions = np.array([[[1.0, 1]], [[5, 7]]], np.float32)
    np.testing.assert_array_equal(weights.apply(predictions), [[21, 41]])


def test_models_that_say_nothing_get_no_weight():
    predictions, targets, slide, group = planted()
    predictions[:] = 1.0
    fitted = fit_weights(predictions, targets, slide, group)
    assert np.isfinite(fitted.apply(predictions)).all()
    np.testing.assert_allclose(fitted.apply(predictions).std(axis=0), 0, atol=1e-4)


def test_means_by_hand():
    predictions = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
    np.testing.assert_allclose(Mean().apply(predictions), predictions.mean(axis=0), rtol=1e-6)
    ranks = np.mean([rankdata(p, axis=1) for p in predictions], axis=0)
    found = RankMean().apply(predictions)
    np.testing.assert_allclose(np.corrcoef(found.ravel(), ranks.ravel())[0, 1], 1, rtol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


def test_network_learns_the_mixture_and_repeats_itself(tmp_path):
    predictions, targets, slide, _ = planted(n_genes=2)
    fitted = StackingNetwork().fit(predictions, targets, slide=slide, seed=0, scratch=tmp_path / "a")
    centered = center_by_slide(targets, slide)[0]
    predicted = fitted.apply(predictions)
    r = [np.corrcoef(p, t)[0, 1] for p, t in zip(predicted.T, centered.T, strict=True)]
    assert min(r) > 0.5
    again = StackingNetwork().fit(predictions, targets, slide=slide, seed=0, scratch=tmp_path / "b")
    assert again.apply(predictions).tobytes() == predicted.tobytes()


def test_the_callers_generator_goes_on_where_it_was(tmp_path):
    predictions, targets, slide, _ = planted()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    fitted = StackingNetwork().fit(predictions[:, :40], targets[:40], slide=slide[:40], seed=0, scratch=tmp_path)
    StackingNetwork().restore(fitted.state())
    assert torch.equal(torch.rand(3), expected)


def test_a_network_whose_training_has_ended_is_not_trained_again(tmp_path, monkeypatch):
    predictions, targets, slide, _ = planted(n_genes=2)
    fitted = StackingNetwork().fit(predictions, targets, slide=slide, seed=0, scratch=tmp_path)
    monkeypatch.setattr(EpochSampler, "__iter__", lambda sampler: iter(()))
    again = StackingNetwork().fit(predictions, targets, slide=slide, seed=0, scratch=tmp_path)
    assert again.apply(predictions).tobytes() == fitted.apply(predictions).tobytes()


@pytest.mark.parametrize("how", COMBINERS, ids=lambda c: c.name)
def test_combiners_survive_their_folder(how, tmp_path):
    predictions, targets, slide, group = planted(n_genes=3)
    predictions, targets, slide, group = predictions[:, ::4], targets[::4], slide[::4], group[::4]
    fitted = how.fit(predictions, targets, slide=slide, group=group, seed=0, scratch=tmp_path / "scratch")
    write_state(tmp_path, fitted.state())
    again = how.restore(read_state(tmp_path))
    assert combine(again, predictions).tobytes() == combine(fitted, predictions).tobytes()
    assert isinstance(how, Combiner)
    assert isinstance(again, FittedCombiner)


@dataclass(frozen=True)
class Best:
    """One model for everything: the one that errs least."""

    name: str = "best"
    power: float = 2.0
    min_groups: ClassVar[int] = 3
    needs_inner: ClassVar[bool] = True
    in_ranks: ClassVar[bool] = False

    def fit(self, predictions, targets, *, slide, group, seed, scratch):
        errors = (np.abs(predictions - targets) ** self.power).mean(axis=(1, 2))
        return Chosen(int(np.argmin(errors)))

    def restore(self, state):
        return Chosen(state[1]["model"])


@dataclass(frozen=True)
class Chosen:
    model: int

    def apply(self, predictions):
        return predictions[self.model]

    def state(self):
        return {}, {"model": self.model}


class Other(Best):
    def fit(self, x, y, z):
        return Chosen(0)


def test_a_combiner_goes_by_its_name_or_is_one_of_the_users():
    assert [resolve_combiner(c.name) for c in COMBINERS] == list(COMBINERS)
    mine = Best()
    assert resolve_combiner(mine) is mine
    with pytest.raises(ValueError, match="method='vote' is not one of .*'rank_mean'\\] nor a combiner of your own"):
        resolve_combiner("vote")
    with pytest.raises(TypeError, match=r"method=Best is a class: pass one of its objects, Best\(\)"):
        resolve_combiner(Best)
    with pytest.raises(TypeError, match=r"is no combiner: it lacks \['name', 'min_groups', .*'restore'\]"):
        resolve_combiner(3)
    with pytest.raises(TypeError, match=r"combiner 'best' is called as fit\(predictions, "):
        resolve_combiner(Other())
    with pytest.raises(ValueError, match="name='a/b' must hold only .*try 'a_b'"):
        resolve_combiner(Best("a/b"))
    with pytest.raises(ValueError, match="name='nnls' is that of one in this package"):
        resolve_combiner(Best("nnls"))


def test_a_combiner_of_the_users_is_known_again():
    data = describe_combiner(Best())
    assert restore_combiner("best", data, [Best("other"), Best()]) == Best()
    with pytest.raises(ValueError, match="your own combiner 'best': sh.tl.load\\(folder, combiners="):
        restore_combiner("best", data, [Best("other")])
    with pytest.warns(UserWarning, match="combiner 'best' in combiners=.* has other settings or code"):
        restore_combiner("best", data, [Best(power=1.0)])
    assert [describe_combiner(c) for c in COMBINERS] == [{}] * 4
    assert restore_combiner("mean", {"method": "mean"}, ()).name == "mean"


def test_what_a_combiner_makes_has_a_place_for_every_spot_and_gene():
    predictions = np.arange(12.0).reshape(2, 3, 2)
    assert combine(Chosen(1), predictions).dtype == np.float32
    with pytest.raises(ValueError, match=r"combiner Chosen made an array \(2, 3, 2\) of .*expected \(3, 2\)"):
        combine(Chosen(slice(None)), predictions)

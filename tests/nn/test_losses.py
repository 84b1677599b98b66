from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from spatialhist.nn import get_loss

NAMES = ("mse", "mse_pearson", "hinge_rank", "logistic_rank", "soft_spearman")


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 5, generator=generator), torch.randn(6, 5, generator=generator)


def ordered_pairs(target):
    return [(b, i, j) for b, row in enumerate(target) for i, j in permutations(range(len(row)), 2) if row[i] > row[j]]


def test_mse(pair):
    pred, target = pair
    assert get_loss("mse")(pred, target).item() == pytest.approx(np.mean((pred - target).numpy() ** 2), rel=1e-5)


def test_mse_pearson_blends_the_two(pair):
    pred, target = pair
    correlations = [stats.pearsonr(pred[:, k], target[:, k]).statistic for k in range(5)]
    expected = 0.3 * (1 - np.mean(correlations)) + 0.7 * np.mean((pred - target).numpy() ** 2)
    assert get_loss("mse_pearson", alpha=0.3)(pred, target).item() == pytest.approx(expected, rel=1e-5)


def test_mse_pearson_leaves_out_constant_targets(pair):
    pred, target = pair[0], pair[1].clone()
    target[:, 2] = 4.0
    correlations = [stats.pearsonr(pred[:, k], target[:, k]).statistic for k in (0, 1, 3, 4)]
    assert get_loss("mse_pearson", alpha=1)(pred, target).item() == pytest.approx(1 - np.mean(correlations), rel=1e-5)


def test_hinge_rank(pair):
    pred, target = (x.numpy() for x in pair)
    expected = np.mean([max(0, 0.2 - (pred[b, i] - pred[b, j])) for b, i, j in ordered_pairs(target)])
    assert get_loss("hinge_rank", margin=0.2)(*pair).item() == pytest.approx(expected, rel=1e-5)


def test_logistic_rank(pair):
    pred, target = (x.numpy() for x in pair)
    expected = np.mean([np.log1p(np.exp(-(pred[b, i] - pred[b, j]) / 2)) for b, i, j in ordered_pairs(target)])
    assert get_loss("logistic_rank", scale=2.0)(*pair).item() == pytest.approx(expected, rel=1e-5)


def test_soft_spearman_tends_to_spearman(pair):
    pred, target = pair[0], pair[1].clone()
    target[0, 1] = target[0, 3]  # ties get their average rank
    expected = 1 - np.mean([stats.spearmanr(p, t).statistic for p, t in zip(pred, target, strict=True)])
    assert get_loss("soft_spearman", temperature=1e-4)(pred, target).item() == pytest.approx(expected, abs=1e-3)


def test_soft_spearman_blends_the_error(pair):
    order, blend = get_loss("soft_spearman")(*pair), get_loss("soft_spearman", mse_weight=0.15)(*pair)
    assert blend.item() == pytest.approx(0.85 * order.item() + 0.15 * get_loss("mse")(*pair).item(), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_descending_the_gradient_recovers_the_order(name):
    target = torch.randn(8, 6, generator=torch.Generator().manual_seed(2))
    pred = torch.randn(8, 6, generator=torch.Generator().manual_seed(3))
    pred.requires_grad_()
    loss = get_loss(name)
    before = loss(pred, target).item()
    optimizer = torch.optim.Adam([pred], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss(pred, target).backward()
        optimizer.step()
    assert loss(pred, target).item() < before / 2
    rows = zip(pred.detach(), target, strict=True)
    assert np.mean([stats.spearmanr(p, t).statistic for p, t in rows]) > 0.95


@pytest.mark.parametrize("name", ["hinge_rank", "logistic_rank", "soft_spearman"])
def test_no_order_costs_less_than_the_true_one(name):
    target = torch.tensor([[0.3, 2.0, 1.1, -1.0]])
    costs = {p: get_loss(name)(target[:, list(p)], target).item() for p in permutations(range(4))}
    assert min(costs, key=costs.get) == (0, 1, 2, 3)
    assert sorted(costs.values())[1] > costs[0, 1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", [torch.ones(4, 3), torch.rand(1, 3)])
def test_constant_input_gives_finite_gradients(name, target):
    pred = torch.zeros(target.shape, requires_grad=True)
    loss = get_loss(name)(pred, target)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad.isfinite().all()


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="'mae' is unknown; choose one of mse, mse_pearson"):
        get_loss("mae")
    with pytest.raises(TypeError, match="'hinge_rank' has no option 'alpha'; it has margin"):
        get_loss("hinge_rank", alpha=0.5)

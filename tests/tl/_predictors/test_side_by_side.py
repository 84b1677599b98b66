from __future__ import annotations

import pytest
import torch

from spatialhist.nn import FeatureHead
from spatialhist.tl._predictors.side_by_side import OneByOne, SeveralHeads, side_by_side

SIZES = [7, 7, 7]


def heads(sizes=SIZES, dropout=0.4):
    torch.manual_seed(3)
    return [FeatureHead(sizes, 5, dim=6, dropout=dropout) for _ in range(2)]


def inputs(n=11):
    generator = torch.Generator().manual_seed(4)
    return [[torch.randn(n, size, generator=generator) for size in SIZES] for _ in range(2)]


@pytest.mark.parametrize("dropout", [0.0, 0.4, 1.0])
def test_heads_side_by_side_are_those_that_take_turns(dropout):
    together, alone = side_by_side(heads(dropout=dropout), 11), OneByOne(heads(dropout=dropout), 11)
    assert isinstance(together, SeveralHeads)
    for found, expected in zip(together(inputs(), [8, 9], 11), alone(inputs(), [8, 9], 11), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_weights_come_back_where_they_were_taken_from():
    trained = heads()
    before = [{k: v.clone() for k, v in head.state_dict().items()} for head in trained]
    together = side_by_side(trained, 11)
    together.hand_back()
    assert all(torch.equal(v, b[k]) for h, b in zip(trained, before, strict=True) for k, v in h.state_dict().items())


def test_a_step_moves_every_head_as_it_would_move_alone():
    joined, single = heads(), heads()
    for networks in (joined, single):
        module = side_by_side(networks, 11) if networks is joined else OneByOne(networks, 11)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        sum((out**3).mean() * (1 + i) for i, out in enumerate(module(inputs(), [8, 9], 11))).backward()
        optimizer.step()
        module.hand_back()
    for one, other, start in zip(joined, single, heads(), strict=True):
        for (name, found), expected, before in zip(
            one.named_parameters(), other.parameters(), start.parameters(), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6, msg=name)
            assert not torch.equal(found, before), name


@pytest.mark.parametrize(
    "networks",
    [
        heads([7, 4, 7]),
        [FeatureHead(SIZES, 5, dim=6, norm="batch"), *heads()[:1]],
        [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)],
    ],
    ids=["other sizes", "batch norm", "no heads"],
)
def test_networks_that_cannot_share_a_product_take_turns(networks):
    assert isinstance(side_by_side(networks, 8), OneByOne)

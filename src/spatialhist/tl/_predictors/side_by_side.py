"""Networks from different seeds that take their steps together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from spatialhist.nn import FeatureHead
from spatialhist.tl._predictors.batches import outputs_of


def side_by_side(networks: Sequence[nn.Module], batch: int) -> SeveralHeads | OneByOne:
    """Join networks: heads of the same sizes share their products, others take turns."""
    heads = [network for network in networks if isinstance(network, FeatureHead)]
    if len(heads) == len(networks) and len({_size(branch) for head in heads for branch in head.branches}) == 1:
        return SeveralHeads(heads)
    return OneByOne(networks, batch)


def _size(branch: Iterable[nn.Module]) -> tuple[Any, ...]:
    return tuple((type(layer), *(parameter.shape for parameter in layer.parameters())) for layer in branch)


class OneByOne(nn.Module):
    """Networks of any kind, one after the other."""

    def __init__(self, networks: Sequence[nn.Module], batch: int) -> None:
        super().__init__()
        self.networks, self.batch = nn.ModuleList(networks), batch

    def forward(self, inputs: Sequence[Any], seeds: Sequence[int], n: int) -> list[torch.Tensor]:
        """Predict a batch of ``n`` spots with each network, whose dropout is seeded."""
        found = []
        for network, own, seed in zip(self.networks, inputs, seeds, strict=True):
            torch.manual_seed(seed)
            found.append(outputs_of(network, own, n, self.batch))
        return found

    def hand_back(self) -> None:
        """The networks hold their weights themselves."""


class SeveralHeads(nn.Module):
    """Heads over features: one product for the branches of all of them.

    Most of a step of a small head is the overhead of its many small operations. Each head is what it is alone, as a rule to the
    last bit: the layout of weights and one normalization a branch keep the order of its sums, dropout draws what it draws alone.
    """

    def __init__(self, heads: Sequence[FeatureHead]) -> None:
        super().__init__()
        self._heads = tuple(heads)
        self.branches = _Linears([branch[0] for head in heads for branch in head.branches])
        self._norms = [branch[1] for head in heads for branch in head.branches]
        self.scale, self.shift = (
            _Stacked([norm.weight for norm in self._norms]),
            _Stacked([norm.bias for norm in self._norms]),
        )
        self.hidden = _Linears([head.decoder[0] for head in heads])
        self.last = _Linears([head.decoder[-1] for head in heads])
        self._dropout = heads[0].decoder[2].p

    def forward(self, inputs: Sequence[Sequence[torch.Tensor]], seeds: Sequence[int], n: int) -> list[torch.Tensor]:
        """Predict a batch of ``n`` spots with each head."""
        encoded = self.branches(torch.stack([block for blocks in inputs for block in blocks]))
        encoded = F.silu(self._normalized(encoded)).unflatten(0, (len(inputs), -1))
        of_branches, of_hidden = self._masks(seeds, encoded.shape[1:])
        hidden = self.hidden((encoded * of_branches).transpose(1, 2).flatten(2))
        # few targets: a common product would take its sums in another order
        last = zip(F.silu(hidden) * of_hidden, self.last.weight(), self.last.bias(), strict=True)
        return [F.linear(*each) for each in last]

    def _normalized(self, encoded: torch.Tensor) -> torch.Tensor:
        """Layer normalization of every branch."""
        size, epsilon = encoded.shape[-1:], self._norms[0].eps
        each = zip(encoded, self.scale(), self.shift(), strict=True)
        return torch.stack([F.layer_norm(values, size, scale, shift, epsilon) for values, scale, shift in each])

    def _masks(self, seeds: Sequence[int], shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """What dropout multiplies by, drawn branch by branch as the layers of a single head draw it."""
        kept = 1 - self._dropout
        of_branches, of_hidden = torch.empty(len(seeds), *shape), torch.empty(len(seeds), *shape[1:])
        for seed, branches, hidden in zip(seeds, of_branches, of_hidden, strict=True):
            torch.manual_seed(seed)
            for mask in (*branches, hidden):
                mask.bernoulli_(kept)
        return of_branches.div_(kept or 1), of_hidden.div_(kept or 1)

    def hand_back(self) -> None:
        """Give each head its weights."""
        for linears in (self.branches, self.hidden, self.last):
            linears.hand_back()
        self.scale.hand_back([norm.weight for norm in self._norms])
        self.shift.hand_back([norm.bias for norm in self._norms])


class _Linears(nn.Module):
    """Linear layers of the same size, each on a batch of its own."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self.weight, self.bias = (
            _Stacked([layer.weight for layer in layers]),
            _Stacked([layer.bias for layer in layers]),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map ``(layers, n, in)`` to ``(layers, n, out)``."""
        return torch.baddbmm(self.bias()[:, None], inputs, self.weight().transpose(1, 2))

    def hand_back(self) -> None:
        """Give each layer its weights."""
        self.weight.hand_back([layer.weight for layer in self._layers])
        self.bias.hand_back([layer.bias for layer in self._layers])


class _Stacked(nn.Module):
    """The same parameter of several layers: one parameter of all of them, where steps of the optimizer are the same then.

    It takes numbers in vectors of up to 16, and rounds a rest in another way.
    """

    def __init__(self, parts: Sequence[nn.Parameter]) -> None:
        super().__init__()
        values = [part.detach().clone() for part in parts]
        alike = parts[0].numel() % 16 == 0 or len(parts) == 1
        self.parts = nn.ParameterList([torch.stack(values)] if alike else values)

    def forward(self) -> torch.Tensor:
        """All of them, ``(layers, ...)``."""
        return self.parts[0] if len(self.parts) == 1 else torch.stack(list(self.parts))

    def hand_back(self, parts: Sequence[nn.Parameter]) -> None:
        """Give each layer its own."""
        for part, values in zip(parts, self().detach(), strict=True):
            part.data.copy_(values)

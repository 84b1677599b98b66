from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class StackingMLP(nn.Module):
    """Combine the concatenated predictions of several base models.

    Parameters
    ----------
    n_inputs
        Number of base models times number of targets.
    n_outputs
        Number of targets.
    hidden
        Sizes of the hidden layers; each is followed by LeakyReLU, batch normalization and dropout.
    dropout
        Share of hidden values dropped.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import StackingMLP
    >>> StackingMLP(210, 35)(torch.zeros(4, 210)).shape
    torch.Size([4, 35])
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, *, hidden: Sequence[int] = (512, 256), dropout: float = 0.2
    ) -> None:
        super().__init__()
        sizes = (n_inputs, *hidden)
        layers = [
            layer
            for n_in, n_out in pairwise(sizes)
            for layer in (nn.Linear(n_in, n_out), nn.LeakyReLU(), nn.BatchNorm1d(n_out), nn.Dropout(dropout))
        ]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs))

    def forward(self, predictions: torch.Tensor) -> torch.Tensor:
        """Map base predictions ``(B, n_inputs)`` to ``(B, n_outputs)``."""
        return self.layers(predictions)

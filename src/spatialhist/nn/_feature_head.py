from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class FeatureHead(nn.Module):
    """One branch per field of view over a frozen encoder's features, joined by a decoder.

    The counterpart of `VisionMLPMultiTask` for features that are computed once: a branch may see one size of
    tile, the mean of the subtiles or the center.

    Parameters
    ----------
    n_features
        Number of features of each branch.
    n_outputs
        Number of targets.
    dim
        Length of each branch's output and of the decoder's hidden layer.
    dropout
        Share of hidden values dropped in training.
    norm
        ``"none"`` where the features are standardized already, ``"batch"`` for batch normalization of the inputs.

    Raises
    ------
    ValueError
        If `n_features` is empty, `norm` is unknown, or the number of inputs differs from the number of branches.

    Examples
    --------
    >>> import torch
    >>> from spatialhist.nn import FeatureHead
    >>> head = FeatureHead([7, 4], 3)
    >>> head([torch.zeros(2, 7), torch.zeros(2, 4)]).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_features: Sequence[int],
        n_outputs: int,
        *,
        dim: int = 64,
        dropout: float = 0.3,
        norm: Literal["none", "batch"] = "none",
    ) -> None:
        super().__init__()
        if not n_features:
            raise ValueError("n_features is empty; give the number of features of at least one field of view.")
        self.branches = nn.ModuleList(_branch(n, dim, dropout, norm) for n in n_features)
        self.decoder = nn.Sequential(
            nn.Linear(len(n_features) * dim, dim), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dim, n_outputs)
        )

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Predict the targets from one feature matrix per branch.

        Parameters
        ----------
        features
            One tensor of shape ``(B, n_features[i])`` for branch i.

        Returns
        -------
        torch.Tensor
            Predictions of shape ``(B, n_outputs)``.
        """
        if len(features) != len(self.branches):
            raise ValueError(
                f"{len(features)} feature matrices were given; the head has {len(self.branches)} branches."
            )
        encoded = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        return self.decoder(torch.cat(encoded, dim=1))


def _branch(n_features: int, dim: int, dropout: float, norm: str) -> nn.Sequential:
    if norm not in ("none", "batch"):
        raise ValueError(f"norm={norm!r} is unknown; choose 'none' or 'batch'.")
    scale = [nn.BatchNorm1d(n_features)] if norm == "batch" else []
    return nn.Sequential(*scale, nn.Linear(n_features, dim), nn.LayerNorm(dim), nn.SiLU(), nn.Dropout(dropout))

"""Filters and statistics whose result for one image never depends on the other images of the batch.

They are built from slices and element-wise arithmetic: convolutions choose their algorithm, and with it the last bits
of their result, by batch size.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

# makes 0 / 0 a 0
EPSILON = 1e-6


def mean(x: torch.Tensor) -> torch.Tensor:
    """Average over the two image axes."""
    return x.flatten(-2).mean(dim=-1, dtype=torch.float32)


def centered(x: torch.Tensor) -> torch.Tensor:
    """Subtract each image's mean."""
    return x - mean(x)[..., None, None]


def sd(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation over the two image axes."""
    deviation = centered(x)
    return mean(deviation * deviation).sqrt()


def ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Divide non-negative numbers, giving 0 where both are 0."""
    return a / (b + EPSILON)


def blur(x: torch.Tensor, step: int = 1) -> torch.Tensor:
    """Smooth with the separable binomial kernel (1, 4, 6, 4, 1) / 16, its taps `step` pixels apart (sd = `step`)."""
    images = x.flatten(0, -3)[:, None]
    padded = F.pad(images, (2 * step,) * 4, mode="replicate").reshape(*x.shape[:-2], *_padded_size(x, 2 * step))
    return _blur_along(_blur_along(padded, step, -1), step, -2)


def halve(x: torch.Tensor) -> torch.Tensor:
    """Halve both sides, rounding up, so that a mirrored image gives the mirrored result."""
    return _halve_along(_halve_along(x, -2), -1)


def gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return central differences along x and y, without the outermost pixels."""
    gx = (x[..., 1:-1, 2:] - x[..., 1:-1, :-2]) * 0.5
    gy = (x[..., 2:, 1:-1] - x[..., :-2, 1:-1]) * 0.5
    return gx, gy


def local_maxima(x: torch.Tensor) -> torch.Tensor:
    """Return which inner pixels exceed their four neighbors and are no lower than their diagonal ones."""
    center = x[..., 1:-1, 1:-1]
    sides = torch.maximum(
        torch.maximum(x[..., 1:-1, 2:], x[..., 1:-1, :-2]), torch.maximum(x[..., 2:, 1:-1], x[..., :-2, 1:-1])
    )
    corners = torch.maximum(
        torch.maximum(x[..., :-2, :-2], x[..., :-2, 2:]), torch.maximum(x[..., 2:, :-2], x[..., 2:, 2:])
    )
    return (center > sides) & (center >= corners)


def histogram(index: torch.Tensor, n_bins: int) -> torch.Tensor:
    """Count bin numbers (``int32``) over the last two axes; returns ``float64`` counts of shape ``(..., n_bins)``."""
    leading = index.shape[:-2]
    rows = index.flatten(-2).reshape(-1, index.shape[-1] * index.shape[-2])
    # each image has a range of bins of its own, so that one count serves the whole batch
    offset = torch.arange(len(rows), device=index.device, dtype=torch.int32)[:, None] * n_bins
    counts = torch.bincount((rows + offset).flatten(), minlength=len(rows) * n_bins)
    return counts.reshape(*leading, n_bins).double()


def bin_numbers(x: torch.Tensor, low: float, high: float, n_bins: int) -> torch.Tensor:
    """Return the bin of each value among `n_bins` equal bins from `low` to `high`, the outer ones open."""
    return (x - low).mul_(n_bins / (high - low)).clamp_(0, n_bins - 1).int()


def quantiles(
    counts: torch.Tensor, probabilities: tuple[float, ...], low: float | torch.Tensor, high: float | torch.Tensor
) -> torch.Tensor:
    """Read quantiles off histograms ``(..., n_bins)``, linear inside a bin; returns ``(..., len(probabilities))``."""
    cumulative = counts.cumsum(dim=-1)
    wanted = torch.tensor(probabilities, dtype=torch.float64, device=counts.device) * cumulative[..., -1:]
    number = torch.searchsorted(cumulative, wanted)
    # probabilities are above 0, so the bin that is found holds pixels and can be divided by
    inside = counts.gather(-1, number)
    position = number + 1 - (cumulative.gather(-1, number) - wanted) / inside
    return (low + position * ((high - low) / counts.shape[-1])).float()


def _padded_size(x: torch.Tensor, border: int) -> tuple[int, int]:
    return x.shape[-2] + 2 * border, x.shape[-1] + 2 * border


def _blur_along(x: torch.Tensor, step: int, dim: int) -> torch.Tensor:
    size = x.shape[dim] - 4 * step
    taps = [x.narrow(dim, i * step, size) for i in range(5)]
    return (taps[0] + taps[4]).mul_(0.0625).add_(taps[1] + taps[3], alpha=0.25).add_(taps[2], alpha=0.375)


def _halve_along(x: torch.Tensor, dim: int) -> torch.Tensor:
    size = x.shape[dim]
    even = x.index_select(dim, torch.arange(0, size, 2, device=x.device))
    odd = x.index_select(dim, torch.arange(1, size, 2, device=x.device))
    if size % 2 == 0:
        return (even + odd) * 0.5
    # every second pixel, weighted 1/4, 1/2, 1/4; the outermost pixels stand in for what lies beyond them
    before = torch.cat([x.narrow(dim, 0, 1), odd], dim=dim)
    after = torch.cat([odd, x.narrow(dim, size - 1, 1)], dim=dim)
    return (before + after) * 0.25 + even * 0.5

"""Texture features: at which scales, along which directions and in which patterns a tile varies."""

from __future__ import annotations

import torch

from spatialhist.nn._color_texture.color import Features, Planes
from spatialhist.nn._color_texture.filters import (
    bin_numbers,
    blur,
    centered,
    gradients,
    halve,
    histogram,
    mean,
    quantiles,
    sd,
)

# the scales double: levels of the pyramid, and distances of pixels
LEVELS = 4
LAGS = (1, 2, 4, 8)
N_GRAYS = 8
# ends of the histogram of blobs, in optical density; what is beyond counts as the end
BLOB_RANGE = (-0.4, 0.4)
# standard deviation, in optical density, below which a texture is taken for noise
NOISE = 0.005


def pyramid_features(planes: Planes) -> Features:
    """Energy, sparsity and asymmetry of band-pass responses at every level of a pyramid."""
    image = torch.stack([planes.hematoxylin, planes.eosin, planes.density], dim=1)
    out: Features = {}
    for level in range(LEVELS):
        smooth = blur(image)
        blobs = smooth - blur(smooth, 2)
        for i, name in enumerate(("hematoxylin", "eosin", "density")):
            out |= _band_features(f"{name}_{level}", (image - smooth)[:, i], blobs[:, i])
        out |= _blob_quantiles(f"hematoxylin_blob_{level}", blobs[:, 0])
        image = halve(image)
    return out


def direction_features(planes: Planes) -> Features:
    """Gradient strength and the coherence of its direction, in neighborhoods and over the tile (structure tensor)."""
    image = planes.density
    out: Features = {}
    for level in range(LEVELS - 1):
        gx, gy = gradients(blur(image))
        tensor = torch.stack([gx * gx, gy * gy, gx * gy], dim=1)
        strength = (tensor[:, 0] + tensor[:, 1]).sqrt()
        local = blur(halve(tensor))
        out |= {
            f"gradient_{level}_mean": mean(strength),
            f"gradient_{level}_sd": sd(strength),
            f"coherence_{level}_local": mean(_coherence(*local.unbind(1))),
            f"coherence_{level}_tile": _coherence(*mean(tensor).unbind(1)),
        }
        image = halve(image)
    return out


def lag_features(planes: Planes) -> Features:
    """Variogram over twice the variance: how fast pixels become unlike with distance, independent of the stain."""
    out: Features = {}
    for name in ("hematoxylin", "density"):
        image = centered(getattr(planes, name))
        variance = mean(image * image)
        for lag in LAGS:
            across = image[:, :, lag:] - image[:, :, :-lag]
            down = image[:, lag:] - image[:, :-lag]
            # half of the mean square, over two directions: the semivariance
            half = 0.25 * (mean(across * across) + mean(down * down))
            out[f"{name}_variogram_{lag}"] = half / (variance + NOISE**2)
    return out


def local_pattern_features(tiles: torch.Tensor) -> Features:
    """Shares of the ten rotation-invariant uniform local binary patterns (Ojala et al. 2002) at two radii."""
    # exact integers, so that ties break alike in a turned tile
    gray = tiles[:, 0].int() + 2 * tiles[:, 1].int() + tiles[:, 2].int()
    coarse = _sum_of_three(_sum_of_three(gray).transpose(1, 2)).transpose(1, 2)
    out: Features = {}
    for radius, image in ((1, gray), (3, coarse)):
        patterns = _uniform_patterns(image, radius)
        counts = histogram(patterns, 10)
        shares = (counts / counts.sum(dim=-1, keepdim=True)).float()
        out |= {f"pattern_{radius}_{i}": share for i, share in enumerate(shares.unbind(-1))}
    return out


def cooccurrence_features(planes: Planes) -> Features:
    """Contrast, homogeneity and energy of gray-level co-occurrence (Haralick et al. 1973) at two distances."""
    out: Features = {}
    for name in ("hematoxylin", "density"):
        grays = bin_numbers(getattr(planes, name), 0.0, 1.2, N_GRAYS)
        for lag in (1, 3):
            across = histogram(grays[:, :, lag:] * N_GRAYS + grays[:, :, :-lag], N_GRAYS**2)
            down = histogram(grays[:, lag:] * N_GRAYS + grays[:, :-lag], N_GRAYS**2)
            out |= _haralick(f"{name}_glcm_{lag}", across + down)
    return out


def _band_features(name: str, detail: torch.Tensor, blobs: torch.Tensor) -> Features:
    detail_sd, blob_sd = sd(detail), sd(blobs)
    deviation = centered(blobs)
    return {
        f"{name}_detail_sd": detail_sd,
        f"{name}_detail_sparsity": mean(detail.abs()) / (detail_sd + NOISE),
        f"{name}_blob_sd": blob_sd,
        f"{name}_blob_skew": mean(deviation * deviation * deviation) / (blob_sd + NOISE) ** 3,
    }


def _blob_quantiles(name: str, blobs: torch.Tensor) -> Features:
    probabilities = (0.05, 0.95, 0.99)
    counts = histogram(bin_numbers(blobs, *BLOB_RANGE, 256), 256)
    values = quantiles(counts, probabilities, *BLOB_RANGE).unbind(-1)
    return {f"{name}_q{round(100 * p):02d}": value for p, value in zip(probabilities, values, strict=True)}


def _coherence(xx: torch.Tensor, yy: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    difference = xx - yy
    return (difference * difference + 4 * xy * xy).sqrt() / (xx + yy + NOISE**2)


def _uniform_patterns(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the number of brighter neighbors (0 to 8) of uniform patterns, and 9 for all other patterns."""
    height, width = image.shape[-2] - 2 * radius, image.shape[-1] - 2 * radius
    center = image[:, radius : radius + height, radius : radius + width]
    circle = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    brighter = [
        image[:, y * radius : y * radius + height, x * radius : x * radius + width] >= center for y, x in circle
    ]
    changes = sum((brighter[i] ^ brighter[i - 1]).to(torch.uint8) for i in range(8))
    number = sum(bit.to(torch.uint8) for bit in brighter)
    return torch.where(changes <= 2, number, 9).int()


def _sum_of_three(x: torch.Tensor) -> torch.Tensor:
    return x[..., :-2] + x[..., 1:-1] + x[..., 2:]


def _haralick(name: str, counts: torch.Tensor) -> Features:
    share = counts.unflatten(-1, (N_GRAYS, N_GRAYS))
    # both orders of a pair count, so that a mirrored tile has the same matrix
    share = (share + share.transpose(-1, -2)) / (2 * counts.sum(dim=-1)[:, None, None])
    levels = torch.arange(N_GRAYS, dtype=torch.float64, device=counts.device)
    distance = (levels[:, None] - levels).abs()
    return {
        f"{name}_contrast": (share * distance**2).sum(dim=(-1, -2)).float(),
        f"{name}_homogeneity": (share / (1 + distance)).sum(dim=(-1, -2)).float(),
        f"{name}_energy": (share**2).sum(dim=(-1, -2)).float(),
    }

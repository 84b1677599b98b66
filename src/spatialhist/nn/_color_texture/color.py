"""Color and stain features: how light is absorbed in a tile."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch

from spatialhist.nn._color_texture.filters import EPSILON, bin_numbers, centered, histogram, mean, quantiles, ratio, sd

Features = dict[str, torch.Tensor]

# optical densities of hematoxylin and eosin (Ruifrok and Johnston 2001)
HEMATOXYLIN = (0.644211, 0.716556, 0.266844)
EOSIN = (0.092789, 0.954111, 0.283111)

# lower and upper end of each plane's histogram
RANGES = {
    "red": (0.0, 1.0),
    "green": (0.0, 1.0),
    "blue": (0.0, 1.0),
    "saturation": (0.0, 1.0),
    "density": (0.0, 2.0),
    "hematoxylin": (-0.5, 2.0),
    "eosin": (-0.5, 2.0),
    "residual": (-0.5, 0.5),
}
# moments and quantiles are taken from histograms: counts are whole numbers, whose sums are exact in any order
N_BINS = 256
PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)
# mean optical density below which a pixel is glass, lumen or fat
WHITE = 0.12


class Planes(NamedTuple):
    """The images that all features are taken from, each ``(B, H, W)``."""

    red: torch.Tensor
    green: torch.Tensor
    blue: torch.Tensor
    saturation: torch.Tensor
    density: torch.Tensor
    hematoxylin: torch.Tensor
    eosin: torch.Tensor
    residual: torch.Tensor
    density_rgb: torch.Tensor  # (B, 3, H, W)


def stain_planes(tiles: torch.Tensor) -> Planes:
    """Separate ``uint8`` tiles ``(B, 3, H, W)`` into color, optical density and stain planes."""
    rgb = tiles.float() / 255
    # pixels have 256 values, so a table spares a logarithm per pixel
    density_rgb = _density_table(tiles.device).index_select(0, tiles.flatten().int()).view(tiles.shape)
    r, g, b = density_rgb.unbind(1)
    # sums of products, no matrix product: that may choose its order of adding by the size of the batch
    h, e, residual = [r * row[0] + g * row[1] + b * row[2] for row in _unmixing_rows()]
    red, green, blue = rgb.unbind(1)
    brightest = torch.maximum(torch.maximum(red, green), blue)
    darkest = torch.minimum(torch.minimum(red, green), blue)
    saturation = (brightest - darkest) / (brightest + EPSILON)
    return Planes(red, green, blue, saturation, (r + g + b) / 3, h, e, residual, density_rgb)


def distribution_features(planes: Planes) -> Features:
    """Mean, standard deviation, skewness and quantiles of every plane."""
    each = [histogram(bin_numbers(getattr(planes, name), *ends, N_BINS), N_BINS) for name, ends in RANGES.items()]
    counts = torch.stack(each, dim=1)
    low, high = torch.tensor(list(RANGES.values()), dtype=torch.float64, device=counts.device).T[..., None]
    moments = _moments(counts, low, high)
    values = quantiles(counts, PROBABILITIES, low, high)
    out: Features = {}
    for i, name in enumerate(RANGES):
        out |= {f"{name}_{key}": value[:, i] for key, value in moments.items()}
        out |= {f"{name}_q{round(100 * p):02d}": values[:, i, j] for j, p in enumerate(PROBABILITIES)}
    return out


def correlation_features(planes: Planes) -> Features:
    """Pearson correlations between colors and between stains."""
    out: Features = {}
    for names in (("red", "green", "blue"), ("hematoxylin", "eosin", "residual")):
        deviations = {name: centered(getattr(planes, name)) for name in names}
        scales = {name: mean(x * x).sqrt() for name, x in deviations.items()}
        for a, b in combinations(names, 2):
            # a color that hardly varies has no correlation, only noise
            product = mean(deviations[a] * deviations[b])
            out[f"corr_{a}_{b}"] = product / (scales[a] * scales[b] + 1e-4)
    return out


def chromaticity_features(planes: Planes) -> Features:
    """Hue of the absorbed light, independent of its amount (van der Laak et al. 2000), weighted by density."""
    r, g, b = planes.density_rgb.unbind(1)
    total = mean(planes.density)
    x = planes.density_rgb[:, 0] - planes.density
    # 1 / sqrt(3): x and y have the same length in the plane of equal density
    y = (g - b) * 0.5773503
    mean_x, mean_y = ratio(mean(x), total), ratio(mean(y), total)
    # deviations of a pixel from the tile's own hue, in units of density
    off_x = x - mean_x[:, None, None] * planes.density
    off_y = y - mean_y[:, None, None] * planes.density
    return {
        "hue_x_mean": mean_x,
        "hue_y_mean": mean_y,
        # glass has hardly any density to be divided by: its noise would count as the largest spread of hues
        "hue_x_sd": ratio(sd(off_x), total + WHITE),
        "hue_y_sd": ratio(sd(off_y), total + WHITE),
    }


def fraction_features(planes: Planes) -> Features:
    """Shares of pixels that are empty, dominated by one stain, or dense."""
    h, e, density = planes.hematoxylin, planes.eosin, planes.density
    tissue = density >= WHITE
    return {
        "white_fraction": mean(~tissue),
        "hematoxylin_fraction": mean(tissue & (h > e)),
        "strong_hematoxylin_fraction": mean(h > 0.5),
        "pure_eosin_fraction": mean(tissue & (e > 0.2) & (h < 0.1)),
        "strong_eosin_fraction": mean(e > 0.5),
        "dense_fraction": mean(density > 0.7),
    }


def _density_table(device: torch.device) -> torch.Tensor:
    levels = torch.arange(256, dtype=torch.float64)
    # + 1, so that black has a finite density and white one of 0
    return -torch.log10((levels + 1) / 256).float().to(device)


def _unmixing_rows() -> list[list[float]]:
    """Return, per stain, the weights of the three optical densities; the residual is orthogonal to both stains."""
    h, e = torch.tensor(HEMATOXYLIN, dtype=torch.float64), torch.tensor(EOSIN, dtype=torch.float64)
    residual = torch.linalg.cross(h, e)
    stains = torch.stack([v / v.norm() for v in (h, e, residual)])
    return torch.linalg.inv(stains).T.tolist()


def _moments(counts: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> Features:
    """Of histograms ``(B, planes, bins)``, with lower and upper ends ``(planes, 1)``."""
    step = (high - low) / counts.shape[-1]
    centers = low + step * (torch.arange(counts.shape[-1], dtype=torch.float64, device=counts.device) + 0.5)
    share = counts / counts.sum(dim=-1, keepdim=True)
    average = (share * centers).sum(dim=-1)
    deviation = centers - average[..., None]
    variance = (share * deviation**2).sum(dim=-1)
    third = (share * deviation**3).sum(dim=-1)
    # a plane that varies by less than one bin has no skewness
    skew = third / (variance + step[..., 0] ** 2) ** 1.5
    return {"mean": average.float(), "sd": variance.sqrt().float(), "skew": skew.float()}

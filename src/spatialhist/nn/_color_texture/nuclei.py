"""Nuclear features: how many nuclei a tile holds, how large, dark and clustered they are."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from spatialhist.nn._color_texture.color import WHITE, Features, Planes
from spatialhist.nn._color_texture.filters import blur, halve, local_maxima, mean, ratio

# rise of hematoxylin above the area around it that marks a nucleus, in optical density
RISE = 0.05
# cells a side, of which the inner 2 x 2 are the center
GRID = 4


def nuclei_features(planes: Planes) -> Features:
    """Area, size, number, stain and clustering of nuclei, found as local rises of hematoxylin."""
    smooth = blur(planes.hematoxylin)
    surroundings = blur(blur(smooth, 2), 4)
    rise = smooth - surroundings
    nuclei = rise > RISE
    peaks = _peaks(smooth, rise)
    return {
        **_shape("nuclei", nuclei),
        **_peak_features(peaks, rise),
        "peaks_half_size": mean(_peaks(halve(smooth), halve(rise))),
        # the constant bounds the area where there is no peak
        "area_per_peak": mean(nuclei) / (mean(peaks) + 1e-3),
        "rise_mean": mean(rise.clamp(min=0)),
        **_stain_inside_and_outside(planes, nuclei),
    }


def lumen_features(planes: Planes) -> Features:
    """Size and outline of the white regions."""
    return _shape("white", blur(planes.density) < WHITE)


def layout_features(planes: Planes) -> Features:
    """How stains and empty space vary over a coarse grid, and between the tile's center and the rest of the tile."""
    names = ("hematoxylin", "eosin", "residual", "density", "saturation")
    images = {name: getattr(planes, name) for name in names}
    images["white"] = (planes.density < WHITE).float()
    out: Features = {}
    for name, image in images.items():
        cells = F.adaptive_avg_pool2d(image[:, None], GRID)[:, 0]
        center = mean(cells[:, 1:3, 1:3])
        out[f"{name}_grid_sd"] = _cells_sd(cells)
        # the rim has 12 of 16 cells: the center is 12/16 of the difference away from the mean of all
        out[f"{name}_center_minus_rim"] = (center - mean(cells)) * (16 / 12)
    return out


def _shape(name: str, mask: torch.Tensor) -> Features:
    """Area fraction, boundary density and mean chord (pixels; the mean length of a line's runs inside)."""
    area = mean(mask)
    boundary = mean(mask[:, :, 1:] != mask[:, :, :-1]) + mean(mask[:, 1:] != mask[:, :-1])
    return {
        f"{name}_area": area,
        f"{name}_boundary": boundary,
        # two transitions a run and two directions; the constant bounds the chord of an uninterrupted mask
        f"{name}_chord": 4 * area / (boundary + 0.05),
    }


def _peaks(smooth: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
    return local_maxima(smooth) & (rise[:, 1:-1, 1:-1] > RISE)


def _peak_features(peaks: torch.Tensor, rise: torch.Tensor) -> Features:
    density = mean(peaks)
    height = rise[:, 1:-1, 1:-1] * peaks
    average = ratio(mean(height), density)
    # mean of squares less square of the mean: rounding may leave it just below 0
    spread = ratio(mean(height * height), density) - average * average
    cells = F.adaptive_avg_pool2d(peaks[:, None].float(), GRID)[:, 0]
    return {
        "peak_density": density,
        "peak_height_mean": average,
        "peak_height_sd": spread.clamp(min=0).sqrt(),
        # the constant keeps a tile with a peak or two from counting as clustered
        "peak_clustering": _cells_sd(cells) / (density + 1e-3),
    }


def _stain_inside_and_outside(planes: Planes, nuclei: torch.Tensor) -> Features:
    rest = ~nuclei & (planes.density >= WHITE)
    out: Features = {}
    for name in ("hematoxylin", "eosin", "residual"):
        image = getattr(planes, name)
        out[f"{name}_in_nuclei"] = _masked_mean(image, nuclei)
        out[f"{name}_around_nuclei"] = _masked_mean(image, rest)
    h = planes.hematoxylin
    # as above: rounding may leave it just below 0
    variance = _masked_mean(h * h, nuclei) - out["hematoxylin_in_nuclei"] ** 2
    out["hematoxylin_in_nuclei_sd"] = variance.clamp(min=0).sqrt()
    return out


def _masked_mean(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    # the constant draws means over a handful of pixels towards 0
    return mean(image * mask) / (mean(mask) + 2e-3)


def _cells_sd(cells: torch.Tensor) -> torch.Tensor:
    deviation = cells - mean(cells)[:, None, None]
    return mean(deviation * deviation).sqrt()

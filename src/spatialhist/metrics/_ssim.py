"""Structural similarity of expression maps on the lattice of spots."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from spatialhist.metrics._correlation import center
from spatialhist.metrics._shared.arrays import as_matrices, map_columns

REACH = 0.75  # of the spot spacing: beyond half a cell's diagonal (0.71), short of the next spot
LUMINANCE, CONTRAST = 0.01, 0.03  # shares of the range, those of Wang et al. (2004)


def ssim(
    truth: ArrayLike, predicted: ArrayLike, xy: ArrayLike, pitch: float, *, window: int = 7
) -> NDArray[np.float64]:
    r"""Structural similarity of every target's map, on the lattice of the spots of one slide.

    Around every lattice cell, with means :math:`\mu`, variances :math:`\sigma^2` and covariance over the known
    cells of a square window, :math:`L` the range of the truth, :math:`c_1 = (0.01 L)^2` and :math:`c_2 = (0.03 L)^2`,

    .. math:: \frac{(2\mu_t\mu_p + c_1)(2\sigma_{tp} + c_2)}
              {(\mu_t^2 + \mu_p^2 + c_1)(\sigma_t^2 + \sigma_p^2 + c_2)}

    averaged over the known cells.

    Parameters
    ----------
    truth
        Measured values, shape (n_spots, n_targets).
    predicted
        Predicted values, same shape.
    xy
        Spot centers, shape (n_spots, 2).
    pitch
        Distance of neighboring spots, in the units of `xy`.
    window
        Side of the window in cells, odd.

    Returns
    -------
    ndarray
        One value per target, 1 for equal maps; NaN where the truth is constant or the target has no values.

    Raises
    ------
    ValueError
        If `xy` does not fit the spots, `pitch` does not fit `xy`, or `window` is even.

    Notes
    -----
    Cells lie `pitch` apart and take the nearest spot; cells without a spot within 0.75 `pitch` are unknown. On a
    hexagonal lattice every cell is known and about a quarter of the spots are nearest to none. Where a window is
    wholly known the value is that of :func:`skimage.metrics.structural_similarity` with `use_sample_covariance=False`.
    That function knows no mask: filling unknown cells with any common value would count them as similar.

    Examples
    --------
    >>> y, x = np.mgrid[:5, :8]
    >>> truth = (x + 2.0 * y).reshape(-1, 1)
    >>> ssim(truth, truth, np.c_[x.ravel(), y.ravel()], 1.0).round(6)
    array([1.])
    """
    if window < 3 or window % 2 == 0:
        raise ValueError(f"window must be odd and at least 3, found {window}")
    n_spots = as_matrices(truth=truth)["truth"].shape[0]
    spot, known = lattice(xy, pitch, n_spots)

    def of_block(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
        # both are scaled by the range of the truth, which makes the two stabilizing constants the same for every gene
        extent = np.where(center(truth)[2], np.nan, np.ptp(truth, axis=0))
        return _similarity(truth[spot] / extent, predicted[spot] / extent, known, window)[known].mean(axis=0)

    return map_columns(of_block, truth=truth, predicted=predicted)


def lattice(xy: ArrayLike, pitch: float, n_spots: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return, for the cells of a square lattice, the index of the nearest spot and whether it is near enough."""
    centers = np.asarray(xy, dtype=np.float64)
    if centers.shape != (n_spots, 2) or not np.isfinite(centers).all():
        raise ValueError(f"xy must hold {n_spots} finite spot centers (x, y), found shape {centers.shape}")
    if not pitch > 0:
        raise ValueError(f"pitch={pitch} must be positive")
    origin = centers.min(axis=0)
    width, height = np.round(np.ptp(centers, axis=0) / pitch).astype(int) + 1
    # checked before the lattice is made: a spacing in other units would ask for billions of cells, or for one
    if not 0.5 * n_spots <= width * height <= 100 * n_spots:
        raise ValueError(
            f"pitch={pitch:g} gives a lattice of {width} x {height} cells for {n_spots} spots; "
            "pass the distance of neighboring spots in the units of xy, and one slide at a time"
        )
    y, x = np.mgrid[:height, :width]
    distance, spot = cKDTree(centers).query(origin + pitch * np.stack([x, y], axis=-1))
    return spot, distance <= REACH * pitch


def _similarity(
    t: NDArray[np.float64], p: NDArray[np.float64], known: NDArray[np.bool_], window: int
) -> NDArray[np.float64]:
    # unknown cells and those beyond the edge are filled with 0: dividing by the share of known ones takes them out
    share = uniform_filter(known.astype(float), window, mode="constant")[..., None]

    def local_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
        filtered = uniform_filter(image * known[..., None], (window, window, 1), mode="constant")
        return np.divide(filtered, share, out=np.zeros_like(filtered), where=known[..., None])

    mean_t, mean_p = local_mean(t), local_mean(p)
    variance = local_mean(t * t) + local_mean(p * p) - mean_t**2 - mean_p**2
    covariance = local_mean(t * p) - mean_t * mean_p
    luminance = (2 * mean_t * mean_p + LUMINANCE**2) / (mean_t**2 + mean_p**2 + LUMINANCE**2)
    return luminance * (2 * covariance + CONTRAST**2) / (variance + CONTRAST**2)

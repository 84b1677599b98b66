"""The only file that touches squidpy's image quality, which is experimental; pure arrays."""

from __future__ import annotations

import logging

import numpy as np

from spatialhist._keys import CHANNELS
from spatialhist._runtime.quiet import loggers_at
from spatialhist._sdata.compat import quiet


def spot_quality(tiles: np.ndarray) -> np.ndarray:
    """Measure tiles of equal size.

    Parameters
    ----------
    tiles
        ``(n, 3, side, side)`` uint8.

    Returns
    -------
    ndarray
        Share of the spectral energy that lies in fine detail ``(n,)``, which blur removes.
    """
    import spatialdata as sd
    from spatialdata.models import Image2DModel

    with quiet():
        from squidpy.experimental.im import QCMetric, qc_image

    n, _, side, _ = tiles.shape
    column = np.ascontiguousarray(np.moveaxis(tiles, 0, 1)).reshape(3, n * side, side)
    image = Image2DModel.parse(column, dims=("c", "y", "x"), c_coords=list(CHANNELS))
    sdata = sd.SpatialData.init_from_elements({"image": image})
    with loggers_at(logging.WARNING, "spatialdata._logging"):
        qc_image(
            sdata,
            "image",
            metrics=[QCMetric.FFT_HIGH_FREQ_ENERGY],
            tile_size=(side, side),
            detect_outliers=False,
            detect_tissue=False,
            progress=False,
            preview=False,
        )
    return np.asarray(sdata.tables["qc_img_image"].X, dtype=np.float32)[:, 0]

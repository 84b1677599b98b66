"""The tiles that a model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist.pl._style import CYCLE, FONT, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist.tiles import TileDataset, TileSpec

COLUMNS = 4


def tiles(ds: TileDataset, *, n: int = 8, seed: int = 0) -> np.ndarray:
    """Draw some tiles with their subtiles.

    Parameters
    ----------
    ds
        The tiles.
    n
        How many; all where there are fewer.
    seed
        Which.

    Returns
    -------
    Axes of a new figure ``(n,)``, titled by slide and spot. The middle subtile is framed.

    Raises
    ------
    ValueError
        If ``n`` is below 1 or there is no tile.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(extent=("pitch", 3.0), pixels=78, grid=3))
    >>> sh.pl.tiles(ds, n=4).shape
    (4,)
    """
    import matplotlib.pyplot as plt

    if n < 1 or not len(ds):
        raise ValueError(f"cannot draw n={n} of {len(ds)} tiles")
    n = min(n, len(ds))
    chosen = np.sort(np.random.default_rng(seed).choice(len(ds), n, replace=False))
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    fig, grid = plt.subplots(
        rows, columns, figsize=(1.9 * columns, 2.1 * rows + 0.3), layout="constrained", squeeze=False
    )
    for ax, i in zip(grid.flat, chosen, strict=False):
        sample = ds[int(i)]
        ax.imshow(np.moveaxis(sample["tile"].numpy(), 0, -1), interpolation="nearest")
        picture(ax, f"{sample['region']} · {sample['spot']}")
        _draw_grid(ax, ds.spec)
    for ax in grid.flat[n:]:
        ax.remove()
    fig.suptitle(_caption(ds.spec), fontsize=FONT)
    return grid.flat[:n]


def _draw_grid(ax: Axes, spec: TileSpec) -> None:
    from matplotlib.patches import Rectangle

    side = spec.pixels / spec.grid
    for k in range(1, spec.grid):
        ax.axhline(k * side - 0.5, color="white", linewidth=0.8)
        ax.axvline(k * side - 0.5, color="white", linewidth=0.8)
    corner = spec.grid // 2 * side - 0.5
    ax.add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor=CYCLE[4], linewidth=1.5))


def _caption(spec: TileSpec) -> str:
    unit, value = spec.extent
    length = {"um": f"{value:g} µm", "px": f"{value:g} full-resolution pixels", "pitch": f"{value:g} spot pitches"}[
        unit
    ]
    return f"tiles of {length}, {spec.pixels} pixels wide, {spec.grid} × {spec.grid} subtiles"

"""The tiles that a model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist.pl._draw.style import CYCLE, FONT, check_axes, picture

if TYPE_CHECKING:
    from spatialhist.tiles import TileDataset, TileSpec

COLUMNS = 4
SIDE = 1.9
UNITS = {"um": "µm", "px": "full-resolution pixels", "pitch": "spot spacings"}


def tiles(ds: TileDataset, *, n: int = 8, seed: int = 0, axes: np.ndarray | None = None) -> np.ndarray:
    """Draw some tiles with their subtiles.

    Parameters
    ----------
    ds
        The tiles.
    n
        Of how many spots; all where there are fewer.
    seed
        Which spots.
    axes
        Axes to draw into, one per spot and size; those of a new figure if None.

    Returns
    -------
    ndarray
        Axes ``(n,)``, titled by slide and spot; ``(n, sizes)`` where the dataset has several sizes, one row per spot. The
        middle subtile is framed.

    Raises
    ------
    ValueError
        If ``n`` is below 1, there is no tile, or the number of ``axes`` is another.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(extent=("pitch", 3.0), pixels=78, grid=3))
    >>> sh.pl.tiles(ds, n=4).shape
    (4,)
    """
    if n < 1 or not len(ds):
        raise ValueError(f"cannot draw n={n} of {len(ds)} tiles")
    chosen = np.sort(np.random.default_rng(seed).choice(len(ds), min(n, len(ds)), replace=False))
    several = isinstance(ds.spec, list | tuple)
    shape = (len(chosen), len(ds.specs))
    cells = _grid(ds, shape) if axes is None else check_axes(axes, shape, "spots x sizes")
    for row, i in zip(cells, chosen, strict=True):
        sample = ds[int(i)]
        for ax, tile, spec in zip(row, sample["tile"] if several else [sample["tile"]], ds.specs, strict=True):
            ax.imshow(np.moveaxis(tile.numpy(), 0, -1), interpolation="nearest")
            picture(ax, f"{sample['region']} · {sample['spot']}" + f"\n{_length(spec)}" * several)
            _draw_grid(ax, spec)
    return cells if several else cells[:, 0]


def _grid(ds: TileDataset, shape: tuple[int, int]) -> Any:
    """Axes ``(spots, sizes)`` of a new figure: a row a spot, or some spots a row where there is one size."""
    import matplotlib.pyplot as plt

    n, sizes = shape
    columns = sizes if sizes > 1 else min(n, COLUMNS)
    rows = -(-n * sizes // columns)
    size = (SIDE * columns, (SIDE + 0.2) * rows + 0.3)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in grid.flat[n * sizes :]:
        ax.remove()
    captions = dict.fromkeys(_cut(spec) for spec in ds.specs)
    length = f"tiles of {_length(ds.specs[0])}, " if sizes == 1 else "tiles, "
    figure.suptitle(length + "; ".join(captions), fontsize=FONT)
    return grid.ravel()[: n * sizes].reshape(shape)


def _draw_grid(ax: Any, spec: TileSpec) -> None:
    from matplotlib.patches import Rectangle

    side = spec.pixels / spec.grid
    for k in range(1, spec.grid):
        ax.axhline(k * side - 0.5, color="white", linewidth=0.8)
        ax.axvline(k * side - 0.5, color="white", linewidth=0.8)
    corner = spec.grid // 2 * side - 0.5
    ax.add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor=CYCLE[4], linewidth=1.5))


def _length(spec: TileSpec) -> str:
    unit, value = spec.extent
    return f"{value:g} {UNITS[unit]}"


def _cut(spec: TileSpec) -> str:
    return f"{spec.pixels} pixels wide, {spec.grid} × {spec.grid} subtiles"

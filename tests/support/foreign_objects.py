"""Small objects as readers of others make them, each of three slides whose genes follow the red of the image."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import geopandas as gpd
import numpy as np
import pandas as pd
import spatialdata as sd
from scipy.sparse import csr_matrix
from small_cohorts import draw_image, lattice
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale

AXES = ("x", "y")
XENIUM_UM = 0.2125
XY = lattice()
N = len(XY)


def _draw(seed: int) -> tuple[np.ndarray, csr_matrix]:
    """An image, and counts of eight genes at its spots."""
    rng = np.random.default_rng(seed)
    image = draw_image(rng)
    red = image[0][XY[:, 1].astype(int), XY[:, 0].astype(int)] / 128 - 1
    return image, csr_matrix(rng.poisson(10 * np.exp(1.5 + np.outer(red, np.linspace(-1, 1, 8)))).astype(np.float32))


def _image(pixels: np.ndarray, placed: dict, **options):
    return Image2DModel.parse(pixels, dims=("c", "y", "x"), transformations=placed, **options)


def _table(counts: csr_matrix, region: str, instance: str, ids, names: list[str]) -> ad.AnnData:
    obs = pd.DataFrame({"region": pd.Categorical([region] * N), instance: ids}, index=names)
    table = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(8)]))
    return TableModel.parse(table, region=region, region_key="region", instance_key=instance)


def visium_hd(sample: str, seed: int, *, squares: bool) -> sd.SpatialData:
    """As ``spatialdata_io.visium_hd`` makes it: table, shapes and ids by the size of bins."""
    image, counts = _draw(seed)
    name = f"{sample}_square_008um"
    placed = {sample: Identity(), f"{sample}_downscaled_hires": Scale([0.5, 0.5], AXES)}
    bins = ShapesModel.parse(XY, geometry=0, radius=10.0, index=np.arange(N), transformations=placed)
    if squares:
        bins = ShapesModel.parse(gpd.GeoDataFrame(geometry=bins.buffer(10.0, cap_style=3)), transformations=placed)
    table = _table(counts, name, "location_id", np.arange(N), [f"s_008um_{i:05d}_{seed:05d}-1" for i in range(N)])
    table.obs[["in_tissue", "array_row", "array_col"]] = np.column_stack([np.ones(N), XY[:, 1] // 20, XY[:, 0] // 20])
    table.obsm["spatial"] = XY.copy()
    small = {f"{sample}_downscaled_hires": Identity(), sample: Scale([2, 2], AXES)}
    return sd.SpatialData(
        images={
            f"{sample}_full_image": _image(image, {sample: Identity()}, scale_factors=[2]),
            f"{sample}_hires_image": _image(image[:, ::2, ::2], small),
        },
        shapes={name: bins},
        tables={"square_008um": table},
    )


def xenium(seed: int, *, polygons: bool) -> sd.SpatialData:
    """As ``spatialdata_io.xenium`` makes it: cells in micrometers, placed in pixels of the DAPI image, and an H&E image."""
    image, counts = _draw(seed)
    name, ids, um = (
        "cell_boundaries" if polygons else "cell_circles",
        [f"aaaa{i}-1" for i in range(N)],
        XY * XENIUM_UM * 4,
    )
    placed = {"global": Scale([1 / XENIUM_UM] * 2, AXES)}
    cells = ShapesModel.parse(um, geometry=0, radius=5.0, index=pd.Index(ids), transformations=placed)
    if polygons:
        cells = ShapesModel.parse(gpd.GeoDataFrame(geometry=cells.buffer(5.0)), transformations=placed)
    table = _table(counts, name, "cell_id", ids, ids)
    table.obsm["spatial"] = um
    return sd.SpatialData(
        images={
            "morphology_focus": _image(np.zeros((5, 800, 1040), np.uint16), {"global": Identity()}),
            "he_image": _image(image, {"global": Scale([4, 4], AXES)}),
        },
        shapes={name: cells},
        tables={"table": table},
    )


def legacy(seed: int) -> sd.SpatialData:
    """What ``spatialdata_io`` makes of an AnnData object: spots at full resolution, and small images alone."""
    from spatialdata_io.experimental import from_legacy_anndata

    image, counts = _draw(seed)
    names = pd.DataFrame(index=[f"AC{i}-1" for i in range(N)]), pd.DataFrame(index=[f"G{i}" for i in range(8)])
    adata = ad.AnnData(counts, obs=names[0], var=names[1], obsm={"spatial": XY * 5})
    pixels = np.moveaxis(image, 0, -1)
    factors = {"tissue_hires_scalef": 0.2, "tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 55.0}
    adata.uns["spatial"] = {
        f"lib{seed}": {"images": {"hires": pixels, "lowres": pixels[::2, ::2]}, "scalefactors": factors}
    }
    return from_legacy_anndata(adata)


def squidpy_layout(seed: int) -> sd.SpatialData:
    """As in the datasets of squidpy: image, spots and table of short names, in one system."""
    image, counts = _draw(seed)
    here = {"global": Identity()}
    return sd.SpatialData(
        images={"hne": _image(image, here)},
        shapes={"spots": ShapesModel.parse(XY, geometry=0, radius=5.0, index=np.arange(N), transformations=here)},
        tables={"adata": _table(counts, "spots", "spot_id", np.arange(N), [f"b{i}" for i in range(N)])},
    )


def one_system() -> sd.SpatialData:
    """Three slides side by side in one system, and images whose names do not say whose they are."""
    images, shapes, tables = {}, {}, []
    for i, slide in enumerate("ABC"):
        image, counts = _draw(i)
        placed = {"global": Affine([[1, 0, 400 * i], [0, 1, 30], [0, 0, 1]], AXES, AXES)}
        images[f"img{i}"] = _image(image, placed)
        shapes[slide] = ShapesModel.parse(XY, geometry=0, radius=5.5, index=np.arange(N), transformations=placed)
        obs = pd.DataFrame({"slide": slide, "idx": np.arange(N)}, index=[f"{slide}{k}" for k in range(N)])
        tables.append(ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{k}" for k in range(8)])))
    joined = ad.concat(tables)
    joined.obs["slide"] = pd.Categorical(joined.obs["slide"])
    table = TableModel.parse(joined, region=list("ABC"), region_key="slide", instance_key="idx")
    return sd.SpatialData(images=images, shapes=shapes, tables={"adata": table})


def _by_name(make: Callable[[int], sd.SpatialData]) -> sd.SpatialData:
    return sd.concatenate({name: make(i) for i, name in enumerate("ABC")}, concatenate_tables=True)


MAKES: dict[str, tuple[Callable[[], sd.SpatialData], str]] = {
    "Visium HD, squares": (
        lambda: sd.concatenate([visium_hd(s, i, squares=True) for i, s in enumerate("ABC")], concatenate_tables=True),
        "square_008um",
    ),
    "Visium HD, circles by name": (lambda: _by_name(lambda i: visium_hd("X", i, squares=False)), "square_008um"),
    "Xenium, circles": (lambda: _by_name(lambda i: xenium(i, polygons=False)), "table"),
    "Xenium, polygons": (lambda: _by_name(lambda i: xenium(i, polygons=True)), "table"),
    "AnnData": (lambda: _by_name(legacy), "table"),
    "squidpy": (lambda: _by_name(squidpy_layout), "adata"),
    "several slides in one system": (one_system, "adata"),
}
"""What makes an object, and the name of its table."""

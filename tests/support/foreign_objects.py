"""Small objects as readers of others make them, each of two slides whose genes follow the red of the image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anndata as ad
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import spatialdata as sd
from scipy.sparse import csr_matrix
from small_cohorts import draw_image, lattice
from spatialdata.models import Image2DModel, Labels2DModel, PointsModel, ShapesModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale

AXES = ("x", "y")
SLIDES = "AB"
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
    """As ``spatialdata_io.xenium`` made it: cells in micrometers, placed in pixels of the DAPI image, and an H&E image."""
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


def xenium_labels(seed: int, *, outlines: bool) -> sd.SpatialData:
    """As ``spatialdata_io.xenium`` makes it today: the table names pixels of labels, and polygons have other ids."""
    image, counts = _draw(seed)
    ids = [f"aaaa{i}-1" for i in range(N)]
    turned = np.column_stack([800 - 4 * XY[:, 1], 4 * XY[:, 0]])
    cells = np.zeros((1040, 800), np.int32)
    for i, (x, y) in enumerate(turned.astype(int)):
        cells[y - 15 : y + 15, x - 20 : x + 20] = i + 1
    table = _table(counts, "cell_labels", "cell_labels", np.arange(1, N + 1), ids)
    table.obs[["cell_id", "cell_area", "transcript_counts"]] = np.column_stack([ids, [1200 * XENIUM_UM**2] * N, ids])
    table.obs["cell_area"] = table.obs["cell_area"].astype(float)
    table.obsm["spatial"] = turned * XENIUM_UM
    names = ["DAPI", "ATP1A1/CD45/E-Cadherin", "18S", "AlphaSMA/Vimentin"]
    shapes = {}
    if outlines:
        um, placed = turned * XENIUM_UM, {"global": Scale([1 / XENIUM_UM] * 2, AXES)}
        sides = np.array([20, 15]) * XENIUM_UM
        boxes = {i: shapely.box(*(xy - sides), *(xy + sides)) for i, xy in zip(ids, um, strict=True)}
        outline = gpd.GeoDataFrame(geometry=list(boxes.values()), index=pd.Index(boxes, name="cell_id"))
        nuclei = gpd.GeoDataFrame(
            {"cell_id": ids[::-1]}, geometry=list(outline.buffer(-1))[::-1], index=range(1, N + 1)
        )
        shapes = {
            "nucleus_boundaries": ShapesModel.parse(nuclei, transformations=placed),
            "cell_boundaries": ShapesModel.parse(outline.iloc[::-1], transformations=placed),
        }
    return sd.SpatialData(
        images={
            "morphology_focus": _image(np.zeros((4, 1040, 800), np.uint16), {"global": Identity()}, c_coords=names),
            "he_image": _image(image, {"global": Affine([[0, -4, 800], [4, 0, 0], [0, 0, 1]], AXES, AXES)}),
        },
        labels={"cell_labels": Labels2DModel.parse(cells, dims=("y", "x"), transformations={"global": Identity()})},
        shapes=shapes,
        tables={"table": table},
    )


def visium(sample: str, seed: int) -> sd.SpatialData:
    """As ``spatialdata_io.visium`` makes it."""
    image, counts = _draw(seed)
    placed = {sample: Identity(), f"{sample}_downscaled_hires": Scale([0.5, 0.5], AXES)}
    small = {f"{sample}_downscaled_hires": Identity(), sample: Scale([2, 2], AXES)}
    table = _table(counts, sample, "spot_id", np.arange(N), [f"{sample}{i}-1" for i in range(N)])
    table.obs[["in_tissue", "array_row", "array_col"]] = np.column_stack([np.ones(N), XY[:, 1] // 20, XY[:, 0] // 20])
    table.obsm["spatial"] = XY.copy()
    return sd.SpatialData(
        images={
            f"{sample}_full_image": _image(image, {sample: Identity()}, scale_factors=[2]),
            f"{sample}_hires_image": _image(image[:, ::2, ::2], small),
        },
        shapes={sample: ShapesModel.parse(XY, geometry=0, radius=5.5, index=np.arange(N), transformations=placed)},
        tables={"table": table},
        attrs={"spatialdata_io_reader": "visium"},
    )


def space_ranger_cells(sample: str, seed: int) -> sd.SpatialData:
    """As ``spatialdata_io.visium_hd`` makes it of the segmented cells of Space Ranger 4, beside its bins."""
    sdata = visium_hd(sample, seed, squares=False)
    name, ids = f"{sample}_cell_segmentations", [f"cellid_{i:09d}-1" for i in range(N)]
    cells = gpd.GeoDataFrame(geometry=shapely.buffer(shapely.points(XY), 6.0), index=ids)
    sdata.shapes[name] = ShapesModel.parse(cells, transformations={sample: Identity()})
    bins = sdata.tables["square_008um"]
    table = _table(bins.X, name, "cell_id", ids, ids)
    sdata.tables["cell_segmentations"] = table
    return sdata


def wsi_data(seed: int) -> sd.SpatialData:
    """As LazySlide leaves it: tiles and tissue as polygons, a table that names its tiles by numbers, the scan in ``attrs``."""
    image, counts = _draw(seed)
    sides = np.full(2, 8.0)
    tiles = gpd.GeoDataFrame(
        {"tile_id": np.arange(N), "tissue_id": 0}, geometry=[shapely.box(*(xy - sides), *(xy + sides)) for xy in XY]
    )
    tissue = gpd.GeoDataFrame({"tissue_id": [0]}, geometry=[shapely.box(5, 5, 255, 195)])
    table = ad.AnnData(counts, obs=pd.DataFrame({"tile_id": np.arange(N), "library_id": pd.Categorical(["tiles"] * N)}))
    table.var_names = [f"G{i}" for i in range(8)]
    return sd.SpatialData(
        images={"wsi": _image(image, {"global": Identity()}, scale_factors=[2])},
        shapes={"tiles": ShapesModel.parse(tiles), "tissues": ShapesModel.parse(tissue)},
        tables={
            "genes_tiles": TableModel.parse(table, region="tiles", region_key="library_id", instance_key="tile_id")
        },
        attrs={
            "slide_properties": {"shape": [200, 260], "mpp": 0.5, "bounds": [0, 0, 260, 200]},
            "tile_spec": {"tiles": {"height": 16, "width": 16, "mpp": 0.5, "base_level": 0}},
        },
    )


def sopa(seed: int) -> sd.SpatialData:
    """As sopa leaves it: cells of cellpose in pixels of the stains, the H&E image at another scale, transcripts in um."""
    image, counts = _draw(seed)
    ids = [f"aaaa{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}aa-1" for i in range(N)]
    cells = gpd.GeoDataFrame(geometry=shapely.buffer(shapely.points(2 * XY), 9.0), index=ids)
    patches = gpd.GeoDataFrame({"bboxes": [[0, 0, 300, 300]]}, geometry=[shapely.box(0, 0, 300, 300)])
    table = _table(counts, "cellpose_boundaries", "cell_id", ids, ids)
    table.obs["slide"], table.obs["area"] = pd.Categorical(["image"] * N), cells.area.to_numpy()
    table.obsm["spatial"], table.obsm["intensities"] = 2 * XY, np.ones((N, 4))
    transcripts = pd.DataFrame({"x": 2 * XY[:, 0] * 0.1 + 100, "y": 2 * XY[:, 1] * 0.1 + 600})
    to_pixels = Affine([[10, 0, -1000], [0, 10, -6000], [0, 0, 1]], AXES, AXES)
    return sd.SpatialData(
        images={
            "image": _image(
                np.zeros((4, 400, 520), np.uint8), {"global": Identity()}, c_coords=["DAPI", "CK", "CD3", "CD20"]
            ),
            "he_image": _image(image, {"global": Scale([2, 2], AXES)}, scale_factors=[2]),
        },
        points={
            "transcripts": PointsModel.parse(transcripts, transformations={"global": to_pixels, "microns": Identity()})
        },
        shapes={"cellpose_boundaries": ShapesModel.parse(cells), "image_patches": ShapesModel.parse(patches)},
        tables={"table": table},
        attrs={"cell_segmentation_image": "image", "tissue_segmentation_image": "he_image"},
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
    """Slides side by side in one system, and images whose names do not say whose they are."""
    images, shapes, tables = {}, {}, []
    for i, slide in enumerate(SLIDES):
        image, counts = _draw(i)
        placed = {"global": Affine([[1, 0, 400 * i], [0, 1, 30], [0, 0, 1]], AXES, AXES)}
        images[f"img{i}"] = _image(image, placed)
        shapes[slide] = ShapesModel.parse(XY, geometry=0, radius=5.5, index=np.arange(N), transformations=placed)
        obs = pd.DataFrame({"slide": slide, "idx": np.arange(N)}, index=[f"{slide}{k}" for k in range(N)])
        tables.append(ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{k}" for k in range(8)])))
    joined = ad.concat(tables)
    joined.obs["slide"] = pd.Categorical(joined.obs["slide"])
    table = TableModel.parse(joined, region=list(SLIDES), region_key="slide", instance_key="idx")
    return sd.SpatialData(images=images, shapes=shapes, tables={"adata": table})


def _by_name(make: Callable[[int], sd.SpatialData]) -> sd.SpatialData:
    return sd.concatenate({name: make(i) for i, name in enumerate(SLIDES)}, concatenate_tables=True)


def _by_sample(make: Callable[[str, int], sd.SpatialData]) -> sd.SpatialData:
    return sd.concatenate([make(name, i) for i, name in enumerate(SLIDES)], concatenate_tables=True)


MAKES: dict[str, tuple[Callable[[], sd.SpatialData], str]] = {
    "Visium": (lambda: _by_sample(visium), "table"),
    "Visium HD, squares": (lambda: _by_sample(partial(visium_hd, squares=True)), "square_008um"),
    "Visium HD, circles by name": (lambda: _by_name(lambda i: visium_hd("X", i, squares=False)), "square_008um"),
    "Space Ranger cells": (lambda: _by_sample(space_ranger_cells), "cell_segmentations"),
    "Xenium, circles": (lambda: _by_name(partial(xenium, polygons=False)), "table"),
    "Xenium, polygons": (lambda: _by_name(partial(xenium, polygons=True)), "table"),
    "Xenium, labels": (lambda: _by_name(partial(xenium_labels, outlines=False)), "table"),
    "Xenium, labels and polygons": (lambda: _by_name(partial(xenium_labels, outlines=True)), "table"),
    "AnnData": (lambda: _by_name(legacy), "table"),
    "squidpy": (lambda: _by_name(squidpy_layout), "adata"),
    "several slides in one system": (one_system, "adata"),
    "LazySlide": (lambda: _by_name(wsi_data), "genes_tiles"),
    "sopa": (lambda: _by_name(sopa), "table"),
}
"""What makes an object, and the name of its table."""


def red_at_spots(slide) -> np.ndarray:
    """Red of the full image below every spot of a slide."""
    x, y = np.rint(slide.centers()).astype(int).T
    return np.asarray(slide.image().pyramid.levels[0])[0][y, x]

"""What the ecosystem hands us passes through every step, and what we hand back is drawn without glue."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from anndata import AnnData
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_image, lattice
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Identity, Scale

import spatialhist as sh


def visium_slide(slide: str, seed: int) -> sd.SpatialData:
    """Make what ``spatialdata_io.visium`` makes: raw counts, no layer, no thumbnail, no scale, no patient."""
    rng = np.random.default_rng(seed)
    xy = lattice()
    n, here = len(xy), {slide: Identity()}
    small = {f"{slide}_downscaled_hires": Identity(), slide: Scale([2, 2], axes=("x", "y"))}
    full = draw_image(rng)
    red = full[0][xy[:, 1].astype(int), xy[:, 0].astype(int)] / 128 - 1
    counts = rng.poisson(10 * np.exp(1.5 + np.outer(red, np.linspace(-1, 1, 8)))).astype(np.float32)
    obs = pd.DataFrame(
        {"in_tissue": 1, "array_row": xy[:, 1] // 20, "array_col": xy[:, 0] // 10, "spot_id": np.arange(n)},
        index=[f"AAAC{i}-1" for i in range(n)],
    ).assign(region=pd.Categorical([slide] * n))
    table = AnnData(csr_matrix(counts), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(8)]))
    table.obsm["spatial"] = xy
    table.uns["spatial"] = {slide: {"metadata": {"chemistry_description": "Visium V1 Slide"}}}
    image = {"dims": ("c", "y", "x"), "c_coords": ["r", "g", "b"]}
    return sd.SpatialData(
        images={
            f"{slide}_full_image": Image2DModel.parse(full, **image, scale_factors=[2], transformations=here),
            f"{slide}_hires_image": Image2DModel.parse(full[:, ::2, ::2], **image, transformations=small),
        },
        shapes={slide: ShapesModel.parse(xy, geometry=0, radius=5.5, index=np.arange(n), transformations=here)},
        tables={"table": TableModel.parse(table, region=slide, region_key="region", instance_key="spot_id")},
    )


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Three slides of spatialdata-io, joined by spatialdata, through every step, from and to a store."""
    folder = tmp_path_factory.mktemp("visium")
    slides = [visium_slide(f"S{i}", i) for i in (1, 2, 3)]
    joined = sd.concatenate(slides, concatenate_tables=True, pairwise=True, uns_merge="unique")
    joined["table"].obs_names_make_unique()
    joined.write(folder / "cohort.zarr")
    sdata = sd.read_zarr(folder / "cohort.zarr")
    sh.pp.mask_background(sdata, method=lambda pixels, *_: np.ones(pixels.shape[:2], dtype=bool))
    sh.pp.normalize_stain(sdata, method="reinhard")
    sh.pp.realign(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.select_genes(sdata, n=6, subset=True)
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata)
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata)
    models = ["ridge", "ridge_raw"]
    cv = sh.tl.cross_validate(sdata, models=models, genes=6, groups="slide", out=folder / "run", **FAST)
    stacked = sh.tl.stack(sdata, cv)
    sh.tl.predict(sdata, stacked, encoder=FAST["encoder"], progress=False)
    sh.tl.predict_grid(sdata, stacked, slides="S1", encoder=FAST["encoder"], progress=False)
    sh.tl.to_image(sdata, ["G6", "G7"], slide="S1")
    sh.pp.save(sdata)
    return sd.read_zarr(folder / "cohort.zarr")


def test_every_step_accepts_what_spatialdata_io_makes(walked):
    table = walked["table"]
    assert {"log1p", "ranks", "ranks_smooth", "oof_ridge", "oof", "predicted"} <= set(table.layers)
    assert {"S1_full_image_tissue"} <= set(walked.labels)
    assert {"S1_full_image_normalized", "S1_full_image_masked"} <= set(walked.images)
    np.testing.assert_array_equal(table.layers["predicted"], table.layers["oof"])
    scores = sh.tl.summarize(sh.tl.evaluate(walked))
    assert scores.loc["stack_nnls", "mean"] > scores.loc["baseline_position", "mean"] + 0.2


def test_squidpy_draws_the_prediction(walked):
    import squidpy as sq

    axes = sq.pl.spatial_scatter(walked["table"], color="G7", layer="predicted", library_key="region", return_ax=True)
    drawn = [np.asarray(ax.collections[-1].get_array()) for ax in axes]
    table = walked["table"]
    for slide in ("S1", "S2", "S3"):
        expected = table[(table.obs["region"] == slide).to_numpy(), "G7"].layers["predicted"].ravel()
        assert any(np.allclose(values, expected) for values in drawn)
    plt.close("all")


def test_spatialdata_plot_draws_the_prediction(walked):
    import spatialdata_plot  # noqa: F401

    figure, ax = plt.subplots()
    walked.pl.render_images("S2_full_image").pl.render_shapes(
        "S2", color="G7", table_name="table", table_layer="predicted"
    ).pl.show(coordinate_systems="S2", ax=ax)
    assert len(ax.collections) + len(ax.images) >= 2
    plt.close(figure)


def test_spatialdata_plot_draws_every_element(walked):
    """Every image, mask and set of spots of a slide leaves color where an empty picture is white."""
    import spatialdata_plot  # noqa: F401

    elements = [(kind, name) for kind, name, _ in walked.gen_elements() if kind != "tables" and name.startswith("S1")]
    assert {"S1", "S1_grid", "S1_full_image_tissue"} < {name for _, name in elements}
    assert {"S1_full_image_normalized", "S1_full_image_masked"} < {name for _, name in elements}
    assert any(name.endswith("_map") for _, name in elements)
    for name in [name for _, name in elements if name.endswith("_map")]:
        # spatialdata-plot draws no image that holds NaN
        walked[name] = walked[name].map_over_datasets(lambda level: level.fillna(0))
    for kind, name in elements:
        figure, ax = plt.subplots(figsize=(1.5, 1.5))
        getattr(walked.pl, f"render_{kind}")(name, **({"channel": "G7"} if name.endswith("_map") else {})).pl.show(
            coordinate_systems="S1", ax=ax
        )
        figure.canvas.draw()
        inside = np.asarray(figure.canvas.buffer_rgba())[..., :3][35:-35, 35:-35]
        assert (inside < 250).any(axis=-1).mean() > 0.1, name
        plt.close(figure)


def test_spatialdata_plot_draws_a_grid_by_its_table(walked):
    import spatialdata_plot  # noqa: F401

    figure, ax = plt.subplots()
    walked.pl.render_shapes("S1_grid", color="G7", table_name="S1_grid_table", table_layer="predicted").pl.show(
        coordinate_systems="S1", ax=ax
    )
    figure.canvas.draw()
    colors = np.unique(np.asarray(figure.canvas.buffer_rgba())[..., :3].reshape(-1, 3), axis=0)
    assert (np.ptp(colors.astype(int), axis=1) > 60).sum() > 10
    plt.close(figure)


def test_napari_finds_what_it_needs(walked):
    """What napari-spatialdata goes by: lower-case channels for color, unique names, spots that match their table."""
    for name, image in walked.images.items():
        channels = [str(c) for c in sd.models.get_channel_names(image)]
        assert channels == ["r", "g", "b"] or name.endswith("_map"), name
    for table in walked.tables.values():
        assert table.obs_names.is_unique
        region = table.obs["region"].cat.remove_unused_categories()
        for slide in region.cat.categories:
            mine = table.obs.loc[(region == slide).to_numpy(), "spot_id"]
            assert set(mine) <= set(walked.shapes[slide].index)
            assert walked.shapes[slide].index.dtype == mine.dtype

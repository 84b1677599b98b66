"""The page `docs/viewers.md`: its blocks run, and what they write is where other programs look for it."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from pathlib import Path

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pytest
import spatialdata as sd
import tifffile

import spatialhist as sh

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "viewers.md").read_text(encoding="utf-8")
WIDTH, HEIGHT, MPP = 640, 480, 1.2
GUI = "napari_spatialdata"
"""Opens a window."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the names of the page after its blocks have run, beside a slide that was predicted."""
    folder = tmp_path_factory.mktemp("viewers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        predict_slide()
        names: dict[str, object] = {}
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE):
            if GUI not in block and (
                importlib.util.find_spec("vitessce") or not re.search(r"vitessce as|config\.", block)
            ):
                exec(block, names)
            plt.close("all")
        yield folder, names


def predict_slide():
    """Write what `spatialhist predict` leaves, and an annotation of QuPath over the left part of the tissue."""
    drawn = sh.datasets.synthetic(n_slides=1, size_px=(WIDTH, HEIGHT), n_genes=5, seed=3)
    pixels = sd.get_pyramid_levels(drawn["S1_full_image"], n=0).transpose("y", "x", "c").to_numpy()
    tifffile.imwrite("slide.tif", pixels)
    sdata = sh.io.read_wsi("slide.tif", mpp=MPP, store="slide.zarr")
    sh.pp.mask_background(sdata)
    sh.tl.predict_grid(sdata, sh.datasets.pretrained("her2st"), progress=False)
    sh.io.save(sdata)
    ring = [[0, 0], [300, 0], [300, 480], [0, 480], [0, 0]]
    tumor = {"objectType": "annotation", "classification": {"name": "tumor"}}
    outline = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": tumor}
    Path("annotations.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [outline]}))


def test_vitessce_gets_image_and_spots_in_micrometers(page):
    folder, names = page
    with tifffile.TiffFile(folder / "vitessce" / "slide.ome.tif") as file:
        pixels, described = file.asarray(), file.ome_metadata
    um = float(re.search(r'PhysicalSizeX="([\d.]+)"', described)[1])
    assert pixels.shape[0] == 3
    np.testing.assert_allclose(np.array(pixels.shape[:0:-1]) * um, [WIDTH * MPP, HEIGHT * MPP], rtol=0.01)
    spots = anndata.read_zarr(folder / "vitessce" / "spots.zarr")
    np.testing.assert_allclose(spots.obsm["spatial"], names["spots"].obsm["spatial"] * MPP)
    np.testing.assert_array_equal(spots[:, "ERBB2"].X.ravel(), names["spots"][:, "ERBB2"].layers["predicted"].ravel())
    assert json.loads((folder / "vitessce" / "spots.zarr" / ".zgroup").read_text()) == {"zarr_format": 2}
    assert names["radius_um"] == pytest.approx(50, abs=0.01)


def test_tissuumaps_gets_spots_in_pixels_and_a_project(page):
    folder, names = page
    table = anndata.read_h5ad(folder / "slide.h5ad")
    centers = np.column_stack([names["sdata"]["slide_grid"].geometry.x, names["sdata"]["slide_grid"].geometry.y])
    np.testing.assert_allclose(table.obsm["spatial"], centers)
    assert json.loads(table.uns["tmap"])["layers"][0]["tileSource"] == "slide.svs.dzi"
    np.testing.assert_array_equal(table.X, names["spots"].layers["predicted"])


def test_qupath_gets_every_spot_and_gives_an_annotation(page):
    folder, names = page
    with gzip.open(folder / "slide.geojson.gz", "rt", encoding="utf-8") as file:
        written = json.load(file)["features"]
    assert len(written) == names["spots"].n_obs
    assert {"ERBB2", "IGKC"} <= written[0]["properties"]["measurements"].keys()
    (within,) = (key for key in names["sdata"].tables if "annotations" in key)
    inside = names["sdata"][within]
    assert 0 < inside.n_obs < names["spots"].n_obs
    assert inside.obsm["spatial"][:, 0].max() < 300


def test_the_map_is_not_a_number_outside_of_spots(page):
    _, names = page
    drawn = sd.get_pyramid_levels(names["sdata"]["slide_predicted_map"], n=0).to_numpy()
    radius = names["radius_um"] / MPP
    # a pixel is half a spot wide, and discs close the gaps of the lattice
    y, x = (np.indices(drawn.shape[1:]) + 0.5) * radius
    gaps = np.hypot(
        *(each.ravel()[:, None] - at for each, at in zip((x, y), names["spots"].obsm["spatial"].T, strict=True))
    )
    nearest = gaps.min(axis=1).reshape(drawn.shape[1:])
    assert np.isfinite(drawn[:, nearest < 1.4 * radius]).all()
    assert np.isnan(drawn[:, nearest > 1.5 * radius]).all()
    assert (nearest > 1.5 * radius).any()
    filled = sd.get_pyramid_levels(names["sdata"]["filled"], n=0).to_numpy()
    np.testing.assert_array_equal(filled, np.nan_to_num(drawn))

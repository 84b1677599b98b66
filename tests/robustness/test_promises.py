"""Stores that promise more than a slide, and paths that zarr takes for others."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import spatialdata as sd
from tests.robustness.test_hostile import peak_mb

import spatialhist as sh


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=5)
    sh.pp.mask_background(sdata)
    sdata.write(path := tmp_path_factory.mktemp("promises") / "a.zarr")
    return path


def promise(template: Path, folder: Path, element: str, shape: list[int], chunks: list[int]) -> Path:
    """A copy of a store in which an image says that it is larger."""
    store = Path(shutil.copytree(template, folder / "b.zarr"))
    path = next((store / element).glob("*/zarr.json"))
    array = json.loads(path.read_text())
    array["shape"], array["chunk_grid"]["configuration"]["chunk_shape"] = shape, chunks
    path.write_text(json.dumps(array))
    root = json.loads((store / "zarr.json").read_text())
    root.pop("consolidated_metadata")
    (store / "zarr.json").write_text(json.dumps(root))
    return store


@pytest.mark.parametrize(
    ("element", "shape", "chunks", "message"),
    [
        ("images/S1_full_image", [3, 1_000_000, 900_000], [3, 512, 512], "'S1_full_image' is 900000 x 1000000 pixels"),
        ("images/S1_full_image", [3, 100_000, 90_000], [3, 16, 16], "'S1_full_image' has 35,156,250 chunks"),
        ("labels/S1_full_image_tissue", [1_000_000, 900_000], [512, 512], "_tissue' is 900000 x 1000000 pixels"),
    ],
)
def test_an_image_that_no_scanner_made_is_refused_when_its_store_is_read(
    template, tmp_path, element, shape, chunks, message
):
    store = promise(template, tmp_path, element, shape, chunks)
    start = time.monotonic()
    assert peak_mb(lambda: sh.io.read(store), ValueError, message) < 100
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("element", "shape", "call"),
    [
        ("images/S1_full_image", [3, 1_000_000, 900_000], sh.pp.mask_background),
        ("images/S1_full_image", [3, 1_000_000, 900_000], sh.pp.normalize_stain),
        ("labels/S1_full_image_tissue", [90_000, 100_000], sh.pp.normalize_stain),
    ],
)
def test_steps_refuse_it_too(template, tmp_path, element, shape, call):
    chunks = [3, 512, 512] if len(shape) == 3 else [512, 512]
    sdata = sd.read_zarr(promise(template, tmp_path, element, shape, chunks))
    assert peak_mb(lambda: call(sdata), ValueError, "S1_full_image.*pixels: one of this kind has 1 to") < 100


def test_a_path_that_zarr_takes_for_a_chain_is_refused_by_name(template, tmp_path):
    folder = tmp_path / "a::b"
    shutil.copytree(template, folder / "c.zarr")
    sdata = sd.read_zarr(template)
    for call in (
        lambda: sh.io.read(folder / "c.zarr"),
        lambda: sh.io.read(template, store=folder / "d.zarr"),
        lambda: sh.pp.save(sdata, folder / "d.zarr"),
    ):
        with pytest.raises(ValueError, match=r"a::b.* cannot be the path of a store: zarr takes '::' for a chain"):
            call()
    (tmp_path / "link").symlink_to(folder)
    assert sh.io.read(tmp_path / "link" / "c.zarr")["table"].n_vars == 5

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp
import spatialdata as sd
import torch
from spatialdata.models import Image2DModel
from spatialdata.transformations import Affine
from torch.utils.data import BatchSampler, DataLoader, default_collate

from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import pyramid
from spatialhist.tiles import ChunkSampler, TileDataset, TileReader, TileSpec

SPEC = TileSpec(("px", 20), 20)
GENES = ["g0", "g1", "g2", "g3"]


def one_slide(name: str, seed: int, *, mpp: float, measured: bool = True, ids=None):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (3, 90, 130), dtype=np.uint8)
    xy = np.column_stack([rng.uniform(0, 130, 15), rng.uniform(0, 90, 15)])
    counts = sp.csr_matrix(rng.poisson(1, (15, 4)).astype(np.float32))
    return build_slide(image, xy, counts, slide=name, genes=GENES, mpp=mpp, measured=measured, spot_ids=ids)


@pytest.fixture(scope="module")
def sdata():
    cohort = concat_slides([one_slide("S1", 1, mpp=0.5), one_slide("S2", 2, mpp=1.0, measured=False)])
    table = cohort["table"]
    table.layers["dense"] = table.X.toarray() * 2
    return cohort


@pytest.fixture(scope="module")
def stored(sdata, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cohort.zarr"
    sdata.write(path, update_sdata_path=False)
    return sd.read_zarr(path)


def cut(sdata, slide: str, xy, size: int) -> np.ndarray:
    image = np.asarray(pyramid(sdata, f"{slide}_full_image").levels[0])
    left, top = (int(np.floor(c - size / 2 + 0.5)) + size for c in xy)
    padded = np.pad(image, ((0, 0), (size, size), (size, size)), mode="symmetric")
    return padded[:, top : top + size, left : left + size]


def test_sample_holds_tile_parts_target_and_names(sdata):
    ds = TileDataset(sdata, SPEC, layer="X")
    table = sdata["table"]
    for i in (0, 17):
        sample = ds[i]
        tile = cut(sdata, table.obs["region"].iloc[i], table.obsm["spatial"][i], 20)
        np.testing.assert_array_equal(sample["tile"], tile)
        np.testing.assert_array_equal(sample["subtiles"][5], tile[:, 7:13, 13:19])
        np.testing.assert_array_equal(sample["center"], sample["subtiles"][4])
        np.testing.assert_array_equal(sample["target"], table.X[i].toarray()[0])
        np.testing.assert_allclose(sample["xy"], table.obsm["spatial"][i], rtol=1e-6)
        assert (sample["spot"], sample["region"]) == (table.obs["spot_id"].iloc[i], table.obs["region"].iloc[i])
    assert sample["tile"].dtype == torch.uint8
    assert sample["target"].dtype == torch.float32


def test_reader_opens_an_image_of_a_slide(sdata):
    xy = sdata["table"].obsm["spatial"][[17]]
    np.testing.assert_array_equal(TileReader.open(sdata, "S2").read(xy, 20, 20)[0], cut(sdata, "S2", xy[0], 20))
    with pytest.raises(KeyError, match="pp.normalize_stain"):
        TileReader.open(sdata, "S2", image="normalized")


def test_without_layer_there_is_no_target(sdata):
    ds = TileDataset(sdata, SPEC)
    assert "target" not in ds[0]
    assert ds.genes is None


def test_genes_come_in_the_order_asked_for(sdata):
    ds = TileDataset(sdata, SPEC, layer="dense", genes=["g3", "g0"])
    np.testing.assert_array_equal(ds[4]["target"], sdata["table"].layers["dense"][4, [3, 0]])


def test_slides_and_measured_choose_rows(sdata):
    np.testing.assert_array_equal(TileDataset(sdata, SPEC, slides="S2").rows, np.arange(15, 30))
    np.testing.assert_array_equal(TileDataset(sdata, SPEC, only_measured=True).rows, np.arange(15))
    assert TileDataset(sdata, SPEC, slides="S2")[3]["region"] == "S2"


def test_physical_extent_is_the_same_on_slides_of_different_scale(sdata):
    ds = TileDataset(sdata, TileSpec(("um", 16), 16))
    xy = sdata["table"].obsm["spatial"]
    np.testing.assert_array_equal(ds[20]["tile"], cut(sdata, "S2", xy[20], 16))
    shrunk = cut(sdata, "S1", np.floor(xy[3]), 32).reshape(3, 16, 2, 16, 2).mean(axis=(2, 4))
    ds.xy[3] = np.floor(xy[3])
    assert np.abs(ds[3]["tile"].numpy() - shrunk).max() <= 0.5


def test_extent_counts_pixels_of_the_slide_also_on_a_thumbnail():
    slide = one_slide("S1", 1, mpp=0.5)
    small = np.full((3, 45, 65), 7, np.uint8)
    half = {"S1": Affine(np.diag([2.0, 2.0, 1.0]), ("x", "y"), ("x", "y"))}
    slide.images["S1_small"] = Image2DModel.parse(small, dims=("c", "y", "x"), transformations=half)
    ds = TileDataset(slide, SPEC, image="{slide}_small")
    np.testing.assert_allclose(ds.xy, slide["table"].obsm["spatial"] / 2)
    with patch.object(TileReader, "read_into") as read:
        ds[0]
    assert read.call_args.args[2] == pytest.approx(10)


def test_batch_equals_samples_one_by_one(sdata):
    ds = TileDataset(sdata, SPEC, layer="X")
    items = [25, 3, 3, -1, 11]
    for sample, item in zip(ds.__getitems__(items), items, strict=True):
        assert sample["spot"] == ds[item]["spot"]
        assert torch.equal(sample["tile"], ds[item]["tile"])


def test_several_sizes_lie_around_the_same_center(sdata):
    specs = [SPEC, TileSpec(("px", 40), 40, grid=2), TileSpec(("um", 16), 16, grid=4)]
    ds = TileDataset(sdata, specs, layer="X")
    assert ds.specs == tuple(specs)
    sample, batch = ds[3], ds[[20, 3]]
    for i, spec in enumerate(specs):
        alone = TileDataset(sdata, spec, layer="X")
        for key in ("tile", "subtiles", "center"):
            assert torch.equal(sample[key][i], alone[3][key])
            assert torch.equal(batch[key][i], alone[[20, 3]][key])
    assert torch.equal(sample["tile"][0], sample["tile"][1][:, 10:30, 10:30])
    assert torch.equal(batch["target"], TileDataset(sdata, SPEC, layer="X")[[20, 3]]["target"])


def test_samples_of_several_sizes_can_be_collated(sdata):
    ds = TileDataset(sdata, [SPEC, TileSpec(("px", 40), 30)])
    batch = next(iter(DataLoader(ds, batch_size=4)))
    assert [tile.shape for tile in batch["tile"]] == [(4, 3, 20, 20), (4, 3, 30, 30)]
    assert torch.equal(batch["tile"][1], ds[[0, 1, 2, 3]]["tile"][1])


def test_order_follows_the_finest_size(stored):
    fine, coarse = TileSpec(("px", 20), 20), TileSpec(("px", 80), 20)
    both = TileDataset(stored, [coarse, fine])
    np.testing.assert_array_equal(both.blocks(), TileDataset(stored, fine).blocks())
    np.testing.assert_array_equal(both.stored_order(), TileDataset(stored, fine).stored_order())


def test_border_is_white_where_the_size_says_so(sdata):
    white = TileDataset(sdata, TileSpec(("px", 200), 200, padding="white"))[0]["tile"]
    reflected = TileDataset(sdata, TileSpec(("px", 200), 200))[0]["tile"]
    x, y = sdata["table"].obsm["spatial"][0]
    left, top = (int(np.floor(c - 100 + 0.5)) for c in (x, y))
    inside = np.s_[:, -top : 90 - top, -left : 130 - left]
    assert torch.equal(white[inside], reflected[inside])
    assert (white[:, :-top] == 255).all() and (white[:, :, 130 - left :] == 255).all()
    assert not (reflected[:, :-top] == 255).all()


def test_list_of_items_is_a_batch(sdata):
    ds = TileDataset(sdata, SPEC, layer="X")
    items = [25, 3, -1]
    batch = ds[items]
    stacked = default_collate(ds.__getitems__(items))
    assert all(torch.equal(batch[key], stacked[key]) for key in ("tile", "subtiles", "center", "target", "xy"))
    assert (batch["spot"], batch["region"]) == (stacked["spot"].tolist(), stacked["region"])


def test_loader_takes_batches_as_they_are(sdata):
    ds = TileDataset(sdata, SPEC)
    sampler = BatchSampler(ChunkSampler(ds), 8, drop_last=False)
    batches = list(DataLoader(ds, batch_size=None, sampler=sampler))
    assert [len(batch["tile"]) for batch in batches] == [8, 8, 8, 6]


KILL_A_WORKER = """
import sys, spatialdata
from torch.utils.data import DataLoader
from spatialhist.tiles import TileDataset, TileSpec
ds = TileDataset(spatialdata.read_zarr(sys.argv[1]), TileSpec(("px", 20), 20))
loader = iter(DataLoader(ds, batch_size=1, num_workers=1, multiprocessing_context="fork"))
next(loader)
loader._workers[0].kill()
list(loader)
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_killed_worker_raises(stored):
    # in a process of its own: torch raises from a signal handler, at any point of the program
    command = [sys.executable, "-c", KILL_A_WORKER, str(stored.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert any(word in done.stderr for word in ("killed", "Connection", "EOFError"))


def test_ends_where_the_spots_end(sdata):
    ds = TileDataset(sdata, SPEC)
    assert len(list(ds)) == len(ds) == 30
    with pytest.raises(IndexError):
        ds[30]


def test_string_ids_are_kept():
    ids = [f"AC{i}-1" for i in range(15)]
    assert TileDataset(one_slide("S1", 1, mpp=1, ids=ids), SPEC)[2]["spot"] == "AC2-1"


def test_pickled_size_is_that_of_the_spots(stored):
    assert len(pickle.dumps(TileDataset(stored, SPEC, layer="X"))) < 40_000


def test_lazy_image_can_be_pickled(sdata):
    ds = TileDataset(sdata, SPEC)
    again = pickle.loads(pickle.dumps(ds))
    np.testing.assert_array_equal(again.read(np.arange(30)), ds.read(np.arange(30)))


SLOW_STARTS = [
    pytest.param(start, 4, marks=[] if start == "fork" else pytest.mark.slow)
    for start in multiprocessing.get_all_start_methods()
]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes:UserWarning")
@pytest.mark.parametrize(
    ("start", "workers"),
    [(None, 0), *((start, 2) for start in multiprocessing.get_all_start_methods()), *SLOW_STARTS],
)
def test_loads_with_every_start_method(stored, start, workers):
    ds = TileDataset(stored, SPEC, layer="X")
    stored["table"].X.sum()
    pyramid(stored, "S1_full_image").levels[0].compute()  # leaves dask's threads behind
    loader = DataLoader(
        ds, batch_size=8, num_workers=workers, multiprocessing_context=start, timeout=60 * bool(workers)
    )
    batches = list(loader)
    assert batches[0]["subtiles"].shape == (8, 9, 3, 6, 6)
    assert torch.equal(torch.cat([b["tile"] for b in batches]), torch.from_numpy(ds.read(np.arange(30))))


def test_lazy_image_loads_in_workers(sdata):
    ds = TileDataset(sdata, SPEC)
    loader = DataLoader(ds, batch_size=16, num_workers=1, timeout=60)
    assert torch.equal(torch.cat([b["tile"] for b in loader]), torch.from_numpy(ds.read(np.arange(30))))


def test_names_what_is_missing(sdata):
    with pytest.raises(KeyError, match="pp.normalize_stain"):
        TileDataset(sdata, SPEC, image="normalized")
    with pytest.raises(KeyError, match=r"1 genes are not in the table, e.g. \['nope'\]"):
        TileDataset(sdata, SPEC, layer="X", genes=["g1", "nope"])
    with pytest.raises(KeyError, match="pp.log_normalize"):
        TileDataset(sdata, SPEC, layer="log1p")


def test_spot_without_position_is_refused():
    slide = one_slide("S1", 1, mpp=1)
    slide["S1"].loc[3, "geometry"] = type(slide["S1"].geometry[3])(np.nan, 5)
    with pytest.raises(ValueError, match="1 spots have no position.*filter_spots"):
        TileDataset(slide, SPEC)

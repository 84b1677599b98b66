"""Runs on two worker processes of dask, which are daemons as on any cluster."""

from __future__ import annotations

import os

import numpy as np
import pytest
from distributed import Client, LocalCluster
from dying import DiesOnce
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tl import Ridge, TileNetwork

pytestmark = pytest.mark.slow
NETWORK = TileNetwork(epochs=1, width=8)


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run(folder, executor, models):
    sdata = draw_cohort(1, n_slides=2, signal=0.8)
    cv = sh.tl.cross_validate(sdata, models=models, genes=4, groups="slide", out=folder, executor=executor, **FAST)
    return sdata, cv


def results_of(folder):
    """Bytes of everything that was fitted and predicted."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))}


def grid_of(cv, executor, path):
    draw_cohort(5, n_slides=1, signal=0.8, images_seed=9).write(path)
    sdata = sh.io.read(path)
    sh.tl.predict_grid(sdata, cv, spacing=("px", 25.0), encoder=mean_color, block=20, executor=executor, progress=False)
    return sdata["S1_grid_table"]


def check_same(tmp_path, executor, models):
    _, here = run(tmp_path / "here", None, models)
    _, there = run(tmp_path / "there", executor, models)
    assert results_of(here.folder) == results_of(there.folder)
    expected = grid_of(here, None, tmp_path / "a.zarr")
    table = grid_of(there, executor, tmp_path / "b.zarr")
    assert table.layers["predicted"].tobytes() == expected.layers["predicted"].tobytes()
    np.testing.assert_array_equal(table.obs["out_of_distribution"], expected.obs["out_of_distribution"])


def test_two_processes_of_dask_give_the_same_bytes(tmp_path, client):
    """A network on pixels: it must load its data without processes of its own."""
    check_same(tmp_path, client, NETWORK)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_worker_that_is_killed_is_replaced(tmp_path, client):
    _, here = run(tmp_path / "here", None, Ridge(name="dies", components=4))
    _, there = run(tmp_path / "there", client, DiesOnce(name="dies", components=4, mark=str(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()
    assert results_of(here.folder) == results_of(there.folder)


def test_processes_of_our_own_give_the_same_bytes(tmp_path):
    check_same(tmp_path, 2, Ridge(components=4))

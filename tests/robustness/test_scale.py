"""Large tables are never made dense behind the back; `benchmarks/scale.py` measures the rest."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

import spatialhist as sh
from spatialhist._sdata.build import build_slide
from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge
from spatialhist.tl._data.samples import write_inputs
from spatialhist.tl._runs.fits import Fit, run_fit

N_SPOTS, N_GENES = 4_000, 20_000
DENSE_MB = N_SPOTS * N_GENES * 4 / 1e6


@pytest.fixture(scope="module")
def wide():
    """One slide of 20,000 genes; dense it would take 320 MB."""
    rng = np.random.default_rng(0)
    x, y = np.divmod(np.arange(N_SPOTS), 63)
    counts = sp.random(N_SPOTS, N_GENES, 0.002, "csr", np.float32, rng, data_rvs=lambda n: rng.integers(1, 9, n))
    image = np.full((3, 700, 650), 200, dtype=np.uint8)
    xy = np.column_stack([x, y]) * 10.0 + 5
    return build_slide(image, xy, counts, slide="S1", genes=[f"G{g}" for g in range(N_GENES)], patient="P", mpp=2.0)


STEPS = {
    "filter_spots": lambda s: sh.pp.filter_spots(s, min_counts=1, min_tissue=0),
    "log_normalize": sh.pp.log_normalize,
    "spot_distances": sh.pp.spot_distances,
    "smooth_expression": lambda s: sh.pp.smooth_expression(s, layer="log1p"),
    "select_genes": lambda s: sh.pp.select_genes(s, n=100),
}


@pytest.mark.parametrize("step", STEPS)
def test_no_step_makes_a_sparse_table_dense(wide, step):
    tracemalloc.start()
    try:
        STEPS[step](wide)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak < DENSE_MB / 2


@pytest.mark.parametrize("step", [sh.pp.rank_expression, lambda s, **k: sh.pp.log_normalize(dense(s), **k)])
def test_a_dense_layer_above_the_limit_is_refused_with_the_way_out(wide, step):
    with pytest.raises(MemoryError, match=r"max_layer_gb=0.1.*sh.pp.select_genes\(sdata, n=2000, subset=True\)"):
        step(wide, max_layer_gb=0.1)


def dense(sdata):
    sdata["table"].X = sdata["table"].X.toarray()
    return sdata


@pytest.fixture(scope="module")
def many_features(tmp_path_factory):
    """Features of 24,000 spots in files, 92 MB."""
    rng = np.random.default_rng(0)
    n, n_blocks, size = 24_000, 16, 60
    hidden = rng.normal(size=(n, 3)).astype(np.float32)
    folder = tmp_path_factory.mktemp("inputs")

    def drawn(h):
        return [rng.standard_normal((len(h), size), np.float32) + h[:, :1] for _ in range(n_blocks)]

    write_inputs(
        folder, slides=["S0", "S1", "S2"], groups=["g0", "g1", "g2"], patients=["", "", ""],
        slide_code=np.arange(n) // 8_000, position=rng.normal(size=(n, 2)),
        features=(drawn(h) for h in np.split(hidden, 24)),
        statistics=[np.tile(np.array([[0], [1]], np.float32), (3, 1, size))] * n_blocks,
        values=hidden @ rng.normal(size=(3, 5)).astype(np.float32), tiles=None, ranking=None,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("model", "most_mb"),
    [
        (Ridge(components=8, blocks=tuple(range(6))), 18),
        (KernelRidge(standardized=True, components=8, blocks=tuple(range(6)), landmarks=50), 20),
        (FeatureNetwork(members=1, epochs=1, dim=8, batch=256), 20),
    ],
    ids=["ridge", "kernel_ridge", "mlp"],
)
def test_no_model_holds_the_features_of_all_spots(many_features, model, most_mb, tmp_path, monkeypatch):
    monkeypatch.setattr("spatialhist.tl._data.samples.ROWS", 500)
    monkeypatch.setattr("spatialhist.tl._predictors.networks.HELD_BYTES", 0)
    # what is imported on the way is no feature
    run_fit(Fit(model, ("g0",), (0, 1, 2), tmp_path / "first", seed=0, threads=1), many_features)
    fit = Fit(model, ("g0",), (0, 1, 2), tmp_path / "fit", seed=0, threads=1)
    tracemalloc.start()
    try:
        run_fit(fit, many_features)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    # all blocks of the training spots take 61 MB, six of them 23, and twice that with standardized ones beside them
    assert peak < most_mb
    rows, predicted = fit.result()
    truth = np.load(many_features / "values.npy")[rows, :3]
    assert min(np.corrcoef(p, t)[0, 1] for p, t in zip(predicted.T, truth.T, strict=True)) > 0.3

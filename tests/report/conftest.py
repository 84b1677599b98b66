"""A finished run made up without fitting anything: report and pictures only read what a run leaves behind."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

matplotlib.use("Agg")

EVIL = "<script>alert(1)</script>"
FORMULA = "$\\frac{1}{$\x1b[2J\u202e"
"""No formula that matplotlib can draw, and what a terminal would execute."""


@pytest.fixture(autouse=True)
def no_figures():
    """Examples of docstrings leave figures open."""
    plt.close("all")


@pytest.fixture(scope="session")
def sdata():
    """Three slides of three patients with a stacked prediction; two genes have names that must be escaped."""
    import spatialhist as sh
    from spatialhist._sdata.layers import record

    sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 380), n_genes=8, seed=0)
    table, rng = sdata["table"], np.random.default_rng(0)
    table.var_names = [EVIL, FORMULA, *table.var_names[2:]]
    sh.pp.mask_background(sdata)
    sh.pp.normalize_stain(sdata, slides=["S1", "S2"])
    sh.pp.filter_spots(sdata, drop=False)
    sh.pp.log_normalize(sdata)
    truth = table.layers["log1p"].toarray()
    groups = {"target": "log1p", "slides": ["S1", "S2", "S3"], "groups": ["P1", "P2", "P3"]}
    for layer, name, kind, share in (
        ("oof", "stack_nnls", "stack", 0.6),
        ("oof_ridge", "ridge", "model", 0.5),
        ("oof_baseline_mean", "baseline_mean", "baseline", 0),
    ):
        noise = rng.normal(size=truth.shape) * (share > 0)
        table.layers[layer] = (truth.mean(axis=0) + share * (truth - truth.mean(axis=0)) + noise).astype(np.float32)
        table.layers[layer][(table.obs["region"] == "S3").to_numpy(), 0] = np.nan
        record(table, layer, {"step": "cross_validate", "predictor": name, "kind": kind, **groups})
    return sdata


@pytest.fixture
def cv(sdata, tmp_path):
    """A run of the test's own."""
    return make_run(sdata, tmp_path / "run & more")


def make_run(sdata, folder):
    """Two models; the gene with the bad name is missing in one panel."""
    from spatialhist.tl import CrossValidation, KernelRidge, Ridge
    from spatialhist.tl._runs.manifest import Manifest

    slides = {f"S{i}": {"group": f"P{i}", "spots": 20 + i, "pixels": ""} for i in (1, 2, 3)}
    design = {"encoder": "color_texture", "pixels": 64, "image": "full", "extents": [["um", 75.0], ["pitch", 3.0]]}
    design["tile_extent"] = ["pitch", 3.0]
    models = [
        {"class": "Ridge", "name": "ridge", "standardized": True},
        {"class": "KernelRidge", "name": "kernel_ridge"},
    ]
    manifest = {
        "what": "cross-validation",
        "version": "0.1.0",
        "identity": {
            "models": models,
            "baselines": [],
            "layer": "log1p",
            "design": design,
            "seed": 7,
            "threads": 1,
            "groups": ["P1", "P2", "P3"],
            "panels": {"P1": list(range(8)), "P2": list(range(8)), "P3": list(range(1, 8))},
        },
        "slides": slides,
        "ranking": None,
        "genes": list(sdata["table"].var_names),
        "command": "spatialhist run <data> --out run",
    }
    folder.mkdir()
    return CrossValidation(folder, Manifest.from_json(manifest), (Ridge(), KernelRidge()), ())


@pytest.fixture
def stack(cv):
    return make_stack(cv)


def make_stack(cv):
    """Weights that differ between groups."""
    from spatialhist.tl import Stack
    from spatialhist.tl._predictors.combiners import NonNegative, Weights

    def weights(first, second):
        return Weights(np.array([[first] * 8, [second] * 8]), np.zeros(8), 0.3)

    by_group = {"P1": weights(0.75, 0.25), "P2": weights(0.5, 0.5), "P3": weights(1.0, 0.0)}
    return Stack(cv, NonNegative(), by_group, weights(0.625, 0.375))


@pytest.fixture(scope="session")
def scores(sdata):
    import spatialhist as sh

    return sh.tl.evaluate(sdata)


@pytest.fixture(scope="session")
def path(sdata, scores, tmp_path_factory):
    """A report with everything in it; drawing it takes a while."""
    import spatialhist as sh

    cv = make_run(sdata, tmp_path_factory.mktemp("report") / "run & more")
    return sh.report.write(sdata, cv, stack=make_stack(cv), scores=scores)


@pytest.fixture
def no_pictures(monkeypatch):
    """Write pages without drawing."""
    from spatialhist.report._page import gene_maps
    from spatialhist.report._page import pictures as _pictures

    one = _pictures.Picture("data:image/webp;base64,", "a picture")
    empty = {"scores": one, "alignment": [], "stain": [], "gene_scores": None, "training": None} | {"calibration": None}
    monkeypatch.setattr(_pictures, "collect", lambda *_: empty)
    monkeypatch.setattr(gene_maps, "collect", lambda *_: {"tissues": [], "genes": {}, "stops": []})

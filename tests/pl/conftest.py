"""A small cohort with made-up predictions, a score table, and no figure left open."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def cohort():
    """Slides S1 to S3 with a spot spacing of 100 um at 2 um/px, taller than wide, with predictions of ``log1p``."""
    import spatialhist as sh
    from spatialhist._sdata.layers import record

    sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 380), n_genes=12, seed=0)
    sh.pp.mask_background(sdata)
    sh.pp.log_normalize(sdata)
    table, rng = sdata["table"], np.random.default_rng(0)
    truth = table.layers["log1p"].toarray()
    table.layers["predicted"] = (0.5 * truth + rng.normal(size=truth.shape)).astype(np.float32)
    record(table, "predicted", {"step": "predict", "predictor": "ridge", "kind": "model", "target": "log1p"})
    return sdata


@pytest.fixture
def scores():
    """Two groups of one and two slides; three genes; a stack, a model, a baseline and the noise ceiling."""
    rows = []
    kinds = {"stack": "stack", "ridge": "model", "baseline_mean": "baseline", "noise_ceiling": "oracle"}
    level = {"stack": 0.5, "ridge": 0.4, "baseline_mean": 0.0, "noise_ceiling": 0.9}
    for name, kind in kinds.items():
        for group, slide, shift in (("P1", "S1", 0.1), ("P2", "S2", -0.1), ("P2", "S3", 0.0)):
            for gene, more in (("A", 0.05), ("B", 0.0), ("C", -0.05)):
                value = level[name] + (shift + more) * (kind != "baseline")
                rows.append((name, kind, group, slide, gene, "pearson", value, 40))
                rows.append((name, kind, group, slide, gene, "pearson_beyond_depth", value / 2, 40))
        rows.append((name, kind, "all", "all", "", "pooled_pearson", 0.7, 120))
    return pd.DataFrame(rows, columns=["predictor", "kind", "group", "slide", "target", "metric", "value", "n"])

"""Scores of a small cohort, pinned. ``python tests/support/golden.py`` writes them anew after a change that is meant."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from small_cohorts import FAST, draw_cohort

import spatialhist as sh

PINNED = Path(__file__).parents[1] / "robustness" / "golden.json"
METRICS = ("pearson", "pearson_beyond_depth", "spot_spearman", "rmse")


def scores() -> dict[str, float]:
    """Mean of every metric over slides, of named models, their stack and the baselines; defaults play no part."""
    from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge

    sdata = draw_cohort(1, signal=0.8, n_slides=3, n_genes=10)
    models = [
        Ridge(components=6, blocks="all"),
        KernelRidge(components=6, landmarks=60, standardized=True, blocks="all"),
        FeatureNetwork(members=1, epochs=5, batch=32, dim=8, accelerator="cpu"),
    ]
    cv = sh.tl.cross_validate(sdata, models=models, genes=6, groups="patient", **FAST)
    sh.tl.stack(sdata, cv)
    found = sh.tl.evaluate(sdata, oracles=False)
    means = found[found["slide"] != "all"].groupby(["predictor", "metric"])["value"].mean()
    return {f"{p} {m}": round(float(v), 4) for (p, m), v in means.items() if m in METRICS}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    PINNED.write_text(json.dumps(scores(), indent=1, sort_keys=True) + "\n")

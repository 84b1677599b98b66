"""The honesty rules once more, under every option that changes what models look at or what they predict."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import FeatureNetwork, Ridge

HELD = "P2"


class Colors(torch.nn.Module):
    """An encoder with weights: two mixtures of the channels, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Conv2d(3, 2, 1)
        torch.nn.init.constant_(self.mix.bias, 0.0)
        torch.nn.init.normal_(self.mix.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        return self.mix(tiles.float()).mean(dim=(2, 3))


OPTIONS = {
    "ranks": {"layer": "ranks"},
    "Pearson residuals": {"layer": "pearson_residuals"},
    "depth regressed out": {"layer": "log1p_beyond_depth"},
    "smoothed ranks": {"layer": "ranks_smooth"},
    "named genes": {"genes": ["G1", "G5", "G7", "G11"]},
    "slides as groups": {"groups": "slide"},
    "stain-normalized": {"image": "normalized"},
    "the default encoder": {"encoder": "color_texture", "pixels": 16},
    "a module": {"encoder": Colors()},
    "context": {"context": [("px", 15.0), ("px", 40.0)]},
    "one extent": {"extents": [("px", 30.0)]},
}


def run(sdata, out, **options):
    """Two models that differ in whether they look at standardized features, and their stack."""
    models = [Ridge(components=4), FeatureNetwork(standardized=False, epochs=1, dim=4, members=2, loss="mse_pearson")]
    cv = sh.tl.cross_validate(
        sdata, models=models, out=out, **{**FAST, "genes": 8, "groups": "patient", "threads": 1, **options}
    )
    sh.tl.stack(sdata, cv)
    return cv


def draw(change: str | None = None):
    """Three prepared slides, with the labels or the pixels of the held-out one replaced."""
    sdata = draw_cohort(1, n_slides=3, signal=0.8)
    table = sdata["table"]
    if change == "labels":
        rows = (table.obs["patient"] == HELD).to_numpy()
        counts = table.X.toarray()
        counts[rows] = np.random.default_rng(9).poisson(5, (rows.sum(), 12)) + 300 * (np.arange(12) > 8)
        table.X = csr_matrix(counts.astype(np.float32))
    elif change == "pixels":
        image = sdata.images["S2_full_image"]
        image.data = 255 - image.data
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata, scale="unit")
    sh.pp.pearson_residuals(sdata)
    sh.pp.regress_depth(sdata)
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="ranks")
    sh.pp.normalize_stain(sdata, method="reinhard")
    return sdata


def held_out(sdata, layer):
    return sdata["table"].layers[layer][(sdata["table"].obs["patient"] == HELD).to_numpy()]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_held_out_does_not_reach_its_fold(name, tmp_path):
    drawn = {change: draw(change) for change in (None, "labels", "pixels")}
    runs = {change: run(sdata, tmp_path / str(change), **OPTIONS[name]) for change, sdata in drawn.items()}
    layers = ("oof_ridge", "oof_mlp", "oof")
    for layer in layers:
        before, after = (held_out(drawn[change], layer) for change in (None, "labels"))
        assert np.isfinite(before).any()
        assert before.tobytes() == after.tobytes(), f"labels reach {layer}"
        whole = (drawn[change]["table"].layers[layer].tobytes() for change in (None, "labels"))
        assert len(set(whole)) == 2, "the labels that were replaced reach nothing at all"
    held = next(g for g in runs[None].groups if g in (HELD, "S2"))
    for predictor in runs[None].models + runs[None].baselines:
        folders = [runs[change].outer()[held, predictor.name].folder for change in (None, "pixels")]
        weights = [(f / "model.safetensors").read_bytes() for f in folders]
        assert weights[0] == weights[1], f"pixels reach the fold of {predictor.name}"
    assert held_out(drawn[None], "oof").tobytes() != held_out(drawn["pixels"], "oof").tobytes()

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page.selection import collect

OPTIONS = {**FAST, "models": sh.tl.Ridge(components=4)}


def test_a_run_and_its_card_hold_what_was_selected(tmp_path):
    sdata = draw_cohort(1, signal=0.8)
    sdata["table"].obs["patient"] = sdata["table"].obs["region"].map({"S1": "A", "S2": "A", "S3": "B", "S4": "C"})
    sdata["table"].obs["spot_qc"] = np.where(np.arange(4 * 96) < 10, "low_activity", "ok")
    with pytest.warns(UserWarning, match="into several groups"):
        sh.tl.cross_validate(sdata, genes=["G1", "G4"], always="G2", groups="slide", slides=["S1", "S2", "S3"], out=tmp_path / "run", **OPTIONS)  # fmt: skip
    cv = sh.tl.load(tmp_path / "run")
    assert cv.manifest.selection == cv.card()["selection"]
    assert cv.manifest.selection == {
        "told": [],
        "genes": "2 named by the caller, not chosen inside the folds",
        "always": ["G2"],
        "groups": "slide",
        "patients_in_several_groups": ["A"],
        "slides_left_out": ["S4"],
        "spots_left_out": {"S1": 10},
        "steps": {},
    }


def test_thresholds_of_earlier_steps_are_kept(tmp_path):
    sdata = draw_cohort(1, n_slides=3)
    sh.pp.filter_spots(sdata, min_counts=30, min_tissue=0.0)
    sh.pp.select_genes(sdata, n=9, subset=True)
    cv = sh.tl.cross_validate(sdata, genes=4, groups="patient", out=tmp_path / "run", **OPTIONS)
    assert cv.manifest.selection["genes"] == "4 of the highest mean, chosen in each fold on its training slides"
    steps = cv.manifest.selection["steps"]
    assert steps["filter_spots"]["min_counts"] == 30 and steps["select_genes"]["n"] == 9


def test_what_is_told_of_a_layer_is_warned_of_and_kept(tmp_path):
    sdata = draw_cohort(1, n_slides=3)
    values = sdata["table"].layers["log1p"].toarray()
    sdata["table"].layers["scaled"] = (values - values.mean(axis=0)) / values.std(axis=0)
    with pytest.warns(UserWarning, match="'scaled' was made outside .* over all slides is 0") as caught:
        cv = sh.tl.cross_validate(sdata, layer="scaled", genes=4, groups="patient", out=tmp_path / "run", **OPTIONS)
    assert cv.manifest.selection["told"] == [str(w.message) for w in caught if "scaled" in str(w.message)]


def test_an_encoder_with_weights_of_unknown_training_is_told(tmp_path):
    sdata = draw_cohort(1, n_slides=3)
    weights = torch.tensor([[0.3, -1.2], [0.7, 0.1], [0.2, 0.5]])

    def learned(tiles):
        return tiles.float().mean(dim=(2, 3)) @ weights

    def hidden(tiles):
        return tiles.float().mean(dim=(2, 3)) @ weights

    hidden.fingerprint = "1"
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 8), torch.nn.Flatten())
    of_network = sh.nn.FrozenEncoder(network, prepare=lambda tiles: tiles[..., :8, :8] / 255)
    options = {**OPTIONS, "genes": 4, "groups": "patient"}
    for encoder in (learned, hidden, of_network):
        with pytest.warns(UserWarning, match="what its weights were fitted on is not recorded") as caught:
            cv = sh.tl.cross_validate(sdata, out=tmp_path / "run", overwrite=True, **(options | {"encoder": encoder}))
        assert cv.manifest.selection["told"] == [str(w.message) for w in caught if "trained_on=" in str(w.message)]
    hash_before = sh.nn.encoder_fingerprint(learned)
    learned.trained_on = "nothing"
    assert sh.nn.encoder_fingerprint(learned) == hash_before
    for encoder in (learned, sh.nn.FrozenEncoder(network, prepare=of_network.prepare, trained_on="ImageNet")):
        cv = sh.tl.cross_validate(sdata, out=tmp_path / "run", overwrite=True, **(options | {"encoder": encoder}))
        assert cv.manifest.selection["told"] == []
        assert cv.manifest.selection["encoder_trained_on"] == encoder.trained_on
        shown = dict(collect(open_cohort(sdata), cv, sh.tl.evaluate(sdata, oracles=False)).rows)
        assert shown["what the encoder says it was trained on"] == encoder.trained_on


def test_genes_chosen_by_their_own_scores_are_told():
    sdata = draw_cohort(1, signal=0.8)
    sh.tl.cross_validate(sdata, genes=12, groups="patient", **OPTIONS)
    scores = sh.tl.evaluate(sdata, oracles=False).query("metric == 'pearson' and predictor == 'ridge'")
    best = list(scores.groupby("target")["value"].mean().nlargest(3).index)
    with pytest.warns(UserWarning, match="the 3 genes that are named were predicted better by an earlier run"):
        sh.tl.cross_validate(sdata, genes=best, groups="patient", **OPTIONS)


def test_the_size_that_bins_were_pooled_to_is_kept(tmp_path):
    sdata = draw_cohort(1, n_slides=3)
    sh.pp.pool_spots(sdata, ("um", 90))
    sh.pp.log_normalize(sdata, table_key="pooled")
    cv = sh.tl.cross_validate(
        sdata, genes=4, groups="patient", table_key="pooled", out=tmp_path / "run", **{**OPTIONS, "progress": False}
    )
    assert cv.manifest.selection["pooled"] == {"S1": "90 um", "S2": "90 um", "S3": "90 um"}
    scores = sh.tl.evaluate(sdata, table_key="pooled")
    rows = dict(collect(open_cohort(sdata, table_key="pooled"), cv, scores).rows)
    assert rows["spots pooled from bins or cells"] == "S1 to 90 um, S2 to 90 um, S3 to 90 um"

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.layers import get_dense_layer

KEYS = ["slide", "target", "metric"]
OPTIONS = {k: v for k, v in FAST.items() if k != "encoder"}


def red(tiles):
    """One feature."""
    return tiles.float().flatten(2).mean(dim=2)[:, :1]


red.fingerprint = "red"


def frame(sdata, values):
    table = sdata["table"]
    return pd.DataFrame(np.asarray(values, np.float32), table.obs_names, table.var_names)


def truth_of(sdata):
    return get_dense_layer(sdata["table"], "log1p")


def noisy(sdata, seed=0):
    return truth_of(sdata) + np.random.default_rng(seed).normal(size=sdata["table"].shape)


def of(scores, predictor):
    rows = scores[(scores["predictor"] == predictor) & (scores["slide"] != "all")]
    return rows.set_index(KEYS)["value"].sort_index()


@pytest.fixture
def small():
    """Three slides of five genes."""
    return draw_cohort(2, n_slides=3, n_genes=5, signal=0.8)


@pytest.fixture(scope="module")
def stacked(finished, tmp_path_factory):
    """Our own stack, written to CSV by slide and barcode and read back."""
    sdata, cv, _ = finished
    table = sdata["table"]
    path = tmp_path_factory.mktemp("stack") / "ours.csv"
    modeled = np.isfinite(table.layers["oof"]).any(axis=0)
    values = pd.DataFrame(table.layers["oof"][:, modeled], table.obs_names, table.var_names[modeled])
    values.sample(frac=1, random_state=0).to_csv(path)
    before = list(table.layers)
    return sdata, before, sh.tl.benchmark(sdata, {"read_back": path, "stack": "oof"}, **FAST)


def test_our_stack_read_back_has_the_same_scores(stacked):
    sdata, _, bench = stacked
    ours = of(bench.scores, "read_back")
    assert (ours == of(bench.scores, "stack")).all()
    alone = of(sh.tl.evaluate(sdata, layers=["oof"]), "stack_nnls")
    shared = ours.index.intersection(alone.index)
    assert len(shared) == len(alone)
    assert (ours[shared] == alone[shared]).all()


def test_notes_tell_what_is_known_of_the_training(stacked):
    _, _, bench = stacked
    assert "read_back: whether these slides, or others of their patients, were in its training cannot be known" in repr(
        bench
    )
    assert "stack: out-of-fold predictions of run" in repr(bench)


def test_object_gets_the_joined_layer_alone(stacked):
    sdata, before, _ = stacked
    table = sdata["table"]
    assert sorted(table.layers) == sorted([*before, "read_back"])
    assert table.uns["spatialhist"]["oof"]["step"] == "stack"
    np.testing.assert_array_equal(table.layers["read_back"], table.layers["oof"])


def test_later_evaluations_do_not_score_it_unasked(stacked):
    sdata, _, _ = stacked
    assert "read_back" not in set(sh.tl.evaluate(sdata)["predictor"])


def of_levels():
    """Three slides of five genes, one of which is counted 20 times as often as another."""
    sdata = draw_cohort(2, n_slides=3, n_genes=5, signal=0.8)
    sdata["table"].X = csr_matrix(sdata["table"].X.multiply([1, 2, 5, 10, 20]))
    sh.pp.log_normalize(sdata)
    return sdata


@pytest.fixture(scope="module")
def several():
    """Predictions of known worth in one table, on genes of different levels; nothing is missing in any of them."""
    sdata = of_levels()
    table = sdata["table"]
    truth, depth = truth_of(sdata), np.log(np.asarray(table.X.sum(axis=1)).reshape(-1, 1))
    right = frame(sdata, truth)
    predictions = {
        "mine": frame(sdata, noisy(sdata)),
        "right": right,
        "twice": 2 * right,
        "profile": frame(sdata, np.tile(truth.mean(axis=0), (len(truth), 1))),
        "depth": frame(sdata, np.tile(depth, 5)),
        "shuffled": right.sample(frac=1, random_state=0).set_axis(right.index),
    }
    return sdata, predictions, sh.tl.benchmark(sdata, predictions, **FAST)


def by_hand(sdata, predicted):
    """Within-slide Pearson, mean over genes and slides."""
    truth, slides = truth_of(sdata), np.arange(288).reshape(3, 96)
    return np.mean([[stats.pearsonr(truth[s, g], predicted[s, g])[0] for g in range(5)] for s in slides])


def test_headline_by_hand(several):
    sdata, predictions, bench = several
    for name in ("mine", "depth", "shuffled"):
        found = bench.summary.loc[name, "pearson"]
        assert found == pytest.approx(by_hand(sdata, predictions[name].to_numpy()), abs=1e-5)


def test_constant_predictor_of_every_gene_scores_zero(several):
    summary, scores = several[2].summary, several[2].scores
    assert summary.loc["profile", "pearson"] == 0
    assert np.isnan(summary.loc["profile", "slope"])
    assert sh.tl.summarize(scores, metric="spot_spearman").loc["profile", "mean"] > 0.9


def test_depth_alone_is_nothing_beyond_depth(several):
    summary = several[2].summary
    if "pearson_beyond_depth" in summary:
        assert abs(summary.loc["depth", "pearson_beyond_depth"]) < 0.02


def test_shuffled_barcodes_score_nothing(several):
    summary = several[2].summary
    assert summary.loc["right", "pearson"] == pytest.approx(1)
    assert abs(summary.loc["shuffled", "pearson"]) < 0.06


def test_calibration_shows_exaggerated_differences(several):
    summary = several[2].summary
    assert summary.loc["right", ["slope", "variance_ratio"]].tolist() == pytest.approx([1, 1], abs=1e-4)
    assert summary.loc["twice", ["slope", "variance_ratio"]].tolist() == pytest.approx([0.5, 4], abs=1e-3)


def test_baselines_are_those_of_a_cross_validation(several):
    _, _, bench = several
    other = of_levels()
    sh.tl.cross_validate(other, models="ridge", genes=[f"G{i}" for i in range(5)], **FAST)
    alone = sh.tl.evaluate(other)
    for name in ("ridge", "baseline_position", "baseline_color", "control_permuted"):
        assert (of(bench.scores, name).drop("slope", level="metric") == of(alone, name)).all()
    assert set(alone["predictor"]) < set(bench.scores["predictor"])


def test_compares_with_a_baseline(several):
    scores = several[2].scores
    assert "mine is better than baseline_mean in 3 of 3" in repr(sh.tl.compare(scores, "mine", "baseline_mean"))


def test_missing_spots_and_genes_are_missing_for_all(small):
    values = frame(small, noisy(small)).iloc[10:, :4]
    with pytest.warns(UserWarning) as caught:
        bench = sh.tl.benchmark(small, {"part": values}, **FAST)
    told = " ".join(str(w.message) for w in caught)
    assert "part: no prediction of 10 of 96 spots of slide 'S1'" in told
    assert "part: no prediction of 10 of 96 spots of slide 'S1'" in repr(bench)
    pearson = bench.scores[(bench.scores["metric"] == "pearson") & (bench.scores["slide"] == "S1")]
    assert set(pearson["n"]) == {86}
    assert set(pearson["target"]) == {"G0", "G1", "G2", "G3"}
    assert {"part", "ridge", "baseline_mean", "noise_ceiling"} <= set(pearson["predictor"])


def test_encoders_in_one_table(small, tmp_path):
    encoders = {"color": FAST["encoder"], "red": red}
    bench = sh.tl.benchmark(small, encoders=encoders, genes=4, out=tmp_path / "runs", **OPTIONS)
    found = set(bench.scores.loc[bench.scores["kind"] != "oracle", "predictor"])
    assert {"ridge@color", "ridge@red", "baseline_mean", "baseline_position", "baseline_color"} <= found
    assert {"control_permuted@color", "control_permuted@red"} <= found
    assert "baseline_mean@color" not in found
    assert list(small["table"].layers) == ["log1p"]
    assert sh.tl.load(tmp_path / "runs" / "red").manifest.genes == bench.runs["red"].genes
    sh.tl.cross_validate(small, models="ridge", genes=4, encoder=red, **OPTIONS)
    alone = of(sh.tl.evaluate(small), "ridge")
    assert (of(bench.scores, "ridge@red").drop("slope", level="metric") == alone).all()


def test_goes_on_where_it_stopped(small, tmp_path, monkeypatch):
    first = sh.tl.benchmark(small, genes=4, out=tmp_path / "run", **FAST)
    monkeypatch.setattr(sh.tl.Ridge, "fit", lambda self, samples, *, seed, scratch: pytest.fail("fitted again"))
    again = sh.tl.benchmark(small, genes=4, out=tmp_path / "run", **FAST)
    pd.testing.assert_frame_equal(first.scores, again.scores)


def test_files_in_a_list_go_by_their_names_and_other_units_have_no_calibration(small, tmp_path):
    frame(small, 9 * truth_of(small)).to_csv(tmp_path / "deep model.v2.csv")
    summary = sh.tl.benchmark(small, [str(tmp_path / "deep model.v2.csv")], same_units=False, **FAST).summary
    assert summary.loc["deep_model", "pearson"] == pytest.approx(1)
    assert summary.loc["deep_model", ["slope", "rmse"]].isna().all()
    assert summary.loc["ridge", ["slope", "rmse"]].notna().all()


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ({"mine": np.zeros((3, 4))}, ValueError, r"'mine' is an array of shape \(3, 4\), the table has \(288, 5\)"),
        ({"mine": "none.csv"}, FileNotFoundError, "there is neither a layer nor a file 'none.csv'"),
        ({"ridge": np.zeros((288, 5))}, ValueError, "'ridge' is the name of a model, baseline or reference"),
        ({"log1p": np.zeros((288, 5))}, ValueError, "would replace the layer 'log1p': choose another name"),
        ({"my model": np.zeros((288, 5))}, ValueError, "key_added='my model' must hold only letters"),
        ([np.zeros((288, 5))], TypeError, "layers= holds a ndarray without a name: pass a dictionary"),
        ({"mine": np.full((288, 5), np.nan)}, ValueError, "no gene of a measured spot is predicted by all of layers="),
    ],
)
def test_bad_predictions_leave_everything_as_it_was(small, layers, error, message):
    with pytest.raises(error, match=message):
        sh.tl.benchmark(small, layers, **FAST)
    assert list(small["table"].layers) == ["log1p"]


def test_bad_encoders(small):
    for encoders, message in (
        ({}, "encoders={} names none"),
        ({"a/b": red}, "encoders= has the name 'a/b'"),
    ):
        with pytest.raises(ValueError, match=message):
            sh.tl.benchmark(small, encoders=encoders, **OPTIONS)
    with pytest.raises(ValueError, match="encoders= and encoder= are both given"):
        sh.tl.benchmark(small, encoders={"red": red}, **FAST)


def test_refuses_predictions_of_slides_that_a_model_was_fitted_on(small):
    model = sh.tl.fit(small, models="ridge", genes=4, **FAST)
    sh.tl.predict(small, model, allow_training=True, encoder=FAST["encoder"], progress=False)
    with pytest.raises(ValueError, match="was fitted on the labels of slides"):
        sh.tl.benchmark(small, ["predicted"], **FAST)

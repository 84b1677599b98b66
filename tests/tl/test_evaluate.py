from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.sparse import csr_matrix
from small_cohorts import draw_cohort

import spatialhist as sh
from spatialhist._sdata.layers import record
from spatialhist.tl._scores.metrics import METRICS

MINE = {"step": "cross_validate", "target": "log1p", "predictor": "mine", "kind": "model"}


def add(sdata, layer, values, **entry):
    table = sdata["table"]
    table.layers[layer] = np.asarray(values, dtype=np.float32)
    record(table, layer, MINE | {"slides": ["S1", "S2"], "groups": ["a", "b"]} | entry)


@pytest.fixture
def toy():
    """Two slides, four genes, a noisy prediction ``oof_mine``."""
    sdata = draw_cohort(5, n_slides=2, n_genes=4, signal=0.5)
    truth = sdata["table"].layers["log1p"].toarray()
    add(sdata, "oof_mine", truth + np.random.default_rng(0).normal(size=truth.shape))
    return sdata


def value(scores, metric="pearson", **where):
    part = scores[scores["metric"] == metric]
    for column, wanted in where.items():
        part = part[part[column] == wanted]
    assert len(part) == 1
    return part["value"].item()


def test_headline_by_hand(toy):
    table = toy["table"]
    truth, predicted = table.layers["log1p"].toarray(), table.layers["oof_mine"]
    scores = sh.tl.evaluate(toy, oracles=False)
    assert list(scores.columns) == ["predictor", "kind", "group", "slide", "target", "metric", "value", "n"]
    means = {}
    for slide, rows in (("S1", slice(0, 96)), ("S2", slice(96, 192))):
        each = [stats.pearsonr(truth[rows, g], predicted[rows, g])[0] for g in range(4)]
        for g in range(4):
            assert value(scores, slide=slide, target=f"G{g}") == pytest.approx(each[g], abs=1e-6)
        means[slide] = np.mean(each)
    summary = sh.tl.summarize(scores)
    assert summary.loc["mine", ["a", "b"]].tolist() == pytest.approx(list(means.values()), abs=1e-6)
    assert summary.loc["mine", "mean"] == pytest.approx(np.mean(list(means.values())), abs=1e-6)
    pooled = np.mean([stats.pearsonr(truth[:, g], predicted[:, g])[0] for g in range(4)])
    assert value(scores, "pooled_pearson", slide="all") == pytest.approx(pooled, abs=1e-6)
    assert set(scores["n"]) == {96, 192}


def test_constant_predictions_score_zero(toy):
    add(toy, "oof_flat", np.full((192, 4), 3.0), predictor="flat", kind="baseline")
    scores = sh.tl.evaluate(toy, oracles=False)
    assert sh.tl.summarize(scores).loc["flat", "mean"] == 0
    assert sh.tl.summarize(scores).loc["mine", "wins"] == "2/2"


def test_what_was_not_predicted_or_not_measured_is_not_scored(toy):
    table = toy["table"]
    table.layers["oof_mine"][:, 1] = np.nan
    table.layers["oof_mine"][96:100] = np.nan
    flags = table.varm["measured"].copy()
    flags.loc["G3", "S1"] = False
    table.varm["measured"] = flags
    scores = sh.tl.evaluate(toy, oracles=False)
    scores = scores[scores["metric"] == "pearson"]
    found = {s: sorted(part["target"]) for s, part in scores.groupby("slide")}
    assert found == {"S1": ["G0", "G2"], "S2": ["G0", "G2", "G3"]}
    assert set(scores.loc[scores["slide"] == "S2", "n"]) == {92}


def test_slides_without_measurements_are_skipped(toy):
    toy["table"].obs["measured"] = (toy["table"].obs["region"] == "S2").to_numpy()
    scores = sh.tl.evaluate(toy, oracles=False)
    assert set(scores["slide"]) == {"S2", "all"}


def test_spots_of_few_counts_are_not_scored(toy):
    depth = np.asarray(toy["table"].X.sum(axis=1)).ravel()
    limit = int(np.sort(depth[:96])[10])
    scores = sh.tl.evaluate(toy, oracles=False, min_counts=limit)
    assert value(scores[["metric", "slide", "target", "value", "n"]], slide="S1", target="G0") is not None
    assert set(scores.loc[scores["slide"] == "S1", "n"]) == {int((depth[:96] >= limit).sum())}
    with pytest.raises(ValueError, match="no measured spot of slides .* has 1000000 counts: lower min_counts"):
        sh.tl.evaluate(toy, min_counts=1_000_000)


def test_abundances_are_scored_whatever_their_sum(toy):
    toy["table"].X = csr_matrix(toy["table"].X * 0.001)
    assert set(sh.tl.evaluate(toy, oracles=False, min_counts=10**9)["n"]) == {96, 192}


def test_oracles_are_those_of_what_is_predicted_whichever_layer_comes_first(toy):
    sh.pp.spot_distances(toy)
    expected = sh.tl.evaluate(toy).query("kind == 'oracle'").reset_index(drop=True)
    table = toy["table"]
    held = table.layers.pop("oof_mine")
    add(toy, "oof_nothing", np.full((192, 4), np.nan), predictor="nothing", kind="baseline")
    table.layers["oof_mine"] = held
    found = sh.tl.evaluate(toy).query("kind == 'oracle'").reset_index(drop=True)
    assert len(expected) > 10
    pd.testing.assert_frame_equal(found, expected)


def test_oracles_stand_apart(toy):
    sh.pp.spot_distances(toy)
    scores = sh.tl.evaluate(toy)
    kinds = scores.groupby("predictor")["kind"].unique().explode()
    assert kinds.to_dict() == {
        "mine": "model", "oracle_depth": "oracle", "oracle_neighbors": "oracle", "noise_ceiling": "oracle",
    }  # fmt: skip
    assert set(scores.loc[scores["predictor"] == "noise_ceiling", "metric"]) == {
        "pearson",
        "pearson_beyond_depth",
    }
    table = sh.tl.summarize(scores)
    assert list(table["kind"]) == ["model", "oracle", "oracle", "oracle"]
    assert "oracle_neighbors" not in set(sh.tl.evaluate(toy, oracles=False)["predictor"])


def test_without_graph_and_counts_only_the_depth_oracle_is_left(toy):
    toy["table"].X = csr_matrix(toy["table"].X.toarray() + 0.5)
    oracles = sh.tl.evaluate(toy).query("kind == 'oracle'")
    assert set(oracles["predictor"]) == {"oracle_depth"}


def test_ranks_are_taken_again_within_what_was_predicted(toy):
    sh.pp.rank_expression(toy, layer="X", scale="raw")
    table = toy["table"]
    counts = table.X.toarray()[:, :3]
    ranks = stats.rankdata(counts, axis=1)
    predicted = np.full((192, 4), np.nan)
    predicted[:, :3] = ranks + np.random.default_rng(1).normal(size=ranks.shape)
    add(toy, "oof_ranks", predicted, target="ranks", predictor="ranker")
    scores = sh.tl.evaluate(toy, truth="ranks", oracles=False)
    expected = stats.pearsonr(ranks[:96, 1], table.layers["oof_ranks"][:96, 1])[0]
    assert value(scores, slide="S1", target="G1") == pytest.approx(expected, abs=1e-6)
    assert set(scores["predictor"]) == {"ranker"}


def test_smoothed_truth_is_refused(toy):
    sh.pp.spot_distances(toy)
    sh.pp.smooth_expression(toy, layer="log1p")
    with pytest.raises(ValueError, match="layer 'log1p_smooth' was smoothed"):
        sh.tl.evaluate(toy, truth="log1p_smooth")


def test_layers_are_chosen_by_what_they_predict(toy):
    add(toy, "oof", toy["table"].layers["oof_mine"])
    add(toy, "predicted", toy["table"].layers["oof_mine"], step="predict", predictor="used")
    toy["table"].layers["unknown"] = toy["table"].layers["oof_mine"]
    scores = sh.tl.evaluate(toy, oracles=False)
    assert set(scores["predictor"]) == {"mine"}
    assert (scores["metric"] == "pearson").sum() == 8
    assert set(sh.tl.evaluate(toy, layers="predicted", oracles=False)["predictor"]) == {"used"}
    assert set(sh.tl.evaluate(toy, layers=["unknown"], oracles=False)["predictor"]) == {"unknown"}


def test_layers_that_predict_something_else_are_refused(toy):
    with pytest.raises(KeyError, match="no layer predicts 'X'.*run sh.tl.cross_validate\\(sdata, layer='X'\\)"):
        sh.tl.evaluate(toy, truth="X")
    with pytest.raises(ValueError, match="layer 'oof_mine' predicts 'log1p', not 'X': pass truth='log1p'"):
        sh.tl.evaluate(toy, truth="X", layers=["oof_mine"])
    with pytest.raises(KeyError, match="no layer 'nothing'"):
        sh.tl.evaluate(toy, layers=["nothing"])


def test_predictions_in_ranks_get_no_score_in_units(toy):
    add(toy, "oof", toy["table"].layers["oof_mine"], predictor="stack_rank_mean", kind="stack", space="ranks")
    metrics = sh.tl.evaluate(toy, oracles=False).groupby("predictor")["metric"].unique()
    assert "rmse" in metrics["mine"]
    assert not {"rmse", "r2", "variance_ratio"} & set(metrics["stack_rank_mean"])


def test_a_layer_that_predicts_nothing_of_the_slides_has_no_scores(toy):
    add(toy, "oof_none", np.full((192, 4), np.nan), predictor="none")
    part = sh.tl.evaluate(toy, oracles=False).query("predictor == 'none'")
    assert part["metric"].tolist() == ["pooled_pearson"]
    assert part["value"].isna().all()


def test_slides_without_a_common_gene_have_no_pooled_score(toy):
    toy["table"].layers["oof_mine"][:96, :2] = np.nan
    toy["table"].layers["oof_mine"][96:, 2:] = np.nan
    assert np.isnan(value(sh.tl.evaluate(toy, oracles=False), "pooled_pearson", slide="all"))


def test_every_metric_by_name(toy):
    sh.pp.spot_distances(toy)
    found = set(sh.tl.evaluate(toy, metrics="all")["metric"])
    assert found == {*(m.name for m in METRICS), "spots_left_out", "spots_constant"}
    ceiling = sh.tl.evaluate(toy, metrics=["pearson", "reliability"])
    table = ceiling[ceiling["predictor"] == "noise_ceiling"].pivot(index="target", columns=["slide", "metric"])["value"]
    np.testing.assert_allclose(table["S1", "pearson"] ** 2, table["S1", "reliability"])
    assert set(sh.tl.evaluate(toy, metrics="nrmse", oracles=False)["metric"]) == {"nrmse"}
    with pytest.raises(ValueError, match="must be 'default', 'all', some of"):
        sh.tl.evaluate(toy, metrics="best")


def test_layers_of_an_earlier_run_are_not_scored_unless_named(toy):
    values = toy["table"].layers["oof_mine"]
    add(toy, "oof_new", values, predictor="new", run_id="b")
    add(toy, "oof_old", values, predictor="old", run_id="a")
    add(toy, "oof_other", values, predictor="other", target="X", run_id="a")
    record(toy["table"], "cross_validate", {"latest": {"log1p": "b", "X": "a"}})
    with pytest.warns(UserWarning, match=r"layers \['oof_old'\] are of an earlier run and not scored"):
        scores = sh.tl.evaluate(toy, oracles=False)
    assert set(scores["predictor"]) == {"mine", "new"}
    assert set(sh.tl.evaluate(toy, layers=["oof_old"], oracles=False)["predictor"]) == {"old"}


def test_predictions_of_a_model_that_has_seen_the_labels_are_refused(toy):
    add(toy, "predicted", toy["table"].layers["oof_mine"], step="predict", fitted_on_own_labels=["S2"])
    with pytest.raises(ValueError, match=r"'predicted' .* fitted on the labels of slides \['S2'\]"):
        sh.tl.evaluate(toy, layers="predicted")
    assert set(sh.tl.evaluate(toy, layers="predicted", slides="S1", oracles=False)["slide"]) == {"S1", "all"}


def test_groups_are_patients_where_the_layer_names_none(toy):
    toy["table"].layers["unknown"] = toy["table"].layers["oof_mine"]
    scores = sh.tl.evaluate(toy, layers=["unknown"], oracles=False)
    assert set(scores["group"]) == {"P1", "P2", "all"}


def test_counts_are_those_that_the_truth_was_made_from(toy):
    """Where X holds logarithms, as scanpy leaves it, limit, depth and ceiling come from the layer that was named."""
    sh.pp.spot_distances(toy)
    table = toy["table"]
    limit = int(np.median(np.asarray(table.X.sum(axis=1))))
    expected = sh.tl.evaluate(toy, min_counts=limit)
    table.layers["counts"] = table.X.copy()
    sh.pp.log_normalize(toy, layer="counts")
    table.X = table.layers["log1p"].copy()
    pd.testing.assert_frame_equal(sh.tl.evaluate(toy, min_counts=limit), expected)
    assert expected["n"].min() < 96


def test_layers_are_scored_on_the_spots_and_genes_that_all_of_them_predict(toy):
    """A model that keeps quiet where it would be wrong is no better for it."""
    truth, table = toy["table"].layers["log1p"].toarray(), toy["table"]
    gaps = table.layers["oof_mine"].copy()
    gaps[:30] = np.nan
    gaps[96:, 3] = np.nan
    add(toy, "oof_quiet", gaps, predictor="quiet")
    with pytest.warns(UserWarning, match=r"30 of 96 spots of slide 'S1' in 'oof_quiet'; 1 of 4 genes of slide 'S2'"):
        scores = sh.tl.evaluate(toy, oracles=False)
    rows = slice(30, 96)
    for name, values in (("mine", table.layers["oof_mine"]), ("quiet", gaps)):
        expected = stats.pearsonr(truth[rows, 1], values[rows, 1])[0]
        assert value(scores, predictor=name, slide="S1", target="G1") == pytest.approx(expected, abs=1e-6)
        part = scores[(scores["predictor"] == name) & (scores["metric"] == "pearson") & (scores["slide"] == "S2")]
        assert part["target"].tolist() == ["G0", "G1", "G2"]
    assert sh.tl.summarize(scores)["mean"].nunique() == 1


def test_a_layer_that_leaves_a_slide_out_does_not_take_it_from_the_others(toy, recwarn):
    gaps = toy["table"].layers["oof_mine"].copy()
    gaps[:96] = np.nan
    add(toy, "oof_quiet", gaps, predictor="quiet")
    scores = sh.tl.evaluate(toy, oracles=False)
    assert set(scores.loc[scores["predictor"] == "mine", "slide"]) == {"S1", "S2", "all"}
    assert not [w for w in recwarn if "all of them predict" in str(w.message)]


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_a_model_that_diverged_has_no_scores(toy, nothing):
    add(toy, "oof_mine", np.full((192, 4), nothing))
    with pytest.raises(ValueError, match=r"layers \['oof_mine'\] hold no finite prediction"):
        sh.tl.evaluate(toy, oracles=False)


def test_a_slide_of_few_spots_is_not_scored(toy):
    measured = np.ones(192, dtype=bool)
    measured[105:] = False
    toy["table"].obs["measured"] = measured
    with pytest.warns(UserWarning, match="a score needs 10 measured spots of 50 counts; there are 9 on slide 'S2'"):
        scores = sh.tl.evaluate(toy, oracles=False)
    assert set(scores["slide"]) == {"S1", "all"}
    with pytest.raises(ValueError, match="there are 9 on slide 'S2': lower min_counts"):
        sh.tl.evaluate(toy, slides="S2", oracles=False)


def of_depth(scores, predictor="mine"):
    """Values by slide and gene."""
    part = scores.query("metric == 'pearson_beyond_depth' and predictor == @predictor")
    return part.pivot(index="target", columns="slide", values="value")


def test_beyond_depth_by_hand(toy):
    table = toy["table"]
    truth, predicted = table.layers["log1p"].toarray(), table.layers["oof_mine"]
    depth = np.asarray(table.X.sum(axis=1)).ravel()
    found = of_depth(sh.tl.evaluate(toy, oracles=False))
    for slide, rows in (("S1", slice(0, 96)), ("S2", slice(96, 192))):
        design = np.vander(np.log1p(depth[rows]), 3)
        for g in range(4):
            left = [v - design @ np.linalg.lstsq(design, v)[0] for v in (truth[rows, g], predicted[rows, g])]
            assert found.loc[f"G{g}", slide] == pytest.approx(stats.pearsonr(*left)[0], abs=1e-5)


def test_what_depth_says_by_itself_is_nothing_beyond_it(toy):
    depth = np.log1p(np.asarray(toy["table"].X.sum(axis=1)))
    add(toy, "oof_deep", np.outer(depth, [1, -2, 3, 0.5]), predictor="deep")
    scores = sh.tl.evaluate(toy)
    assert (of_depth(scores, "deep") == 0).all(axis=None)
    assert (of_depth(scores, "oracle_depth") == 0).all(axis=None)
    ceilings = of_depth(scores, "noise_ceiling").to_numpy()
    assert ((ceilings >= 0) & (ceilings < 1)).all()
    assert ceilings[[0, 3]].min() > 0.7


def test_depth_is_that_of_counts_else_of_scanpy_else_what_is_named(toy):
    table = toy["table"]
    expected = of_depth(sh.tl.evaluate(toy, oracles=False))
    total = np.asarray(table.X.sum(axis=1)).ravel()
    table.obs["total_counts"], table.obs["other"] = total**2, np.arange(192.0)
    pd.testing.assert_frame_equal(of_depth(sh.tl.evaluate(toy, oracles=False)), expected)
    assert not np.allclose(of_depth(sh.tl.evaluate(toy, oracles=False, depth="other")), expected)
    table.layers["counts"] = table.X
    table.X = csr_matrix(table.X.multiply(1 / total[:, None]))
    pd.testing.assert_frame_equal(of_depth(sh.tl.evaluate(toy, oracles=False)), expected)
    del table.layers["counts"]
    table.obs["total_counts"] = total
    pd.testing.assert_frame_equal(of_depth(sh.tl.evaluate(toy, oracles=False)), expected)


def test_proportions_have_no_depth_and_the_column_says_so(toy):
    table = toy["table"]
    table.X = csr_matrix(table.X.multiply(1 / table.X.sum(axis=1)))
    with pytest.warns(UserWarning, match="pearson_beyond_depth is empty: no counts lie behind 'log1p'.*by depth="):
        scores = sh.tl.evaluate(toy, oracles=False)
    assert of_depth(scores).isna().all(axis=None)
    assert scores.query("metric == 'pearson'")["value"].notna().all()
    assert np.isnan(sh.tl.summarize(scores, metric="pearson_beyond_depth").loc["mine", "mean"])


def test_a_column_that_says_no_depth_is_refused(toy):
    with pytest.raises(KeyError, match="depth='molecules' is no column of obs, which has"):
        sh.tl.evaluate(toy, depth="molecules")
    toy["table"].obs["molecules"] = np.where(np.arange(192) < 189, 7.0, np.nan)
    with pytest.raises(ValueError, match=r"obs\['molecules'\] is missing.* in 3 of 96 measured spots of slide 'S2'"):
        sh.tl.evaluate(toy, depth="molecules")
    assert set(sh.tl.evaluate(toy, depth="molecules", slides="S1", oracles=False)["slide"]) == {"S1", "all"}


def test_depth_of_ranks_is_that_of_the_counts_behind_them(toy):
    sh.pp.rank_expression(toy, scale="raw")
    add(toy, "oof_ranks", toy["table"].layers["oof_mine"], target="ranks", predictor="ranker")
    assert of_depth(sh.tl.evaluate(toy, truth="ranks", oracles=False), "ranker").notna().all(axis=None)


GENE_SETS = {"low": ["G0", "G1", "ELSEWHERE"], "high": ["G3", "G4", "G5"]}


@pytest.fixture
def six():
    """Two slides, six genes, a noisy prediction ``oof_mine``."""
    sdata = draw_cohort(5, n_slides=2, n_genes=6, signal=0.5)
    truth = sdata["table"].layers["log1p"].toarray()
    add(sdata, "oof_mine", truth + np.random.default_rng(0).normal(size=truth.shape))
    return sdata


def test_gene_sets_stand_beside_random_sets_slide_by_slide(six):
    table = six["table"]
    truth, predicted = (v.astype(float) for v in (table.layers["log1p"].toarray(), table.layers["oof_mine"]))
    scores = sh.tl.evaluate(six, gene_sets=GENE_SETS, oracles=False)
    for slide, rows in (("S1", slice(0, 96)), ("S2", slice(96, 192))):
        for name, columns in (("low", [0, 1]), ("high", [3, 4, 5])):
            means = [
                stats.zscore(v[rows, columns[0] : columns[-1] + 1], axis=0).mean(axis=1) for v in (truth, predicted)
            ]
            where = {"slide": slide, "target": name}
            assert value(scores, "gene_set_pearson", **where) == pytest.approx(stats.pearsonr(*means)[0], abs=1e-6)
            assert value(scores, "gene_set_size", **where) == len(columns)
            single = [value(scores, slide=slide, target=f"G{c}") for c in columns]
            assert value(scores, "gene_set_single_genes", **where) == pytest.approx(np.mean(single))
            assert 0 <= value(scores, "gene_set_percentile", **where) <= 100
            depth = np.log1p(np.asarray(table.X[rows].sum(axis=1), float).ravel())
            design = np.column_stack([np.ones(96), depth, depth**2])
            left = [m - design @ np.linalg.lstsq(design, m, rcond=None)[0] for m in means]
            beyond = value(scores, "gene_set_pearson_beyond_depth", **where)
            assert beyond == pytest.approx(stats.pearsonr(*left)[0], abs=1e-6)
    random = sh.tl.summarize(scores, metric="gene_set_random_beyond_depth")
    assert np.isfinite(random.loc["mine", "mean"])


def test_gene_sets_change_no_other_score_and_baselines_have_them_too(six):
    add(six, "oof_flat", np.full((192, 6), 3.0), predictor="flat", kind="baseline")
    plain = sh.tl.evaluate(six, seed=3)
    scores = sh.tl.evaluate(six, gene_sets=GENE_SETS, seed=3)
    rest = scores[~scores["metric"].str.startswith("gene_set_")].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, plain)
    flat = sh.tl.summarize(scores, metric="gene_set_percentile").loc["flat"]
    assert (flat["mean"], flat["kind"]) == (50, "baseline")
    pd.testing.assert_frame_equal(scores, sh.tl.evaluate(six, gene_sets=GENE_SETS, seed=3))


def test_sets_without_genes_are_told(six):
    with pytest.warns(UserWarning, match="1 of 3 gene sets have fewer than 2 genes .* not scored: mouse"):
        scores = sh.tl.evaluate(six, gene_sets=GENE_SETS | {"mouse": ["Vim", "Fn1"]}, oracles=False)
    assert np.isnan(value(scores, "gene_set_pearson", slide="S1", target="mouse"))
    for sets in ({"mouse": ["Vim", "Fn1"]}, {"one": ["G0"]}):
        with pytest.raises(ValueError, match="has 2 genes among the 6 genes that are scored, such as 'G0', 'G1'"):
            sh.tl.evaluate(six, gene_sets=sets, oracles=False)
    with pytest.raises(ValueError, match="holds no set"):
        sh.tl.evaluate(six, gene_sets={})


def test_sets_are_scored_among_the_genes_that_were_predicted(six):
    six["table"].layers["oof_mine"][:96, 4] = np.nan
    scores = sh.tl.evaluate(six, gene_sets=GENE_SETS, oracles=False)
    sizes = {s: value(scores, "gene_set_size", slide=s, target="high") for s in ("S1", "S2")}
    assert sizes == {"S1": 2, "S2": 3}

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_matrix

import spatialhist as sh
from spatialhist import metrics as arrays
from spatialhist.tl import Metric
from spatialhist.tl._scores.metrics import DEFAULT, METRICS, Layout, choose_metrics, documented, label_of, named
from spatialhist.tl._scores.score_slide import ceiling_rows, score_cohort, score_slide

PROFILES = ("spot_spearman", "spots_left_out", "spots_constant")
BOTH = ("pearson", "pearson_beyond_depth")
SPOTS = np.array([[x, y] for y in range(4) for x in range(5)], dtype=float) * 10


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 3))
    return truth, 0.5 * truth + rng.normal(size=(20, 3)) + 4


def scored(values, targets="ABC", pitch=None, connectivities=None, **options):
    layout = Layout(SPOTS, pitch, connectivities)
    rows = score_slide(*values, list(targets), layout, **options)
    return {(target, metric): value for target, metric, value, n in rows}


def test_scores_per_target_by_hand(values):
    truth, predicted = values
    scores = scored(values)
    for i, gene in enumerate("ABC"):
        t, p = truth[:, i], predicted[:, i]
        assert scores[gene, "pearson"] == pytest.approx(stats.pearsonr(t, p)[0])
        assert scores[gene, "spearman"] == pytest.approx(stats.spearmanr(t, p)[0])
        assert scores[gene, "rmse"] == pytest.approx(np.sqrt(np.mean((t - p) ** 2)))
        assert scores[gene, "r2"] == pytest.approx(1 - ((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum())
        assert scores[gene, "variance_ratio"] == pytest.approx(p.var() / t.var())
    each = [stats.spearmanr(t, p)[0] for t, p in zip(truth, predicted, strict=True)]
    assert scores["", "spot_spearman"] == pytest.approx(np.mean(each))


def test_scores_that_need_a_lattice_or_a_graph_are_left_out_without_one(values):
    metrics = {m for _, m in scored(values)}
    assert metrics == {*BOTH, "spearman", "rmse", "r2", "variance_ratio", *PROFILES}
    distance = np.abs(SPOTS[:, None] - SPOTS[None]).sum(-1)
    graph = csr_matrix((distance == 10).astype(float))
    more = {m for _, m in scored(values, pitch=10.0, connectivities=graph)}
    assert more - metrics == {"ssim", "moran_agreement"}
    assert "moran_agreement" not in {m for _, m in scored(values, connectivities=csr_matrix((20, 20)))}


def test_other_units_are_scored_on_shape_alone(values):
    assert {m for _, m in scored(values, same_units=False)} == {*BOTH, "spearman", *PROFILES}
    found = {m for _, m in scored(values, same_units=False, chosen=METRICS)}
    assert found == {*BOTH, "spearman", "mutual_information", "auc_detected", *PROFILES}


def test_a_constant_prediction_scores_zero_and_a_constant_truth_nothing(values):
    truth, predicted = (v.copy() for v in values)
    predicted[:, 0] = 7
    truth[:, 1] = 2
    scores = scored((truth, predicted))
    assert scores["A", "pearson"] == 0
    assert np.isnan(scores["B", "pearson"])


def test_every_other_score_is_that_of_the_arrays(values):
    truth, predicted = np.abs(values[0]), values[1]
    truth[:7] = 0
    scores = scored(
        (truth, predicted), chosen=choose_metrics(["nrmse", "mutual_information", "jensen_shannon", "auc_detected"])
    )
    assert len(scores) == 12
    for (gene, name), value in scores.items():
        assert value == getattr(arrays, name)(truth, predicted)["ABC".index(gene)], name


def test_a_truth_below_zero_is_no_distribution_over_spots(values):
    assert ("A", "jensen_shannon") not in scored(values, chosen=METRICS)


def test_constant_profiles_are_counted(values):
    truth, predicted = (v.copy() for v in values)
    truth[:3] = 1.5
    predicted[2:7] = 4.0
    rows = {metric: (value, n) for _, metric, value, n in score_slide(
        truth, predicted, list("ABC"), Layout(SPOTS), chosen=choose_metrics("spot_spearman")
    )}  # fmt: skip
    each = [stats.spearmanr(t, p)[0] for t, p in zip(truth[7:], predicted[7:], strict=True)]
    assert rows["spot_spearman"] == (pytest.approx(sum(each) / 17), 17)
    assert rows["spots_left_out"] == (3, 20)
    assert rows["spots_constant"] == (5, 20)


def names(chosen):
    return [m.name for m in choose_metrics(chosen)]


def bias(truth, predicted):
    return (predicted - truth).mean(axis=0)


def test_metrics_are_chosen_by_name():
    assert choose_metrics("default") == DEFAULT
    assert set(choose_metrics("all")) > set(DEFAULT)
    assert names("r2") == ["r2"]
    assert names(["ssim", "r2", "r2"]) == ["r2", "ssim"]
    for wrong in ("r3", ["r2", "best"]):
        with pytest.raises(ValueError, match=r"must be 'default', 'all', some of \['pearson'.*'reliability'\]"):
            choose_metrics(wrong)
    with pytest.raises(ValueError, match=r"metrics=\[\] must be one or more"):
        choose_metrics([])


def test_a_metric_of_ones_own_stands_beside_the_others(values):
    assert names(["default", bias]) == [*(m.name for m in DEFAULT), "bias"]
    found = scored(values, chosen=choose_metrics([bias, "pearson"]))
    for i, gene in enumerate("ABC"):
        assert found[gene, "bias"] == pytest.approx(float(np.mean(values[1][:, i] - values[0][:, i])))
    assert (("A", "bias") in scored(values, chosen=[Metric("bias", bias, in_units=True)], same_units=False)) is False
    with pytest.raises(ValueError, match=r"\['pearson', 'pearson'.*\] must be one or more, of different names"):
        choose_metrics(["pearson", Metric("pearson", bias)])


def test_what_a_metric_is_taken_over_is_said(values):
    truth, predicted = values
    per_spot = Metric("off", lambda t, p: np.abs(t - p).max(axis=1), per="spot")
    spread = Metric("spread", lambda t, p, layout: np.ptp(layout.xy[:, 0]), per="slide")
    found = scored(values, chosen=[per_spot, spread])
    assert found == {("", "off"): pytest.approx(np.abs(truth - predicted).max(axis=1).mean()), ("", "spread"): 40}
    assert score_cohort(Metric("bias", bias, per="cohort"), truth, predicted) == pytest.approx(
        (predicted - truth).mean()
    )
    with pytest.raises(ValueError, match=r"'off' gave values of shape \(20,\), expected \(3,\), one per gene: .*per="):
        scored(values, chosen=[Metric("off", per_spot.function)])
    with pytest.raises(ValueError, match="per='pixel' is not one of"):
        Metric("off", bias, per="pixel")
    with pytest.raises(TypeError, match=r"'off' has no function: give it one, sh.tl.Metric\('off', function\)"):
        scored(values, chosen=[Metric("off")])


def test_the_table_is_what_docstrings_and_plots_say():
    @documented
    def scores():
        """Per gene: %(gene)s; %(measurement)s, not %(not_default)s."""

    assert scores.__doc__.startswith("Per gene: ``pearson``, ``pearson_beyond_depth``, ``spearman``, ")
    assert "``auc_detected``; ``reliability``, not ``nrmse``, " in scores.__doc__
    assert "``spot_spearman``, ``ssim``, ``moran_agreement``; over all slides" in sh.tl.evaluate.__doc__
    assert label_of("r2") == "R²"
    assert label_of("bias") == "bias"


def test_the_headline_never_comes_without_its_part_beyond_depth():
    assert names("pearson") == list(BOTH)
    assert names(["rmse", "pearson"]) == [*BOTH, "rmse"]
    assert names("rmse") == ["rmse"]
    assert names("pearson_beyond_depth") == ["pearson_beyond_depth"]


def test_depth_is_handed_to_what_asks_for_it(values):
    truth, predicted = values
    depth = np.linspace(100, 900, 20) ** 1.3
    layout = Layout(SPOTS, depth=depth)
    found = {(t, m): v for t, m, v, _ in score_slide(*values, list("ABC"), layout)}
    for i, gene in enumerate("ABC"):
        expected = arrays.pearson_beyond_depth(truth, predicted, depth)[i]
        assert found[gene, "pearson_beyond_depth"] == expected != found[gene, "pearson"]
    assert all(np.isnan(scored(values)[gene, "pearson_beyond_depth"]) for gene in "ABC")
    mine = Metric("mine", lambda t, p, d: t.mean(axis=0) * d.sum(), needs_depth=True)
    rows = score_slide(*values, list("ABC"), layout, chosen=[mine])
    assert [v for _, _, v, _ in rows] == pytest.approx(truth.mean(axis=0) * depth.sum())


def test_one_target_has_no_ranks_within_a_spot(values):
    scores = scored((values[0][:, :1], values[1][:, :1]), "A")
    assert ("", "spot_spearman") not in scores


def test_a_single_spot_yields_no_score(values):
    rows = list(score_slide(*(v[:1] for v in values), list("ABC"), Layout(SPOTS[:1], 10.0)))
    assert all(np.isnan(value) for _, metric, value, _ in rows if metric == "pearson")
    assert "ssim" not in {metric for _, metric, _, _ in rows}


def test_the_ceiling_is_high_for_deep_counts_and_low_for_shallow_ones():
    rng = np.random.default_rng(1)
    level = np.exp(rng.normal(size=300))
    counts = np.column_stack([rng.poisson(200 * level), rng.poisson(0.2 * level), rng.poisson(900, 300)])
    rows = list(ceiling_rows(counts, counts.sum(axis=1), ["deep", "shallow", "rest"], target_sum=1e4, seed=0))
    values = {target: value for target, metric, value, n in rows}
    assert {metric for _, metric, _, _ in rows} == {"pearson"}
    more = ceiling_rows(
        counts, counts.sum(axis=1), ["deep", "shallow", "rest"], target_sum=1e4, seed=0, chosen=("reliability",)
    )
    assert {t: v for t, m, v, _ in more} == pytest.approx({t: v**2 for t, v in values.items()}, nan_ok=True)
    beyond = {
        d: {t: v for t, m, v, _ in ceiling_rows(
            counts, counts.sum(axis=1), ["deep", "shallow", "rest"], target_sum=1e4, seed=0,
            chosen=("pearson_beyond_depth",), depth=of,
        )}
        for d, of in (("own", None), ("told", 900 * level), ("none", np.full(300, 5.0)))
    }  # fmt: skip
    assert beyond["none"] == pytest.approx(values)
    assert beyond["told"]["deep"] < beyond["own"]["deep"] < values["deep"]
    assert values["deep"] > 0.95
    assert values["shallow"] < 0.8
    assert rows == list(ceiling_rows(counts, counts.sum(axis=1), ["deep", "shallow", "rest"], target_sum=1e4, seed=0))


def test_a_metric_of_a_name_says_whether_lower_is_better():
    assert [m.name for m in METRICS if named(m.name).lower_is_better] == ["rmse", "nrmse", "jensen_shannon"]
    assert named("speed") == Metric("speed")
    assert named(mine := Metric("mine", lower_is_better=True)) is mine

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spatialhist import metrics

GENES = [f"G{i}" for i in range(30)]
SETS = {
    "first": ["G0", "G1", "G2", "ELSEWHERE"],
    "last": ["G29", "G3", "G28", "G27", "G3"],
    "alone": ["G5", "ELSEWHERE"],
}


@pytest.fixture
def slide() -> tuple[np.ndarray, np.ndarray]:
    """Forty spots by thirty genes of other levels and units, predicted well up to the fifth gene and badly from there."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(40, 30)) * rng.gamma(1.0, size=30) + 10 * rng.normal(size=30)
    noise = np.where(np.arange(30) < 5, 0.2, 4.0) * truth.std(axis=0)
    return truth, 0.3 * (truth + noise * rng.normal(size=truth.shape))


def mean_score(truth: np.ndarray, predicted: np.ndarray, columns: list[int]) -> float:
    """Pearson of means of standardized genes, by scipy."""
    means = [stats.zscore(values[:, columns], axis=0).mean(axis=1) for values in (truth, predicted)]
    return stats.pearsonr(*means).statistic


def test_set_means_equal_an_independent_computation(slide):
    scores = metrics.gene_set_scores(*slide, GENES, SETS)
    assert list(scores.columns) == ["size", "pearson", "single_genes", "random", "percentile"]
    assert scores["size"].to_dict() == {"first": 3, "last": 4, "alone": 1}
    for name, columns in (("first", [0, 1, 2]), ("last", [3, 27, 28, 29])):
        assert scores.loc[name, "pearson"] == pytest.approx(mean_score(*slide, columns))
        single = [stats.pearsonr(slide[0][:, c], slide[1][:, c]).statistic for c in columns]
        assert scores.loc[name, "single_genes"] == pytest.approx(np.mean(single))
    assert scores.loc["alone"].drop("size").isna().all()


def test_percentile_is_the_share_of_random_sets_below(slide):
    scores = metrics.gene_set_scores(*slide, GENES, SETS, n_random=400)
    rng = np.random.default_rng(99)
    for name, columns in (("first", [0, 1, 2]), ("last", [3, 27, 28, 29])):
        random = [mean_score(*slide, list(rng.permutation(30)[: len(columns)])) for _ in range(400)]
        below = 100 * np.mean(np.array(random) < mean_score(*slide, columns))
        assert scores.loc[name, "percentile"] == pytest.approx(below, abs=7)
        assert scores.loc[name, "random"] == pytest.approx(np.mean(random), abs=0.03)
    assert scores.loc["first", "percentile"] > 95


def test_large_sets_look_good_and_the_percentile_says_that_they_are_not():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(300, 1))
    truth = shared + 3 * rng.normal(size=(300, 60))
    predicted = shared + 3 * rng.normal(size=(300, 60))
    names = [f"G{i}" for i in range(60)]
    sets = {f"S{i}": list(rng.permutation(names)[:20]) for i in range(40)}
    scores = metrics.gene_set_scores(truth, predicted, names, sets)
    assert scores["single_genes"].mean() < 0.15 < 0.5 < scores["pearson"].mean()
    assert scores["random"].mean() == pytest.approx(scores["pearson"].mean(), abs=0.02)
    assert 35 < scores["percentile"].mean() < 65


def test_scores_depend_neither_on_units_nor_on_other_sets_nor_on_the_order_of_genes_in_a_set(slide):
    truth, predicted = slide
    scores = metrics.gene_set_scores(truth, predicted, GENES, SETS)
    scaled = metrics.gene_set_scores(5 * truth - 2, predicted * np.linspace(1, 9, 30), GENES, SETS)
    pd.testing.assert_frame_equal(scores, scaled)
    alone = metrics.gene_set_scores(truth, predicted, GENES, {"last": ["G27", "G29", "G28", "G3"]})
    pd.testing.assert_frame_equal(scores.loc[["last"]], alone)


def test_random_sets_follow_the_seed(slide):
    first, again, other = (metrics.gene_set_scores(*slide, GENES, SETS, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first.loc["last", "random"] != other.loc["last", "random"]


def test_a_set_of_all_genes_ties_with_random_sets(slide):
    assert metrics.gene_set_scores(*slide, GENES, {"all": GENES}).loc["all", "percentile"] == 50


def test_constant_and_missing_genes(slide):
    truth, predicted = slide
    truth[:, 0] = 7.0  # left out
    predicted[:, 1] = np.nan  # left out
    predicted[:, [2, 3]] = np.float32(0.1)  # counts, adds nothing
    scores = metrics.gene_set_scores(truth, predicted, GENES, {"a": ["G0", "G1", "G2", "G4"], "flat": ["G2", "G3"]})
    assert scores["size"].to_dict() == {"a": 2, "flat": 2}
    means = stats.zscore(truth[:, [2, 4]], axis=0).sum(axis=1)
    assert scores.loc["a", "pearson"] == pytest.approx(stats.pearsonr(means, predicted[:, 4]).statistic)
    assert scores.loc["flat", ["pearson", "single_genes"]].tolist() == [0, 0]


def test_constant_predictions_score_zero(slide):
    scores = metrics.gene_set_scores(slide[0], np.ones_like(slide[0]), GENES, {"first": SETS["first"]})
    assert scores.loc["first", ["pearson", "random", "percentile"]].tolist() == [0, 0, 50]


def test_dict_table_and_file_are_read_alike(slide, tmp_path):
    (tmp_path / "sets.gmt").write_text(
        "first\thttp://example.org\tG0\tG1\tG2\tELSEWHERE\n\nlast\t\tG29\tG3\tG28\tG27\tG3\t\nalone\tno url\tG5\tELSEWHERE\r\n"
    )
    long = pd.DataFrame([(name, gene, 1.0) for name, genes in SETS.items() for gene in genes])
    long.columns = ["source", "target", "weight"]
    scores = metrics.gene_set_scores(*slide, GENES, SETS)
    for form in (long, tmp_path / "sets.gmt", str(tmp_path / "sets.gmt")):
        pd.testing.assert_frame_equal(metrics.gene_set_scores(*slide, GENES, form), scores)


@pytest.mark.parametrize(
    ("gene_sets", "error", "says"),
    [
        ({}, ValueError, "holds no set"),
        ({"EMT": "VIM"}, TypeError, r"'EMT' is the text 'VIM', not a list of genes: write \['VIM'\]"),
        (["G0", "G1"], TypeError, "gene_sets is a list: pass a dict"),
        (
            {"EMT": ["Vim", "Fn1"], "MYC": ["Myc", "G1"]},
            ValueError,
            "'EMT', 'MYC' has 2 genes among the 30 .* 'G0', 'G1'",
        ),
        (
            pd.DataFrame({"geneset": ["a"], "genesymbol": ["G0"]}),
            ValueError,
            r"lacks the columns \['source', 'target'\]",
        ),
        (pd.DataFrame({"source": ["a"], "target": ["G0"], "weight": [-1.0]}), ValueError, "'a' has negative weights"),
        ("sets.csv", ValueError, "'sets.csv' is no .gmt file"),
        ("nowhere.gmt", FileNotFoundError, "nowhere.gmt"),
    ],
)
def test_unusable_sets_are_named(slide, gene_sets, error, says):
    with pytest.raises(error, match=says):
        metrics.gene_set_scores(*slide, GENES, gene_sets)


@pytest.mark.parametrize(
    ("text", "says"),
    [("a\turl\tG0\nb url G1\n", "line 2 .* holds no genes"), ("a\tu\tG0\na\tu\tG1\n", "line 2 .* repeats")],
)
def test_unusable_lines_are_named(slide, tmp_path, text, says):
    (tmp_path / "sets.gmt").write_text(text)
    with pytest.raises(ValueError, match=says):
        metrics.gene_set_scores(*slide, GENES, tmp_path / "sets.gmt")


def test_each_column_has_a_name(slide):
    with pytest.raises(ValueError, match="29 names of genes for 30 columns"):
        metrics.gene_set_scores(*slide, GENES[:-1], SETS)


@pytest.fixture
def deep_slide() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth that follows depth and, in the first five genes, something else that the prediction knows; total counts."""
    rng = np.random.default_rng(5)
    depth = rng.integers(200, 9000, 80)
    known = rng.normal(size=(80, 30)) * (np.arange(30) < 5)
    truth = np.log1p(depth)[:, None] + known + 0.5 * rng.normal(size=(80, 30))
    predicted = 0.4 * np.log1p(depth)[:, None] ** 2 + known + 0.5 * rng.normal(size=(80, 30))
    return truth, predicted, depth


def residual(values: np.ndarray, depth: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(depth)), np.log1p(depth), np.log1p(depth) ** 2])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def test_depth_is_regressed_out_of_set_means(deep_slide):
    *pair, depth = deep_slide
    scores = metrics.gene_set_scores(*pair, GENES, SETS, depth=depth)
    pd.testing.assert_frame_equal(scores.iloc[:, :5], metrics.gene_set_scores(*pair, GENES, SETS))
    assert list(scores.columns[5:]) == [
        f"{c}_beyond_depth" for c in ("pearson", "single_genes", "random", "percentile")
    ]
    for name, columns in (("first", [0, 1, 2]), ("last", [3, 27, 28, 29])):
        means = [residual(stats.zscore(v[:, columns], axis=0).mean(axis=1), depth) for v in pair]
        assert scores.loc[name, "pearson_beyond_depth"] == pytest.approx(stats.pearsonr(*means).statistic)
        single = [stats.pearsonr(*(residual(v[:, c], depth) for v in pair)).statistic for c in columns]
        assert scores.loc[name, "single_genes_beyond_depth"] == pytest.approx(np.mean(single))
    assert scores.loc["first", "percentile_beyond_depth"] > 95


def test_sets_that_follow_depth_alone_score_nothing_beyond_it():
    rng = np.random.default_rng(0)
    depth = rng.integers(200, 9000, 400)
    truth = np.log1p(depth)[:, None] + rng.normal(size=(400, 30))
    predicted = np.log1p(depth)[:, None] + 0.1 * rng.normal(size=(400, 30))
    scores = metrics.gene_set_scores(truth, predicted, GENES, {"ten": GENES[:10]}, depth=depth)
    assert scores.loc["ten", "pearson"] > 0.8
    assert abs(scores.loc["ten", "random_beyond_depth"]) < 0.03
    same = metrics.gene_set_scores(
        truth, np.log1p(depth)[:, None] + np.zeros((1, 30)), GENES, {"ten": GENES[:10]}, depth=depth
    )
    assert same.loc["ten", "pearson_beyond_depth"] == 0

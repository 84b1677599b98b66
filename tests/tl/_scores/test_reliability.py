from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist.tl._scores.reliability import rate_genes
from spatialhist.tl._scores.scorer import COLUMNS

GROUPS = ("P1", "P2", "P3")


def kind_of(name):
    kinds = {"baseline": "baseline", "control": "baseline", "noise": "oracle"}
    return kinds.get(name.split("_")[0], "model")


def table(metric="pearson", **predictors):
    """Scores of genes in three groups of two slides each; a number counts for all groups."""
    rows = []
    for name, genes in predictors.items():
        for gene, values in genes.items():
            for group, value in zip(GROUPS, np.broadcast_to(values, 3), strict=True):
                for slide, shift in (("a", -0.01), ("b", 0.01)):
                    rows.append((name, kind_of(name), group, f"{group}{slide}", gene, metric, value + shift, 50))
    return pd.DataFrame(rows, columns=COLUMNS)


PERMUTED = dict(zip("ABCDEFGH", [0.10, -0.05, 0.0, 0.02, -0.02, 0.01, 0.0, 0.0], strict=True))
MINE = {
    "A": 0.5,  # clear, and most of what its noise allows
    "B": 0.3,  # clear, but less than half of its ceiling
    "C": [0.6, 0.5, 0.05],  # below its baseline in one group
    "D": 0.09,  # above most permuted genes, not above all
    "E": 0.01,  # as any permuted gene
    "F": 0.3,  # position alone does better
    "G": 0.5,  # measured by too few counts to be rated
    "H": np.nan,  # constant
}
CEILING = {"A": 0.8, "B": 0.9, "C": 0.6, "D": 0.1, "E": 0.5, "F": 0.4, "G": 0.0, "H": np.nan}
POSITION = dict.fromkeys("ABDEGH", 0.0) | {"C": 0.1, "F": [0.5, 0.5, 0.2]}


@pytest.fixture(scope="module")
def judged():
    scores = table(mine=MINE, baseline_position=POSITION, control_permuted=PERMUTED, noise_ceiling=CEILING)
    return rate_genes(scores, "mine")


@pytest.mark.parametrize(
    ("gene", "verdict"),
    [
        ("A", "reliable"),
        ("B", "weak"),
        ("C", "weak"),
        ("D", "weak"),
        ("E", "unreliable"),
        ("F", "unreliable"),
        ("G", "unreliable"),
        ("H", "unreliable"),
    ],
)
def test_verdicts(judged, gene, verdict):
    assert judged.loc[gene, "verdict"] == verdict


def test_numbers_by_hand(judged):
    assert judged.loc["C", "score"] == pytest.approx((0.6 + 0.5 + 0.05) / 3)
    assert judged.loc["C", "baseline"] == pytest.approx(0.1)
    assert (judged.loc["C", "wins"], judged.loc["C", "groups"]) == (2, 3)
    assert judged.loc["A", "fraction"] == pytest.approx(0.5 / 0.8)
    assert np.isnan(judged.loc["G", "fraction"])
    assert judged.loc["A", "baseline"] == pytest.approx(0.10)
    assert judged.loc["E", "baseline"] == 0
    assert list(judged.index[:2]) == ["A", "G"]
    assert judged.loc["H", "groups"] == 0


def test_without_a_ceiling_half_of_one_is_asked_for():
    found = rate_genes(table(mine={"A": 0.6, "B": 0.4}, control_permuted={"A": 0.0, "B": 0.01}), "mine")
    assert found["verdict"].tolist() == ["reliable", "weak"]
    assert found["fraction"].isna().all()


def test_a_single_group_is_not_enough_to_trust():
    scores = table(mine={"A": 0.6}, control_permuted={"A": 0.0})
    found = rate_genes(scores[scores["group"] == "P1"], "mine")
    assert found["verdict"].tolist() == ["weak"]


def test_a_null_that_did_not_predict_a_group_counts_as_a_constant_there():
    """The mean of the patient is missing where training holds none of its slides."""
    found = rate_genes(
        table(mine={"A": 0.6, "B": 0.3}, baseline_patient={"A": [np.nan, 0.2, np.nan], "B": 0.0}), "mine"
    )
    assert found.loc["A", "baseline"] == pytest.approx(0.2 / 3)
    assert found.loc["A", "verdict"] == "reliable"


def test_labels_that_say_nothing_are_hardly_ever_trusted():
    rng = np.random.default_rng(0)
    genes = [f"G{i}" for i in range(200)]
    trusted = []
    for _ in range(10):
        noise = {
            name: {g: rng.normal(0, 0.05, 3) for g in genes}
            for name in ("mine", "baseline_position", "control_permuted")
        }
        found = rate_genes(table(**noise, noise_ceiling=dict.fromkeys(genes, 0.1)), "mine")
        trusted.append((found["verdict"] == "reliable").sum())
        assert (found["verdict"] == "unreliable").mean() > 0.85
    assert np.mean(trusted) <= 1


def both(beyond, **predictors):
    """Scores of one gene by both headlines."""
    first = table(**{"mine": {"A": 0.6}, "control_permuted": {"A": 0.0}, "noise_ceiling": {"A": 0.8}} | predictors)
    second = {name: {"A": value} for name, value in ({"control_permuted": 0.01, "noise_ceiling": 0.7} | beyond).items()}
    return rate_genes(pd.concat([first, table("pearson_beyond_depth", **second)]), "mine").loc["A"]


def test_numbers_of_both_headlines_stand_beside_each_other():
    found = both({"mine": 0.3, "baseline_color": 0.2}, baseline_depth={"A": 0.5})
    assert found[["score", "baseline", "ceiling"]].tolist() == pytest.approx([0.6, 0.5, 0.8])
    numbers = found[["beyond_depth", "baseline_beyond_depth", "ceiling_beyond_depth"]].tolist()
    assert numbers == pytest.approx([0.3, 0.2, 0.7])
    assert (found["wins"], found["groups"], found["verdict"]) == (3, 3, "reliable")


@pytest.mark.parametrize(
    ("beyond", "first", "verdict", "wins"),
    [
        ({"mine": 0.0}, {}, "unreliable", 0),  # all that is known of it is depth
        ({"mine": 0.3, "baseline_position": 0.35}, {}, "unreliable", 0),  # position knows more beyond depth
        ({"mine": 0.3, "control_permuted": 0.31}, {}, "unreliable", 0),  # chance
        ({"mine": 0.3, "noise_ceiling": 0.0}, {}, "unreliable", 3),  # nothing is measured beyond depth
        ({"mine": 0.3}, {"baseline_depth": {"A": 0.65}}, "weak", 0),  # depth alone does as well
        ({"mine": 0.3, "baseline_color": [0.1, 0.1, 0.35]}, {}, "weak", 2),  # color beyond depth, in one group
        ({"mine": 0.3}, {"baseline_color": {"A": [0.1, 0.65, 0.1]}}, "weak", 2),
        ({"mine": 0.3}, {}, "reliable", 3),
    ],
)
def test_both_headlines_are_asked_against_all_baselines(beyond, first, verdict, wins):
    found = both(beyond, **first)
    assert (found["verdict"], found["wins"]) == (verdict, wins)


def test_an_empty_headline_decides_nothing():
    found = both({"mine": np.nan, "control_permuted": np.nan, "noise_ceiling": np.nan})
    assert found["verdict"] == "reliable"
    assert found[["beyond_depth", "ceiling_beyond_depth"]].isna().all()

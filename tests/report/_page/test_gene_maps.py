from __future__ import annotations

import numpy as np
import pytest

from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page import gene_maps, headline


@pytest.fixture(scope="module")
def found(sdata, scores, tmp_path_factory):
    from tests.report.conftest import make_run

    cv = make_run(sdata, tmp_path_factory.mktemp("maps") / "run")
    return gene_maps.collect(open_cohort(sdata), cv, scores)


def test_best_and_worst_do_not_overlap():
    assert gene_maps.choose(list("ABCDEFGH")) == {"best": ["A", "B", "C"], "worst": ["H", "G", "F"]}
    assert gene_maps.choose(list("ABCD")) == {"best": ["A", "B", "C"], "worst": ["D"]}
    assert gene_maps.choose(list("AB")) == {"best": ["A", "B"]}


def test_genes_are_the_first_and_last_of_the_table_of_means(found, scores):
    means = headline.gene_means(scores, "stack_nnls")
    assert [gene.name for gene in found["genes"]["best"]] == list(means.index[:3])
    assert [gene.name for gene in found["genes"]["worst"]] == list(means.index[:-4:-1])
    assert found["genes"]["best"][0].scored.startswith(f"r = {means.iloc[0]:.2f}, beyond depth ")


def test_slides_are_the_first_of_the_first_groups(found):
    assert [tissue.name for tissue in found["tissues"]] == ["S1", "S2"]
    assert len({tissue.key for tissue in found["tissues"]}) == 2


def test_both_pairs_name_their_unit_and_share_a_scale(found):
    for gene in (*found["genes"]["best"], *found["genes"]["worst"]):
        first, second = gene.slides
        assert [pair.unit for pair in first.pairs] == ["log1p(CP10k)", "z-score within the slide"]
        assert (first.pairs[0].low, first.pairs[0].high) == (second.pairs[0].low, second.pairs[0].high)
        assert (first.pairs[1].low, first.pairs[1].high) == (-2.5, 2.5)
        titles = [[one.title for one in pair.maps] for pair in first.pairs]
        assert titles == [["measured", "predicted"], ["measured, z-scores", "predicted, z-scores"]]


def test_the_score_of_a_slide_stands_beside_it(found, scores):
    gene = found["genes"]["best"][0]
    rows = scores[(scores["predictor"] == "stack_nnls") & (scores["target"] == gene.name) & (scores["slide"] == "S2")]
    own = rows.set_index("metric")["value"]
    assert gene.slides[1].scored == f"r = {own['pearson']:z.2f}, beyond depth {own['pearson_beyond_depth']:z.2f}"


def test_words_know_no_negative_zero_and_leave_out_what_is_unknown():
    assert gene_maps._words(-0.001, None) == "r = 0.00"
    assert gene_maps._words(None, np.nan) == ""


def test_nothing_where_nothing_was_predicted(sdata, cv, scores):
    nowhere = scores[scores["predictor"] == "ridge"].assign(predictor="elsewhere")
    assert gene_maps.collect(open_cohort(sdata), cv, nowhere) == {"tissues": [], "genes": {}, "stops": []}

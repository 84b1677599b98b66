"""Wherever the headline stands, its part beyond depth stands beside it, with the sentence that says what that is."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from markupsafe import escape
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.cli._console import print_scores
from spatialhist.cli._contents import model_facts
from spatialhist.tl._scores.metrics import LOWER_BOUND

NAME = "ridge"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sdata = draw_cohort(1, n_slides=3, n_genes=8, signal=0.8)
    out = tmp_path_factory.mktemp("headlines") / "run"
    cv = sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=6), genes=8, groups="patient", out=out, **FAST)
    return sdata, cv, sh.tl.evaluate(sdata)


@pytest.fixture(scope="module")
def expected(run):
    """Both headlines of the model, from the scores themselves."""
    scores = run[2].query(f"predictor == '{NAME}'")
    slides = scores.groupby(["metric", "slide"])["value"].mean()
    both = [float(slides[metric].mean()) for metric in ("pearson", "pearson_beyond_depth")]
    assert abs(both[0] - both[1]) > 0.002
    return both


def shows_both(text, expected, *, rounded=3):
    """Whether each of the numbers stands in a text, by itself."""
    return [bool(re.search(rf"(?<![\d.]){re.escape(f'{v:.{rounded}f}')}(?!\d)", text)) for v in expected]


def test_the_summary(run, expected):
    table = sh.tl.summarize(run[2])
    assert table.loc[NAME, ["mean", "beyond_depth"]].tolist() == pytest.approx(expected)
    assert list(table.columns).index("beyond_depth") == list(table.columns).index("mean") + 1
    assert "lower bound" in sh.tl.summarize.__doc__
    assert "lower bound" in sh.tl.evaluate.__doc__


def test_the_command_line(run, expected, capsys, monkeypatch):
    # a narrow terminal breaks the table into two
    monkeypatch.setenv("COLUMNS", "200")
    print_scores(run[2])
    text = capsys.readouterr().out
    (row,) = (line for line in text.splitlines() if line.startswith(NAME + " "))
    assert shows_both(row, expected) == [True, True]
    assert LOWER_BOUND in text
    assert "empty" not in text
    without = run[2].assign(value=run[2]["value"].where(run[2]["metric"] != "pearson_beyond_depth"))
    print_scores(without)
    assert f"{LOWER_BOUND} It is empty here" in capsys.readouterr().out


def test_the_report(run, expected):
    sdata, cv, scores = run
    page = sh.report.write(sdata, cv, scores=scores).read_text()
    section = page[page.index('<h2 id="scores">') : page.index('<h2 id="cohort">')]
    verdict, table = section.split("</p>", 1)[0], section[section.index("<tbody>") : section.index("</tbody>")]
    assert shows_both(verdict, expected) == [True, True]
    (row,) = (r for r in table.split("<tr") if f">{NAME}</th>" in r)
    assert shows_both(row, expected) == [True, True]
    assert str(escape(LOWER_BOUND)) in section
    genes = page[page.index('<h2 id="genes">') :]
    assert "score beyond depth" in genes[: genes.index("</thead>")]
    captions = re.findall(r"<p class=\"note\">[^<]*r = [^<]*<", genes)
    assert captions and all(re.search(r"r = -?\d\.\d\d, beyond depth -?\d\.\d\d<", c) for c in captions)


def test_the_card_and_what_info_says_of_it(run, expected):
    _, cv, _ = run
    card = json.loads((cv.folder / "card.json").read_text())
    (entry,) = (e for e in card["scores"] if e["predictor"] == NAME)
    assert [entry["mean"], entry["beyond_depth"]] == pytest.approx(expected, abs=1e-5)
    assert card["beyond_depth"] == LOWER_BOUND
    assert all(np.isfinite([g["score"], g["beyond_depth"]]).all() for g in card["genes"].values())
    facts = model_facts(sh.tl.load(cv.folder))
    assert facts["scores"].keys() == facts["scores beyond depth"].keys()
    assert [facts[key][NAME] for key in ("scores", "scores beyond depth")] == pytest.approx(expected, abs=1e-5)


def test_predictions(run):
    sdata, cv, _ = run
    sh.tl.predict(sdata, cv, key_added="predicted", encoder=FAST["encoder"], progress=False)
    genes = sh.tl.gene_reliability(cv)
    var = sdata["table"].var
    for column, source in (("predicted_score", "score"), ("predicted_beyond_depth", "beyond_depth")):
        np.testing.assert_allclose(var.loc[genes.index, column], genes[source])


def test_the_pictures(run, expected):
    ax = sh.pl.scores(run[2])
    names = [t.get_text() for t in ax.get_yticklabels()]
    (text,) = (t.get_text() for t in ax.texts if t.xy[1] == ax.get_yticks()[names.index(NAME)])
    assert shows_both(text, expected) == [True, True]
    for label in (ax.get_xlabel(), sh.pl.gene_scores(run[2]).get_xlabel()):
        assert "beyond depth" in label and "lower bound" in label


def test_a_headline_alone_is_found():
    """The search itself fails where one of the two is missing."""
    assert shows_both("ridge 0.334 0.190", [0.334, 0.190]) == [True, True]
    assert shows_both("ridge 0.334 1.1901", [0.334, 0.190]) == [True, False]


def test_a_comparison(run):
    found = sh.tl.compare(run[2], NAME, "baseline_color")
    alone = sh.tl.compare(run[2], NAME, "baseline_color", metric="pearson_beyond_depth")
    assert found.beyond_depth.difference == alone.difference
    assert f"difference {alone.difference:+.3f}" in repr(found)
    assert f"{alone.difference:+.3f} beyond depth" in sh.pl.compare(found).texts[0].get_text()


def test_the_title_of_a_map(run):
    sdata, _, scores = run
    gene = sdata["table"].var_names[0]
    rows = scores.query(f"predictor == '{NAME}' and target == '{gene}'").set_index(["slide", "metric"])["value"]
    axes = sh.pl.genes(sdata, gene, layers=("log1p", f"oof_{NAME}"))
    titles = {ax[1].get_title(loc="left").split()[2]: ax[1].get_title(loc="left") for ax in axes[0]}
    assert len(titles) == 3
    for slide, title in titles.items():
        assert f"r = {rows[slide, 'pearson']:.2f}\nr = {rows[slide, 'pearson_beyond_depth']:.2f} beyond depth" in title

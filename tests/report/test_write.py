from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

import spatialhist as sh
from spatialhist.report._write import number


class Page(HTMLParser):
    """Tables by heading, images, genes on tissue, tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.rows, self.headings, self.genes, self.text = [], [], {}, [], [], ""
        self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "tr":
            self.rows.setdefault(self.headings[-1], []).append([])
        if tag in ("td", "th", "h2", "h3", "h4"):
            self._cell = ""

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("h2", "h3"):
            self.headings.append(self._cell)
        elif tag == "h4":
            self.genes.append(self._cell)
        elif tag in ("td", "th"):
            self.rows[self.headings[-1]][-1].append(self._cell)
        if tag in ("td", "th", "h2", "h3", "h4"):
            self._cell = None


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_lies_in_the_run_folder_with_nothing_beside_it(path):
    assert path.parent.name == "run & more"
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 2e6


def test_holds_no_character_that_is_not_seen(path):
    text = path.read_text(encoding="utf-8")
    assert r"$\frac{1}{$\x1b[2J\u202e" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_says_what_stain_normalization_did_to_the_colors(page):
    assert page.rows["Stain"][0] == ["told by color", "classes", "chance", "before", "after"]
    assert page.rows["Stain"][1][:3] == ["slide", "2", "0.500"]


def test_loads_nothing_and_runs_nothing(path, page):
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert all(image["src"].startswith("data:image/") for image in page.images)
    assert all(image["alt"] for image in page.images)
    addresses = [value for _, attrs in page.tags for key, value in attrs.items() if key in ("href", "src")]
    # a link to another page is followed by the reader alone
    assert all(a.startswith(("#", "data:")) for a in addresses if a != "explore.html")
    assert "url(" not in path.read_text() and "@import" not in path.read_text()


def test_links_of_the_page_lead_somewhere(page):
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    linked = {attrs["href"] for tag, attrs in page.tags if tag in ("a", "use")}
    assert linked == {f"#{name}" for name in ids} | {"explore.html"}


def test_names_from_the_data_are_escaped(path, page):
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "spatialhist run <data> --out run" in page.text
    assert "<title>run &amp; more" in text


def test_a_gene_with_a_bad_name_is_escaped(sdata, cv, scores, no_pictures, monkeypatch):
    from spatialhist.report._page import gene_maps

    shown = {"tissues": [], "stops": [], "genes": {"best": [gene_maps.Gene(sdata["table"].var_names[0], "", [])]}}
    monkeypatch.setattr(gene_maps, "collect", lambda *_: shown)
    text = sh.report.write(sdata, cv, scores=scores).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<h4>&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_pictures_can_be_opened(page):
    kinds = [re.match(r"data:image/([a-z+]+);base64,", i["src"]).group(1) for i in page.images]
    # scores, genes against ceiling, calibration; three alignments, two stains
    assert (kinds.count("svg+xml"), kinds.count("webp")) == (3, 3 + 2)
    for image, kind in zip(page.images, kinds, strict=True):
        data = base64.b64decode(image["src"].split(",")[1])
        if kind == "webp":
            assert Image.open(io.BytesIO(data)).size[0] > 300
        else:
            assert data.lstrip().startswith(b"<?xml")


def test_headline_is_the_summary_with_oracles_apart(page, scores):
    summary = sh.tl.summarize(scores)
    fair = summary[summary["kind"] != "oracle"]
    head, *rows = page.rows["Scores"]
    assert head == ["predictor", "kind", "mean", "beyond_depth", "wins", "wins_beyond_depth"]
    assert [row[0] for row in rows] == list(fair.index)
    assert [row[2] for row in rows] == [f"{v:.3f}" for v in fair["mean"]]
    assert [row[3] for row in rows] == [f"{v:.3f}" for v in fair["beyond_depth"]]
    head, *rows = page.rows["Every held-out group"]
    assert head == ["held-out group", *fair.index]
    assert rows == [[group, *(f"{v:z.3f}" for v in fair[group])] for group in ("P1", "P2", "P3")]
    assert page.rows["Upper references"][0] == ["predictor", "mean", "beyond_depth"]
    assert {row[0] for row in page.rows["Upper references"]}.isdisjoint(fair.index)


def test_verdict_compares_with_the_best_null(page, scores):
    summary = sh.tl.summarize(scores)
    said = " ".join(page.text.split())
    assert f"stack_nnls reaches a within-slide Pearson of {summary.loc['stack_nnls', 'mean']:.3f}" in said
    assert "The best baseline, baseline_mean, reaches 0.000; stack_nnls is above it in 3/3 held-out groups" in said


def test_the_head_says_what_and_when(page):
    from datetime import date

    said = re.search(
        r"slides\.\s+(\d+) genes, (\d+) spots, (\d+) slides in\s+(\d+) groups\.\s+Written (\S+)\.", page.text
    )
    n_genes = len(page.rows["Genes"]) - 1
    assert said and said.groups() == (str(n_genes), str(21 + 22 + 23), "3", "3", date.today().isoformat()), n_genes


def test_cohort(page, sdata):
    table = sdata["table"]
    median = table[(table.obs["region"] == "S2").to_numpy()].X.sum(axis=1)
    row = page.rows["Cohort"][2]
    assert row[:7] == ["S2", "P2", "P2", "22", "2.000", "50.0", "100.0"]
    assert int(row[7].replace(",", "")) == pytest.approx(float(sorted(median.A1)[len(median) // 2]), rel=0.1)


def test_spot_counts(page, sdata):
    head, first, *_ = page.rows["Spots"]
    assert head[-1] == "ok"
    assert sum(map(int, first[1:])) == (sdata["table"].obs["region"] == "S1").sum()


def test_what_was_fitted_on_what(page):
    rows = page.rows["What was fitted on what"]
    assert rows[1:4] == [["P1", "S1", "S2, S3", "8"], ["P2", "S2", "S1, S3", "8"], ["P3", "S3", "S1, S2", "7"]]
    assert ["genes", "8 in the union of all panels, 7 in every panel"] in rows
    assert ["fields of view", "75 µm (1.17 µm per pixel); 3 spot spacings"] in rows
    said = " ".join(page.text.split())
    assert "Features of ridge are standardized" in said
    assert "No stain reference was fitted on the cohort" in said


def test_stack_weights(page):
    assert page.rows["Stack"] == [
        ["held-out group", "ridge", "kernel_ridge", "sum"],
        ["P1", "0.750", "0.250", "1.000"],
        ["P2", "0.500", "0.500", "1.000"],
        ["P3", "1.000", "0.000", "1.000"],
        ["new slides", "0.625", "0.375", "1.000"],
    ]


def test_every_part_is_there(page):
    parts = ["Scores", "Cohort", "Alignment", "Stain", "Spots", "Genes", "Calibration", "Stack"]
    ends = ["What was fitted on what", "How this was made"]
    assert [h for h in page.headings if h in [*parts, *ends, "Training"]] == [*parts, *ends]


def test_scores_of_all_genes(page):
    head, *rows = page.rows["Genes"]
    assert head[:3] == ["gene", "verdict", "score"]
    assert len(rows) == 8


def test_genes_shown_are_those_of_every_fold(page):
    assert len(page.genes) == 6
    assert not [name for name in page.genes if "script" in name]


def test_sections_of_a_patient_in_several_groups_are_named(page, sdata, cv, scores, no_pictures):
    assert "lie in several groups" not in page.text
    obs = sdata["table"].obs
    before = obs["patient"].copy()
    obs["patient"] = "P1"
    try:
        text = " ".join(Page(sh.report.write(sdata, cv, scores=scores).read_text()).text.split())
    finally:
        obs["patient"] = before
    assert "Sections of P1 lie in several groups" in text


def test_the_least_there_can_be(sdata, cv, scores, no_pictures):
    """No stack, upper references or baselines."""
    few = scores[scores["kind"] == "model"]
    page = Page(sh.report.write(sdata, cv, scores=few).read_text())
    assert "Stack" not in page.headings
    assert "Upper references" not in page.headings
    assert "The best baseline" not in page.text


def test_another_path(sdata, cv, scores, tmp_path, no_pictures):
    assert sh.report.write(sdata, cv, scores=scores, path=tmp_path / "a.html") == tmp_path / "a.html"
    with pytest.raises(FileNotFoundError, match="no folder: make it"):
        sh.report.write(sdata, cv, scores=scores, path=tmp_path / "nowhere" / "a.html")


def test_an_interrupted_write_leaves_the_old_page(sdata, cv, scores, no_pictures, monkeypatch):
    path = sh.report.write(sdata, cv, scores=scores)
    before = path.read_bytes()
    cv = replace(cv, manifest=replace(cv.manifest, command="another"))
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        sh.report.write(sdata, cv, scores=scores)
    assert path.read_bytes() == before


def test_another_object_is_refused(sdata, cv, scores):
    slides = {**cv.manifest.slides, "S9": cv.manifest.slides["S1"]}
    cv = replace(cv, manifest=replace(cv.manifest, slides=slides))
    with pytest.raises(KeyError, match=r"no slide \['S9'\]"):
        sh.report.write(sdata, cv, scores=scores)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (float("nan"), "–"), (0.12345, "0.123"), (-0.0001, "0.000"), (7, "7"), ("3/4", "3/4")],
)
def test_number(value, expected):
    assert number(value) == expected


def test_benchmark_brings_its_scores_and_what_cannot_be_known(sdata, cv, scores, tmp_path):
    bench = sh.tl.Benchmark(scores, {"": cv}, ["<script>deep: cannot be known"])
    page = sh.report.write(sdata, bench, path=tmp_path / "page.html").read_text()
    plain = sh.report.write(sdata, cv, scores=scores, path=tmp_path / "plain.html").read_text()
    assert "cannot be known.</p>" in page
    assert "<script>deep" not in page
    assert "cannot be known" not in plain
    for written, known in ((page, False), (plain, True)):
        text = " ".join(Page(written).text.split())
        assert ("Of predictions from elsewhere this is not known." in text) != known
        assert ("by models that have seen no measurement of the group" in text) == known


def test_run_without_scores(sdata, cv):
    with pytest.raises(TypeError, match="scores= is missing: pass scores=sh.tl.evaluate"):
        sh.report.write(sdata, cv)

from __future__ import annotations

import base64
import io
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from PIL import Image

import spatialhist as sh
from spatialhist._runtime.text import printable
from spatialhist._sdata.layers import record
from spatialhist.report._explore_page import content
from spatialhist.report._explore_page import genes as genes_of_page
from spatialhist.tl._scores.reliability import rate_genes

EVIL = "</script><b>bold</b><script>alert(1)</script>"


class Parts(HTMLParser):
    """Tags of a page, and the text of its scripts by their id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self._id = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._id:
            self.scripts[self._id] = self.scripts.get(self._id, "") + data


def decode(code, bits):
    """Numbers of the page, and the step to which they are rounded, by another way than the page was made."""
    low, high, text = code
    codes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype={8: "uint8", 16: "<u2"}[bits])
    top = 2**bits - 2
    return np.where(codes == top + 1, np.nan, low + codes / top * (high - low)), (high - low) / top


class Read:
    """A page with what it holds."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.parts = Parts(self.text)
        self.facts = json.loads(self.parts.scripts["facts"])
        self.slides = [json.loads(self.parts.scripts[f"slide-{i}"]) for i in range(len(self.facts["slides"]))]

    def values(self, slide, layer, gene):
        return decode(
            self.slides[slide]["values"][layer][self.facts["genes"].index(printable(gene))], self.facts["bits"]
        )

    def labels(self):
        return [view["label"] for view in self.facts["views"]]


@pytest.fixture(scope="module")
def cohort(sdata):
    """The cohort with bounds and an out-of-distribution score; of S2, 3 spots and a gene were not measured."""
    own = sd.deepcopy(sdata)
    table = own["table"]
    for bound, by in (("lower", -0.5), ("upper", 0.7)):
        table.layers[f"oof_{bound}"] = table.layers["oof"] + np.float32(by)
        record(table, f"oof_{bound}", {"step": "calibrate", "of": "oof", "level": 0.8})
    rows = np.flatnonzero(table.obs["region"] == "S2")
    table.obs["measured"] = ~np.isin(np.arange(table.n_obs), rows[:3])
    slides = ["S1", "S2", "S3"]
    table.varm["measured"] = pd.DataFrame(True, index=table.var_names, columns=slides)
    table.varm["measured"].iloc[4, 1] = False
    table.obs["out_of_distribution"] = np.linspace(0, 1, table.n_obs)
    return own


@pytest.fixture(scope="module")
def page(cohort, scores, tmp_path_factory):
    path = tmp_path_factory.mktemp("explore") / "explore.html"
    assert sh.report.explore(cohort, path, scores=scores, image_px=200) == path
    return Read(path)


def rows_of(sdata, slide):
    return np.flatnonzero(sdata["table"].obs["region"] == slide)


def test_needs_no_network_and_no_other_file(page):
    tags = page.parts.tags
    assert {tag for tag, _ in tags}.isdisjoint({"link", "iframe", "object", "img"})
    assert not [attrs for _, attrs in tags if {"src", "href"} & set(attrs)]
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_offers_what_is_known_of_a_gene(page):
    assert page.labels() == [
        "measured (log1p)", "predicted (out of fold)", "lower bound (out of fold)", "upper bound (out of fold)",
        "residual", "out of distribution", "tissue only",
    ]  # fmt: skip
    assert {view["unit"] for view in page.facts["views"][:5]} == {"log1p(CP10k)"}


@pytest.mark.parametrize("slide", ["S1", "S2", "S3"])
def test_values_of_the_page_are_those_of_the_layers(page, cohort, slide):
    table, rows = cohort["table"], rows_of(cohort, slide)
    names = [view["layer"] for view in page.facts["views"] if view["layer"]]
    assert names == ["log1p", "oof", "oof_lower", "oof_upper"]
    for layer in names:
        values = table.layers[layer]
        whole = values.toarray() if hasattr(values, "toarray") else values
        for gene in page.facts["genes"]:
            shown, step = page.values(["S1", "S2", "S3"].index(slide), layer, as_named(table, gene))
            wanted = whole[rows, table.var_names.get_loc(as_named(table, gene))].copy()
            if layer == "log1p":
                wanted[~table.obs["measured"].to_numpy()[rows]] = np.nan
                if not table.varm["measured"].loc[as_named(table, gene), slide]:
                    wanted[:] = np.nan
            np.testing.assert_allclose(shown, wanted, atol=step / 2 + 1e-6)
            assert step < 1e-3


def test_places_of_spots_are_those_on_the_image(page, cohort):
    slide = page.slides[1]
    xy = cohort["table"].obsm["spatial"][rows_of(cohort, "S2")] * 2.0
    for shown, wanted in ((slide["x"], xy[:, 0]), (slide["y"], xy[:, 1])):
        np.testing.assert_allclose(decode(shown, 16)[0], wanted, atol=0.01)
    # 300 x 380 pixels of 2 um, in at most 200 pixels
    assert slide["picture"]["height"] == pytest.approx(760, rel=0.02)
    assert slide["picture"]["width"] == pytest.approx(600, rel=0.02)
    image = Image.open(io.BytesIO(base64.b64decode(slide["picture"]["source"].split(",")[1])))
    assert image.format == "JPEG" and max(image.size) <= 200
    assert (slide["physical"], slide["spacing"], slide["radius"]) == (True, 100.0, pytest.approx(40.0))


def test_image_is_that_of_the_slide(page, cohort):
    source = page.slides[2]["picture"]["source"]
    image = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    full = np.moveaxis(np.asarray(cohort["S3_full_image"]), 0, -1)
    small = Image.fromarray(full).resize(image.size, Image.Resampling.BOX)
    other = Image.fromarray(full[:, ::-1]).resize(image.size, Image.Resampling.BOX)
    off, mirrored = (np.abs(np.asarray(image, float) - np.asarray(i, float)).mean() for i in (small, other))
    assert off < 10 < mirrored


def test_spots_are_named(page, cohort):
    names = json.loads(zlib.decompress(base64.b64decode(page.slides[0]["ids"])))
    assert names == list(cohort["table"].obs_names[rows_of(cohort, "S1")])


def test_verdicts_are_those_of_the_report(page, scores):
    rated = rate_genes(scores, "stack_nnls")
    for gene, (verdict, score) in zip(page.facts["genes"], page.facts["ratings"]["oof"], strict=True):
        name = next(g for g in rated.index if printable(g) == gene)
        assert verdict == rated.loc[name, "verdict"]
        assert score == pytest.approx(rated.loc[name, "score"])
    shown = [score for _, score in page.facts["ratings"]["oof"]]
    assert shown == sorted(shown, reverse=True)


def test_colors_have_the_range_of_what_was_measured_on_all_slides(cohort, scores, tmp_path):
    table = cohort["table"]
    page = Read(sh.report.explore(cohort, tmp_path / "one.html", slides="S3", genes=[table.var_names[4]], image_px=64))
    seen = table.obs["measured"].to_numpy() & (table.obs["region"] != "S2").to_numpy()
    wanted = np.percentile(table.layers["log1p"].toarray()[seen, 4], (1, 99))
    np.testing.assert_allclose(page.facts["ranges"]["log1p(CP10k)"], [wanted], rtol=1e-5)
    assert page.facts["sources"] == {"log1p(CP10k)": "measured values"}


def test_predictions_alone_can_have_the_range_of_training(cohort, tmp_path):
    new = sd.deepcopy(cohort)
    new["table"].obs["measured"] = False
    table = new["table"]
    table.layers["predicted"] = table.layers.pop("oof") * 0.1
    record(table, "predicted", {"target": "log1p", "step": "predict", "units": {"target_sum": 1e4}})
    table.var["predicted_verdict"] = pd.Categorical(["weak"] * table.n_vars)
    table.var["predicted_score"] = np.r_[np.nan, np.linspace(0.1, 0.7, table.n_vars - 1)]
    own, trained = (
        Read(sh.report.explore(new, tmp_path / "new.html", layers="predicted", image_px=64, training=training))
        for training in (None, cohort)
    )
    assert own.facts["sources"] == {"log1p(CP10k)": "predicted values"}
    assert trained.facts["sources"] == {"log1p(CP10k)": "training measurements"}
    widths = [np.ptp(page.facts["ranges"]["log1p(CP10k)"], axis=1) for page in (own, trained)]
    assert (widths[0] < widths[1]).all()
    assert own.facts["ratings"]["predicted"][0] == ["weak", pytest.approx(0.7)]
    assert own.facts["ratings"]["predicted"][-1] == ["weak", None]
    # no measurements, so no residuals
    assert own.labels() == ["predicted", "out of distribution", "tissue only"]


def test_predictions_of_other_methods_stand_beside_those_of_the_run(cohort, tmp_path):
    own = sd.deepcopy(cohort)
    table = own["table"]
    table.layers["another"] = table.layers["oof"] * 0.5
    record(table, "another", {"step": "benchmark", "target": "log1p", "kind": "model", "predictor": "another"})
    page = Read(sh.report.explore(own, tmp_path / "both.html", image_px=64))
    assert page.labels()[:3] == ["measured (log1p)", "predicted (out of fold)", "predicted (another)"]
    assert {"residual (out of fold)", "residual (another)"} < set(page.labels())
    del table.layers["oof"], table.layers["another"]
    page = Read(sh.report.explore(own, tmp_path / "models.html", image_px=64))
    assert page.labels()[1] == "predicted (oof_ridge)"


def test_a_table_without_predictions_shows_the_genes_that_vary_most(tmp_path, monkeypatch):
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 380), n_genes=20, seed=0)
    monkeypatch.setattr(genes_of_page, "N_GENES", 5)
    page = Read(sh.report.explore(sdata, tmp_path / "counts.html", image_px=64))
    variance = np.var(sdata["table"].X.toarray(), axis=0)
    assert set(page.facts["genes"]) == set(sdata["table"].var_names[np.argsort(-variance)[:5]])
    assert page.labels() == ["measured (X)", "tissue only"]
    assert page.facts["views"][0]["unit"] == "counts"
    shown, step = page.values(0, "X", page.facts["genes"][0])
    np.testing.assert_allclose(shown, np.rint(shown), atol=step)


def test_names_of_the_data_never_become_tags(cohort, tmp_path):
    own = sd.deepcopy(cohort)
    table = own["table"]
    table.var_names = [EVIL, *table.var_names[1:]]
    table.obs_names = [EVIL, *table.obs_names[1:]]
    table.layers["oof<b>"] = table.layers["oof"]
    record(table, "oof<b>", {"target": "log1p", "kind": "model", "predictor": EVIL})
    plain = Read(sh.report.explore(cohort, tmp_path / "plain.html", layers="oof", image_px=64))
    page = Read(sh.report.explore(own, tmp_path / "evil.html", layers="oof<b>", image_px=64, title=EVIL))
    assert [tag for tag, _ in page.parts.tags] == [tag for tag, _ in plain.parts.tags]
    assert page.text.count("<b>") == plain.text.count("<b>") and EVIL not in page.text
    assert EVIL in page.facts["genes"] and page.labels()[0] == "predicted (oof<b>)"
    assert json.loads(zlib.decompress(base64.b64decode(page.slides[0]["ids"])))[0] == EVIL
    assert "<h1>&lt;/script&gt;&lt;b&gt;bold" in page.text


def test_characters_that_are_not_seen_are_written_out(page):
    assert r"$\frac{1}{$\x1b[2J\u202e" in page.facts["genes"]
    assert not re.search("[\u202a-\u202e\x1b]", page.text)


def test_many_spots_are_shown_as_an_image_of_fewer_bits(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "MOST_SPOTS", 21)
    monkeypatch.setattr("spatialhist.report._explore_page.codes.MAX_PRECISE", 100)
    page = Read(sh.report.explore(cohort, tmp_path / "many.html", image_px=64))
    assert page.facts["bits"] == 8
    assert [slide["raster"] for slide in page.slides] == [slide["spots"] > 21 for slide in page.slides]
    gene = page.facts["genes"][0]
    shown, step = page.values(0, "oof", gene)
    column = cohort["table"].var_names.get_loc(as_named(cohort["table"], gene))
    np.testing.assert_allclose(
        shown, cohort["table"].layers["oof"][rows_of(cohort, "S1"), column], atol=step / 2 + 1e-6
    )


def test_a_slide_without_an_image_is_shown_on_white(cohort, tmp_path):
    own = sd.deepcopy(cohort)
    del own.images["S2_full_image"]
    for key in [k for k in own.images if k.startswith("S2")]:
        del own.images[key]
    with pytest.warns(UserWarning, match="'S2' is shown without its H&E image: no image 'S2_full_image'"):
        page = Read(sh.report.explore(own, tmp_path / "white.html", image_px=64))
    assert [slide["picture"] is None for slide in page.slides] == [False, True, False]
    np.testing.assert_allclose(
        decode(page.slides[1]["x"], 16)[0], own["table"].obsm["spatial"][rows_of(own, "S2"), 0] * 2.0, atol=0.01
    )


def test_300_genes_on_5000_spots_stay_small(tmp_path):
    """With noise, which nothing compresses, for values and for the finest image."""
    rng = np.random.default_rng(0)
    xy = (np.indices((50, 100)).reshape(2, -1).T[:, ::-1] + 0.5) * 30
    image = rng.integers(0, 256, (1500, 3000, 3), dtype=np.uint8)
    sdata = sh.io.from_arrays(image, xy, rng.poisson(3, (5000, 300)), genes=[f"G{i}" for i in range(300)], slide="S1")
    sh.pp.log_normalize(sdata)
    table = sdata["table"]
    table.layers["oof"] = rng.normal(size=(5000, 300)).astype(np.float32)
    record(table, "oof", {"target": "log1p", "kind": "model", "predictor": "ridge"})
    for bound in ("lower", "upper"):
        table.layers[f"oof_{bound}"] = rng.normal(size=(5000, 300)).astype(np.float32)
        record(table, f"oof_{bound}", {"of": "oof"})
    path = sh.report.explore(sdata, tmp_path / "large.html")
    assert path.stat().st_size < 30e6


def as_named(table, shown):
    """Name in the table of a gene as it is shown."""
    return next(name for name in table.var_names if printable(name) == shown)


def test_an_unfinished_page_leaves_the_one_before(cohort, tmp_path, monkeypatch):
    path = tmp_path / "explore.html"
    path.write_text("before")

    def broken(self):
        yield from ()
        raise OSError("disk")

    monkeypatch.setattr(content.Content, "slides", broken)
    with pytest.raises(OSError, match="disk"):
        sh.report.explore(cohort, path)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["explore.html"]

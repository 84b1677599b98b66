"""The pages that the landing cards lead to: their Python runs on a small cohort, from the first line to the last."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import spatialdata as sd

import spatialhist as sh

DOCS = Path(__file__).resolve().parents[1] / "docs"
READS = re.compile(r"^sdata = sh\.io\.read\(.*\)$", flags=re.MULTILINE)
"""What the test replaces: nothing but the slides."""


@pytest.fixture(scope="module")
def cohort():
    return sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(500, 400), n_genes=12, seed=4)


def run_page(page: str, **names) -> dict[str, object]:
    """Run the Python blocks of a page, one after the other."""
    text = (DOCS / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    code, n = READS.subn("", code)
    assert n == bool(names)
    exec(code, names)
    plt.close("all")
    return names


@pytest.mark.parametrize("page", ["visium.md", "visium_hd_xenium.md"])
def test_from_slides_to_a_gene_that_was_predicted(page, cohort, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page(page, sdata=sd.deepcopy(cohort))
    assert names["best"] in names["sdata"]["table"].var_names
    assert names["axes"].size > 0
    assert (tmp_path / "runs" / "first").is_dir()


def test_a_network_stands_beside_the_ridge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page("own_model.md")
    assert {"ridge", "small_net", "baseline_mean"} <= set(names["scores"]["predictor"])
    assert "small_net" in str(names["comparison"])


def test_cards_lead_to_pages():
    links = re.findall(r"^:link: (\S+)$", (DOCS / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(links) == 9
    for link in links:
        assert any((DOCS / f"{link}{end}").is_file() for end in (".md", ".ipynb")), link

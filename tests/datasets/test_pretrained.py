from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh
from spatialhist.datasets._pretrained import MODELS, NAMES


@pytest.fixture(scope="module")
def slide():
    """A slide of other tissue, without spots, taller than wide, of 2 um a pixel."""
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 380), n_genes=5, seed=3)
    del sdata.tables["table"], sdata.shapes["S1"]
    sh.pp.mask_background(sdata)
    return sdata


def state():
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in MODELS.rglob("*")}


def test_every_model_predicts_and_its_folder_stays_as_it_was(slide):
    for name in NAMES:
        before, model = state(), sh.datasets.pretrained(name)
        sh.tl.predict_grid(slide, model, key_added=name, progress=False)
        table = slide["S1_grid_table"]
        assert list(table.var_names) == model.genes
        values = table.layers[name]
        assert np.isfinite(values).all()
        assert (values.std(axis=0) > 0).all()
        assert state() == before


def test_a_simulated_slide_is_far_from_what_it_was_trained_on(slide, caplog):
    sh.tl.predict_grid(slide, sh.datasets.pretrained(), key_added="again", progress=False)
    assert "slide 'S1' is unlike the training slides" in caplog.text
    assert np.median(slide["S1_grid_table"].obs["out_of_distribution"]) > 0.95


def test_the_card_says_how_good_the_genes_are_on_patients_held_out():
    model = sh.datasets.pretrained("her2st")
    genes = sh.tl.gene_reliability(model)
    assert set(genes.index) <= set(model.genes)
    assert len(genes) > 0.9 * len(model.genes)
    assert (genes["groups"].max(), model.manifest.license) == (3, "CC BY 4.0")
    scores = {entry["predictor"]: entry for entry in model.card()["scores"]}
    assert {"ridge", "baseline_color", "baseline_depth", "control_permuted"} <= set(scores)
    assert {"A", "B", "C", "beyond_depth"} <= set(scores["ridge"])
    assert len(model.manifest.slides) == 7


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_small_and_complete(name):
    files = {path.name: path.stat().st_size for path in (MODELS / name).rglob("*") if path.is_file()}
    assert sum(files.values()) < 3e6
    assert not {file.rsplit(".")[-1] for file in files} - {"json", "md", "safetensors"}
    text = (MODELS / name / "MODEL_CARD.md").read_text()
    for said in ("must not be used for", "CC BY 4.0", "Cite:", "beyond depth", "baseline_color"):
        assert said in text
    assert "/work" not in text + (MODELS / name / "manifest.json").read_text()


def test_the_card_tells_the_scores_of_the_run():
    text = (MODELS / "her2st" / "MODEL_CARD.md").read_text()
    for entry in sh.datasets.pretrained("her2st").card()["scores"]:
        if entry["kind"] != "oracle":
            assert f"| {entry['predictor']} | {entry['mean']:.3f} | {entry['beyond_depth']:.3f} |" in text


def test_another_name():
    with pytest.raises(ValueError, match=r"name='tcga' is not one of \['her2st'\]"):
        sh.datasets.pretrained("tcga")

from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._runs.cross_validation import CrossValidation


def test_a_folder_is_a_run_again(finished):
    _, cv, _ = finished
    again = CrossValidation.load(cv.folder)
    assert (again.models, again.baselines, again.groups) == (cv.models, cv.baselines, ["P1", "P2", "P3", "P4"])
    assert again.panels == cv.panels
    assert again.genes == cv.genes
    np.testing.assert_array_equal(again.out_of_fold("ridge"), cv.out_of_fold("ridge"))


def test_is_shown_without_its_manifest(finished):
    assert "manifest" not in repr(finished[1])
    assert "ridge" in repr(finished[1])


def test_out_of_fold_predictions_end_at_the_panel(finished):
    _, cv, _ = finished
    values = cv.out_of_fold("ridge_raw")
    assert values.shape == (384, len(cv.genes))
    for group in cv.groups:
        known = np.isfinite(values[cv.inputs.column("group") == group])
        assert (known.all(axis=0) == np.isin(np.arange(len(cv.genes)), cv.panels[group])).all()
        assert (known.any(axis=0) == known.all(axis=0)).all()


def test_targets_are_the_layer_in_the_panel(finished):
    sdata, cv, _ = finished
    rows = np.array([3, 200])
    names = [cv.genes[i] for i in cv.panels["P4"]]
    expected = sdata["table"][rows, names].layers["log1p"].toarray()
    np.testing.assert_array_equal(cv.targets(rows, "P4"), expected)


def test_a_model_folder_is_no_run(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format": 1, "what": "model"}')
    with pytest.raises(ValueError, match="holds 'model', not a cross-validation"):
        CrossValidation.load(tmp_path)


def test_training_slides_are_known_by_their_pixels(finished):
    _, cv, _ = finished
    for slide, facts in cv.manifest.slides.items():
        assert cv.trained_on(facts.pixels) == slide
    assert cv.trained_on("other") is None
    assert cv.trained_on("") is None

from __future__ import annotations

import numpy as np

from spatialhist.tl._data.simulated import (
    N_GENES,
    SIZES,
    as_new_slide,
    held_out_samples,
    simulate_inputs,
    training_samples,
)


def test_last_group_is_held_out_without_targets(tmp_path):
    inputs = simulate_inputs(tmp_path / "inputs")
    training, held_out = training_samples(inputs), held_out_samples(inputs)
    assert set(training.group) == {"A", "B"} and set(held_out.group) == {"C"}
    assert training.targets.shape == (sum(SIZES[:3]), N_GENES)
    assert held_out.targets is None and held_out.tiles is None
    assert held_out_samples(inputs, targets=True).targets.shape == (SIZES[3], N_GENES)


def test_expression_follows_features_and_the_slide(tmp_path):
    training = training_samples(simulate_inputs(tmp_path / "inputs"))
    features = np.concatenate(training.blocks(False, "all"), axis=1)
    design = np.column_stack([features, np.ones(len(features))])
    residual = training.targets - design @ np.linalg.lstsq(design, training.targets, rcond=None)[0]
    varies = training.targets.std(axis=0) > 0
    assert varies.sum() == N_GENES - 1
    assert (residual.std(axis=0)[varies] < 0.9 * training.targets.std(axis=0)[varies]).all()
    standardized = training.standardized[0][training.slide == "S2"]
    np.testing.assert_allclose(standardized.mean(axis=0), 0, atol=1e-5)


def test_new_slide_lies_in_memory_without_group_or_color(tmp_path):
    stored = held_out_samples(simulate_inputs(tmp_path / "inputs", tile_pixels=5))
    new = as_new_slide(stored)
    assert isinstance(new.features, tuple) and isinstance(new.tiles, np.ndarray)
    assert new.tiles.shape == (SIZES[3], 3, 5, 5)
    assert new.color is None and set(new.group) == {""} and stored.color is not None
    np.testing.assert_array_equal(new.features[6], stored.features[6])

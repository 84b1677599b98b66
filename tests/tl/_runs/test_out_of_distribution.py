from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spatialhist.tl._data.samples import write_inputs
from spatialhist.tl._runs import out_of_distribution as _out_of_distribution
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures, warn_of_far

GROUPS = ["a", "b", "c"]


def make_inputs(folder, groups=GROUPS, n=40, seed=0):
    """Two fields of view of three features each; every slide is a group."""
    rng = np.random.default_rng(seed)
    total = n * len(groups)
    return write_inputs(
        folder,
        slides=[f"S{g}" for g in groups],
        groups=groups,
        patients=groups,
        slide_code=np.repeat(np.arange(len(groups)), n),
        position=np.zeros((total, 2)),
        features=[[rng.normal(size=(total, 3)).astype(np.float32) for _ in range(2)]],
        statistics=[np.tile([[0.0], [1.0]], (len(groups), 1, 3)) for _ in range(2)],
        values=rng.normal(size=(total, 2)),
        tiles=None,
        ranking=None,
    )


def features_of(inputs):
    return inputs.samples(np.arange(len(inputs))).features


def test_the_score_is_a_share_of_left_out_distances(tmp_path):
    inputs = make_inputs(tmp_path)
    known = TrainingFeatures.of(inputs, GROUPS, 2)
    # six features, six components: distances are those of the scaled features
    every = np.concatenate(features_of(inputs), axis=1)
    scaled = (every - every.mean(axis=0)) / every.std(axis=0)
    group = inputs.column("group")
    new = np.random.default_rng(5).normal(size=(7, 6)).astype(np.float32)
    there = (new - every.mean(axis=0)) / every.std(axis=0)
    distance = np.sort(cdist(there, scaled), axis=1)[:, 9]
    shares = []
    for g in GROUPS:
        left_out = np.sort(cdist(scaled[group == g], scaled[group != g]), axis=1)[:, 9]
        shares.append((left_out[None] < distance[:, None]).mean(axis=1))
    np.testing.assert_allclose(known.score((new[:, :3], new[:, 3:])), np.mean(shares, axis=0), atol=0.01)


def test_far_is_one_and_near_is_less(tmp_path):
    inputs = make_inputs(tmp_path)
    known = TrainingFeatures.of(inputs, GROUPS, 2)
    far = tuple(f[:5] + 50 for f in features_of(inputs))
    assert known.score(far).tolist() == [1.0] * 5
    middle = tuple(np.zeros((2, 3), dtype=np.float32) for _ in range(2))
    assert known.score(middle).max() < 0.1
    assert known.score(middle).dtype == np.float32


def test_spots_of_a_left_out_group_are_scored_like_new_ones(tmp_path):
    """A group far from the others is far, although it was trained on."""
    inputs = make_inputs(tmp_path)
    moved = [np.load(tmp_path / f"features_{e}.npy") for e in range(2)]
    for e, features in enumerate(moved):
        features[inputs.column("group") == "b"] += 6
        np.save(tmp_path / f"features_{e}.npy", features)
    known = TrainingFeatures.of(inputs, GROUPS, 2)
    own = tuple(f[inputs.column("group") == "b"] for f in moved)
    assert known.score(own, held_out=1).min() == 1
    assert known.score(own).mean() < 0.6


def test_one_group_is_compared_within(tmp_path):
    known = TrainingFeatures.of(make_inputs(tmp_path, ["a"]), ["a"], 2)
    assert (known.distances > 0).all()
    assert 0.3 < known.score(features_of(make_inputs(tmp_path / "new", ["a"], n=200, seed=1))).mean() < 0.8


def test_averages_over_the_context_are_not_looked_at(tmp_path):
    inputs = make_inputs(tmp_path)
    known = TrainingFeatures.of(inputs, GROUPS, 1)
    first, second = features_of(inputs)
    np.testing.assert_array_equal(known.score((first, second)), known.score((first, second + 99)))


def test_labels_are_not_looked_at(tmp_path):
    inputs = make_inputs(tmp_path)
    before = TrainingFeatures.of(inputs, GROUPS, 2)
    np.save(tmp_path / "values.npy", np.zeros((len(inputs), 2)))
    after = TrainingFeatures.of(inputs, GROUPS, 2)
    np.testing.assert_array_equal(before.points, after.points)
    np.testing.assert_array_equal(before.distances, after.distances)


def test_of_many_spots_some_are_kept_of_each_group(tmp_path, monkeypatch):
    monkeypatch.setattr(_out_of_distribution, "MAX_SPOTS", 30)
    known = TrainingFeatures.of(make_inputs(tmp_path), GROUPS, 2)
    assert np.bincount(known.group).tolist() == [10, 10, 10]


def test_stored_and_loaded(tmp_path):
    inputs = make_inputs(tmp_path / "inputs")
    known = TrainingFeatures.of(inputs, GROUPS, 2)
    known.save(tmp_path)
    again = TrainingFeatures.load(tmp_path)
    some = features_of(inputs)
    np.testing.assert_array_equal(again.score(some, held_out=2), known.score(some, held_out=2))
    (tmp_path / "training_features.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"training_features.safetensors is missing or broken .*: make the run again"):
        TrainingFeatures.load(tmp_path)
    with pytest.raises(ValueError, match="missing or broken"):
        TrainingFeatures.load(tmp_path / "nowhere")


def test_a_slide_that_is_far_is_named(caplog):
    warn_of_far("S1", np.array([0.96, 1.0, 0.2]))
    assert "slide 'S1' is unlike the training slides: 67 % of its spots" in caplog.text
    caplog.clear()
    warn_of_far("S1", np.array([0.96, 0.5, 0.2]))
    warn_of_far("S1", np.empty(0))
    assert not caplog.text

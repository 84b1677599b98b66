from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import rankdata
from small_samples import draw_samples

from spatialhist.tl._data.samples import CLIP, Inputs, standardize, write_inputs

TILES = np.random.default_rng(1).integers(0, 255, (5, 3, 2, 4), dtype=np.uint8)


FEATURES = [np.random.default_rng(f).normal(size=(5, f)).astype(np.float32) for f in (3, 2)]


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    return write_inputs(
        tmp_path / "inputs",
        slides=["b", "a"],
        groups=["g", "h"],
        patients=["P", ""],
        slide_code=np.array([0, 0, 0, 1, 1]),
        position=rng.normal(size=(5, 2)),
        features=iter(zip(*(np.split(f, [3]) for f in FEATURES), strict=True)),
        statistics=[
            np.array([[[0, 1, 2], [1, 2, 4]], [[5, 5, 5], [1, 1, 1]]], np.float32),
            np.ones((2, 2, 2), np.float32),
        ],
        values=rng.integers(0, 9, (5, 4)).astype(np.float32),
        tiles=iter(np.split(TILES, [3])),
        ranking={"method": "average", "scale": "raw"},
        depth=np.array([50.0, 60, 70, 80, 90]),
    )


def test_standardized_features_are_relative_to_the_tissue():
    features = np.array([[3.0, 100.0, 5.0], [1.0, -100.0, 7.0]])
    result = standardize(features, np.array([1.0, 0.0, 5.0]), np.array([2.0, 1.0, 0.0]))
    # the second column is clipped, the third is constant over the tissue
    np.testing.assert_allclose(result, [[1, CLIP, 0], [0, -CLIP, 0]])
    assert result.dtype == np.float32


def test_every_slide_has_its_own_statistics(inputs):
    samples = inputs.samples(np.array([4, 0]))
    f = samples.features[0]
    np.testing.assert_allclose(samples.standardized[0][0], f[0] - 5, rtol=1e-6)
    np.testing.assert_allclose(samples.standardized[0][1], (f[1] - [0, 1, 2]) / [1, 2, 4], rtol=1e-6)
    assert samples.slide.tolist() == ["a", "b"]
    assert samples.group.tolist() == ["h", "g"]
    assert samples.patient.tolist() == ["", "P"]


def test_features_stay_in_their_files_until_they_are_indexed(inputs):
    samples = inputs.samples(np.array([4, 0, 3]))
    assert len(samples.features) == 2
    for e, block in enumerate(samples.features):
        np.testing.assert_array_equal(block, FEATURES[e][[4, 0, 3]])
    some = samples.blocks(False, (1,), [2, 0])
    np.testing.assert_array_equal(some, [FEATURES[1][[3, 4]]])
    np.testing.assert_array_equal(samples.blocks(True, "all", slice(1, 2))[0], samples.standardized[0][1:2])
    np.testing.assert_array_equal(samples.take(np.array([1])).standardized[0], samples.standardized[0][[1]])
    assert [b.shape for b in samples.features[:1]] == [(3, 3)]
    samples.standardized[0][:] = 0
    assert samples.standardized[0].any()
    with pytest.raises(IndexError):
        samples.features[2]


def test_spots_to_be_predicted_carry_no_targets_and_no_tiles(inputs):
    samples = inputs.samples(np.array([0, 1]))
    assert samples.targets is None
    assert samples.tiles is None
    with pytest.raises(ValueError, match="the 2 samples have no targets"):
        _ = samples.training_targets
    with pytest.raises(ValueError, match="needs_tiles = True"):
        _ = samples.needed_tiles


def test_targets_are_ranked_within_the_chosen_genes(inputs):
    values = np.load(inputs.folder / "values.npy")[:, [3, 0, 1]]
    targets = inputs.samples(np.arange(5), (3, 0, 1)).targets
    np.testing.assert_array_equal(targets, rankdata(values, axis=1))


def test_a_folder_is_opened_again(inputs):
    again = Inputs.open(inputs.folder)
    assert len(again) == 5
    assert again.meta == inputs.meta
    tiles = again.samples(np.array([2]), tiles=True).tiles
    np.testing.assert_array_equal(tiles, np.load(inputs.folder / "tiles.npy")[[2]])


def test_taking_spots_takes_everything_of_them():
    samples = draw_samples(tile_pixels=4)
    rows = np.array([50, 3])
    taken = samples.take(rows)
    assert len(taken) == 2
    for name in ("slide", "group", "patient", "position", "tiles", "targets"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(samples, name)[rows])
    np.testing.assert_array_equal(taken.standardized[1], samples.standardized[1][rows])
    assert draw_samples().take(rows).tiles is None


def test_inner_groups_are_slides_where_one_group_is_left():
    samples = draw_samples()
    assert samples.inner_groups() is samples.group
    one = samples.take(np.flatnonzero(samples.group == "g1"))
    assert one.inner_groups() is one.slide


def test_tiles_stay_in_their_file_until_they_are_indexed(inputs):
    rows = np.array([4, 0, 3])
    tiles = inputs.samples(rows, tiles=True).tiles
    assert len(tiles) == 3
    for index in (1, slice(1, 3), [2, 0], np.array([0, 0])):
        np.testing.assert_array_equal(tiles[index], TILES[rows][index])
        assert type(tiles[index]) is np.ndarray
    np.testing.assert_array_equal(np.asarray(tiles), TILES[rows])
    assert len(pickle.dumps(tiles)) < 1000
    assert inputs.tile_gb == pytest.approx((TILES.nbytes + 128) / 1e9)


def test_spots_of_a_run_without_tiles_take_no_room(inputs):
    (inputs.folder / "tiles.npy").unlink()
    assert inputs.tile_gb == 0


def test_depth_is_known_of_training_spots_alone(inputs):
    training = inputs.samples(np.array([4, 1, 2]), [0])
    assert training.depth.tolist() == [90, 60, 70]
    assert training.take(np.array([True, False, True])).depth.tolist() == [90, 70]
    assert inputs.samples(np.array([4, 1])).depth is None
    (inputs.folder / "depth.npy").unlink()
    assert inputs.samples(np.array([4, 1]), [0]).depth is None

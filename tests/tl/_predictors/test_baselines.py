from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor
from small_samples import draw_samples

from spatialhist.tl import TileNetwork
from spatialhist.tl._predictors.baselines import (
    ColorBaseline,
    DepthBaseline,
    MeanProfile,
    PatientMean,
    Permuted,
    PositionNeighbors,
    SingleScale,
    permuted,
)
from spatialhist.tl._predictors.linear import Ridge
from spatialhist.tl._predictors.ridge_solver import center_by_slide
from spatialhist.tl._runs.fits import read_state, write_state


def fit(predictor, samples):
    return predictor.fit(samples, seed=0, scratch=None)


def test_mean_profile_counts_slides_alike():
    samples = draw_samples(sizes=(10, 90))
    expected = (samples.targets[:10].mean(axis=0) + samples.targets[10:].mean(axis=0)) / 2
    predicted = fit(MeanProfile(), samples).predict(draw_samples(sizes=(3,)))
    np.testing.assert_allclose(predicted, np.tile(expected, (3, 1)), rtol=1e-5)


def test_patient_mean_knows_only_the_patients_it_saw():
    samples = draw_samples(sizes=(10, 20, 30))
    samples.patient[:] = np.repeat(["A", "A", ""], [10, 20, 30])
    new = draw_samples(sizes=(2, 2))
    new.patient[:] = ["A", "A", "B", ""]
    predicted = fit(PatientMean(), samples).predict(new)
    expected = (samples.targets[:10].mean(axis=0) + samples.targets[10:30].mean(axis=0)) / 2
    np.testing.assert_allclose(predicted[:2], np.tile(expected, (2, 1)), rtol=1e-5)
    assert np.isnan(predicted[2:]).all()


def test_patient_mean_without_patients_predicts_nothing():
    samples = draw_samples()
    samples.patient[:] = ""
    assert np.isnan(fit(PatientMean(), samples).predict(samples)).all()


def test_position_is_a_nearest_neighbor_mean_of_centered_targets():
    samples, new = draw_samples(), draw_samples(4, sizes=(12,))
    centered, level = center_by_slide(samples.targets, samples.slide)
    expected = KNeighborsRegressor(7).fit(samples.position, centered + level).predict(new.position)
    np.testing.assert_allclose(fit(PositionNeighbors(neighbors=7), samples).predict(new), expected, atol=1e-5)


def test_fewer_spots_than_neighbors_are_all_averaged():
    samples = draw_samples(sizes=(3,))
    predicted = fit(PositionNeighbors(neighbors=20), samples).predict(samples)
    np.testing.assert_allclose(predicted, np.tile(samples.targets.mean(axis=0), (3, 1)), rtol=1e-5)


def test_a_single_training_spot_is_repeated():
    samples = draw_samples(sizes=(1,))
    predicted = fit(PositionNeighbors(), samples).predict(draw_samples(sizes=(4,)))
    np.testing.assert_allclose(predicted, np.tile(samples.targets, (4, 1)))


def test_color_is_what_the_color_baseline_sees():
    samples = draw_samples()
    colors = samples.features[0] + 1
    seen = replace(samples, color=(colors,), features=(), standardized=())
    expected = fit(Ridge(standardized=False), replace(samples, features=(colors,)))
    np.testing.assert_array_equal(
        fit(ColorBaseline(), seen).predict(seen), expected.predict(replace(samples, features=(colors,)))
    )
    with pytest.raises(ValueError, match="no features of color and texture"):
        fit(ColorBaseline(), samples)


def test_a_single_scale_is_a_ridge_on_one_block():
    samples = draw_samples()
    expected = fit(Ridge(standardized=False, blocks=(1,)), samples).predict(samples)
    np.testing.assert_array_equal(fit(SingleScale(), samples).predict(samples), expected)


def test_permuted_labels_stay_within_their_slide_and_tell_nothing():
    samples = draw_samples(sizes=(80, 80, 80))
    fitted = fit(Permuted(Ridge(components=8, ranks=(0,))), samples)
    new = draw_samples(5, sizes=(200,))
    r = np.mean([np.corrcoef(p, t)[0, 1] for p, t in zip(fitted.predict(new).T, new.targets.T, strict=True)])
    assert abs(r) < 0.5
    targets = permuted(samples, 0)
    for slide in np.unique(samples.slide):
        rows = samples.slide == slide
        assert not np.array_equal(targets[rows], samples.targets[rows])
        np.testing.assert_array_equal(np.sort(targets[rows], axis=0), np.sort(samples.targets[rows], axis=0))


def test_a_control_needs_the_tiles_that_its_model_needs():
    assert not Permuted().needs_tiles
    assert Permuted(TileNetwork()).needs_tiles


@pytest.mark.parametrize(
    "predictor", [MeanProfile(), PatientMean(), PositionNeighbors(), ColorBaseline(), SingleScale(), Permuted()]
)
def test_baselines_survive_their_folder(predictor, tmp_path):
    samples = draw_samples()
    samples = replace(samples, color=samples.features[:1])
    fitted = fit(predictor, samples)
    write_state(tmp_path, fitted.state())
    np.testing.assert_array_equal(predictor.restore(read_state(tmp_path)).predict(samples), fitted.predict(samples))
    assert predictor.kind == "baseline"


def deep_samples(seed=0, sizes=(40, 30, 35)):
    """Spots whose log depth is the first feature, slides apart, and whose genes follow it with slopes 2, -1 and 0."""
    samples = draw_samples(seed, sizes=sizes, n_genes=3)
    code = np.unique(samples.slide, return_inverse=True)[1]
    depth = np.expm1(6 + samples.standardized[0][:, 0] + 0.5 * code)
    targets = np.outer(np.log1p(depth), [2, -1, 0]) + 5 * code[:, None] + [1, 2, 3]
    return replace(samples, depth=depth, targets=targets.astype(np.float32))


def test_depth_predicted_from_the_image_times_the_slope_of_each_gene():
    samples, new = deep_samples(), deep_samples(1, sizes=(25,))
    rng = np.random.default_rng(2)
    noisy = replace(samples, targets=samples.targets + rng.normal(size=(105, 3)).astype(np.float32))
    predicted = fit(DepthBaseline(), noisy).predict(replace(new, targets=None, depth=None))
    logs = np.log1p(noisy.depth)
    within, level = (center_by_slide(v, noisy.slide) for v in (logs[:, None], noisy.targets.astype(float)))
    slopes = [np.polyfit(within[0][:, 0], column, 1)[0] for column in level[0].T]
    target = replace(noisy, targets=logs[:, None].astype(np.float32))
    depth = fit(Ridge(), target).predict(new)[:, 0]
    assert np.corrcoef(depth, np.log1p(new.depth))[0, 1] > 0.9
    np.testing.assert_allclose(predicted, level[1] + np.outer(depth - within[1][0], slopes), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(slopes, [2, -1, 0], atol=0.25)


def test_genes_of_depth_rise_and_fall_together():
    predicted = fit(DepthBaseline(), deep_samples()).predict(deep_samples(1, sizes=(25,)))
    assert np.corrcoef(predicted[:, 0], predicted[:, 1])[0, 1] == pytest.approx(-1, abs=1e-4)


def test_a_slide_of_one_depth_has_no_slope():
    samples = replace(deep_samples(), depth=np.full(105, 900.0))
    predicted = fit(DepthBaseline(), samples).predict(samples)
    np.testing.assert_array_equal(predicted, np.tile(predicted[0], (105, 1)))


def test_depth_comes_back_as_it_was_stored(tmp_path):
    samples = deep_samples()
    fitted = fit(DepthBaseline(), samples)
    write_state(tmp_path, fitted.state())
    again = DepthBaseline().restore(read_state(tmp_path))
    assert again.predict(samples).tobytes() == fitted.predict(samples).tobytes()


def test_samples_without_counts_have_no_baseline_of_depth():
    with pytest.raises(ValueError, match="the samples hold no depth"):
        fit(DepthBaseline(), draw_samples())

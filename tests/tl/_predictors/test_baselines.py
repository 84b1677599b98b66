from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor
from small_samples import draw_samples

from spatialhist.tl import TileNetwork
from spatialhist.tl._predictors.baselines import (
    ColorBaseline,
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

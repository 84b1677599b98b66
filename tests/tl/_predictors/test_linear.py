from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import KernelCenterer, StandardScaler
from small_samples import draw_samples

from spatialhist.tl import KernelRidge, Ridge
from spatialhist.tl._predictors.linear import Nystroem, Reducer, feature_parts
from spatialhist.tl._predictors.ridge_solver import FALLBACK, center_by_slide
from spatialhist.tl._runs.fits import read_state, write_state


def fit(predictor, samples):
    return predictor.fit(samples, seed=0, scratch=None)


def reduce(x, components, parts=1):
    return Reducer.fit(lambda: np.array_split(x, parts), components)


@pytest.mark.parametrize("n", [None, 5], ids=["more spots", "more features"])
def test_reducer_is_scaling_and_pca(n):
    x = draw_samples(n_features=(7,)).features[0][:n] * np.array([1, 50, 3, 0.1, 1, 1, 1], np.float32)
    reducer = reduce(x, 4, parts=2)
    expected = PCA(4).fit_transform(StandardScaler().fit_transform(x))
    found = reducer.transform(x)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)
    assert found.dtype == np.float64


def test_reducer_leaves_out_constant_features_and_keeps_what_there_is():
    x = np.column_stack([np.arange(6.0), np.full(6, 3.0)]).astype(np.float32)
    found = reduce(x, 10).transform(x)
    assert np.isfinite(found).all()
    assert found.shape == (6, 2)


def test_reducer_of_more_features_than_spots_keeps_no_axis_without_variance():
    x = np.repeat(draw_samples(n_features=(9,)).features[0][:3], 2, axis=0)
    assert reduce(x, 6).transform(x).shape == (6, 2)


def test_ridge_is_that_of_sklearn_on_centered_targets():
    samples = draw_samples(noise=1.0)
    fitted = fit(Ridge(components=8, ranks=(0,)), samples)
    centered, level = center_by_slide(samples.targets.astype(float), samples.slide)
    x = StandardScaler().fit_transform(np.concatenate(samples.standardized, axis=1))
    expected = SklearnRidge(alpha=fitted.chosen["strength"] * len(x) / 1e3).fit(x, centered).predict(x) + level
    np.testing.assert_allclose(fitted.predict(samples), expected, atol=1e-4)


def test_kernel_ridge_on_all_landmarks_is_that_of_sklearn():
    samples = draw_samples(noise=1.0)
    fitted = fit(KernelRidge(standardized=True, components=8, landmarks=1000, width=0.9, ranks=(0,)), samples)
    centered, level = center_by_slide(samples.targets.astype(float), samples.slide)
    points = fitted.reducer.transform(np.concatenate(samples.standardized, axis=1))
    width = 0.9 * np.median(pdist(points))
    assert fitted.kernel.width == pytest.approx(width)
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    kernel = KernelCenterer().fit_transform(np.exp(-distances / width))
    alpha = fitted.chosen["strength"] * len(points) / 1e6
    expected = SklearnKernelRidge(alpha=alpha, kernel="precomputed").fit(kernel, centered).predict(kernel) + level
    np.testing.assert_allclose(fitted.predict(samples), expected, atol=1e-3)


def test_landmarks_are_training_points_and_limited():
    points = draw_samples().standardized[0].astype(float)
    kernel = Nystroem.fit(points, 10, 1.0, 0)
    assert len(kernel.landmarks) == 10
    assert {tuple(p) for p in kernel.landmarks} <= {tuple(p) for p in points}
    assert np.isfinite(Nystroem.fit(points[:1], 10, 1.0, 0).transform(points)).all()


BY_COMPONENT = [Ridge(components=4, by_component=2), KernelRidge(components=4, landmarks=20, by_component=3)]


@pytest.mark.parametrize("predictor", [Ridge(components=4), KernelRidge(components=4, landmarks=20), *BY_COMPONENT])
class TestBoth:
    def test_learns_what_features_tell_of_new_slides(self, predictor):
        fitted = fit(replace(predictor, components=8), draw_samples())
        new = draw_samples(5, sizes=(50,))
        r = [np.corrcoef(p, t)[0, 1] for p, t in zip(fitted.predict(new).T, new.targets.T, strict=True)]
        assert min(r) > 0.5

    def test_survives_its_folder(self, predictor, tmp_path):
        samples = draw_samples()
        fitted = fit(predictor, samples)
        write_state(tmp_path, fitted.state())
        again = predictor.restore(read_state(tmp_path))
        np.testing.assert_array_equal(again.predict(samples), fitted.predict(samples))
        assert again.chosen == fitted.chosen

    def test_one_training_slide_is_enough(self, predictor):
        fitted = fit(predictor, draw_samples(sizes=(30,)))
        assert fitted.chosen["strength"] == FALLBACK
        assert np.isfinite(fitted.predict(draw_samples())).all()

    def test_level_is_the_mean_of_training_slides(self, predictor):
        samples = draw_samples()
        predicted = fit(predictor, samples).predict(samples)
        level = center_by_slide(samples.targets, samples.slide)[1]
        np.testing.assert_allclose(predicted.mean(axis=0), level, atol=1e-3)


@pytest.mark.parametrize("predictor", BY_COMPONENT)
def test_components_have_regularization_of_their_own(predictor):
    fitted = fit(predictor, draw_samples(sizes=(30, 25, 20, 35)))
    assert len(fitted.chosen["strengths"]) == len(fitted.chosen["slopes"]) == predictor.by_component
    assert np.linalg.matrix_rank(fitted.weights) <= predictor.by_component


@pytest.mark.parametrize("predictor", BY_COMPONENT)
def test_two_inner_groups_choose_one_strength_for_all(predictor):
    samples = draw_samples(sizes=(30, 25))
    whole = fit(replace(predictor, by_component=0), samples)
    few = fit(predictor, samples)
    assert few.chosen == whole.chosen
    np.testing.assert_array_equal(few.predict(samples), whole.predict(samples))


@pytest.mark.parametrize("predictor", [Ridge(components=6), KernelRidge(components=6, landmarks=30)])
def test_spots_gone_through_in_parts_give_the_same_model(predictor, monkeypatch):
    samples = draw_samples()
    whole = fit(predictor, samples)
    monkeypatch.setattr("spatialhist.tl._data.samples.ROWS", 17)
    parts = fit(predictor, samples)
    assert parts.chosen["strength"] == whole.chosen["strength"]
    assert parts.chosen["inner_score"] == pytest.approx(whole.chosen["inner_score"], rel=1e-5)
    np.testing.assert_allclose(parts.predict(samples), whole.predict(samples), atol=1e-4)
    assert parts.predict(samples.take(np.empty(0, int))).shape == (0, 4)


def test_a_mean_far_from_zero_costs_no_digits():
    x = 1e4 + draw_samples(sizes=(300,), n_features=(3,)).features[0]
    reducer = reduce(x, 3, parts=5)
    np.testing.assert_allclose(1 / reducer.scale, x.astype(np.float64).std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(reducer.mean, x.astype(np.float64).mean(axis=0), rtol=1e-7)


def test_blocks_and_standardization_choose_the_features():
    samples = draw_samples()
    np.testing.assert_array_equal(*feature_parts(samples, True, (1,)), samples.standardized[1])
    np.testing.assert_array_equal(*feature_parts(samples, False, "all"), np.concatenate(samples.features, axis=1))
    one = fit(Ridge(blocks=(1,)), samples)
    other = replace(samples, standardized=(samples.standardized[0] * 0, samples.standardized[1]))
    np.testing.assert_array_equal(one.predict(samples), one.predict(other))


def test_averages_over_the_context_are_seen_where_they_are_asked_for():
    samples = replace(draw_samples(n_features=(5, 3, 2)), n_own=2)
    assert next(feature_parts(samples, True, "own")).shape[1] == 8
    assert next(feature_parts(samples, True, "all")).shape[1] == 10
    other = replace(samples, standardized=(*samples.standardized[:2], samples.standardized[2] + 1))
    own, everything = fit(Ridge(), samples), fit(Ridge(blocks="all"), samples)
    np.testing.assert_array_equal(own.predict(samples), own.predict(other))
    assert not np.array_equal(everything.predict(samples), everything.predict(other))

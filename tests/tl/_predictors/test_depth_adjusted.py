from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from small_samples import draw_samples

import spatialhist as sh
from spatialhist.tl import DepthAdjusted, FeatureNetwork, Ridge, TileNetwork
from spatialhist.tl._predictors.depth_adjusted import adjusted_targets
from spatialhist.tl._predictors.registry import describe, from_description, resolve_models


def deep_samples(seed=0, **options):
    samples = draw_samples(seed, **options)
    return replace(samples, depth=np.random.default_rng(seed).integers(100, 9000, len(samples)).astype(float))


def by_regression(samples, rows, share):
    targets, total = samples.targets[rows].astype(float), samples.depth[rows]
    depth = np.log1p(total)[:, None]
    x = np.hstack([depth, depth**2])
    fitted = LinearRegression().fit(x, targets).predict(x)
    level, weight = targets.mean(axis=0), np.sqrt(total) / np.sqrt(total).mean()
    return level + share * (fitted - level) + weight[:, None] * (targets - fitted)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_targets_keep_a_share_of_what_depth_explains_on_each_slide(share):
    samples = deep_samples()
    adjusted = adjusted_targets(samples, share)
    assert adjusted.dtype == np.float32
    for slide in np.unique(samples.slide):
        rows = samples.slide == slide
        np.testing.assert_allclose(adjusted[rows], by_regression(samples, rows, share), atol=1e-3)


def test_spots_of_equal_depth_keep_their_targets():
    samples = replace(deep_samples(), depth=np.full(105, 700.0))
    np.testing.assert_allclose(adjusted_targets(samples, 0.0), samples.targets, atol=1e-5)


def test_a_slide_has_no_part_in_the_targets_of_another_one():
    samples = deep_samples()
    own = samples.slide == "S0"
    other = replace(samples, targets=np.where(own[:, None], samples.targets, 7 * samples.targets[::-1]))
    before, after = (adjusted_targets(s, 0.5) for s in (samples, other))
    assert before[own].tobytes() == after[own].tobytes()
    assert not np.allclose(before[~own], after[~own])


def test_it_is_the_predictor_on_adjusted_targets():
    samples = deep_samples()
    fitted = DepthAdjusted(Ridge(components=5), share=0.3).fit(samples, seed=0, scratch=None)
    expected = Ridge(components=5).fit(replace(samples, targets=adjusted_targets(samples, 0.3)), seed=0, scratch=None)
    np.testing.assert_array_equal(fitted.predict(samples), expected.predict(samples))


def test_genes_of_depth_alone_are_predicted_as_constant_without_a_share():
    samples = deep_samples(noise=0.0)
    gene = np.log1p(samples.depth)[:, None]
    seen = replace(samples, targets=np.repeat(gene, 2, axis=1).astype(np.float32), standardized=(gene.astype("f4"),))
    alone, whole = (DepthAdjusted(Ridge(), share=s).fit(seen, seed=0, scratch=None).predict(seen) for s in (0.0, 1.0))
    assert alone.std() < 1e-3
    assert np.corrcoef(whole[:, 0], gene[:, 0])[0, 1] > 0.99


@pytest.mark.parametrize("predictor", [Ridge(components=4), FeatureNetwork(members=1, epochs=2, dim=4)])
def test_keeps_the_contract_of_predictors(predictor):
    assert sh.tl.check_predictor(DepthAdjusted(predictor)) == []


def test_looks_at_tiles_if_the_predictor_does():
    assert DepthAdjusted(TileNetwork()).needs_tiles
    assert not DepthAdjusted().needs_tiles


def test_is_stored_by_its_fields_and_known_by_name():
    predictor = DepthAdjusted(Ridge(components=9), share=0.25, name="less_depth")
    assert from_description(describe(predictor)) == predictor
    assert resolve_models("depth_adjusted") == [DepthAdjusted()]


def test_a_predictor_of_the_users_is_handed_in_inside_of_it():
    class Own(Ridge):
        pass

    Own.fingerprint = "1"
    predictor = DepthAdjusted(Own(name="own"))
    assert from_description(describe(predictor), [predictor]) == predictor
    with pytest.raises(ValueError, match="'own'"):
        from_description(describe(predictor))


def test_what_it_cannot_do_without_is_named():
    with pytest.raises(ValueError, match=r"share=1\.5"):
        DepthAdjusted(share=1.5)
    with pytest.raises(ValueError, match="needs_depth = True"):
        DepthAdjusted().fit(draw_samples(), seed=0, scratch=None)

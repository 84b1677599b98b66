from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage as ndi

from spatialhist.pp._registration.activity import MIN_LEAD, Activity
from spatialhist.pp._registration.scene import Scene
from spatialhist.pp._registration.transforms import move

PER_UNIT = np.array([6.0, 6.0])


@pytest.fixture
def nuclei():
    """Patches of nuclei without any edge of tissue, and what spots in the middle of them express."""
    rng = np.random.default_rng(0)
    picture = ndi.gaussian_filter(rng.random((150, 180)), 5)
    column, row = np.meshgrid(np.arange(8, 24) + 0.5, np.arange(6, 18) + 0.5)
    scene = Scene(picture, PER_UNIT, np.column_stack([column.ravel(), row.ravel()]))
    return scene, scene.values(picture, scene.points)


def shifted(dx, dy):
    matrix = np.eye(3)
    matrix[:2, 2] = dx, dy
    return matrix


def test_score_is_the_correlation(nuclei):
    scene, expressed = nuclei
    activity = expressed + np.random.default_rng(1).normal(0, expressed.std(), len(expressed))
    found = Activity.of(scene, activity)
    for matrix in (np.eye(3), shifted(1.5, -0.7)):
        under = scene.values(found.field, move(matrix, scene.points))
        assert found.score(matrix) == pytest.approx(np.corrcoef(under, activity)[0, 1])


def test_better_is_what_gains_more_than_noise(nuclei):
    scene, expressed = nuclei
    found = Activity.of(scene, expressed + np.random.default_rng(1).normal(0, expressed.std(), len(expressed)))
    assert found.is_better(np.eye(3), shifted(1, 0))
    assert not found.is_better(shifted(1, 0), np.eye(3))
    assert not found.is_better(np.eye(3), shifted(0.01, 0))


def test_shifts_agree_with_registrations(nuclei):
    scene, expressed = nuclei
    found = Activity.of(scene, expressed)
    cells = scene.cells(scene.points)
    scores = found.at_shifts(cells - cells.min(axis=0))
    zero = cells.max(axis=0)
    np.testing.assert_array_equal(np.unravel_index(scores.argmax(), scores.shape), zero)
    # the nearest pixel of the map lies half a pixel from these spots
    assert scores[zero[0] + 4, zero[1] - 9] == pytest.approx(found.score(shifted(-1.5, 4 / 6)), abs=0.05)


def test_sharp_where_nuclei_explain_and_flat_where_not(nuclei):
    scene, expressed = nuclei
    found = Activity.of(scene, expressed)
    assert found.reason(found.certainty(np.eye(3))) == ""
    nothing = Activity.of(scene, np.random.default_rng(1).permutation(expressed))
    assert "expression does not determine" in nothing.reason(nothing.certainty(np.eye(3)))


def test_nuclei_that_repeat_elsewhere_fix_nothing(nuclei):
    scene, expressed = nuclei
    activity = expressed + np.random.default_rng(1).normal(0, expressed.std(), len(expressed))
    assert Activity.of(scene, activity).certainty(np.eye(3)) > MIN_LEAD
    twice = replace(scene, picture=np.hstack([scene.picture, scene.picture]))
    assert Activity.of(twice, activity).certainty(np.eye(3)) < MIN_LEAD


def test_equal_spots_and_glass_correlate_with_nothing(nuclei):
    scene, expressed = nuclei
    assert Activity.of(scene, np.full(len(expressed), 3.0)).score(np.eye(3)) == 0
    assert abs(Activity.of(scene, expressed).score(shifted(500, 0))) < 1e-9

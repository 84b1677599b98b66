from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._registration.register import register

PITCH = 24.0
FACTORS = (4.0, 4.0)
HEIGHT, WIDTH = 210, 260


def outline(shape=(HEIGHT, WIDTH)):
    """Asymmetric tissue: a slanted block with a bump and a notch."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    body = (x + 0.25 * y > 75) & (x + 0.1 * y < 190) & (y - 0.2 * x > 15) & (y + 0.1 * x < 165)
    bump = (x - 175) ** 2 + (y - 70) ** 2 < 26**2
    notch = (x - 110) ** 2 + (y - 150) ** 2 < 20**2
    return (body | bump) & ~notch


def lattice():
    i, j = np.meshgrid(np.arange(44), np.arange(40))
    return np.column_stack([((i + 0.5 * (j % 2)) * PITCH).ravel(), (j * PITCH * np.sqrt(3) / 2).ravel()])


def on(tissue, xy):
    column, row = np.minimum((xy / FACTORS[0]).astype(int), [WIDTH - 1, HEIGHT - 1]).T
    return tissue[row, column]


def covering(tissue):
    xy = lattice()
    return xy[on(tissue, xy)]


def turned(xy, degrees, shift, stretch=1.0):
    angle = np.deg2rad(degrees)
    linear = stretch * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    center = xy.mean(axis=0)
    return (xy - center) @ linear.T + center + np.array(shift) * PITCH


def place(matrix, xy):
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


def residual(found, wrong, right):
    return np.median(np.linalg.norm(place(found.matrix, wrong) - right, axis=1)) / PITCH


@pytest.mark.parametrize(
    ("model", "degrees", "stretch"), [("translation", 0, 1), ("rigid", 6, 1), ("rigid", -7, 1), ("similarity", 5, 0.95)]
)
def test_finds_the_move(model, degrees, stretch):
    tissue = outline()
    right = covering(tissue)
    wrong = turned(right, degrees, (2.6, -1.7), stretch)
    found = register(tissue, FACTORS, wrong, PITCH, model=model)
    assert found.accepted
    assert residual(found, wrong, right) < 0.25
    assert found.scores["overlap_after"] > max(found.scores["overlap_before"], found.scores["overlap_random"])
    assert found.scores["sharpness"] > 0.5


def test_right_coordinates_stay():
    tissue = outline()
    found = register(tissue, FACTORS, covering(tissue), PITCH)
    assert not found.accepted
    np.testing.assert_array_equal(found.matrix, np.eye(3))
    assert found.scores["overlap_before"] == found.scores["overlap_after"]
    assert "clearly better" in found.reason


@pytest.mark.parametrize("kind", ["mirrored", "swapped", "upside down", "quarter turn"])
def test_orientations(kind):
    tissue = outline()
    right = covering(tissue)
    size = np.array([WIDTH, HEIGHT]) * 4.0
    wrong = {
        "mirrored": right * [-1, 1] + [size[0], 0],
        "swapped": right[:, ::-1],
        "upside down": size - right,
        "quarter turn": right[:, ::-1] * [-1, 1] + [size[1], 0],
    }[kind]
    found = register(tissue, FACTORS, wrong, PITCH, orientations=True)
    assert found.accepted
    assert residual(found, wrong, right) < 0.25


def test_nothing_to_hold_on_to():
    rng = np.random.default_rng(0)
    spots = covering(outline()) + 2 * PITCH
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    noise = rng.random((HEIGHT, WIDTH)) > 0.5
    for tissue in (everywhere, ~everywhere, noise):
        assert not register(tissue, FACTORS, spots, PITCH).accepted
    for seed in range(5):
        scattered = np.random.default_rng(seed).random((len(spots), 2)) * [WIDTH * 4, HEIGHT * 4]
        assert not register(outline(), FACTORS, scattered, PITCH).accepted


def test_part_of_the_tissue_is_not_enough():
    tissue = outline()
    spots = covering(tissue)
    part = spots[spots[:, 1] < 380] + [0, 2 * PITCH]
    found = register(tissue, FACTORS, part, PITCH)
    assert not found.accepted


def test_lattice_over_glass_is_not_enough_but_activity_is():
    tissue = outline()
    everything = lattice()
    everything = everything[
        (everything < np.array([WIDTH, HEIGHT]) * 4.0 - 60).all(axis=1) & (everything > 60).all(axis=1)
    ]
    active = on(tissue, everything)
    shifted = everything + np.array([-2.2, -2.4]) * PITCH
    assert not register(tissue, FACTORS, shifted, PITCH).accepted
    found = register(tissue, FACTORS, shifted, PITCH, activity=np.where(active, 1.0, -1.0))
    assert found.accepted
    assert residual(found, shifted, everything) < 0.12


def test_many_spots_are_binned():
    tissue = outline()
    rng = np.random.default_rng(0)
    dense = rng.random((300_000, 2)) * np.array([WIDTH, HEIGHT]) * 4
    right = dense[on(tissue, dense)]
    wrong = right + [9.0, -14.0]
    found = register(tissue, FACTORS, wrong, 2.0, max_shift=30)
    assert found.accepted
    assert np.linalg.norm(place(found.matrix, wrong) - right, axis=1).max() < 4


def test_same_seed_same_answer():
    tissue = outline()
    wrong = turned(covering(tissue), 4, (1.5, 2.0))
    first, second = (register(tissue, FACTORS, wrong, PITCH, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert first.scores == second.scores


def test_shuffled_activity_is_not_accepted():
    tissue, everything = outline(), lattice()
    active = np.where(on(tissue, np.clip(everything, 0, np.array([WIDTH, HEIGHT]) * 4.0 - 1)), 1.0, -1.0)
    left = everything[:, 0] < 0.6 * everything[:, 0].max()
    spots, active = everything[left], active[left]
    shifted = spots + np.array([-2.2, -2.4]) * PITCH
    assert residual(register(tissue, FACTORS, shifted, PITCH, activity=active), shifted, spots) < 0.15
    shuffled = np.random.default_rng(0).permutation(active)
    assert not register(tissue, FACTORS, shifted, PITCH, activity=shuffled).accepted

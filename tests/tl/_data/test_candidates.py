from __future__ import annotations

import numpy as np
import pytest
from tissue_pictures import tissue_picture

from spatialhist.tl._data.candidates import PARTNERS, may_share_counts, may_share_pictures
from spatialhist.tl._data.profiles import Profiles, profile
from spatialhist.tl._data.signature import sign

N = 40
NAMES = [str(i) for i in range(N)]


@pytest.fixture(scope="module")
def signatures():
    """One a section; the last three are a part of the first, turned, the second mirrored, and glass."""
    pictures = [tissue_picture(seed, (150, 210)) for seed in range(N - 3)]
    part = np.rot90(pictures[0][:, 60:])
    return [sign(p) for p in (*pictures, part, pictures[1][:, ::-1], np.full((90, 130, 3), 240, np.uint8))]


def section(seed):
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(16) * 20.0, np.arange(12) * 20.0)
    depth = rng.gamma(4, 0.25, (x.size, 1))
    return rng.poisson(8 * depth * np.exp(rng.normal(size=(x.size, 4)) @ np.ones((4, 150)) * 0.1)), np.column_stack(
        [x.ravel(), y.ravel()]
    )


@pytest.fixture(scope="module")
def profiles():
    """One a section; the last two are half of the first, thinned, and without counts."""
    sections = [section(seed) for seed in range(N - 2)]
    counts, xy = sections[0]
    right = xy[:, 0] > 140
    thinned = np.random.default_rng(99).binomial(counts[right], 0.5), xy[right]
    return [*(profile(c, xy, np.arange(150), 20.0) for c, xy in (*sections, thinned)), Profiles.empty()]


def test_copies_are_among_the_pictures_to_compare_and_most_pairs_are_not(signatures):
    pairs = may_share_pictures(signatures, NAMES)
    assert {(0, N - 3), (1, N - 2)} <= pairs
    assert len(pairs) <= PARTNERS * N < N * (N - 1) / 2
    assert all(a < b < N - 1 for a, b in pairs)  # glass is like nothing


def test_copies_are_among_the_counts_to_compare_and_most_pairs_are_not(profiles):
    pairs = may_share_counts(profiles, NAMES)
    assert (0, N - 2) in pairs
    assert len(pairs) <= PARTNERS * N
    assert all(a < b < N - 1 for a, b in pairs)


def test_slides_of_one_group_are_never_compared(signatures, profiles):
    groups = ["a", *NAMES[1:-3], "a", *NAMES[-2:]]
    for pairs in (may_share_pictures(signatures, groups), may_share_counts(profiles, groups)):
        assert pairs and (0, N - 3) not in pairs
    assert may_share_counts(profiles, ["a"] * N) == may_share_pictures(signatures, ["a"] * N) == set()


def test_every_pair_of_a_few_slides_is_compared(signatures, profiles):
    groups = list("abcabcd")
    expected = {(i, j) for i in range(7) for j in range(i + 1, 7) if groups[i] != groups[j]}
    assert may_share_pictures(signatures[:7], groups) == may_share_counts(profiles[:7], groups) == expected


def test_slides_without_counts_are_compared_with_none():
    assert may_share_counts([Profiles.empty()] * N, NAMES) == set()

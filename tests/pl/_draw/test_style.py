from __future__ import annotations

import pytest

from spatialhist.pl._draw.style import length_label, round_length


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (1.99, 1), (2, 2), (7, 5), (430, 200), (0.034, 0.02)])
def test_round_length(length, expected):
    assert round_length(length) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("length", "physical", "expected"), [(500, True, "500 µm"), (2000, True, "2 mm"), (2000, False, "2000 px")]
)
def test_length_label(length, physical, expected):
    assert length_label(length, physical) == expected

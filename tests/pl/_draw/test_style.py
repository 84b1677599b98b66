from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from spatialhist.pl._draw.style import _emptiest_corner, chart, entry, length_label, picture, round_length


@pytest.mark.parametrize(("length", "expected"), [(1, 1), (1.99, 1), (2, 2), (7, 5), (430, 200), (0.034, 0.02)])
def test_round_length(length, expected):
    assert round_length(length) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("length", "physical", "expected"), [(500, True, "500 µm"), (2000, True, "2 mm"), (2000, False, "2000 px")]
)
def test_length_label(length, physical, expected):
    assert length_label(length, physical) == expected


@pytest.mark.parametrize("name", [r"$\frac{1}{$", "$undefined$", "\x1b[2J", "_hidden"])
def test_any_name_can_be_drawn(name):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([0, 1], label=entry(name))
    left.legend()
    chart(left, xlabel=name, ylabel=name, title=name)
    picture(right, name)
    figure.canvas.draw()
    plt.close(figure)
    assert len(left.get_legend().get_texts()) == 1
    assert "\x1b" not in left.get_xlabel() + right.get_title(loc="left")


def test_a_scale_bar_leaves_the_corner_where_it_would_cover_spots():
    from matplotlib.figure import Figure

    def corner(spots):
        ax = Figure().subplots()
        ax.set(xlim=(0, 90), ylim=(40, 0))
        return _emptiest_corner(ax, np.array(spots, dtype=float))

    below, above = [[5, 38], [9, 36], [85, 37]], [[4, 3], [88, 2]]
    assert corner([[45, 20]]) == "lower left"
    assert corner(below) == "upper left"
    assert corner([*below, *above[:1]]) == "upper right"
    assert corner([*below, *above]) == "lower right"
    assert corner([*below[:1], *above[1:], [86, 38], [3, 2]]) == "lower left"

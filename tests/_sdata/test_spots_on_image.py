from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from spatialhist._sdata.spots_on_image import (
    SmallImage,
    check_distance,
    check_spots,
    is_grave,
    misfit,
    should_be_inside,
)

SIZE = (1000, 600)
XY = np.array([[x, y] for y in range(50, 600, 50) for x in range(50, 1000, 50)], dtype=float)
SMALL = SmallImage("S1_hires_image", (250, 150), (1000.0, 600.0))


def said(xy=XY, size=SIZE, **options) -> str:
    return misfit(xy, size, "S1", "S1_full_image", **options)


def test_spots_on_their_image():
    assert said() == ""
    assert said(small=SMALL) == ""
    assert not is_grave(XY, SIZE)
    # by the rounding of a small copy, and at the very edge
    assert said(small=SmallImage("S1_hires_image", (251, 150), (1003.0, 600.0))) == ""
    assert said(XY + [50, 0], radius=1.0) == ""


@pytest.mark.parametrize(
    ("xy", "size", "mistake"),
    [
        (XY[:, ::-1], SIZE, "x and y are swapped: give positions as (x, y)"),
        (
            XY,
            (500, 300),
            "positions reach to (950, 550), so they were measured on an image at least 1.9 times as large",
        ),
        (XY - [400, 0], SIZE, "the image is cropped, or of another slide"),
        (XY * 3 - [2000, 0], SIZE, "the image is cropped, or of another slide"),
    ],
)
def test_likely_mistakes(xy, size, mistake):
    assert is_grave(xy, size)
    outside = ((xy < 0) | (xy > size)).any(axis=1).sum()
    message = said(xy, size)
    assert message.startswith(f"{outside} of {len(xy)} spots of slide 'S1' lie outside of image 'S1_full_image'")
    assert mistake in message


@pytest.mark.parametrize(
    ("size", "mistake"),
    [
        ((250, 150), "it is as large as 'S1_hires_image', Space Ranger's small copy"),
        ((500, 300), "it is a copy at 0.5 times the size"),
        ((2000, 1200), "it is a copy at 2 times the size"),
        ((600, 1000), "it is turned by a quarter"),
        ((900, 700), "it is of another slide, or cropped"),
    ],
)
def test_likely_mistakes_by_the_small_copy(size, mistake):
    message = said(size=size, small=SMALL)
    assert message.startswith(
        f"image 'S1_full_image' of {size[0]} x {size[1]} pixels is not the one that positions were"
    )
    assert f"{mistake}; give the image of about 1000 x 600 pixels" in message


def test_a_tenth_may_lie_outside():
    few = XY.copy()
    few[:20, 0] += 2000
    with pytest.warns(UserWarning, match="20 of 209 spots .*: the image is cropped, or these spots are misplaced"):
        check_spots(few, SIZE, "S1", "S1_full_image")
    few[:21, 0] = 2000
    with pytest.raises(ValueError, match="21 of 209 spots"):
        check_spots(few, SIZE, "S1", "S1_full_image")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, [True, True, True]),
        (pd.Series([1, 0, 1]), [True, False, True]),
        (pd.Series(["True", "False", None]), [True, False, True]),
        (pd.Series(["odd", "False", "True"]), [True, True, True]),
        (pd.Series([0, 0, 0]), [True, True, True]),
    ],
)
def test_spots_beside_the_tissue_may_lie_beside_a_cropped_image(flags, expected):
    assert should_be_inside(flags, 3).tolist() == expected


def test_distance_of_spots_against_the_size_of_a_pixel():
    with pytest.warns(
        UserWarning, match="400 pixels apart, which are 200 um at 0.5 um per pixel, but the array has 100 um"
    ):
        check_distance(400.0, 0.5, "S1", known_um=100.0)
    with pytest.warns(UserWarning, match="lie 2e.06 um apart by mpp=500, which no array has"):
        check_distance(4000.0, 500.0, "S1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_distance(210.0, 0.5, "S1", known_um=100.0)
        check_distance(8.0, 0.25, "S1")
        check_distance(None, 0.25, "S1")
        check_distance(8.0, None, "S1")

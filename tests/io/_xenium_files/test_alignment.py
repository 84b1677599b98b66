"""Where pixels of the H&E image lie, by what Xenium Explorer exports."""

import numpy as np
import pytest
from small_xenium import HEIGHT, PIXEL_SIZE, TURNED, WIDTH, to_um, write_alignment, write_landmarks

from spatialhist.io._xenium_files.alignment import read_alignment

CORNERS = np.array([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT], [0.0, HEIGHT], [137.0, 41.0]])


def test_a_matrix_and_landmarks_give_the_same_place(tmp_path):
    matrix = read_alignment(write_alignment(tmp_path / "m.csv"), PIXEL_SIZE)
    landmarks = read_alignment(write_landmarks(tmp_path / "l.csv"), PIXEL_SIZE)
    for alignment in (matrix, landmarks):
        back = alignment.to_pixels(to_um(CORNERS))
        assert np.abs(back - CORNERS).max() * alignment.mpp < 0.1
        assert alignment.mpp == pytest.approx(PIXEL_SIZE * np.hypot(0.0099, 1.2896))
    assert matrix.residual_um is None
    assert landmarks.residual_um == pytest.approx(0, abs=1e-6)


def test_a_real_alignment_leads_where_it_was_made_for(tmp_path):
    real = np.array([[0.0099, 1.2896, -1108], [-1.2896, 0.0099, 26722], [0, 0, 1]])
    alignment = read_alignment(write_alignment(tmp_path / "m.csv", real), PIXEL_SIZE)
    x, y = 12000.0, 9000.0
    um = np.array([[0.0099 * x + 1.2896 * y - 1108, -1.2896 * x + 0.0099 * y + 26722]]) * PIXEL_SIZE
    np.testing.assert_allclose(alignment.to_pixels(um), [[x, y]], atol=1e-6)


def test_the_residual_is_told_in_micrometers_and_a_large_one_warned_of(tmp_path):
    fine = read_alignment(write_landmarks(tmp_path / "l.csv", n=400, noise_um=2.0), PIXEL_SIZE)
    assert fine.residual_um == pytest.approx(2.0 * np.sqrt(2), rel=0.1)
    with pytest.warns(
        UserWarning, match=r"landmarks of .*l.csv do not agree: after the fit they lie .* the worst, number"
    ):
        read_alignment(write_landmarks(tmp_path / "l.csv", n=20, noise_um=30.0), PIXEL_SIZE)


def test_spaces_capitals_and_a_mark_of_bytes_do_not_matter(tmp_path):
    path = write_landmarks(tmp_path / "l.csv")
    text = path.read_text().replace("fixedX,fixedY,", "fixedx, FixedY,")
    path.write_text(text, encoding="utf-8-sig")
    np.testing.assert_allclose(read_alignment(path, PIXEL_SIZE).to_pixels(to_um(CORNERS)), CORNERS, atol=1e-6)


HEADER = "fixedX,fixedY,alignmentX,alignmentY\n"
BAD = {
    "two rows": ("1,0,0\n0,1,0\n", "2 rows and 3 columns: want what Xenium Explorer exports"),
    "four columns": ("1,0,0,0\n0,1,0,0\n0,0,1,0\n", "3 rows and 4 columns"),
    "words": ("1,0,a\n0,1,0\n0,0,1\n", "no numbers, e.g. 'a'"),
    "a gap": ("1,0,\n0,1,0\n0,0,1\n", "no numbers"),
    "transposed": ("1,0,0\n0,1,0\n5,9,1\n", r"last row .* \[5.0, 9.0, 1.0\] and not 0, 0, 1: it is transposed"),
    "flat": ("1,0,5\n1,0,9\n0,0,1\n", "stretches an image 1.41 times in one direction and 0 times"),
    "astronomic": (
        "1e200,0,0\n0,1e200,0\n0,0,1\n",
        r"a pixel of the H&E image is .*e\+199 um wide, which no image has",
    ),
    "microscopic": ("1e-9,0,0\n0,1e-9,0\n0,0,1\n", r"a pixel of the H&E image is .*e-10 um wide, which no image has"),
    "zeros": ("0,0,5\n0,0,9\n0,0,1\n", "stretches an image 0 times"),
    "nothing": ("", "cannot be read as CSV"),
    "other columns": ("fixedX,fixedY,x,y\n1,2,3,4\n", r"lacks columns \['alignmentX', 'alignmentY'\]"),
    "two landmarks": (HEADER + "1,2,3,4\n5,6,7,8\n", "2 landmarks: place 3 or more"),
    "a line": (HEADER + "1,2,0,0\n5,6,10,20\n9,9,20,40\n1,2,30,60\n", "4 landmarks of .* lie on a line"),
    "words for landmarks": (HEADER + "1,2,3,4\n5,6,7,here\n1,2,3,4\n", r"no numbers, e.g. \['5', '6', '7', 'here'\]"),
    "one place": (HEADER + "1,2,3,4\n" * 5, "lie on a line"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_alignment_is_refused(tmp_path, what):
    text, message = BAD[what]
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=f"a.csv.*{message}|{message}"):
        read_alignment(tmp_path / "a.csv", PIXEL_SIZE)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no alignment .*a.csv"):
        read_alignment(tmp_path / "a.csv", PIXEL_SIZE)


def test_inverting_a_file_that_was_inverted_leads_to_the_right_place(tmp_path):
    swapped = read_alignment(write_alignment(tmp_path / "m.csv", np.linalg.inv(TURNED)), PIXEL_SIZE)
    np.testing.assert_allclose(swapped.inverted(PIXEL_SIZE).to_pixels(to_um(CORNERS)), CORNERS, atol=1e-6)

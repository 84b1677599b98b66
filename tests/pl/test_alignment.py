from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd
from spatialdata.models import Image2DModel
from spatialdata.transformations import Scale, set_transformation

import spatialhist as sh


@pytest.fixture
def moved(cohort):
    """Slide S2, realigned by (12, -20) pixels."""
    from spatialhist._sdata.alignment import set_alignment
    from spatialhist._sdata.scale import slide_info

    own = sd.deepcopy(cohort)
    matrix = np.eye(3)
    matrix[:2, 2] = (12, -20)
    set_alignment(own, own["table"], "S2", matrix)
    report = {"accepted": True, "overlap_before": 0.5, "overlap_after": 0.75}
    slide_info(own, "S2")["alignment_report"] = report
    return own


def spots(ax):
    from matplotlib.collections import EllipseCollection

    return [c for c in ax.collections if isinstance(c, EllipseCollection)]


def test_spots_lie_where_the_object_says(cohort):
    ax = sh.pl.alignment(cohort, "S2")
    (now,) = spots(ax)
    rows = (cohort["table"].obs["region"] == "S2").to_numpy()
    np.testing.assert_allclose(now.get_offsets(), cohort["table"].obsm["spatial"][rows])
    np.testing.assert_allclose(now.get_widths(), 27.5)
    assert ax.get_title(loc="left") == "S2: not realigned"


def test_spots_before_and_after(moved):
    ax = sh.pl.alignment(moved, "S2")
    before, after = (c.get_offsets() for c in spots(ax))
    np.testing.assert_allclose(after - before, np.tile([12, -20], (len(after), 1)), atol=1e-6)
    shift = np.hypot(12, 20) / 50
    assert ax.get_title(loc="left") == f"S2: moved by {shift:.2f} spot spacings, overlap 0.50 → 0.75"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["spots as read", "spots now", "tissue"]


def test_a_rejected_move_is_said(cohort):
    from spatialhist._sdata.scale import slide_info

    own = sd.deepcopy(cohort)
    slide_info(own, "S1")["alignment_report"] = {"accepted": False, "overlap_before": 0.7, "overlap_after": 0.71}
    assert sh.pl.alignment(own, "S1").get_title(loc="left") == "S1: left in place, overlap 0.70 → 0.71"
    report = {"accepted": False, "use_expression": True, "correlation_before": 0.7, "correlation_after": 0.71}
    slide_info(own, "S1")["alignment_report"] = report
    assert sh.pl.alignment(own, "S1").get_title(loc="left") == "S1: left in place, correlation 0.70 → 0.71"


def test_what_realign_records_is_understood(cohort):
    own = sd.deepcopy(cohort)
    sh.pp.realign(own, slides="S2")
    assert "overlap" in sh.pl.alignment(own, "S2").get_title(loc="left")


def test_all_spots_are_in_view(moved):
    ax = sh.pl.alignment(moved, "S2")
    centers = np.concatenate([c.get_offsets() for c in spots(ax)])
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left <= centers[:, 0].min() and centers[:, 0].max() <= right
    assert top <= centers[:, 1].min() and centers[:, 1].max() <= bottom


def test_outline_follows_the_mask(cohort):
    ax = sh.pl.alignment(cohort, "S1")
    (outline,) = [c for c in ax.collections if c not in spots(ax)]
    xy = np.concatenate([path.vertices for path in outline.get_paths()])
    mask = np.asarray(cohort.labels["S1_full_image_tissue"]) > 0
    factor = 380 / mask.shape[0]
    y, x = np.nonzero(mask)
    np.testing.assert_allclose(xy.min(axis=0), (x.min() * factor, y.min() * factor), atol=2 * factor)
    np.testing.assert_allclose(xy.max(axis=0), (x.max() * factor, y.max() * factor), atol=2 * factor)


def test_pixels_lie_where_the_slide_has_them(cohort):
    ax = sh.pl.alignment(cohort, "S1")
    left, right, bottom, top = ax.images[0].get_extent()
    drawn = ax.images[0].get_array()
    full = cohort.images["S1_full_image"].transpose("y", "x", "c").to_numpy()
    np.testing.assert_array_equal(drawn, full[round(top) : round(bottom), round(left) : round(right)])


def test_another_image_lies_in_the_same_place(cohort):
    own = sd.deepcopy(cohort)
    small = Image2DModel.parse(np.zeros((3, 38, 30), np.uint8), dims=("c", "y", "x"), c_coords=("r", "g", "b"))
    set_transformation(small, Scale([10, 10], axes=("x", "y")), "S1")
    own.images["S1_hires_image"] = small
    full, other = sh.pl.alignment(own, "S1"), sh.pl.alignment(own, "S1", image="{slide}_hires_image")
    np.testing.assert_allclose(other.images[0].get_extent(), full.images[0].get_extent(), atol=10)
    assert other.get_xlim() == full.get_xlim()


def test_axes_are_those_passed(cohort):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sh.pl.alignment(cohort, "S1", ax=ax) is ax


def test_scale_bar_is_physical_where_the_scale_is_known(cohort):
    from spatialhist._sdata.scale import slide_info

    def label(ax):
        from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

        (bar,) = [a for a in ax.artists if isinstance(a, AnchoredSizeBar)]
        return bar.txt_label.get_text(), bar.size_bar.get_children()[0].get_width()

    own = sd.deepcopy(cohort)
    assert label(sh.pl.alignment(own, "S1")) == ("100 µm", 50)
    slide_info(own, "S1")["mpp"] = None
    assert label(sh.pl.alignment(own, "S1")) == ("50 px", 50)


def test_unknown_slide(cohort):
    with pytest.raises(KeyError, match=r"no slide \['S9'\].*S1"):
        sh.pl.alignment(cohort, "S9")


def test_a_report_of_the_first_version_is_read(cohort):
    from spatialhist._sdata.scale import slide_info

    own = sd.deepcopy(cohort)
    report = {"accepted": False, "use_expression": False, "score_before": 0.7, "score_after": 0.71}
    slide_info(own, "S1")["alignment_report"] = report
    assert sh.pl.alignment(own, "S1").get_title(loc="left") == "S1: left in place, overlap 0.70 → 0.71"

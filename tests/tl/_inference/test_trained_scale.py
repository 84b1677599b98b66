from __future__ import annotations

import pytest

from spatialhist._sdata.scale import Scale
from spatialhist.tl._data.design import Design
from spatialhist.tl._inference.trained_scale import TrainedScale, design_in_px

KNOWN = (Scale(0.5, 200.0, 110.0), Scale(0.25, 400.0, 220.0))
UNKNOWN = (Scale(None, 7.0, 3.0), Scale(None, None, None))
WITHOUT_SPOTS = Scale(mpp=1.0, pitch_px=None, spot_diameter_px=None)


def test_lengths_are_those_of_slides_with_a_scale():
    assert TrainedScale.of([*KNOWN, *UNKNOWN]) == TrainedScale((0.25, 0.5), pitch_um=100.0, spot_diameter_um=55.0)
    assert TrainedScale.of(UNKNOWN) == TrainedScale(None, None, None)


def test_a_slide_without_spots_gets_those_of_training():
    trained = TrainedScale.of(KNOWN)
    assert trained.spots(WITHOUT_SPOTS) == trained.complete(WITHOUT_SPOTS) == Scale(1.0, 100.0, 55.0)


def test_extents_follow_the_slides_own_pitch_and_new_spots_that_of_training():
    trained, own = TrainedScale.of(KNOWN), Scale(mpp=1.0, pitch_px=80.0, spot_diameter_px=50.0)
    assert trained.complete(own).pitch_px == 80
    assert trained.spots(own) == Scale(1.0, 100.0, 55.0)


def test_without_micrometers_the_slide_is_all_there_is():
    unknown = Scale(mpp=None, pitch_px=30.0, spot_diameter_px=None)
    assert TrainedScale.of(KNOWN).spots(unknown) == Scale(None, 30.0, pytest.approx(16.5))


def test_extents_in_pixels():
    design = Design(extents=(("um", 150.0), ("pitch", 3.0), ("px", 70.0)), tile_extent=("pitch", 2.0))
    fixed = design_in_px(design, Scale(0.5, 200.0, 1.0), "S", tiles=True)
    assert fixed.extents == (("px", 300.0), ("px", 600.0), ("px", 70.0))
    assert fixed.tile_extent == ("px", 400.0)
    assert design_in_px(design, Scale(0.5, 200.0, 1.0), "S", tiles=False).tile_extent == ("pitch", 2.0)


def test_extents_that_have_no_length():
    with pytest.raises(ValueError, match="'S' has no mpp"):
        design_in_px(Design(extents=(("um", 150.0),)), Scale(None, 3.0, 1.0), "S", tiles=False)
    with pytest.raises(ValueError, match=r"not known on slide 'S'.*\['S'\]\['pitch_px'\]"):
        design_in_px(Design(extents=(("pitch", 1.5),)), Scale(0.5, None, None), "S", tiles=False)


@pytest.mark.parametrize(("mpp", "warned"), [(0.16, True), (0.17, False), (0.75, False), (0.76, True), (None, False)])
def test_another_scale_is_warned_of(mpp, warned):
    text = TrainedScale.of(KNOWN).mismatch(mpp, "S")
    assert (text is not None) == warned
    if warned:
        assert text.startswith(f"slide 'S' has {mpp} um per pixel, the model was trained at 0.25 to 0.5")

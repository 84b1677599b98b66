from __future__ import annotations

import json

import pytest
from small_cohorts import mean_color

from spatialhist._sdata.scale import Scale
from spatialhist.tl._data.design import EXTENTS_PITCH, EXTENTS_UM, Design, default_extents


class Undeepcopyable:
    """An encoder with a handle that cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("no copies")

    def __call__(self, tiles):
        return tiles


def test_a_design_survives_json():
    design = Design("color_texture", (("um", 75.0), ("um", 150.0)), 32, "normalized", ("px", 24.0), 48)
    assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design


def test_an_own_encoder_must_be_handed_in_again():
    data = json.loads(json.dumps(Design(mean_color, (("px", 20.0),)).to_json()))
    with pytest.raises(ValueError, match="your own encoder \\(function\\): pass it as encoder="):
        Design.from_json(data)
    assert Design.from_json(data, mean_color).encoder is mean_color


def test_an_encoder_is_never_copied():
    assert Design(Undeepcopyable()).to_json()["encoder"] == "custom:Undeepcopyable"


def test_specs_follow_the_parameters():
    design = Design(extents=(("px", 20.0), ("pitch", 3.0)), pixels=16, tile_extent=("um", 90.0), tile_pixels=60, grid=5)
    assert [(s.extent, s.pixels) for s in design.specs] == [(("px", 20.0), 16), (("pitch", 3.0), 16)]
    assert (design.tile_spec.extent, design.tile_spec.pixels, design.tile_spec.grid) == (("um", 90.0), 60, 5)


def test_extents_are_micrometers_only_where_every_scale_is_known():
    known, unknown = Scale(0.5, 200.0, 110.0), Scale(None, 200.0, 110.0)
    assert default_extents([known, known]) == tuple(("um", e) for e in EXTENTS_UM)
    assert default_extents([known, unknown]) == tuple(("pitch", e) for e in EXTENTS_PITCH)


def scaled(factor):
    return lambda tiles: tiles.float().mean(dim=(2, 3)) * factor


def test_another_encoder_than_that_of_training_is_refused():
    data = json.loads(json.dumps(Design(encoder=scaled(2.0), extents=(("um", 75.0),)).to_json()))
    with pytest.raises(ValueError, match="pass it as encoder="):
        Design.from_json(data)
    same = scaled(2.0)
    assert Design.from_json(data, same).encoder is same
    with pytest.raises(
        ValueError, match="encoder= is not the encoder that the model was trained on .*; pass the same one"
    ):
        Design.from_json(data, scaled(3.0))
    with pytest.raises(ValueError, match="pass the same one"):
        Design.from_json(data, "color_texture")
    del data["encoder_fingerprint"]  # of a run that did not keep it
    assert callable(Design.from_json(data, scaled(3.0)).encoder)


def test_a_named_encoder_is_not_replaced_by_another():
    data = Design(extents=(("um", 75.0),)).to_json()
    assert Design.from_json(data, "color_texture").encoder == "color_texture"
    for other in ("efficientnet-lite0", scaled(1.0)):
        with pytest.raises(ValueError, match=r"trained on \(color_texture\).*; leave out encoder="):
            Design.from_json(data, other)


def test_lists_become_tuples_and_a_design_can_be_compared():
    design = Design(extents=[("um", 75), ("um", 300)], context=[])
    assert design == Design(extents=(("um", 75), ("um", 300)), context=())
    assert design != Design(extents=(("um", 75), ("um", 300)))
    assert hash(design) == hash(Design(extents=(("um", 75), ("um", 300)), context=()))


def test_what_is_left_open_follows_the_scales():
    known, unknown = Scale(0.5, 200.0, 110.0), Scale(None, 200.0, 110.0)
    assert Design().on([known]) == Design(
        extents=tuple(("um", e) for e in EXTENTS_UM),
        context=(("um", 150.0), ("um", 300.0), ("um", 600.0)),
        pixels=64,
    )
    assert Design().on([known, unknown]).context == (("pitch", 1.5), ("pitch", 3.0), ("pitch", 6.0))
    told = Design(extents=(("px", 20.0),), context=(), pixels=32)
    assert told.on([known]) == told
    assert (Design().radii, Design(context=(("px", 9.0),)).radii) == ((), (("px", 9.0),))


def sized(pixels=None, um_per_pixel=None):
    def encode(tiles):
        return tiles.float().mean(dim=(2, 3))

    encode.pixels, encode.um_per_pixel = pixels, um_per_pixel
    return encode


def test_what_is_left_open_follows_the_encoder():
    known, unknown = Scale(0.5, 200.0, 110.0), Scale(None, 200.0, 110.0)
    made = Design(sized(30, 2.5)).on([known])
    assert (made.pixels, made.extents) == (30, (("um", 75.0),))
    assert Design(sized(30, 2.5)).on([known, unknown]).extents == (("pitch", 0.75),)
    assert Design(sized(30, 2.5), pixels=20).on([known]).extents == (("um", 50.0),)
    made = Design(sized(30)).on([known])
    assert (made.pixels, made.extents) == (30, tuple(("um", e) for e in EXTENTS_UM))
    assert Design(sized()).on([known]).pixels == 64
    told = Design(sized(30, 2.5), extents=[("um", 90)])
    assert [(s.extent, s.pixels) for s in told.specs] == [(("um", 90.0), 30)]
    with pytest.raises(ValueError, match="pixels=0 must be a whole number"):
        Design(sized(30), pixels=0).on([known]).specs  # noqa: B018


def test_what_is_left_open_follows_an_earlier_design_of_the_same_encoder():
    before = Design(extents=(("um", 90.0),), pixels=32, context=(("um", 200.0),))
    assert Design().completed(before) == before
    assert Design(pixels=16, context=()).completed(before) == Design(extents=(("um", 90.0),), pixels=16, context=())
    assert Design(sized(30)).completed(before).pixels is None
    assert Design(sized(30)).completed(Design.described(Design(sized(20), pixels=20).to_json())).pixels == 20


def test_a_call_hands_a_design_in_whole_or_by_its_fields():
    design = Design(image="masked")
    assert Design.of_call(design, {}) is design
    assert Design.of_call(None, {"image": "masked"}) == design
    assert Design.of_call(None, {"extents": None, "context": None}) == Design()
    with pytest.raises(
        ValueError, match=r"design= and its fields \['pixels'\] are both given: put these into the design"
    ):
        Design.of_call(design, {"pixels": 32})
    with pytest.raises(
        TypeError, match="encodr= is neither an argument nor a field of sh.tl.Design, which has .*'encoder'"
    ):
        Design.of_call(None, {"encodr": "color_texture"})
    with pytest.raises(TypeError, match="design='masked' is no design"):
        Design.of_call("masked", {})


def test_an_encoder_goes_by_its_listed_name():
    assert Design("Color_Texture") == Design("color_texture")
    assert Design("Phikon-v2").encoder == "phikonv2"
    assert Design.from_json(Design("Phikon-v2").to_json(), "PHIKON v2").encoder == "phikonv2"
    # what is no name of the list stays as it is
    assert Design("timm:ViT_small").encoder == "timm:ViT_small"

from __future__ import annotations

import json

import pytest

from spatialhist.tiles import TileSpec
from spatialhist.tiles._spec import as_specs


def test_survives_json():
    spec = TileSpec(extent=("um", 150), pixels=78, grid=3, padding="white")
    assert TileSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_equal_specs_have_equal_hashes():
    assert len({TileSpec(("um", 150), 78), TileSpec(("um", 150.0), 78)}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extent": ("mm", 1)}, "unit='mm'"),
        ({"extent": ("um", 0)}, "positive length"),
        ({"extent": ("um", float("nan"))}, "positive length"),
        ({"pixels": 0}, "pixels=0 must be a whole number"),
        ({"pixels": 7.5}, "pixels=7.5 must be a whole number"),
        ({"grid": 0}, "grid=0 must be a whole number"),
        ({"grid": 79}, "grid=79 does not fit a tile of 78 pixels"),
        ({"padding": "black"}, r"padding='black' is not one of \['reflect', 'white'\]"),
    ],
)
def test_refuses_what_is_no_tile(change, message):
    with pytest.raises(ValueError, match=message):
        TileSpec(**{"extent": ("um", 150), "pixels": 78, "grid": 3, **change})


def test_one_or_several_are_a_tuple():
    one, two = TileSpec(("px", 20), 10), TileSpec(("px", 40), 10)
    assert as_specs(one) == (one,)
    assert as_specs([one, two]) == (one, two)
    with pytest.raises(ValueError, match="holds no TileSpec"):
        as_specs([])

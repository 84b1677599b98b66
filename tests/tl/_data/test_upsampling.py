from __future__ import annotations

import ast
import warnings

import pytest
import torch
from small_cohorts import draw_cohort, mean_color

from spatialhist._sdata.cohort import open_cohort
from spatialhist.nn import FrozenEncoder, get_encoder
from spatialhist.tl._data.design import Design
from spatialhist.tl._data.upsampling import warn_of_upsampling


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)

    def forward(self, tiles):
        return self.linear(tiles.float().mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def slides():
    """Slides of 2 and of 4 micrometers per pixel."""
    sdata = draw_cohort(0, n_slides=2, n_genes=2)
    sdata.attrs["spatialhist"]["slides"]["S2"]["mpp"] = 4.0
    return open_cohort(sdata).every_slide()


def told(slides, encoder, **looks):
    design = Design(encoder, **looks)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_upsampling(slides, design, get_encoder(encoder))
    return [str(w.message) for w in caught]


def test_the_slide_whose_tiles_are_enlarged_most_is_named(slides):
    (said,) = told(slides, FrozenEncoder(mean_color, pixels=60), extents=[("um", 40), ("um", 200), ("um", 80)])
    assert "slide 'S2': tiles of 40 um have 10 pixels in the image and are enlarged 6.0 times to the 60 pixels" in said
    assert "of encoder FrozenEncoder, which sees blur" in said


@pytest.mark.parametrize("extents", [[("um", 40)], [("um", 40), ("um", 170)], [("px", 9.0)], [("pitch", 0.5)]])
def test_the_advice_helps(slides, extents):
    encoder = FrozenEncoder(mean_color, pixels=60)
    (said,) = told(slides, encoder, extents=extents)
    advised = ast.literal_eval(said.rpartition("extents=")[2])
    assert told(slides, encoder, extents=advised) == []


def test_up_to_a_factor_of_one_and_a_half_nothing_is_said(slides):
    extents = [("px", 40.0)]
    assert told(slides, Network(), extents=extents, pixels=60) == []
    assert len(told(slides, Network(), extents=extents, pixels=61)) == 1


def test_statistics_without_weights_may_be_enlarged(slides):
    assert told(slides, "color_texture", extents=[("px", 9.0)]) == []
    assert told(slides, lambda tiles: tiles.float().mean(dim=(2, 3)), extents=[("px", 9.0)]) == []

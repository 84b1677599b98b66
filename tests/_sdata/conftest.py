from __future__ import annotations

import numpy as np
import pytest
from spatialdata import SpatialData

from spatialhist._sdata.build import build_slide, concat_slides

HEIGHT, WIDTH = 700, 1101
XY = np.array([[100.0, 50.0], [300.0, 50.0], [500.0, 50.0], [100.0, 250.0], [1000.0, 650.0]])


def gradient(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Pixels (c, y, x): red grows with x, green with y, both in steps of 8 pixels."""
    image = np.zeros((3, height, width), dtype=np.uint8)
    image[0] = np.arange(width) // 8
    image[1] = (np.arange(height) // 8)[:, None]
    image[2] = 7
    return image


def one_slide(slide: str = "S1", *, image: np.ndarray | None = None, **options) -> SpatialData:
    options = {"genes": ["A", "B", "C"], "patient": "P1"} | options
    counts = np.arange(len(XY) * len(options["genes"]), dtype=np.float32).reshape(len(XY), -1)
    return build_slide(gradient() if image is None else image, XY, counts, slide=slide, **options)


@pytest.fixture
def slide_of_five() -> SpatialData:
    return one_slide()


@pytest.fixture
def two_slides() -> SpatialData:
    second = one_slide("S2", image=gradient(400, 1050), genes=["B", "D"], patient="P2", measured=False)
    return concat_slides([one_slide(), second])

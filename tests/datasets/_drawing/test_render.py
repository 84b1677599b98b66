from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spatialhist.datasets._drawing.cells import LYMPHOCYTE, Cells
from spatialhist.datasets._drawing.render import Stain, draw_stain, render, vary_stain
from spatialhist.datasets._drawing.structure import Structure

SIZE, MPP = (70, 40), 1.0


def blank(eosin: float = 0.0) -> Structure:
    shape = (SIZE[1] + 2, SIZE[0] + 2)
    empty = np.zeros(shape, np.float32)
    return Structure(MPP, empty, np.full(shape, eosin, np.float32), empty, np.ones(shape, np.float32), empty)


def nucleus(x: float, y: float, *, angle: float = 0.0, axes: tuple[float, float] = (6.0, 2.0)) -> Cells:
    return Cells(np.array([[x, y]]), np.array([LYMPHOCYTE]), np.array([angle]), np.array([axes]), np.array([1.5]))


@pytest.fixture
def stain() -> Stain:
    return draw_stain(np.random.default_rng(0))


def drawn(structure: Structure, cells: Cells, stain: Stain) -> np.ndarray:
    return render(structure, cells, stain, SIZE, MPP, np.random.default_rng(1)).astype(float)


def dark(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels the nucleus darkens."""
    return np.nonzero(image[0] < 0.75 * np.median(image[0]))


def test_a_nucleus_lies_where_it_should(stain: Stain) -> None:
    image = drawn(blank(), nucleus(50.5, 12.5), stain)
    y, x = dark(image)
    assert image.shape == (3, 40, 70)
    assert (x.mean(), y.mean()) == pytest.approx((50, 12), abs=0.3)
    assert np.ptp(x) > 2 * np.ptp(y)


def test_a_nucleus_turns_with_its_angle(stain: Stain) -> None:
    y, x = dark(drawn(blank(), nucleus(20.5, 20.5, angle=np.pi / 2), stain))
    assert np.ptp(y) > 2 * np.ptp(x)


def test_a_nucleus_at_the_border_is_cut_off(stain: Stain) -> None:
    y, x = dark(drawn(blank(), nucleus(1.0, 39.5), stain))
    assert len(x) > 5
    assert x.max() < 10 and y.min() > 30


def test_empty_glass_is_light_and_eosin_is_pink(stain: Stain) -> None:
    cells = nucleus(-100, -100)
    glass = drawn(blank(), cells, stain).mean(axis=(1, 2))
    pink = drawn(blank(eosin=0.5), cells, stain).mean(axis=(1, 2))
    assert (glass > 225).all()
    assert pink[0] > pink[1] + 30 and pink[2] > pink[1] + 20


def test_bands_join_without_a_seam(stain: Stain) -> None:
    height = 540
    shape = (height + 2, 62)
    empty = np.zeros(shape, np.float32)
    structure = Structure(1.0, empty, empty, empty, np.ones(shape, np.float32), empty)
    image = render(structure, nucleus(30, 512, angle=np.pi / 2), stain, (60, height), 1.0, np.random.default_rng(0))
    y, _ = dark(image.astype(float))
    assert y.min() < 509 and y.max() > 514
    assert set(range(508, 516)) <= set(y)


def test_stain_varies_less_within_a_laboratory_than_between(stain: Stain) -> None:
    rng = np.random.default_rng(3)
    within = np.std([vary_stain(stain, rng).density for _ in range(30)], axis=0).mean()
    between = np.std([draw_stain(rng).density for _ in range(30)], axis=0).mean()
    assert 0 < within < between


def test_a_fold_is_tissue_lying_nearly_twice(stain: Stain) -> None:
    cells, flat = nucleus(-100, -100), blank(eosin=0.4)
    pictures = [blank(), flat, replace(flat, fold=flat.inside)]
    glass, single, folded = (np.log(drawn(picture, cells, stain)[1]).mean() for picture in pictures)
    assert (glass - folded) / (glass - single) == pytest.approx(1.9, abs=0.05)

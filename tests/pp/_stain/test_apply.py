from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._stain.apply import basis_tables, recolor_basis, recolor_lab

OPERATOR = np.array([[1.1, -0.2, 0.05], [0.1, 0.9, 0.02], [-0.05, 0.2, 1.0]])
WHITE = np.array([255.0, 250.0, 240.0])
TO_LMS = np.array([[0.38, 0.58, 0.04], [0.2, 0.72, 0.08], [0.02, 0.13, 0.85]])
SLOPE = np.array([[1.1, 0.1, -0.1], [0.0, 0.9, 0.1], [0.05, 0.0, 1.0]])
INTERCEPT = np.array([0.1, -0.2, 0.05])


@pytest.fixture
def block():
    block = np.random.default_rng(0).integers(0, 256, (3, 40, 70), dtype=np.uint8)
    block[:, 0, 0], block[:, 0, 1] = 0, 255
    return block


def everywhere(block):
    return np.ones((1, 1), bool), np.zeros(block.shape[1], int), np.zeros(block.shape[2], int)


def test_basis_equals_the_formula(block):
    density = -np.log((block + 1.0) / (WHITE[:, None, None] + 1))
    changed = np.einsum("ck,kyx->cyx", OPERATOR, density)
    expected = np.clip((WHITE[:, None, None] + 1) * np.exp(-changed) - 1, 0, 255)
    got = recolor_basis(block, *everywhere(block), tables=basis_tables(OPERATOR, WHITE))
    assert got.dtype == np.uint8
    assert np.abs(got - expected).max() <= 0.5 + 1e-6


def test_lab_equals_the_formula(block):
    log = np.log(np.einsum("kc,cyx->kyx", TO_LMS, block.astype(float)) + 1)
    lms = np.exp(np.einsum("kc,cyx->kyx", SLOPE, log) + INTERCEPT[:, None, None]) - 1
    expected = np.clip(np.einsum("ck,kyx->cyx", np.linalg.inv(TO_LMS), lms), 0, 255)
    got = recolor_lab(block, *everywhere(block), to_lms=TO_LMS, slope=SLOPE, intercept=INTERCEPT)
    assert np.abs(got - expected).max() <= 0.51


def test_nothing_changes_under_the_identity_or_off_the_mask(block):
    same = basis_tables(np.eye(3), WHITE)
    np.testing.assert_array_equal(recolor_basis(block, *everywhere(block), tables=same), block)
    mask = np.array([[False, True]])
    rows, columns = np.zeros(40, int), (np.arange(70) >= 30).astype(int)
    other = basis_tables(OPERATOR, WHITE)
    got = recolor_basis(block, mask, rows, columns, tables=other)
    np.testing.assert_array_equal(got[:, :, :30], block[:, :, :30])
    np.testing.assert_array_equal(got[:, :, 30:], recolor_basis(block, *everywhere(block), tables=other)[:, :, 30:])


def test_views_and_extreme_operators_are_safe(block):
    view = block[:, ::2, ::-1]
    extreme = basis_tables(40 * OPERATOR, WHITE)
    got = recolor_basis(view, *everywhere(view), tables=extreme)
    np.testing.assert_array_equal(got, recolor_basis(view.copy(), *everywhere(view), tables=extreme))

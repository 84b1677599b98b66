from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._stain.fit import StainError, basis_change, fit_stain
from spatialhist.pp._stain.reference import StainReference

HEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.27, 0.90, 0.35])


def stained(vectors, seed=0, shape=(60, 90)):
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(2.0, 0.35, (*shape, len(vectors)))
    vectors = np.array([v / np.linalg.norm(v) for v in vectors])
    return np.clip(256 * np.exp(-amounts @ vectors) - 1, 0, 255).round().astype(np.uint8)


def test_macenko_finds_the_vectors():
    pixels = stained([HEMATOXYLIN, EOSIN])
    found = fit_stain(pixels, np.ones(pixels.shape[:2], bool), "macenko").stain_matrix
    for column, truth in enumerate((HEMATOXYLIN, EOSIN)):
        cosine = found[:, column] @ truth / np.linalg.norm(truth)
        assert np.degrees(np.arccos(min(1.0, cosine))) < 4


def test_only_tissue_counts():
    pixels = stained([HEMATOXYLIN, EOSIN])
    pixels[:, :30] = (20, 200, 60)
    tissue = np.zeros(pixels.shape[:2], bool)
    tissue[:, 30:] = True
    inside = fit_stain(pixels, tissue, "macenko").stain_matrix
    np.testing.assert_allclose(inside, fit_stain(pixels[:, 30:], tissue[:, 30:], "macenko").stain_matrix)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (stained([HEMATOXYLIN]), "one stain"),
        (np.full((30, 40, 3), 255, np.uint8), ""),
        (stained([np.array([0.9, 0.2, 0.1]), np.array([0.8, 0.1, 0.5])]), "canonical"),
    ],
)
def test_what_is_not_h_and_e_is_refused(pixels, words):
    with pytest.raises(StainError, match=words):
        fit_stain(pixels, np.ones(pixels.shape[:2], bool), "macenko")


DAB = np.array([0.27, 0.57, 0.78])


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
@pytest.mark.parametrize("vectors", [[DAB, np.array([0.1, 0.3, 0.9])], [np.array([0.9, 0.3, 0.1]), DAB]])
def test_no_method_takes_other_stains_for_h_and_e(vectors, method):
    pixels = stained(vectors)
    with pytest.raises(StainError, match="canonical"):
        fit_stain(pixels, np.ones(pixels.shape[:2], bool), method)


def test_reinhard_takes_h_and_e():
    pixels = stained([HEMATOXYLIN, EOSIN])
    assert fit_stain(pixels, np.ones(pixels.shape[:2], bool), "reinhard").sigma[0] > 0.05


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
def test_empty_mask_is_refused(method):
    pixels = stained([HEMATOXYLIN, EOSIN])
    with pytest.raises(StainError, match="mask is empty"):
        fit_stain(pixels, np.zeros(pixels.shape[:2], bool), method)


def test_basis_change_keeps_amounts():
    source = StainReference("macenko", stain_matrix=np.diag([1.0, 2.0, 4.0]), white_point=np.full(3, 255.0))
    target = StainReference.canonical("macenko")
    np.testing.assert_allclose(basis_change(source, target) @ [1.0, 4.0, 0.0], target.stain_matrix @ [1, 2, 0])

from __future__ import annotations

import numpy as np
import pytest
import torch

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask
from spatialhist.tl._slide_probe import color_features

WIDTH, HEIGHT = 360, 280


def drawn(gains, patients=None):
    """Slides of the same random tissue, each of its own depth of stain."""
    parts = []
    for i, gain in enumerate(gains):
        density = np.kron(np.random.default_rng(i).gamma(2, 0.2, (3, HEIGHT // 10, WIDTH // 10)), np.ones((1, 10, 10)))
        image = (255 * np.exp(-gain * density)).astype(np.uint8)
        xy = np.array([[100.0, 80.0], [140.0, 80.0], [200.0, 150.0]])
        patient = patients[i] if patients else None
        counts = np.ones((3, 1), np.float32)
        parts.append(build_slide(image, xy, counts, slide=f"S{i}", genes=["a"], mpp=5.0, patient=patient))
    sdata = concat_slides(parts)
    for i in range(len(gains)):
        add_mask(sdata, np.ones((HEIGHT // 10, WIDTH // 10), dtype=bool), image=f"S{i}_full_image")
    return sdata


def test_equal_stains_are_at_chance_and_unequal_ones_are_told():
    same, other = sh.tl.slide_probe(drawn([1, 1, 1])), sh.tl.slide_probe(drawn([1, 2, 3.5]))
    assert same.chance == other.chance == pytest.approx(1 / 3)
    assert abs(same.accuracy - same.chance) < 0.12
    assert other.accuracy > 0.9
    assert list(other.confusion.index) == list(other.confusion.columns) == ["S0", "S1", "S2"]
    recall = np.diag(other.confusion) / other.confusion.sum(axis=1)
    assert other.accuracy == pytest.approx(recall.mean())


def test_normalizing_lowers_it():
    """On simulated H&E: what is stained otherwise is left as it is."""
    sdata = sh.datasets.synthetic(n_slides=2, size_px=(300, 380), n_genes=5, seed=1)
    sh.pp.mask_background(sdata)
    sh.pp.normalize_stain(sdata, method="reinhard")
    assert sh.tl.slide_probe(sdata, image="normalized").accuracy < sh.tl.slide_probe(sdata).accuracy - 0.2


def test_patients_are_classified_on_slides_that_were_held_out():
    """Each slide has its own stain: known slides would be told, new slides of the same patient cannot be."""
    sdata = drawn([1, 3, 1.01, 3.03, 9], patients=["P", "P", "Q", "Q", "alone"])
    probe = sh.tl.slide_probe(sdata, by="patient")
    assert probe.accuracy < 0.7
    assert list(probe.confusion.index) == ["P", "Q"]
    assert sh.tl.slide_probe(drawn([1, 1, 3, 3], patients=["P", "P", "Q", "Q"]), by="patient").accuracy > 0.9


def test_features_of_a_known_tile():
    tile = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    tile[1, 0] = 24
    found = color_features(tile)
    assert found.shape == (2, 15)
    assert found[0].abs().max() == 0
    assert found[1, 0] == pytest.approx(-np.log10(25 / 256))
    assert found[1, 3] == 0


def test_refusals():
    sdata = drawn([1, 2], patients=["P", "P"])
    with pytest.raises(ValueError, match="by='gene' is not one of \\['slide', 'patient'\\]"):
        sh.tl.slide_probe(sdata, by="gene")
    with pytest.raises(ValueError, match=r"leaves the classes \['P'\]: two are needed"):
        sh.tl.slide_probe(sdata, by="patient")
    with pytest.raises(KeyError, match="pp.normalize_stain"):
        sh.tl.slide_probe(sdata, image="normalized")
    del sdata.labels["S0_full_image_tissue"]
    with pytest.raises(KeyError, match="pp.mask_background"):
        sh.tl.slide_probe(sdata)

from __future__ import annotations

import numpy as np
import pytest
import torch

import spatialhist as sh
from spatialhist._sdata.images import pyramid
from spatialhist.tiles import PixelSource
from spatialhist.tiles._features.encode import encode_parts, encoding_reader
from spatialhist.tiles._features.engines import as_engine


@pytest.fixture
def source():
    slide = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=5)
    return PixelSource(pyramid(slide, "S1_full_image"))


def encode_tiles(reader, centers, encoder, **options):
    (found,) = encode_parts(reader, [centers], as_engine(encoder), **options)
    return found


class Floats(torch.nn.Module):
    def forward(self, tiles):
        return tiles.float()


def means(tiles):
    return tiles.float().mean(dim=(2, 3))


def test_features_come_in_the_order_of_the_centers(source):
    centers = np.random.default_rng(0).uniform(10, 200, (40, 2))
    reader = encoding_reader(source)
    features = encode_tiles(reader, centers, means, extent_px=20, pixels=10, batch=7)
    expected = means(torch.from_numpy(reader.read(centers, 20, 10))).numpy()
    np.testing.assert_array_equal(features, expected)
    assert encode_tiles(reader, centers[:0], means, extent_px=20, pixels=10).shape == (0, 0)


@pytest.mark.parametrize(("side", "megabytes"), [(512, 64), (1250, 112.5), (4096, 256)])
def test_memory_does_not_grow_with_the_slide(source, monkeypatch, side, megabytes):
    monkeypatch.setattr(source, "block_shape", lambda level: (side, side))
    assert encoding_reader(source).cache.max_bytes == pytest.approx(megabytes * 1e6)


def test_an_encoder_must_return_a_row_a_tile(source):
    reader = encoding_reader(source)
    with pytest.raises(ValueError, match=r"encoder <lambda> returned \(3,\) for 1 tiles"):
        encode_tiles(reader, np.array([[50.0, 50.0]]), lambda t: t.float().mean(dim=(0, 2, 3)), extent_px=20, pixels=10)


def test_every_tile_has_as_many_features(source):
    reader, centers = encoding_reader(source), np.full((5, 2), 50.0)
    with pytest.raises(ValueError, match="the encoder made 3 features of some tiles, 2 of others"):
        encode_tiles(reader, centers, lambda t: means(t)[:, : len(t)], extent_px=20, pixels=10, batch=3)


def test_a_network_in_training_mode_is_put_into_evaluation_mode(source):
    noisy = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5)).train()
    features = encode_tiles(
        encoding_reader(source),
        np.full((2, 2), 50.0),
        torch.nn.Sequential(Floats(), noisy),
        extent_px=20,
        pixels=10,
    )
    np.testing.assert_array_equal(features[0], features[1])

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import separate_stains
from skimage.feature import graycomatrix, graycoprops

from spatialhist.nn import ColorTexture
from spatialhist.nn._color_texture.color import EOSIN, HEMATOXYLIN, stain_planes

ENCODER = ColorTexture()


def smooth_tiles(n=7, height=40, width=52, seed=0):
    coarse = torch.rand(n, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").mul(255).to(torch.uint8)


def named(tiles):
    return dict(zip(ENCODER.feature_names, ENCODER(tiles).T, strict=True))


def stained(hematoxylin, eosin):
    """Paint amounts of stain ``(H, W)`` as a ``uint8`` tile ``(1, 3, H, W)``."""
    h, e = (np.array(v) / np.linalg.norm(v) for v in (HEMATOXYLIN, EOSIN))
    density = hematoxylin * h[:, None, None] + eosin * e[:, None, None]
    return torch.from_numpy(np.round(255 * 10**-density).astype(np.uint8))[None]


def discs(centers, radius, shape=(64, 80)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return sum(((y - cy) ** 2 + (x - cx) ** 2 <= radius**2).astype(float) for cy, cx in centers)


def test_names_belong_to_the_columns():
    assert len(set(ENCODER.feature_names)) == len(ENCODER.feature_names) < 300
    features = ENCODER(smooth_tiles())
    assert features.shape == (7, len(ENCODER.feature_names))
    assert features.dtype == torch.float32
    assert (features.std(dim=0) > 0).all()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_features_do_not_depend_on_the_batch(size):
    tiles = smooth_tiles()
    parts = torch.cat([ENCODER(part) for part in tiles.split(size)])
    assert torch.equal(parts, ENCODER(tiles))


def test_large_batches_equal_small_ones(monkeypatch):
    tiles = smooth_tiles()
    whole = ENCODER(tiles)
    monkeypatch.setattr("spatialhist.nn._color_texture.encoder.PIXELS_AT_ONCE", 1)
    assert torch.equal(ENCODER(tiles), whole)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(16, 45), width=st.integers(16, 45), k=st.integers(1, 3), mirrored=st.booleans())
def test_turning_and_mirroring_change_nothing_but_rounding(height, width, k, mirrored):
    tiles = smooth_tiles(2, height, width, seed=height * width)
    turned = tiles.rot90(k, (2, 3)).flip(2 if mirrored else ())
    assert torch.allclose(ENCODER(turned), ENCODER(tiles), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_flat_tiles_are_finite(level):
    assert ENCODER(torch.full((1, 3, 16, 33), level, dtype=torch.uint8)).isfinite().all()


def test_empty_batch():
    assert ENCODER(torch.zeros((0, 3, 16, 16), dtype=torch.uint8)).shape == (0, len(ENCODER.feature_names))


def test_stains_agree_with_skimage():
    tiles = smooth_tiles(1)
    planes = stain_planes(tiles)
    h, e = (np.array(v) / np.linalg.norm(v) for v in (HEMATOXYLIN, EOSIN))
    residual = np.cross(h, e)
    unmixing = np.linalg.inv(np.stack([h, e, residual / np.linalg.norm(residual)]))
    rgb = (tiles[0].permute(1, 2, 0).numpy() + 1.0) / 256
    # skimage divides logarithms by log(1e-6) and multiplies back by its own scale
    expected = np.maximum(-np.log10(rgb) @ unmixing, 0)
    np.testing.assert_allclose(planes.hematoxylin[0].clamp(min=0), expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(planes.eosin[0].clamp(min=0), expected[..., 1], atol=1e-5)
    ratio = separate_stains(rgb, unmixing)[..., 0] / np.maximum(expected[..., 0], 1e-9)
    np.testing.assert_allclose(ratio[expected[..., 0] > 0.01], ratio.max(), rtol=1e-4)


def test_distributions_of_a_color_agree_with_numpy():
    tiles = smooth_tiles(1)
    features, red = named(tiles), tiles[0, 0].numpy() / 255
    step = 1 / 255
    assert features["red_mean"].item() == pytest.approx(red.mean(), abs=step)
    assert features["red_sd"].item() == pytest.approx(red.std(), abs=step)
    assert features["red_q75"].item() == pytest.approx(np.quantile(red, 0.75), abs=2 * step)
    a, b = tiles[0, 0].numpy().ravel(), tiles[0, 2].numpy().ravel()
    assert features["corr_red_blue"].item() == pytest.approx(np.corrcoef(a, b)[0, 1], abs=5e-3)


def test_white_half_is_counted_and_located():
    amount = np.zeros((32, 48))
    amount[:, 30:] = 0.6
    features = named(stained(np.zeros_like(amount), amount))
    assert features["white_fraction"].item() == pytest.approx(30 / 48)
    assert features["pure_eosin_fraction"].item() == pytest.approx(18 / 48)
    assert features["white_boundary"].item() == pytest.approx(1 / 47, rel=1e-3)
    ring = named(stained(np.zeros((64, 64)), discs([(32, 32)], 12, (64, 64)) * 0.6))
    assert ring["eosin_center_minus_rim"] > 0.2


def test_more_stain_keeps_the_hue():
    amount = 0.2 + 0.1 * discs([(20, 20), (40, 60)], 9)
    weak, strong = named(stained(amount, 0.5 * amount)), named(stained(2 * amount, amount))
    assert strong["hematoxylin_mean"] > 1.8 * weak["hematoxylin_mean"]
    assert strong["hue_x_mean"].item() == pytest.approx(weak["hue_x_mean"].item(), abs=0.02)
    assert strong["hue_y_mean"].item() == pytest.approx(weak["hue_y_mean"].item(), abs=0.02)


def test_nuclei_are_counted_and_measured():
    centers = [(12, 14), (14, 50), (30, 30), (32, 66), (50, 16), (52, 52)]
    inner = 62 * 78
    small = named(stained(0.05 + 0.6 * discs(centers, 3), np.full((64, 80), 0.2)))
    large = named(stained(0.05 + 0.6 * discs(centers, 5), np.full((64, 80), 0.2)))
    few = named(stained(0.05 + 0.6 * discs(centers[:2], 3), np.full((64, 80), 0.2)))
    assert small["peak_density"].item() * inner == pytest.approx(6)
    assert few["peak_density"].item() * inner == pytest.approx(2)
    assert large["nuclei_chord"] > 1.2 * small["nuclei_chord"]
    assert large["nuclei_area"] > 1.5 * small["nuclei_area"]
    assert few["peak_clustering"] > small["peak_clustering"]
    assert small["hematoxylin_in_nuclei"] > small["hematoxylin_around_nuclei"] + 0.2


def test_stripes_are_coherent_and_noise_is_not():
    x = np.arange(64)
    stripes = np.tile(0.4 + 0.2 * np.sin(x / 2), (64, 1))
    noise = 0.4 + 0.2 * np.random.default_rng(0).uniform(-1, 1, (64, 64))
    lined, rough = named(stained(stripes, stripes)), named(stained(noise, noise))
    assert lined["coherence_0_tile"] > 0.95
    assert rough["coherence_0_tile"] < 0.2
    assert lined["coherence_0_local"] > rough["coherence_0_local"] + 0.3


def test_fine_and_coarse_texture_live_on_their_levels():
    def waves(period):
        x = np.arange(64)
        wave = 0.5 + 0.2 * np.sin(2 * np.pi * x / period)[:, None] * np.sin(2 * np.pi * x / period)
        return named(stained(wave, wave))

    fine, coarse = waves(4), waves(24)
    assert fine["density_0_detail_sd"] > 5 * coarse["density_0_detail_sd"]
    assert coarse["density_2_detail_sd"] > 5 * fine["density_2_detail_sd"]


def test_variogram_agrees_with_numpy():
    tiles = smooth_tiles(1)
    density = stain_planes(tiles).density[0].double().numpy()
    pairs = np.mean((density[:, 4:] - density[:, :-4]) ** 2) + np.mean((density[4:] - density[:-4]) ** 2)
    assert named(tiles)["density_variogram_4"].item() == pytest.approx(pairs / 4 / (density.var() + 0.005**2), rel=1e-4)


def test_cooccurrence_agrees_with_skimage():
    tiles = smooth_tiles(1)
    grays = np.clip(stain_planes(tiles).hematoxylin[0].numpy() * (8 / 1.2), 0, 7).astype(np.uint8)
    counts = graycomatrix(grays, [3], [0, np.pi / 2], levels=8, symmetric=True).sum(axis=3, keepdims=True)
    features, share = named(tiles), counts / counts.sum()
    assert features["hematoxylin_glcm_3_contrast"].item() == pytest.approx(
        graycoprops(share, "contrast")[0, 0], rel=1e-4
    )
    assert features["hematoxylin_glcm_3_energy"].item() == pytest.approx((share**2).sum(), rel=1e-4)


def test_local_patterns_agree_with_a_loop():
    tiles = torch.randint(0, 256, (1, 3, 16, 18), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    gray = tiles[0].numpy().astype(int)
    gray = gray[0] + 2 * gray[1] + gray[2]
    circle = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    found = np.zeros(10)
    for y in range(1, 15):
        for x in range(1, 17):
            bits = [int(gray[y + dy, x + dx] >= gray[y, x]) for dy, dx in circle]
            changes = sum(bits[i] != bits[i - 1] for i in range(8))
            found[sum(bits) if changes <= 2 else 9] += 1
    features = named(tiles)
    values = [features[f"pattern_1_{i}"].item() for i in range(10)]
    np.testing.assert_allclose(values, found / found.sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("tiles", "error", "message"),
    [
        (torch.rand(1, 3, 32, 32), TypeError, "float32; the color and texture features need torch.uint8"),
        (torch.zeros(1, 4, 32, 32, dtype=torch.uint8), ValueError, r"\(1, 4, 32, 32\)"),
        (torch.zeros(1, 3, 15, 32, dtype=torch.uint8), ValueError, "at least 16"),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), ValueError, r"\(3, 32, 32\)"),
    ],
)
def test_errors(tiles, error, message):
    with pytest.raises(error, match=message):
        ENCODER(tiles)

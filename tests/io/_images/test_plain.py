from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.io.conftest import picture

from spatialhist.io._images import plain as _pixels
from spatialhist.io._images.plain import read_pixels, to_rgb8

RGB = picture(40, 61)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_lossless_files_give_the_pixels(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(read_pixels(path), RGB)


def test_jpeg_is_decoded_like_pillow(tmp_path):
    path = tmp_path / "image.JPG"
    Image.fromarray(RGB).save(path, format="JPEG", quality=90)
    pixels = read_pixels(path)
    assert np.abs(pixels.astype(int) - np.asarray(Image.open(path))).max() <= 1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    Image.fromarray(RGB).convert(mode).save(path)
    assert read_pixels(path).shape == RGB.shape


def test_transparent_pixels_are_white(tmp_path):
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:10, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "image.png")
    pixels = read_pixels(tmp_path / "image.png")
    assert (pixels[:10] == 255).all()
    np.testing.assert_array_equal(pixels[10:], RGB[10:])


@pytest.mark.parametrize("planar", [False, True])
def test_pyramidal_tiff_gives_its_finest_level(tmp_path, planar):
    path = tmp_path / "image.ome.tif"
    big = picture(96, 161)
    data = np.moveaxis(big, -1, 0) if planar else big
    with tifffile.TiffWriter(path) as tif:
        config = {"photometric": "rgb", "planarconfig": "separate" if planar else "contig", "tile": (32, 32)}
        tif.write(data, subifds=1, **config)
        tif.write(data[:, ::2, ::2] if planar else data[::2, ::2], subfiletype=1, **config)
    np.testing.assert_array_equal(read_pixels(path), big)


def test_stack_of_planes_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, 40, 61), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match="it has axes .* want one plane"):
        read_pixels(tmp_path / "stack.tif")


@pytest.mark.parametrize(("dtype", "name"), [(np.uint16, "image.png"), (np.uint16, "image.tif")])
def test_sixteen_bits_are_refused(tmp_path, dtype, name):
    tifffile.imwrite(tmp_path / "image.tif", RGB.astype(dtype))
    Image.fromarray(RGB[..., 0].astype(dtype)).save(tmp_path / "image.png")
    with pytest.raises(TypeError, match=r"image\.\w+ holds .*int.*: give uint8"):
        read_pixels(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image .*nothing.png"):
        read_pixels(tmp_path / "nothing.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_file_cut_short_is_refused(tmp_path, suffix, keep):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(ValueError, match=path.name):
        read_pixels(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "svs"])
def test_text_is_not_an_image(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    path.write_text("no pixels here")
    with pytest.raises(ValueError, match=f"{path.name} cannot be read as an image"):
        read_pixels(path)


def test_huge_promise_is_refused_and_pillow_left_alone(tmp_path):
    path = tmp_path / "bomb.png"
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT", b"IEND"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="60000 x 60000 pixels"):
        read_pixels(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_image_above_the_limit_of_pillow_is_read(tmp_path, monkeypatch):
    Image.fromarray(RGB).save(tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_pixels(tmp_path / "image.png").shape == RGB.shape
    monkeypatch.setattr(_pixels, "MAX_PIXELS", 2000)
    with pytest.raises(ValueError, match="61 x 40 pixels: an image has 1 to 2,000"):
        read_pixels(tmp_path / "image.png")


def test_rgb_is_not_copied():
    assert np.shares_memory(to_rgb8(RGB), RGB)
    assert np.shares_memory(to_rgb8(np.moveaxis(RGB, -1, 0)), RGB)


@pytest.mark.parametrize("shape", [(40, 61), (40, 61, 1), (1, 40, 61)])
def test_gray_becomes_three_channels(shape):
    gray = RGB[..., 0].reshape(shape)
    np.testing.assert_array_equal(to_rgb8(gray), np.dstack([RGB[..., 0]] * 3))


@settings(deadline=None)
@given(st.integers(0, 255), st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_go_back_to_the_same_gray(value, dtype):
    assert (to_rgb8(np.full((2, 5, 3), value / 255, dtype=dtype)) == value).all()


def test_conversion_in_blocks(monkeypatch):
    monkeypatch.setattr(_pixels, "ROWS", 7)
    np.testing.assert_array_equal(to_rgb8(RGB / 255), RGB)


def test_half_transparent_black_is_gray():
    rgba = np.zeros((5, 8, 4), np.uint8)
    rgba[..., 3] = 51
    assert (to_rgb8(rgba) == 204).all()


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((3, 50, 3), np.uint8), ValueError, "either end could be the channels"),
        (np.zeros((50, 60, 2), np.uint8), ValueError, "neither end has 1, 3 or 4"),
        (np.zeros((1, 50, 60, 3), np.uint8), ValueError, r"shape \(1, 50, 60, 3\)"),
        (np.zeros((0, 60, 3), np.uint8), ValueError, "60 x 0 pixels"),
        (np.full((50, 60, 3), 128.0), ValueError, r"floats from 128.0 to 128.0: want \[0, 1\]"),
        (np.full((50, 60, 3), -0.1), ValueError, "floats from -0.1"),
        (np.full((50, 60, 3), np.nan), ValueError, "holds NaN"),
        (np.zeros((50, 60, 3), np.uint16), TypeError, "holds uint16"),
        (np.zeros((50, 60, 3), bool), TypeError, "holds bool"),
        ([["a"]], TypeError, "holds <U1"),
    ],
)
def test_unclear_images_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        to_rgb8(image)

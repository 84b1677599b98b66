"""Every kind of image is read the same way, whoever reads it."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from tests.io.conftest import picture

from spatialhist.io._images import arrays
from spatialhist.io._images.image_file import read_image, read_pixels

RGB = picture(40, 61)
GRAY = RGB[..., [0] * 3]
BRIGHT = 255 - RGB


def decoded(path: Path) -> np.ndarray:
    """Pixels ``(y, x, 3)``."""
    pixels = read_pixels(path)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(read_image(path)), pixels)
    return np.moveaxis(pixels, 0, -1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_lossless_files_give_the_pixels(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(decoded(path), RGB)


def test_jpeg_is_decoded_like_pillow(tmp_path):
    path = tmp_path / "image.JPG"
    Image.fromarray(RGB).save(path, format="JPEG", quality=90)
    pixels = decoded(path)
    assert np.abs(pixels.astype(int) - np.asarray(Image.open(path))).max() <= 1


def test_transparent_pixels_are_white(tmp_path):
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:10, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "image.png")
    pixels = decoded(tmp_path / "image.png")
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
    np.testing.assert_array_equal(decoded(path), big)


def test_stack_of_planes_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((5, 40, 61), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match="it has axes .* want one plane"):
        decoded(tmp_path / "stack.tif")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image .*nothing.png"):
        decoded(tmp_path / "nothing.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_file_cut_short_is_refused(tmp_path, suffix, keep):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(ValueError, match=path.name):
        decoded(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "svs"])
def test_text_is_not_an_image(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    path.write_text("no pixels here")
    with pytest.raises(ValueError, match=f"{path.name} cannot be read as an image"):
        decoded(path)


def test_huge_promise_is_refused_and_pillow_left_alone(tmp_path):
    path = tmp_path / "bomb.png"
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT", b"IEND"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="60000 x 60000 pixels"):
        decoded(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_image_above_the_limit_of_pillow_is_read(tmp_path, monkeypatch):
    Image.fromarray(RGB).save(tmp_path / "image.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decoded(tmp_path / "image.png").shape == RGB.shape
    monkeypatch.setattr(arrays, "MAX_PIXELS", 2000)
    with pytest.raises(ValueError, match="61 x 40 pixels: an image has 1 to 2,000"):
        decoded(tmp_path / "image.png")


def with_alpha(alpha: int) -> np.ndarray:
    """RGB with a fourth channel that is 255 on the left half."""
    four = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    four[:, 30:, 3] = alpha
    return four


def cleared(pixels: np.ndarray) -> np.ndarray:
    clear = pixels.copy()
    clear[:, 30:] = 255
    return clear


def save(pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    return lambda path: (image if mode is None else image.convert(mode)).save(path, **options)


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def ome(pixels, names, axes="CYX", **options):
    return tiff(pixels, ome=True, metadata={"axes": axes, "Channel": {"Name": names}}, **options)


PALETTE = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE)
PLANES = np.moveaxis(RGB, -1, 0)
KINDS = {
    "gray PNG": (save(RGB[..., 0]), "a.png", GRAY, "has one channel: read as gray"),
    "gray PNG of 16 bits": (save(BRIGHT[..., 0].astype(np.uint16) * 257), "a.png", BRIGHT[..., [0] * 3], "has one channel"),
    "gray PNG with alpha": (save(np.ascontiguousarray(with_alpha(0)[..., [0, 3]]), "LA"), "a.png", cleared(GRAY), "one"),
    "RGB PNG of 16 bits": (lambda p: p.write_bytes(imagecodecs.png_encode(BRIGHT.astype(np.uint16) * 257)), "a.png", BRIGHT, ""),
    "RGBA PNG": (save(with_alpha(0)), "a.png", cleared(RGB), ""),
    "PNG of a palette": (PALETTE.save, "a.png", np.asarray(PALETTE.convert("RGB")), ""),
    "gray JPEG": (save(GRAY[..., 0] * 0 + 90, quality=95), "a.jpg", GRAY * 0 + 90, "has one channel"),
    "TIFF called a JPEG": (tiff(RGB, photometric="rgb"), "a.jpg", RGB, ""),
    "PNG called a TIFF": (lambda p: Image.fromarray(RGB).save(p, format="PNG"), "a.tif", RGB, ""),
    "TIFF": (tiff(RGB, photometric="rgb"), "a.tif", RGB, ""),
    "big-endian BigTIFF": (tiff(RGB, photometric="rgb", byteorder=">", bigtiff=True), "a.tif", RGB, ""),
    "CMYK TIFF": (save(RGB, "CMYK"), "a.tif", RGB, "holds CMYK"),
    "TIFF of a palette": (PALETTE.save, "a.tif", np.asarray(PALETTE.convert("RGB")), ""),
    "TIFF, white is zero": (tiff(255 - RGB[..., 0], photometric="miniswhite"), "a.tif", GRAY, "has one channel"),
    "gray TIFF": (tiff(RGB[..., 0], photometric="minisblack"), "a.tif", GRAY, "has one channel"),
    "TIFF of 16 bits": (tiff(BRIGHT.astype(np.uint16) * 257, photometric="rgb"), "a.tif", BRIGHT, ""),
    "TIFF with alpha": (tiff(with_alpha(0), photometric="rgb", extrasamples=["unassalpha"]), "a.tif", cleared(RGB), ""),
    "TIFF with a mask": (tiff(with_alpha(0), photometric="rgb", extrasamples=["unspecified"]), "a.tif", RGB, "no alpha"),
    "gray TIFF with alpha": (
        tiff(with_alpha(0)[..., [0, 3]], photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]),
        "a.tif", cleared(GRAY), "has one channel",
    ),
    "thumbnail first": (
        lambda p: [tifffile.imwrite(p, RGB[::s, ::s], photometric="rgb", append=s == 1) for s in (8, 1)], "a.tif", RGB, "",
    ),
    "channels b, g, r": (ome(PLANES[::-1], ["b", "g", "r"], photometric="minisblack"), "a.ome.tif", RGB, ""),
    "colors among other channels": (
        ome(np.stack([PLANES[2], GRAY[..., 0], PLANES[0], PLANES[1]]), ["B", "mask", "R", "G"], photometric="minisblack"),
        "a.ome.tif", RGB, "",
    ),
    "three channels without a name": (
        ome(PLANES, ["Channel:0:0", "Channel:0:1", "Channel:0:2"], photometric="minisblack"), "a.ome.tif", RGB,
        "three channels that are not named: they are read as red, green and blue",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(tmp_path, kind):
    write, name, expected, said = KINDS[kind]
    write(tmp_path / name)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        pixels = decoded(tmp_path / name)
    np.testing.assert_array_equal(pixels, expected)
    told = [str(w.message) for w in seen if w.category is UserWarning]
    assert all(said in text and name in text for text in told)
    assert bool(told) == bool(said)


REFUSED = {
    "two stains": (ome(PLANES[:2], ["DAPI", "CD45"], photometric="minisblack"), "channels 'DAPI', 'CD45': want red"),
    "three stains": (
        ome(PLANES, ["DAPI", "FITC", "Cy5"], photometric="minisblack"), "channels 'DAPI', 'FITC', 'Cy5': want red, green",
    ),
    "four planes": (ome(np.stack([*PLANES, PLANES[0]]), [""] * 4, photometric="minisblack"), "it has 4 channels"),
    "five samples": (
        tiff(np.dstack([RGB, RGB[..., :2]]), photometric="rgb", extrasamples=["unspecified"] * 2), "it has 5 channels",
    ),
    "real numbers": (tiff(RGB.astype(np.float32), photometric="rgb"), "it holds float32: want 8 or 16 bits"),
    "inks that are not CMYK": (
        tiff(with_alpha(0), photometric="separated", extratags=[(332, "H", 1, 2, True)]), "its colors are SEPARATED",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_other_channels_are_refused_by_name(tmp_path, kind):
    write, message = REFUSED[kind]
    write(tmp_path / "a.ome.tif")
    with pytest.raises(ValueError, match=f"a.ome.tif cannot be read as an image: .*{message}"):
        read_pixels(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_images_are_turned_as_their_file_says(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    if suffix == "tif":
        tifffile.imwrite(path, RGB, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        Image.fromarray(RGB).save(path, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    image = Image.fromarray(RGB)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    pixels = decoded(path)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= (4 if suffix == "jpg" else 0)


def write_j2k(path, codestreams, compression, photometric="rgb"):
    about = "Aperio Image Library v10.0.51\n128x64 [0,0 128x64] (64x64) J2K/YUV16 Q=70|AppMag = 20|MPP = 0.5"
    tifffile.imwrite(path, iter(codestreams), shape=(64, 128, 3), dtype=np.uint8, photometric=photometric, tile=(64, 64),
                     compression=compression, description=about, metadata=None)  # fmt: skip


def j2k(pixels, **options):
    return imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(pixels), level=0, reversible=True, codecformat="j2k", **options
    )


def ycbcr(rgb):
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).convert("YCbCr"))


STAINED = np.full((64, 128, 3), (240, 238, 241), dtype=np.uint8)
STAINED[:, 20:90] = (215, 130, 190)
STAINED[10:50, 60:80] = (90, 70, 150)
TILES = [STAINED[:, :64], STAINED[:, 64:]]


@pytest.mark.parametrize(
    ("tiles", "compression", "photometric"),
    [
        ([j2k(ycbcr(t), mct=False) for t in TILES], 33003, "rgb"),
        ([j2k(ycbcr(t), mct=False) for t in TILES], 33003, "ycbcr"),
        ([j2k(t) for t in TILES], 33005, "rgb"),
        ([j2k(ycbcr(t), mct=False) for t in TILES], 34712, "ycbcr"),
        ([j2k(t, mct=True) for t in TILES], 34712, "ycbcr"),
    ],
    ids=["Aperio YCbCr", "Aperio YCbCr, tagged", "Aperio RGB", "tagged", "tagged and transformed"],
)
def test_jpeg_2000_of_any_colors(tmp_path, tiles, compression, photometric):
    write_j2k(tmp_path / "a.svs", tiles, compression, photometric)
    assert np.abs(decoded(tmp_path / "a.svs").astype(int) - STAINED).max() <= 2


def test_tiles_that_an_aperio_scanner_left_out_are_white(tmp_path):
    path = tmp_path / "a.svs"
    write_j2k(path, [j2k(ycbcr(t), mct=False) for t in TILES], 33003)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("TileOffsets", "TileByteCounts"):
            first, _ = file.pages[0].tags[tag].value
            file.pages[0].tags[tag].overwrite([first, 0])
    pixels = decoded(path)
    assert np.abs(pixels[:, :64].astype(int) - STAINED[:, :64]).max() <= 2
    assert (pixels[:, 64:] == 255).all()

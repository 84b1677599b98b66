from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.io import imsave
from spatialdata.transformations import get_transformation

import spatialhist as sh
from spatialhist._sdata.images import pyramid
from spatialhist.io._images import tiff as _tiff


def picture(height: int = 300, width: int = 500) -> np.ndarray:
    """Pixels (y, x, 3): red grows with x, green with y, blue is noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    pixels[:, :, 0] = np.arange(width) // 2
    pixels[:, :, 1] = (np.arange(height) // 2)[:, None]
    return pixels


def per_cm(mpp: float) -> dict:
    return {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}


def write_tiff(path, pixels=None, **options):
    tifffile.imwrite(path, picture() if pixels is None else pixels, **{"tile": (64, 64), **options})
    return path


def read(path, **options):
    return sh.io.read_wsi(path, progress=False, **options)


def pixels_of(sdata, slide):
    return np.asarray(pyramid(sdata, f"{slide}_full_image").levels[0])


def test_a_tiff_goes_into_a_store(tmp_path):
    path = write_tiff(tmp_path / "biopsy 7.a.tiff", picture(700, 1101), **per_cm(0.5))
    sdata = read(path, patient="P4", store=tmp_path / "s.zarr")
    assert list(sdata.images) == ["biopsy_7_full_image"]
    assert not sdata.tables
    assert not sdata.shapes
    assert sdata.path == tmp_path / "s.zarr"
    assert sdata.attrs["spatialhist"]["slides"]["biopsy_7"] == {"mpp": pytest.approx(0.5), "patient": "P4"}
    assert set(get_transformation(sdata["biopsy_7_full_image"], get_all=True)) == {"biopsy_7"}
    np.testing.assert_array_equal(pixels_of(sdata, "biopsy_7"), np.moveaxis(picture(700, 1101), -1, 0))


def test_pixels_are_read_in_squares(tmp_path, monkeypatch):
    monkeypatch.setattr(_tiff, "READ_PX", 128)
    sdata = read(write_tiff(tmp_path / "a.tif", picture(300, 700)), slide="S1", mpp=0.25)
    np.testing.assert_array_equal(pixels_of(sdata, "S1"), np.moveaxis(picture(300, 700), -1, 0))
    lazy = _tiff.read_tiff(tmp_path / "a.tif")
    assert lazy.chunks == ((3,), (128, 128, 44), (128, 128, 128, 128, 128, 60))


@pytest.mark.parametrize("planar", [False, True])
def test_ome_tiff(tmp_path, planar):
    pixels = np.moveaxis(picture(), -1, 0) if planar else picture()
    metadata = {"axes": "CYX" if planar else "YXS"}
    metadata |= {f"PhysicalSize{axis}": 400.0 for axis in "XY"} | {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"}
    path = write_tiff(tmp_path / "o.ome.tif", pixels, ome=True, metadata=metadata, photometric="rgb")
    sdata = read(path)
    assert sdata.attrs["spatialhist"]["slides"]["o"]["mpp"] == pytest.approx(0.4)
    np.testing.assert_array_equal(pixels_of(sdata, "o"), np.moveaxis(picture(), -1, 0))


def test_gray_and_alpha(tmp_path):
    gray = read(write_tiff(tmp_path / "g.tif", picture()[:, :, 2]), mpp=1)
    np.testing.assert_array_equal(pixels_of(gray, "g"), np.stack([picture()[:, :, 2]] * 3))
    alpha = np.full((300, 500, 1), 255, dtype=np.uint8)
    alpha[:, :250] = 0
    clear = read(
        write_tiff(tmp_path / "t.tif", np.concatenate([picture(), alpha], 2), extrasamples=["unassalpha"]), mpp=1
    )
    expected = picture()
    expected[:, :250] = 255
    np.testing.assert_array_equal(pixels_of(clear, "t"), np.moveaxis(expected, -1, 0))


def test_planes_of_one_channel_each(tmp_path):
    path = write_tiff(tmp_path / "p.tif", np.moveaxis(picture(), -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(pixels_of(read(path, mpp=1), "p"), np.moveaxis(picture(), -1, 0))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_plain_images_need_a_scale(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    imsave(path, picture(), check_contrast=False)
    with pytest.raises(ValueError, match="does not say its scale: pass mpp="):
        read(path)
    sdata = read(path, mpp=0.5)
    np.testing.assert_array_equal(pixels_of(sdata, "a"), np.moveaxis(np.asarray(Image.open(path)), -1, 0))


def test_scales_that_are_none(tmp_path):
    dots = write_tiff(tmp_path / "a.tif", resolution=(72, 72), resolutionunit="INCH")
    with pytest.raises(ValueError, match=r"says 352.778 um per pixel, which no microscope has: pass mpp="):
        read(dots)
    assert read(dots, mpp=0.5).attrs["spatialhist"]["slides"]["a"]["mpp"] == 0.5
    oblong = write_tiff(tmp_path / "b.tif", resolution=(2e4, 1e4), resolutionunit="CENTIMETER")
    with pytest.raises(ValueError, match="pixels of 0.5 x 1 um, which are not square: pass mpp="):
        read(oblong)
    with pytest.raises(ValueError, match="mpp=-1 must be positive"):
        read(dots, mpp=-1)


def test_a_scale_against_the_file_is_taken_with_a_warning(tmp_path):
    path = write_tiff(tmp_path / "a.tif", **per_cm(0.5))
    with pytest.warns(UserWarning, match="says 0.5 um per pixel; mpp=0.25 is taken"):
        sdata = read(path, mpp=0.25)
    assert sdata.attrs["spatialhist"]["slides"]["a"]["mpp"] == 0.25


def test_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no image .*nothing\.svs"):
        read(tmp_path / "nothing.svs")
    with pytest.raises(ValueError, match="holds float32: want 8 or 16 bits"):
        read(write_tiff(tmp_path / "real.tif", picture().astype(np.float32), photometric="rgb"), mpp=1)
    with pytest.raises(ValueError, match="want one plane, 'YX'"):
        read(write_tiff(tmp_path / "stack.tif", np.zeros((5, 64, 64, 3), np.uint8), photometric="rgb"), mpp=1)
    (tmp_path / "text.svs").write_text("no slide")
    with pytest.raises(
        ValueError, match=r"text\.svs cannot be read as an image: .*MRXS, CZI, VSI, DICOM\) have to be converted"
    ):
        read(tmp_path / "text.svs", mpp=1)
    path = write_tiff(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="try 'a_b'"):
        read(path, slide="a b", mpp=1)
    monkeypatch.setattr(_tiff, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="500 x 300 pixels: a slide has 1 to 1,000"):
        read(path, mpp=1)


def test_a_store_that_exists_is_left_alone(tmp_path):
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr" / "mine").touch()
    with pytest.raises(FileExistsError, match=r"s\.zarr exists"):
        read(write_tiff(tmp_path / "a.tif"), mpp=1, store=tmp_path / "s.zarr")
    assert [p.name for p in (tmp_path / "s.zarr").iterdir()] == ["mine"]


def test_a_broken_slide_leaves_no_store(tmp_path):
    path = write_tiff(tmp_path / "a.tif", picture(700, 1100), compression="zlib")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : -3000] = bytes(len(data[len(data) // 3 : -3000]))
    path.write_bytes(data)
    with pytest.raises(Exception):  # noqa: B017 (whatever the decoder says)
        read(path, mpp=1, store=tmp_path / "s.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


ODD = {
    "Aperio in words": {
        "metadata": None,
        "description": "Aperio Image Library v12.0.15\n500x300 [0,0 500x300] (64x64) JPEG/RGB Q=30|AppMag = 20|MPP = half",
    },
    "oblong": {"resolution": (2e4, 1e4), "resolutionunit": "CENTIMETER"},
    "dots": {"resolution": (72, 72), "resolutionunit": "INCH"},
    "nothing": {},
    "unit of x only": {"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm",
                       "PhysicalSizeY": 500}},
    "units that differ": {"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm",
                          "PhysicalSizeY": 500, "PhysicalSizeYUnit": "cm"}},
}  # fmt: skip


@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
def test_mpp_overrules_whatever_a_file_says(tmp_path, options):
    path = write_tiff(tmp_path / "a.tif", photometric="rgb", **options)
    with pytest.raises(ValueError, match="a.tif .*: pass mpp="):
        read(path)
    assert read(path, mpp=0.5).attrs["spatialhist"]["slides"]["a"]["mpp"] == 0.5


@pytest.mark.real_data
def test_svs(data_root, tmp_path):
    from tiffslide import TiffSlide

    path = data_root / "wsi" / "cmu_small_region.svs"
    sdata = read(path, store=tmp_path / "s.zarr")
    assert sdata.attrs["spatialhist"]["slides"]["cmu_small_region"]["mpp"] == 0.499
    expected = TiffSlide(path).read_region((1000, 2000), 0, (300, 200), as_array=True)
    np.testing.assert_array_equal(
        pixels_of(sdata, "cmu_small_region")[:, 2000:2200, 1000:1300], np.moveaxis(expected, -1, 0)
    )


@pytest.mark.real_data
def test_svs_without_a_scale(data_root):
    with pytest.raises(ValueError, match="does not say its scale"):
        read(data_root / "wsi" / "tcga-cr-7395-01a-01-ts1.svs")

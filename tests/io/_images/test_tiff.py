from __future__ import annotations

import gc
import pickle
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from spatialhist.io._images import tiff as _tiff
from spatialhist.io._images.image_file import read_image
from spatialhist.io._images.tiff import Plane, read_tiff
from spatialhist.io._images.tiff_scale import tiff_mpp

sys.path.append(str(Path(__file__).parents[2] / "support"))
from write_ndpi import write_ndpi

TILE = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
SCALE = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}


def picture(height: int = 296, width: int = 504) -> np.ndarray:
    """Pixels (y, x, 3) without noise, which JPEG keeps, and bright in places, as glass is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x // 2, 255 - y // 2, (x + y) // 4], axis=-1).astype(np.uint8)


def write(path, *pages, **options):
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False)) as tiff:
        for pixels, more in pages or [(picture(), {})]:
            tiff.write(pixels, **{**TILE, **SCALE, **options, **more})
    return path


def check(path, expected=None, mpp=0.5, tolerance=0.0):
    found = tiff_mpp(path)
    pixels = np.moveaxis(np.asarray(read_tiff(path)), 0, -1)
    expected = picture() if expected is None else expected
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() <= tolerance
    assert found == (None if mpp is None else pytest.approx(mpp, rel=1e-3))


STRIPS = {"tile": None}


@pytest.mark.parametrize(
    "options",
    [
        {**STRIPS, "rowsperstrip": 16},
        {**STRIPS, "rowsperstrip": 296},
        {**STRIPS, "rowsperstrip": 8, "compression": "lzw", "predictor": True},
        {**STRIPS, "rowsperstrip": 296, "compression": "zlib"},
        {"tile": (48, 112), "compression": "zstd"},
        {"bigtiff": True, "compression": "zlib"},
        {"compression": "jpeg2000"},
        {"resolution": (50800, 50800), "resolutionunit": "INCH"},
        {"resolution": (2000, 2000), "resolutionunit": "MILLIMETER"},
    ],
)
def test_layouts_and_units(tmp_path, options):
    check(write(tmp_path / "a.tif", **options))


@pytest.mark.parametrize("compression", ["jpeg", "aperio_jp2000_rgb", "webp"])
def test_lossy_tiles(tmp_path, compression):
    check(write(tmp_path / "a.tif", compression=compression, compressionargs={"level": 90}), tolerance=4)


def test_wide_strips_are_decoded_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_tiff, "READ_PX", 128)
    path = write(tmp_path / "a.tif", **STRIPS, rowsperstrip=16, compression="zlib")
    pixels = read_tiff(path)
    assert pixels.chunks == ((3,), (32,) * 9 + (8,), (504,))
    check(path)


def test_uncompressed_strips_are_mapped(tmp_path):
    plane = Plane(write(tmp_path / "a.tif", **STRIPS, rowsperstrip=296), 0, 255)
    assert isinstance(plane._pixels, np.memmap)


def test_a_pyramid_of_pages_and_a_thumbnail_before_it(tmp_path):
    half = (picture()[::2, ::2], {"subfiletype": 1})
    check(write(tmp_path / "a.tif", (picture(), {}), half))
    thumbnail = (picture()[::16, ::16], {**STRIPS, "resolution": (72, 72), "resolutionunit": "INCH"})
    check(write(tmp_path / "b.tif", thumbnail, (picture(), {})))


def test_two_regions_of_one_size(tmp_path):
    path = write(tmp_path / "a.tif", (picture()[:280], {}), (picture(), {}))
    with pytest.warns(UserWarning, match="holds 2 images of about the same size: number 1 is read"):
        check(path)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_sixteen_bits(tmp_path, bits):
    deep = np.rint(picture() * ((2**bits - 1) / 255)).astype(np.uint16)
    check(write(tmp_path / "a.tif", (deep, {})))
    check(write(tmp_path / "b.tif", (deep, {}), **STRIPS))


def test_a_fourth_channel(tmp_path):
    alpha = np.full((296, 504), 255, dtype=np.uint8)
    alpha[:, :250] = 0
    clear = picture()
    clear[:, :250] = 255
    four = np.dstack([picture(), alpha])
    check(write(tmp_path / "a.tif", (four, {"extrasamples": ["unassalpha"]})), clear)
    check(write(tmp_path / "b.tif", (four, {"extrasamples": ["unspecified"]})))
    four[:, :250, :3] = 0
    check(write(tmp_path / "c.tif", (four, {"extrasamples": ["assocalpha"]})), clear)


def test_white_is_zero(tmp_path):
    check(write(tmp_path / "a.tif", (picture()[..., 0], {"photometric": "miniswhite"})), 255 - picture()[..., [0] * 3])


def test_tiles_that_were_left_out_are_glass(tmp_path):
    path = write(tmp_path / "a.tif")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag in ("TileOffsets", "TileByteCounts"):
            values = list(tiff.pages[0].tags[tag].value)
            values[9] = 0
            tiff.pages[0].tags[tag].overwrite(values)
    expected = picture()
    expected[64:128, 64:128] = 255
    check(path, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photometric": "cielab"}, "its colors are CIELAB: save it as RGB"),
        ({"photometric": "ycbcr", "subsampling": (1, 1)}, "its colors are YCBCR"),
        ({"software": "ScanOutputManager 1.1", "extratags": [(700, "B", 6, b"<iScan", True)]}, "tiles of Ventana BIF"),
    ],
)
def test_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=f"a.tif cannot be read as an image: .*{message}"):
        read_image(write(tmp_path / "a.tif", (picture(), options)))


@pytest.mark.parametrize("suffix", [".ndpi", ".NDPI"])
def test_ndpi(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    small = np.ascontiguousarray(picture()[::4, ::4][:72, :120])
    write_ndpi(path, [(picture(), 0.5, 20.0), (small, 2.0, 5.0), (small, 40.0, -1.0)], blocks=21)
    assert Plane(path, 0, 255).chunks == (8, 168, 3)
    check(path, tolerance=2)


SCN = """<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">
<collection name="a" uuid="1" sizeX="26000000" sizeY="76000000">{}</collection></scn>"""
IMAGE = """<image name="{name}" uuid="{name}"><creationDate>2011-04-19</creationDate>
<device model="Leica SCN400" version="1"/><pixels sizeX="{x}" sizeY="{y}">{levels}</pixels>
<view sizeX="{wide}" sizeY="{tall}" offsetX="{left}" offsetY="{left}" spacingZ="0"/><scanSettings><objectiveSettings>
<objective>20</objective></objectiveSettings><illuminationSettings><numericalAperture>0.4</numericalAperture>
<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image>"""


def test_scn_has_its_overview_first(tmp_path):
    level = '<dimension sizeX="{}" sizeY="{}" r="{}" ifd="{}"/>'
    overview = IMAGE.format(
        name="o", x=126, y=74, levels=level.format(126, 74, 0, 0), wide=26000000, tall=76000000, left=0
    )
    levels = level.format(504, 296, 0, 1) + level.format(126, 74, 1, 2)
    region = IMAGE.format(name="r", x=504, y=296, levels=levels, wide=504 * 500, tall=296 * 500, left=1000)
    small = (picture()[::4, ::4], {"resolution": (1, 1)})
    about = {"description": SCN.format(overview + region), "resolution": (1, 1)}
    check(write(tmp_path / "a.scn", (small[0], about), (picture(), {"resolution": (1, 1)}), small, bigtiff=True))


def test_a_plane_is_opened_again_in_another_process(tmp_path):
    path = write(tmp_path / "a.tif", compression="zlib")
    plane = pickle.loads(pickle.dumps(Plane(path, 0, 255)))
    np.testing.assert_array_equal(plane[10:200, 5:300], picture()[10:200, 5:300])
    plane._pid, plane._pixels = -1, None
    np.testing.assert_array_equal(plane[10:200, 5:300], picture()[10:200, 5:300])


def test_the_file_is_open_only_while_pixels_are_read(tmp_path):
    path = write(tmp_path / "a.tif", compression="zlib")
    pixels = read_tiff(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        assert not handles_of(path)
        np.asarray(pixels[:, :100])
        tiff_mpp(path)
        del pixels
        gc.collect()
    assert not handles_of(path)
    path.unlink()


def handles_of(path):
    """Files of this process that are open under a path."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("no /proc")
    return [fd for fd in folder.iterdir() if fd.exists() and fd.resolve() == path.resolve()]


def test_threads_share_a_file_that_one_of_them_opens(tmp_path):
    plane = Plane(write(tmp_path / "a.tif", compression="zlib"), 0, 255)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda y: plane[y : y + 8], range(0, 296, 8)))
    np.testing.assert_array_equal(np.concatenate(rows), picture())


OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="I:0"><Pixels ID="P:0" '
    'DimensionOrder="XYCZT" Type="uint8" SizeX="504" SizeY="296" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" '
    'PhysicalSizeY="0.5"><Channel ID="C:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1">'
    '<UUID FileName="{}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
)


@pytest.mark.parametrize("where", ["beside.ome.tif", "below/b.ome.tif", "../above.ome.tif", "absolute"])
def test_pixels_of_files_that_ome_xml_names_are_not_read(where, tmp_path):
    folder = tmp_path / "slides"
    (folder / "below").mkdir(parents=True)
    other = folder / where if where != "absolute" else tmp_path / "absolute.ome.tif"
    write(other, (255 - picture(), {}))
    named = str(other) if where == "absolute" else where
    path = write(folder / "a.ome.tif", (picture(), {"description": OME.format(named)}))
    with pytest.warns(UserWarning, match=r"a\.ome\.tif names other files in its OME-XML.*which are not read"):
        pixels = np.moveaxis(np.asarray(read_tiff(path)), 0, -1)
    np.testing.assert_array_equal(pixels, picture())
    assert tiff_mpp(path) == pytest.approx(0.5)


def test_micro_manager_reads_no_files_beside(tmp_path):
    write(tmp_path / "a_MMStack_1.tif", (255 - picture(), {}))
    path = write(tmp_path / "a_MMStack.tif")
    (tmp_path / "NDTiff.index").write_bytes(b"")
    check(path)


def header(width: int, height: int, *tile: int, deflated: bytes = b"") -> bytes:
    """A TIFF that promises pixels and holds one tile or strip of a few bytes."""
    part = [(322, 4, 1, tile[0]), (323, 4, 1, tile[1]), (324, 4, 1, 8), (325, 4, 1, 256)] if tile else []
    data = 8 + 2 + 12 * 9 + 4
    part = part or [(273, 4, 1, data), (278, 4, 1, height), (279, 4, 1, len(deflated))]
    kind = 8 if deflated else 1
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, kind), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags = sorted([*tags, *part])
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0) + deflated + b"\0" * 500


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (header(200_000, 200_000, 16, 16), r"promises 40,000,000,000 pixels in \d+ bytes"),
        (header(300, 300, 2**30, 2**30), r"parts of 1,152,921,504,606,846,976 pixels"),
    ],
)
def test_promises_that_a_file_cannot_keep_are_refused(data, says, tmp_path):
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ValueError, match=says):
        read_image(tmp_path / "a.tif")


def test_pixels_that_cannot_be_decoded_are_named_when_they_are_read(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(header(300, 301, deflated=zlib.compress(b"\0" * 10_000_000)))
    with pytest.warns(UserWarning, match="gray"):
        pixels = read_tiff(path)
    with pytest.raises(ValueError, match=r"a\.tif is damaged, or its pixels cannot be decoded \(DeflateError"):
        pixels.compute()

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from spatialhist.io._images.tiff_scale import tiff_mpp

PIXELS = np.zeros((96, 128, 3), dtype=np.uint8)
TAGS = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
APERIO = "Aperio Image Library v12.0.15\r\n128x96 [0,0 128x96] (64x64) JPEG/RGB Q=70|AppMag = 20{}|Date = 01/01/20"
PHILIPS = (
    '<?xml version="1.0" encoding="UTF-8"?><DataObject ObjectType="DPUfsImport"><Attribute Name="DICOM_MANUFACTURER">'
    'PHILIPS</Attribute><Attribute Name="DICOM_PIXEL_SPACING">"0.0005" "0.0005"</Attribute></DataObject>'
)


def mpp(path, pixels=PIXELS, **options):
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", "tile": (64, 64), **options})
    return tiff_mpp(path)


@pytest.mark.parametrize(
    ("size", "unit"), [(0.5, "µm"), (500, "nm"), (0.0005, "mm"), (0.00005, "cm"), (0.5, "\N{GREEK SMALL LETTER MU}m")]
)
def test_ome(tmp_path, size, unit):
    about = {f"PhysicalSize{axis}": size for axis in "XY"} | {f"PhysicalSize{axis}Unit": unit for axis in "XY"}
    assert mpp(tmp_path / "a.ome.tif", metadata={"axes": "YXS", **about}) == pytest.approx(0.5)


def test_ome_without_a_unit_is_in_micrometers_and_without_a_size_asks_the_tags(tmp_path):
    sized = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    assert mpp(tmp_path / "a.ome.tif", metadata=sized, resolution=(1, 1)) == 0.5
    assert mpp(tmp_path / "b.ome.tif", metadata={"axes": "YXS"}, **TAGS) == pytest.approx(0.5)
    pixel = {"PhysicalSizeXUnit": "pixel", "PhysicalSizeYUnit": "pixel"}
    assert mpp(tmp_path / "c.ome.tif", metadata=sized | pixel) is None


def test_ome_of_several_images_means_the_largest(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for pixels, size in [(PIXELS[::8, ::8], 4.0), (PIXELS, 0.5)]:
            tiff.write(
                pixels, photometric="rgb", metadata={"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": size}
            )
    assert tiff_mpp(path) == 0.5


def test_aperio(tmp_path):
    assert mpp(tmp_path / "a.svs", description=APERIO.format("|MPP = 0.4990"), metadata=None) == 0.499
    assert mpp(tmp_path / "b.svs", description=APERIO.format(""), metadata=None) is None
    assert mpp(tmp_path / "c.svs", description=APERIO.format(""), metadata=None, **TAGS) == pytest.approx(0.5)


def test_philips(tmp_path):
    assert mpp(tmp_path / "a.tiff", description=PHILIPS, software="Philips DP v1.0", metadata=None) == pytest.approx(
        0.5
    )


def test_a_damaged_record_of_the_scanner_leaves_the_tags(tmp_path):
    damaged = PHILIPS.replace("DICOM_MANUFACTURER", "other")
    found = mpp(tmp_path / "a.tiff", description=damaged, software="Philips DP v1.0", metadata=None, **TAGS)
    assert found == pytest.approx(0.5)


@pytest.mark.parametrize(("unit", "expected"), [("um", 0.5), ("micron", 0.5), ("\\u00B5m", 0.5), ("pixel", None)])
def test_imagej(tmp_path, unit, expected):
    about = {"unit": unit, "axes": "YXS"}
    found = mpp(tmp_path / "a.tif", imagej=True, tile=None, resolution=(2, 2), resolutionunit="NONE", metadata=about)
    assert found == expected


def test_tags(tmp_path):
    assert mpp(tmp_path / "a.tif") is None
    assert mpp(tmp_path / "b.tif", resolution=(50800, 50800), resolutionunit="INCH") == pytest.approx(0.5)
    assert mpp(tmp_path / "c.tif", resolution=(0, 0), resolutionunit="INCH") is None
    with pytest.raises(ValueError, match="records pixels of 0.5 x 1 um, which are not square"):
        mpp(tmp_path / "d.tif", resolution=(2e4, 1e4), resolutionunit="CENTIMETER")


def test_decimal_commas_are_read(tmp_path):
    assert mpp(tmp_path / "a.svs", description=APERIO.format("|MPP = 0,4990"), metadata=None) == 0.499
    sizes = {f"PhysicalSize{axis}": "0,5" for axis in "XY"}
    description = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint8" SizeX="128" SizeY="96" SizeC="3" SizeZ="1" SizeT="1" '
        f'PhysicalSizeX="{sizes["PhysicalSizeX"]}" PhysicalSizeY="{sizes["PhysicalSizeY"]}">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>'
    )
    assert mpp(tmp_path / "b.ome.tif", description=description, metadata=None) == 0.5


@pytest.mark.parametrize(
    "about",
    [
        {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 500},
        {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 500, "PhysicalSizeYUnit": "cm"},
    ],
    ids=["unit of x only", "units that differ"],
)
def test_units_that_do_not_fit_are_named(tmp_path, about):
    with pytest.raises(ValueError, match="records pixels of 0.5 x .* which are not square"):
        mpp(tmp_path / "a.ome.tif", metadata={"axes": "YXS", **about})


def test_a_record_that_is_no_number_is_named(tmp_path):
    with pytest.raises(ValueError, match="records a scale that cannot be read .*'about 0.5'"):
        mpp(tmp_path / "a.svs", description=APERIO.format("|MPP = about 0.5"), metadata=None)

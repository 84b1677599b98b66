"""Whole slides without spots: SVS, NDPI, TIFF, OME-TIFF, PNG, JPEG."""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    import dask.array as da
    import zarr
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

PLAIN = {".png", ".jpg", ".jpeg"}
MAX_PIXELS = 100_000_000_000
"""Slides whose header promises more are refused before anything is read; the largest scanned so far have a tenth."""
READ_PX = 2048
"""Side of the squares that are decoded at once."""
MPP_RANGE = (0.02, 20.0)
"""Of microscopes; programs that know no scale write 72 dots an inch, which is 353 um."""
MPP_TOLERANCE = 1.1


def read_wsi(
    path: str | Path,
    *,
    slide: str | None = None,
    mpp: float | None = None,
    patient: str | None = None,
    store: str | Path | None = None,
    progress: bool = True,
) -> SpatialData:
    """Read a whole slide that has no spots, to be predicted by :func:`spatialhist.tl.predict_grid`.

    Parameters
    ----------
    path
        SVS, NDPI, SCN, TIFF or OME-TIFF (through tiffslide, ``pip install spatialhist[wsi]``), PNG or JPEG.
    slide
        Slide id; made from the name of the file if None.
    mpp
        Micrometres per pixel; those of the file if None.
    patient
        Patient id.
    store
        New zarr store. The slide is decoded into it square by square, never as a whole (a PNG or JPEG has to be).
        Without it a TIFF is decoded again whenever pixels are needed, which is for small ones.
    progress
        Show a progress bar while the store is written.

    Returns
    -------
    SpatialData with ``images["<slide>_full_image"]`` in coordinate system ``<slide>``, its scale (and patient) in
    ``attrs``, and no table, since there are no spots.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If there is no such file, or the store exists.
    ImportError
        If tiffslide is missing.
    ValueError
        If the file holds no 8-bit RGB or grey plane, is too large, or says nothing of its scale and ``mpp`` is None.

    Examples
    --------
    >>> import numpy as np, tempfile, tifffile, spatialhist as sh
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(f"{folder}/biopsy 7.tif", np.full((60, 80, 3), 255, dtype=np.uint8))
    ...     sdata = sh.io.read_wsi(f"{folder}/biopsy 7.tif", mpp=0.5, store=f"{folder}/s.zarr", progress=False)
    ...     list(sdata.images)
    ['biopsy_7_full_image']
    """
    from spatialhist.io._slide import check_slide_id
    from spatialhist.io._store import check_new

    path = Path(path)
    check_new(store)
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    name = slide or _keys.sanitize(path.name.split(".")[0]).strip("_.-") or "S1"
    check_slide_id(name)
    pixels, found = _read_plain(path) if path.suffix.lower() in PLAIN else _read_tiff(path)
    sdata = _build(pixels, name, _choose_mpp(mpp, found, path), patient)
    if store is not None:
        try:
            sdata = _write(sdata, Path(store), progress)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} cannot be decoded: {error}") from error
    logger.info("read slide %r of %d x %d pixels from %s", name, pixels.shape[2], pixels.shape[1], path)
    return sdata


def _choose_mpp(given: float | None, found: float | None, path: Path) -> float:
    """Micrometres per pixel as the caller says, else as the file says."""
    plausible = found is not None and MPP_RANGE[0] <= found <= MPP_RANGE[1]
    if given is None:
        if not plausible:
            says = f"says {found:g} um per pixel, which no microscope has" if found else "does not say its scale"
            raise ValueError(f"{path} {says}: pass mpp=, micrometres per pixel (about 0.25 at 40x, 0.5 at 20x)")
        return found
    if not 0 < given < np.inf:
        raise ValueError(f"mpp={given} must be positive")
    if plausible and not 1 / MPP_TOLERANCE < given / found < MPP_TOLERANCE:
        warnings.warn(f"{path} says {found:g} um per pixel; mpp={given:g} is taken", UserWarning, stacklevel=3)
    return float(given)


def _read_plain(path: Path) -> tuple[np.ndarray, None]:
    """Pixels ``(c, y, x)`` of a file that has no scale."""
    from spatialhist.io._pixels import read_pixels

    return np.moveaxis(read_pixels(path), -1, 0), None


def _read_tiff(path: Path) -> tuple[da.Array, float | None]:
    """Lazy pixels ``(c, y, x)`` and micrometres per pixel."""
    from spatialhist.io._pixels import BROKEN

    try:
        from tiffslide import TiffSlide
    except ImportError as error:
        raise ImportError(f"{path} is read through tiffslide: pip install spatialhist[wsi]") from error
    try:
        opened = TiffSlide(path)
        plane, axes = _plane(opened)
        found = _mpp(opened)
    except BROKEN as error:
        raise ValueError(f"{path} cannot be read as a slide: {error}") from error
    return _to_rgb(plane, axes, path), found


def _plane(opened: Any) -> tuple[zarr.Array, str]:
    """Finest level of the slide and its axes."""
    import zarr

    known = _properties(opened)
    if known:
        return opened.zarr_group["0"], known["tiffslide.series-axes"]
    series = opened.ts_tifffile.series[0]
    return zarr.open_array(series.levels[0].aszarr(), mode="r"), series.axes


def _properties(opened: Any) -> dict[str, Any]:
    """What tiffslide says of a slide; nothing of planes of one channel each, which OME-TIFF may have."""
    try:
        return opened.properties
    except NotImplementedError:
        return {}


def _mpp(opened: Any) -> float | None:
    """Micrometres per pixel by OME-XML, or by what tiffslide finds."""
    ome = opened.ts_tifffile.ome_metadata
    if ome:
        return _ome_mpp(ome)
    known = [_properties(opened).get(f"tiffslide.mpp-{axis}") for axis in "xy"]
    if None in known:
        return None
    return _square(float(known[0]), float(known[1]))


def _ome_mpp(text: str) -> float | None:
    import xml.etree.ElementTree as ET

    pixels = next((e for e in ET.fromstring(text).iter() if e.tag.endswith("}Pixels")), None)
    sizes = [None if pixels is None else pixels.get(f"PhysicalSize{axis}") for axis in "XY"]
    units = [None if pixels is None else pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    in_um = {"µm": 1.0, "nm": 1e-3, "mm": 1e3}
    if None in sizes or not set(units) <= set(in_um):
        return None
    return _square(*(float(size) * in_um[unit] for size, unit in zip(sizes, units, strict=True)))


def _square(x: float, y: float) -> float:
    if not 0.98 < x / y < 1.02:
        raise ValueError(f"its pixels are {x:g} x {y:g} um, not square: resample it")
    return (x + y) / 2


def _to_rgb(plane: zarr.Array, axes: str, path: Path) -> da.Array:
    """Check the header of a plane, and let it be read in squares as ``(3, y, x)``."""
    import dask.array as da

    from spatialhist.io._pixels import on_white

    sizes = dict(zip(axes, plane.shape, strict=True))
    channels = next((a for a in axes if a in "SC"), None)
    if not {"Y", "X"} <= sizes.keys() <= {"Y", "X", channels} or sizes.get(channels, 1) not in (1, 3, 4):
        raise ValueError(f"{path} has axes {axes!r} of {plane.shape}: want one plane of 1, 3 or 4 channels")
    if plane.dtype != np.uint8:
        raise ValueError(f"{path} holds {plane.dtype}: want 8 bits a channel")
    if not 0 < sizes["Y"] * sizes["X"] <= MAX_PIXELS:
        raise ValueError(f"{path} is {sizes['X']} x {sizes['Y']} pixels: a slide has 1 to {MAX_PIXELS:,} of them")
    side = [READ_PX if a in "YX" else n for a, n in sizes.items()]
    # Named by chance: the same file may hold other pixels tomorrow.
    pixels = da.from_array(plane, chunks=side, name=False)
    if channels is None:
        return da.broadcast_to(pixels, (3, *pixels.shape))
    pixels = da.moveaxis(pixels, axes.index(channels), -1)
    if pixels.shape[2] == 4:
        pixels = pixels.map_blocks(on_white, dtype=np.uint8, chunks=(*pixels.chunks[:2], (3,)))
    rgb = da.moveaxis(pixels, -1, 0)
    return rgb if len(rgb) == 3 else da.broadcast_to(rgb, (3, *rgb.shape[1:]))


def _build(pixels: Any, slide: str, mpp: float, patient: str | None) -> SpatialData:
    import spatialdata as sd
    from spatialdata.transformations import Identity

    from spatialhist._sdata.geometry import slide_info
    from spatialhist._sdata.pyramids import parse_image

    sdata = sd.SpatialData.init_from_elements({_keys.image(slide): parse_image(pixels, {slide: Identity()})})
    slide_info(sdata, slide).update(mpp=mpp, **({} if patient is None else {_keys.PATIENT: patient}))
    return sdata


def _write(sdata: SpatialData, store: Path, progress: bool) -> SpatialData:
    import spatialdata as sd
    from dask.diagnostics import ProgressBar

    from spatialhist.io._store import complete_or_nothing

    with complete_or_nothing(store) as folder, ProgressBar() if progress else nullcontext():
        sdata.write(folder, update_sdata_path=False)
    return sd.read_zarr(store)

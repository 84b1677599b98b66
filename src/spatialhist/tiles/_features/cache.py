from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from spatialhist._runtime.checks import as_folder
from spatialhist._runtime.files import load_array, write_array
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import get_slide
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.encode import encode_parts, encoder_spec, encoding_reader
from spatialhist.tiles._features.stored import StoredFeatures
from spatialhist.tiles._reading.digest import pixel_digest
from spatialhist.tiles._reading.plan import make_plan, needed_blocks
from spatialhist.tiles._reading.view import TileView

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tiles._features.encode import Encoder
    from spatialhist.tiles._features.engines import Engine
    from spatialhist.tiles._reading.reader import TileReader
    from spatialhist.tiles._spec import TileSpec

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raise it whenever the same pixels give other tiles."""
PART = 1024
"""Tiles between two writes."""


class FeatureCache:
    """Features of tiles, computed once for the same pixels, tile size, centers and encoder.

    What is stored is found by content: the encoded chunks that the tiles need (their pixels, for an image that is not
    in a store), the scale, the size and centers of the tiles, and the encoder's weights. Names do not count, so a
    renamed image is found, and one that changed under its name is not.

    An interrupted fill resumes where it stopped, and several processes may fill at once.

    Parameters
    ----------
    folder
        Where features are kept, made when needed; it may lie in the store, as ``sdata.path / "features"``, where zarr
        warns of an object that is none of its own. None computes them each time.
    device
        Where networks run: ``"auto"`` (CUDA, MPS, CPU, the first that is there), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
        ``"mps"``. What has no weights, such as ``"color_texture"``, runs on the CPU.
    precision
        In which networks compute: ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere, and takes stored features of
        any precision; ``"float32"``, ``"float16"`` or ``"bfloat16"`` (both on CUDA only) take their own.
    dtype
        In which features are stored: ``"float32"``, or ``"float16"`` for half the space, whose error is logged and stands beside
        them. ``"auto"`` stores ``"float32"``, and takes stored ones of either.

    Raises
    ------
    TypeError, NotADirectoryError
        If the folder is no path, or a file.
    ValueError
        If the device is not there, or the precision or dtype is unknown or does not fit.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> spec = sh.tiles.TileSpec(("px", 60), 30)
    >>> xy = sdata["table"].obsm["spatial"]
    >>> mean = lambda tiles: tiles.float().mean(dim=(2, 3))
    >>> sh.tiles.FeatureCache(None).features(sdata, "S1", spec, mean, xy, progress=False).shape == (len(xy), 3)
    True

    With ``encoder="efficientnet-lite0"`` and ``spec=("um", 150)`` tiles of 150 micrometers are read at its 224 pixels.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None,
        *,
        device: str = "auto",
        precision: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self.folder = as_folder("folder", folder)
        self.compute = Compute(device, precision, dtype)

    def features(
        self,
        sdata: SpatialData,
        slide: str,
        spec: TileSpec | tuple[str, float] | None,
        encoder: str | Encoder,
        centers: np.ndarray,
        *,
        image: str | None = None,
        batch: int | None = None,
        progress: bool = True,
    ) -> np.ndarray:
        """Return the features of the tiles around some points of a slide.

        Parameters
        ----------
        sdata
            The object.
        slide
            Slide id.
        spec
            Size of the tiles. A length alone, such as ``("um", 150)``, takes the pixels that the encoder was made for, 64
            where it does not say; None takes the field of view that it was trained on, too.
        encoder
            Takes uint8 tiles ``(B, 3, pixels, pixels)`` to features ``(B, F)``, or its name. It is told apart from others
            by :func:`spatialhist.nn.encoder_fingerprint`.
        centers
            ``(n, 2)``, (x, y) in full-resolution pixels of the image.
        image
            Which image, as :class:`TileDataset` takes it.
        batch
            Tiles that are read and encoded at once; 256 by default, and on a GPU 512, halved until they fit into its memory.
        progress
            Show a progress bar.

        Returns
        -------
        ndarray
            ``(n, F)`` float32, in the order of `centers`.

        Raises
        ------
        ValueError
            If a center is not finite, the encoder returns anything but ``(B, F)``, or `spec` is None and the encoder does
            not say at which scale it was trained.
        """
        from spatialhist.nn import get_encoder
        from spatialhist.tiles._features.engines import as_engine

        encode = get_encoder(encoder)
        (view,) = TileView.of(get_slide(sdata, slide), [encoder_spec(spec, encode)], image)
        engine = as_engine(encode if isinstance(encoder, str) else encoder, self.compute)
        return view_features(view, engine, centers, folder=self.folder, batch=batch, progress=progress)


def view_features(
    view: TileView,
    encoder: Encoder | Engine,
    centers: np.ndarray,
    *,
    folder: Path | None = None,
    batch: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Do what :meth:`FeatureCache.features` does, on an image that is open already."""
    from spatialhist.tiles._features.engines import as_engine

    xy, spec, engine = np.ascontiguousarray(centers, dtype=np.float64), view.spec, as_engine(encoder)
    job = _Job(encoding_reader(view.source), xy, view.extent_px, spec.pixels, spec.padding)
    name = f"features of {view.slide}"
    with tqdm(total=len(centers), desc=name, unit="tile", delay=1, disable=not progress) as bar, pinned_threads(1):
        encode = partial(job.encode, engine, batch, bar)
        if folder is None:
            return _in_order(job, list(encode(job.parts())))
        recipe = {"mpp": view.mpp, "encoder": engine.fingerprint, **job.recipe()}
        about = {"slide": view.slide, "image": view.source.pyramid.key, "extent": list(spec.extent), **recipe}
        stored = StoredFeatures.of(folder / _digest(_json(recipe)), engine)
        found = stored.load()
        return _fill(stored, about, job, encode) if found is None else found


def _fill(
    stored: StoredFeatures,
    about: dict[str, Any],
    job: _Job,
    encode: Callable[[list[np.ndarray]], Iterator[np.ndarray]],
) -> np.ndarray:
    """Compute features part by part, each written when it is done, and keep them."""
    stored.path.parent.mkdir(parents=True, exist_ok=True)
    rows = job.parts()
    parts = [load_array(stored.part(i)) for i in range(len(rows))]
    missing = [i for i, part in enumerate(parts) if part is None]
    for i, found in zip(missing, encode([rows[i] for i in missing]), strict=True):
        write_array(stored.part(i), found)
        parts[i] = found
    features = stored.keep(_in_order(job, [part for part in parts if part is not None]), about)
    for i in range(len(rows)):
        stored.part(i).unlink(missing_ok=True)
    logger.info("stored %d x %d features of %s in %s", *features.shape, about["slide"], stored.path)
    return features


@dataclass(frozen=True)
class _Job:
    """Tiles of one size around some points of one image."""

    reader: TileReader
    centers: np.ndarray
    extent_px: float
    pixels: int
    padding: str

    @cached_property
    def order(self) -> np.ndarray:
        return self.reader.order(self.centers, self.extent_px, self.pixels, padding=self.padding)

    def parts(self) -> list[np.ndarray]:
        """Positions of the centers, in the order of the store, part by part."""
        return [self.order[i : i + PART] for i in range(0, max(1, len(self.order)), PART)]

    def recipe(self) -> dict[str, Any]:
        """Everything about the tiles that features depend on, in types that JSON holds."""
        source = self.reader.source
        plan = make_plan(source, self.centers, self.extent_px, self.pixels, self.padding)
        return {
            "format": FORMAT,
            "image": pixel_digest(source, plan.level, needed_blocks(plan)),
            "level_shape": list(plan.shape),
            "factor": list(source.pyramid.factors[plan.level]),
            "extent_px": self.extent_px,
            "pixels": self.pixels,
            "padding": self.padding,
            "centers": _digest(self.centers.tobytes()),
        }

    def encode(self, engine: Engine, batch: int | None, bar: tqdm, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the features of parts, each in its order."""
        return encode_parts(
            self.reader,
            (self.centers[part] for part in parts),
            engine,
            extent_px=self.extent_px,
            pixels=self.pixels,
            padding=self.padding,
            batch=batch,
            bar=bar,
        )


def _in_order(job: _Job, parts: list[np.ndarray]) -> np.ndarray:
    features = np.concatenate(parts)
    # a copy, since it would be read while it is overwritten
    features[job.order] = features.copy()
    return features


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, indent=1).encode()

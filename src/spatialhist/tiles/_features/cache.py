from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from spatialhist._runtime.checks import as_folder
from spatialhist._runtime.files import load_array, write_array, write_json
from spatialhist._sdata.cohort import get_slide
from spatialhist.tiles._features.encode import encode_tiles, encoder_spec, encoding_reader
from spatialhist.tiles._reading.digest import pixel_digest
from spatialhist.tiles._reading.plan import make_plan, needed_blocks
from spatialhist.tiles._reading.view import TileView

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tiles._features.encode import Encoder
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

    Raises
    ------
    TypeError, NotADirectoryError
        If the folder is no path, or a file.

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

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.folder = as_folder("folder", folder)

    def features(
        self,
        sdata: SpatialData,
        slide: str,
        spec: TileSpec | tuple[str, float] | None,
        encoder: str | Encoder,
        centers: np.ndarray,
        *,
        image: str | None = None,
        batch: int = 256,
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
            Tiles that are encoded at once.
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

        encode = get_encoder(encoder)
        (view,) = TileView.of(get_slide(sdata, slide), [encoder_spec(spec, encode)], image)
        own = encode if isinstance(encoder, str) else encoder
        return view_features(view, own, centers, folder=self.folder, batch=batch, progress=progress)


def view_features(
    view: TileView,
    encoder: Encoder,
    centers: np.ndarray,
    *,
    folder: Path | None = None,
    batch: int = 256,
    progress: bool = False,
) -> np.ndarray:
    """Do what :meth:`FeatureCache.features` does, on an image that is open already."""
    from spatialhist.nn import encoder_fingerprint

    xy, spec, source = np.ascontiguousarray(centers, dtype=np.float64), view.spec, view.source
    job = _Job(encoding_reader(source), xy, view.extent_px, spec.pixels, spec.padding)
    name = f"features of {view.slide}"
    with tqdm(total=len(centers), desc=name, unit="tile", delay=1, disable=not progress) as bar:
        encode = partial(job.encode, encoder, batch, bar)
        if folder is None:
            return _in_order(job, [encode(part) for part in job.parts()])
        recipe = {"mpp": view.mpp, "encoder": encoder_fingerprint(encoder), **job.recipe()}
        about = {"slide": view.slide, "image": source.pyramid.key, "extent": list(spec.extent), **recipe}
        return _load_or_fill(folder / _digest(_json(recipe)), about, job, encode)


def _load_or_fill(
    path: Path, about: dict[str, Any], job: _Job, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return what is stored under a name, or compute it part by part, each written when it is done."""
    stored = load_array(path.with_suffix(".npy"))
    if stored is not None:
        return stored
    path.parent.mkdir(parents=True, exist_ok=True)
    parts, names = [], []
    for i, part in enumerate(job.parts()):
        names.append(path.with_suffix(f".part{i:05d}.npy"))
        found = load_array(names[-1])
        if found is None:
            found = encode(part)
            write_array(names[-1], found)
        parts.append(found)
    features = _in_order(job, parts)
    # the array comes last: where it is, all of it is, and parts are removed only then
    write_json(path.with_suffix(".json"), about)
    write_array(path.with_suffix(".npy"), features)
    for name in names:
        name.unlink(missing_ok=True)
    logger.info("stored %d x %d features of %s in %s", *features.shape, about["slide"], path.with_suffix(".npy"))
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

    def encode(self, encoder: Encoder, batch: int, bar: tqdm, part: np.ndarray) -> np.ndarray:
        """Return the features of one part, in the order of the part."""
        return encode_tiles(
            self.reader,
            self.centers[part],
            encoder,
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

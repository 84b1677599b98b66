"""Pictures of the training slides, as a run folder keeps them: keypoints by which a copy is recognized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spatialhist._runtime.files import intact, whole_file
from spatialhist.tl._data.signature import PATCH, Signature
from spatialhist.tl._predictors.stored import check_arrays

FILE = "signatures.safetensors"


def save_signatures(folder: Path, signatures: Mapping[str, Signature]) -> None:
    """Write those of all training slides, in their order, whole."""
    from safetensors.numpy import save_file

    each = list(signatures.values())
    # one array for all pictures, since files hold no lists of arrays; `sizes` says where each ends
    arrays = {
        "points": np.concatenate([s.points for s in each]),
        "descriptors": np.concatenate([s.descriptors for s in each]),
        "sizes": np.array([len(s.points) for s in each], dtype=np.int64),
    }
    with whole_file(folder / FILE) as new:
        save_file(arrays, new)


def load_signatures(folder: Path, slides: Sequence[str]) -> dict[str, Signature]:
    """Read what :func:`save_signatures` wrote; empty for a folder of an earlier version.

    Parameters
    ----------
    folder
        Run folder.
    slides
        Its training slides, in the order of the manifest.

    Raises
    ------
    ValueError
        If the file is broken, or of other slides.
    """
    from safetensors.numpy import load_file

    path = folder / FILE
    if not path.exists():
        return {}
    with intact(path):
        arrays = load_file(path)
        check_arrays(arrays, {"points": "NP", "descriptors": "NV", "sizes": "S"})
        points, descriptors, sizes = (arrays[key] for key in ("points", "descriptors", "sizes"))
        known = (len(slides),) == sizes.shape and (sizes >= 0).all() and sizes.sum() == len(points)
        if not (known and points.shape[1:] == (2,) and descriptors.shape == (len(points), PATCH**2)):
            raise ValueError(f"{len(slides)} slides, and arrays {points.shape}, {descriptors.shape}, {sizes.shape}")
        ends = np.cumsum(sizes)
        parts = (slice(end - n, end) for n, end in zip(sizes, ends, strict=True))
        return {s: Signature(points[p], descriptors[p]) for s, p in zip(slides, parts, strict=True)}

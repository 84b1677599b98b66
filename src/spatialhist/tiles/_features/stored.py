"""Features in a folder: under which name, in which precision, and what rounding them has cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.files import load_array, write_array, write_json
from spatialhist.tiles._features.compute import AUTO, HALF

if TYPE_CHECKING:
    from spatialhist.tiles._features.engines import Engine

logger = logging.getLogger(__name__)

FULL = "float32"


@dataclass(frozen=True)
class StoredFeatures:
    """Features that lie in a folder, or will.

    Attributes
    ----------
    path
        File that they are written to.
    others
        Files of the same features in other precision that do as well, the most exact first.
    how
        What computes them.
    """

    path: Path
    others: tuple[Path, ...]
    how: dict[str, str]

    @classmethod
    def of(cls, stem: Path, engine: Engine) -> StoredFeatures:
        """Find the files of features that an engine computes, or would accept."""
        asked = engine.compute
        dtype = FULL if asked.dtype == AUTO else asked.dtype
        precisions = [FULL, *HALF] if asked.precision == AUTO else [engine.precision]
        dtypes = [FULL, "float16"] if asked.dtype == AUTO else [dtype]
        how = {"device": engine.device, "precision": engine.precision, "dtype": dtype}
        return cls(
            _named(stem, engine.precision, dtype),
            tuple(_named(stem, *each) for each in product(precisions, dtypes)),
            how,
        )

    def load(self) -> np.ndarray | None:
        """Features ``(n, F)`` float32, None where there are none."""
        for path in self.others:
            if (found := load_array(path)) is not None:
                return found.astype(np.float32, copy=False)
        return None

    def part(self, i: int) -> Path:
        """File of a part, until all are there."""
        return self.path.with_suffix(f".part{i:05d}.npy")

    def keep(self, features: np.ndarray, about: dict[str, Any]) -> np.ndarray:
        """Write features, and return them as they will be read.

        Raises
        ------
        ValueError
            If they are too large for the type that was asked for.
        """
        # what becomes infinite is refused below
        with np.errstate(over="ignore"):
            kept = features.astype(self.how["dtype"])
        cost = {} if kept.dtype == features.dtype else {"rounding": _rounding(features, kept, about["slide"])}
        # the array comes last: where it is, all of it is
        write_json(self.path.with_suffix(".json"), {**about, **self.how, **cost})
        write_array(self.path, kept)
        return kept.astype(np.float32, copy=False)


def _named(stem: Path, precision: str, dtype: str) -> Path:
    """Name of a file; the most exact one has that of earlier versions."""
    computed = "" if precision == FULL else f"-{precision}"
    stored = "" if dtype == FULL else f"-as-{dtype}"
    return stem.with_name(f"{stem.name}{computed}{stored}.npy")


def _rounding(features: np.ndarray, kept: np.ndarray, slide: str) -> float:
    """Largest error of a feature, in its own standard deviations over the slide."""
    if not np.isfinite(kept).all():
        raise ValueError(
            f"features of slide {slide!r} reach {np.abs(features).max():g}, and float16 ends at 65504: pass dtype='float32'"
        )
    deviation = features.std(axis=0, dtype=np.float64)
    error = np.abs(features - kept.astype(np.float32)).max(axis=0, initial=0)
    worst = float((error[deviation > 0] / deviation[deviation > 0]).max(initial=0))
    logger.info("features of %s are stored as float16: the largest error is %.2g standard deviations", slide, worst)
    return worst

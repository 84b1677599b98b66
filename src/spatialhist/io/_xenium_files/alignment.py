"""Where pixels of an H&E image lie on a Xenium slide, by a matrix or by landmarks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spatialhist._runtime.files import UNDECODABLE, intact
from spatialhist._sdata.coordinates import length_factor
from spatialhist._sdata.geometry import apply

FIXED, MOVED = ["fixedX", "fixedY"], ["alignmentX", "alignmentY"]
LARGE_UM = 10.0
"""Residual of landmarks, about the size of a cell, from which on it is warned of."""
UM_PER_PIXEL = (0.01, 1000.0)
"""Sizes of a pixel of an H&E image: below what any objective resolves, up to thumbnails of a few pixels."""
MAX_ROWS = 100_000
WANTED = (
    "want what Xenium Explorer exports: a matrix of 3 x 3 numbers without a header, or landmarks with the header "
    f"{','.join([*FIXED, *MOVED])}"
)


@dataclass(frozen=True)
class Alignment:
    """How pixels of an H&E image become micrometers.

    Attributes
    ----------
    matrix
        3 x 3, of (x, y) in pixels.
    residual_um
        Root mean square distance of landmarks after the fit; None for a matrix.
    source
        What it was read from.
    """

    matrix: np.ndarray
    residual_um: float | None
    source: str

    @property
    def mpp(self) -> float:
        """Micrometers per pixel of the H&E image."""
        return length_factor(self.matrix)

    def __str__(self) -> str:
        fit = "" if self.residual_um is None else f", landmarks {self.residual_um:.3g} um apart after the fit"
        return f"{self.mpp:.4g} um per pixel by {self.source}{fit}"

    def to_pixels(self, um: np.ndarray) -> np.ndarray:
        """Pixels of the H&E image at positions ``(n, 2)`` in micrometers."""
        return apply(np.linalg.inv(self.matrix), um)

    def inverted(self, pixel_size: float) -> Alignment:
        """The alignment, had the two images changed places in its file."""
        to_um = np.diag([pixel_size, pixel_size, 1.0])
        return Alignment(to_um @ np.linalg.inv(np.linalg.inv(to_um) @ self.matrix), None, self.source)


def read_alignment(path: Path, pixel_size: float) -> Alignment:
    """Read an alignment that Xenium Explorer exported.

    Parameters
    ----------
    path
        CSV of a matrix from pixels of the H&E image to pixels of the morphology image, or of landmarks in both.
    pixel_size
        Micrometers per pixel of the morphology image.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds neither.

    Warns
    -----
    UserWarning
        If landmarks do not agree.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no alignment {path}")
    with intact(path, f"{{path}} cannot be read as CSV: {{error}}; {WANTED}", errors=UNDECODABLE):
        # as text, since only the first row tells a matrix from landmarks; spreadsheets put a byte-order mark before it
        cells = pd.read_csv(path, header=None, dtype=str, skipinitialspace=True, nrows=MAX_ROWS, encoding="utf-8-sig")
    first = [str(cell).strip() for cell in cells.iloc[0]]
    if {name.lower() for name in first} & {name.lower() for name in [*FIXED, *MOVED]}:
        return _of_landmarks(_landmarks(cells, first, path), pixel_size, path)
    return _of_matrix(cells, pixel_size, path)


def _of_matrix(cells: pd.DataFrame, pixel_size: float, path: Path) -> Alignment:
    values = cells.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    if values.shape != (3, 3):
        raise ValueError(f"{path} holds {values.shape[0]} rows and {values.shape[1]} columns: {WANTED}")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{path} holds cells that are no numbers, e.g. {cells.to_numpy()[~np.isfinite(values)][0]!r}: {WANTED}"
        )
    if not np.allclose(values[2], [0, 0, 1]):
        # a matrix written by columns has the shift in its last row
        hint = ": it is transposed" if np.allclose(values[:, 2], [0, 0, 1]) else ""
        raise ValueError(f"the last row of {path} is {values[2].tolist()} and not 0, 0, 1{hint}; {WANTED}")
    _check_shape(values, path)
    # the file leads to pixels of the morphology image, and we want micrometers
    matrix = np.diag([pixel_size, pixel_size, 1.0]) @ values
    _check_scale(matrix, path)
    return Alignment(matrix, None, str(path))


def _check_shape(matrix: np.ndarray, path: Path) -> None:
    """Refuse what squeezes an image to a line; a slide is moved, turned and scaled."""
    long, short = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    if not short > 0.5 * long:
        raise ValueError(
            f"{path} stretches an image {long:.3g} times in one direction and {short:.3g} times in the other, which no "
            "slide does: export the alignment again from Xenium Explorer"
        )


def _check_scale(matrix: np.ndarray, path: Path) -> None:
    um = np.hypot(*matrix[:2, 0])
    if not UM_PER_PIXEL[0] <= um <= UM_PER_PIXEL[1]:
        raise ValueError(
            f"by {path} a pixel of the H&E image is {um:.3g} um wide, which no image has: export the alignment again from "
            "Xenium Explorer"
        )


def _landmarks(cells: pd.DataFrame, header: list[str], path: Path) -> np.ndarray:
    """Landmarks ``(n, 4)``: x, y of the morphology image, x, y of the H&E image."""
    columns = [name.lower() for name in header]
    missing = [name for name in [*FIXED, *MOVED] if name.lower() not in columns]
    if missing:
        raise ValueError(f"{path} lacks columns {missing}; it has {header}: {WANTED}")
    chosen = cells.iloc[1:, [columns.index(name.lower()) for name in [*FIXED, *MOVED]]]
    points = chosen.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(f"{path} holds landmarks that are no numbers, e.g. {chosen[bad].iloc[0].tolist()}")
    if len(points) < 3:
        raise ValueError(f"{path} holds {len(points)} landmarks: place 3 or more, better 6, in Xenium Explorer")
    return points


def _of_landmarks(points: np.ndarray, pixel_size: float, path: Path) -> Alignment:
    """Fit the affine map that takes landmarks of the H&E image closest to those of the morphology image."""
    um, pixels = points[:, :2] * pixel_size, points[:, 2:]
    # around their middle: beside pixels in the ten thousands the column of ones is badly conditioned
    middle = pixels.mean(axis=0)
    design = np.column_stack([pixels - middle, np.ones(len(pixels))])
    spread = np.linalg.svd(design[:, :2], compute_uv=False)
    if not spread[1] > 1e-3 * spread[0]:
        raise ValueError(
            f"the {len(points)} landmarks of {path} lie on a line: place some beside it in Xenium Explorer"
        )
    solved, *_ = np.linalg.lstsq(design, um, rcond=None)
    matrix = np.eye(3)
    matrix[:2, :2] = solved[:2].T
    matrix[:2, 2] = solved[2] - solved[:2].T @ middle
    _check_shape(matrix, path)
    _check_scale(matrix, path)
    distance = np.linalg.norm(apply(matrix, pixels) - um, axis=1)
    residual = float(np.sqrt((distance**2).mean()))
    if residual > LARGE_UM:
        worst = int(distance.argmax())
        warnings.warn(
            f"landmarks of {path} do not agree: after the fit they lie {residual:.3g} um apart (root mean square), the worst, "
            f"number {worst + 1}, {distance[worst]:.3g} um. Place them again in Xenium Explorer",
            stacklevel=7,
        )
    return Alignment(matrix, residual, str(path))

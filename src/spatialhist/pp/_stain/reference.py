"""What slides are stained like after normalization: shipped, fitted, saved as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spatialhist._runtime.checks import check_choice
from spatialhist._runtime.files import BROKEN, intact, whole_file

StainMethod = Literal["macenko", "vahadane", "reinhard"]

CANONICAL = "canonical"
_CANONICAL_FILE = Path(__file__).with_name("canonical_stain.json")
_ARRAYS = {"macenko": ("stain_matrix", "white_point"), "reinhard": ("mu", "sigma")}
_ARRAYS["vahadane"] = _ARRAYS["macenko"]
SHAPES = {"stain_matrix": (3, 3), "white_point": (3,), "mu": (3,), "sigma": (3,)}


@dataclass(frozen=True, eq=False)
class StainReference:
    """Stain of a slide, of several slides, or of a published standard.

    Attributes
    ----------
    method
        ``"macenko"`` and ``"vahadane"`` hold stain vectors, ``"reinhard"`` color statistics.
    fitted_on
        Slides whose pixels it was fitted on; empty for the canonical one.
    pixel_hashes
        By which these slides are known under other names.
    stain_matrix
        Unit vectors of optical density as columns hematoxylin, eosin, complement ``(3, 3)``, rows r, g, b.
    white_point
        Intensity without any stain ``(3,)``, 0 to 255.
    mu, sigma
        Mean and standard deviation in Ruderman's Lab space ``(3,)``.
    """

    method: StainMethod
    fitted_on: tuple[str, ...] = ()
    stain_matrix: np.ndarray | None = None
    white_point: np.ndarray | None = None
    mu: np.ndarray | None = None
    sigma: np.ndarray | None = None
    pixel_hashes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("method", self.method, StainMethod)
        for name in _ARRAYS[self.method]:
            value = np.asarray(getattr(self, name), dtype=float)
            if value.shape != SHAPES[name] or not np.isfinite(value).all():
                raise ValueError(f"{name} of a {self.method!r} reference must be {SHAPES[name]} finite numbers")
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, as they are stored."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS[self.method]}
        known = {"pixel_hashes": list(self.pixel_hashes)} if self.pixel_hashes else {}
        return {"method": self.method, "fitted_on": list(self.fitted_on), **known, **arrays}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file that :meth:`load` and ``normalize_stain(reference=path)`` read."""
        path = Path(path)
        with whole_file(path) as new:
            new.write_text(json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StainReference:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no stain reference {str(path)!r}: write one with StainReference.save")
        with intact(path, "{path} holds no stain reference: {error}", errors=(*BROKEN, ValueError)):
            entry = json.loads(path.read_text())
            seen = {"fitted_on": tuple(entry["fitted_on"]), "pixel_hashes": tuple(entry.get("pixel_hashes", ()))}
            return cls(**{**entry, **seen})

    @classmethod
    def canonical(cls, method: StainMethod) -> StainReference:
        """Return the reference that ships with the package."""
        check_choice("method", method, StainMethod)
        return cls(method=method, **json.loads(_CANONICAL_FILE.read_text())[method])


def array_of(reference: StainReference, name: str) -> np.ndarray:
    """One of the arrays that the method of a reference has.

    Raises
    ------
    ValueError
        If it has no such array.
    """
    if name not in _ARRAYS[reference.method]:
        raise ValueError(f"a {reference.method!r} reference has no {name}: fit one by another method")
    return getattr(reference, name)

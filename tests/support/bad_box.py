"""What a case of bad input is, and the small cohort, run and store that every case starts from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spatialdata as sd
from digests import digest_object, stamp_folder
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import Ridge

N_GENES = 12


@dataclass
class Box:
    """A cohort of three measured slides and one to be predicted, in a store, with a run, for one case to break.

    Attributes
    ----------
    sdata
        A copy of its own; damage touches nothing else.
    tmp
        An empty folder.
    cv, st, model, scores
        A cross-validation of two ridges, their stack, a fitted model, and scores; only to be read.
    """

    sdata: sd.SpatialData
    tmp: Path
    cv: Any
    st: Any
    model: Any
    scores: Any

    @property
    def table(self) -> Any:
        """The table."""
        return self.sdata["table"]

    def digest(self) -> dict[str, Any]:
        """What the object holds, and which files lie in its store, the run, the model and the folder."""
        folders = {"store": Path(self.sdata.path), "run": self.cv.folder, "model": self.model.folder, "tmp": self.tmp}
        files = {f"{where}/{f}": d for where, folder in folders.items() for f, d in stamp_folder(folder).items()}
        return digest_object(self.sdata) | files


@dataclass(frozen=True)
class Case:
    """Something that must be refused.

    Attributes
    ----------
    function
        Public function, as ``pp.save``.
    what
        What is wrong.
    call
        Calls the function.
    error
        Exactly this exception.
    says
        What its message names: element, value, fix.
    damage
        What is done to the box before.
    """

    function: str
    what: str
    call: Callable[[Box], Any]
    error: type[Exception]
    says: tuple[str, ...]
    damage: Callable[[Box], Any] | None = None

    @property
    def id(self) -> str:
        """Name of the test."""
        return f"{self.function}: {self.what}"


def make_world(folder: Path) -> Box:
    """Build what every case starts from."""
    sdata = draw_cohort(1, signal=0.8, n_genes=N_GENES)
    sdata["table"].obs["measured"] = (sdata["table"].obs["region"] != "S4").to_numpy()
    sh.pp.rank_expression(sdata, scale="unit")
    sh.pp.spot_distances(sdata)
    ridges = [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]
    cv = sh.tl.cross_validate(sdata, models=ridges, genes=8, groups="patient", out=folder / "run", **FAST)
    st = sh.tl.stack(sdata, cv)
    model = sh.tl.fit(sdata, models=ridges[0], genes=8, out=folder / "model", **FAST)
    sh.tl.predict(sdata, st, slides="S4", encoder=FAST["encoder"], progress=False)
    scores = sh.tl.evaluate(sdata)
    sdata.write(folder / "cohort.zarr")
    return Box(sd.read_zarr(folder / "cohort.zarr"), folder, cv, st, model, scores)


def fresh(world: Box, tmp: Path) -> Box:
    """Give a copy of the object that may be damaged; it shares pixels alone."""
    held = world.sdata
    sdata = sd.SpatialData(
        images={name: _view(image) for name, image in held.images.items()},
        labels={name: _view(mask) for name, mask in held.labels.items()},
        shapes={name: shapes.copy() for name, shapes in held.shapes.items()},
        tables={name: table.copy() for name, table in held.tables.items()},
        attrs=copy.deepcopy(held.attrs),
    )
    sdata.path = held.path
    return Box(sdata, tmp, world.cv, world.st, world.model, world.scores)


def _view(element: Any) -> Any:
    view = element.copy(deep=False)
    view.attrs = copy.deepcopy(element.attrs)
    return view


def white(height: int = 60, width: int = 80, dtype: Any = np.uint8) -> np.ndarray:
    """An image ``(y, x, 3)``."""
    return np.full((height, width, 3), np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1, dtype=dtype)

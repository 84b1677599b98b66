"""Objects that break the data contract, handed to every function that takes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from bad_box import Box, Case
from small_cohorts import FAST, mean_color
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity, set_transformation

import spatialhist as sh

SPEC = sh.tiles.TileSpec(("px", 20), 8)
QUIET = {"encoder": mean_color, "progress": False}


def _center(box: Box) -> np.ndarray:
    return np.array([[50.0, 40.0]])


ON_SPOTS: dict[str, Callable[..., Any]] = {
    "pp.filter_spots": lambda b, **k: sh.pp.filter_spots(b.sdata, **k),
    "pp.flag_artifacts": lambda b, **k: sh.pp.flag_artifacts(b.sdata, **k),
    "pp.log_normalize": lambda b: sh.pp.log_normalize(b.sdata),
    "pp.pearson_residuals": lambda b: sh.pp.pearson_residuals(b.sdata),
    "pp.pool_spots": lambda b, **k: sh.pp.pool_spots(b.sdata, ("px", 40), **k),
    "pp.obsm_to_table": lambda b: sh.pp.obsm_to_table(b.sdata, "spatial", key_added="places"),
    "pp.regress_depth": lambda b: sh.pp.regress_depth(b.sdata),
    "pp.rank_expression": lambda b: sh.pp.rank_expression(b.sdata),
    "pp.realign": lambda b, **k: sh.pp.realign(b.sdata, **k),
    "pp.select_genes": lambda b: sh.pp.select_genes(b.sdata, n=3),
    "pp.smooth_expression": lambda b: sh.pp.smooth_expression(b.sdata, layer="log1p"),
    "pp.spot_distances": lambda b: sh.pp.spot_distances(b.sdata),
    "tl.cross_validate": lambda b, **k: sh.tl.cross_validate(b.sdata, models="ridge", out=b.tmp / "cv", **FAST, **k),
    "tl.fit": lambda b, **k: sh.tl.fit(b.sdata, models="ridge", out=b.tmp / "fit", **FAST, **k),
    "tl.encode": lambda b, **k: sh.tl.encode(b.sdata, out=b.tmp / "f", extents=[("px", 20)], context=(), **QUIET, **k),
    "tl.predict": lambda b, **k: sh.tl.predict(b.sdata, b.st, **QUIET, **k),
    "tl.evaluate": lambda b, **k: sh.tl.evaluate(b.sdata, **k),
    "tl.stack": lambda b: sh.tl.stack(b.sdata, b.cv),
    "tl.calibrate": lambda b: sh.tl.calibrate(b.sdata, b.st, level=0.5),
    "tiles.TileDataset": lambda b, **k: sh.tiles.TileDataset(b.sdata, SPEC, **k),
    "io.write_submission": lambda b, **k: sh.io.write_submission(b.sdata, b.tmp / "out.csv", **k),
    "pl.genes": lambda b, **k: sh.pl.genes(b.sdata, "G1", **k),
    "report.explore": lambda b, **k: sh.report.explore(b.sdata, b.tmp / "e.html", image_px=64, **k),
}
"""Functions that need spots; those with ``**k`` take slides=."""
ON_IMAGES: dict[str, Callable[..., Any]] = {
    "pp.mask_background": lambda b, **k: sh.pp.mask_background(b.sdata, **k),
    "pp.fit_stain_reference": lambda b, **k: sh.pp.fit_stain_reference(b.sdata, **k),
    "pp.normalize_stain": lambda b, **k: sh.pp.normalize_stain(b.sdata, **k),
    "tl.predict_grid": lambda b, **k: sh.tl.predict_grid(b.sdata, b.st, **QUIET, **k),
    "tl.slide_probe": lambda b, **k: sh.tl.slide_probe(b.sdata, extent=("px", 20.0), **k),
}
"""Functions that need no spots."""
BOTH = ON_SPOTS | ON_IMAGES
BY_SLIDES = [name for name in BOTH if BOTH[name].__code__.co_flags & 8]
NEED_IMAGE = [
    "pp.filter_spots",
    "pp.flag_artifacts",
    "pp.realign",
    "tl.cross_validate",
    "tl.predict",
    "tiles.TileDataset",
    *ON_IMAGES,
]
NEED_MASK = ["pp.filter_spots", "tl.cross_validate", "tl.fit", "tl.predict", "pp.normalize_stain", "tl.predict_grid"]
NEED_PLACE = [
    "pp.pool_spots",
    "pp.realign",
    "pp.filter_spots",
    "pp.spot_distances",
    "tl.cross_validate",
    "tl.predict",
    "tiles.TileDataset",
]


def _drop_tables(box: Box) -> None:
    for name in list(box.sdata.tables):
        del box.sdata.tables[name]


def _rename_table(box: Box) -> None:
    box.sdata.tables["counts"] = box.sdata.tables.pop("table")


def _text_ids(box: Box) -> None:
    shapes = box.sdata.shapes.pop("S2")
    shapes.index = "spot " + shapes.index.astype(str)
    box.sdata.shapes["S2"] = shapes


def _elsewhere(element: Any) -> None:
    set_transformation(element, {"global": Identity()}, set_all=True)


def _lose_image_place(box: Box) -> None:
    pixels = np.asarray(box.sdata.images["S2_full_image"].data)
    del box.sdata.images["S2_full_image"]
    names = ["r", "g", "b"]
    box.sdata.images["S2_full_image"] = Image2DModel.parse(pixels, dims=("c", "y", "x"), c_coords=names)


def _two_patients(box: Box) -> None:
    names = box.table.obs["patient"].astype(str).to_numpy(copy=True)
    names[np.flatnonzero(box.table.obs["region"] == "S2")[0]] = "P9"
    box.table.obs["patient"] = pd.Categorical(names)


def _no_spots(box: Box) -> None:
    # spatialdata refuses such a table, but a table that is in an object can be emptied
    box.table._inplace_subset_obs(np.zeros(box.table.n_obs, dtype=bool))


def _lose_region(box: Box) -> None:
    names = box.table.obs["region"].astype(object).to_numpy(copy=True)
    names[[1, 4]] = np.nan
    box.table.obs["region"] = pd.Categorical(names)


def _repeat_gene(box: Box) -> None:
    box.table.var_names = ["G0", "G0", *box.table.var_names[2:]]


CASES = [
    *(
        Case(name, "a table for an object", lambda b, n=name: BOTH[n](replace(b, sdata=b.table)), TypeError,
             ("AnnData", "SpatialData", "sh.io.read"))
        for name in BOTH
    ),
    *(
        Case(name, "object without a table", BOTH[name], KeyError, ("no table", "sh.io.from_arrays"), _drop_tables)
        for name in ON_SPOTS
    ),
    *(
        Case(name, "table of another name", BOTH[name], KeyError, ("'table'", "counts", "table_key="), _rename_table)
        for name in ON_SPOTS
    ),
    *(
        Case(
            name, "table without region", BOTH[name], ValueError, ("'region'", "sdata['table'].obs['region']"),
            lambda b: b.table.obs.drop(columns="region", inplace=True),
        )
        for name in BOTH
    ),
    *(
        Case(name, "rows without a region", BOTH[name], ValueError, ("obs['region']", "'table'", "2 of 384"), _lose_region)
        for name in BOTH
    ),
    *(
        Case(name, "two genes of one name", BOTH[name], ValueError, ("'table'", "['G0']", "var_names_make_unique"), _repeat_gene)
        for name in BOTH
    ),
    *(
        Case(name, "a number for slides", lambda b, n=name: BOTH[n](b, slides=1), TypeError, ("slides=1", "slide id"))
        for name in BY_SLIDES
    ),
    *(
        Case(name, "no slide", lambda b, n=name: BOTH[n](b, slides=[]), KeyError, ("no slide []", "'S1'"))
        for name in BY_SLIDES
    ),
    *(
        Case(name, "table without X", BOTH[name], KeyError, ("no X", "log1p"), lambda b: setattr(b.table, "X", None))
        for name in ("pp.filter_spots", "pp.log_normalize", "pp.select_genes")
    ),
    *(
        Case(name, "unknown slide", lambda b, n=name: BOTH[n](b, slides="S9"), KeyError, ("'S9'", "'S1', 'S2'"))
        for name in BY_SLIDES
    ),
    *(
        Case(name, "lost shapes", BOTH[name], KeyError, ("'S2'", "sdata.shapes", "'S1'"), lambda b: b.sdata.shapes.pop("S2"))
        for name in ON_SPOTS
    ),
    *(
        Case(name, "lost image", BOTH[name], KeyError, ("S2_full_image", "found", "sh.io.from_arrays"),
             lambda b: b.sdata.images.pop("S2_full_image"))
        for name in NEED_IMAGE
    ),
    *(
        Case(name, "lost mask", BOTH[name], KeyError, ("'S2'", "S2_full_image_tissue", "sh.pp.mask_background"),
             lambda b: b.sdata.labels.pop("S2_full_image_tissue"))
        for name in NEED_MASK
    ),
    *(
        Case(name, "other ids in the table than in the shapes", BOTH[name], ValueError,
             ("'S2'", "spot_id", "'spot 0'", "same ids"), _text_ids)
        for name in NEED_PLACE
    ),
    *(
        Case(name, "shapes in another coordinate system", BOTH[name], ValueError,
             ("'S2'", "['global']", "set_transformation"), lambda b: _elsewhere(b.sdata.shapes["S2"]))
        for name in NEED_PLACE
    ),
    *(
        Case(name, "image in another coordinate system", BOTH[name], ValueError,
             ("'S2'", "['global']", "set_transformation"), _lose_image_place)
        for name in NEED_PLACE
        if name not in ("pp.pool_spots", "pp.spot_distances")
    ),
    *(
        Case(name, "table without spots", BOTH[name], ValueError, ("no spots",), _no_spots)
        for name in ("pp.filter_spots", "pp.log_normalize", "tl.cross_validate", "tl.predict", "tiles.TileDataset")
    ),
    *(
        Case(name, "two patients on one slide", BOTH[name], ValueError, ("'S2'", "P9", "obs['patient']"), _two_patients)
        for name in ("tl.cross_validate", "tl.predict")
    ),
]  # fmt: skip

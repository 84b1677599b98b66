"""Options and values that a function cannot work with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import torch
from bad_box import Box, Case
from bad_objects import BOTH, QUIET, SPEC
from small_cohorts import FAST
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity, get_transformation, set_transformation

import spatialhist as sh


def _shown(value: Any) -> str:
    """Name a value the same way in every process that collects the tests."""
    return getattr(value, "__name__", str(value)[:40])


def _option(
    name: str, error: type[Exception], says: tuple[str, ...], call: Callable[[Box], Any] | None = None, **given: Any
) -> Case:
    """Call a function of the package on the cohort with options of which one is wrong."""
    room, function = name.split(".")

    def plain(box: Box) -> Any:
        return getattr(getattr(sh, room), function)(box.sdata, **given)

    what = ", ".join(f"{k}={_shown(v)!r}" for k, v in given.items())
    return Case(name, what, call or plain, error, says)


def _values(value: float) -> Callable[[Box], Any]:
    """Put a value in the place of a count of the second spot."""

    def damage(box: Box) -> None:
        counts = box.table.X.toarray()
        counts[1, 0] = value
        box.table.X = counts

    return damage


def _without_scale(box: Box) -> None:
    box.sdata.attrs["spatialhist"]["slides"]["S2"]["mpp"] = None


def _replace_image(change: Callable[[np.ndarray], np.ndarray], names: list[str]) -> Callable[[Box], Any]:
    def damage(box: Box) -> None:
        image = box.sdata.images.pop("S2_full_image")
        placed = get_transformation(image, get_all=True)
        pixels = change(np.asarray(image.data))
        box.sdata.images["S2_full_image"] = Image2DModel.parse(
            pixels, dims=("c", "y", "x"), c_coords=names, transformations=placed
        )

    return damage


def _empty_mask(box: Box) -> None:
    box.sdata.labels["S2_full_image_tissue"].data = da.zeros((50, 65), dtype=np.uint8)


def _smooth(box: Box) -> None:
    sh.pp.smooth_expression(box.sdata, layer="log1p")


PP = [
    _option("pp.filter_spots", KeyError, ("'raw'", "found"), layer="raw"),
    _option("pp.filter_spots", ValueError, ("'S1'", "min_counts", "lose"), min_counts=1e9),
    _option("pp.filter_spots", ValueError, ("min_tissue=2", "0 to 1"), min_tissue=2),
    _option("pp.filter_spots", ValueError, ("max_mads=-1", "0 or more"), max_mads=-1),
    _option("pp.flag_artifacts", ValueError, ("max_ink=-1", "0 to 1"), max_ink=-1),
    _option("pp.mask_background", ValueError, ("'magic'", "density", "function"), method="magic"),
    _option("pp.mask_background", ValueError, ("fill_value=300", "255"), fill_value=300),
    _option("pp.mask_background", ValueError, ("(3, 3)", "(y, x)"), method=lambda pixels: np.ones((3, 3), bool)),
    _option("pp.normalize_stain", ValueError, ("'dye'", "macenko"), method="dye"),
    _option("pp.normalize_stain", FileNotFoundError, ("no.json", "StainReference.save"), reference="no.json"),
    _option("pp.normalize_stain", KeyError, ("'S9'", "'S1'"), reference="S9"),
    _option("pp.normalize_stain", ValueError, ("key_added='one'", "{slide}"), key_added="one"),
    _option("pp.normalize_stain", KeyError, ("S1_full_image_masked", "sh.pp.mask_background"), image="masked"),
    _option("pp.fit_stain_reference", ValueError, ("'dye'", "macenko"), method="dye"),
    _option("pp.log_normalize", ValueError, ("target_sum=0", "positive"), target_sum=0),
    _option("pp.log_normalize", ValueError, ("target_sum=nan", "positive"), target_sum=np.nan),
    _option("pp.log_normalize", KeyError, ("'raw'", "found", "log1p"), layer="raw"),
    _option("pp.log_normalize", ValueError, ("key_added='a/b'", "try 'a_b'"), key_added="a/b"),
    Case("pp.log_normalize", "negative counts", BOTH["pp.log_normalize"], ValueError, ("negative", "-3", "layer="), _values(-3)),
    _option("pp.pearson_residuals", ValueError, ("theta=0",), theta=0),
    _option("pp.pearson_residuals", ValueError, ("key_added='a b'", "try 'a_b'"), key_added="a b"),
    _option("pp.pearson_residuals", ValueError, ("layers['log1p']", "layer="), layer="log1p"),
    Case("pp.pearson_residuals", "negative counts", BOTH["pp.pearson_residuals"], ValueError, ("-3", "layer="), _values(-3)),
    _option("pp.obsm_to_table", KeyError, ("obsm['parts']", "['spatial']"), key="parts", key_added="new"),
    _option("pp.obsm_to_table", ValueError, ("key_added='a/b'", "try 'a_b'"), key="spatial", key_added="a/b"),
    _option("pp.obsm_to_table", ValueError, ("key_added='table'", "key_added='table_2'"), key="spatial", key_added="table"),
    _option("pp.obsm_to_table", ValueError, ("3 for 2 columns", "names="), key="spatial", key_added="new", names=["x", "y", "z"]),
    _option("pp.pool_spots", ValueError, ("'S1'", "'miles'"), size=("miles", 1)),
    _option("pp.pool_spots", TypeError, ("55", "('pitch', 1.5)"), size=55),
    _option("pp.pool_spots", ValueError, ("'triangle'", "hex"), lattice="triangle"),
    _option("pp.pool_spots", ValueError, ("key_added='table'", "key_added='table_2'"), key_added="table"),
    _option("pp.pool_spots", ValueError, ("key_added='a/b'", "try 'a_b'"), key_added="a/b"),
    _option("pp.pool_spots", KeyError, ("'raw'", "found"), layer="raw"),
    _option("pp.pool_spots", KeyError, ("'bins'", "['table']", "table_key="), from_table="bins"),
    Case("pp.pool_spots", "one slide without mpp", lambda b: sh.pp.pool_spots(b.sdata), ValueError,
         ("'S2'", "mpp", "('pitch', ...)"), _without_scale),
    _option("pp.regress_depth", KeyError, ("'raw'", "found"), layer="raw"),
    _option("pp.regress_depth", KeyError, ("depth='umis'", "obs"), depth="umis"),
    _option("pp.rank_expression", ValueError, ("'best'", "average"), method="best"),
    _option("pp.rank_expression", ValueError, ("'percent'", "unit"), scale="percent"),
    _option("pp.rank_expression", MemoryError, ("384 spots x 12 genes", "max_layer_gb=1e-09", "sh.pp.select_genes"), max_layer_gb=1e-9),
    _option("pp.rank_expression", ValueError, ("key_added=''",), key_added=""),
    _option("pp.realign", ValueError, ("'affine'", "rigid"), model="affine"),
    _option("pp.realign", ValueError, ("max_shift=0", "spot spacings"), max_shift=0),
    _option("pp.realign", KeyError, ("'raw'", "found"), use_expression=True, layer="raw"),
    _option("pp.select_genes", ValueError, ("n=0", "at least 1"), n=0),
    _option("pp.select_genes", ValueError, ("'median'", "mean"), by="median"),
    Case("pp.select_genes", "nothing measured", BOTH["pp.select_genes"], ValueError, ("obs['measured']", "no spot"),
         lambda b: b.table.obs.__setitem__("measured", False)),
    Case("pp.select_genes", "negative counts", BOTH["pp.select_genes"], ValueError, ("negative", "-3"), _values(-3)),
    _option("pp.smooth_expression", KeyError, ("'raw'", "found"), layer="raw"),
    _option("pp.smooth_expression", ValueError, ("'cubic'", "gaussian"), layer="log1p", weights="cubic"),
    _option("pp.smooth_expression", ValueError, ("'S1'", "('pitch', 9)", "sh.pp.spot_distances"), layer="log1p", radius=("pitch", 9)),
    _option("pp.smooth_expression", ValueError, ("n_neighs=0", "1 or more"), layer="log1p", n_neighs=0),
    Case("pp.smooth_expression", "no graph", BOTH["pp.smooth_expression"], KeyError, ("graph", "sh.pp.spot_distances"),
         lambda b: b.table.obsp.pop("spatial_distances")),
    _option("pp.spot_distances", ValueError, ("'miles'", "'pitch'"), radius=("miles", 1)),
    _option("pp.spot_distances", ValueError, ("-1", "positive"), radius=("px", -1)),
    _option("pp.spot_distances", TypeError, ("30", "('pitch', 1.5)"), radius=30),
    _option("pp.spot_distances", TypeError, ("'1'", "('pitch', 1.5)"), radius=("px", "1")),
    _option("pp.spot_distances", ValueError, ("'mm'", "um"), unit="mm"),
    Case("pp.spot_distances", "one slide without mpp", lambda b: sh.pp.spot_distances(b.sdata, radius=("um", 50)), ValueError,
         ("'S2'", "mpp", "('pitch', ...)"), _without_scale),
    Case("io.save", "an object without a store", lambda b: sh.io.save(sh.io.concat([b.sdata])), ValueError,
         ("no store", "sdata.write")),
    Case("io.save", "a function in uns", lambda b: sh.io.save(b.sdata), ValueError, ("uns['mine']", "'table'"),
         lambda b: b.table.uns.__setitem__("mine", print)),
    Case("io.save", "a function in attrs", lambda b: sh.io.save(b.sdata), ValueError, ("attrs['mine']",),
         lambda b: b.sdata.attrs.__setitem__("mine", print)),
    Case("io.save", "a store that is gone", lambda b: sh.io.save(b.sdata), FileNotFoundError, ("gone.zarr", "sdata.write"),
         lambda b: setattr(b.sdata, "path", b.tmp / "gone.zarr")),
    Case("io.save", "a store of zarr 2", lambda b: sh.io.save(b.sdata), ValueError, ("old.zarr", "zarr v3", "sdata.write"), lambda b: _old(b)),
]  # fmt: skip


def _old(box: Box) -> None:
    store = box.tmp / "old.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    box.sdata.path = store


def _run(
    name: str, error: type[Exception], says: tuple[str, ...], damage: Callable[[Box], Any] | None = None, **given: Any
) -> Case:
    """cross_validate or fit with options of which one is wrong."""
    function = getattr(sh.tl, name)
    what = ", ".join(f"{k}={_shown(v)!r}" for k, v in given.items()) or (damage.__name__ if damage else "")
    options = {"models": "ridge", **FAST, **given}
    return Case(f"tl.{name}", what, lambda b: function(b.sdata, out=b.tmp / "run", **options), error, says, damage)


def no_slide_is_measured(box: Box) -> None:
    box.table.obs["measured"] = False


def the_same_pixels_twice(box: Box) -> None:
    box.sdata.images.pop("S2_full_image")
    box.sdata.images["S2_full_image"] = copy.deepcopy(box.sdata.images["S1_full_image"])
    set_transformation(box.sdata.images["S2_full_image"], Identity(), "S2")


def the_same_counts_twice(box: Box) -> None:
    counts, region = box.table.X.tolil(), (box.table.obs["region"]).to_numpy()
    counts[np.flatnonzero(region == "S2")] = counts[np.flatnonzero(region == "S1")]
    box.table.X = counts.tocsr()


def one_slide_lacks_its_scale(box: Box) -> None:
    _without_scale(box)


def a_mask_is_empty(box: Box) -> None:
    _empty_mask(box)


def nan_in_the_layer(box: Box) -> None:
    values = box.table.layers["log1p"].toarray()
    values[2, :] = np.nan
    box.table.layers["log1p"] = values


def _nan_features(tiles: torch.Tensor) -> torch.Tensor:
    return tiles.float().mean(dim=(2, 3)) * torch.nan


TL = [
    _run("cross_validate", ValueError, ("'forest'", "ridge"), models="forest"),
    _run("cross_validate", ValueError, ("different names",), models=["ridge", "ridge"]),
    _run("cross_validate", ValueError, ("different names",), models=[]),
    _run("cross_validate", TypeError, ("42", "predictor", "'fit'"), models=[42]),
    _run("cross_validate", KeyError, ("'raw'", "found"), layer="raw"),
    _run("cross_validate", ValueError, ("genes=0", "at least 1"), genes=0),
    _run("cross_validate", KeyError, ("GX", "not in the table"), genes=["G1", "GX"]),
    _run("cross_validate", ValueError, ("twice", "G1"), genes=["G1", "G1"]),
    _run("cross_validate", KeyError, ("groups='batch'", "patient"), groups="batch"),
    _run("cross_validate", ValueError, ("obs['spot_id']", "'S1'", "one group"), groups="spot_id"),
    _run("cross_validate", ValueError, ("needs two", "'S1'", "sh.tl.fit"), groups="slide", slides=["S1"]),
    _run("cross_validate", KeyError, ("S1_full_image_normalized", "sh.pp.normalize_stain"), image="normalized"),
    _run("cross_validate", ValueError, ("'resnetX' is unknown", "color_texture"), encoder="resnetX"),
    _run("cross_validate", ValueError, ("'inch'", "um"), extents=[("inch", 3)]),
    _run("cross_validate", ValueError, ("-5", "positive"), extents=[("px", -5)]),
    _run("cross_validate", ValueError, ("pixels=0", "1 to 4096"), pixels=0),
    _run("cross_validate", ValueError, ("threads=0", "at least 1"), threads=0),
    _run("cross_validate", ValueError, ("seed=-1", "whole number"), seed=-1),
    _run("cross_validate", ValueError, ("seed='a'", "whole number"), seed="a"),
    _run("cross_validate", KeyError, ("1 genes", "GX"), genes="GX"),
    _run("cross_validate", ValueError, ("NaN", "features"), encoder=_nan_features),
    _run("cross_validate", ValueError, ("executor=0", "at least 1"), executor=0),
    _run("cross_validate", ValueError, ("none of the slides", "measured"), no_slide_is_measured),
    _run("cross_validate", ValueError, ("'S1'", "'S2'", "same pixels", "slides="), the_same_pixels_twice),
    _run("cross_validate", ValueError, ("'S1'", "'S2'", "share the counts", "slides="), the_same_counts_twice),
    _run("cross_validate", ValueError, ("'S2'", "no mpp", "attrs"), one_slide_lacks_its_scale, extents=[("um", 40.0)]),
    _run("cross_validate", ValueError, ("'S2'", "tissue mask is empty", "sh.pl.alignment"), a_mask_is_empty),
    _run("cross_validate", ValueError, ("'S1'", "log1p", "NaN", "sh.pp.filter_spots"), nan_in_the_layer),
    Case("tl.cross_validate", "a folder of something else", lambda b: sh.tl.cross_validate(b.sdata, models="ridge", out=b.tmp, **FAST),
         FileExistsError, ("notes.txt", "choose another out="), lambda b: (b.tmp / "notes.txt").write_text("mine")),
    Case("tl.cross_validate", "another run's folder", lambda b: sh.tl.cross_validate(b.sdata, models="ridge", out=b.cv.folder, **FAST),
         FileExistsError, ("models", "overwrite=True")),
    Case("tl.cross_validate", "a file for a folder", lambda b: sh.tl.cross_validate(b.sdata, models="ridge", out=b.tmp / "a", **FAST),
         NotADirectoryError, ("a", "file", "choose another out="), lambda b: (b.tmp / "a").write_text("mine")),
    Case("tl.cross_validate", "out=3", lambda b: sh.tl.cross_validate(b.sdata, models="ridge", out=3, **FAST),
         TypeError, ("out=3", "path of a folder")),
    _run("fit", ValueError, ("'forest'", "ridge"), models="forest"),
    _run("fit", ValueError, ("genes=-1", "at least 1"), genes=-1),
    _run("fit", ValueError, ("none of the slides", "measured"), no_slide_is_measured),
    _run("fit", ValueError, ("'S2'", "tissue mask is empty", "sh.pl.alignment"), a_mask_is_empty),
    _option("tl.predict", TypeError, ("dict", "run folder"), model={}),
    _option("tl.predict", FileNotFoundError, ("nowhere", "manifest.json"), model="nowhere"),
    Case("tl.predict", "an illegal layer", lambda b: sh.tl.predict(b.sdata, b.st, key_added="a b", **QUIET), ValueError, ("'a b'", "try 'a_b'")),
    Case("tl.predict", "no encoder", lambda b: sh.tl.predict(b.sdata, b.st, progress=False), ValueError, ("function", "encoder=")),
    Case("tl.predict", "a slide that the model was fitted on", lambda b: sh.tl.predict(b.sdata, b.model, **QUIET), ValueError, ("'S1'", "slides=")),
    Case("tl.predict", "pixels of other channels", lambda b: sh.tl.predict(b.sdata, b.st, **QUIET), ValueError,
         ("S2_full_image", "'DAPI'", "red, green and blue"), _replace_image(lambda p: p, ["DAPI", "CD45", "panCK"])),
    Case("tl.predict", "pixels of two channels", lambda b: sh.tl.predict(b.sdata, b.st, **QUIET), ValueError,
         ("S2_full_image", "2 channels", "'r', 'g' and 'b'"), _replace_image(lambda p: p[:2], ["0", "1"])),
    Case("tl.predict", "signed pixels", lambda b: sh.tl.predict(b.sdata, b.st, **QUIET), ValueError,
         ("S2_full_image", "int16", "0..255"), _replace_image(lambda p: p.astype(np.int16) - 500, ["r", "g", "b"])),
    Case("tl.predict", "float pixels", lambda b: sh.tl.predict(b.sdata, b.st, **QUIET), ValueError,
         ("S2_full_image", "floats", "uint8"), _replace_image(lambda p: p.astype(np.float32), ["r", "g", "b"])),
    Case("tl.predict", "an empty mask", lambda b: sh.tl.predict(b.sdata, b.st, **QUIET), ValueError, ("'S2'", "mask is empty"), _empty_mask),
    Case("tl.predict_grid", "an unknown lattice", lambda b: sh.tl.predict_grid(b.sdata, b.st, lattice="ring", **QUIET), ValueError, ("'ring'", "hex")),
    Case("tl.predict_grid", "no block", lambda b: sh.tl.predict_grid(b.sdata, b.st, block=0, **QUIET), ValueError, ("block=0", "at least 1")),
    Case("tl.predict_grid", "a negative spacing", lambda b: sh.tl.predict_grid(b.sdata, b.st, spacing=("px", -3), **QUIET), ValueError, ("-3", "positive")),
    Case("tl.predict_grid", "a unit", lambda b: sh.tl.predict_grid(b.sdata, b.st, spacing=("ft", 3), **QUIET), ValueError, ("'ft'", "'um'")),
    Case("tl.predict_map", "several slides", lambda b: sh.tl.predict_map(b.sdata, b.st, **QUIET), ValueError, ("'S2'", "slide='S1'")),
    Case("tl.predict_map", "no slide", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S9", **QUIET), KeyError, ("'S9'", "'S1'")),
    Case("tl.predict_map", "a gene of no panel", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S1", genes="X9", **QUIET), KeyError,
         ("'X9'", "it predicts")),
    Case("tl.predict_map", "a gene twice", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S1", genes=["G1", "G1"], **QUIET), ValueError,
         ("'G1'", "once")),
    Case("tl.predict_map", "a negative resolution", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S1", resolution=("um", -8), **QUIET),
         ValueError, ("-8", "positive")),
    Case("tl.predict_map", "an illegal name", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S1", key_added="a b", **QUIET), ValueError,
         ("'a b'", "try 'a_b'")),
    Case("tl.predict_map", "the name of the picture", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S1", key_added="S1_full_image", **QUIET),
         ValueError, ("'S1_full_image'", "choose another key_added=")),
    Case("tl.to_image", "the name of the picture", lambda b: sh.tl.to_image(b.sdata, "G1", slide="S1", layer="log1p", key_added="S1_full_image"),
         ValueError, ("'S1_full_image'", "choose another key_added=")),
    Case("tl.predict_map", "an empty mask", lambda b: sh.tl.predict_map(b.sdata, b.st, slide="S2", **QUIET), ValueError,
         ("'S2'", "mask is empty"), _empty_mask),
    _option("tl.benchmark", FileNotFoundError, ("'theirs'", "layer", "file"), layers=["theirs"]),
    _option("tl.evaluate", KeyError, ("'raw'", "found"), truth="raw"),
    _option("tl.evaluate", KeyError, ("'oof_x'", "found"), layers=["oof_x"]),
    _option("tl.evaluate", ValueError, ("'oof'", "'log1p'", "truth="), truth="ranks", layers=["oof"]),
    _option("tl.evaluate", ValueError, ("counts", "min_counts"), min_counts=10**9),
    Case("tl.evaluate", "smoothed truth", lambda b: sh.tl.evaluate(b.sdata, truth="log1p_smooth"), ValueError, ("'log1p_smooth'", "smoothed"), _smooth),
    Case("tl.stack", "an unknown method", lambda b: sh.tl.stack(b.sdata, b.cv, method="vote"), ValueError, ("'vote'", "nnls")),
    Case("tl.stack", "too few groups", lambda b: sh.tl.stack(b.sdata, b.cv, method="mlp"), ValueError, ("'mlp'", "5 groups", "method='mean'")),
    Case("tl.stack", "an illegal layer", lambda b: sh.tl.stack(b.sdata, b.cv, key_added="a/b"), ValueError, ("'a/b'", "try 'a_b'")),
    Case("tl.stack", "another object", lambda b: sh.tl.stack(b.sdata, b.cv), ValueError, ("expected", "cross-validated"),
         lambda b: b.table.obs.__setitem__("spot_qc", pd.Categorical(["nan"] + ["ok"] * (b.table.n_obs - 1)))),
    Case("tl.calibrate", "a level of 1", lambda b: sh.tl.calibrate(b.sdata, b.st, level=1.0), ValueError, ("level=1",)),
    Case("tl.calibrate", "too few groups", lambda b: sh.tl.calibrate(b.sdata, b.st, level=0.95), ValueError, ("0.95", "groups", "level=")),
    Case("tl.calibrate", "a fitted model", lambda b: sh.tl.calibrate(b.sdata, b.model), ValueError, ("residuals", "cross-validation")),
    Case("tl.calibrate", "no such layer", lambda b: sh.tl.calibrate(b.sdata, b.st, level=0.5, layer="x"), KeyError, ("'x'", "found")),
    Case("tl.calibrate", "predictions of another", lambda b: sh.tl.calibrate(b.sdata, b.cv, level=0.5), ValueError, ("'oof'", "stack_nnls", "pass what predicted it")),
    Case("tl.expected_counts", "a fitted model", lambda b: sh.tl.expected_counts(b.sdata, b.model, layer="oof"), ValueError, ("residuals", "cross-validation")),
    Case("tl.expected_counts", "no such layer", lambda b: sh.tl.expected_counts(b.sdata, b.st, layer="x"), KeyError, ("'x'", "found")),
    Case("tl.expected_counts", "an illegal layer", lambda b: sh.tl.expected_counts(b.sdata, b.st, layer="oof", key_added="a b"), ValueError, ("'a b'", "try 'a_b'")),
    Case("tl.expected_counts", "predictions of another", lambda b: sh.tl.expected_counts(b.sdata, b.cv, layer="oof"), ValueError, ("'oof'", "stack_nnls", "pass what predicted it")),
    _option("tl.slide_probe", ValueError, ("by='center'", "'patient'"), by="center"),
    _option("tl.to_image", KeyError, ("GX", "not in the table"), genes="GX", slide="S1", layer="log1p"),
    _option("tl.to_image", KeyError, ("'raw'", "found"), genes="G1", slide="S1", layer="raw"),
    _option("tl.to_image", ValueError, ("step=0", "positive"), genes="G1", slide="S1", layer="log1p", step=0),
    _option("tl.to_image", KeyError, ("'S9'", "'S1'"), genes="G1", slide="S9", layer="log1p"),
    _option("tl.to_image", ValueError, ("key_added='a b'", "try 'a_b'"), genes="G1", slide="S1", layer="log1p", key_added="a b"),
    Case("tl.summarize", "an unknown metric", lambda b: sh.tl.summarize(b.scores, metric="luck"), KeyError, ("'luck'", "pearson")),
    Case("tl.summarize", "another table", lambda b: sh.tl.summarize(pd.DataFrame({"a": [1]})), ValueError, ("predictor", "sh.tl.evaluate")),
]  # fmt: skip

ROOMS = [
    *(
        Case("tiles.TileSpec", f"{kwargs}", lambda b, k=kwargs: sh.tiles.TileSpec(**k), ValueError, says)
        for kwargs, says in [
            ({"extent": ("mile", 1), "pixels": 8}, ("'mile'", "'um'")),
            ({"extent": ("px", 0), "pixels": 8}, ("('px', 0)", "positive")),
            ({"extent": ("px", np.nan), "pixels": 8}, ("nan", "positive")),
            ({"extent": ("px", 8), "pixels": 0}, ("pixels=0", "at least 1")),
            ({"extent": ("px", 8), "pixels": 2.5}, ("pixels=2.5", "whole")),
            ({"extent": ("px", 8), "pixels": 2, "grid": 3}, ("grid=3", "2 pixels")),
            ({"extent": ("px", 8), "pixels": 8, "padding": "wrap"}, ("'wrap'", "'reflect'")),
        ]
    ),
    _option("tiles.TileDataset", ValueError, ("spec=[]", "TileSpec"), spec=[]),
    _option("tiles.TileDataset", KeyError, ("GX", "not in the table"), spec=SPEC, layer="X", genes=["GX"]),
    _option("tiles.TileDataset", KeyError, ("'raw'", "found"), spec=SPEC, layer="raw"),
    _option("tiles.TileDataset", KeyError, ("S1_small", "image="), spec=SPEC, image="{slide}_small"),
    Case("tiles.FeatureCache", "a NaN center", lambda b: _features(b, np.array([[np.nan, 1.0]])), ValueError, ("finite",)),
    Case("tiles.FeatureCache", "an encoder of another shape", lambda b: _features(b, np.array([[9.0, 9.0]]), lambda t: t.float()), ValueError,
         ("(1, 3, 8, 8)", "(B, F)")),
    Case("tiles.loader", "an unknown order", lambda b: sh.tiles.loader(sh.tiles.TileDataset(b.sdata, SPEC), 4, order="best"), ValueError, ("'best'", "shuffled")),
    Case("tiles.ChunkSampler", "no window", lambda b: sh.tiles.ChunkSampler(sh.tiles.TileDataset(b.sdata, SPEC), window=0), ValueError, ("window=0", "at least 1")),
    Case("tiles.to_memory", "too much", lambda b: sh.tiles.to_memory(sh.tiles.TileDataset(b.sdata, SPEC), max_gb=1e-9), MemoryError, ("max_gb=1e-09",)),
    Case("tiles.TileDataModule", "an unknown group", lambda b: sh.tiles.TileDataModule(b.sdata, SPEC, layer="X", held_out=["S9"]), ValueError, ("S9", "S1")),
    Case("nn.get_encoder", "an unknown name", lambda b: sh.nn.get_encoder("resnetX"), ValueError, ("'resnetX'", "color_texture")),
    Case("nn.get_loss", "an unknown name", lambda b: sh.nn.get_loss("luck"), ValueError, ("'luck'", "mse")),
    Case("nn.split_tiles", "a grid that does not fit", lambda b: sh.nn.split_tiles(torch.zeros(1, 3, 4, 4), 5), ValueError, ("5", "4")),
    Case("datasets.synthetic", "no slides", lambda b: sh.datasets.synthetic(n_slides=0), ValueError, ("0 slides", "1 <= n_patients <= n_slides")),
    Case("datasets.synthetic", "more patients than slides", lambda b: sh.datasets.synthetic(n_slides=1, n_patients=3), ValueError, ("1 slides of 3 patients", "n_patients <= n_slides")),
    Case("datasets.synthetic", "bins of spots", lambda b: sh.datasets.synthetic(n_slides=1, n_bins=100), ValueError, ("n_bins=100", "'visium_hd'")),
    Case("datasets.synthetic", "another platform", lambda b: sh.datasets.synthetic(n_slides=1, platform="cosmx"), ValueError, ("platform='cosmx'", "'xenium'")),
    Case("datasets.synthetic", "no room for spots", lambda b: sh.datasets.synthetic(n_slides=1, size_px=(9, 9)), ValueError, ("size_px (9, 9)", "enlarge")),
    _option("io.write_submission", KeyError, ("'raw'", "found"), path=Path("never.csv"), layer="raw"),
    Case("io.write_submission", "spots without predictions", lambda b: sh.io.write_submission(b.sdata, b.tmp / "a.csv", slides=["S1", "S4"]), ValueError,
         ("predicted", "S1", "sh.tl.predict")),
    Case("io.write_submission", "no folder", lambda b: sh.io.write_submission(b.sdata, b.tmp / "no" / "a.csv"), ValueError, ("'S4'", "sh.tl.predict")),
    _option("pl.genes", KeyError, ("GX",), genes=["GX"]),
    _option("pl.genes", KeyError, ("'raw'", "found"), genes=["G1"], layers="raw"),
    _option("pl.alignment", KeyError, ("'S9'", "'S1'"), slide="S9"),
    _option("pl.stain", KeyError, ("S1_full_image_normalized", "sh.pp.normalize_stain"), slide="S1"),
    Case("pl.scores", "an unknown metric", lambda b: sh.pl.scores(b.scores, metric="luck"), KeyError, ("'luck'", "pearson")),
    Case("pl.gene_scores", "an unknown predictor", lambda b: sh.pl.gene_scores(b.scores, predictor="luck"), KeyError, ("'luck'", "ridge")),
    Case("pl.tiles", "no tiles", lambda b: sh.pl.tiles(sh.tiles.TileDataset(b.sdata, SPEC), n=0), ValueError, ("n=0", "384 tiles")),
    *(
        Case(f"metrics.{name}", "other shapes", lambda b, n=name: getattr(sh.metrics, n)(np.zeros((4, 3)), np.zeros((4, 2))), ValueError,
             ("(4, 3)", "(4, 2)"))
        for name in ("pearson", "spearman", "spot_spearman", "pooled_pearson", "rmse", "nrmse", "r2", "variance_ratio", "jensen_shannon",
                     "mutual_information", "auc_detected")
    ),
    Case("metrics.pearson", "words", lambda b: sh.metrics.pearson([["a"]], [["b"]]), ValueError, ("truth", "not numbers")),
    Case("metrics.spearman", "NaN", lambda b: sh.metrics.spearman([[1.0], [np.nan]], [[1.0], [2.0]]), ValueError, ("truth", "finite")),
    Case("metrics.ssim", "no pitch", lambda b: sh.metrics.ssim(np.zeros((4, 3)), np.zeros((4, 3)), np.zeros((4, 2)), 0.0), ValueError, ("pitch=0.0 must be positive", "0.0")),
    Case("metrics.mutual_information", "one bin", lambda b: sh.metrics.mutual_information(np.zeros((4, 3)), np.zeros((4, 3)), bins=1), ValueError, ("bins must be at least 2", "found 1")),
    Case("metrics.noise_ceiling", "negative counts", lambda b: sh.metrics.noise_ceiling(np.full((4, 3), -1), np.log1p), ValueError, ("counts must be whole numbers from 0 up", "raw counts")),
    Case("metrics.noise_ceiling", "fractions", lambda b: sh.metrics.noise_ceiling(np.full((4, 3), 0.5), np.log1p), ValueError, ("counts", "whole")),
    Case("metrics.morans_i", "another graph", lambda b: sh.metrics.morans_i(np.zeros((4, 3)), b.table.obsp["spatial_connectivities"]), ValueError, ("4", "384")),
    Case("metrics.group_interval", "a level of 2", lambda b: sh.metrics.group_interval(dict.fromkeys("abcdefghi", 1.0), level=2), ValueError, ("level", "found 2")),
    *(
        Case(f"nn.{name}", "other shapes", lambda b, n=name: getattr(sh.nn, n)(torch.zeros(2, 3), torch.zeros(2, 4)), ValueError,
             ("(2, 3)", "(2, 4)", "(B, K)"))
        for name in ("mse_pearson_loss", "hinge_rank_loss", "logistic_rank_loss", "soft_spearman_loss")
    ),
    Case("nn.augment", "tiles that are not square", lambda b: sh.nn.augment(torch.zeros(1, 3, 4, 5, dtype=torch.uint8), torch.Generator()), ValueError,
         ("4 x 5", "turns=False")),
    Case("nn.encoder_fingerprint", "a number", lambda b: sh.nn.encoder_fingerprint(3), ValueError, ("3", "torch.nn.Module")),
    Case("metrics.depth_oracle", "other spots", lambda b: sh.metrics.depth_oracle(np.zeros((4, 3)), np.zeros((5, 3))), ValueError, ("4 spots", "5")),
    Case("metrics.neighbor_oracle", "another graph", lambda b: sh.metrics.neighbor_oracle(np.zeros((4, 3)), np.zeros((5, 5))), ValueError,
         ("(5, 5)", "(4, 4)")),
    Case("metrics.moran_agreement", "other shapes", lambda b: sh.metrics.moran_agreement(np.zeros((4, 3)), np.zeros((4, 2)), np.zeros((4, 4))),
         ValueError, ("(4, 3)", "(4, 2)")),
    Case("metrics.within_slide_pearson", "slides of other spots", lambda b: sh.metrics.within_slide_pearson(
        np.zeros((4, 3)), np.zeros((4, 3)), ["a"] * 3, ["b"] * 4), ValueError, ("one slide", "(3,)")),
    Case("metrics.split_half", "negative counts", lambda b: sh.metrics.split_half(-np.ones((2, 2), int), np.random.default_rng(0)), ValueError,
         ("counts", "raw counts")),
    Case("tl.gene_reliability", "no folder", lambda b: sh.tl.gene_reliability(b.tmp / "nowhere"), FileNotFoundError, ("nowhere", "manifest.json")),
    Case("datasets.her2st", "an unknown slide", lambda b: sh.datasets.her2st("Z9", store=b.tmp / "a.zarr", cache=b.tmp), KeyError, ("'Z9'", "'B4'")),
    Case("pl.calibration", "no such layer", lambda b: sh.pl.calibration(b.sdata, layer="raw"), KeyError, ("'raw'", "found")),
    Case("pl.out_of_distribution", "an unknown slide", lambda b: sh.pl.out_of_distribution(b.sdata, slides="S9"), KeyError, ("'S9'", "'S1'")),
    *(
        Case("report.explore", f"{kwargs}", lambda b, k=kwargs: sh.report.explore(b.sdata, b.tmp / "e.html", **k), error, says)
        for kwargs, error, says in [
            ({"genes": ["GX"]}, KeyError, ("GX", "not in the table", "'G0'")),
            ({"genes": ["G1", "G1"]}, ValueError, ("G1", "twice")),
            ({"genes": []}, ValueError, ("at least one gene",)),
            ({"layers": "raw"}, KeyError, ("'raw'", "found")),
            ({"layers": []}, ValueError, ("layers=[]", "'X'")),
            ({"image_px": 0}, ValueError, ("image_px=0", "64 or more")),
            ({"scores": pd.DataFrame({"a": [1]})}, ValueError, ("scores", "sh.tl.evaluate")),
        ]
    ),
    Case("report.explore", "no folder", lambda b: sh.report.explore(b.sdata, b.tmp / "no" / "e.html"), FileNotFoundError, ("no", "path=")),
    Case("report.explore", "scores for training", lambda b: sh.report.explore(b.sdata, b.tmp / "e.html", training=b.scores), TypeError,
         ("DataFrame", "SpatialData")),
    Case("report.write", "no scores", lambda b: sh.report.write(b.sdata, b.cv, scores=b.scores[:0], path=b.tmp / "r.html"), KeyError, ("'pearson'", "scores")),
    Case("report.write", "scores of another table", lambda b: sh.report.write(b.sdata, b.cv, scores=pd.DataFrame({"a": [1]}), path=b.tmp / "r.html"), ValueError,
         ("scores", "sh.tl.evaluate")),
]  # fmt: skip


def _features(box: Box, centers: np.ndarray, encoder: Any = QUIET["encoder"]) -> Any:
    return sh.tiles.FeatureCache(box.tmp / "features").features(box.sdata, "S1", SPEC, encoder, centers, progress=False)


CASES = [*PP, *TL, *ROOMS]

"""Arrays, files and stores that no slide can be made of, and files that others have broken."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from bad_box import Box, Case, white
from PIL import Image
from visium_hd_folders import write_bins

import spatialhist as sh

XY = [[20.0, 30.0], [40.0, 30.0]]
COUNTS = np.array([[3.0, 0.0, 1.0], [1.0, 5.0, 0.0]])


def _arrays(what: str, error: type[Exception], says: tuple[str, ...], **wrong: Any) -> Case:
    given = {"image": white(), "xy": XY, "counts": COUNTS} | wrong
    return Case("io.from_arrays", what, lambda b: sh.io.from_arrays(**given), error, says)


def _counts(**changes: float) -> np.ndarray:
    counts = COUNTS.copy()
    counts[0, 0] = changes["first"]
    return counts


ARRAYS = [
    _arrays("empty image", ValueError, ("80 x 0", "1 to"), image=np.empty((0, 80, 3), np.uint8)),
    _arrays("no image", TypeError, ("image", "object", "uint8"), image=None),
    _arrays("16-bit image", TypeError, ("uint16", "uint8 of 0..255", "float of [0, 1]"), image=white(dtype=np.uint16)),
    _arrays("signed image", TypeError, ("int64", "uint8"), image=np.zeros((60, 80, 3), int)),
    _arrays("boolean image", TypeError, ("bool", "uint8"), image=np.ones((60, 80, 3), bool)),
    _arrays("floats of 0 to 255", ValueError, ("255", "[0, 1]"), image=white(dtype=float) * 255),
    _arrays("NaN in the image", ValueError, ("NaN", "[0, 1]"), image=white(dtype=float) * np.nan),
    _arrays("negative floats", ValueError, ("-1", "[0, 1]"), image=-white(dtype=float)),
    _arrays("two channels", ValueError, ("(60, 80, 2)", "1, 3 or 4"), image=white()[:, :, :2]),
    _arrays("channels at either end", ValueError, ("(3, 60, 3)", "(y, x, 3)"), image=np.zeros((3, 60, 3), np.uint8)),
    _arrays("four axes", ValueError, ("(1, 60, 80, 3)", "(y, x, channels)"), image=white()[None]),
    _arrays("words for an image", TypeError, ("image", "uint8"), image=np.array([["a", "b"]])),
    _arrays("a path for an image", TypeError, ("slide.tif", "sh.io.read"), image="slide.tif"),
    _arrays("three coordinates", ValueError, ("'S1'", "(1, 3)", "x, y"), xy=[[1.0, 2.0, 3.0]]),
    _arrays("one coordinate list", ValueError, ("'S1'", "(2,)", "(n, 2)"), xy=[20.0, 30.0]),
    _arrays("no spots", ValueError, ("'S1'", "(0, 2)", "n > 0"), xy=np.empty((0, 2)), counts=np.empty((0, 3))),
    _arrays("NaN position", ValueError, ("1 of 2", "'S1'", "finite"), xy=[[20.0, np.nan], [40.0, 30.0]]),
    _arrays("infinite position", ValueError, ("1 of 2", "'S1'", "finite"), xy=[[np.inf, 1.0], [40.0, 30.0]]),
    _arrays("words for positions", ValueError, ("xy", "'S1'", "numbers"), xy=[["a", "b"], ["c", "d"]]),
    _arrays("counts of other spots", ValueError, ("(1, 3)", "2 spots x 3 genes"), counts=COUNTS[:1]),
    _arrays("a list of counts", ValueError, ("(2,)", "(spots, genes)"), counts=[1.0, 2.0]),
    _arrays("words for counts", ValueError, ("counts", "'S1'", "numbers"), counts=np.array([["a"] * 3, ["b"] * 3])),
    _arrays("NaN counts", ValueError, ("1 counts", "'S1'", "missing"), counts=_counts(first=np.nan)),
    _arrays("infinite counts", ValueError, ("1 counts", "'S1'", "infinite"), counts=_counts(first=np.inf)),
    _arrays("negative counts", ValueError, ("'S1'", "-2", "raw counts"), counts=_counts(first=-2)),
    _arrays("duplicated genes", ValueError, ("'S1'", "A", "repeat"), genes=["A", "B", "A"]),
    _arrays("too few gene names", ValueError, ("(2, 3)", "2 spots x 2 genes"), genes=["A", "B"]),
    _arrays("duplicated spots", ValueError, ("'S1'", "7", "repeat"), spot_ids=[7, 7]),
    _arrays("too few spot ids", ValueError, ("'S1'", "2 spots", "1 spot ids"), spot_ids=[7]),
    _arrays("fractional spot ids", TypeError, ("'S1'", "integers or strings"), spot_ids=[0.5, 1.5]),
    _arrays("mixed spot ids", TypeError, ("'S1'", "integers or strings"), spot_ids=[1, "b"]),
    *(
        _arrays(f"slide id {slide!r}", ValueError, (repr(slide), f"try {better!r}"), slide=slide)
        for slide, better in [
            ("", "S1"), ("S 1", "S_1"), ("../S1", "S1"), ("a/b", "a_b"), ("table", "table_1"), ("__S", "S"),
            ("Blöck", "Bl_ck"), ("组织", "S1"), ("S\x00", "S"), ("<script>", "script"),
        ]
    ),
    _arrays("mpp in words", ValueError, ("mpp", "'S1'", "'0.5'", "positive"), mpp="0.5"),
    _arrays("a number for a slide id", TypeError, ("7", "text"), slide=7),
    *(
        _arrays(f"{name} {value}", ValueError, (name, "'S1'", str(value), "positive"), **{name: value})
        for name in ("mpp", "spot_diameter_px")
        for value in (0.0, -1.0, np.nan, np.inf)
    ),
    Case("io.concat", "nothing", lambda b: sh.io.concat([]), ValueError, ("parts is empty",)),
    Case("io.concat", "one slide twice", lambda b: sh.io.concat([b.sdata, b.sdata]), ValueError, ("'S1'", "unique")),
    Case("io.concat", "a table", lambda b: sh.io.concat([b.table]), TypeError, ("AnnData", "SpatialData")),
    Case("io.concat", "one object", lambda b: sh.io.concat(b.sdata), TypeError, ("SpatialData", "list")),
]  # fmt: skip


def _st(box: Box) -> Path:
    """Write a folder of one slide that can be read."""
    folder = box.tmp / "st"
    for name in ("images", "counts", "spots"):
        (folder / name).mkdir(parents=True)
    (folder / "slides.csv").write_text("slide,patient,image,mpp_um\nA1,A,images/A1.png,0.5\n")
    (folder / "spots" / "A1.csv").write_text("spot_id,pixel_x,pixel_y\na,20,30\nb,40,30\n")
    with gzip.open(folder / "counts" / "A1.tsv.gz", "wt") as file:
        file.write("\tG1\tG2\na\t1\t2\nb\t3\t4\n")
    Image.fromarray(white()).save(folder / "images" / "A1.png")
    return folder


def _broken(name: str, text: str | bytes | None) -> Callable[[Box], Any]:
    """Replace or remove one file of the folder."""

    def damage(box: Box) -> None:
        path = _st(box) / name
        path.unlink()
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return damage


def _read_st(box: Box) -> Any:
    return sh.io.read_st(box.tmp / "st", store=box.tmp / "new.zarr", progress=False)


def _st_case(what: str, error: type[Exception], says: tuple[str, ...], name: str, text: str | bytes | None) -> Case:
    return Case("io.read_st", what, _read_st, error, says, _broken(name, text))


SHEET, SPOTS, COUNTS_FILE, IMAGE = "slides.csv", "spots/A1.csv", "counts/A1.tsv.gz", "images/A1.png"
ST = [
    _st_case("no sheet", FileNotFoundError, ("slides.csv", "counts/"), SHEET, None),
    _st_case("empty sheet", ValueError, ("slides.csv", "cannot be read"), SHEET, ""),
    _st_case("sheet without slides", ValueError, ("slides.csv", "['slide']", "patient"), SHEET, "patient\nA\n"),
    _st_case("sheet of no rows", ValueError, ("slides.csv", "no rows"), SHEET, "slide\n"),
    _st_case("a slide twice", ValueError, ("slides.csv", "once", "A1"), SHEET, "slide\nA1\nA1\n"),
    _st_case("an illegal slide", ValueError, ("'A/1'", "try 'A_1'"), SHEET, "slide\nA/1\n"),
    _st_case("words for mpp", ValueError, ("slides.csv", "mpp_um"), SHEET, "slide,mpp_um\nA1,fine\n"),
    _st_case("binary sheet", ValueError, ("slides.csv", "CSV"), SHEET, b"\xff\xfe\x00\x01\x80slide\n\x81"),
    _st_case("an image outside the folder", ValueError, ("../../secret.png", "outside"), SHEET,
             "slide,image\nA1,../../secret.png\n"),
    _st_case("no counts", FileNotFoundError, ("'A1'", "A1.tsv.gz"), COUNTS_FILE, None),
    _st_case("counts that are no gzip", ValueError, ("A1.tsv.gz", "gzipped table"), COUNTS_FILE, "a\tb\n"),
    _st_case("counts cut short", ValueError, ("A1.tsv.gz", "gzipped table"), COUNTS_FILE,
             gzip.compress(b"\tG1\na\t1\n" * 99)[:-9]),
    _st_case("counts of words", ValueError, ("A1.tsv.gz",), COUNTS_FILE, gzip.compress(b"\tG1\na\tone\n")),
    _st_case("negative counts", ValueError, ("'A1'", "-1", "raw counts"), COUNTS_FILE,
             gzip.compress(b"\tG1\na\t-1\nb\t2\n")),
    _st_case("other spots", ValueError, ("'A1'", "'a'", "'x'"), COUNTS_FILE, gzip.compress(b"\tG1\nx\t1\n")),
    _st_case("no spots", FileNotFoundError, ("A1.csv",), SPOTS, None),
    _st_case("spots without x", ValueError, ("A1.csv", "pixel_x"), SPOTS, "spot_id,pixel_y\na,1\n"),
    _st_case("words for x", ValueError, ("A1.csv", "pixel_x"), SPOTS, "spot_id,pixel_x,pixel_y\na,left,1\nb,2,2\n"),
    _st_case("a spot twice", ValueError, ("A1.csv", "'a'"), SPOTS, "spot_id,pixel_x,pixel_y\na,1,1\na,2,2\n"),
    _st_case("no image", FileNotFoundError, ("A1.png",), IMAGE, None),
    _st_case("text for an image", ValueError, ("A1.png", "cannot be read as an image"), IMAGE, "no image"),
    _st_case("an image cut short", ValueError, ("A1.png", "cannot be read as an image"), IMAGE, b"\x89PNG\r\n\x1a\n"),
    Case("io.read_st", "a slide that is not in the sheet", lambda b: sh.io.read_st(b.tmp / "st", slides="A9"), KeyError,
         ("A9", "slides.csv", "'A1'"), _st),
    Case("io.read_st", "a store that exists", lambda b: sh.io.read_st(b.tmp / "st", store=b.sdata.path), FileExistsError,
         ("cohort.zarr", "choose another path"), _st),
]  # fmt: skip


def _challenge(spots: Any = None, image: Any = None, part: str = "Train") -> Callable[[Box], Any]:
    fields = [("x", float), ("y", float), ("C1", float)]

    def damage(box: Box) -> None:
        with h5py.File(box.tmp / "c.h5", "w") as file:
            file[f"spots/{part}/S_1"] = np.zeros(3, fields) if spots is None else spots
            file[f"images/{part}/S_1"] = np.zeros((9, 8, 3)) if image is None else image

    return damage


def _text_file(name: str, text: str = "no such thing") -> Callable[[Box], Any]:
    return lambda box: (box.tmp / name).write_text(text)


def _png(box: Box) -> None:
    Image.fromarray(white()).save(box.tmp / "a.png")


def _store_copy(box: Box) -> Path:
    return Path(shutil.copytree(box.sdata.path, box.tmp / "copy.zarr"))


def _half_written(box: Box) -> None:
    (_store_copy(box) / "zarr.json").write_text('{"zarr_format": 3, "node_')


def _old_format(box: Box) -> None:
    store = box.tmp / "copy.zarr"
    store.mkdir()
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / ".zattrs").write_text("{}")


def _read(name: str, **options: Any) -> Callable[[Box], Any]:
    return lambda b: sh.io.read(b.tmp / name, **options)


def _challenge_read(box: Box) -> Any:
    return sh.io.read_challenge(box.tmp / "c.h5", store=box.tmp / "new.zarr")


FILES = [
    Case("io.read_challenge", "no file", _challenge_read, FileNotFoundError, ("c.h5",)),
    Case("io.read_challenge", "text", _challenge_read, ValueError, ("c.h5", "HDF5"), _text_file("c.h5")),
    Case("io.read_challenge", "test slides alone", _challenge_read, ValueError, ("c.h5", "spots/Train"),
         _challenge(part="Test")),
    Case("io.read_challenge", "spots without y", _challenge_read, ValueError, ("spots/Train/S_1", "x and y", "C1"),
         _challenge(spots=np.zeros(3, [("x", float), ("C1", float)]))),
    Case("io.read_challenge", "spots that are no records", _challenge_read, ValueError, ("S_1", "x and y"),
         _challenge(spots=np.zeros((3, 2)))),
    Case("io.read_challenge", "no targets", _challenge_read, ValueError, ("S_1", "targets"),
         _challenge(spots=np.zeros(3, [("x", float), ("y", float)]))),
    Case("io.read_challenge", "gray image", _challenge_read, ValueError, ("images/Train/S_1", "(height, width, 3)"),
         _challenge(image=np.zeros((9, 8)))),
    Case("io.read_challenge", "pixels above 1", _challenge_read, ValueError, ("images/Train/S_1", "255", "[0, 1]"),
         _challenge(image=np.full((9, 8, 3), 255.0))),
    Case("io.read_challenge", "empty image", _challenge_read, ValueError, ("images/Train/S_1", "0 x 0"),
         _challenge(image=np.zeros((0, 0, 3)))),
    Case("io.read_visium", "no folder", lambda b: sh.io.read_visium(b.tmp / "outs"), FileNotFoundError,
         ("filtered_feature_bc_matrix.h5", "scalefactors_json.json", "tissue_positions.csv")),
    Case("io.read_visium", "the folder above", lambda b: sh.io.read_visium(b.tmp), FileNotFoundError,
         ("did you mean", "outs"), lambda b: (b.tmp / "outs").mkdir()),
    Case("io.read_visium", "an illegal slide", lambda b: sh.io.read_visium(b.tmp, slide="a/b"), ValueError, ("try 'a_b'",)),
    Case("io.read_visium_hd", "no folder", lambda b: sh.io.read_visium_hd(b.tmp / "outs"), FileNotFoundError,
         ("outs", "square_008um", "segmented_outputs")),
    Case("io.read_visium_hd", "the folder above", lambda b: sh.io.read_visium_hd(b.tmp), FileNotFoundError,
         ("did you mean", "outs"), lambda b: (b.tmp / "outs").mkdir()),
    Case("io.read_visium_hd", "an illegal slide", lambda b: sh.io.read_visium_hd(b.tmp, slide="a/b"), ValueError, ("try 'a_b'",)),
    Case("io.read_visium_hd", "bins that there are none of", lambda b: sh.io.read_visium_hd(b.tmp, bin_um=16), ValueError,
         ("bin_um=16", "it has bin_um=8"), lambda b: write_bins(b.tmp)),
    Case("io.read_visium_hd", "a store that exists", lambda b: sh.io.read_visium_hd(b.tmp, store=b.sdata.path), FileExistsError,
         ("cohort.zarr", "choose another path"), lambda b: write_bins(b.tmp)),
    Case("io.read_xenium", "no folder", lambda b: sh.io.read_xenium(b.tmp / "outs"), FileNotFoundError,
         ("outs", "transcripts.parquet", "cell_feature_matrix.h5")),
    Case("io.read_xenium", "an illegal slide", lambda b: sh.io.read_xenium(b.tmp, slide="a/b"), ValueError, ("try 'a_b'",)),
    Case("io.read_xenium", "a number for spots", lambda b: sh.io.read_xenium(b.tmp, spots=55), TypeError,
         ("spots=55", "('um', 55)", "'cells'")),
    Case("io.read_xenium", "a store that exists", lambda b: sh.io.read_xenium(b.tmp, store=b.sdata.path), FileExistsError,
         ("cohort.zarr", "choose another path")),
    Case("io.read_wsi", "no file", lambda b: sh.io.read_wsi(b.tmp / "a.svs"), FileNotFoundError, ("a.svs",)),
    Case("io.read_wsi", "text", lambda b: sh.io.read_wsi(b.tmp / "a.svs", store=b.tmp / "n.zarr"), ValueError,
         ("a.svs", "cannot be read as an image"), _text_file("a.svs")),
    Case("io.read_wsi", "no scale", lambda b: sh.io.read_wsi(b.tmp / "a.png"), ValueError, ("a.png", "mpp="), _png),
    Case("io.read_wsi", "negative scale", lambda b: sh.io.read_wsi(b.tmp / "a.png", mpp=-1), ValueError,
         ("mpp=-1", "positive"), _png),
    Case("io.read_wsi", "an illegal slide", lambda b: sh.io.read_wsi(b.tmp / "a.png", slide="a b", mpp=1), ValueError,
         ("'a b'", "try 'a_b'"), _png),
    Case("io.read_wsi", "a store that exists", lambda b: sh.io.read_wsi(b.tmp / "a.png", mpp=1, store=b.sdata.path),
         FileExistsError, ("cohort.zarr", "choose another path"), _png),
    Case("io.read", "nothing there", _read("nowhere"), FileNotFoundError, ("nowhere", "does not exist")),
    Case("io.read", "text", _read("notes.txt"), ValueError, ("notes.txt", "slides.csv", ".zarr"), _text_file("notes.txt")),
    Case("io.read", "a scale for a table", _read("c.h5", mpp=1), ValueError, ("mpp", "c.h5", "own scale"), _text_file("c.h5")),
    Case("io.read", "a folder that is no store", _read("a.zarr"), ValueError, ("a.zarr", "SpatialData store"),
         lambda b: (b.tmp / "a.zarr").mkdir()),
    Case("io.read", "a half-written store", _read("copy.zarr"), ValueError, ("copy.zarr", "SpatialData store"), _half_written),
    Case("io.read", "a store of zarr 2", _read("copy.zarr"), ValueError, ("copy.zarr", "SpatialData store"), _old_format),
    Case("tl.load", "no folder", lambda b: sh.tl.load(b.tmp / "nowhere"), FileNotFoundError, ("nowhere", "manifest.json")),
    *(
        Case("tl.load", what, lambda b: sh.tl.load(b.tmp), error, says,
             _text_file("manifest.json", text))
        for what, error, says, text in [
            ("half a manifest", ValueError, ("broken", "make the run again"), '{"format": 1'),
            ("another JSON", ValueError, ("'format'",), "[1, 2]"),
            ("a newer version", ValueError, ("99", "update spatialhist"), '{"format": 99}'),
            ("a manifest of nothing", ValueError, ("None", "not a cross-validation"), '{"format": 1}'),
            ("a manifest without models", ValueError, ("'identity'",), '{"format": 1, "what": "model"}'),
            ("an unknown class", ValueError, ("'os.system'", "newer version"), json.dumps(
                {"format": 1, "what": "model", "genes": [], "slides": {}, "ranking": None,
                 "identity": {"models": [{"class": "os.system", "name": "os"}], "layer": "log1p", "seed": 0, "threads": 1,
                              "design": {"encoder": "color_texture", "extents": [["um", 75]], "pixels": 64, "image": "full",
                                         "tile_extent": ["pitch", 3], "tile_pixels": 78, "grid": 3, "context": []}}})),
        ]
    ),
    Case("pp.StainReference", "no file", lambda b: sh.pp.StainReference.load(b.tmp / "s.json"), FileNotFoundError, ("s.json", "save")),
    Case("pp.StainReference", "half a file", lambda b: sh.pp.StainReference.load(b.tmp / "s.json"), ValueError,
         ("s.json", "no stain reference"), _text_file("s.json", '{"method": "mac')),
    Case("pp.StainReference", "another JSON", lambda b: sh.pp.StainReference.load(b.tmp / "s.json"), ValueError,
         ("s.json", "no stain reference"), _text_file("s.json", "[1]")),
    Case("pp.StainReference", "NaN", lambda b: sh.pp.StainReference("reinhard", mu=[np.nan] * 3, sigma=[1] * 3), ValueError, ("mu", "(3,)", "finite")),
    Case("pp.StainReference", "a method", lambda b: sh.pp.StainReference("dye"), ValueError, ("'dye'", "macenko")),
]  # fmt: skip


def _adata(**changes: Any) -> ad.AnnData:
    parts = {"X": COUNTS, "obsm": {"spatial": np.array(XY)}} | changes
    return ad.AnnData(**{key: value for key, value in parts.items() if value is not None})


def _anndata(what: str, error: type[Exception], says: tuple[str, ...], image: Any = None, **changes: Any) -> Case:
    options = {key: changes.pop(key) for key in ("library", "slide", "mpp", "patient") if key in changes}
    given = white() if image is None else image
    return Case("io.from_anndata", what, lambda b: sh.io.from_anndata(_adata(**changes), given, **options), error, says)


def _entries(*libraries: str) -> dict[str, Any]:
    picture = {"images": {"hires": white()}, "scalefactors": {"tissue_hires_scalef": 1.0}}
    return {"spatial": dict.fromkeys(libraries, picture)}


TWO = pd.DataFrame({"library_id": ["A", "B"]}, index=["a", "b"])
ANNDATAS = [
    Case("io.from_anndata", "a SpatialData", lambda b: sh.io.from_anndata(b.sdata, white()), TypeError, ("SpatialData", "AnnData")),
    Case("io.from_anndata", "a file that is not there", lambda b: sh.io.from_anndata(_adata(), b.tmp / "a.tif"),
         FileNotFoundError, ("a.tif",)),
    Case("io.from_anndata", "a store that exists", lambda b: sh.io.from_anndata(_adata(), white(), store=b.sdata.path),
         FileExistsError, ("cohort.zarr", "choose another path")),
    _anndata("no positions", KeyError, ("obsm['spatial']", "X_umap"), obsm={"X_umap": np.zeros((2, 2))}),
    _anndata("no matrix", ValueError, ("no X", "raw counts"), X=None, obs=TWO, var=pd.DataFrame(index=["a"])),
    _anndata("no genes", ValueError, ("2 spots and 0 genes",), X=np.empty((2, 0))),
    _anndata("four coordinates", ValueError, ("(2, 4)", "x, y"), obsm={"spatial": np.zeros((2, 4))}),
    _anndata("NaN position", ValueError, ("1 of 2", "'S1'", "finite"), obsm={"spatial": np.array([[1.0, np.nan], [2, 3]])}),
    _anndata("scaled data", ValueError, ("negative", "'S1'", "-2"), X=_counts(first=-2)),
    _anndata("NaN counts", ValueError, ("1 counts", "'S1'", "missing"), X=_counts(first=np.nan)),
    _anndata("swapped axes", ValueError, ("x and y are swapped",), image=white()[:35], obsm={"spatial": np.array(XY)[:, ::-1]}),
    _anndata("libraries that nothing tells apart", ValueError, ("['A', 'B']", "adata.obs['library_id']"), uns=_entries("A", "B")),
    _anndata("one image for two libraries", ValueError, ("['A', 'B']", "image="), obs=TWO),
    _anndata("an image too few", ValueError, ("['B']", "image"), image={"A": white()}, obs=TWO),
    _anndata("an image too many", KeyError, ("['C']", "['A', 'B']"), image={"A": white(), "B": white(), "C": white()}, obs=TWO),
    _anndata("an unknown library", KeyError, ("['C']", "['A', 'B']"), library="C", obs=TWO),
    _anndata("one slide id for two libraries", ValueError, ("'S1'", "dict"), slide="S1", obs=TWO),
    _anndata("an illegal slide", ValueError, ("'a/b'", "try 'a_b'"), slide="a/b"),
    _anndata("negative scale", ValueError, ("mpp", "'S1'", "positive"), mpp=-1.0),
    _anndata("a scale factor of 0", ValueError, ("['A']", "spot_diameter_fullres", "positive"),
             uns={"spatial": {"A": {"scalefactors": {"spot_diameter_fullres": 0.0}}}}),
    Case("io.from_anndata", "no image at all", lambda b: sh.io.from_anndata(_adata()), ValueError,
         ("no picture", "sh.io.from_anndata(adata, image=)")),
    Case("io.read", "a table without a picture", _read("a.h5ad"), ValueError,
         ("a.h5ad", "anndata.read_h5ad", "sh.io.from_anndata(adata, image=)"), lambda b: _adata().write_h5ad(b.tmp / "a.h5ad")),
    Case("io.read", "text as a table", _read("a.h5ad"), ValueError, ("a.h5ad", "no AnnData file"), _text_file("a.h5ad")),
    Case("io.read", "a table without positions", _read("a.h5ad"), KeyError, ("a.h5ad", "obsm['spatial']"),
         lambda b: _adata(obsm={}).write_h5ad(b.tmp / "a.h5ad")),
    Case("io.read_hest", "another folder", lambda b: sh.io.read_hest(b.tmp), FileNotFoundError, ("st/<id>.h5ad", "HEST-1k")),
]  # fmt: skip


RING = [[10, 20], [30, 20], [30, 50], [10, 20]]


def _write_geojson(
    what: str, error: type[Exception], says: tuple[str, ...], damage: Callable[[Box], Any] | None = None, **options: Any
) -> Case:
    given = {"slide": "S1", "layer": "log1p"} | options
    return Case(
        "io.write_geojson",
        what,
        lambda b: sh.io.write_geojson(b.sdata, b.tmp / "a.geojson", **given),
        error,
        says,
        damage,
    )


def _lose_log1p(box: Box) -> None:
    box.table.layers["log1p"] = np.full(box.table.shape, np.nan)


def _read_geojson(
    what: str, error: type[Exception], says: tuple[str, ...], text: str | bytes | None = None, **options: Any
) -> Case:
    def write(box: Box) -> None:
        content = _drawn(RING) if text is None else text
        (box.tmp / "a.geojson").write_bytes(content if isinstance(content, bytes) else content.encode())

    given = {"slide": "S1"} | options
    return Case(
        "io.read_geojson", what, lambda b: sh.io.read_geojson(b.sdata, b.tmp / "a.geojson", **given), error, says, write
    )


def _drawn(*rings: Any, kind: str = "Polygon", **about: Any) -> str:
    return json.dumps({"type": "Feature", "geometry": {"type": kind, "coordinates": rings}, "properties": about})


GEOJSON = [
    _write_geojson("several slides", ValueError, ("'S1', 'S2'", "slide="), slide=None),
    _write_geojson("an unknown slide", KeyError, ("S9", "'S1'"), slide="S9"),
    _write_geojson("an unknown gene", KeyError, ("GX", "not in the table"), genes="GX"),
    _write_geojson("a gene twice", ValueError, ("named twice", "G1"), genes=["G1", "G1"]),
    _write_geojson("no layer", KeyError, ("'raw'", "found"), layer="raw"),
    _write_geojson("no column", KeyError, ("classification='kind'", "'region'"), classification="kind"),
    _write_geojson("another kind", ValueError, ("'cell'", "detection", "annotation"), kind="cell"),
    _write_geojson("an unknown gene for colors", KeyError, ("GX", "not in the table"), color_by="GX"),
    _write_geojson("an unknown color map", ValueError, ("cmap='pink_'", "matplotlib"), color_by="G1", cmap="pink_"),
    _write_geojson("nothing but NaN", ValueError, ("'log1p'", "'S1'", "layer="), _lose_log1p),
    Case("io.read_geojson", "no file", lambda b: sh.io.read_geojson(b.sdata, b.tmp / "a.geojson", slide="S1"), FileNotFoundError,
         ("a.geojson",)),
    _read_geojson("several slides", ValueError, ("'S1', 'S2'", "slide="), slide=None),
    _read_geojson("an unknown slide", KeyError, ("S9", "'S1'"), slide="S9"),
    _read_geojson("an illegal key", ValueError, ("try 'a_b'",), key_added="a b"),
    _read_geojson("the key of an image", ValueError, ("'S1_full_image'", "taken"), key_added="S1_full_image"),
    _read_geojson("the key of a column", ValueError, ("'patient'", "taken"), key_added="patient"),
    _read_geojson("text", ValueError, ("a.geojson", "no GeoJSON", "QuPath"), "no such thing"),
    _read_geojson("half a gzip", ValueError, ("a.geojson", "no GeoJSON"), gzip.compress(_drawn(RING).encode())[:-9]),
    _read_geojson("another JSON", ValueError, ("a.geojson", "no features"), '{"a": 1}'),
    _read_geojson("numbers", ValueError, ("a.geojson", "no features"), "[1, 2]"),
    _read_geojson("no features", ValueError, ("0 features", "areas"), '{"type": "FeatureCollection", "features": []}'),
    _read_geojson("points alone", ValueError, ("1 features", "points"), _drawn(10, 20, kind="Point")),
    _read_geojson("a ring of two corners", ValueError, ("feature 1", "remove"), _drawn(RING[:2])),
    _read_geojson("a ring without area", ValueError, ("feature 1", "no area"), _drawn([[1, 1], [2, 2], [3, 3], [1, 1]])),
    _read_geojson("NaN in a ring", ValueError, ("feature 1", "numbers"), _drawn([[1, 1], [2, float("nan")], [3, 3], [1, 1]])),
    _read_geojson("words in a ring", ValueError, ("feature 1", "remove"), _drawn([["a", "b"]] * 4)),
    _read_geojson("a class of nothing", ValueError, ("a.geojson", "classification"), _drawn(RING, classification=7)),
    _read_geojson("another image", ValueError, ("a.geojson", "'S1_full_image'", "slide="), _drawn((np.array(RING) + 90_000).tolist())),
]  # fmt: skip


CASES = [*ARRAYS, *ST, *FILES, *ANNDATAS, *GEOJSON]

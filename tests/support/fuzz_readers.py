"""Readers of files from strangers, each with a file that it accepts, and ways to damage a file."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import imagecodecs
import numpy as np
import pandas as pd
import spatialdata as sd
import tifffile
from PIL import Image
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix
from small_xenium import write_cells as write_xenium_cells
from small_xenium import write_landmarks, write_xenium
from tests.io.conftest import picture, write_space_ranger
from visium_hd_folders import write_bins, write_cells

import spatialhist as sh
from spatialhist import _keys
from spatialhist._runtime import files
from spatialhist._runtime.files import intact
from spatialhist._sdata.images import add_mask
from spatialhist.io._saving import exchange
from spatialhist.io._saving.history import HISTORY, next_save, read_history, unseen, write_history
from spatialhist.tl._runs.fits import read_state
from spatialhist.tl._runs.manifest import FORMAT
from spatialhist.tl._scores.card import gene_table
from spatialhist.tl._scores.card_file import read_card, write_card

OURS = (ValueError, KeyError, TypeError, FileNotFoundError)


@dataclass(frozen=True)
class Reader:
    """A reader and the file of it that is damaged."""

    path: Path
    read: Callable[[], Any]
    good: bytes

    @classmethod
    def of(cls, path: Path, read: Callable[[], Any]) -> Reader:
        """Check that the file is accepted as it is."""
        read()
        return cls(path, read, path.read_bytes())


def read_damaged(reader: Reader, folder: Path, seed: int) -> bool:
    """Damage the file and read it; True where it is accepted all the same.

    Raises
    ------
    AssertionError
        If something comes out that is none of our errors, or names nothing.
    """
    reader.path.write_bytes(damage(reader.good, np.random.default_rng(seed)))
    try:
        reader.read()
        return True
    except OURS as error:
        ours = type(error).__module__.split(".")[0] in ("builtins", "spatialhist", "json")
        assert ours and str(error).strip("'\""), f"seed {seed}: {error!r}"
        return False
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__module__}.{type(error).__name__}: {error}") from error
    finally:
        reader.path.write_bytes(reader.good)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, repeat, insert or overwrite bytes, one to four times."""
    result = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(result) + 1))
        length = int(rng.integers(1, 9))
        kind = rng.integers(0, 6)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del result[at:]
        elif kind == 2:
            result[at:at] = result[at : at + 8 * length]
        elif kind == 3:
            result[at:at] = rng.bytes(length)
        elif kind == 4:
            result[at : at + length] = rng.choice([b"\xff" * length, b"\0" * length, b"9" * length, b"\x7f" * length])
        else:
            del result[at : at + length]
        if not result:
            return b""
    return bytes(result)


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


def _image(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = folder / name
        if path.suffix == ".tif":
            tifffile.imwrite(path, _pixels(), compression="deflate", tile=(16, 16))
        elif path.suffix == ".jpg":
            path.write_bytes(imagecodecs.jpeg8_encode(_pixels()))
        else:
            Image.fromarray(_pixels()).save(path)
        return Reader.of(path, lambda: _decode(path))

    return make


def _decode(path: Path) -> None:
    store = path.with_suffix(".zarr")
    shutil.rmtree(store, ignore_errors=True)
    sh.io.read_wsi(path, mpp=1, store=store, progress=False)


def _st(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        for part in ("images", "counts", "spots"):
            (folder / part).mkdir(exist_ok=True)
        (folder / "slides.csv").write_text("slide,patient,image,mpp_um\nA1,A,images/A1.png,0.5\n")
        (folder / "spots" / "A1.csv").write_text("spot_id,pixel_x,pixel_y\na,20,10\nb,10,20\n")
        (folder / "counts" / "A1.tsv.gz").write_bytes(gzip.compress(b"\tG1\tG2\na\t1\t2\nb\t3\t4\n"))
        Image.fromarray(_pixels()).save(folder / "images" / "A1.png")
        return Reader.of(folder / name, lambda: sh.io.read_st(folder, progress=False))

    return make


def _visium_hd(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        cells = name.startswith("segmented")
        write_cells(folder) if cells else write_bins(folder)
        return Reader.of(folder / name, lambda: sh.io.read_visium_hd(folder, bin_um="cells" if cells else 8))

    return make


def _visium(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        outs = write_space_ranger(folder / "outs", header=True)
        return Reader.of(outs / name, lambda: sh.io.read_visium(outs))

    return make


def _xenium(name: str, **options: Any) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        output = write_xenium(folder / "xenium")
        if name.endswith(".csv.gz"):
            pd.read_parquet(output / "transcripts.parquet").to_csv(output / name)
            (output / "transcripts.parquet").unlink()
        return Reader.of(output / name, lambda: sh.io.read_xenium(output, spots=options.get("spots", ("um", 17))))

    return make


def _landmarks(folder: Path) -> Reader:
    output = write_xenium(folder / "xenium")
    path = write_landmarks(output / "S_he_imagealignment.csv")
    return Reader.of(path, lambda: sh.io.read_xenium(output, spots=("um", 17)))


def _xenium_text(name: str, spots: Any) -> Callable[[Path], Reader]:
    """Text as it is, without the checksum that damage would not pass."""

    def make(folder: Path) -> Reader:
        output = write_xenium(folder / "xenium")
        write_xenium_cells(output, kind="cells.csv")
        pd.read_parquet(output / "transcripts.parquet")[:40].to_csv(output / "transcripts.csv", index=False)
        text = Path(shutil.move(output / f"{name}.csv", folder))
        for other in output.glob(f"{name}.*"):
            other.unlink()

        def read() -> None:
            (output / f"{name}.csv.gz").write_bytes(gzip.compress(text.read_bytes(), 1))
            sh.io.read_xenium(output, spots=spots)

        return Reader.of(text, read)

    return make


def _challenge(folder: Path) -> Reader:
    path = folder / "c.h5"
    with h5py.File(path, "w") as file:
        file["spots/Train/S_1"] = np.zeros(3, [("x", float), ("y", float), ("C1", float)])
        file.create_dataset("images/Train/S_1", data=np.zeros((9, 8, 3)), chunks=(3, 4, 3), compression="gzip")
    return Reader.of(path, lambda: sh.io.read_challenge(path))


def _geojson(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path, sdata = folder / name, sh.io.from_arrays(_pixels(), [[5, 6], [15, 6]], [[1.0], [2.0]])
        sh.io.write_geojson(sdata, path, layer="X", classification="region", color_by=sdata["table"].var_names[0])
        return Reader.of(path, lambda: sh.io.read_geojson(sd.deepcopy(sdata), path))

    return make


def _stain(folder: Path) -> Reader:
    path = folder / "s.json"
    sh.pp.StainReference.canonical("macenko").save(path)
    return Reader.of(path, lambda: sh.pp.StainReference.load(path))


def _run(what: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        identity = {
            "models": [{"class": "Ridge", "name": "ridge", "components": 6}], "baselines": [], "layer": "log1p",
            "design": {"encoder": "color_texture", "extents": [["px", 20.0]], "tile_extent": ["px", 20.0]},
            "seed": 0, "threads": 1, "groups": ["P1", "P2"], "panels": {"P1": [0], "P2": [0]},
        }  # fmt: skip
        manifest = {"format": FORMAT, "what": what, "identity": identity, "genes": ["G"], "ranking": None}
        manifest["slides"] = {"S1": {"group": "P1", "pixels": "x", "spots": 3}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return Reader.of(folder / "manifest.json", lambda: sh.tl.load(folder).design())

    return make


def _state(folder: Path) -> Reader:
    save_file({"weights": np.ones((3, 2), np.float32)}, folder / "model.safetensors")
    (folder / "model.json").write_text("{}")

    def read() -> Any:
        with intact(folder):
            return read_state(folder)

    return Reader.of(folder / "model.safetensors", read)


def _card(folder: Path) -> Reader:
    facts = {"score": 0.4, "baseline": 0.1, "ceiling": 0.8, "fraction": 0.5, "groups": 3, "wins": 2, "verdict": "weak"}
    scores = [{"predictor": "ridge", "kind": "model", "mean": 0.4}]
    write_card(folder, {"predictor": "ridge", "scores": scores, "genes": {"G1": facts, "G2": facts}})
    return Reader.of(folder / "card.json", lambda: gene_table(read_card(folder)))


def _history(folder: Path) -> Reader:
    sdata = sd.SpatialData()
    held = {"tables/table/layers/log1p": "0123", "shapes/S1": None}
    (folder / _keys.STORE_FOLDER).mkdir(exist_ok=True)
    path = folder / _keys.STORE_FOLDER / HISTORY
    write_history(path, [next_save([], sdata, held)])
    return Reader.of(path, lambda: unseen(read_history(folder), [None], folder))


def _features(folder: Path) -> Reader:
    path = folder / "f.npy"
    np.save(path, np.ones((5, 3), np.float32))
    return Reader.of(path, lambda: files.load_array(path))


def _store(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        path = folder / "a.zarr"
        shutil.rmtree(path, ignore_errors=True)
        counts = np.arange(6, dtype=float).reshape(2, 3)
        sh.io.from_arrays(_pixels(), [[5, 6], [15, 6]], counts).write(path)
        return Reader.of(path / name, lambda: sh.io.read(path))

    return make


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of everything: what was written, moved or removed shows."""
    return {str(p.relative_to(folder)): (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in sorted(folder.rglob("*"))}


def _stores(folder: Path) -> tuple[Path, Path]:
    """A store, and another one that nothing may touch."""
    template = folder / "template.zarr"
    if not template.exists():
        counts = csr_matrix(np.arange(6, dtype=np.float32).reshape(2, 3))
        sdata = sh.io.from_arrays(_pixels(), [[5, 6], [15, 6]], counts)
        sdata["table"].layers["old"] = np.ones((2, 3), np.float32)
        sdata.write(template)
    store, victim = folder / "a.zarr", folder / "victim.zarr"
    for copy in (store, victim):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(template, copy)
    return store, victim


def _save(store: Path, victim: Path) -> None:
    """Change something of every kind in a store, save it, and see that the other one is as it was."""
    before = _files(victim)
    try:
        sdata = sh.io.read(store)
        table = sdata["table"]
        table.layers["new"] = np.zeros((2, 3), np.float32)
        table.layers.pop("old", None)
        table.obs["grade"] = [1, 2]
        add_mask(sdata, np.ones((6, 8), dtype=bool), image=next(iter(sdata.images)))
        sh.io.save(sdata)
    finally:
        assert _files(victim) == before, "another store was changed"


def _journal(folder: Path) -> Reader:
    path = folder / "journal.json"
    good = json.dumps(
        [{"new": None, "path": "tables/table/layers/old"}, {"new": "gone", "path": "tables/table/var"}]
    ).encode()
    path.write_bytes(good)

    def read() -> None:
        store, victim = _stores(folder)
        (store / exchange.STAGE).mkdir()
        text = path.read_bytes()
        if text != good and zlib.crc32(text) % 2:
            text = good.replace(b"tables/table/var", os.fsencode(victim / "tables/table/var"))
        (store / exchange.STAGE / "journal.json").write_bytes(text)
        _save(store, victim)

    return Reader.of(path, read)


PLACES = ("tables", "tables/table", "tables/table/layers", "tables/table/obs", "tables/table/layers/old", "images", "shapes",
          ".spatialhist-save", ".spatialhist-save/old", ".spatialhist-save/old/images", "zarr.json")  # fmt: skip


def _links(folder: Path) -> Reader:
    """Two bytes a link: where it lies, and whether it leads to the same place of the other store, or to all of it."""
    path = folder / "links.bin"
    path.write_bytes(b"\xff" * 8)

    def read() -> None:
        store, victim = _stores(folder)
        data = path.read_bytes()
        for place, target in zip(data[::2], data[1::2], strict=False):
            if place < len(PLACES) * 20:
                link = store / PLACES[place % len(PLACES)]
                if link.resolve().is_relative_to(store):
                    link.parent.mkdir(parents=True, exist_ok=True)
                    files.remove(link)
                    link.symlink_to(victim / PLACES[place % len(PLACES)] if target % 2 else victim)
        _save(store, victim)

    return Reader.of(path, read)


def _sparse(folder: Path) -> Reader:
    """Positions of a sparse table as they are, without the compression that damage would not pass."""
    path = folder / "positions.bin"
    counts = csr_matrix(np.random.default_rng(0).poisson(0.8, (40, 7)).astype(np.float32))
    good = np.concatenate([counts.indptr, counts.indices]).astype("<i4").tobytes()
    path.write_bytes(good)

    def read() -> None:
        data = path.read_bytes()[: len(good)]
        stored = np.frombuffer(data + good[len(data) :], "<i4")
        xy = np.column_stack([np.arange(40) % 8 * 3, np.arange(40) // 8 * 4])
        sdata = sh.io.from_arrays(_pixels(), xy, counts.copy(), slide="S1")
        sdata["table"].X.indptr[:], sdata["table"].X.indices[:] = stored[:41], stored[41:]
        sh.pp.log_normalize(sdata)
        sh.pp.select_genes(sdata, n=3)
        sh.pp.rank_expression(sdata)

    return Reader.of(path, read)


def _h5ad(folder: Path) -> Reader:
    path = folder / "a.h5ad"
    entry = {"images": {"hires": _pixels()}, "scalefactors": {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 5.0}}
    obs = pd.DataFrame({"library_id": ["A", "A"], "depth": [1, 2]}, index=["a", "b"])
    adata = ad.AnnData(csr_matrix([[1.0, 0, 2], [0, 3, 4]]), obs=obs, obsm={"spatial": np.array([[5.0, 6], [15, 6]])})
    adata.uns["spatial"] = {"A": entry}
    adata.write_h5ad(path)
    return Reader.of(path, lambda: sh.io.read(path))


def _hest(name: str) -> Callable[[Path], Reader]:
    def make(folder: Path) -> Reader:
        _h5ad(folder)
        for part in ("st", "wsis", "metadata"):
            (folder / part).mkdir(exist_ok=True)
        shutil.move(folder / "a.h5ad", folder / "st" / "A.h5ad")
        tifffile.imwrite(folder / "wsis" / "A.tif", _pixels())
        (folder / "metadata" / "A.json").write_text(
            json.dumps({"pixel_size_um_estimated": 0.5, "patient": "P1", "organ": "Breast", "st_technology": "Visium"})
        )
        (folder / "HEST_v1_1_0.csv").write_text("id,organ,spot_diameter\nA,Breast,55\n")
        return Reader.of(folder / name, lambda: sh.io.read_hest(folder))

    return make


def _sheet(folder: Path) -> Reader:
    write_bins(folder / "lung")
    write_space_ranger(folder / "outs", header=True)
    Image.fromarray(picture()).save(folder / "a.png")
    path = folder / "samples.csv"
    path.write_text(
        "path,platform,slide,patient,bin_um,pool_um,image,grade\nouts,visium,A,P1,,,a.png,3\nlung,,B,P2,8,20,,2\n"
    )
    return Reader.of(path, lambda: sh.io.read(path))


READERS: dict[str, Callable[[Path], Reader]] = {
    "png": _image("a.png"),
    "jpeg": _image("a.jpg"),
    "tiff": _image("a.tif"),
    "slides.csv": _st("slides.csv"),
    "spots": _st("spots/A1.csv"),
    "counts": _st("counts/A1.tsv.gz"),
    "bins": _visium_hd("binned_outputs/square_008um/filtered_feature_bc_matrix.h5"),
    "bin positions": _visium_hd("binned_outputs/square_008um/spatial/tissue_positions.parquet"),
    "bin scale": _visium_hd("binned_outputs/square_008um/spatial/scalefactors_json.json"),
    "cell outlines": _visium_hd("segmented_outputs/cell_segmentations.geojson"),
    "cells of bins": _visium_hd("segmented_outputs/filtered_feature_cell_matrix.h5"),
    "visium matrix": _visium("filtered_feature_bc_matrix.h5"),
    "visium positions": _visium("spatial/tissue_positions.csv"),
    "visium scale": _visium("spatial/scalefactors_json.json"),
    "annotations": _geojson("a.geojson"),
    "annotations, compressed": _geojson("a.geojson.gz"),
    "challenge": _challenge,
    "h5ad": _h5ad,
    "hest metadata": _hest("metadata/A.json"),
    "hest sheet": _hest("HEST_v1_1_0.csv"),
    "hest counts": _hest("st/A.h5ad"),
    "hest image": _hest("wsis/A.tif"),
    "sample sheet": _sheet,
    "experiment.xenium": _xenium("experiment.xenium"),
    "transcripts.parquet": _xenium("transcripts.parquet"),
    "transcripts.csv.gz": _xenium("transcripts.csv.gz"),
    "alignment": _xenium("S_he_imagealignment.csv"),
    "transcripts text": _xenium_text("transcripts", ("um", 17)),
    "landmarks": _landmarks,
    "cells": _xenium("cells.parquet", spots="cells"),
    "cells text": _xenium_text("cells", "cells"),
    "cell matrix": _xenium("cell_feature_matrix.h5", spots="cells"),
    "stain": _stain,
    "manifest": _run("cross-validation"),
    "model": _run("model"),
    "safetensors": _state,
    "card": _card,
    "history": _history,
    "features": _features,
    "store": _store("zarr.json"),
    "table": _store("tables/table/obs/zarr.json"),
    "shapes": _store("shapes/S1/shapes.parquet"),
    "journal": _journal,
    "links": _links,
    "sparse": _sparse,
}

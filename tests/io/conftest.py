from __future__ import annotations

import gzip
import json
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from scipy import sparse

HEIGHT, WIDTH = 300, 423


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Pixels (y, x, 3): red is x / 2, green is y / 2."""
    image = np.full((height, width, 3), 7, dtype=np.uint8)
    image[..., 0] = np.arange(width) // 2
    image[..., 1] = (np.arange(height) // 2)[:, None]
    return image


def write_matrix(path: Path, ids: list[str], genes: list[str], values: list[list[object]], *, corner: str = "") -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [[corner, *genes], *([i, *row] for i, row in zip(ids, values, strict=True))]
    with gzip.open(path, "wt") as file:
        file.writelines("\t".join(map(str, line)) + "\n" for line in lines)


def write_spots(path: Path, ids: list[str], **columns) -> None:
    path.parent.mkdir(exist_ok=True)
    xy = {"pixel_x": 100 + 50.0 * np.arange(len(ids)), "pixel_y": 40.0}
    pd.DataFrame({"spot_id": ids, **xy, **columns}).to_csv(path, index=False)


@pytest.fixture
def st_folder(tmp_path) -> Path:
    """Two slides that share gene B; the counts are in another order than the spots."""
    folder = tmp_path / "st"
    (folder / "images").mkdir(parents=True)
    Image.fromarray(picture()).save(folder / "images/S1.png")
    Image.fromarray(picture(520, 610)).save(folder / "images/S2.png")
    write_matrix(folder / "counts/S1.tsv.gz", ["4x1", "2x1", "3x1"], ["A", "B"], [[40, 41], [20, 21], [30, 31]])
    write_matrix(folder / "counts/S2.tsv.gz", ["2x1", "3x1"], ["B", "C"], [[1, 2], [3, 0]])
    write_spots(folder / "spots/S1.csv", ["2x1", "3x1", "4x1"], array_x=[2, 3, 4], label=["x", None, "y"])
    write_spots(folder / "spots/S2.csv", ["2x1", "3x1"], array_x=[2, 3])
    sheet = {"slide": ["S1", "S2"], "patient": ["P1", 2], "image": ["images/S1.png", None], "mpp_um": [0.5, None]}
    pd.DataFrame(sheet | {"spot_diameter_px": [20.0, 25.0]}).to_csv(folder / "slides.csv", index=False)
    return folder


def write_space_ranger(folder: Path, *, header: bool, genes: tuple[str, ...] = ("A", "B", "A")) -> Path:
    """Make 12 spots on a hexagonal lattice 20 px apart, the last of them off tissue and only in the raw counts."""
    spatial = folder / "spatial"
    spatial.mkdir(parents=True)
    barcodes = [f"{'ACGT'[i // 4]}{'ACGT'[i % 4]}AA-1" for i in range(12)]
    row, col = np.divmod(np.arange(12), 4)
    positions = pd.DataFrame(
        {
            "barcode": barcodes,
            "in_tissue": [1] * 11 + [0],
            "array_row": row,
            "array_col": 2 * col + row % 2,
            "pxl_row_in_fullres": np.rint(60 + row * 20 * np.sqrt(3) / 2).astype(int),
            "pxl_col_in_fullres": 100 + 20 * col + 10 * (row % 2),
        }
    )
    name = "tissue_positions.csv" if header else "tissue_positions_list.csv"
    positions.to_csv(spatial / name, index=False, header=header)
    factors = {"spot_diameter_fullres": 13.0, "tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.25}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
    Image.fromarray(picture()[::2, ::2]).save(spatial / "tissue_hires_image.png")
    Image.fromarray(picture()[::4, ::4]).save(spatial / "tissue_lowres_image.png")
    counts = np.arange(12 * len(genes)).reshape(12, -1)
    _write_10x(folder / "filtered_feature_bc_matrix.h5", barcodes[:11], genes, counts[:11])
    _write_10x(folder / "raw_feature_bc_matrix.h5", barcodes, genes, counts)
    return folder


def _write_10x(path: Path, barcodes: list[str], genes: tuple[str, ...], counts: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["chemistry_description"] = "Visium V1 Slide"
        file.attrs["software_version"] = "spaceranger-2.1.0"
        file.attrs["library_ids"] = np.array([b"lib"])
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, dtype="S")
        matrix["data"] = counts.ravel()
        matrix["indices"] = np.tile(np.arange(len(genes)), len(barcodes))
        matrix["indptr"] = np.arange(len(barcodes) + 1) * len(genes)
        matrix["shape"] = np.array([len(genes), len(barcodes)])
        features = matrix.create_group("features")
        features["id"] = np.array([f"ENSG{i}" for i in range(len(genes))], dtype="S")
        features["name"] = np.array(genes, dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * len(genes), dtype="S")
        features["genome"] = np.array(["GRCh38"] * len(genes), dtype="S")


@pytest.fixture
def challenge(tmp_path) -> Path:
    """Two training slides and a test slide, three targets, spots 25 px apart."""
    path = tmp_path / "challenge.h5"
    rng = np.random.default_rng(0)
    targets = [("C1", "f4"), ("C2", "f4"), ("C3", "f4")]
    with h5py.File(path, "w") as file:
        for part, slide, n in (("Train", "S_2", 4), ("Train", "S_10", 3), ("Test", "S_7", 5)):
            file[f"images/{part}/{slide}"] = (picture() / 255).astype(np.float32)
            fields = targets if part == "Train" else [("Test_Set", "i4")]
            spots = np.zeros(n, dtype=[("x", "i4"), ("y", "i4"), *fields])
            spots["x"], spots["y"] = 50 + 25 * np.arange(n), 30
            for name, _ in fields:
                spots[name] = rng.integers(1, 3, n) if name == "Test_Set" else rng.random(n)
            file[f"spots/{part}/{slide}"] = spots
    return path


GENES = ["ERBB2", "FASN", "CD3E", "KRT5"]


def hexagon(rows: int = 6, columns: int = 8, *, pitch: float = 40.0, x: float = 50.0, y: float = 30.0) -> pd.DataFrame:
    """Spots of a hexagonal array: where they lie, and their row and column as Space Ranger numbers them."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    shift = row % 2
    return pd.DataFrame(
        {"x": x + pitch * (column + shift / 2), "y": y + pitch * row * np.sqrt(3) / 2,
         "array_row": row, "array_col": 2 * column + shift}
    )  # fmt: skip


def make_adata(*libraries: str, format: str = "csr") -> ad.AnnData:
    """Make an AnnData as squidpy has it: libraries in one table, 40 pixels (100 um) from spot to spot."""
    parts = []
    for i, library in enumerate(libraries):
        spots, rng = hexagon(x=50.0 + 20 * i), np.random.default_rng(i)
        obs = spots[["array_row", "array_col"]].assign(in_tissue=["yes", "no"] * (len(spots) // 2))
        part = ad.AnnData(
            sparse.csr_matrix(rng.poisson(3, (len(spots), len(GENES))).astype(np.float32)),
            obs=obs.set_axis([f"AC{n}-1-{library}" for n in range(len(spots))]),
            var=pd.DataFrame({"gene_ids": [f"ENSG{n}" for n in range(len(GENES))], "variable": True}, index=GENES),
            obsm={"spatial": spots[["x", "y"]].to_numpy(), "X_pca": rng.random((len(spots), 3))},
        )
        part.layers["log"] = np.log1p(part.X.toarray())
        part.uns["spatial"] = {library: _squidpy_entry()}
        parts.append(part)
    adata = ad.concat(dict(zip(libraries, parts, strict=True)), label="library_id", uns_merge="unique", merge="same")
    adata.X = adata.X.asformat(format)
    return adata


def _squidpy_entry() -> dict:
    """Return a picture of a quarter of the size of the image, and scale factors as Space Ranger writes them."""
    factors = {"tissue_hires_scalef": 0.25, "spot_diameter_fullres": 26.0}
    return {"images": {"hires": picture(300, 440)[::4, ::4] / 255}, "scalefactors": factors}


def write_hest(folder: Path, **samples: dict) -> Path:
    """Write samples of HEST-1k, each with what its metadata says beside the defaults."""
    for name in ("st", "wsis", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for name, changes in samples.items():
        about = {"id": name, "organ": "Breast", "st_technology": "Visium", "pixel_size_um_estimated": 2.5,
                 "pixel_size_um_embedded": 9.0, "spot_diameter": 55.0, "inter_spot_dist": 100.0,
                 "dataset_title": "A study", "patient": None} | changes  # fmt: skip
        adata = make_adata("ST")
        adata.obs = adata.obs.drop(columns="library_id")
        adata.write_h5ad(folder / "st" / f"{name}.h5ad")
        tifffile.imwrite(folder / "wsis" / f"{name}.tif", picture(300, 440), tile=(64, 64))
        (folder / "metadata" / f"{name}.json").write_text(json.dumps(about))
        rows.append(about)
    pd.DataFrame(rows).to_csv(folder / "HEST_v1_1_0.csv", index=False)
    return folder

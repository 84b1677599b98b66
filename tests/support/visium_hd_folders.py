"""Small folders as Space Ranger writes them for Visium HD: bins of any size, and cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from PIL import Image

MPP = 0.5
HEIGHT, WIDTH = 300, 423
GENES = ("A", "B", "A", "C")


def place(row: Any, column: Any, bin_um: float) -> tuple[Any, Any]:
    """Pixels (x, y) of the center of a bin on an array that is turned a little."""
    side = bin_um / MPP
    return 40 + side * (column + 0.5) - 0.02 * side * row, 25 + side * (row + 0.5) + 0.02 * side * column


def picture() -> np.ndarray:
    """Pixels (y, x, 3): red is x / 2, green is y / 2."""
    image = np.full((HEIGHT, WIDTH, 3), 7, dtype=np.uint8)
    image[..., 0] = np.arange(WIDTH) // 2
    image[..., 1] = (np.arange(HEIGHT) // 2)[:, None]
    return image


def write_bins(
    outs: Path, bin_um: int = 8, *, rows: int = 7, columns: int = 11, genes: tuple[str, ...] = GENES
) -> Path:
    """Write bins, of which the matrix leaves out the last row and has the others in another order than the positions."""
    folder = outs / f"binned_outputs/square_{bin_um:03d}um"
    row, column = (n.ravel() for n in np.indices((rows, columns)))
    x, y = place(row, column, bin_um)
    barcodes = [f"s_{bin_um:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]
    _write_spatial(folder, {"bin_size_um": float(bin_um), "spot_diameter_fullres": bin_um / MPP})
    pd.DataFrame(
        {
            "barcode": barcodes, "in_tissue": (row < rows - 1).astype(np.int32), "array_row": row.astype(np.int32),
            "array_col": column.astype(np.int32), "pxl_row_in_fullres": y, "pxl_col_in_fullres": x,
        }
    ).to_parquet(folder / "spatial/tissue_positions.parquet", index=False)  # fmt: skip
    order = np.random.default_rng(bin_um).permutation((rows - 1) * columns)
    counts = np.column_stack([row[order], column[order], *(np.full(len(order), 3 + i) for i in range(len(genes) - 2))])
    write_matrix(folder / "filtered_feature_bc_matrix.h5", [barcodes[i] for i in order], counts, genes)
    return folder


def write_cells(outs: Path, genes: tuple[str, ...] = GENES) -> Path:
    """Write cells 5, 3 and 8: a rectangle of 20 x 10 pixels, a triangle of 12 x 24, and a square of 6."""
    folder = outs / "segmented_outputs"
    outlines = {
        5: [[100, 50], [120, 50], [120, 60], [100, 60]],
        3: [[150, 90], [162, 90], [150, 114]],
        8: [[200, 70], [206, 70], [206, 76], [200, 76]],
    }
    _write_spatial(folder, {})
    features = [
        {"type": "Feature", "properties": {"cell_id": cell}, "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}
        for cell, ring in outlines.items()
    ]  # fmt: skip
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (folder / "cell_segmentations.geojson").write_text(text)
    counts = np.arange(3 * len(genes)).reshape(3, -1)
    barcodes = [f"cellid_{cell:09d}-1" for cell in (3, 8, 5)]
    write_matrix(folder / "filtered_feature_cell_matrix.h5", barcodes, counts, genes)
    return folder


def _write_spatial(folder: Path, factors: dict[str, float]) -> None:
    (folder / "spatial").mkdir(parents=True)
    factors = {"microns_per_pixel": MPP, "tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.25, **factors}
    (folder / "spatial/scalefactors_json.json").write_text(json.dumps(factors))
    Image.fromarray(picture()[::2, ::2]).save(folder / "spatial/tissue_hires_image.png")
    Image.fromarray(picture()[::4, ::4]).save(folder / "spatial/tissue_lowres_image.png")


def write_matrix(
    path: Path, barcodes: list[str], counts: np.ndarray, genes: tuple[str, ...], kinds: Any = None
) -> None:
    """Write a matrix as Space Ranger does, without what is zero."""
    from scipy.sparse import csr_matrix

    values, text = csr_matrix(counts), lambda words: np.array(list(words), dtype="S")
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"], matrix["shape"] = text(barcodes), np.array(counts.shape[::-1], dtype=np.int32)
        matrix["indptr"] = values.indptr.astype(np.int64)
        for name, stored in (("data", values.data.astype(np.int32)), ("indices", values.indices.astype(np.int64))):
            matrix.create_dataset(name, data=stored, compression="gzip", chunks=(min(50, len(stored)),))
        matrix["features/name"], matrix["features/id"] = text(genes), text(f"ENSG{i}" for i in range(len(genes)))
        matrix["features/feature_type"] = text(kinds or ["Gene Expression"] * len(genes))
        matrix["features/genome"] = text(["GRCh38"] * len(genes))

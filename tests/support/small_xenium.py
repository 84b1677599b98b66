"""Write Xenium outputs of a few transcripts and cells, with an H&E image that is turned by a quarter."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import spatialdata as sd
import tifffile

from spatialhist._sdata.images import levels_of

PIXEL_SIZE = 0.2125
WIDTH, HEIGHT = 420, 300
TURNED = np.array([[0.0099, 1.2896, 31.0], [-1.2896, 0.0099, 1.2896 * WIDTH + 12.0], [0.0, 0.0, 1.0]])
"""From pixels of the H&E image to pixels of the morphology image, turned and scaled as a real one is."""
CONTROLS = {
    "NegControlProbe_00062": "negative_control_probe",
    "NegControlCodeword_0511": "negative_control_codeword",
    "BLANK_0069": "blank_codeword",
    "antisense_ADCY4": "negative_control_probe",
    "UnassignedCodeword_3113": "unassigned_codeword",
    "DeprecatedCodeword_6264": "deprecated_codeword",
    "Intergenic_Region_001": "genomic_control_probe",
}
GENES = {"FASN": "predesigned_gene", "ERBB2": "custom_gene", "ACTA2": "predesigned_gene"}


def to_um(pixels: np.ndarray, matrix: np.ndarray = TURNED) -> np.ndarray:
    """Micrometers on the slide at pixels of the H&E image."""
    return (np.asarray(pixels, dtype=float) @ matrix[:2, :2].T + matrix[:2, 2]) * PIXEL_SIZE


def make_transcripts(n: int = 900, seed: int = 3) -> pd.DataFrame:
    """Transcripts of three genes and seven kinds of controls below the H&E image, some of low quality."""
    rng = np.random.default_rng(seed)
    features = {**GENES, **CONTROLS}
    share = np.array([0.4, 0.25, 0.1, *[0.25 / 7] * 7])
    name = rng.choice(list(features), n, p=share)
    um = to_um(rng.uniform((20, 15), (WIDTH - 20, HEIGHT - 15), (n, 2)))
    return pd.DataFrame(
        {
            "transcript_id": np.arange(n, dtype=np.uint64) + 281474976711439,
            "cell_id": rng.choice(["aaaabbbb-1", "UNASSIGNED"], n),
            "feature_name": name,
            "x_location": um[:, 0],
            "y_location": um[:, 1],
            "qv": rng.choice([11.5, 19.9, 20.0, 38.25, 40.0], n),
            "codeword_category": [features[f] for f in name],
            "is_gene": np.isin(name, list(GENES)),
        }
    )


def write_experiment(folder: Path) -> None:
    """Say the size of a pixel."""
    said = {"analysis_sw_version": "xenium-3.0.0.15", "pixel_size": PIXEL_SIZE}
    (folder / "experiment.xenium").write_text(json.dumps(said))


def write_cells(folder: Path, *, ids: list | None = None, kind: str = "cells.parquet") -> pd.DataFrame:
    """Write four cells and their counts of two genes and a control; the matrix has them in another order."""
    ids = ["aaaabbbb-1", "ccccdddd-1", "eeeeffff-1", "gggghhhh-1"] if ids is None else ids
    um = to_um([[50, 60], [120, 80], [200, 150], [390, 280]])
    frame = pd.DataFrame(
        {
            "cell_id": ids,
            "x_centroid": um[:, 0],
            "y_centroid": um[:, 1],
            "transcript_counts": [9, 8, 0, 5],
            "cell_area": [100.0, 64.0, 81.0, 25.0],
            "segmentation_method": ["Segmented by nucleus"] * 4,
        }
    )
    path = folder / kind
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    counts = np.array([[2, 1, 0], [0, 7, 1], [0, 0, 3], [4, 1, 0]])
    write_matrix(folder / "cell_feature_matrix.h5", [str(i) for i in ids][::-1], counts[::-1])
    return frame


def write_matrix(path: Path, barcodes: list[str], counts: np.ndarray) -> None:
    """Write cells x (ERBB2, FASN, a control) as Xenium does: cells are columns."""
    cell, feature = np.nonzero(counts)
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(barcodes, dtype="S")
        matrix["data"] = counts[cell, feature].astype(np.int32)
        matrix["indices"] = feature.astype(np.int64)
        matrix["indptr"] = np.searchsorted(cell, np.arange(len(barcodes) + 1))
        matrix["shape"] = np.array([3, len(barcodes)], dtype=np.int32)
        matrix["features/id"] = np.array(["ENSG1", "ENSG2", "NegControlProbe_00062"], dtype="S")
        matrix["features/name"] = np.array(["ERBB2", "FASN", "NegControlProbe_00062"], dtype="S")
        matrix["features/feature_type"] = np.array(
            ["Gene Expression", "Gene Expression", "Negative Control Probe"], dtype="S"
        )


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Pixels (y, x, 3): red is x / 2, green is y / 2."""
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    image[..., 0] = np.arange(width) // 2 % 256
    image[..., 1] = (np.arange(height) // 2 % 256)[:, None]
    return image


def write_image(folder: Path, pixels: np.ndarray | None = None, name: str = "S_he_image.ome.tif") -> Path:
    """Write an H&E image in tiles."""
    path = folder / name
    tifffile.imwrite(
        path, picture() if pixels is None else pixels, tile=(64, 64), photometric="rgb", compression="zlib"
    )
    return path


def write_alignment(path: Path, matrix: np.ndarray = TURNED) -> Path:
    """Write a matrix as Xenium Explorer does."""
    path.write_text("\n".join(",".join(repr(float(v)) for v in row) for row in matrix) + "\n")
    return path


def write_landmarks(path: Path, matrix: np.ndarray = TURNED, n: int = 7, noise_um: float = 0.0) -> Path:
    """Write landmarks as Xenium Explorer does."""
    rng = np.random.default_rng(8)
    pixels = rng.uniform((0, 0), (WIDTH, HEIGHT), (n, 2))
    fixed = to_um(pixels, matrix) / PIXEL_SIZE + rng.normal(0, 1, (n, 2)) * noise_um / PIXEL_SIZE
    columns = np.column_stack([fixed, pixels])
    pd.DataFrame(columns, columns=["fixedX", "fixedY", "alignmentX", "alignmentY"]).to_csv(path, index=False)
    return path


def write_xenium(folder: Path, *, seed: int = 3) -> Path:
    """Write a whole output of version 3 with cells and the H&E image beside its alignment."""
    folder.mkdir(parents=True)
    write_experiment(folder)
    make_transcripts(seed=seed).to_parquet(folder / "transcripts.parquet")
    write_cells(folder)
    write_image(folder)
    write_alignment(folder / "S_he_imagealignment.csv")
    return folder


def write_synthetic(folder: Path, sdata: sd.SpatialData, slide: str) -> Path:
    """Write a simulated slide as transcripts of good quality, spread over the spots they were counted in."""
    folder.mkdir(parents=True)
    write_experiment(folder)
    info = sdata.attrs["spatialhist"]["slides"][slide]
    pixels = np.moveaxis(np.asarray(levels_of(sdata[f"{slide}_full_image"])[0].data), 0, -1)
    matrix = TURNED.copy()
    matrix[:2] *= info["mpp"] / PIXEL_SIZE / 1.2896
    matrix[1, 2] = -matrix[1, 0] * pixels.shape[1] + 12
    write_image(folder, pixels)
    write_alignment(folder / "S_he_imagealignment.csv", matrix)
    rng = np.random.default_rng(5)
    table = sdata["table"][(sdata["table"].obs["region"] == slide).to_numpy()]
    spot, gene = np.nonzero(table.X.toarray())
    n = table.X.toarray()[spot, gene].astype(int)
    spot, gene = np.repeat(spot, n), np.repeat(gene, n)
    angle, radius = (
        rng.uniform(0, 2 * np.pi, len(spot)),
        info["spot_diameter_px"] / 2 * np.sqrt(rng.uniform(size=len(spot))),
    )
    within = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    um = to_um(table.obsm["true_spatial"][spot] + within, matrix)
    columns = {
        "feature_name": table.var_names.to_numpy()[gene],
        "x_location": um[:, 0],
        "y_location": um[:, 1],
        "qv": 40.0,
    }
    pd.DataFrame(columns).to_parquet(folder / "transcripts.parquet")
    return folder

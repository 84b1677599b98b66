"""Segmented cells: where they lie, how large they are, and what was counted in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.files import BROKEN, UNDECODABLE, intact, own_hdf5
from spatialhist._sdata.gene_names import unique_names
from spatialhist._sdata.values import check_compressed, check_indices
from spatialhist.io._xenium_files.counting import Spots, Tally

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from spatialhist.io._xenium_files.files import XeniumFiles

GENES = "Gene Expression"
ID, CENTROID, AREA = "cell_id", ["x_centroid", "y_centroid"], "cell_area"
AGAIN = "Copy it again from the Xenium output"


def read_cells(files: XeniumFiles) -> Spots:
    """Read cells and their counts.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or the two are not of one run.
    """
    if files.cells is None or files.matrix is None:
        missing = " and ".join(
            name
            for name, file in (("cells.parquet", files.cells), ("cell_feature_matrix.h5", files.matrix))
            if not file
        )
        raise FileNotFoundError(
            f"spots='cells' needs {missing} in {files.folder}, which has none: copy it there from the Xenium output, or "
            "count transcripts in spots, as in spots=('um', 55)"
        )
    frame = _read_table(files.cells)
    barcodes, matrix, features = _read_matrix(files.matrix)
    frame = _matched(frame, barcodes, files)
    is_gene = (features["kind"] == GENES).to_numpy()
    if not is_gene.any():
        raise ValueError(f"{files.matrix} holds no features of type {GENES!r}; it has {sorted(set(features['kind']))}")
    sums = np.asarray(matrix.sum(axis=0)).ravel()
    tally = Tally(counted=int(sums[is_gene].sum()), low_quality=None)
    # spelled as in transcripts, whose categories are in lower case with underscores
    others = features.loc[~is_gene, "kind"].str.lower().str.replace(" ", "_")
    tally.add_controls({kind: int(n) for kind, n in pd.Series(sums[~is_gene]).groupby(others.to_numpy()).sum().items()})
    symbols, gene_ids = (features.loc[is_gene, column].tolist() for column in ("symbol", "id"))
    return Spots(
        frame[CENTROID].to_numpy(dtype=float),
        _diameters(frame, files.cells),
        None,
        matrix[:, np.flatnonzero(is_gene)],
        unique_names(symbols, gene_ids).tolist(),
        tally,
        gene_ids=gene_ids,
        ids=frame[ID].to_numpy(),
        obs=_other_columns(frame),
    )


def _read_table(path: Path) -> pd.DataFrame:
    with intact(path, f"{{path}} is no table of cells, or it is damaged: {{error}}. {AGAIN}", errors=UNDECODABLE):
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    missing = [c for c in (ID, *CENTROID) if c not in frame]
    if missing:
        raise ValueError(f"{path} lacks columns {missing}; it has {list(frame)[:20]}")
    # before cells are compared: bytes and text of one id would count as two
    frame[ID] = _as_ids(frame[ID])
    if frame[ID].duplicated().any():
        raise ValueError(f"{path} names cells twice, e.g. {frame[ID][frame[ID].duplicated()].iloc[0]!r}")
    centers = frame[CENTROID].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    lost = int((~np.isfinite(centers)).any(axis=1).sum())
    if lost:
        raise ValueError(f"{lost} of {len(frame)} cells of {path} have no centroid. {AGAIN}")
    return frame.assign(**dict(zip(CENTROID, centers.T, strict=True)))


def _as_ids(column: pd.Series) -> pd.Series:
    """Whole numbers, or text; the first version wrote text as bytes."""
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.astype(np.int64)
    return column.map(lambda v: v.decode(errors="replace") if isinstance(v, bytes) else str(v)).astype(object)


def _read_matrix(path: Path) -> tuple[np.ndarray, csr_matrix, pd.DataFrame]:
    """Barcodes, cells x features, and features."""
    from scipy.sparse import csr_matrix

    says = f"{{path}} is no cell-feature matrix of Xenium, or it is damaged: {{error}}. {AGAIN}"
    with intact(path, says, errors=(*BROKEN, OSError, RuntimeError, ValueError)), own_hdf5(path) as file:
        group = file["matrix"]
        starts, indices = (group[name][:] for name in ("indptr", "indices"))
        values = group["data"][:].astype(np.float32)
        n_features, n_cells = (int(n) for n in group["shape"][:])
        barcodes = np.array(_texts(group["barcodes"]), dtype=object)
        keys = {"symbol": "name", "id": "id", "kind": "feature_type"}
        features = pd.DataFrame({column: _texts(group[f"features/{key}"]) for column, key in keys.items()})
    starts, indices = _whole(starts, path), _whole(indices, path)
    bad = values[~np.isfinite(values) | (values < 0)]
    if len(bad):
        raise ValueError(f"{path} is damaged: it holds {bad[0]:g} as a count. {AGAIN}")
    check_compressed(starts, n_cells, len(values), str(path))
    check_indices(indices, n_features, str(path))
    if not len(barcodes) == n_cells or not len(features) == n_features or len(indices) != len(values):
        raise ValueError(
            f"{path} is damaged: it says {n_cells} cells and {n_features} features, and holds {len(barcodes)} and "
            f"{len(features)}. {AGAIN}"
        )
    return barcodes, csr_matrix((values, indices, starts), shape=(n_cells, n_features)), features


def _texts(stored: Any) -> list[str]:
    return [text.decode() if isinstance(text, bytes) else str(text) for text in stored[:]]


def _whole(positions: np.ndarray, path: Path) -> np.ndarray:
    """Positions as integers; R writes them as floating-point numbers."""
    if positions.dtype.kind in "iu":
        return positions
    whole = positions.astype(np.int64)
    if not np.array_equal(whole, positions):
        raise ValueError(f"{path} is a broken sparse matrix: its positions are no whole numbers. {AGAIN}")
    return whole


def _matched(frame: pd.DataFrame, barcodes: np.ndarray, files: XeniumFiles) -> pd.DataFrame:
    """Cells in the order of the matrix."""
    # barcodes are text, also where the table of cells numbers them
    rows = pd.Index(frame[ID].astype(str)).get_indexer(barcodes)
    lost = int((rows < 0).sum())
    if lost or not len(barcodes):
        looks = (
            f" ({barcodes[rows < 0][0]!r}; there they look like {frame[ID].iloc[0]!r})" if lost and len(frame) else ""
        )
        raise ValueError(
            f"{lost} of {len(barcodes)} cells of {files.matrix} are not in {files.cells}{looks}: give two files of one run of "
            "Xenium or Xenium Ranger"
        )
    return frame.iloc[rows].reset_index(drop=True)


def _diameters(frame: pd.DataFrame, path: Path) -> np.ndarray:
    if AREA not in frame:
        raise ValueError(f"{path} lacks column {AREA!r}, which says how large cells are. {AGAIN}")
    area = pd.to_numeric(frame[AREA], errors="coerce").to_numpy(dtype=float)
    known = np.isfinite(area) & (area > 0)
    if not known.any():
        raise ValueError(f"column {AREA!r} of {path} holds no area above 0. {AGAIN}")
    # a cell without an area is as large as most
    return 2 * np.sqrt(np.where(known, area, np.median(area[known])) / np.pi)


def _other_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """What else is known, under names a store can hold; the contract's own columns are not taken."""
    # a CSV that pandas wrote has a first column without a name, the index
    own = {_keys.REGION, _keys.INSTANCE, _keys.PATIENT, _keys.MEASURED, ""}
    extra = frame.drop(columns=[ID, *CENTROID]).rename(columns=_keys.sanitize)
    extra = extra.loc[:, [c.strip("_") not in own and not c.startswith("Unnamed") for c in extra]]
    return extra.loc[:, ~extra.columns.duplicated()]

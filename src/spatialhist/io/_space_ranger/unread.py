"""Paths that hold data of a kind that is not read, named with a way to read them."""

from __future__ import annotations

from pathlib import Path

from spatialhist._runtime.files import BROKEN, own_hdf5

HD = (
    "is an output of Visium HD, which this version does not read: load it with spatialdata_io.visium_hd(path), and give "
    "image, positions and counts of one bin size to sh.io.from_arrays"
)
SEGMENTED = (
    "holds cells that Space Ranger segmented, which this version does not read: give the full-resolution image, the "
    "centroids of cell_segmentations.geojson and the counts of filtered_feature_cell_matrix.h5 to sh.io.from_arrays"
)
XENIUM = "is a Xenium output: read it with sh.io.read_xenium(path)"
ANNDATA = (
    "is an AnnData, which has no full-resolution image: read it with adata = anndata.read_h5ad(path), and give its parts "
    'to sh.io.from_arrays(image, adata.obsm["spatial"], adata.X, genes=list(adata.var_names))'
)
MATRIX = "is a feature-barcode matrix without positions: give the folder that also has spatial/ to sh.io.read_visium"
SLIDE = "is a slide in a format other than TIFF: convert it to OME-TIFF with QuPath or bfconvert"

FOLDERS = {
    HD: ("binned_outputs", "feature_slice.h5", "spatial/tissue_positions.parquet"),
    SEGMENTED: ("segmented_outputs", "filtered_feature_cell_matrix.h5", "cell_segmentations.geojson"),
    XENIUM: ("experiment.xenium", "transcripts.parquet", "transcripts.csv.gz", "cell_feature_matrix.h5"),
}
SUFFIXES = {".h5ad": ANNDATA, **dict.fromkeys((".mrxs", ".czi", ".vsi", ".dcm"), SLIDE)}


def refuse_unread(path: Path) -> None:
    """Say what a path holds, where it is something that other packages read.

    Raises
    ------
    ValueError
        With the kind and a way to read it.
    """
    for kind, marks in FOLDERS.items():
        mark = next((m for m in marks if (path / m).exists()), None)
        if mark is not None:
            raise ValueError(f"{path} {kind} (it has {mark})")
    file = SUFFIXES.get(path.suffix.lower()) or (MATRIX if _is_matrix(path) else None)
    if file is not None:
        raise ValueError(f"{path} {file}")


def _is_matrix(path: Path) -> bool:
    if path.suffix != ".h5" or not path.is_file():
        return False
    try:
        with own_hdf5(path) as file:
            return "matrix/barcodes" in file
    except (OSError, RuntimeError, ValueError, *BROKEN):
        return False

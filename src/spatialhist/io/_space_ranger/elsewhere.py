"""What a path that no reader takes may be instead, and which call reads it."""

from __future__ import annotations

import re
from pathlib import Path

from spatialhist.io._assembly.slide import OUTS

PARTS = re.compile(
    r"(.+)[_.](?:(?:filtered|raw)_feature_bc_matrix\.h5|(?:matrix\.mtx|barcodes\.tsv|features\.tsv|genes\.tsv"
    r"|tissue_positions(?:_list)?\.csv|scalefactors_json\.json|tissue_(?:hires|lowres)_image\.png)(?:\.gz)?)"
)
"""Files of Space Ranger with the name of a sample in front."""
MATRICES = ("matrix.mtx", "matrix.mtx.gz")
OF_SAMPLES = ("spatial", OUTS, "binned_outputs", "experiment.xenium")
"""What a folder has that can be read by itself."""
MOST_NAMED = 4

MTX = (
    "it holds a matrix as MTX files, which have no positions: adata = scanpy.read_10x_mtx(folder), set "
    "adata.obsm['spatial'] to x and y in pixels of the image, and sh.io.from_anndata(adata, image=)"
)
BENCH = (
    "it is a task of HEST-bench, which has patches in the place of slides: the slides of its samples are in HEST-1k, "
    "sh.io.read_hest(folder, ids=)"
)
FILES = {
    (".zip", ".tar", ".tgz", ".gz"): "it is packed: unpack it first",
    (".rds", ".rda", ".rdata", ".h5seurat"): (
        "it is an object of R: write it as .h5ad, as anndataR and zellkonverter do, and sh.io.from_anndata(adata, image=)"
    ),
    (".loom", ".mtx", ".txt", ".parquet"): (
        "a table alone has no image: give image, positions and counts to sh.io.from_arrays(image, xy, counts)"
    ),
}


def what_it_may_be(path: Path) -> str:
    """Return what is to be done with a path, as the end of a sentence; nothing where nothing is known of it."""
    if path.is_file():
        return next((f": {advice}" for suffixes, advice in FILES.items() if path.suffix.lower() in suffixes), "")
    if (path / OUTS).is_dir():
        return f"; did you mean {path / OUTS}?"
    # HEST-1k has patches/ too, but neither of the others
    if (path / "patches").is_dir() and ((path / "adata").is_dir() or (path / "splits").is_dir()):
        return f": {BENCH}"
    if any((path / name).is_file() for name in MATRICES):
        return f": {MTX}"
    samples = sorted({found[1] for p in path.iterdir() if (found := PARTS.fullmatch(p.name))})
    if samples:
        return f": {_prefixed(samples)}"
    folders = [p.name for p in sorted(path.iterdir()) if p.is_dir() and any((p / part).exists() for part in OF_SAMPLES)]
    return f": {_several(folders)}" if folders else ""


def _prefixed(samples: list[str]) -> str:
    return (
        f"it holds files of Space Ranger with the names of samples in front ({_some(samples)}), as GEO has them: unpack those "
        "that end with .gz, put the files of a sample into a folder of its own, all but the matrix into spatial/ there, and "
        "sh.io.read_visium(folder, image=)"
    )


def _several(folders: list[str]) -> str:
    return (
        f"it holds {len(folders)} folders of samples ({_some(folders)}): read each by its own path, and join them with "
        "sh.io.concat(parts)"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")

"""Slides as large as those of Visium HD and Xenium, written and read step by step for ``scale.py``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

MPP = 0.2737
GENES, GENES_PER_BIN = 18_085, 90
HD_SIDE, POOL_BINS, TRANSCRIPTS = 600, (1_000, 600), 50_000_000
Steps = Iterator[tuple[str, Any]]


def write_hd(folder: Path, side: int = HD_SIDE) -> None:
    """A Space Ranger output of ``side`` x ``side`` bins of 8 um; no image, and no ``feature_slice.h5``."""
    import h5py
    import pandas as pd

    bins = folder / "binned_outputs/square_008um"
    (bins / "spatial").mkdir(parents=True)
    rows, columns = np.divmod(np.arange(side**2), side)
    barcodes = np.char.mod("s_008um_%05d_", rows)
    barcodes = np.char.add(barcodes, np.char.mod("%05d-1", columns))
    genes, counts = draw_counts(side**2)
    with h5py.File(bins / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        packed = {"compression": "gzip", "compression_opts": 1, "chunks": (80_000,)}
        matrix.create_dataset("data", data=counts, **packed)
        matrix.create_dataset("indices", data=genes.astype(np.int64), **packed)
        matrix["indptr"] = GENES_PER_BIN * np.arange(side**2 + 1)
        matrix["shape"] = np.array([GENES, side**2], np.int32)
        matrix["barcodes"] = barcodes.astype("S")
        features = {"id": np.char.mod("ENSG%011d", np.arange(GENES)), "name": np.char.mod("G%d", np.arange(GENES))}
        features |= {"feature_type": np.full(GENES, "Gene Expression"), "genome": np.full(GENES, "GRCh38")}
        for name, words in features.items():
            matrix[f"features/{name}"] = words.astype("S")
    places = {"barcode": barcodes, "in_tissue": 1, "array_row": rows, "array_col": columns}
    places |= {"pxl_row_in_fullres": 2000 + rows * 8 / MPP, "pxl_col_in_fullres": 1500 + columns * 8 / MPP}
    pd.DataFrame(places).to_parquet(bins / "spatial/tissue_positions.parquet", index=False)
    factors = {"spot_diameter_fullres": 8 / MPP, "bin_size_um": 8.0, "microns_per_pixel": MPP}
    factors |= {"tissue_hires_scalef": 0.25, "tissue_lowres_scalef": 0.025}
    (bins / "spatial/scalefactors_json.json").write_text(json.dumps(factors))


def draw_counts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Genes of each bin, few of them in most, and their counts."""
    genes, counts = np.empty((n, GENES_PER_BIN), np.int32), np.empty((n, GENES_PER_BIN), np.int32)
    for start in range(0, n, 20_000):
        part = slice(start, min(n, start + 20_000))
        rng = np.random.default_rng(start)
        genes[part] = np.sort(GENES * rng.random(genes[part].shape) ** 3, axis=1)
        counts[part] = 1 + rng.poisson(0.3, counts[part].shape)
    return genes.ravel(), counts.ravel()


def import_all() -> Steps:
    """What libraries take is not counted."""
    import pyarrow.parquet
    import spatialdata_io

    import spatialhist as sh

    yield "imports", lambda: (sh.pp.pool_spots(bins_in_memory(20, 30), ("um", 55)), pyarrow.parquet, spatialdata_io)


def read_hd(folder: Path) -> Steps:
    import spatialhist as sh

    made: list[Any] = []
    yield "read_visium_hd", lambda: made.append(sh.io.read_visium_hd(folder, bin_um=8, slide="S1"))
    yield "pool_spots", lambda: sh.pp.pool_spots(made[0], ("um", 55))
    check_sums(made[0])


def read_hd_with_slice(folder: Path) -> Steps:
    """The same with the file that Space Ranger writes beside the bins."""
    import h5py

    with h5py.File(folder / "feature_slice.h5", "w") as file:
        layout = json.dumps({"file_format": "1.0", "transform": list(np.eye(3).ravel())})
        file.attrs["metadata_json"] = json.dumps({"hd_layout_json": layout, "transform_matrices": {}})
    return read_hd(folder)


def check_sums(sdata: Any) -> None:
    before, after = (np.asarray(sdata[key].X.sum(axis=0, dtype=np.float64)) for key in ("table", "pooled"))
    if not np.array_equal(before, after):
        raise SystemExit("counts were lost while bins were pooled")


def pool(folder: Path) -> Steps:
    import spatialhist as sh

    made: list[Any] = []
    yield "make the object", lambda: made.append(bins_in_memory(*POOL_BINS))
    yield "pool_spots", lambda: sh.pp.pool_spots(made[0], ("um", 55))
    check_sums(made[0])


def bins_in_memory(rows: int, columns: int) -> Any:
    import scipy.sparse as sp

    from spatialhist._sdata.build import build_slide

    n = rows * columns
    genes, counts = draw_counts(n)
    matrix = sp.csr_matrix((counts.astype(np.float32), genes, GENES_PER_BIN * np.arange(n + 1)), shape=(n, GENES))
    xy = np.column_stack(np.divmod(np.arange(n), columns)) * 8 / MPP
    names = [f"G{i}" for i in range(GENES)]
    return build_slide(None, xy, matrix, slide="S1", genes=names, mpp=MPP, pitch_px=8 / MPP, spot_diameter_px=8 / MPP)


def write_transcripts(folder: Path) -> None:
    """Transcripts of 380 genes and 20 controls on 10 x 7 mm, in row groups as Xenium writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "experiment.xenium").write_text(
        json.dumps({"analysis_sw_version": "xenium-3.0.0.15", "pixel_size": 0.2125})
    )
    names = pa.array([*(f"G{i}" for i in range(380)), *(f"NegControlProbe_{i:05d}" for i in range(20))])
    writer = None
    for start in range(0, TRANSCRIPTS, 1_000_000):
        rng = np.random.default_rng(start)
        n = min(1_000_000, TRANSCRIPTS - start)
        feature = (400 * rng.random(n) ** 2).astype(np.int32)
        part = pa.table(
            {
                "transcript_id": np.arange(start, start + n, dtype=np.uint64),
                "feature_name": names.take(pa.array(feature)),
                "x_location": rng.uniform(0, 10_000, n).astype(np.float32),
                "y_location": rng.uniform(0, 7_000, n).astype(np.float32),
                "qv": rng.choice(np.float32([12, 25, 40]), n),
                "is_gene": feature < 380,
            }
        )
        writer = writer or pq.ParquetWriter(folder / "transcripts.parquet", part.schema)
        writer.write_table(part)
    writer.close()


def read_transcripts(folder: Path) -> Steps:
    import spatialhist as sh

    for size in (55, 8):
        yield f"read_xenium at {size} um", lambda size=size: sh.io.read_xenium(folder, spots=("um", size), slide="S1")


def study_pooled(folder: Path, short: bool) -> Steps:
    """Three simulated slides with images of 150,000 bins of 8 um: pooled, cross-validated, and a new slide predicted."""
    study = Study(10_000 if short else 150_000, "pooled")
    yield from study.slides()
    yield "pool_spots to 55 um", lambda: study.pool(55)
    yield from study.training()


def study_bins(folder: Path, short: bool) -> Steps:
    """The same slides by bins of 16 um and 100 of 1,000 genes."""
    import spatialhist as sh

    study = Study(10_000 if short else 150_000, "bins")
    yield from study.slides()
    yield "pool_spots to 16 um", lambda: study.pool(16, lattice="square")
    yield "select_genes", lambda: sh.pp.select_genes(study.sdata, n=100, subset=True, table_key="bins")
    yield from study.training()


class Study:
    """Slides to train on and a new one, which are looked at in one field of view."""

    def __init__(self, n_bins: int, table: str) -> None:
        import spatialhist as sh

        self.sh, self.n_bins, self.table = sh, n_bins, table

    def slides(self) -> Steps:
        yield "synthetic", self.draw
        yield "mask_background", lambda: [self.sh.pp.mask_background(s) for s in (self.sdata, self.new)]

    def draw(self) -> None:
        options: dict[str, Any] = {"platform": "visium_hd", "n_genes": 1_000}
        self.sdata = self.sh.datasets.synthetic(3, n_patients=3, n_bins=self.n_bins, seed=0, **options)
        self.new = self.sh.datasets.synthetic(1, n_patients=1, n_bins=self.n_bins // 5, seed=1, **options)

    def pool(self, size: int, **options: Any) -> None:
        for sdata in (self.sdata, self.new):
            self.sh.pp.pool_spots(sdata, ("um", size), key_added=self.table, **options)

    def training(self) -> Steps:
        yield "log_normalize", lambda: self.sh.pp.log_normalize(self.sdata, table_key=self.table)
        yield "cross_validate", lambda: self.train(self.sh.tl.cross_validate, groups="slide")
        yield "fit", lambda: setattr(self, "model", self.train(self.sh.tl.fit))
        yield "evaluate", lambda: self.sh.tl.evaluate(self.sdata, table_key=self.table)
        yield "predict", lambda: self.sh.tl.predict(self.new, self.model, table_key=self.table, progress=False)

    def train(self, verb: Any, **options: Any) -> Any:
        looks: dict[str, Any] = {"extents": [("um", 112.0)], "context": [], "progress": False}
        return verb(self.sdata, models="ridge", genes=100, table_key=self.table, **looks, **options)


WRITERS = {"hd": write_hd, "hd-slice": write_hd, "transcripts": write_transcripts}
STEPS = {"hd": read_hd, "hd-slice": read_hd_with_slice, "pool": pool, "transcripts": read_transcripts}
STUDIES = {"hd-run": study_pooled, "hd-bins": study_bins}
AIMS = {
    "hd": {"read_visium_hd": (6, 700), "pool_spots": (10, 2_000)},
    "hd-slice": {"read_visium_hd": (6, 700), "pool_spots": (10, 2_000)},
    "pool": {"pool_spots": (30, 2_000)},
    "hd-run": {"pool_spots to 55 um": (30, 4_000), "evaluate": (60, 4_000)},
    "hd-bins": {"pool_spots to 16 um": (30, 4_000)},
    "transcripts": {"read_xenium at 55 um": (120, 2_000)},
}
"""Seconds of the processor, and MB above imports, that a step may take."""


def check_aims(kind: str, rows: list[tuple[str, float, float]]) -> None:
    for name, seconds, mb in rows:
        if (most := AIMS[kind].get(name)) and (seconds > most[0] or mb > most[1]):
            raise SystemExit(f"{name} took {seconds:.1f} s and {mb:.0f} MB; allowed are {most[0]} s and {most[1]} MB")

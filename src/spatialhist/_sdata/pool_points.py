"""Counts of transcripts, kept as points, in the spots of a regular lattice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.added_tables import check_free
from spatialhist._sdata.alignment import alignment
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.images import affine
from spatialhist._sdata.key_sums import BITS, Sums, counts_matrix
from spatialhist._sdata.lattice_bins import cell_centers, cell_codes, decode_cells, lattice_cells
from spatialhist._sdata.layers import record
from spatialhist._sdata.pooled import PooledSlide, add_pooled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from spatialhist._sdata.cohort import Cohort

logger = logging.getLogger(__name__)

QUALITY = "qv"
ATTRS, FEATURE = "spatialdata_attrs", "feature_key"


def pool_points(
    cohort: Cohort, points: str, size: tuple[str, float], lattice: str, *, min_qv: float, key_added: str, step: str
) -> None:
    """Add a table of the transcripts in each spot, and its circles, see :func:`spatialhist.pp.pool_spots`.

    Raises
    ------
    KeyError, ValueError
        If points or their genes are missing, or none is of a gene of the table.
    """
    import anndata as ad
    import scipy.sparse as sp

    check_free(cohort, key_added, step, shapes=[key_added])
    genes = cohort.table.var_names
    pooled, counts, told = [], [], {}
    for slide in cohort.every_slide():
        name, element = _points_of(cohort, slide.name, points)
        spacing = slide.scale.px(size, slide.name)
        # what moved the cells of a slide moves their transcripts
        to_slide = alignment(cohort.sdata, slide.name) @ affine(element, slide.name, f"sdata.points[{name!r}]")
        found, matrix, left = _count(name, element, to_slide, genes, spacing, lattice, min_qv)
        pooled.append(PooledSlide(slide, found, np.arange(len(found)), spacing))
        counts.append(matrix)
        told[slide.name] = {"points": name, "spacing_px": spacing, "counted": int(matrix.sum()), **left}
    patients = np.repeat([p.slide.patient or "" for p in pooled], [len(p.centers) for p in pooled])
    known = {_keys.PATIENT: patients} if patients.astype(bool).all() else {}
    obs = pd.DataFrame(known, index=pd.RangeIndex(len(patients)).astype(str))
    table = ad.AnnData(sp.vstack(counts, format="csr"), obs=obs, var=cohort.table.var.copy())
    record(table, step, {"size": [str(v) for v in size], "lattice": lattice, "min_qv": min_qv, "slides": told})
    add_pooled(cohort, key_added, pooled, table, step)
    logger.info("added table %r: %d spots; %s", key_added, table.n_obs, told)


def _points_of(cohort: Cohort, slide: str, points: str) -> tuple[str, Any]:
    """The points of a slide: of its own name, as ``S1_transcripts``, or of the one name that all slides share."""
    held = cohort.sdata.points
    name = next((n for n in (f"{slide}_{points}", points) if n in held), None)
    if name is None:
        raise KeyError(f"slide {slide!r} has no points {points!r} or {slide + '_' + points!r}; found {list(held)}")
    return name, held[name]


def _count(
    name: str, element: Any, to_slide: np.ndarray, genes: pd.Index, spacing: float, lattice: str, min_qv: float
) -> tuple[np.ndarray, csr_matrix, dict[str, int]]:
    """Centers of the spots with transcripts, their counts, and how many transcripts were left out."""
    feature = element.attrs.get(ATTRS, {}).get(FEATURE)
    if feature not in element.columns:
        raise ValueError(
            f"sdata.points[{name!r}] does not say which column holds the gene: set "
            f"sdata.points[{name!r}].attrs[{ATTRS!r}] = {{{FEATURE!r}: 'feature_name'}}; it has {list(element.columns)}"
        )
    sums = Sums()
    left = {"of_no_gene": 0, "low_quality": 0}
    wanted = ["x", "y", feature, *([QUALITY] if QUALITY in element.columns else [])]
    # one in memory at a time
    for part in (partition.compute() for partition in element[wanted].partitions):
        gene = _positions(part[feature], genes)
        good = part[QUALITY].to_numpy() >= min_qv if QUALITY in part else np.ones(len(part), dtype=bool)
        kept = (gene >= 0) & good
        left["of_no_gene"] += int((gene < 0).sum())
        left["low_quality"] += int(((gene >= 0) & ~good).sum())
        xy = apply(to_slide, part.loc[kept, ["x", "y"]].to_numpy(dtype=float))
        sums.add((cell_codes(lattice_cells(xy, spacing, lattice)) << BITS) + gene[kept])
    keys, n = sums.total() if len(sums) else (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))
    if not len(keys):
        raise ValueError(
            f"sdata.points[{name!r}] holds no transcript of quality {min_qv:g} or more of a gene of the table ({genes[0]!r}, "
            f"...): {left}. Lower min_qv=, or name the table of these genes, from_table="
        )
    codes, matrix = counts_matrix(keys, n, list(range(len(genes))), len(genes))
    return cell_centers(decode_cells(codes), spacing, lattice), matrix, left


def _positions(names: pd.Series, genes: pd.Index) -> np.ndarray:
    """Position of each name among the genes, -1 where it is none; categories are looked up once each."""
    codes, known = pd.factorize(names.astype(object) if not isinstance(names.dtype, pd.CategoricalDtype) else names)
    positions = genes.get_indexer(pd.Index(known).astype(str))
    return np.where(codes >= 0, positions[codes], -1)

"""Samples of HEST-1k."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist.io._xenium_files.features import GENE, categories

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist.io._hest1k.samples import Sample

logger = logging.getLogger(__name__)


def read_hest(
    folder: str | Path,
    *,
    ids: str | Sequence[str] | None = None,
    organ: str | Sequence[str] | None = None,
    store: str | Path | None = None,
) -> SpatialData:
    """Read samples of HEST-1k, each as a slide.

    Parameters
    ----------
    folder
        Download of HEST-1k, or a part of it: ``st/<id>.h5ad``, ``wsis/<id>.tif``, and ``metadata/<id>.json`` or
        ``HEST_v*.csv``.
    ids
        Samples to read, as in ``["TENX95", "NCBI785"]``; all whose table is there if None.
    organ
        Only samples of an organ, or of several, as the metadata names them.
    store
        New zarr store to write to. Images are decoded into it square by square, never as a whole. Without it they are
        decoded again whenever pixels are needed.

    Returns
    -------
    SpatialData
        The samples as slides under their ids, with raw counts, and micrometers per pixel by ``pixel_size_um_estimated``.
        ``obs`` has ``patient``, ``organ``, ``technology`` (``st_technology``), ``species``, ``disease_state`` and
        ``oncotree_code`` where the metadata knows them. Spots of Xenium and Visium HD are squares that HEST has pooled.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If a file of a sample is missing, or the store exists.
    KeyError
        If there is no such sample or organ.
    ValueError
        If a file is broken, or the metadata has no pixel size.

    Warns
    -----
    UserWarning
        If patients are corrected that are known to be wrong (one patient of TENX95 and TENX99; the colorectal samples of one
        study, all of them under one label), if several studies use one label, or controls of Xenium are left out.

    Notes
    -----
    A label of a patient holds within a study. Where several studies use the same, as in ``Patient 1``, their samples are
    kept together in cross-validation, which takes none of a patient for another: set ``obs["patient"]`` to part them.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_hest("hest", organ="Breast", store="breast.zarr")  # doctest: +SKIP
    """
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._hest1k.known_patients import corrected
    from spatialhist.io._hest1k.samples import find_samples

    folder = Path(folder)
    check_new(store)
    samples = find_samples(folder, ids, organ)
    for sample in samples:
        _check(sample)
    patients = corrected({s.id: s.text(_keys.PATIENT) for s in samples})
    _tell_patients(samples, patients)
    sdata = assemble((_build(sample, patients[sample.id]) for sample in samples), store)
    logger.info("read %d samples with %d spots and %d genes from %s", len(samples), *sdata[_keys.TABLE].shape, folder)
    return sdata


def _check(sample: Sample) -> None:
    """Refuse an id or a length of the metadata that cannot be one."""
    from spatialhist.io._assembly.slide import check_slide_id

    check_slide_id(sample.id)
    for key in ("spot_diameter", "inter_spot_dist"):
        sample.length(key)
    sample.require_mpp()


def _tell_patients(samples: Sequence[Sample], patients: Mapping[str, str | None]) -> None:
    from spatialhist.io._hest1k.known_patients import told

    corrections = told({s.id: s.text(_keys.PATIENT) for s in samples})
    if corrections:
        warnings.warn(
            f"patients of the metadata that are known to be wrong are corrected: {corrections}",
            stacklevel=3,
        )
    # labels such as 'Patient 1' are given anew in every study
    studies: dict[str, set[str]] = {}
    for sample in samples:
        label = patients[sample.id]
        if label is not None and label == sample.text(_keys.PATIENT):
            studies.setdefault(label, set()).add(sample.text("dataset_title") or "")
    shared = sorted(label for label, titles in studies.items() if len(titles) > 1)
    if shared:
        warnings.warn(
            f"the labels {shared} of patients are used by several studies: their samples are kept together as of one patient. "
            "Set obs['patient'] where they are not",
            stacklevel=3,
        )


def _build(sample: Sample, patient: str | None) -> SpatialData:
    from spatialhist.io._anndata.contents import look_at
    from spatialhist.io._anndata.h5ad import read_h5ad
    from spatialhist.io._anndata.libraries import Library
    from spatialhist.io._anndata.pictures import Picture
    from spatialhist.io._anndata.slide import build_part
    from spatialhist.io._images.image_file import read_image

    adata = _without_controls(read_h5ad(sample.table), sample)
    mpp = sample.require_mpp()
    return build_part(
        look_at(adata),
        Library(sample.id, np.arange(adata.n_obs), {}),
        Picture(read_image(sample.image)),
        slide=sample.id,
        patient=patient,
        mpp=mpp,
        diameter_px=None if sample.diameter_um is None else sample.diameter_um / mpp,
        spacing_um=sample.spacing_um,
        columns=sample.columns,
    )


def _without_controls(adata: AnnData, sample: Sample) -> AnnData:
    if not sample.is_pooled:
        return adata
    controls = categories(list(adata.var_names.astype(str))) != GENE
    if controls.any():
        warnings.warn(
            f"{int(controls.sum())} controls of sample {sample.id!r}, which are no genes, are left out",
            stacklevel=5,
        )
    return adata[:, ~controls]

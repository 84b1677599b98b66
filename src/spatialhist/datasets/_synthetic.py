"""A cohort of H&E-like slides whose counts follow from the cells in the picture."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist.datasets._drawing.cells import CELL_TYPES
from spatialhist.datasets._drawing.genes import Signatures, draw_signatures
from spatialhist.datasets._drawing.slide import Design, Patient, Slide, draw_patient, draw_slide

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def synthetic(
    n_slides: int = 6,
    *,
    n_patients: int | None = None,
    size_px: tuple[int, int] = (900, 1200),
    mpp: float = 2.0,
    pitch_um: float = 100.0,
    spot_diameter_um: float = 55.0,
    n_genes: int = 100,
    depth: float = 2000.0,
    signal: float = 1.0,
    max_offset: float = 1.0,
    max_rotation: float = 0.0,
    seed: int = 0,
) -> SpatialData:
    """Draw a cohort of H&E-like slides with spots and counts, and keep the truth.

    Every slide is drawn from a tissue model: nests of tumor in fibrous stroma, lymphocytes, fat, ducts,
    lobules and vessels, at times necrosis or a fold, on white glass. Spots lie on a hexagonal lattice, some of
    them partly or wholly off the tissue. Their counts are negative binomial around what the nuclei under them
    make. Slides of a patient share the tissue's mixture, the stain's hue and expression levels, not the picture.
    The same area at another `mpp` shows the same tissue.

    Parameters
    ----------
    n_slides
        Number of slides, named ``S1``, ``S2``, ...
    n_patients
        Number of patients, ``P1``, ``P2``, ..., each with about as many consecutive slides; half the number of
        slides, rounded up, if None.
    size_px
        Width and height of a slide in pixels.
    mpp
        Micrometers per pixel.
    pitch_um
        Distance of neighboring spots in micrometers.
    spot_diameter_um
        Diameter of a spot in micrometers.
    n_genes
        Number of genes. At least a quarter are controls whose share of a cell's RNA is the same in all cell types;
        the others mark one cell type each.
    depth
        Counts to expect from a spot with an average number of cells.
    signal
        How far the counts follow the picture: at 1 wholly, at 0 all spots draw from the same mixture of cells, on
        glass as on tissue, and the counts say nothing about the picture.
    max_offset
        Spot coordinates of every second slide are wrong by 0.4 to 1 times this many spot spacings.
    max_rotation
        And turned around the slide's center by up to this many degrees.
    seed
        Seed of everything random. The picture does not depend on `n_genes`, `depth` and `signal`.

    Returns
    -------
    SpatialData
        In memory, as every reader of the package returns it. What is true is kept beside what a user would
        know: ``sdata.attrs["spatialhist"]["truth"]`` holds ``cell_types``, ``control_genes`` and, by slide,
        ``offset_px`` (dx, dy; reported minus true centers before the turn) and ``rotation_deg`` (counted from x to
        y). The table holds ``obsm["true_spatial"]`` (x, y in pixels), ``obsm["true_composition"]`` (nuclei under
        the spot, spots x cell types) and ``varm["true_signature"]`` (shares of RNA, genes x cell types, before
        patients and slides vary them).

    Raises
    ------
    ValueError
        If an argument is out of its range, or a slide is less than three spot spacings wide or high, or has no space for
        a spot.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=2, n_patients=2, size_px=(300, 400), n_genes=20, seed=1)
    >>> list(sdata.shapes)
    ['S1', 'S2']
    >>> sdata["table"].obs["patient"].unique().tolist()
    ['P1', 'P2']
    >>> sdata.attrs["spatialhist"]["truth"]["slides"]["S1"]["offset_px"]
    [0.0, 0.0]
    """
    from spatialhist._sdata.build import concat_slides

    n_patients = -(-n_slides // 2) if n_patients is None else n_patients
    design = Design(size_px, mpp, pitch_um, spot_diameter_um, depth, signal, max_offset, max_rotation)
    _check(n_slides, n_patients, n_genes, design)
    signatures = draw_signatures(n_genes, _rng(seed, "genes"))
    patients = [draw_patient(signatures.share, _rng(seed, "patient", i)) for i in range(n_patients)]
    of = [i * n_patients // n_slides for i in range(n_slides)]
    names = [f"S{i + 1}" for i in range(n_slides)]
    slides = [_draw(i, design, patients[of[i]], seed) for i in range(n_slides)]
    parts = [
        _build(slide, name, f"P{p + 1}", signatures.genes, design)
        for slide, name, p in zip(slides, names, of, strict=True)
    ]
    sdata = concat_slides(parts)
    _keep_truth(sdata, dict(zip(names, slides, strict=True)), signatures)
    logger.info("made %d synthetic slides of %d patients with %d spots", n_slides, n_patients, sdata["table"].n_obs)
    return sdata


def _check(n_slides: int, n_patients: int, n_genes: int, design: Design) -> None:
    if n_slides < 1 or not 1 <= n_patients <= n_slides:
        raise ValueError(f"{n_slides} slides of {n_patients} patients: want 1 <= n_patients <= n_slides")
    if n_genes < 4:
        raise ValueError(f"n_genes is {n_genes}: at least 4 are needed, one of them a control")
    if not 0 <= design.signal <= 1:
        raise ValueError(f"signal is {design.signal}: choose it from 0 (none) to 1 (all)")
    lengths = {"mpp": design.mpp, "pitch_um": design.pitch, "spot_diameter_um": design.diameter, "depth": design.depth}
    for name, value in lengths.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}: it must be positive")
    if min(design.size_px) * design.mpp < 3 * design.pitch:
        raise ValueError(
            f"size_px {design.size_px} at {design.mpp} um/px is less than 3 spot spacings: enlarge size_px"
        )


_STREAMS = ("genes", "patient", "picture", "counts")


def _rng(seed: int, stream: str, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAMS.index(stream), number])


def _draw(i: int, design: Design, patient: Patient, seed: int) -> Slide:
    picture, counting = _rng(seed, "picture", i), _rng(seed, "counts", i)
    return draw_slide(design, patient, misplaced=i % 2 == 1, picture=picture, counting=counting)


def _build(slide: Slide, name: str, patient: str, genes: list[str], design: Design) -> SpatialData:
    from spatialhist._sdata.build import build_slide

    return build_slide(
        slide.image,
        slide.xy,
        slide.counts,
        slide=name,
        genes=genes,
        patient=patient,
        mpp=design.mpp,
        pitch_px=design.pitch / design.mpp,
        spot_diameter_px=design.diameter / design.mpp,
    )


def _keep_truth(sdata: SpatialData, slides: dict[str, Slide], signatures: Signatures) -> None:
    table = sdata[_keys.TABLE]
    table.obsm["true_spatial"] = np.concatenate([s.true_xy for s in slides.values()])
    table.obsm["true_composition"] = np.concatenate([s.composition for s in slides.values()])
    table.varm["true_signature"] = signatures.share[pd.Index(signatures.genes).get_indexer(table.var_names)]
    truth: dict[str, Any] = {
        "cell_types": list(CELL_TYPES),
        "control_genes": [g for g, c in zip(signatures.genes, signatures.control, strict=True) if c],
        "slides": {
            name: {"offset_px": s.offset_px.tolist(), "rotation_deg": s.rotation_deg} for name, s in slides.items()
        },
    }
    sdata.attrs[_keys.ROOT]["truth"] = truth

"""A cohort of H&E-like slides whose counts follow from the cells in the picture."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist.datasets._drawing.bins import draw_bins
from spatialhist.datasets._drawing.cells import CELL_TYPES
from spatialhist.datasets._drawing.counts import vary_share
from spatialhist.datasets._drawing.genes import Signatures, draw_signatures
from spatialhist.datasets._drawing.scene import Design, Patient, draw_patient, draw_scene
from spatialhist.datasets._drawing.spots import draw_spots
from spatialhist.datasets._drawing.transcripts import draw_segmented
from spatialhist.datasets._platforms.visium import build_visium
from spatialhist.datasets._platforms.visium_hd import build_visium_hd
from spatialhist.datasets._platforms.xenium import build_xenium

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.datasets._drawing.slide import Slide

logger = logging.getLogger(__name__)

Platform = Literal["visium", "visium_hd", "xenium"]
ON_TISSUE = 0.6
"""Share of a slide that bins cover; more of a small one."""


class _Platform(NamedTuple):
    """How a platform counts, how its reader makes an object of that, and what it gets if nothing is said."""

    draw: Callable[..., Any]
    build: Callable[..., SpatialData]
    depth: float
    max_offset: float


# instruments register what they count to less than a spot; single molecules of Xenium are some times fewer
_PLATFORMS = {
    "visium": _Platform(draw_spots, build_visium, 2000.0, 1.0),
    "visium_hd": _Platform(draw_bins, build_visium_hd, 2000.0, 0.1),
    "xenium": _Platform(draw_segmented, build_xenium, 500.0, 0.1),
}


def synthetic(
    n_slides: int = 6,
    *,
    platform: Platform = "visium",
    n_patients: int | None = None,
    size_px: tuple[int, int] = (900, 1200),
    mpp: float = 2.0,
    pitch_um: float = 100.0,
    spot_diameter_um: float = 55.0,
    bin_um: int = 8,
    n_bins: int | None = None,
    n_genes: int = 100,
    depth: float | None = None,
    signal: float = 1.0,
    max_offset: float | None = None,
    max_rotation: float = 0.0,
    seed: int = 0,
) -> SpatialData:
    """Draw a cohort of H&E-like slides with counts of Visium, Visium HD or Xenium, and keep the truth.

    Every slide is drawn from a tissue model: nests of tumor in fibrous stroma, lymphocytes, fat, ducts,
    lobules and vessels, at times necrosis or a fold, on white glass. Spots lie on a hexagonal lattice, some of
    them partly or wholly off the tissue. Their counts are negative binomial around what the nuclei under them
    make. Slides of a patient share the tissue's mixture, the stain's hue and expression levels, not the picture.
    The same area at another `mpp` shows the same tissue, and so does the same seed on another platform: summed over
    spots, bins of Visium HD and cells of Xenium hold what spots of Visium do.

    Parameters
    ----------
    n_slides
        Number of slides, named ``S1``, ``S2``, ...
    platform
        ``"visium"``: spots; ``"visium_hd"``: square bins that cover the tissue, as :func:`spatialhist.io.read_visium_hd`
        reads them; ``"xenium"``: cells, as :func:`spatialhist.io.read_xenium` reads them, with their outlines and
        transcripts.
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
    bin_um
        Side of a bin in micrometers, of Visium HD only.
    n_bins
        About how many bins a slide has, of Visium HD only: slides of the shape of `size_px`, as large as it takes.
    n_genes
        Number of genes. At least a quarter are controls whose share of a cell's RNA is the same in all cell types;
        the others mark one cell type each.
    depth
        Counts to expect from a spot with an average number of cells, or from bins and transcripts over the area of one of
        55 micrometers; 2000 if None, and 500 for Xenium.
    signal
        How far the counts follow the picture: at 1 wholly, at 0 all spots draw from the same mixture of cells, on
        glass as on tissue, and the counts say nothing about the picture. Cells of Xenium are drawn where they are at 0,
        too, but all make the same.
    max_offset
        Coordinates on every second slide are wrong by 0.4 to 1 times this many `pitch_um`; 1 if None, and 0.1 for Visium
        HD and Xenium, whose instruments take the picture.
    max_rotation
        And turned around the slide's center by up to this many degrees.
    seed
        Seed of everything random. The picture does not depend on `platform`, `n_genes`, `depth` and `signal`.

    Returns
    -------
    SpatialData
        In memory, as every reader of the package returns it. What is true is kept beside what a user would
        know: ``sdata.attrs["spatialhist"]["truth"]`` holds ``cell_types``, ``control_genes`` and, by slide,
        ``offset_px`` (dx, dy; reported minus true centers before the turn) and ``rotation_deg`` (counted from x to
        y). The table holds ``obsm["true_spatial"]`` (x, y in pixels), ``obsm["true_composition"]`` (nuclei under
        the spot, spots x cell types; bins and cells likewise) and ``varm["true_signature"]`` (shares of RNA, genes x cell
        types, before patients and slides vary them). A slide ``S1`` of Xenium also has ``shapes["S1_cell_boundaries"]``
        and ``points["S1_transcripts"]``: position in micrometers, ``feature_name``, ``qv``, and ``cell_id``, which is -1
        between cells. Cells count transcripts of a quality of 20 and more.

    Raises
    ------
    ValueError
        If an argument is out of its range, `n_bins` is given for another platform than Visium HD, or a slide is less than
        three spot spacings wide or high, or has no space for a spot.

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

    The same tissue in bins of 16 micrometers:

    >>> binned = sh.datasets.synthetic(1, platform="visium_hd", bin_um=16, size_px=(300, 400), n_genes=20, seed=1)
    >>> sh.pp.pool_spots(binned, ("um", 55))
    >>> sdata["table"].n_obs < binned["pooled"].n_obs < binned["table"].n_obs
    True
    """
    from spatialhist._sdata.build import concat_slides

    check_choice("platform", platform, Platform)
    kind = _PLATFORMS[platform]
    n_patients = -(-n_slides // 2) if n_patients is None else n_patients
    depth = kind.depth if depth is None else depth
    max_offset = kind.max_offset if max_offset is None else max_offset
    design = Design(size_px, mpp, pitch_um, spot_diameter_um, depth, signal, max_offset, max_rotation, bin_um)
    design = design if n_bins is None else _with_bins(design, n_bins, platform)
    _check(n_slides, n_patients, n_genes, design)
    signatures = draw_signatures(n_genes, _rng(seed, "genes"))
    patients = [draw_patient(signatures.share, _rng(seed, "patient", i)) for i in range(n_patients)]
    of = [i * n_patients // n_slides for i in range(n_slides)]
    names = [f"S{i + 1}" for i in range(n_slides)]
    slides = [_draw(kind, i, design, patients[of[i]], seed) for i in range(n_slides)]
    parts = [
        kind.build(slide, name, f"P{p + 1}", signatures.genes) for slide, name, p in zip(slides, names, of, strict=True)
    ]
    sdata = concat_slides(parts)
    _keep_truth(sdata, dict(zip(names, slides, strict=True)), signatures)
    logger.info("made %d synthetic slides of %d patients with %d spots", n_slides, n_patients, sdata["table"].n_obs)
    return sdata


def _with_bins(design: Design, n_bins: int, platform: str) -> Design:
    """Make slides as large as it takes for so many bins, of the same shape."""
    if platform != "visium_hd":
        raise ValueError(
            f"n_bins={n_bins} is for platform='visium_hd', not for {platform!r}: leave it out, or set size_px"
        )
    if not n_bins > 0 or not design.bin_um > 0:
        raise ValueError(f"n_bins is {n_bins} and bin_um {design.bin_um}: both must be positive")
    width, height = design.size_px
    area_px = n_bins * (design.bin_um / design.mpp) ** 2 / ON_TISSUE
    factor = (area_px / (width * height)) ** 0.5
    return replace(design, size_px=(round(width * factor), round(height * factor)))


def _check(n_slides: int, n_patients: int, n_genes: int, design: Design) -> None:
    if n_slides < 1 or not 1 <= n_patients <= n_slides:
        raise ValueError(f"{n_slides} slides of {n_patients} patients: want 1 <= n_patients <= n_slides")
    if n_genes < 4:
        raise ValueError(f"n_genes is {n_genes}: at least 4 are needed, one of them a control")
    if not 0 <= design.signal <= 1:
        raise ValueError(f"signal is {design.signal}: choose it from 0 (none) to 1 (all)")
    lengths = {"mpp": design.mpp, "pitch_um": design.pitch, "spot_diameter_um": design.diameter, "depth": design.depth}
    for name, value in (lengths | {"bin_um": design.bin_um}).items():
        if not value > 0:
            raise ValueError(f"{name} is {value}: it must be positive")
    if min(design.size_px) * design.mpp < 3 * design.pitch:
        raise ValueError(
            f"size_px {design.size_px} at {design.mpp} um/px is less than 3 spot spacings: enlarge size_px, or n_bins"
        )


_STREAMS = ("genes", "patient", "picture", "counts")


def _rng(seed: int, stream: str, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAMS.index(stream), number])


def _draw(kind: _Platform, i: int, design: Design, patient: Patient, seed: int) -> Slide:
    scene = draw_scene(design, patient, misplaced=i % 2 == 1, rng=_rng(seed, "picture", i))
    counting = _rng(seed, "counts", i)
    return kind.draw(scene, vary_share(patient.share, 0.1, counting), counting)


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

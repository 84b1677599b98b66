"""One synthetic slide as arrays: pixels, spots, counts and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from spatialhist.datasets._drawing.cells import draw_cells
from spatialhist.datasets._drawing.counts import TYPICAL, composition, draw_counts, vary_share
from spatialhist.datasets._drawing.fields import sample
from spatialhist.datasets._drawing.lattice import hexagonal_lattice
from spatialhist.datasets._drawing.render import Stain, draw_stain, render, vary_stain
from spatialhist.datasets._drawing.structure import draw_structure
from spatialhist.datasets._drawing.tissue import STEP, Mixture, Tissue, draw_mixture, draw_tissue

_TYPICAL_DIAMETER = 55.0  # micrometers, the spot that `TYPICAL` describes
_GLASS = 0.05  # share of the lattice's sites on bare glass that are kept


@dataclass(frozen=True)
class Design:
    """What all slides of a cohort share; lengths in micrometers unless the name says pixels."""

    size_px: tuple[int, int]
    mpp: float
    pitch: float
    diameter: float
    depth: float
    signal: float
    max_offset: float
    max_rotation: float


@dataclass(frozen=True)
class Patient:
    """What the slides of a patient share."""

    mixture: Mixture
    stain: Stain
    share: np.ndarray


@dataclass(frozen=True)
class Slide:
    """`xy` is where the spots are said to lie, `true_xy` where they lie, both (x, y) in pixels."""

    image: np.ndarray
    xy: np.ndarray
    true_xy: np.ndarray
    offset_px: np.ndarray
    rotation_deg: float
    composition: np.ndarray
    counts: sparse.csr_matrix


def draw_patient(share: np.ndarray, rng: np.random.Generator) -> Patient:
    """Make up a patient: tissue, stain and expression differ from the next patient's."""
    return Patient(draw_mixture(rng), draw_stain(rng), vary_share(share, 0.3, rng))


def draw_slide(
    design: Design, patient: Patient, *, misplaced: bool, picture: np.random.Generator, counting: np.random.Generator
) -> Slide:
    """Draw a slide; `picture` decides on pixels and spots, `counting` on the counts alone."""
    extent = (design.size_px[0] * design.mpp, design.size_px[1] * design.mpp)
    tissue = draw_tissue(extent, patient.mixture, picture)
    cells = draw_cells(tissue, picture)
    xy, true_xy, offset, rotation = _place_spots(tissue, design, misplaced, picture)
    structure = draw_structure(tissue, design.mpp, picture)
    image = render(structure, cells, vary_stain(patient.stain, picture), design.size_px, design.mpp, picture)
    under = composition(cells, true_xy, design.diameter / 2)
    typical_spot = under * (_TYPICAL_DIAMETER / design.diameter) ** 2
    seen = design.signal * typical_spot + (1 - design.signal) * TYPICAL
    counts = draw_counts(seen, vary_share(patient.share, 0.1, counting), design.depth, counting)
    mpp = design.mpp
    return Slide(image, xy / mpp, true_xy / mpp, offset / mpp, float(np.rad2deg(rotation)), under, counts)


def _place_spots(
    tissue: Tissue, design: Design, misplaced: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Lattice sites on the tissue, at its rim and, few, on glass; where they are said to be and where they are."""
    offset, rotation = _misplacement(design, rng) if misplaced else (np.zeros(2), 0.0)
    roomy = (tissue.extent[0] + 2 * design.pitch, tissue.extent[1] + 2 * design.pitch)
    xy = hexagonal_lattice(roomy, design.pitch) - rng.uniform(0, design.pitch, 2)
    true_xy = _rotate(xy - offset, -rotation, np.array(tissue.extent) / 2)
    radius = design.diameter / 2
    depth = sample(tissue.depth, true_xy, STEP)
    keep = (depth > -0.7 * radius) | ((depth < -radius) & (rng.random(len(xy)) < _GLASS))
    for centers in (xy, true_xy):
        keep &= ((centers > radius) & (centers < np.array(tissue.extent) - radius)).all(axis=1)
    if not keep.any():
        raise ValueError(f"no spot of {design.diameter} um finds a place on {design.size_px} pixels: enlarge size_px")
    return xy[keep], true_xy[keep], offset, rotation


def _misplacement(design: Design, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1) * design.max_offset * design.pitch
    offset = length * np.array([np.cos(direction), np.sin(direction)])
    return offset, float(np.deg2rad(design.max_rotation) * rng.random() * rng.choice([-1, 1])) + 0.0


def _rotate(xy: np.ndarray, angle: float, center: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return (xy - center) @ np.array([[cos, sin], [-sin, cos]]) + center

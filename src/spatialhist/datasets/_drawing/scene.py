"""What every platform measures: the picture of a slide, its cells, and how wrong positions on it are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialhist.datasets._drawing.cells import Cells, draw_cells
from spatialhist.datasets._drawing.counts import vary_share
from spatialhist.datasets._drawing.fields import sample
from spatialhist.datasets._drawing.lattice import hexagonal_lattice
from spatialhist.datasets._drawing.render import Stain, draw_stain, render, vary_stain
from spatialhist.datasets._drawing.structure import draw_structure
from spatialhist.datasets._drawing.tissue import STEP, Mixture, Tissue, draw_mixture, draw_tissue

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
    bin_um: int = 8


@dataclass(frozen=True)
class Patient:
    """What the slides of a patient share."""

    mixture: Mixture
    stain: Stain
    share: np.ndarray


@dataclass(frozen=True)
class Placement:
    """How positions on a slide are wrong: turned by `rotation` (radians, from x to y) around `center`, then moved."""

    offset: np.ndarray
    rotation: float
    center: np.ndarray

    def reported(self, true_xy: np.ndarray) -> np.ndarray:
        """Where points at `true_xy` are said to lie."""
        return _rotate(true_xy, self.rotation, self.center) + self.offset

    def true(self, xy: np.ndarray) -> np.ndarray:
        """Where points lie that are said to lie at `xy`."""
        return _rotate(xy - self.offset, -self.rotation, self.center)


@dataclass(frozen=True)
class Scene:
    """A slide before anything is counted on it, in micrometers; `spots` is where a lattice of spots is said to lie."""

    design: Design
    image: np.ndarray
    tissue: Tissue
    cells: Cells
    placement: Placement
    spots: np.ndarray


def draw_patient(share: np.ndarray, rng: np.random.Generator) -> Patient:
    """Make up a patient: tissue, stain and expression differ from the next patient's."""
    return Patient(draw_mixture(rng), draw_stain(rng), vary_share(share, 0.3, rng))


def draw_scene(design: Design, patient: Patient, *, misplaced: bool, rng: np.random.Generator) -> Scene:
    """Draw a slide. Of `design`, only sizes and misplacement decide on it, so that it is the same on every platform."""
    extent = (design.size_px[0] * design.mpp, design.size_px[1] * design.mpp)
    tissue = draw_tissue(extent, patient.mixture, rng)
    cells = draw_cells(tissue, rng)
    placement = _misplacement(design, extent, misplaced, rng)
    spots = _place_spots(tissue, design, placement, rng)
    structure = draw_structure(tissue, design.mpp, rng)
    image = render(structure, cells, vary_stain(patient.stain, rng), design.size_px, design.mpp, rng)
    return Scene(design, image, tissue, cells, placement, spots)


def _place_spots(tissue: Tissue, design: Design, placement: Placement, rng: np.random.Generator) -> np.ndarray:
    """Lattice sites on the tissue, at its rim and, few, on glass: where they are said to be."""
    roomy = (tissue.extent[0] + 2 * design.pitch, tissue.extent[1] + 2 * design.pitch)
    xy = hexagonal_lattice(roomy, design.pitch) - rng.uniform(0, design.pitch, 2)
    true_xy = placement.true(xy)
    radius = design.diameter / 2
    depth = sample(tissue.depth, true_xy, STEP)
    keep = (depth > -0.7 * radius) | ((depth < -radius) & (rng.random(len(xy)) < _GLASS))
    for centers in (xy, true_xy):
        keep &= within(centers, tissue.extent, radius)
    if not keep.any():
        raise ValueError(f"no spot of {design.diameter} um finds a place on {design.size_px} pixels: enlarge size_px")
    return xy[keep]


def within(xy: np.ndarray, extent: tuple[float, float], margin: float = 0.0) -> np.ndarray:
    """Boolean of points that lie on a slide, more than `margin` from its border."""
    return np.all((xy > margin) & (xy < np.array(extent) - margin), axis=1)


def _misplacement(design: Design, extent: tuple[float, float], misplaced: bool, rng: np.random.Generator) -> Placement:
    center = np.array(extent) / 2
    if not misplaced:
        return Placement(np.zeros(2), 0.0, center)
    direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1) * design.max_offset * design.pitch
    offset = length * np.array([np.cos(direction), np.sin(direction)])
    return Placement(offset, float(np.deg2rad(design.max_rotation) * rng.random() * rng.choice([-1, 1])) + 0.0, center)


def _rotate(xy: np.ndarray, angle: float, center: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return (xy - center) @ np.array([[cos, sin], [-sin, cos]]) + center

"""Realignment on her2st and on simulated lattices: python benchmarks/realign.py [--data FOLDER] [--store ZARR].

Per slide: 20 rigid perturbations (up to 3 spot spacings and 8 degrees) of the published spots, the median residual in
spot spacings, how far the published coordinates themselves move, how often flips and quarter turns are undone, and how often
something is accepted where nothing should be. Then simulated Visium slides whose spots lie on glass too, placed by
expression, and a lattice of very many spots. `--store none` leaves her2st out.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp
from _her2st import stored_cohort
from scipy.spatial import cKDTree

import spatialhist as sh
from spatialhist._sdata.cohort import get_slide
from spatialhist._sdata.geometry import spot_centers
from spatialhist._sdata.images import image_key, pyramid
from spatialhist._sdata.scale import scale, slide_info
from spatialhist.pp._registration.register import register
from spatialhist.pp._registration.stain_amount import hematoxylin_amount, stain_amount
from spatialhist.pp._registration.transforms import flips_and_rotations, move
from spatialhist.pp._tissue.overview import overview

N = 20
N_TURNS = 7
N_NONSENSE = 5
SEEDS = (4, 5, 6, 7)
"""What is scored was chosen while looking at seeds 0 to 5, and at her2st; when it is accepted, on seed 100."""
MODELS = ("translation", "rigid", "similarity")
OFFSET_PX = np.array([-55.0, -60.0])
COVERED = {
    "whole": ((0.0, 0.0), (1.0, 1.0)),
    "top left": ((0.0, 0.0), (0.6, 0.6)),
    "right": ((0.5, 0.0), (1.0, 1.0)),
    "middle": ((0.25, 0.25), (0.75, 0.75)),
    "a third": ((0.35, 0.35), (0.65, 0.65)),
}
"""Share of the image's width and height over which there are spots, from (x, y) to (x, y)."""


def main() -> None:
    warnings.simplefilter("ignore")
    if "none" not in sys.argv:
        real_slides()
    with_expression()
    many_spots()


def real_slides() -> None:
    sdata = stored_cohort()
    columns = ("residual", "worst", "cpu s", "right moves", "turned", "nonsense", "expression", "accepted")
    print("slide ", *(f"{c:>11}" for c in columns))
    medians = []
    for slide in sdata.shapes:
        pixels, mask, factors = overview(get_slide(sdata, slide))
        tissue, table = stain_amount(pixels, mask), sdata["table"]
        pitch, xy = scale(sdata, slide).pitch_px, spot_centers(sdata, table, slide)
        pyr = pyramid(sdata, image_key(sdata, slide))
        place = partial(register, factors=factors, pitch=pitch)
        found, seconds = perturbed(tissue, xy, pitch, place)
        residuals = [residual for residual, _ in found]
        medians.append(np.median(residuals))
        right = displacement(place(tissue, xy=xy).matrix, xy, xy) / pitch
        turned = turns_found(tissue, xy, np.array([pyr.width, pyr.height]), pitch, place)
        wrong = nonsense(tissue, xy, pitch, place)
        activity = np.log1p(np.asarray(table.X[np.flatnonzero(table.obs["region"] == slide)].sum(axis=1)).ravel())
        found, _ = perturbed(hematoxylin_amount(pixels, mask), xy, pitch, partial(place, activity=activity))
        accepted = [residual for residual, accepted in found if accepted]
        cells = (f"{medians[-1]:.3f}", f"{max(residuals):.3f}", f"{seconds:.2f}", f"{right:.3f}", turned, wrong)
        cells += (f"{np.median(accepted):.3f}" if accepted else "-", f"{len(accepted)}/{N}")
        print(f"{slide:<6}", *(f"{c:>11}" for c in cells), flush=True)
    print(f"median over slides {np.median(medians):.3f}, worst slide {max(medians):.3f} spot spacings")


def displacement(matrix: np.ndarray, xy: np.ndarray, truth: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(move(matrix, xy) - truth, axis=1)))


def perturbed(picture, xy, pitch, place) -> tuple[list[tuple[float, bool]], float]:
    """Residual in spot spacings and whether the move was accepted, for N rigid perturbations; processor seconds of each."""
    rng = np.random.default_rng(0)
    center, results = xy.mean(axis=0), []
    start = time.process_time()
    for _ in range(N):
        angle = np.deg2rad(rng.uniform(-8, 8))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        wrong = (xy - center) @ turn.T + center + rng.uniform(-3, 3, 2) * pitch
        found = place(picture, xy=wrong)
        results.append((displacement(found.matrix, wrong, xy) / pitch, found.accepted))
    return results, (time.process_time() - start) / N


def turns_found(tissue, xy, size, pitch, place) -> str:
    good = 0
    for turn in flips_and_rotations(size)[:N_TURNS]:
        wrong = move(np.linalg.inv(turn), xy)
        found = place(tissue, xy=wrong, orientations=True)
        good += displacement(found.matrix, wrong, xy) < pitch
    return f"{good}/{N_TURNS}"


def nonsense(tissue, xy, pitch, place) -> str:
    accepted = 0
    for seed in range(N_NONSENSE):
        rng = np.random.default_rng(seed)
        wrong = xy + rng.uniform(-3, 3, 2) * pitch
        cases = (
            (rng.random(tissue.shape), wrong),
            (np.ones_like(tissue), wrong),
            (tissue, rng.uniform(xy.min(axis=0), xy.max(axis=0), xy.shape)),
            (tissue, wrong[wrong[:, 0] < np.median(wrong[:, 0])]),
        )
        accepted += sum(place(t, xy=spots).accepted for t, spots in cases)
    return f"{accepted}/{4 * N_NONSENSE}"


def with_expression() -> None:
    """Lattices of 25 px at 4 um a pixel, off by OFFSET_PX, all spots reported, those on glass with few counts."""
    columns = ("footprint", *MODELS, "shuffled", "other's")
    print(f"{'seed':<4} {'slide':<5} {'spots':<9} {'n':>5}", *(f"{c:>11}" for c in columns), f"{'cpu s':>6}")
    found = []
    for seed in SEEDS:
        sdata = sh.datasets.synthetic(n_slides=3, size_px=(1500, 1200), mpp=4.0, max_offset=0.0, seed=seed)
        slides = [one_slide(sdata, slide) for slide in sdata.shapes]
        for i, slide in enumerate(slides):
            for name, (low, high) in COVERED.items():
                there = ((slide.share >= low) & (slide.share < high)).all(axis=1)
                pixels, seconds = by_expression(slide, slides[i - 1], there)
                found.append(pixels)
                cells = (f"{p:11.2f}" for p in pixels)
                print(f"{seed:<4} S{i + 1:<4} {name:<9} {there.sum():5d}", *cells, f"{seconds:6.2f}", flush=True)
    placed = np.array(found)[:, 1:4]
    print(f"by expression, within 2 px and accepted: {dict(zip(MODELS, within(placed), strict=True))} of {len(found)}")
    print(
        f"accepted farther off: {int((placed > 2).sum())}; by other counts: {int((np.array(found)[:, 4:] >= 0).sum())}"
    )


def within(placed: np.ndarray) -> list[int]:
    return ((placed >= 0) & (placed <= 2)).sum(axis=0).tolist()


@dataclass
class Truth:
    """A slide whose spots are where they belong."""

    image: np.ndarray
    xy: np.ndarray
    counts: sp.csr_matrix

    @property
    def share(self) -> np.ndarray:
        """Positions as shares of the width and the height."""
        return self.xy / self.image.shape[:0:-1]


def one_slide(sdata, slide: str) -> Truth:
    table = sdata["table"]
    rows = np.flatnonzero((table.obs["region"] == slide).to_numpy())
    image = np.asarray(pyramid(sdata, image_key(sdata, slide)).levels[0])
    return Truth(image, spot_centers(sdata, table, slide), sp.csr_matrix(table.X)[rows])


def by_expression(slide: Truth, other: Truth, there: np.ndarray) -> tuple[list[float], float]:
    """Residuals by footprint, by each model, with shuffled counts, and with the counts at these places of another slide."""
    truth, counts = slide.xy[there], slide.counts[np.flatnonzero(there)]
    wrong = sh.io.from_arrays(slide.image, truth + OFFSET_PX, counts, slide="S1", mpp=4.0)
    sh.pp.mask_background(wrong, fill=False)
    found = [residual_px(wrong, truth, model="rigid")]
    start = time.process_time()
    found += [residual_px(wrong, truth, model=model, use_expression=True) for model in MODELS]
    seconds = (time.process_time() - start) / len(MODELS)
    elsewhere = other.counts[cKDTree(other.share).query(slide.share[there])[1]]
    for nonsense in (counts[np.random.default_rng(0).permutation(len(truth))], elsewhere):
        wrong["table"].X = nonsense
        found.append(residual_px(wrong, truth, use_expression=True))
    return found, seconds


def residual_px(sdata, truth: np.ndarray, *, use_expression: bool = False, **options) -> float:
    """Median distance of the spots from the truth, in pixels; negative unless moved by what was asked for."""
    (slide,) = sdata.shapes
    sh.pp.realign(sdata, use_expression=use_expression, **options)
    placed = spot_centers(sdata, sdata["table"], slide)
    report = slide_info(sdata, slide)["alignment_report"]
    moved = report["accepted"] and report["use_expression"] == use_expression
    return float(np.median(np.linalg.norm(placed - truth, axis=1))) * (1 if moved else -1)


def many_spots() -> None:
    """A Visium-HD-like square lattice, 8 um at 2 um a pixel, of 300,000 spots on tissue, off by (30, -22) px."""
    y, x = np.mgrid[:600, :800]
    tissue = ((x - 310) ** 2 + (y - 300) ** 2 < 290**2) | ((x > 380) & (x < 770) & (y > 280) & (y < 570))
    row, column = np.nonzero(tissue)
    right = np.column_stack([column + 0.5, row + 0.5]) * 4
    cells = np.random.default_rng(0).random(tissue.shape) * tissue
    image = (np.array([60, 110, 50])[:, None, None] * cells).repeat(4, axis=1).repeat(4, axis=2)
    wrong = sh.io.from_arrays(
        (235 - image).astype(np.uint8), right + [30, -22], sp.csr_matrix((len(right), 1)), slide="S1", mpp=2.0
    )
    start, clock = time.process_time(), time.perf_counter()
    residual = residual_px(wrong, right, max_shift=20)
    print(
        f"{len(right):,} spots: {time.process_time() - start:.1f} s of the processor, "
        f"{time.perf_counter() - clock:.1f} s, residual {residual:.2f} px at a spot spacing of 4 px"
    )


if __name__ == "__main__":
    main()

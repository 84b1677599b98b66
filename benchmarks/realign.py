"""Realignment on her2st and on synthetic lattices: python benchmarks/realign.py [--data FOLDER] [--store ZARR].

Per slide: 20 rigid perturbations (up to 3 pitches and 8 degrees) of the published spots, the median residual in
pitches, how far the published placement itself moves, how often flips and quarter turns are undone, and how often
something is accepted where nothing should be.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from _her2st import stored_cohort

from spatialhist._sdata.geometry import scale, spot_centers
from spatialhist._sdata.images import image_key, pyramid
from spatialhist.pp._realign import _tissue
from spatialhist.pp._register import _apply, _turns, register

N = 20
N_TURNS = 7
N_NONSENSE = 5


def main() -> None:
    sdata = stored_cohort()
    print(f"{'slide':<6} {'residual':>8} {'worst':>6} {'s':>5} {'right moves':>11} {'turned':>7} {'nonsense':>8}")
    medians = []
    for slide in sdata.shapes:
        tissue, factors = _tissue(sdata, slide)
        pitch = scale(sdata, slide).pitch_px
        xy = spot_centers(sdata, sdata["table"], slide)
        pyr = pyramid(sdata, image_key(sdata, slide))
        place = partial(register, factors=factors, pitch=pitch)
        residuals, seconds = perturbed(tissue, xy, pitch, place)
        medians.append(np.median(residuals))
        right = displacement(place(tissue, xy=xy).matrix, xy, xy) / pitch
        turned = turns_found(tissue, xy, np.array([pyr.width, pyr.height]), pitch, place)
        wrong = nonsense(tissue, xy, pitch, place)
        print(
            f"{slide:<6} {medians[-1]:8.3f} {max(residuals):6.3f} {seconds:5.2f} {right:11.3f} {turned:>7} {wrong:>8}",
            flush=True,
        )
    print(f"median over slides {np.median(medians):.3f}, worst slide {max(medians):.3f} pitches")
    many_spots()


def displacement(matrix: np.ndarray, xy: np.ndarray, truth: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(_apply(matrix, xy) - truth, axis=1)))


def perturbed(tissue, xy, pitch, place) -> tuple[list[float], float]:
    rng = np.random.default_rng(0)
    center, residuals = xy.mean(axis=0), []
    start = time.perf_counter()
    for _ in range(N):
        angle = np.deg2rad(rng.uniform(-8, 8))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        wrong = (xy - center) @ turn.T + center + rng.uniform(-3, 3, 2) * pitch
        residuals.append(displacement(place(tissue, xy=wrong).matrix, wrong, xy) / pitch)
    return residuals, (time.perf_counter() - start) / N


def turns_found(tissue, xy, size, pitch, place) -> str:
    good = 0
    for turn in _turns(size)[:N_TURNS]:
        wrong = _apply(np.linalg.inv(turn), xy)
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


def many_spots() -> None:
    """A lattice of 300,000 spots of 4 px on a disc with a corner, off by (30, -22) px."""
    y, x = np.mgrid[:600, :800]
    tissue = (((x - 380) ** 2 + (y - 300) ** 2 < 240**2) | ((x > 380) & (x < 640) & (y > 300) & (y < 520))).astype(
        float
    )
    i, j = np.meshgrid(np.arange(0, 3200, 4.0), np.arange(0, 2400, 4.0))
    lattice = np.column_stack([i.ravel(), j.ravel()])
    column, row = (lattice / 4).astype(int).T
    right = lattice[tissue[row, column] > 0]
    wrong = right + [30, -22]
    start = time.perf_counter()
    found = register(tissue, (4.0, 4.0), wrong, 4.0, max_shift=20)
    seconds = time.perf_counter() - start
    print(f"{len(right):,} spots: {seconds:.1f} s, residual {displacement(found.matrix, wrong, right):.2f} px")


if __name__ == "__main__":
    main()

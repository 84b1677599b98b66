"""Processor time and peak memory of the scores at 50,000 spots x 2,000 targets, against a loop over scipy.

Before it, all scores of a run of seven slides as `tl.evaluate(metrics="all")` takes them.

Usage: python benchmarks/metrics.py [--spots 50000] [--targets 2000] [--slides 7] [--headline]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import sparse, stats
from scipy.spatial import cKDTree

from spatialhist import metrics
from spatialhist.tl._scores.metrics import METRICS, Layout
from spatialhist.tl._scores.score_slide import score_slide

BASELINE_TARGETS = 40
PAIRED = (
    metrics.spot_spearman,
    metrics.rmse,
    metrics.nrmse,
    metrics.r2,
    metrics.variance_ratio,
    metrics.mutual_information,
    metrics.jensen_shannon,
    metrics.auc_detected,
)


def main() -> None:
    """Print one row a score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spots", type=int, default=50_000)
    parser.add_argument("--targets", type=int, default=2_000)
    parser.add_argument("--slides", type=int, default=7)
    parser.add_argument("--headline", action="store_true", help="leave the other scores out")
    options = parser.parse_args()
    report("7 slides, all scores", seconds(seven_slides))
    truth, predicted = simulate(options.spots, options.targets)
    slide = np.sort(np.arange(options.spots) % options.slides).astype(str)

    print(f"{options.spots} spots x {options.targets} targets (float32), {options.slides} slides, slides as groups")
    print(f"inputs: {(truth.nbytes + predicted.nbytes) / 2**30:.2f} GiB, peak so far {peak_gib():.2f} GiB")
    headline = seconds(lambda: metrics.within_slide_pearson(truth, predicted, slide, slide))
    loop = seconds(lambda: scipy_loop(stats.pearsonr, truth, predicted, slide)) * options.targets / BASELINE_TARGETS
    report("within_slide_pearson", headline, loop)
    if options.headline:
        return
    report("pearson", seconds(lambda: metrics.pearson(truth, predicted)))
    ranked = seconds(lambda: metrics.spearman(truth, predicted))
    loop = seconds(lambda: scipy_loop(stats.spearmanr, truth, predicted, None)) * options.targets / BASELINE_TARGETS
    report("spearman", ranked, loop)
    for score in PAIRED:
        report(score.__name__, seconds(lambda score=score: score(truth, predicted)))
    xy, graph = lattice(options.spots)
    report("ssim", seconds(lambda: metrics.ssim(truth, predicted, xy, 1.0)))
    report("moran_agreement", seconds(lambda: metrics.moran_agreement(truth, predicted, graph)))


def seven_slides() -> None:
    """Take every score of eight predictors of 250 genes on seven slides of 500 spots."""
    xy, graph = lattice(500)
    for _ in range(7):
        truth, predicted = simulate(500, 250)
        for _ in range(8):
            list(score_slide(truth, predicted, [str(g) for g in range(250)], Layout(xy, 1.0, graph), chosen=METRICS))


def simulate(n_spots: int, n_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log1p counts and a noisy prediction of them."""
    rng = np.random.default_rng(0)
    level = (0.1 + rng.gamma(1.0, size=n_targets)).astype(np.float32)
    truth = np.log1p(rng.poisson(level, size=(n_spots, n_targets)).astype(np.float32))
    return truth, truth + rng.standard_normal(truth.shape, dtype=np.float32)


def lattice(n_spots: int) -> tuple[np.ndarray, sparse.csr_array]:
    """Return centers on a square lattice of spacing 1 and the graph of the eight nearest."""
    width = int(np.ceil(np.sqrt(n_spots)))
    xy = np.column_stack(np.divmod(np.arange(n_spots), width)).astype(float)
    pairs = cKDTree(xy).query_pairs(1.5, output_type="ndarray")
    half = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(n_spots, n_spots))
    return xy, sparse.csr_array(half + half.T)


def scipy_loop(correlation: Callable, truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray | None) -> None:
    """Score the first targets one by one."""
    slides = [slice(None)] if slide is None else [slide == name for name in np.unique(slide)]
    for rows in slides:
        for target in range(BASELINE_TARGETS):
            correlation(truth[rows, target], predicted[rows, target])


def seconds(function: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def report(name: str, ours: float, loop: float | None = None) -> None:
    """Print a row; the loop's time is scaled up from the targets it was run on."""
    ratio = f"  scipy loop {loop:7.1f} s (from {BASELINE_TARGETS} targets)  {loop / ours:5.1f} x" if loop else ""
    print(f"{name:22s} {ours:7.1f} s  peak {peak_gib():.2f} GiB{ratio}", flush=True)


def peak_gib() -> float:
    """Return the highest resident memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == "__main__":
    main()

"""The network from scratch: does it train stably, what does each option do, and does it beat a ridge on colour.

    python benchmarks/network.py synthetic [--width 8 --epochs 12 --seeds 3]
    python benchmarks/network.py fold --store her2st.zarr [--data FOLDER] [--held C5 --width 16 --norm batch]

``synthetic`` trains on two patients of the synthetic cohort and scores the third after every epoch: normalisation,
running mean of the weights (at no cost beside the last weights), seeds averaged, augmentation, branches. ``fold`` trains
on the sections of her2st's patient C but one, with the default network, and scores that section after every third epoch;
at the end the mean with a ridge is scored too, to see whether the network adds anything. Scores are within-slide Pearson,
and choose nothing: training always runs to its end.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import spatialdata as sd
import torch
from _watched import split, watch

import spatialhist as sh
from spatialhist.nn import VisionMLPMultiTask
from spatialhist.tl import FeatureNetwork, Ridge, TileNetwork
from spatialhist.tl._predictors._ridge_solver import within_slide_score
from spatialhist.tl._samples import Samples

TILES = {"tile_extent": ("pitch", 2.0), "tile_pixels": 48}
DECAY = 0.98


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["synthetic", "fold"])
    parser.add_argument("--width", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--norm", default="batch", choices=["batch", "group"], help="of fold")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--held", default="C5")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.part == "synthetic":
        synthetic(args.width or 8, args.epochs or 12, args.seeds)
    else:
        sdata = sd.read_zarr(args.store) if args.store.exists() else sh.io.read_st(args.data, store=args.store)
        fold(sdata, args.held, TileNetwork(width=args.width or 16, epochs=args.epochs or 30, norm=args.norm))


def synthetic(width: int, epochs: int, seeds: int) -> None:
    """Score every option on the patient that is left out."""
    train, held = split(prepared(sh.datasets.synthetic(6, seed=0)), ["S5", "S6"], genes=100, **TILES)
    print(ridges(train, held).to_string())
    print(heads(train, held).to_string(), flush=True)
    base = {"width": width, "epochs": epochs, "learning_rate": 2e-3, "accelerator": "cpu"}
    variants = {
        "batch norm": {},
        "group norm": {"norm": "group"},
        "no augmentation": {"augment": False},
        "tile only": {"build": Branches(("tile",), width)},
        "tile and subtiles": {"build": Branches(("tile", "subtiles"), width)},
    }
    rows = {}
    for name, options in variants.items():
        curves, predictions = [], []
        for seed in range(seeds if name.endswith("norm") else 1):
            curve, fitted = watch(TileNetwork(**{**base, "ema": DECAY, **options}), train, held, seed=seed)
            curves.append(curve)
            predictions.append(fitted.predict(held))
        rows |= summary(name, curves)
        if seeds > 1 and len(curves) == seeds:
            together = within_slide_score(held.targets, np.mean(predictions, axis=0), held.slide)
            rows[f"{name}, mean of {seeds} seeds"] = {"end": together}
        print(pd.DataFrame(rows).T.round(3).to_string(), flush=True)


class Branches:
    """Builds the network with some of its branches."""

    def __init__(self, branches: tuple[str, ...], width: int) -> None:
        self.branches, self.width = branches, width

    def __call__(self, n_outputs: int) -> torch.nn.Module:
        """Build it."""
        return VisionMLPMultiTask(n_outputs, width=self.width, branches=self.branches)


def fold(sdata: sd.SpatialData, held: str, network: TileNetwork) -> None:
    """Train one fold of patient C."""
    slides = ["C2", "C3", "C4", "C5"]
    train, scored = split(prepared(sdata), [held], genes=250, slides=slides)
    print(ridges(train, scored).to_string())
    print(heads(train, scored).to_string(), flush=True)
    curve, fitted = watch(
        replace(network, ema=DECAY, accelerator="cpu"), train, scored, every=3 if network.epochs > 9 else 2
    )
    print(pd.DataFrame(summary("network", [curve])).T.round(3).to_string())
    ridge = Ridge().fit(train, seed=0, scratch=Path(tempfile.gettempdir())).predict(scored)
    both = np.mean([ridge, fitted.predict(scored)], axis=0)
    print(f"mean of ridge and network {within_slide_score(scored.targets, both, scored.slide):.3f}")


def prepared(sdata: sd.SpatialData) -> sd.SpatialData:
    """Masks, filter, log1p."""
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    return sdata


def ridges(train: Samples, held: Samples) -> pd.Series:
    """Score ridges on colour and texture: one extent, four, four relative to the slide's tissue."""
    models = {
        "ridge, one extent": Ridge(standardized=False, extents=(1,)),
        "ridge, four extents": Ridge(standardized=False),
        "ridge, four extents, per slide": Ridge(),
    }
    scratch = Path(tempfile.gettempdir())
    fitted = {name: model.fit(train, seed=0, scratch=scratch).predict(held) for name, model in models.items()}
    return pd.Series({n: within_slide_score(held.targets, p, held.slide) for n, p in fitted.items()}).round(3)


def heads(train: Samples, held: Samples, seeds: int = 3) -> pd.Series:
    """Score the head over features by seeds, and their mean."""
    predictions = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as scratch:
            fitted = FeatureNetwork(accelerator="cpu").fit(train, seed=seed, scratch=Path(scratch))
        predictions.append(fitted.predict(held))
    named = {f"head, seed {i}": p for i, p in enumerate(predictions)} | {
        f"head, mean of {seeds} seeds": np.mean(predictions, axis=0)
    }
    return pd.Series({n: within_slide_score(held.targets, p, held.slide) for n, p in named.items()}).round(3)


def summary(name: str, curves: list[pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Best epoch, end, and swings between epochs in the second half, averaged over seeds, for both kinds of weights."""
    rows = {}
    for kind in ("last", "ema"):
        each = [c[kind].to_numpy() for c in curves]
        late = [c[len(c) // 2 :] for c in each]
        rows[name if kind == "last" else f"{name}, running mean"] = {
            "end": float(np.mean([c[-1] for c in each])),
            "best epoch": float(np.mean([c.max() for c in each])),
            "best - end": float(np.max([c.max() - c[-1] for c in each])),
            "largest step": float(np.max([np.abs(np.diff(c)).max() for c in late])),
        }
    return rows


if __name__ == "__main__":
    main()

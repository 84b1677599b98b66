"""The network from scratch: does it train stably, does it beat a ridge on color, and does it add to the default models.

    python benchmarks/network.py synthetic [--width 8 --epochs 12] [--variants]
    python benchmarks/network.py fold --store her2st.zarr [--data FOLDER] [--held C5 --width 16 --norm batch]
    python benchmarks/network.py features

``synthetic`` trains on three simulated patients and scores the fourth after every second epoch, beside
ridges on color and texture; with ``--variants`` also under group normalization, with seeds averaged, without
augmentation. ``fold`` trains on the sections of her2st's patient C but one, with the default network, and scores that
section after every third epoch; at the end the default models are fitted too, and their mean is scored with and without
the network. Scores are within-slide Pearson, and choose nothing: training always runs to its end. ``features`` trains the
three networks of the default model on features, as many and as wide as those of the default encoder on five sections, together,
one after the other, and by Lightning, and compares what they predict.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import spatialdata as sd
import torch
from _her2st import read_cohort
from _watched import prepared, split, synthetic_patients, watch

from spatialhist.tl import FeatureNetwork, Ridge, TileNetwork
from spatialhist.tl._data.design import EXTENTS_UM, Design
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors import networks, short_training
from spatialhist.tl._predictors.held_out import within_slide_score
from spatialhist.tl._predictors.registry import resolve_models
from spatialhist.tl._predictors.side_by_side import OneByOne

DESIGN = Design(extents=tuple(("um", e) for e in EXTENTS_UM))
DECAY = 0.98
LEARNING_RATE = 2e-3
"""For simulated slides: a short run is given larger steps than the default."""


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["synthetic", "fold", "features"])
    parser.add_argument("--width", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--norm", default="batch", choices=["batch", "group"], help="of fold")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated slides")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--held", default="C5")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.part == "features":
        features()
    elif args.part == "synthetic":
        synthetic(args.width or 8, args.epochs or 12, args.seeds if args.variants else 0, args.seed)
    else:
        fold(
            read_cohort(args.data, args.store),
            args.held,
            TileNetwork(width=args.width or 16, epochs=args.epochs or 30, norm=args.norm),
        )


def synthetic(width: int, epochs: int, seeds: int, cohort_seed: int) -> None:
    """Score the patient that is left out; with seeds, every option on it."""
    train, held = synthetic_patients(cohort_seed)
    print(f"{len(train)} spots of three patients, {len(held)} of the fourth")
    print(ridges(train, held).to_string(), flush=True)
    base = {"width": width, "epochs": epochs, "learning_rate": LEARNING_RATE, "accelerator": "cpu", "ema": DECAY}
    variants = {"batch norm": {}}
    if seeds:
        print(heads(train, held).to_string(), flush=True)
        variants |= {"group norm": {"norm": "group"}, "no augmentation": {"augment": False}}
    rows = {}
    for name, options in variants.items():
        curves, predictions = [], []
        for seed in range(seeds if seeds and name.endswith("norm") else 1):
            curve, fitted = watch(TileNetwork(**{**base, **options}), train, held, seed=seed, every=2)
            curves.append(curve)
            predictions.append(fitted.predict(held))
        rows |= summary(name, curves)
        if len(curves) > 1:
            together = within_slide_score(held.targets, np.mean(predictions, axis=0), held.slide)
            rows[f"{name}, mean of {seeds} seeds"] = {"end": together}
        print(pd.DataFrame(rows).T.round(3).to_string(), flush=True)


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
    print(with_and_without(train, scored, fitted.predict(scored)).to_string())


def features() -> None:
    """Train on drawn features in three ways; prints processor seconds, and the largest difference of a prediction."""
    samples = drawn_samples(1400)
    by_lightning, together = short_training._train_by_lightning, short_training.side_by_side
    rows, reference = {}, None
    for name, train, join in (
        ("Lightning", by_lightning, together),
        ("plain loop, one after the other", short_training.train_together, OneByOne),
        ("plain loop, together", short_training.train_together, together),
    ):
        networks.train_together, short_training.side_by_side = train, join
        with tempfile.TemporaryDirectory() as scratch:
            start = time.process_time()
            fitted = FeatureNetwork(accelerator="cpu").fit(samples, seed=0, scratch=Path(scratch))
            seconds = time.process_time() - start
        predicted = fitted.predict(samples)
        reference = predicted if reference is None else reference
        rows[name] = {"cpu_s": round(seconds, 1), "difference": float(np.abs(predicted - reference).max())}
    print(pd.DataFrame(rows).T.to_string())


def drawn_samples(n: int, n_blocks: int = 10, n_features: int = 224, n_genes: int = 250) -> Samples:
    """Spots of five slides whose features and genes follow from the same hidden values."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 8))
    blocks = tuple(
        (hidden @ rng.normal(size=(8, n_features)) / 3 + rng.normal(size=(n, n_features))).astype(np.float32)
        for _ in range(n_blocks)
    )
    slide = np.repeat([f"S{i}" for i in range(5)], n // 5)
    targets = (hidden @ rng.normal(size=(8, n_genes)) + 2 * rng.normal(size=(n, n_genes))).astype(np.float32)
    return Samples(
        slide=slide, group=slide, patient=slide, position=np.zeros((n, 2)), features=blocks, standardized=blocks, targets=targets,
    )  # fmt: skip


def with_and_without(train: Samples, scored: Samples, network: np.ndarray) -> pd.Series:
    """Mean of the default models, alone and with the network as a further one."""
    predictions = []
    for model in resolve_models("default"):
        with tempfile.TemporaryDirectory() as scratch:
            predictions.append(model.fit(train, seed=0, scratch=Path(scratch)).predict(scored))
    means = {"alone": np.mean(predictions, axis=0), "with the network": np.mean([*predictions, network], axis=0)}
    scores = {n: within_slide_score(scored.targets, p, scored.slide) for n, p in means.items()}
    return pd.Series(scores).round(3).rename_axis("mean of the default models")


def ridges(train: Samples, held: Samples) -> pd.Series:
    """Score ridges on color and texture: one field of view, four, four standardized by slide."""
    models = {
        "ridge, one field of view (150 um)": Ridge(standardized=False, blocks=(1,)),
        "ridge, four fields of view": Ridge(standardized=False),
        "ridge, four fields of view, standardized by slide": Ridge(),
    }
    scratch = Path(tempfile.gettempdir())
    fitted = {name: model.fit(train, seed=0, scratch=scratch).predict(held) for name, model in models.items()}
    return pd.Series({n: within_slide_score(held.targets, p, held.slide) for n, p in fitted.items()}).round(3)


def heads(train: Samples, held: Samples, seeds: int = 3) -> pd.Series:
    """Score the head over features by seeds, and their mean."""
    predictions = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as scratch:
            fitted = FeatureNetwork(members=1, accelerator="cpu").fit(train, seed=seed, scratch=Path(scratch))
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

"""What each step and each branch of the network adds: one row a variant.

    python benchmarks/ablation.py steps --store her2st.zarr [--data FOLDER] [--models default]
    python benchmarks/ablation.py targets --store her2st.zarr [--data FOLDER] [--protocol section]
    python benchmarks/ablation.py components --store her2st.zarr [--data FOLDER]
    python benchmarks/ablation.py branches [--width 8 --epochs 12]

``steps`` changes one thing at a time and cross-validates on real slides, one section of patient C and one patient left
out: the stain, the place of the spots, standardization by slide, ranks as targets. All rows share folds, panels, the cache
of features and the truth: predictions are compared with measured log1p (a row trained on ranks too, so its Pearson is at a
disadvantage that its Spearman is not), and with ranks. ``targets`` trains on targets that owe less to the depth of a spot,
and scores all of them against log1p, with and without depth. ``components`` regularizes each component of the targets by
itself. ``branches`` trains the network from scratch on simulated slides with some of its branches, and with a second, wider
view; every row sees pixels of the same size.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import spatialdata as sd
import torch
from _her2st import keep_features, read_cohort, take_features
from _watched import prepared, synthetic_patients, trained_score
from torch.nn import functional as F

import spatialhist as sh
from spatialhist.nn import VisionMLPMultiTask
from spatialhist.tl import TileNetwork
from spatialhist.tl._data.design import EXTENTS_UM, Design
from spatialhist.tl._predictors.registry import describe, resolve_models

PROTOCOLS = {
    "section": {"slides": ["C2", "C3", "C4", "C5"], "groups": "slide"},
    "patient": {"slides": None, "groups": "patient"},
}
DESIGN = Design(extents=tuple(("um", e) for e in EXTENTS_UM))
MIN_COUNTS = 50


def main() -> None:
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["steps", "targets", "components", "branches"])
    parser.add_argument("--models", default="default", help="of steps: a name")
    parser.add_argument(
        "--protocol", choices=list(PROTOCOLS), help="of targets and components: one of them; both by default"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.part == "branches":
        torch.set_num_threads(1)
        branches(args.width, args.epochs, args.seed)
    elif args.part in ("targets", "components"):
        sdata, protocols = prepared(read_cohort(args.data, args.store)), [args.protocol] if args.protocol else PROTOCOLS
        compare(sdata, target_rows(sdata) if args.part == "targets" else component_rows(), protocols, args.workers)
    else:
        steps(lambda: read_cohort(args.data, args.store), args.models, args.workers)


def steps(read, models: str, workers: int) -> None:
    """Print one row a change, for each protocol."""
    resolved = resolve_models(models)
    as_read = prepared(read())
    sh.pp.realign(as_read)
    moved = [s for s, info in as_read.attrs["spatialhist"]["slides"].items() if info["alignment_report"]["accepted"]]
    print(f"realignment of the slides as they were read moves {moved or 'none'} of them", flush=True)
    sh.pp.normalize_stain(as_read)
    sh.pp.rank_expression(as_read, scale="unit")
    displaced, put_back = (displace(prepared(read())) for _ in range(2))
    sh.pp.realign(put_back)
    rows = {
        "default settings": (as_read, {"models": resolved}),
        "stain normalized (Macenko)": (as_read, {"models": resolved, "image": "normalized"}),
        "not standardized by slide": (as_read, {"models": unstandardized(resolved)}),
        "ranks as targets": (as_read, {"models": resolved, "layer": "ranks"}),
        "spots shifted by one spot spacing": (displaced, {"models": resolved}),
        "spots shifted by one spot spacing, realigned": (put_back, {"models": resolved}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, protocol in PROTOCOLS.items():
            scores = {}
            for row, (sdata, options) in rows.items():
                start = time.perf_counter()
                out = run_folder(Path(folder), f"{name} {row}")
                scores[row] = scored(sdata, out, workers, protocol, options)
                print(f"{name}, {row}: {time.perf_counter() - start:.0f} s", flush=True)
            print(f"\none {name} left out, {models}\n{pd.DataFrame(scores).T.round(3).to_string()}\n", flush=True)


def target_rows(sdata: sd.SpatialData) -> dict[str, dict]:
    """One row a target, for the ridge and for the default stack."""
    sh.pp.pearson_residuals(sdata)
    sh.pp.regress_depth(sdata)
    ridge, default = resolve_models("ridge"), resolve_models("default")
    return {
        "ridge, log1p": {"models": ridge},
        "ridge, Pearson residuals": {"models": ridge, "layer": "pearson_residuals"},
        "ridge, log1p beyond depth": {"models": ridge, "layer": "log1p_beyond_depth"},
        **{f"ridge, depth adjusted, share {s}": {"models": adjusted(ridge, s)} for s in (1.0, 0.75, 0.5, 0.0)},
        "default stack, log1p": {"models": default},
        "default stack, depth adjusted, share 0.75": {"models": adjusted(default, 0.75)},
    }


def component_rows() -> dict[str, dict]:
    """Both linear models, with one regularization for all targets and with one a component."""
    linear = [sh.tl.Ridge(), sh.tl.KernelRidge()]
    return {
        f"{model.name}, by_component={n}": {"models": [replace(model, by_component=n)]}
        for model in linear
        for n in (0, 32)
    }


def compare(sdata: sd.SpatialData, rows: dict[str, dict], protocols: Sequence[str], workers: int) -> None:
    """Print one row a set of options, for each protocol."""
    with tempfile.TemporaryDirectory() as folder:
        for name in protocols:
            scores = {}
            for row, options in rows.items():
                out = run_folder(Path(folder), f"{name} {row}")
                scores[row] = scored(sdata, out, workers, PROTOCOLS[name], options)
                print(f"{name}, {row}: {scores[row]}", flush=True)
            print(f"\none {name} left out\n{pd.DataFrame(scores).T.round(3).to_string()}\n", flush=True)


def adjusted(models: Sequence, share: float) -> list:
    """The same models, trained on targets of which depth explains less."""
    return [sh.tl.DepthAdjusted(m, share=share, name=f"{m.name}_depth_adjusted") for m in models]


def displace(sdata: sd.SpatialData, seed: int = 0) -> sd.SpatialData:
    """Shift the spots of every slide by one spot spacing, each slide in another direction."""
    rng = np.random.default_rng(seed)
    for slide, info in sdata.attrs["spatialhist"]["slides"].items():
        angle = rng.uniform(0, 2 * np.pi)
        shapes = sdata.shapes[slide]
        dx, dy = info["pitch_px"] * np.array([np.cos(angle), np.sin(angle)])
        shapes["geometry"] = shapes.geometry.translate(dx, dy)
    return sdata


def unstandardized(models: Sequence) -> list:
    """The same models on features as the encoder gives them, those that are then alike once."""
    different = {}
    for model in models:
        raw = replace(model, standardized=False)
        different.setdefault(str({k: v for k, v in describe(raw).items() if k != "name"}), raw)
    return list(different.values())


def run_folder(folder: Path, name: str) -> Path:
    """Folder of a run, with the features of all runs before it."""
    out = folder / name.replace(" ", "_")
    take_features(folder / "features", out)
    return out


def scored(sdata: sd.SpatialData, out: Path, workers: int, protocol: dict, options: dict) -> dict[str, float]:
    """Cross-validate, stack what can be stacked, and compare with the measurement."""
    with patch(
        "spatialhist.tl._cross_validate.baselines", return_value=[]
    ):  # the same in every row, and in docs/accuracy.md
        cv = sh.tl.cross_validate(sdata, out=out, executor=workers, progress=False, **protocol, **options)
    keep_features(out, out.parent / "features")
    if len(cv.models) > 1:
        sh.tl.stack(sdata, cv)
    table = sdata["table"]
    held = {g: [s for s, of in cv.manifest.group_of.items() if of == g] for g in cv.groups}
    by_group = [np.mean([of_slide(table, s) for s in slides], axis=0) for slides in held.values()]
    names = ("Pearson", "Pearson beyond depth", "Spearman", "Spearman against ranks", "Spearman across genes")
    return dict(zip(names, np.mean(by_group, axis=0).tolist(), strict=True))


def of_slide(table, slide: str) -> tuple[float, ...]:
    """Within-slide scores of one slide; a constant prediction is scored 0, a constant truth is left out."""
    rows = (table.obs["region"] == slide).to_numpy() & (np.asarray(table.X.sum(axis=1)).ravel() >= MIN_COUNTS)
    predicted = table.layers["oof"][rows]
    genes = np.isfinite(predicted).any(axis=0)
    spots = np.isfinite(predicted[:, genes]).all(axis=1)
    predicted = predicted[spots][:, genes]
    truth = table.layers["log1p"][rows][spots][:, genes]
    depth = np.asarray(table.X[rows][spots].sum(axis=1)).ravel()
    truth = np.asarray(truth.todense() if hasattr(truth, "todense") else truth)
    ranks, predicted_ranks = (pd.DataFrame(v).rank(axis=1).to_numpy() for v in (truth, predicted))
    each = (
        sh.metrics.pearson(truth, predicted),
        sh.metrics.pearson_beyond_depth(truth, predicted, depth),
        sh.metrics.spearman(truth, predicted),
        sh.metrics.spearman(ranks, predicted_ranks),
        sh.metrics.spot_spearman(truth, predicted),
    )
    return tuple(float(np.nanmean(e)) for e in each)


def branches(width: int, epochs: int, seed: int) -> None:
    """Print one row a set of branches, and one with a wider view beside it."""
    train, held = synthetic_patients(seed, views=2)
    every = ("tile", "subtiles", "center")
    networks = {
        "tile": Views(width, (("tile",),)),
        "tile and subtiles": Views(width, (("tile", "subtiles"),)),
        "tile, subtiles and center": Views(width, (every,)),
        "the same and a tile with twice the field of view": Views(width, (every, ("tile",))),
    }
    for name, build in networks.items():
        network = TileNetwork(build=build, width=width, epochs=epochs, learning_rate=2e-3, accelerator="cpu")
        score, seconds = trained_score(network, train, held)
        n = sum(p.numel() for p in build(train.targets.shape[1]).parameters())
        print(f"{name:42s} {score:.3f}  {n:9,} weights  {seconds:5.0f} s of the processor", flush=True)


class Views:
    """Builds one network per field of view; the first sees the middle half of the tile, the second all of it, half as fine."""

    def __init__(self, width: int, branches: Sequence[tuple[str, ...]]) -> None:
        self.width, self.branches = width, branches

    def __call__(self, n_outputs: int) -> torch.nn.Module:
        """Build them."""
        return SumOfViews([VisionMLPMultiTask(n_outputs, width=self.width, branches=b) for b in self.branches])


class SumOfViews(torch.nn.Module):
    """Adds the outputs of networks with one field of view and with twice that."""

    def __init__(self, networks: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Predict from ``(n, 3, pixels, pixels)`` tiles."""
        edge = tiles.shape[-1] // 4
        views = [tiles[..., edge:-edge, edge:-edge], F.avg_pool2d(tiles.float() / 255, 2)]
        return torch.stack([n(v) for n, v in zip(self.networks, views, strict=False)]).sum(dim=0)


if __name__ == "__main__":
    main()

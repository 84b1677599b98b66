"""A network's score on a slide that it is not trained on, epoch by epoch; the score chooses nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import spatialdata as sd
import torch

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.nn import augment, get_loss
from spatialhist.tl import Design, TileNetwork
from spatialhist.tl._data.panel import fold_panels
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.held_out import within_slide_score
from spatialhist.tl._predictors.networks import ArrayData, FittedNetwork, TargetScaler
from spatialhist.tl._predictors.training import Regression, train
from spatialhist.tl._runs.task import Task


class Watched(Regression):
    """Scores its last weights, and their running mean if there is one, after every few epochs."""

    def watch(self, predictor: TileNetwork, scaler: TargetScaler, held: Samples, every: int) -> None:
        """Say what is scored."""
        self._watch, self._every, self.curve = (predictor, scaler, held), every, []
        self._start = time.process_time()

    def on_train_epoch_end(self) -> None:
        """Score, and say so."""
        epoch = self.current_epoch + 1
        if epoch % self._every:
            return
        spent = time.process_time() - self._start
        self.curve.append({"epoch": epoch, "cpu_s": round(spent, 1), **self._scores()})
        print(self.curve[-1], flush=True)
        self._start = time.process_time() - spent

    def _scores(self) -> dict[str, float]:
        networks = {"last": self.network}
        for callback in self.trainer.callbacks:
            if getattr(callback, "_average_model", None) is not None:
                networks["ema"] = callback._average_model.module.network
        predictor, scaler, held = self._watch
        scores = {}
        for name, network in networks.items():
            predicted = FittedNetwork(predictor, [network.eval()], scaler, {}).predict(held)
            scores[name] = round(within_slide_score(held.targets, predicted, held.slide), 4)
            network.train()
        return scores


def watch(
    predictor: TileNetwork, samples: Samples, held: Samples, *, seed: int = 0, every: int = 1
) -> tuple[pd.DataFrame, FittedNetwork]:
    """Train on samples as the predictor does, and score on others; returns the curve and what was trained."""
    scaler = TargetScaler.fit(samples)
    data = ArrayData(samples.tiles, torch.from_numpy(scaler.scaled(samples)))
    torch.manual_seed(seed * 1009)
    module = Watched(
        predictor.make(data.targets.shape[1]), get_loss(predictor.loss), predictor.schedule, seed * 1009,
        augment if predictor.augment else None,
    )  # fmt: skip
    module.watch(predictor, scaler, held, every)
    with tempfile.TemporaryDirectory() as scratch:
        network = train(module, data, Path(scratch))
    return pd.DataFrame(module.curve), FittedNetwork(predictor, [network], scaler, {})


def trained_score(predictor: TileNetwork, samples: Samples, held: Samples, *, seed: int = 0) -> tuple[float, float]:
    """Train on samples and score on others; returns the score and seconds of the processor."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        fitted = predictor.fit(samples, seed=seed, scratch=Path(scratch))
    return within_slide_score(held.targets, fitted.predict(held), held.slide), time.process_time() - start


def prepared(sdata: sd.SpatialData) -> sd.SpatialData:
    """Masks, filter, log1p."""
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    return sdata


def synthetic_patients(seed: int, *, views: int = 1) -> tuple[Samples, Samples]:
    """Three simulated patients to train on and one to be scored, two slides each, spots where they are said to be.

    A spot's counts follow from the nuclei under it: their kinds differ in size, shape and arrangement, of which the
    color of a tile tells a part. A tile is as wide as the distance of two spots, its pixels as fine as the slide's.

    Parameters
    ----------
    seed
        Of the cohort.
    views
        Field of view of the tiles, in multiples of the spot spacing.
    """
    sdata = sh.datasets.synthetic(8, n_patients=4, max_offset=0.0, seed=seed)
    return split(prepared(sdata), ["S7", "S8"], genes=100, tile_extent=("pitch", float(views)), tile_pixels=48 * views)


def split(
    sdata: sd.SpatialData, held: Sequence[str], *, genes: int, slides: Sequence[str] | None = None, **design: Any
) -> tuple[Samples, Samples]:
    """Training and held-out spots with features, tiles and targets; the panel is that of the training slides."""
    cohort = open_cohort(sdata, slides)
    task = Task.of(
        cohort.table, cohort.every_slide(), "vision_mlp", layer="log1p", design=Design(**design), seed=0, threads=1
    )
    training = [s for s in task.rows if s not in held]
    columns = fold_panels(task.table, task.slides, task.rows, {"fold": training}, genes)["fold"]
    with tempfile.TemporaryDirectory() as folder:
        inputs = task.begin(
            Path(folder), task.manifest("model", columns), assigned={s: s for s in task.rows}, columns=columns,
            overwrite=False, executor=None, progress=False,
        )  # fmt: skip
        out = np.isin(inputs.column("slide"), held)
        every = range(len(columns))
        parts = [inputs.samples(np.flatnonzero(rows), every, tiles=True) for rows in (~out, out)]
        # the file goes with the folder
        return tuple(replace(part, tiles=part.tiles[:]) for part in parts)

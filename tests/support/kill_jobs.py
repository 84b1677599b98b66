"""Long steps that are killed at random moments, and what shows that nothing was lost.

``python kill_jobs.py FOLDER --kills 50 --seed 0`` kills each job in turn until there were so many kills, and prints one
line a job. A parent process loads the libraries and forks; children do the work, so a start costs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import spatialdata as sd
import torch
from digests import digest_object
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tiles._features import cache as _cache
from spatialhist.tl import FeatureNetwork, Ridge, TileNetwork
from spatialhist.tl._inference import blocks as _predict_blocks
from spatialhist.tl._inference import raster
from spatialhist.tl._predictors import batches as _batches
from spatialhist.tl._predictors import short_training as _short_training

PART = 16
"""Tiles between two writes of the feature cache, here."""
EPOCHS = 4
LOG = "work.log"
RETURNED = "returned"
PREPARE = "prepare"


def note(folder: Path, what: str) -> None:
    """Append a line that survives the process."""
    handle = os.open(folder / LOG, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(handle, f"{what}\n".encode())
    os.close(handle)


def noted(folder: Path) -> list[str]:
    """Lines of all processes that worked on a folder."""
    path = folder / LOG
    return path.read_text().split() if path.exists() else []


def read(folder: Path) -> sd.SpatialData:
    """Read the cohort of a trial."""
    return sh.io.read(folder / "cohort.zarr")


def count_epochs(folder: Path) -> None:
    """Note every epoch that is begun, and write a checkpoint after each."""
    _short_training.CHECKPOINT_SECONDS = 0
    begin = _batches.EpochSampler.__iter__

    def counted(sampler: Any) -> Any:
        note(folder, "epoch")
        yield from begin(sampler)

    _batches.EpochSampler.__iter__ = counted


def cross_validate(folder: Path) -> Any:
    """Of a ridge, a head over features and a network over pixels."""
    count_epochs(folder)
    sdata = read(folder)
    models = [
        Ridge(components=6),
        FeatureNetwork(epochs=EPOCHS, batch=48, dim=8, members=2),
        TileNetwork(build=color_network, epochs=EPOCHS, batch=48),
    ]
    slides = ["S1", "S2", "S3"]
    cv = sh.tl.cross_validate(sdata, models=models, genes=6, slides=slides, out=folder / "run", **FAST)
    return {
        name: sdata["table"].layers[name] for name in sdata["table"].layers if name.startswith("oof_")
    }, cv.manifest.identity


def color_network(n_outputs: int) -> torch.nn.Module:
    """A small convolution of tiles."""
    return torch.nn.Sequential(
        Scaled(),
        torch.nn.Conv2d(3, 4, 5, stride=3),
        torch.nn.BatchNorm2d(4),
        torch.nn.SiLU(),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(4 * 7 * 7, n_outputs),
    )


class Scaled(torch.nn.Module):
    """Bytes to numbers around 0."""

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """From uint8 to float."""
        return tiles.float() / 128 - 1


def stack(folder: Path) -> Any:
    """Of the cross-validation that every trial starts from."""
    count_epochs(folder)
    sdata = read(folder)
    st = sh.tl.stack(sdata, sh.tl.CrossValidation.load(folder / "run"), method="mlp")
    return sdata["table"].layers["oof"], st.final.state()


def cache_features(folder: Path) -> Any:
    """Count the tiles that are encoded."""
    _cache.PART = PART

    def encode(tiles: torch.Tensor) -> torch.Tensor:
        note(folder, "tile " * (len(tiles) - 1) + "tile")
        time.sleep(0.02)
        return mean_color(tiles)

    encode.fingerprint = "slow mean"
    sdata, spec = read(folder), sh.tiles.TileSpec(("px", 20), 8)
    xy = sdata["table"].obsm["spatial"][:96]
    cache = sh.tiles.FeatureCache(folder / "features")
    return cache.features(sdata, "S1", spec, encode, xy, batch=PART, progress=False)


def predict_grid(folder: Path) -> Any:
    """Predict, counting the blocks that are begun, and save."""
    predict = _predict_blocks.Block.predict

    def counted(*args: Any) -> Any:
        note(folder, "block")
        return predict(*args)

    _predict_blocks.Block.predict = counted
    sdata = read(folder)
    options = {"spacing": ("px", 6), "block": 128, "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(sdata, folder / "run", slides="S1", cache=folder / "blocks", **options)
    sh.pp.save(sdata)
    return digest_object(read(folder))


def predict_map(folder: Path) -> Any:
    """Predict a map into the store, counting the squares that are begun."""
    predict = _predict_blocks.Block.predict_parts

    def counted(*args: Any) -> Any:
        note(folder, "block")
        return predict(*args)

    _predict_blocks.Block.predict_parts = counted
    raster.MAX_SIDE = 32
    sdata = read(folder)
    options = {"resolution": ("px", 1), "encoder": mean_color, "progress": False}
    sh.tl.predict_map(sdata, folder / "run", slide="S1", **options)
    return digest_object(read(folder))


def save(folder: Path) -> Any:
    """Save new layers, images and dropped spots into the store."""
    sdata = read(folder)
    sh.pp.mask_background(sdata, method=lambda pixels: pixels[:, :, 0] > 90)
    sh.pp.rank_expression(sdata)
    sh.pp.spot_distances(sdata)
    sh.pp.filter_spots(sdata, min_counts=1)
    note(folder, "saving")
    sh.pp.save(sdata)
    return digest_object(read(folder))


@dataclass(frozen=True)
class Job:
    """A step.

    Attributes
    ----------
    run
        Does it in a folder and returns its result.
    unit
        Line of the log that counts work.
    redone
        Units that one kill may cost.
    """

    run: Callable[[Path], Any]
    unit: str = ""
    redone: int = 0


JOBS = {
    # two networks from different seeds begin an epoch together
    "cross_validate": Job(cross_validate, "epoch", 2),
    "stack": Job(stack, "epoch", 1),
    "feature cache": Job(cache_features, "tile", PART),
    "predict_grid": Job(predict_grid, "block", 1),
    "predict_map": Job(predict_map, "block", 1),
    "save": Job(save),
}


def prepare(folder: Path) -> None:
    """Write the cohort of every trial, and a finished run."""
    sdata = draw_cohort(1, signal=0.8, n_slides=5, n_genes=8)
    ridges = [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]
    sh.tl.cross_validate(sdata, models=ridges, genes=6, groups="patient", out=folder / "run", **FAST)
    sdata.write(folder / "cohort.zarr")


def start(job: str, folder: Path) -> int:
    """Do a job in a child, which writes the digest of its result when it is done."""
    child = os.fork()
    if child:
        return child
    try:
        with open(os.devnull, "w") as nothing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nothing.fileno(), 1)
            if job == PREPARE:
                prepare(folder)
                os._exit(0)
            result = JOBS[job].run(folder)
            note(folder, RETURNED)
            (folder / "result.json").write_text(json.dumps(joblib.hash(result)))
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 a child must not go on as its parent
        sys.stderr.write(f"{job}: {type(error).__name__}: {error}\n")
        os._exit(1)


def finish(job: str, folder: Path) -> float:
    """Do a job to its end; returns seconds."""
    before = time.perf_counter()
    _, status = os.waitpid(start(job, folder), 0)
    if status:
        raise RuntimeError(f"{job} failed with status {status}")
    return time.perf_counter() - before


def kill(job: str, folder: Path, seconds: float) -> bool:
    """Kill a job after some time; False where it was done before."""
    child = start(job, folder)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"{job} failed with status {status} after a kill")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def opens(folder: Path) -> None:
    """Open the store in a child, as every other reading is done."""
    child = os.fork()
    if not child:
        try:
            sdata = sd.read_zarr(folder / "cohort.zarr")
            complete = {f"S{i}" for i in range(1, 6)} <= set(sdata.shapes) and "table" in sdata.tables
            os._exit(0 if complete else 3)
        except BaseException as error:  # noqa: BLE001 a child must not go on as its parent
            sys.stderr.write(f"the store does not open: {error}\n")
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"after a kill the store does not open: {status}")


def trial(job: str, template: Path, folder: Path, moments: np.ndarray) -> tuple[int, int, str] | None:
    """Kill a job at some moments, one after the other, then let it finish.

    Returns
    -------
    Kills that hit, units of work, digest of the result; None if a kill came between the job's return and its digest.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    if job == "cross_validate":
        shutil.rmtree(folder / "run")
    hits = 0
    for seconds in moments:
        hit = kill(job, folder, seconds)
        opens(folder)
        hits += hit
        if not hit:
            break
        if RETURNED in noted(folder):
            return None
    else:
        finish(job, folder)
    return hits, noted(folder).count(JOBS[job].unit), json.loads((folder / "result.json").read_text())


def harness(job: str, template: Path, folder: Path, kills: int, rng: np.random.Generator) -> str:
    """Kill a job until there were enough kills, and compare with a run that was left alone.

    Raises
    ------
    AssertionError
        If a result differs, or more was redone than allowed.
    """
    _, work, expected = trial(job, template, folder, np.empty(0)) or (0, 0, "")
    shutil.rmtree(folder)
    shutil.copytree(template, folder)
    if job == "cross_validate":
        shutil.rmtree(folder / "run")
    seconds = finish(job, folder)
    done, redone = 0, 0
    while done < kills:
        moments = rng.uniform(0, seconds, size=min(3, kills - done))
        outcome = trial(job, template, folder, moments)
        if outcome is None:
            continue
        hits, units, result = outcome
        # The machine may be less busy than when the time was taken.
        seconds *= 1.0 if hits == len(moments) else 0.7
        assert result == expected, f"{job}: another result after kills at {moments}"
        assert units - work <= hits * JOBS[job].redone, (
            f"{job}: {units - work} {JOBS[job].unit}s redone after {hits} kills"
        )
        done, redone = done + hits, redone + units - work
    return f"{job}: {done} kills survived, {redone} of {work} {JOBS[job].unit or 'unit'}s redone, {seconds:.1f} s undisturbed"


def main() -> None:
    """Run the harness from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS))
    options = parser.parse_args()
    template, rng = options.folder / "template", np.random.default_rng(options.seed)
    template.mkdir(parents=True)
    finish(PREPARE, template)
    shares = np.diff(np.linspace(0, options.kills, len(options.jobs) + 1).round().astype(int))
    for job, kills in zip(options.jobs, shares, strict=True):
        print(harness(job, template, options.folder / "trial", kills, rng), flush=True)


if __name__ == "__main__":
    main()

"""Compute the features of slides ahead of everything else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder
from spatialhist._runtime.executor import n_workers, run_tasks
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import check_key, record
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.engines import SentEncoder
from spatialhist.tl._data.design import COLOR_TEXTURE, Design
from spatialhist.tl._data.features import N_AVERAGED, View, check_slide, context_points, slide_tissue
from spatialhist.tl._data.upsampling import warn_of_upsampling

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._data.design import DesignOptions

logger = logging.getLogger(__name__)

SHOWN = 5
"""Slides whose errors stand in the message."""


def encode(
    sdata: SpatialData,
    encoder: str | Callable[..., Any] = COLOR_TEXTURE,
    *,
    out: str | Path | None = None,
    key_added: str | None = None,
    slides: str | Sequence[str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    dtype: str = "float32",
    executor: Any = None,
    table_key: str = _keys.TABLE,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Compute the features of all spots with an encoder, to be used by runs and by scanpy.

    What :func:`cross_validate`, :func:`fit` and :func:`predict` will ask for with the same encoder and fields of view is
    written to a folder: features of spots, of the tissue and of the context. Encode on a machine with a GPU, and train on
    another one with ``features=out``.

    A call that was interrupted resumes where it stopped, and loses at most the last thousand tiles. A slide that cannot be
    encoded does not stop the others; its error is raised at the end.

    Parameters
    ----------
    sdata
        The cohort, with a tissue mask a slide.
    encoder
        A name (:func:`spatialhist.nn.get_encoder`), a network or any callable.
    out
        Folder of features; None to keep none.
    key_added
        Name of an entry of ``obsm`` for the features of the spots, such as ``"X_uni2"``; None for none.
    slides
        None for all.
    device
        Where the encoder runs: ``"auto"`` (CUDA, MPS, CPU, the first that is there), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
        ``"mps"``. With ``"auto"`` and a number of processes, several GPUs get a slide each.
    precision
        In which the encoder computes: ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere; or ``"float32"``,
        ``"float16"``, ``"bfloat16"``, the latter two on CUDA only.
    dtype
        Of the features in ``out``: ``"float32"``, or ``"float16"`` for half the space. The error that this makes is logged, and
        stands beside the features as ``rounding``, in standard deviations of a feature.
    executor
        None to encode one slide after the other, which uses a GPU or all cores; a number of processes, or anything with
        ``submit``. All write into ``out``, which they must see.
    table_key
        Name of the table.
    progress
        Show a progress bar.
    **options
        Fields of :class:`Design`: ``extents``, ``pixels``, ``image``, ``context``.

    Returns
    -------
    DataFrame
        Indexed by slide: ``spots``, ``features`` (their number in all fields of view) and ``seconds``. Added if
        ``key_added`` is given: ``obsm[key_added]``, spots x features float32, fields of view side by side; NaN for other slides.

    Raises
    ------
    ValueError
        If neither ``out`` nor ``key_added`` is given, the device is not there, or slides could not be encoded; the features
        of the others are kept.
    KeyError
        If the slide or the table is missing.
    TypeError, NotADirectoryError
        If an option is none of :class:`Design`, or ``out`` is no path or a file.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.tl.encode(sdata, key_added="X_color", extents=[("um", 100)], progress=False).index.tolist()
    ['S1']
    >>> sdata["table"].obsm["X_color"].shape[0] == sdata["table"].n_obs
    True
    """
    from tqdm.auto import tqdm

    folder, compute = as_folder("out", out), Compute(device, precision, dtype)
    if folder is None and key_added is None:
        raise ValueError("nothing would be kept: pass out='features', a folder, or key_added='X_features', or both")
    if key_added is not None:
        check_key(key_added)
    n_workers(executor)
    design = Design.of_call(None, cast("DesignOptions", {**options, "encoder": encoder}))
    cohort = open_cohort(sdata, slides, table_key=table_key)
    sent = [SentEncoder(encoder, each) for each in _devices(compute, executor)]
    opened, made = cohort.every_slide(), sent[0].engine.encoder
    looks = design.on([s.scale for s in opened], made)
    tasks, failed = _tasks(opened, looks, sent, folder, everything=key_added is not None)
    warn_of_upsampling([s for s in opened if s.name in tasks], looks, made)
    results = run_tasks(_encode_slide, [(task,) for task in tasks.values()], executor)
    done: dict[str, Encoded] = {}
    for name, result in zip(tasks, tqdm(results, total=len(tasks), desc="encode", disable=not progress), strict=True):
        if isinstance(result, str):
            failed[name] = result
            logger.warning("encode: slide %r failed: %s", name, result)
        else:
            done[name] = result
    if key_added is not None and done:
        _add(cohort.table, key_added, {s.name: s.rows for s in opened}, done)
        record(cohort.table, key_added, {"step": "encode", **looks.to_json(), "slides": list(done)})
    logger.info("encode: %d slides%s", len(done), "" if folder is None else f" in {folder}")
    if failed:
        raise ValueError(_told(failed, len(opened), folder))
    return _summary(done)


@dataclass(frozen=True)
class SlideTask:
    """What is encoded of a slide; other processes read an image in a store themselves.

    Attributes
    ----------
    view
        Pixels of the slide.
    n_spots
        How many spots it has.
    order
        Positions, among its spots, of those that runs use.
    spots, tissue
        Where these spots and points of the tissue are.
    context
        Points around which features are averaged.
    others
        Positions and places of the remaining spots, where all are asked for.
    encoder, folder
        The encoder, and where features are kept.
    """

    view: View
    n_spots: int
    order: np.ndarray
    spots: np.ndarray
    tissue: np.ndarray
    context: np.ndarray
    others: tuple[np.ndarray, np.ndarray]
    encoder: SentEncoder
    folder: Path | None


@dataclass(frozen=True)
class Encoded:
    """Features of a slide's spots ``(n, F)``, and how long they took."""

    features: np.ndarray
    seconds: float


def _devices(compute: Compute, executor: Any) -> list[Compute]:
    """How the slides are encoded, in turn: several processes share all GPUs."""
    import torch

    n = torch.cuda.device_count() if compute.device == "auto" and compute.found.type == "cuda" else 1
    if n == 1 or executor in (None, 1):
        return [compute]
    return [replace(compute, device=f"cuda:{i}") for i in range(n)]


def _tasks(
    slides: Sequence[Slide], design: Design, encoders: Sequence[SentEncoder], folder: Path | None, *, everything: bool
) -> tuple[dict[str, SlideTask], dict[str, str]]:
    """Tasks by slide, and errors of the slides that have none."""
    tasks, failed = {}, {}
    for i, slide in enumerate(slides):
        try:
            tasks[slide.name] = _task(slide, design, encoders[i % len(encoders)], folder, everything=everything)
        except (KeyError, ValueError, OSError) as error:
            failed[slide.name] = str(error.args[0] if error.args else error)
    return tasks, failed


def _task(slide: Slide, design: Design, encoder: SentEncoder, folder: Path | None, *, everything: bool) -> SlideTask:
    check_slide(slide, design)
    used = np.searchsorted(slide.rows, slide.usable)
    # where nothing was measured all spots are predicted
    used = used if len(used) else np.arange(len(slide.rows))
    others = np.setdiff1d(np.arange(len(slide.rows)), used) if everything else used[:0]
    return SlideTask(
        view=View.of(slide, design),
        n_spots=len(slide.rows),
        order=used,
        spots=slide.spots[used],
        tissue=slide_tissue(slide),
        context=context_points(slide, design),
        others=(others, slide.spots[others]),
        encoder=encoder,
        folder=folder,
    )


def _encode_slide(task: SlideTask) -> Encoded | str:
    """Encode a slide, or say why it cannot be. Runs in worker processes."""
    start, engine = time.perf_counter(), task.encoder.engine
    try:
        # the calls of a run, so that it finds the same features
        blocks, _ = task.view.encode_spots(task.spots, engine, task.folder, others=task.tissue)
        task.view.encode(task.context, engine, task.folder, n=N_AVERAGED if len(task.context) else 0)
        others, places = task.others
        rest = task.view.encode_spots(places, engine, task.folder)[0] if len(others) else [b[:0] for b in blocks]
    # whatever is wrong with one slide, the others go on
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    features = np.full((task.n_spots, sum(b.shape[1] for b in blocks)), np.nan, dtype=np.float32)
    features[task.order] = np.concatenate(blocks, axis=1)
    features[others] = np.concatenate(rest, axis=1)
    return Encoded(features, time.perf_counter() - start)


def _add(table: AnnData, key: str, rows: dict[str, np.ndarray], done: dict[str, Encoded]) -> None:
    """Put features of spots into the table."""
    width = max(found.features.shape[1] for found in done.values())
    values = np.full((table.n_obs, width), np.nan, dtype=np.float32)
    for name, found in done.items():
        values[rows[name]] = found.features
    table.obsm[key] = values


def _summary(done: dict[str, Encoded]) -> pd.DataFrame:
    import pandas as pd

    rows = [(name, *e.features.shape, e.seconds) for name, e in done.items()]
    return pd.DataFrame(rows, columns=["slide", "spots", "features", "seconds"]).set_index("slide")


def _told(failed: dict[str, str], n: int, folder: Path | None) -> str:
    """Say which slides failed and why."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:SHOWN])
    more = "" if len(failed) <= SHOWN else f"; and {len(failed) - SHOWN} more"
    kept = ""
    if folder is not None and len(failed) < n:
        kept = f" Features of the others are in {folder}; call again to encode what is missing."
    return f"{len(failed)} of {n} slides could not be encoded: {reasons}{more}.{kept}"

"""What the commands do: read, preprocess, cross-validate, predict, draw."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist._runtime.files import inside, whole_file
from spatialhist.cli._console import print_json, print_scores, print_verdicts, say
from spatialhist.cli._contents import count_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from spatialdata import SpatialData

    from spatialhist.tl._runs.trained import Trained


MANIFEST = "manifest.json"
MAP_DPI, MAP_WIDTH_PX = 200, 1600
"""A map is looked at on a screen and put on a slide; a narrow one has more dots to the inch."""


def store_of(slide: Path) -> Path | None:
    """Where predictions go by default: None for into the slide's own store, else a new store beside it.

    Raises
    ------
    PermissionError
        If nothing can be written there.
    ValueError
        If a link of that name leads to somewhere else.
    """
    if slide.suffix == ".zarr":
        return None
    if not os.access(slide.parent, os.W_OK):
        raise PermissionError(f"{slide.parent} may not be written to: name the store to write with --out")
    real = slide.resolve()
    return inside(real.parent, f"{real.stem}.zarr") if slide.is_file() else inside(real, "predicted.zarr")


def names_model(model: Path) -> bool:
    """Whether a command that takes a folder was given a run or a model."""
    return (model / MANIFEST).exists() or _ships(model)


def open_model(model: Path, *, encoder: str | None = None) -> Trained:
    """Open a run or model folder, or the model of this name that ships with the package, where no folder is one."""
    import spatialhist as sh
    from spatialhist.datasets._pretrained import MODELS

    return sh.tl.load(MODELS / model) if _ships(model) else sh.tl.load(model, encoder=encoder)


def _ships(model: Path) -> bool:
    """Whether a name is that of a shipped model; a run of the user's own folder of this name comes first."""
    from spatialhist.datasets._pretrained import NAMES

    return str(model) in NAMES and not (model / MANIFEST).exists()


def draw_maps(sdata: SpatialData, genes: list[str], layer: str, store: Path) -> list[Path]:
    """Draw predicted genes into a PNG beside the store, one a table."""
    import matplotlib.pyplot as plt

    import spatialhist as sh
    from spatialhist import _keys

    tables = [_keys.TABLE] if _keys.TABLE in sdata.tables else list(sdata.tables)
    paths = []
    for key in tables:
        axes = sh.pl.genes(sdata, genes, layers=layer, table_key=key)
        path = store.with_suffix(".png") if len(tables) == 1 else store.with_name(f"{store.stem}_{key}.png")
        figure = axes.flat[0].figure
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox(figure.canvas.get_renderer())
        with whole_file(path) as new:
            figure.savefig(new, dpi=max(MAP_DPI, MAP_WIDTH_PX / drawn.width), format="png", bbox_inches="tight")
        plt.close(figure)
        paths.append(path)
    return paths


def read_or_open(
    data: Path, store: Path, slides: list[str] | None, *, mpp: float | None = None, pool_um: float | None = None
) -> SpatialData:
    """Read slides into a store, or open the store if an earlier call has made it of the same slides."""
    import spatialhist as sh
    from spatialhist import _keys
    from spatialhist.io._assembly.cohort import open_store

    origin: dict[str, Any] = {"data": str(data.resolve()), "slides": sorted(slides or [])}
    origin |= {} if pool_um is None else {"pool_um": pool_um}
    data, store = _without_chain(data) if data.exists() else data, _without_chain(store)
    if not store.exists():
        sdata = sh.io.read(data, store=store, slides=slides, mpp=mpp, pool_um=pool_um)
        sdata.attrs.setdefault(_keys.ROOT, {})["origin"] = origin
        sdata.write_attrs()
        return sdata
    sdata = open_store(store)
    held = sdata.attrs.get(_keys.ROOT, {}).get("origin", origin)
    if held != origin:
        raise FileExistsError(f"{store} was made of {held}, not of {origin}: choose another --out, or remove it")
    return sdata


def count_and_names(sdata: SpatialData, n_genes: int, genes: list[str]) -> tuple[int, list[str]]:
    """Tell the size of a panel, which may have been given for a gene, from the names of genes."""
    from spatialhist._sdata.cohort import get_table

    known = set(get_table(sdata).var_names)
    numbers = [g for g in genes if g.isdecimal() and int(g) > 0 and g not in known]
    return int(numbers[-1]) if numbers else n_genes, [g for g in genes if g not in numbers]


def _without_chain(path: Path) -> Path:
    """The same place by a name that zarr does not take for a chain of file systems: through a link to its folder."""
    from spatialhist.io._assembly.cohort import CHAIN

    if CHAIN not in str(path.parent.absolute()):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="spatialhist-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = Path(folder) / "store"
    link.symlink_to(path.parent.resolve(), target_is_directory=True)
    return link / path.name


def analyze(
    sdata: SpatialData,
    out: Path,
    *,
    groups: str,
    layer: str,
    genes: int,
    workers: int,
    seed: int,
    always: Sequence[str] = (),
    models: Any = "default",
    slides: list[str] | None = None,
    image: str = "full",
    realign: bool = True,
    encoder: str = "color_texture",
    features: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    as_json: bool = False,
) -> None:
    """The main way: preprocess, cross-validate, stack, score, report."""
    import spatialhist as sh

    preprocess(sdata, image=image, layer=layer, realign=realign)
    cv = sh.tl.cross_validate(
        sdata,
        models=models,
        layer=layer,
        genes=genes,
        always=always,
        groups=groups,
        slides=slides,
        image=image,
        encoder=encoder,
        out=out,
        features=features,
        device=device,
        precision=precision,
        executor=workers,
        seed=seed,
    )
    stacked = sh.tl.stack(sdata, cv, seed=seed) if len(cv.models) > 1 else None
    scores = sh.tl.evaluate(sdata, truth=layer, metrics="all", seed=seed)
    _write_scores(scores, out / "scores.parquet")
    reason = _calibrate(sdata, stacked or cv)
    if sdata.path is not None:
        sh.pp.save(sdata)
    page = sh.report.write(sdata, cv, stack=stacked, scores=scores)
    if as_json:
        summary = sh.tl.summarize(scores).reset_index().to_dict("records")
        trusted = count_genes(stacked or cv)
        print_json({"run": str(out), "report": str(page), "scores": summary, "genes": trusted, "no_intervals": reason})
        return
    print_scores(scores)
    print_verdicts(count_genes(stacked or cv))
    if reason:
        say(f"no intervals: {reason}")
    say(f"report: {page}")
    # the demo keeps no slides to draw from
    if (out / "data.zarr").exists():
        say(f"interactive page: spatialhist explore {shlex.quote(str(out))}")


def score_predictions(
    sdata: SpatialData,
    predictions: Sequence[Path],
    out: Path,
    *,
    groups: str,
    layer: str,
    same_units: bool,
    slides: list[str] | None,
    realign: bool,
    workers: int,
    seed: int,
    as_json: bool,
) -> None:
    """Preprocess, score predictions beside baselines, report."""
    import spatialhist as sh

    preprocess(sdata, image="full", layer=layer, realign=realign)
    bench = sh.tl.benchmark(
        sdata, [str(path) for path in predictions], groups=groups, truth=layer, same_units=same_units, slides=slides,
        metrics="all", out=out, executor=workers, seed=seed,
    )  # fmt: skip
    _write_scores(bench.scores, out / "scores.parquet")
    if sdata.path is not None:
        sh.pp.save(sdata)
    page = sh.report.write(sdata, bench)
    if as_json:
        summary = bench.summary.reset_index().to_dict("records")
        print_json({"run": str(out), "report": str(page), "scores": summary, "notes": bench.notes})
        return
    print_scores(bench.scores)
    for note in bench.notes:
        say(f"note: {note}")
    say(f"report: {page}")


def _calibrate(sdata: SpatialData, source: Any) -> str | None:
    """Calibrate the out-of-fold predictions, or remember and return why there are too few groups for it."""
    import spatialhist as sh
    from spatialhist import _keys
    from spatialhist.tl._calibrate import TooFewGroups, remember_skipped

    try:
        sh.tl.calibrate(sdata, source, layer=_keys.OOF)
    except TooFewGroups as error:
        remember_skipped(sdata[_keys.TABLE], str(error))
        return str(error)
    return None


def preprocess(sdata: SpatialData, *, image: str, layer: str, realign: bool) -> None:
    import spatialhist as sh
    from spatialhist import _keys

    prepare(sdata, image=image, realign=realign)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    if layer == _keys.RANKS:
        sh.pp.rank_expression(sdata, scale="unit")
    elif layer == _keys.PEARSON_RESIDUALS:
        sh.pp.pearson_residuals(sdata)
    elif layer == _keys.LOG1P_BEYOND_DEPTH:
        sh.pp.regress_depth(sdata)
    sh.pp.spot_distances(sdata)


def prepare(sdata: SpatialData, *, image: str, realign: bool) -> None:
    """What slides to be trained on and slides to be predicted have in common."""
    import spatialhist as sh

    mask_where_missing(sdata, image)
    if image == "normalized":
        sh.pp.normalize_stain(sdata)
    if realign:
        sh.pp.realign(sdata)


def mask_where_missing(sdata: SpatialData, image: str) -> None:
    import spatialhist as sh
    from spatialhist import _keys
    from spatialhist._sdata.cohort import open_images

    full = {slide.name: slide.full_image for slide in open_images(sdata).every_slide()}
    todo = [s for s, key in full.items() if _keys.tissue(key) not in sdata.labels]
    if image == "masked":
        todo = [s for s, key in full.items() if s in todo or _keys.masked(key) not in sdata.images]
    if todo:
        sh.pp.mask_background(sdata, slides=todo, fill=image == "masked")


def _write_scores(scores: pd.DataFrame, path: Path) -> None:
    with whole_file(path) as new:
        scores.to_parquet(new, index=False)

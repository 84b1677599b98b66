"""Train the model that ships with the package: python scripts/train_her2st.py --data FOLDER [--store her2st.zarr].

FOLDER holds the seven sections of three patients of her2st (CC BY 4.0) as ``sh.io.read_st`` reads them. The model is the default
ridge, fitted on all of them. Its card says how the same model scores on a held-out patient, and on a held-out section of the
patient with four, each beside its baselines. Everything is written to ``src/spatialhist/datasets/_models/her2st``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import spatialdata as sd

import spatialhist as sh
from spatialhist.datasets._her2st import NOTICE

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "src" / "spatialhist" / "datasets" / "_models" / "her2st"
SECTIONS = ["C2", "C3", "C4", "C5"]
LICENSE = "CC BY 4.0"
KEPT = ("manifest.json", "card.json", "training_features.safetensors", "full")
"""What a prediction reads; features of the training spots stay behind."""
LIMIT = 3e6
SHOWN = ["mean", "beyond_depth"]


def main() -> None:
    """Cross-validate in both ways, fit on everything, keep what a prediction needs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st_model.zarr"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    sdata = prepared(args.data, args.store)
    with tempfile.TemporaryDirectory() as folder:
        sections, _ = validated(sdata, Path(folder) / "sections", groups="slide", slides=SECTIONS)
        patients, cv = validated(sdata, Path(folder) / "patients", groups="patient")
        model = sh.tl.fit(sdata, models="ridge", evaluated_by=cv, license=LICENSE, out=Path(folder) / "model")
        keep(model.folder)
        (TARGET / "MODEL_CARD.md").write_text(card(model, patients, sections), encoding="utf-8")
    size = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    print(f"{TARGET}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"more than {LIMIT / 1e6:g} MB: too large to ship")


def prepared(data: Path, store: Path) -> sd.SpatialData:
    """Read the sections once, mask, filter, normalize."""
    if not store.exists():
        sh.io.read_st(data, store=store)
    sdata = sd.read_zarr(store)
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    return sdata


def validated(sdata: sd.SpatialData, out: Path, **split: Any) -> tuple[pd.DataFrame, sh.tl.CrossValidation]:
    """Scores of the ridge and its baselines under one split."""
    cv = sh.tl.cross_validate(sdata, models="ridge", out=out, **split)
    table = sh.tl.summarize(sh.tl.evaluate(sdata, oracles=False))
    print(table.round(3).to_string())
    return table, cv


def keep(folder: Path) -> None:
    """Copy what a prediction reads."""
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for name in KEPT:
        copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
        copy(folder / name, TARGET / name)
    # the paths of this call say nothing to others, and one line a file is a third of the size
    for name, other in (("manifest.json", {"command": "scripts/train_her2st.py"}), ("card.json", {})):
        held = json.loads((TARGET / name).read_text(encoding="utf-8"))
        (TARGET / name).write_text(json.dumps(held | other) + "\n", encoding="utf-8")


def card(model: sh.tl.Model, patients: pd.DataFrame, sections: pd.DataFrame) -> str:
    """Say what the model is, how good it is, and what it is not for."""
    rated = sh.tl.gene_reliability(model)["verdict"].value_counts()
    spots = {name: entry.spots for name, entry in model.manifest.slides.items()}
    return TEMPLATE.format(
        genes=len(model.genes),
        spots=sum(spots.values()),
        slides=", ".join(sorted(spots)),
        notice=NOTICE,
        patients=as_markdown(patients),
        sections=as_markdown(sections),
        rated=", ".join(f"{rated.get(verdict, 0)} {verdict}" for verdict in ("reliable", "weak", "unreliable")),
    )


def as_markdown(table: pd.DataFrame) -> str:
    """Both headlines of every predictor."""
    rows = [f"| {name} | {row['mean']:.3f} | {row['beyond_depth']:.3f} |" for name, row in table[SHOWN].iterrows()]
    return "\n".join(["| predictor | mean | beyond depth |", "|---|---|---|", *rows])


TEMPLATE = """# her2st

A small model to try the workflow with. It predicts log1p of counts per 10,000 of {genes} genes from H&E, by a ridge on color and
texture, and was trained on {spots} spots of {slides}: sections of HER2-positive breast cancer of three patients, measured by
Spatial Transcriptomics (spots of 100 um).

## How good it is

Within-slide Pearson correlation, averaged over genes, on what was held out; *beyond depth* is the same after total counts were
regressed out. One patient held out, as when you predict a slide of your own:

{patients}

One of four adjacent sections of the same tumor held out, the easy case:

{sections}

Genes on a held-out patient: {rated}. So a map of this model shows where there is tumor and where there is not, and little about
single genes.

## What it must not be used for

Diagnosis, treatment, or any decision about a patient. It has seen frozen sections of one disease stained with H&E, and nothing
else: no other organ, no section from paraffin, no other stain. The out-of-distribution score of a prediction says how far a slide is
from what it has seen. To predict genes that matter to you, train on slides of your own, with more patients.

## License and citation

{notice}.

Made by `python scripts/train_her2st.py`.
"""


if __name__ == "__main__":
    main()

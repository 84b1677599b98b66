"""What a score is made of: sequencing depth, genes, and the size of gene sets, on real slides.

    python benchmarks/depth.py --store her2st.zarr [--data FOLDER] [--gmt FILE]

The ridge of the package beside its baselines and upper references, sections of patient C left out and patients left out,
by both headlines: within-slide Pearson, and the same with the total counts of a spot regressed out. With a `.gmt` file of
gene sets, such as the Hallmark sets of MSigDB (`h.all.*.symbols.gmt`), means over these sets beside their genes one by one
and beside random sets of the same sizes. Features are computed once and kept in `--features`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import pandas as pd
from _her2st import keep_features, read_cohort, take_features

import spatialhist as sh

PROTOCOLS = {
    "patient C, one section left out": {"slides": ["C2", "C3", "C4", "C5"], "groups": "slide"},
    "one patient left out": {"slides": None, "groups": "patient"},
}
HEADLINES = {"pearson": "headline", "pearson_beyond_depth": "beyond depth"}
OF_SETS = {
    "gene_set_single_genes": "their genes one by one",
    "gene_set_pearson": "sets",
    "gene_set_random": "random sets",
    "gene_set_percentile": "percentile",
}
SHOWN = ("ridge", "baseline_color", "baseline_depth")
SIZES = {"2 to 4 genes": (2, 4), "5 to 9 genes": (5, 9), "10 genes or more": (10, 250)}


def main() -> None:
    """Prepare the slides once, then score the same predictions in every way under each protocol."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    parser.add_argument("--features", type=Path, default=Path("runs/features"))
    parser.add_argument("--gmt", type=Path, help="gene sets; left out without it")
    args = parser.parse_args()
    sdata = read_cohort(args.data, args.store)
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    for name, protocol in PROTOCOLS.items():
        with tempfile.TemporaryDirectory() as folder:
            scores = scored(sdata, Path(folder), args.features.resolve(), protocol, args.gmt)
            print(f"\n{name}\n{headlines(scores).round(3).to_string()}", flush=True)
            if args.gmt:
                print(f"\n{name}, {args.gmt.name}\n{of_sets(scores).round(3).to_string()}")
                print(f"\nof the ridge, by size\n{by_size(scores).round(3).to_string()}", flush=True)


def scored(sdata, out: Path, features: Path, protocol: dict, gmt: Path | None) -> pd.DataFrame:
    """Cross-validate a ridge and its baselines, and score them."""
    take_features(features, out)
    sh.tl.cross_validate(sdata, models="ridge", out=out, executor=os.cpu_count(), progress=False, **protocol)
    keep_features(out, features)
    return sh.tl.evaluate(sdata, slides=protocol["slides"], metrics="pearson", gene_sets=gmt)


def headlines(scores: pd.DataFrame) -> pd.DataFrame:
    """Return both headlines side by side: means over groups, and every group."""
    both = {title: sh.tl.summarize(scores, metric=metric) for metric, title in HEADLINES.items()}
    shown = ["mean", *sorted(set(scores["group"]) - {"all"})]
    table = pd.concat({title: found[shown] for title, found in both.items()}, axis=1)
    return table.sort_values(("headline", "mean"), ascending=False)


def by_size(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the means over small and large gene sets of the ridge, and how many of these a slide has."""
    scores = scores[scores["predictor"] == "ridge"]
    size = scores[scores["metric"] == "gene_set_size"].set_index(["slide", "target"])["value"]
    own = pd.Series(size.reindex(pd.MultiIndex.from_frame(scores[["slide", "target"]])).to_numpy(), scores.index)
    parts = {title: of_sets(scores[own.between(*bounds)]).loc["ridge"] for title, bounds in SIZES.items()}
    table = pd.DataFrame(parts).T
    table.insert(0, ("", "sets"), [size.between(*b).groupby("slide").sum().mean() for b in SIZES.values()])
    return table


def of_sets(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over gene sets, with and without depth."""
    rows = {}
    for ending, with_depth in (("", "headline"), ("_beyond_depth", "beyond depth")):
        for metric, title in OF_SETS.items():
            rows[with_depth, title] = sh.tl.summarize(scores, metric=metric + ending)["mean"]
    return pd.DataFrame(rows).loc[[p for p in SHOWN if p in set(scores["predictor"])]]


if __name__ == "__main__":
    main()

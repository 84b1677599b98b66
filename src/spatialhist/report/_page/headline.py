"""Whose predictions the page is about, and how well they do gene by gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from spatialhist import tl
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import recorded
from spatialhist.report._page.score_tables import Table
from spatialhist.tl._scores.means import gene_means as by_group
from spatialhist.tl._scores.means import rows_of
from spatialhist.tl._scores.metrics import BEYOND_DEPTH
from spatialhist.tl._scores.reliability import rate_genes

if TYPE_CHECKING:
    from spatialhist._sdata.cohort import Cohort


def headline(scores: pd.DataFrame) -> str:
    """Stack, or else the model with the best mean."""
    summary = tl.summarize(scores)
    return str(summary[summary["kind"] != "baseline"].index[0])


def layer_of(cohort: Cohort, predictor: str, truth: str) -> str | None:
    """Layer of a predictor's out-of-fold predictions."""
    for layer in layer_names(cohort.table):
        made = recorded(cohort.table, layer)
        if made.get("predictor") == predictor and made.get("target") == truth and made.get("step") != "predict":
            return layer
    return None


def gene_means(scores: pd.DataFrame, predictor: str) -> pd.Series:
    """Within-slide Pearson per gene that every fold models, mean over slides, then groups; best first."""
    return _gene_means(rows_of(scores), predictor)


def gene_means_beyond_depth(scores: pd.DataFrame, predictor: str) -> pd.Series:
    """The same beyond depth; empty where nothing says how deep spots are."""
    return _gene_means(scores[scores["metric"] == BEYOND_DEPTH], predictor)


def _gene_means(rows: pd.DataFrame, predictor: str) -> pd.Series:
    means = by_group(rows, predictor).sort_index()
    return means.dropna().mean(axis=1).sort_values(ascending=False, kind="stable")


@dataclass(frozen=True)
class GeneTable(Table):
    """Genes, best first, how many there are of each verdict, and the verdict on each."""

    verdicts: dict[str, int]
    verdict_of: dict[str, str]


def gene_table(scores: pd.DataFrame) -> GeneTable:
    """Every gene with its score, its best baseline, its noise ceiling and how far to trust it, best first."""
    genes = rate_genes(scores, headline(scores))
    genes["groups"] = [f"{wins}/{groups}" for wins, groups in zip(genes["wins"], genes["groups"], strict=True)]
    shown = genes[
        ["verdict", "score", "baseline", "beyond_depth", "baseline_beyond_depth", "groups", "ceiling", "fraction"]
    ]
    return GeneTable(
        [
            "gene",
            "verdict",
            "score",
            "best baseline",
            "score beyond depth",
            "best baseline beyond depth",
            "groups won",
            "noise ceiling",
            "share of ceiling",
        ],
        [[gene, *row] for gene, row in zip(shown.index, shown.astype(object).to_numpy().tolist(), strict=True)],
        {str(v): int(n) for v, n in genes["verdict"].value_counts(sort=False).items()},
        genes["verdict"].astype(str).to_dict(),
    )

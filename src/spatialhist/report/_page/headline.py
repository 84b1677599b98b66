"""Whose predictions the page is about, and how well they do gene by gene."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from spatialhist import tl
from spatialhist._sdata.cohort import Cohort
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import recorded
from spatialhist.report._page.score_tables import Table
from spatialhist.tl._scores.means import gene_means as by_group
from spatialhist.tl._scores.metrics import HEADLINE
from spatialhist.tl._scores.reliability import rate_genes


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


def gene_means(scores: pd.DataFrame, predictor: str, metric: str = HEADLINE) -> pd.Series:
    """Score per gene that every fold models, mean over slides, then groups; best first, empty without the metric."""
    means = by_group(scores[scores["metric"] == metric], predictor).sort_index()
    return means.dropna().mean(axis=1).sort_values(ascending=False, kind="stable")


GENE_COLUMNS = {
    "verdict": "verdict",
    "score": "score",
    "baseline": "best baseline",
    "beyond_depth": "score beyond depth",
    "baseline_beyond_depth": "best baseline beyond depth",
    "groups": "groups won",
    "ceiling": "noise ceiling",
    "fraction": "share of ceiling",
}
"""Columns of the table of genes, and what they are called on the page."""


@dataclass(frozen=True)
class GeneTable(Table):
    """Genes, best first, how many there are of each verdict, and the verdict on each."""

    verdicts: dict[str, int]
    verdict_of: dict[str, str]


def gene_table(scores: pd.DataFrame) -> GeneTable:
    """Every gene with its score, its best baseline, its noise ceiling and how far to trust it, best first."""
    genes = rate_genes(scores, headline(scores))
    genes["groups"] = [f"{wins}/{groups}" for wins, groups in zip(genes["wins"], genes["groups"], strict=True)]
    shown = genes[list(GENE_COLUMNS)].astype(object)
    return GeneTable(
        ["gene", *GENE_COLUMNS.values()],
        [[gene, *row] for gene, row in zip(shown.index, shown.to_numpy().tolist(), strict=True)],
        {str(v): int(n) for v, n in genes["verdict"].value_counts(sort=False).items()},
        genes["verdict"].astype(str).to_dict(),
    )

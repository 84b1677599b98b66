"""Whose predictions the page is about, and how well they do gene by gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from spatialhist import tl
from spatialhist._sdata.layers import recorded
from spatialhist.report._score_tables import Table

if TYPE_CHECKING:
    from spatialhist._sdata.slides import Cohort

CEILING = "noise_ceiling"


def headline(scores: pd.DataFrame) -> str:
    """Stack, or else the model with the best mean."""
    summary = tl.summarize(scores)
    return str(summary[summary["kind"] != "null"].index[0])


def layer_of(cohort: Cohort, predictor: str, truth: str) -> str | None:
    """Layer of a predictor's out-of-fold predictions."""
    for layer in cohort.table.layers:
        made = recorded(cohort.table, layer)
        if made.get("predictor") == predictor and made.get("target") == truth and made.get("step") != "predict":
            return layer
    return None


def gene_means(scores: pd.DataFrame, predictor: str) -> pd.Series:
    """Within-slide Pearson per gene that every fold models, mean over slides, then groups; best first."""
    part = scores[(scores["predictor"] == predictor) & (scores["metric"] == "pearson") & (scores["target"] != "")]
    groups = part.groupby(["target", "group"])["value"].mean().unstack("group")
    return groups.dropna().mean(axis=1).sort_values(ascending=False, kind="stable")


def gene_table(scores: pd.DataFrame) -> Table:
    """Every gene that every fold models, beside its noise ceiling, best first."""
    name = headline(scores)
    columns = {name: gene_means(scores, name)}
    if CEILING in set(scores["predictor"]):
        columns[CEILING] = gene_means(scores, CEILING)
    table = pd.DataFrame(columns).loc[columns[name].index]
    return Table(
        ["gene", *table.columns],
        [[gene, *map(float, row)] for gene, row in zip(table.index, table.to_numpy(), strict=True)],
    )

"""Rows of the score table for means over gene sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from spatialhist import metrics
from spatialhist.metrics._gene_sets import no_members
from spatialhist.metrics._shared.gene_sets import MIN_GENES, members

PREFIX = "gene_set_"
SIZE = PREFIX + "size"

Row = tuple[str, str, float, int]
"""Gene set, metric, value, number of spots."""


def gene_set_rows(
    gene_sets: Mapping[str, Sequence[str]],
    truth: np.ndarray,
    predicted: np.ndarray,
    genes: Sequence[str],
    *,
    depth: np.ndarray | None = None,
    seed: int = 0,
) -> Iterator[Row]:
    """Score the means over gene sets on one slide, beside random sets of the same sizes.

    Parameters
    ----------
    gene_sets
        Genes of every set.
    truth, predicted
        ``(n, genes)``.
    genes
        Names.
    depth
        Total counts of the spots ``(n,)``, None where they are unknown.
    seed
        Of the random sets.

    Yields
    ------
    Row
        One per set and column of :func:`spatialhist.metrics.gene_set_scores`; none where no set can be scored.
    """
    if not any(len(each) >= MIN_GENES for each in members(gene_sets, genes).values()):
        return
    table = metrics.gene_set_scores(truth, predicted, genes, gene_sets, depth=depth, seed=seed)
    for column in table:
        yield from ((name, PREFIX + column, float(value), len(truth)) for name, value in table[column].items())


def tell_of_small_sets(scores: pd.DataFrame, gene_sets: Mapping[str, Sequence[str]], genes: Sequence[str]) -> None:
    """Say which sets were not scored, since they have next to no genes among those that are predicted.

    Raises
    ------
    ValueError
        If none was scored.

    Warns
    -----
    UserWarning
        Naming the sets.
    """
    largest = scores.loc[scores["metric"] == SIZE].groupby("target")["value"].max()
    small = [name for name in gene_sets if largest.get(name, 0) < MIN_GENES]
    if len(small) == len(gene_sets):
        raise ValueError(no_members(small, genes))
    if small:
        warnings.warn(
            f"{len(small)} of {len(gene_sets)} gene sets have fewer than {MIN_GENES} genes among those that are predicted and "
            f"are not scored: {', '.join(small)}",
            stacklevel=3,
        )

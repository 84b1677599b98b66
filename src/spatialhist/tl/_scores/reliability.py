"""How reliable genes are: a verdict on each from its out-of-fold scores, its baselines and its noise ceiling."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatialhist.tl._scores.means import gene_means
from spatialhist.tl._scores.metrics import HEADLINE
from spatialhist.tl._scores.scorer import CEILING

IMAGE_FREE = ("baseline_mean", "baseline_patient", "baseline_position", "control_permuted")
"""Baselines that know nothing of the image; a gene that color alone predicts is predicted from the image."""
PERMUTED = "control_permuted"
CHANCE = 0.95
"""Quantile of the scores of the negative control, over genes, that a gene has to exceed."""
ENOUGH = 0.5
"""Share of the noise ceiling; below half of it, most of what a perfect prediction would show is missing."""
RELIABLE, WEAK, UNRELIABLE = VERDICTS = ("reliable", "weak", "unreliable")
COLUMNS = ["score", "baseline", "ceiling", "fraction", "groups", "wins", "verdict"]


def rate_genes(scores: pd.DataFrame, predictor: str) -> pd.DataFrame:
    """Rate every gene that a predictor was scored on.

    Parameters
    ----------
    scores
        What :func:`evaluate` returned, with the baselines.
    predictor
        Whose genes.

    Returns
    -------
    DataFrame
        One row a gene, best first: ``score``, within-slide Pearson averaged over slides and groups; ``baseline``, the same
        of its best image-free baseline; ``ceiling`` of the measurement's noise; ``fraction`` of the ceiling that is
        reached, NaN where there is none; ``groups`` in which the gene was scored, ``wins``, those above the baseline;
        ``verdict``.

    Notes
    -----
    The verdict is ``"unreliable"`` where the score is not above the gene's best image-free baseline, not above 95 % of
    all genes predicted by a model of permuted labels, or where the measurement does not agree with itself (ceiling 0).
    It is ``"reliable"`` where the score is above the baseline in every held-out group, of which there are two or more, above
    the permuted score of every gene, and at least half of the ceiling (half of 1 where there is none). All others are
    ``"weak"``.
    """
    part = scores[scores["metric"] == HEADLINE]
    mine = gene_means(part, predictor)
    baselines = [gene_means(part, name).reindex_like(mine).fillna(0.0) for name in IMAGE_FREE]
    baseline = _best(baselines, mine)
    ceiling = gene_means(part, CEILING).reindex_like(mine).mean(axis=1)
    table = pd.DataFrame({"score": mine.mean(axis=1), "baseline": baseline.mean(axis=1), "ceiling": ceiling})
    table["fraction"] = (table["score"] / table["ceiling"]).where(table["ceiling"] > 0)
    table["groups"] = mine.notna().sum(axis=1)
    table["wins"] = (mine > baseline).sum(axis=1)
    table["verdict"] = _verdicts(table, gene_means(part, PERMUTED).mean(axis=1))
    return table[COLUMNS].sort_values("score", ascending=False, kind="stable").rename_axis("gene")


def _best(baselines: list[pd.DataFrame], like: pd.DataFrame) -> pd.DataFrame:
    """Scores of the baseline with the highest mean, gene by gene; 0, what a constant scores, where none is higher."""
    best = pd.DataFrame(0.0, index=like.index, columns=like.columns)
    for baseline in baselines:
        better = baseline.mean(axis=1) > best.mean(axis=1)
        best[better] = baseline[better]
    return best.where(like.notna())


def _verdicts(table: pd.DataFrame, permuted: pd.Series) -> pd.Series:
    chance = permuted.dropna()
    often, most = (max(0.0, chance.quantile(CHANCE)), max(0.0, chance.max())) if len(chance) else (0.0, 0.0)
    above = (table["score"] > table["baseline"]) & (table["score"] > often) & (table["ceiling"] != 0)
    everywhere = (table["wins"] == table["groups"]) & (table["groups"] > 1) & (table["score"] > most)
    enough = table["fraction"].fillna(table["score"]) >= ENOUGH
    words = np.select([above & everywhere & enough, above], [RELIABLE, WEAK], UNRELIABLE)
    return pd.Series(pd.Categorical(words, categories=VERDICTS), index=table.index)

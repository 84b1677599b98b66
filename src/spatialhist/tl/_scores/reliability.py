"""How reliable genes are: a verdict on each from its out-of-fold scores, its baselines and its noise ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spatialhist.tl._scores.card_file import NUMBERS, RELIABLE, UNRELIABLE, VERDICTS, WEAK
from spatialhist.tl._scores.means import gene_means
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE
from spatialhist.tl._scores.scorer import CEILING

IMAGE_FREE = ("baseline_mean", "baseline_patient", "baseline_position", "control_permuted")
"""Baselines that know nothing of the image; a gene that color alone predicts is predicted from the image."""
PERMUTED = "control_permuted"
CHANCE = 0.95
"""Quantile of the scores of the negative control, over genes, that a gene has to exceed."""
ENOUGH = 0.5
"""Share of the noise ceiling; below half of it, most of what a perfect prediction would show is missing."""
COLUMNS = [*NUMBERS, "groups", "wins", "verdict"]


@dataclass(frozen=True)
class Side:
    """Genes by one of the two headlines.

    Attributes
    ----------
    scores, best
        Of the predictor, and of each gene's best baseline, genes x groups.
    ceiling
        Noise ceiling of every gene.
    clear
        Whether a gene is above what is known without its image, and above chance.
    most
        Highest score that permuted labels reach on any gene.
    """

    scores: pd.DataFrame
    best: pd.DataFrame
    ceiling: pd.Series
    clear: pd.Series
    most: float

    @classmethod
    def of(cls, part: pd.DataFrame, predictor: str) -> Side:
        """Look at the rows of one metric."""
        scores = gene_means(part, predictor)
        baselines = {
            # a baseline without a score of a gene stands at 0, what a constant scores
            name: gene_means(part, name).reindex_like(scores).fillna(0.0)
            for name in (*IMAGE_FREE, *part.loc[part["kind"] == "baseline", "predictor"].unique())
        }
        free = _best([baselines[name] for name in IMAGE_FREE], scores)
        often, most = _chance(gene_means(part, PERMUTED).mean(axis=1))
        ceiling = gene_means(part, CEILING).reindex_like(scores).mean(axis=1)
        score = scores.mean(axis=1)
        # a ceiling of 0 says that halves of the counts share nothing, so that a score is luck; an unknown one says nothing
        clear = (score > free.mean(axis=1)) & (score > often) & (ceiling != 0)
        return cls(scores, _best(list(baselines.values()), scores), ceiling, clear, most)

    @property
    def score(self) -> pd.Series:
        """Mean over groups."""
        return self.scores.mean(axis=1)

    @property
    def wins(self) -> pd.DataFrame:
        """Where a gene is above its best baseline, genes x groups."""
        return self.scores > self.best


def rate_genes(scores: pd.DataFrame, predictor: str) -> pd.DataFrame:
    """Rate every gene that a predictor was scored on, by both headlines.

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
        of its best baseline; ``ceiling`` of the measurement's noise; ``fraction`` of the ceiling that is reached, NaN where
        there is none; ``beyond_depth``, ``baseline_beyond_depth`` and ``ceiling_beyond_depth``, the same beyond depth, NaN
        where depth is unknown; ``groups`` in which the gene was scored, ``wins``, those above the best baseline in both
        headlines; ``verdict``.

    Notes
    -----
    The verdict is ``"unreliable"`` where one of the two headlines is not above the gene's best image-free baseline, not above
    95 % of all genes predicted by a model of permuted labels, or where the measurement does not agree with itself (ceiling
    0). It is ``"reliable"`` where both are above the gene's best baseline of all (color and depth among them) in every
    held-out group, of which there are two or more, and above the permuted score of every gene, and the first is at least
    half of its ceiling (half of 1 where there is none). All others are ``"weak"``. Where nothing says how deep the spots
    are, the first headline decides alone.
    """
    first, beyond = (Side.of(scores[scores["metric"] == metric], predictor) for metric in (HEADLINE, BEYOND_DEPTH))
    sides = [first, beyond] if beyond.scores.notna().any(axis=None) else [first]
    table = pd.DataFrame({"score": first.score, "baseline": first.best.mean(axis=1), "ceiling": first.ceiling})
    table["fraction"] = (table["score"] / table["ceiling"]).where(table["ceiling"] > 0)
    table["beyond_depth"], table["ceiling_beyond_depth"] = beyond.score, beyond.ceiling
    table["baseline_beyond_depth"] = beyond.best.mean(axis=1)
    table["groups"] = first.scores.notna().sum(axis=1)
    won = [side.wins.reindex_like(first.wins).fillna(False).astype(bool) for side in sides]
    table["wins"] = np.logical_and.reduce(won).sum(axis=1)
    table["verdict"] = _verdicts(table, sides)
    return table[COLUMNS].sort_values("score", ascending=False, kind="stable").rename_axis("gene")


def _best(baselines: list[pd.DataFrame], like: pd.DataFrame) -> pd.DataFrame:
    """Scores of the baseline with the highest mean, gene by gene; 0, what a constant scores, where none is higher."""
    best = pd.DataFrame(0.0, index=like.index, columns=like.columns)
    for baseline in baselines:
        better = baseline.mean(axis=1) > best.mean(axis=1)
        best[better] = baseline[better]
    return best.where(like.notna())


def _chance(permuted: pd.Series) -> tuple[float, float]:
    """What permuted labels exceed on few genes, and on none."""
    chance = permuted.dropna()
    return (max(0.0, chance.quantile(CHANCE)), max(0.0, chance.max())) if len(chance) else (0.0, 0.0)


def _verdicts(table: pd.DataFrame, sides: list[Side]) -> pd.Series:
    above = np.logical_and.reduce([_of(side.clear, table) for side in sides])
    most = np.logical_and.reduce([_of(side.score > side.most, table) for side in sides])
    # to be best in the only group says nothing of others
    everywhere = most & (table["wins"] == table["groups"]) & (table["groups"] > 1)
    # without a known ceiling, as if a perfect prediction reached 1
    enough = table["fraction"].fillna(table["score"]) >= ENOUGH
    words = np.select([above & everywhere & enough, above], [RELIABLE, WEAK], UNRELIABLE)
    return pd.Series(pd.Categorical(words, categories=VERDICTS), index=table.index)


def _of(found: pd.Series, table: pd.DataFrame) -> np.ndarray:
    return found.reindex(table.index, fill_value=False).to_numpy(dtype=bool)

"""Scores of means over gene sets, never without random sets of the same sizes beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import center, over_scale, pearson
from spatialhist.metrics._depth import pearson_beyond_depth, without_depth
from spatialhist.metrics._shared.arrays import as_matrices, scored_columns
from spatialhist.metrics._shared.gene_sets import MIN_GENES, GeneSets, as_gene_sets, members

ROUNDING = 1e-12  # of the variance of a mean over genes of unit variance
TIE = 1e-9  # scores of the same genes differ by rounding only


def gene_set_scores(
    truth: ArrayLike,
    predicted: ArrayLike,
    genes: Sequence[str],
    gene_sets: GeneSets,
    *,
    depth: ArrayLike | None = None,
    n_random: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Score the means over gene sets on one slide, beside random sets of the same sizes.

    The value of a set in a spot is the mean of its genes, each standardized over the spots of the slide (measured and
    predicted values each by their own mean and standard deviation), so that every gene counts the same, whatever its
    level and unit. The score is Pearson of measured and predicted means over spots.

    A mean over genes averages out noise, so that most sets of many genes score higher than their genes do. Only the
    percentile says whether a set is predicted better than its size explains, and only for sets that were not put together
    from genes that score well.

    Parameters
    ----------
    truth
        Measured values of one slide, shape (n_spots, n_genes).
    predicted
        Predicted values, same shape. A gene that is NaN in every spot of either is left out, as is one whose measured
        values are constant.
    genes
        Names of the columns.
    gene_sets
        Genes of every set: a dict, a table with the columns source and target (the long format of decoupler), or the
        path of a `.gmt` file. Genes that are not among the columns are left out, weights are ignored.
    depth
        Total counts of every spot over all genes, shape (n_spots,). With them every score is repeated with depth
        regressed out of the means over sets, by the rule of :func:`pearson_beyond_depth`.
    n_random
        Number of random sets of each size, drawn from the genes that are scored. Sets of one size share them.
    seed
        Of the random sets.

    Returns
    -------
    DataFrame
        One row per set: `size` (genes that are scored), `pearson`, `single_genes` (mean over the scores of these genes
        one by one), `random` (mean score of the random sets) and `percentile` (random sets that score lower, in
        percent, ties by half). With `depth`, the same four with the ending `_beyond_depth`. Sets of fewer than two genes
        have no scores (NaN).

    Raises
    ------
    FileNotFoundError
        If the `.gmt` file is missing.
    TypeError
        If `gene_sets` is something else, or a set is a text.
    ValueError
        If shapes differ, no set has two genes among the columns, the sets cannot be read, or depth is missing, infinite
        or below 0 in some spots.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(50, 20))
    >>> predicted = truth + rng.normal(size=(50, 20))
    >>> predicted[:, :3] = truth[:, :3]
    >>> names = [f"G{i}" for i in range(20)]
    >>> gene_set_scores(truth, predicted, names, {"first": ["G0", "G1", "G2"]}).round(2)[["pearson", "percentile"]]
           pearson  percentile
    first      1.0       100.0
    """
    matrices = as_matrices(truth=truth, predicted=predicted)
    if len(genes) != matrices["truth"].shape[1]:
        raise ValueError(f"{len(genes)} names of genes for {matrices['truth'].shape[1]} columns: name each column")
    scores = pearson(**matrices)
    scored = np.flatnonzero(scored_columns(**matrices) & ~np.isnan(scores))
    named = as_gene_sets(gene_sets)
    if max(len(each) for each in members(named, genes).values()) < MIN_GENES:
        raise ValueError(no_members(list(named), list(genes)))
    sets = members(named, [str(genes[column]) for column in scored.tolist()])
    units = [_standardized(matrix[:, scored]) for matrix in matrices.values()]
    table = _beside_random(sets, units, scores[scored], n_random, seed)
    if depth is None:
        return table
    units = [without_depth(unit, depth) for unit in units]
    beyond = _beside_random(sets, units, pearson_beyond_depth(**matrices, depth=depth)[scored], n_random, seed)
    return table.join(beyond.drop(columns="size").add_suffix("_beyond_depth"))


def no_members(names: Sequence[str], genes: Sequence[str]) -> str:
    """What to say where no set can be scored."""
    return (
        f"none of the gene sets {_few(names)} has {MIN_GENES} genes among the {len(genes)} genes that are scored, such as "
        f"{_few(genes)}: name genes as the table does (species, case, symbols or ids), or predict more genes"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")


def _beside_random(
    sets: dict[str, NDArray[np.intp]],
    units: Sequence[NDArray[np.float64]],
    single: NDArray[np.float64],
    n_random: int,
    seed: int,
) -> pd.DataFrame:
    measured, predicted = units
    # a mean correlates by sums over products of genes: formed once, random sets cost no further pass over the spots
    grams = (measured.T @ predicted, measured.T @ measured, predicted.T @ predicted)
    random = {
        size: _of_means(_draw(size, len(single), n_random, seed), grams)
        for size in {len(each) for each in sets.values()}
        if size >= MIN_GENES
    }
    rows = {name: _row(each, grams, single, random.get(len(each))) for name, each in sets.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).astype({"size": int})


COLUMNS = ["size", "pearson", "single_genes", "random", "percentile"]


def _row(
    each: NDArray[np.intp],
    grams: Sequence[NDArray[np.float64]],
    single: NDArray[np.float64],
    random: NDArray[np.float64] | None,
) -> tuple[float, ...]:
    if random is None:
        return len(each), np.nan, np.nan, np.nan, np.nan
    own = float(_of_means(each[None], grams)[0])
    return len(each), own, _mean_known(single[each]), _mean_known(random), _percentile(own, random[~np.isnan(random)])


def _mean_known(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def _percentile(own: float, random: NDArray[np.float64]) -> float:
    if np.isnan(own) or not random.size:
        return np.nan
    # ties count half, so that a set which is all genes lies at 50 among random sets of its size
    return 100 * float(np.mean((random < own - TIE) + 0.5 * (np.abs(random - own) <= TIE)))


def _draw(size: int, n_genes: int, n_random: int, seed: int) -> NDArray[np.intp]:
    # the size is part of the seed, so that the other sets of a call do not change what a set is compared with
    rng = np.random.default_rng([seed, size])
    return np.stack([np.sort(rng.choice(n_genes, size, replace=False)) for _ in range(n_random)])


def _of_means(sets: NDArray[np.intp], grams: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Pearson of the means over sets of one size, from sums over the products of their genes."""
    product, measured, predicted = (np.array([gram[np.ix_(each, each)].sum() for each in sets]) for gram in grams)
    constant = ROUNDING * sets.shape[1] ** 2
    # a sum of squares that rounding took below 0 has no root
    scale = np.sqrt(np.maximum(measured, 0)) * np.sqrt(np.maximum(predicted, 0))
    return over_scale(product, scale, measured <= constant, predicted <= constant)


def _standardized(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Center columns and give them length 1; constant ones are 0."""
    centered, squares, constant = center(values)
    return centered / np.where(constant, 1.0, np.sqrt(squares))

"""Which fits a cross-validation needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from spatialhist import _keys
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.folder import group_folder

MIN_GROUPS_STACKED = 3
"""Inner fits leave out two groups at once and train on the rest."""


def outer_fits(
    folder: Path,
    groups: Sequence[str],
    predictors: Sequence[Predictor],
    panels: dict[str, tuple[int, ...]],
    *,
    seed: int,
    threads: int,
) -> dict[tuple[str, str], Fit]:
    """One fit per group and predictor: everything but the group.

    Returns
    -------
    dict[tuple[str, str], Fit]
        Fits by (group, predictor name).
    """
    return {
        (group, p.name): Fit(
            p, (group,), panels[group], folder / "folds" / group_folder(list(groups), (group,)) / _keys.sanitize(p.name),
            seed, threads,
        )
        for group in groups
        for p in predictors
    }  # fmt: skip


def inner_fits(
    folder: Path,
    groups: Sequence[str],
    models: Sequence[Predictor],
    panels: dict[str, tuple[int, ...]],
    *,
    seed: int,
    threads: int,
) -> dict[tuple[str, str, str], Fit]:
    """Fits that evaluating a stack needs: to predict group s for outer group o, a fit that saw neither.

    A pair of groups shares one fit where both have the same panel. Where they differ there are two: a panel was chosen
    with the other group's labels, and must not shape a model that is evaluated on that group.

    Returns
    -------
    dict[tuple[str, str, str], Fit]
        Fits by (outer group, predicted group, model name); none with one model or fewer than three groups.
    """
    if len(models) < 2 or len(groups) < MIN_GROUPS_STACKED:
        return {}
    fits = {}
    for outer, other in itertools.permutations(groups, 2):
        # a pair has one folder, from whichever of its two groups it is asked for
        pair = tuple(sorted((outer, other), key=list(groups).index))
        # with one panel for both, the fit that left out the pair serves either as the outer group
        panel = "shared" if panels[outer] == panels[other] else f"panel_{group_folder(list(groups), (outer,))}"
        for p in models:
            where = folder / "inner" / group_folder(list(groups), pair) / panel / _keys.sanitize(p.name)
            fits[outer, other, p.name] = Fit(p, pair, panels[outer], where, seed, threads)
    return fits


def unique(fits: Sequence[Fit]) -> list[Fit]:
    """Fits by folder, so that a shared one is run once."""
    return list({f.folder: f for f in fits}.values())


def announce(fits: Sequence[Fit], n_spots: int, n_groups: int, *, tile_gb: float = 0.0) -> str:
    """Say how many fits there are, and what they take on disk; how long they take is known when some are done.

    Parameters
    ----------
    fits
        What will run.
    n_spots
        Spots of the cohort.
    n_groups
        Groups of the cohort.
    tile_gb
        Size of the tiles that networks look at.
    """
    todo = [f for f in fits if not f.done]
    # each fit keeps float32 predictions of the spots that it left out, about those of one group
    gigabytes = sum(len(f.genes) for f in todo) * n_spots * 4 / n_groups / 1e9
    tiles = f"; tiles of {max(tile_gb, 0.01):.2f} GB on disk are read batch by batch, not held in memory"
    return (
        f"{len(todo)} fits to run ({len(fits) - len(todo)} done already), {n_spots:,} spots in {n_groups} groups: "
        f"{max(gigabytes, 0.01):.2f} GB on disk{tiles if tile_gb else ''}"
    )

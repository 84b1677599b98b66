from __future__ import annotations

from pathlib import Path

import pytest

from spatialhist.tl import Ridge
from spatialhist.tl._runs.plan import announce, inner_fits, outer_fits, unique

OPTIONS = {"seed": 3, "threads": 1}
TWO = [Ridge(), Ridge(name="other")]


def panels_of(groups, **different):
    return {g: different.get(g, (0, 1)) for g in groups}


@pytest.mark.parametrize(("groups", "fits"), [("abc", 6), ("abcdefg", 28)])
def test_a_model_needs_k_fits_and_one_for_every_pair(groups, fits):
    arguments = (Path("run"), list(groups), TWO, panels_of(groups))
    every = [*outer_fits(*arguments, **OPTIONS).values(), *inner_fits(*arguments, **OPTIONS).values()]
    assert len(unique(every)) == fits * len(TWO)


def test_an_outer_fit_leaves_out_its_group_and_models_its_panel():
    fit = outer_fits(Path("run"), ["a", "b"], TWO, panels_of("ab", b=(4, 7)), **OPTIONS)["b", "other"]
    assert (fit.held_out, fit.genes, fit.seed, fit.predictor.name) == (("b",), (4, 7), 3, "other")
    assert fit.folder == Path("run/folds/01_b/other")


def test_an_inner_fit_leaves_out_both_groups_and_models_the_panel_of_the_evaluated_one():
    fits = inner_fits(Path("run"), ["a", "b", "c"], TWO, panels_of("abc", c=(5, 6)), **OPTIONS)
    assert fits["a", "c", "ridge"].held_out == ("a", "c")
    assert fits["a", "c", "ridge"].genes == (0, 1)
    assert fits["c", "a", "ridge"].genes == (5, 6)
    assert fits["c", "a", "ridge"].folder != fits["a", "c", "ridge"].folder
    assert fits["a", "b", "ridge"].folder == fits["b", "a", "ridge"].folder


@pytest.mark.parametrize(("groups", "models"), [("ab", TWO), ("abcd", TWO[:1])])
def test_nothing_to_evaluate_needs_no_inner_fits(groups, models):
    assert inner_fits(Path("run"), list(groups), models, panels_of(groups), **OPTIONS) == {}


def test_groups_whose_sanitized_names_coincide_have_their_own_folders():
    fits = outer_fits(Path("run"), ["a/b", "a b"], TWO, panels_of(["a/b", "a b"]), **OPTIONS)
    assert len(unique(list(fits.values()))) == 4


def test_the_announcement_counts_what_is_left(tmp_path):
    fits = list(outer_fits(tmp_path, ["a", "b"], TWO, panels_of("ab"), **OPTIONS).values())
    fits[0].folder.mkdir(parents=True)
    text = announce(fits, 1_000_000, 2)
    # three fits of two genes, half of the spots each, four bytes a number
    assert text == "3 fits to run (1 done already), 1,000,000 spots in 2 groups: 0.01 GB on disk"
    assert announce(fits, 1_000_000, 2, tile_gb=1.5) == text + (
        "; tiles of 1.50 GB on disk are read batch by batch, not held in memory"
    )

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort, lattice
from tissue_pictures import tissue_picture

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.images import add_mask
from spatialhist.tl._data.copies import refuse_copies
from spatialhist.tl._data.signature import sign_slide


def cohort(pictures, counts):
    """One slide and patient a picture; the spots lie in its upper left part."""
    parts = [
        build_slide(
            np.moveaxis(p, 2, 0),
            lattice(),
            csr_matrix(c, dtype=np.float32),
            slide=f"S{i}",
            genes=list("abcdefghijkl"),
            patient=f"P{i}",
            mpp=2.0,
        )
        for i, (p, c) in enumerate(zip(pictures, counts, strict=True), 1)
    ]
    sdata = concat_slides(parts)
    for i in range(1, len(pictures) + 1):
        add_mask(sdata, np.ones((8, 8), dtype=bool), image=f"S{i}_full_image")
    sh.pp.log_normalize(sdata)
    return sdata


def counts(seed):
    rng = np.random.default_rng(seed)
    return rng.poisson(20 * np.exp(0.3 * rng.normal(size=(96, 12))))


def look(sdata, groups="abc"):
    slides = open_cohort(sdata).every_slide()
    assigned = dict(zip([s.name for s in slides], groups, strict=True))
    refuse_copies(sdata["table"], slides, assigned, {s.name: sign_slide(s) for s in slides})


PICTURES = [tissue_picture(seed) for seed in range(3)]
COUNTS = [counts(seed) for seed in range(3)]


def test_three_sections_are_let_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look(cohort(PICTURES, COUNTS))


def test_one_picture_in_two_groups_is_refused_and_in_one_is_not():
    sdata = cohort([*PICTURES[:2], PICTURES[0][5:, 9:, ::-1]], COUNTS)
    with pytest.raises(
        ValueError, match=r"'S1' \(group 'a'\) and 'S3' \(group 'c'\) are pictures of one section: \d+ key"
    ):
        look(sdata)
    look(sdata, "aba")


def test_thinned_counts_in_two_groups_are_refused_and_in_one_are_not():
    sdata = cohort(PICTURES, [*COUNTS[:2], np.random.default_rng(5).binomial(COUNTS[1], 0.5)])
    with pytest.raises(ValueError, match=r"'S2' .* 'S3' .* counts of one section, .*: \d\d of 96 spots match"):
        look(sdata)
    look(sdata, "abb")


def test_parts_of_a_picture_in_two_groups_are_named():
    left, right = np.split(tissue_picture(3, (300, 840)), 2, axis=1)
    sdata = cohort([PICTURES[0], left, right], COUNTS)
    with pytest.warns(
        UserWarning, match=r"go on in each other .*: 'S2' and 'S3' \(0\.\d\d\); if they are parts of one"
    ):
        look(sdata)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look(sdata, "abb")


def test_cross_validation_looks_for_copies():
    sdata = cohort([*PICTURES[:2], np.rot90(PICTURES[0])], COUNTS)
    with pytest.raises(ValueError, match="are pictures of one section"):
        sh.tl.cross_validate(sdata, models="ridge", genes=4, **FAST)


def test_without_counts_pictures_are_compared():
    sdata = draw_cohort(0, n_slides=3)
    sdata["table"].X = -sdata["table"].X
    look(sdata)
    del sdata["table"].X
    look(sdata)

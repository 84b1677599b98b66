from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort, lattice

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask
from spatialhist.tl._runs import fits

SYMBOLS = [f"GENE{k}" for k in range(12)]
IDS = [f"ENSG{k:011d}" for k in range(12)]


def part(k: int, genes: list[str]):
    rng = np.random.default_rng(k)
    image = rng.integers(60, 220, (3, 200, 260), dtype=np.uint8)
    level = [90 if gene.startswith("X") else 9 for gene in genes]
    counts = csr_matrix(rng.poisson(level, (96, len(genes))).astype(np.float32))
    return build_slide(image, lattice(), counts, slide=f"S{k}", genes=genes, patient=f"P{k}", mpp=2.0)


def joined(*names: list[str]):
    sdata = concat_slides([part(k, genes) for k, genes in enumerate(names)])
    for k in range(len(names)):
        add_mask(sdata, np.ones((50, 65), dtype=bool), image=f"S{k}_full_image")
    sh.pp.log_normalize(sdata)
    return sdata


@pytest.fixture
def no_fits(monkeypatch):
    def fitted(*_, **__):
        raise AssertionError("something was fitted")

    monkeypatch.setattr(fits, "run_fit", fitted)


@pytest.mark.parametrize("genes", [5, SYMBOLS[:3]])
def test_symbols_and_ids_are_refused_before_the_first_fit(no_fits, genes):
    sdata = joined(SYMBOLS, IDS, SYMBOLS)
    with pytest.raises(ValueError, match="slides 'S0' and 'S1' have no gene in common: 'S0' has symbols") as error:
        sh.tl.cross_validate(sdata, models="ridge", genes=genes, groups="patient", **FAST)
    assert "Ensembl ids ('ENSG00000000000'" in str(error.value)
    with pytest.raises(ValueError, match="have no gene in common"):
        sh.tl.fit(sdata, models="ridge", genes=genes, **FAST)


def test_the_slides_that_the_message_names_can_be_run():
    sdata = joined(SYMBOLS, IDS, SYMBOLS)
    with pytest.raises(ValueError, match="or take slides=") as error:
        sh.tl.cross_validate(sdata, models="ridge", genes=5, groups="patient", **FAST)
    slides = eval(str(error.value).rpartition("slides=")[2])
    assert slides == ["S0", "S2"]
    sh.tl.cross_validate(sdata, models="ridge", genes=5, groups="patient", slides=slides, **FAST)


def test_names_of_one_kind_by_the_advised_assignment():
    parts = [part(0, SYMBOLS), part(1, IDS)]
    parts[0]["table"].var["gene_ids"] = IDS
    for each in parts[:1]:
        each["table"].var_names = each["table"].var["gene_ids"]
    assert sh.io.concat(parts)["table"].n_vars == 12


def test_tables_that_were_joined_without_a_note_are_told_by_their_zeros(no_fits):
    sdata = joined(SYMBOLS, IDS)
    del sdata["table"].varm["measured"]
    with pytest.raises(ValueError, match="slides 'S0' and 'S1' have no gene in common"):
        sh.tl.cross_validate(sdata, models="ridge", genes=5, groups="patient", **FAST)


def test_few_common_genes_are_named():
    sdata = joined(SYMBOLS, [*IDS[1:], SYMBOLS[0]])
    with pytest.warns(UserWarning, match=r"share few genes: 'S0' and 'S1' \(1 of 12\)"):
        sh.tl.fit(sdata, models="ridge", genes=["GENE0"], **FAST)


def test_a_panel_that_the_held_out_slide_did_not_measure_is_refused_and_the_advice_helps():
    wide = [f"X{k}" for k in range(40)]
    sdata = joined([*SYMBOLS, *wide], [*SYMBOLS, *wide], SYMBOLS)
    options = {"models": "ridge", "groups": "patient"} | FAST
    with pytest.raises(ValueError, match="slide 'S2' measured none of the 2 genes .* group 'P2' is held out") as error:
        sh.tl.cross_validate(sdata, genes=2, **options)
    sh.tl.cross_validate(sdata, genes=eval(str(error.value).rpartition("genes=")[2]), **options)
    assert set(sh.tl.evaluate(sdata, metrics="pearson", oracles=False).slide) == {"S0", "S1", "S2"}


def test_same_names_pass_without_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        sh.tl.fit(draw_cohort(0, n_slides=2), models="ridge", genes=3, **FAST)
    assert not caplog.records

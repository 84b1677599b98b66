from __future__ import annotations

from pathlib import Path

import spatialhist as sh
from spatialhist.tl._scores.card import gene_table
from spatialhist.tl._scores.card_file import count_genes, read_card

CARD = read_card(Path(sh.__file__).parent / "datasets" / "_models" / "her2st")


def test_genes_are_counted_as_their_table_counts_them():
    genes = list(CARD["genes"])[::2]
    expected = gene_table(CARD).loc[genes, "verdict"].value_counts()
    assert count_genes(CARD, [*genes, "of another panel"]) == {
        v: expected[v] for v in ("reliable", "weak", "unreliable")
    }
    assert sum(count_genes(CARD, genes).values()) == len(genes)


def test_a_model_that_was_not_evaluated_has_no_counts():
    assert count_genes({}, ["ERBB2"]) == {}
    assert count_genes({"genes": {"ERBB2": {"verdict": None}}}, ["ERBB2"]) == {}

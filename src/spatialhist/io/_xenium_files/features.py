"""Which features of a panel are genes, and what the others are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

GENE = "gene"
GENE_CATEGORIES = ("predesigned_gene", "custom_gene", GENE)
"""Values of ``codeword_category`` that are genes."""
CONTROLS = {
    "negative_control_probe": ("NegControlProbe", "antisense_"),
    "negative_control_codeword": ("NegControlCodeword",),
    "negative_control": ("NegControl", "NegPrb"),
    "blank_codeword": ("BLANK", "BlankCodeword"),
    "unassigned_codeword": ("UnassignedCodeword",),
    "deprecated_codeword": ("DeprecatedCodeword",),
    "genomic_control_probe": ("Intergenic_Region", "GenomicControl"),
}
"""Starts of names, which tell what versions before the third do not say in a column of its own."""
OTHER = "other_control"


def category(name: str) -> str:
    """What a feature is by its name."""
    return next((kind for kind, starts in CONTROLS.items() if name.startswith(starts)), GENE)


def categories(names: Sequence[str]) -> np.ndarray:
    """What features are by their names, as objects."""
    return np.array([category(name) for name in names], dtype=object)

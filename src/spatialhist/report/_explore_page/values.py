"""Values of a few genes in a layer, a gene at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist._sdata.cohort import Cohort
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist.pl._draw.units import is_predicted


@dataclass(frozen=True)
class Known:
    """Where a slide was measured: rows of its spots, which of them carry measurements, and which genes it holds."""

    rows: np.ndarray
    spots: np.ndarray
    genes: np.ndarray


@dataclass(frozen=True)
class Layer:
    """A few genes of a layer.

    Attributes
    ----------
    columns
        ``(spots, genes)``, an array or a sparse matrix of columns.
    held
        Boolean per gene: the table has it.
    known
        Of every slide, what was measured; empty for predictions, which say by NaN what they do not hold.
    """

    columns: Any
    held: np.ndarray
    known: tuple[Known, ...]

    @classmethod
    def of(cls, source: Cohort, layer: str, genes: Sequence[str]) -> Layer:
        """Take some genes out of a layer."""
        table, positions = source.table, source.table.var_names.get_indexer(genes)
        held = positions >= 0
        columns = get_layer(table, layer)[:, np.where(held, positions, 0)]
        if not isinstance(columns, np.ndarray):
            columns = columns.tocsc()
        if is_predicted(table, layer) or "of" in recorded(table, layer):
            return cls(columns, held, ())
        known = (Known(s.rows, s.measured, held & s.genes_measured[positions]) for s in source.every_slide())
        return cls(columns, held, tuple(known))

    def gene(self, i: int) -> np.ndarray:
        """Values of one gene on all spots ``(n,)`` float32; NaN where nothing was measured or predicted."""
        if not self.held[i]:
            return np.full(self.columns.shape[0], np.nan, dtype=np.float32)
        part = self.columns[:, [i]]
        values = np.array(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float32).ravel()
        for known in self.known:
            values[known.rows[~known.spots] if known.genes[i] else known.rows] = np.nan
        return values

"""Count transcripts in the spots of a lattice, without holding them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.key_sums import BITS, Sums, counts_matrix
from spatialhist._sdata.lattice_bins import cell_centers, cell_codes, decode_cells, lattice_cells
from spatialhist.io._xenium_files.features import GENE
from spatialhist.io._xenium_files.transcripts import Features, read_parts

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

    from spatialhist.io._xenium_files.transcripts import Part


@dataclass
class Tally:
    """What became of transcripts.

    Attributes
    ----------
    counted
        Of genes, in spots or cells.
    low_quality
        Of genes, below the least quality; None where Xenium left them out before.
    controls
        Of controls and codewords that belong to no gene, by kind, whatever their quality.
    """

    counted: int = 0
    low_quality: int | None = 0
    controls: dict[str, int] = field(default_factory=dict)

    def add_controls(self, kinds: dict[str, int]) -> None:
        """Add numbers by kind."""
        for kind, n in kinds.items():
            self.controls[kind] = self.controls.get(kind, 0) + n

    def __str__(self) -> str:
        controls = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in sorted(self.controls.items()))
        low = "" if self.low_quality is None else f"{self.low_quality:,} of low quality and "
        told = f"{sum(self.controls.values()):,} of no gene{controls and f' ({controls})'}"
        return f"{self.counted:,} transcripts counted; left out {low}{told}"


@dataclass(frozen=True)
class Spots:
    """Spots of one slide.

    Attributes
    ----------
    centers_um
        ``(n, 2)``.
    diameter_um
        Of all, or of each.
    pitch_um
        Distance of neighbors where it is known.
    matrix
        Spots x genes.
    genes
        Names, unique.
    gene_ids, ids, obs
        What else the run says, None where it says nothing.
    tally
        What became of transcripts.
    """

    centers_um: np.ndarray
    diameter_um: float | np.ndarray
    pitch_um: float | None
    matrix: csr_matrix
    genes: list[str]
    tally: Tally
    gene_ids: list[str] | None = None
    ids: np.ndarray | None = None
    obs: pd.DataFrame | None = None


def count_in_spots(path: Path, spacing: float, lattice: str, min_qv: float) -> Spots:
    """Count the transcripts of a file in spots that touch and do not overlap: each falls into exactly one.

    Genes come in the order of names, those without a transcript of good quality among them.

    Raises
    ------
    ValueError
        If the file is damaged, or holds no transcript of a gene.
    """
    features, sums, tally, genes = Features(), Sums(), Tally(), set[int]()
    for part in read_parts(path, features):
        kept = _take_genes(part, min_qv, tally)
        # of any quality, so that the panel does not depend on min_qv
        genes.update(np.unique(part.feature[part.kind == GENE]).tolist())
        # a larger number would run into that of the spot
        if len(features.names) > 1 << BITS:
            raise ValueError(f"{path} names more than {1 << BITS:,} features: it is no table of transcripts")
        try:
            cells = lattice_cells(part.xy[kept], spacing, lattice)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        sums.add((cell_codes(cells) << BITS) + part.feature[kept])
    if not tally.counted:
        raise ValueError(f"{path} holds no transcript of a gene of quality {min_qv:g} or more ({tally}): lower min_qv=")
    columns = sorted(genes, key=features.names.__getitem__)
    codes, matrix = counts_matrix(*sums.total(), columns, len(features.names))
    centers = cell_centers(decode_cells(codes), spacing, lattice)
    return Spots(centers, spacing, spacing, matrix, [features.names[i] for i in columns], tally)


def _take_genes(part: Part, min_qv: float, tally: Tally) -> np.ndarray:
    """Boolean of the transcripts that count; the others are told."""
    kinds = part.kind.value_counts()
    tally.add_controls({str(kind): int(n) for kind, n in kinds.items() if kind != GENE and n})
    is_gene = np.asarray(part.kind == GENE)
    kept = is_gene & (part.quality >= min_qv)
    tally.counted += int(kept.sum())
    tally.low_quality = (tally.low_quality or 0) + int(is_gene.sum() - kept.sum())
    return kept

"""Genes of the synthetic cohort: markers of each cell type, and controls that are the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from scipy.special import ndtri

from spatialhist.datasets._drawing.cells import CELL_TYPES

MARKERS = {
    "tumor": "ERBB2 MKI67 GRB7 FASN TOP2A ESR1 CCND1 MYC STARD3 PGAP3 SCD CDK12 BIRC5 MUC1 XBP1 GATA3 AGR2 TFF1",
    "epithelial": "KRT19 EPCAM KRT5 KRT14 KRT17 CDH1 KRT8 KRT18 LTF ELF5 SLPI PIGR KIT CLDN4 MMP7 OXTR",
    "fibroblast": "COL1A1 VIM COL3A1 DCN LUM COL1A2 FN1 SPARC POSTN ACTA2 TAGLN FAP PDGFRB THY1 MMP2 SFRP2",
    "lymphocyte": "CD3E PTPRC CD8A MS4A1 IGKC CD4 IGHG1 CXCR4 CCL5 NKG7 CD79A CD74 LTB IL7R JCHAIN GZMB",
    "endothelial": "PECAM1 VWF CDH5 CLDN5 KDR ENG PLVAP ESAM",
    "adipocyte": "ADIPOQ FABP4 PLIN1 PLIN4 LPL CD36 CIDEC G0S2",
}
"""Markers by the cell type that makes them, best known first."""

CONTROLS = "ACTB GAPDH RPLP0 EEF1A1 RPS18 RPL13A TPT1 UBC PPIA HPRT1 TBP PGK1 GUSB TFRC YWHAZ SDHA HMBS RPL32 PSMB2"

RNA_CONTENT = np.array([1.5, 1.2, 1.0, 0.6, 1.0, 4.0])
"""RNA of a cell of each type, relative to a fibroblast."""


@dataclass(frozen=True)
class Signatures:
    """`share[g, t]` is the part of the RNA of cell type t that is gene g; controls are the same in every type."""

    genes: list[str]
    share: np.ndarray
    control: np.ndarray


def draw_signatures(n_genes: int, rng: np.random.Generator) -> Signatures:
    """Choose genes, about one control to three markers while markers last, and what each cell type makes of them."""
    genes, owner = gene_names(n_genes)
    # evenly spread normal quantiles, so that small panels, too, span orders of magnitude
    base = np.exp(1.6 * rng.permutation(ndtri((np.arange(n_genes) + 0.5) / n_genes)))
    fold = np.where(owner[:, None] == np.arange(len(CELL_TYPES)), rng.uniform(5, 15, (n_genes, 1)), 0.3)
    control = owner < 0
    share = base[:, None] * fold
    share[~control] *= 0.75 / share[~control].sum(axis=0)
    share[control] = (base[control] / base[control].sum() * (1 - share[~control].sum(axis=0).mean()))[:, None]
    return Signatures(genes, share, control)


def gene_names(n_genes: int) -> tuple[list[str], np.ndarray]:
    """Names, and for each the index of the cell type it marks, -1 for a control."""
    by_type = [[(gene, t) for gene in MARKERS[name].split()] for t, name in enumerate(CELL_TYPES)]
    markers = [m for m in chain.from_iterable(zip_longest(*by_type)) if m]
    n_markers = min(len(markers), n_genes - n_genes // 4)
    known = CONTROLS.split()
    n_controls = n_genes - n_markers
    controls = (known + [f"CONTROL{i}" for i in range(len(known), n_controls)])[:n_controls]
    names = [gene for gene, _ in markers[:n_markers]] + controls
    return names, np.array([t for _, t in markers[:n_markers]] + [-1] * n_controls, dtype=np.intp)

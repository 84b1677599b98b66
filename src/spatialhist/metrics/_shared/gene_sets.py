"""Gene sets as they come: a dict, decoupler's long format, or a `.gmt` file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GeneSets: TypeAlias = Mapping[str, Iterable[str]] | pd.DataFrame | str | Path

MIN_GENES = 2
"""A mean over fewer genes is the score of a single gene."""
LONG = ["source", "target"]


def as_gene_sets(gene_sets: GeneSets) -> dict[str, list[str]]:
    """Return the genes of every set, each named once.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is none of the three, or a set is a text.
    ValueError
        If there is no set, columns are missing, weights are negative, or a line of the file holds no genes.
    """
    found = _by_kind(gene_sets)
    if not found:
        raise ValueError("gene_sets holds no set: pass a dict of names and genes, a table of sets or a .gmt file")
    return {name: list(dict.fromkeys(genes)) for name, genes in found.items()}


def members(gene_sets: Mapping[str, Sequence[str]], genes: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Positions of the genes of every set, in ascending order."""
    return {name: np.flatnonzero(np.isin(np.asarray(genes, dtype=str), each)) for name, each in gene_sets.items()}


def _by_kind(gene_sets: GeneSets) -> dict[str, list[str]]:
    if isinstance(gene_sets, pd.DataFrame):
        return _of_long_format(gene_sets)
    if isinstance(gene_sets, str | Path):
        return _of_gmt(Path(gene_sets))
    if not isinstance(gene_sets, Mapping):
        raise TypeError(
            f"gene_sets is a {type(gene_sets).__name__}: pass a dict of names and genes, a table with the columns "
            f"{LONG}, or the path of a .gmt file"
        )
    return {str(name): _of_genes(name, genes) for name, genes in gene_sets.items()}


def _of_genes(name: str, genes: Iterable[str]) -> list[str]:
    if isinstance(genes, str):
        raise TypeError(f"gene set {name!r} is the text {genes!r}, not a list of genes: write [{genes!r}]")
    return [str(gene) for gene in genes]


def _of_long_format(table: pd.DataFrame) -> dict[str, list[str]]:
    missing = [column for column in LONG if column not in table]
    if missing:
        raise ValueError(
            f"the table of gene sets lacks the columns {missing}; found {list(table.columns)}: rename them"
        )
    # decoupler's weights carry signs: a set of activated and repressed genes has no mean that says anything
    if "weight" in table and (table["weight"] < 0).any():
        signed = table.loc[table["weight"] < 0, "source"].iloc[0]
        raise ValueError(
            f"gene set {signed!r} has negative weights, and a mean over its genes would mix genes that rise with genes that "
            "fall: keep one sign, gene_sets[gene_sets['weight'] > 0]"
        )
    known = table[LONG].dropna().astype(str)
    return {str(name): list(part) for name, part in known.groupby("source", sort=False)["target"]}


def _of_gmt(path: Path) -> dict[str, list[str]]:
    if path.suffix != ".gmt":
        raise ValueError(f"gene_sets={str(path)!r} is no .gmt file: pass one, or a dict of names and genes")
    found: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, *rest = (field.strip() for field in line.split("\t"))
        # the second field of a line is a description or an address
        genes = [gene for gene in rest[1:] if gene]
        if not line.strip():
            continue
        if not genes:
            raise ValueError(
                f"line {number} of {path} holds no genes: it is name, description and genes, with tabs between"
            )
        if name in found:
            raise ValueError(f"line {number} of {path} repeats the set {name!r}: give each set a name of its own")
        found[name] = genes
    return found

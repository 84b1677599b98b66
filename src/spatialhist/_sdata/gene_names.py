"""One name for each gene where several share a symbol, the same for any order of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData

IDS = "gene_ids"


def unique_names(symbols: Sequence[str], ids: Sequence[str]) -> pd.Index:
    """Number genes of one symbol by their ids: the first keeps the symbol, the next become ``SYMBOL-1``, …."""
    from anndata.utils import make_index_unique

    # by id and not by place, so that two files that list genes in another order agree
    order = np.argsort(np.asarray(ids, dtype=str), kind="stable")
    names = np.empty(len(order), dtype=object)
    names[order] = make_index_unique(pd.Index(np.asarray(symbols, dtype=object)[order]))
    return pd.Index(names)


def with_common_names(tables: Sequence[AnnData]) -> list[AnnData]:
    """Tables in which a gene of a shared symbol has one name, told by ``var["gene_ids"]``.

    Other genes are told by their symbol alone, since releases of an annotation change ids.
    """
    known = pd.concat([_genes(t) for t in tables])
    known = known[known["symbol"].isin(set(known.loc[known["numbered"], "symbol"]))]
    ambiguous = (known.groupby("name")["id"].nunique() > 1).any() or (known.groupby("id")["name"].nunique() > 1).any()
    if not ambiguous:
        return list(tables)
    pairs = known[["symbol", "id"]].drop_duplicates()
    names = unique_names(pairs["symbol"], pairs["id"])
    return [_renamed(t, dict(zip(zip(*pairs.to_numpy().T, strict=True), names, strict=True))) for t in tables]


def joined_ids(tables: Sequence[AnnData], names: pd.Index) -> pd.Series | None:
    """Id of each gene in the first table that knows it; None where none does."""
    known = [t.var[IDS].dropna() for t in tables if IDS in t.var]
    if not known:
        return None
    ids = pd.concat([k.astype(object) for k in known])
    return ids[~ids.index.duplicated()].reindex(names)


def _genes(table: AnnData) -> pd.DataFrame:
    """Name, symbol, id, and whether the name is a symbol with a number, of every gene of which the id is known."""
    names = pd.Series(table.var_names.astype(str))
    base = names.str.replace(r"-\d+$", "", regex=True)
    numbered = (base != names) & base.isin(set(names))
    ids = table.var[IDS] if IDS in table.var else pd.Series(None, index=table.var_names, dtype=object)
    frame = pd.DataFrame(
        {"name": names, "symbol": base.where(numbered, names), "numbered": numbered, "id": ids.to_numpy()}
    )
    return frame.dropna(subset="id").astype({"id": str})


def _renamed(table: AnnData, names: dict[tuple[str, str], str]) -> AnnData:
    genes = _genes(table)
    new = table.var_names.to_numpy(dtype=object).copy()
    for at, symbol, key in zip(genes.index, genes["symbol"], genes["id"], strict=True):
        new[at] = names.get((symbol, key), new[at])
    if list(new) == list(table.var_names):
        return table
    table = table.copy()
    table.var_names = pd.Index(new)
    return table

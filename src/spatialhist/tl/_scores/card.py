"""The card of a model: its scores beside those of its baselines, and how reliable each of its genes is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist._sdata.layers import recorded
from spatialhist.tl._data import renamed
from spatialhist.tl._scores.card_file import GENE_NUMBERS, RANGE, VERDICTS
from spatialhist.tl._scores.metrics import HEADLINE, LOWER_BOUND, choose_metrics
from spatialhist.tl._scores.reliability import COLUMNS as GENE_COLUMNS
from spatialhist.tl._scores.reliability import rate_genes
from spatialhist.tl._scores.scorer import COLUMNS, Record, Scorer
from spatialhist.tl._scores.summarize import summarize

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

FRACTION, SCORE, BEYOND, VERDICT = "ceiling_fraction", "score", "beyond_depth", "verdict"


def make_card(
    table: AnnData,
    slides: Sequence[Slide],
    rows: np.ndarray,
    columns: np.ndarray,
    name: str,
    predictions: Callable[[], Iterable[tuple[str, str, np.ndarray]]],
    *,
    run_id: str,
    layer: str,
    groups: Mapping[str, str],
    selection: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate a predictor by its out-of-fold predictions.

    Parameters
    ----------
    table
        Spots and genes.
    slides
        Those of the run.
    rows, columns
        Spots and genes of the run, as positions in the table.
    name
        Predictor whose genes are rated.
    predictions
        Gives name, kind and out-of-fold predictions ``(spots, genes)`` of it, and of what it stands beside, one at a
        time.
    run_id, layer
        The run, and what it predicts.
    groups
        Group per slide.
    selection
        What selected genes, slides and spots.

    Returns
    -------
    dict[str, Any]
        What JSON can hold; without scores where no spot is deep enough to be scored.
    """
    made = recorded(table, layer)
    about: dict[str, Any] = {
        "predictor": name,
        "run_id": run_id,
        "metric": HEADLINE,
        "target": layer,
        BEYOND: LOWER_BOUND,
    }
    about |= {"selection": dict(selection)} if selection else {}
    try:
        # genes are rated on what was measured: smoothed values are easier to predict
        scorer = Scorer.of(
            table,
            slides,
            made["layer"] if made.get("smoothed") else layer,
            chosen=choose_metrics(HEADLINE),
            predicted=columns,
        )
    # a run without scores still predicts
    except ValueError as error:
        logger.warning("nothing is known of how far to trust the genes of %s: %s", name, error)
        return about | {"scores": [], "genes": {}}

    def of_table(values: np.ndarray) -> np.ndarray:
        every = np.full((table.n_obs, len(columns)), np.nan, dtype=np.float32)
        every[rows] = values
        return every

    scorer = scorer.on_what_all_predict(lambda: ((n, of_table(values)) for n, _, values in predictions()))
    records: list[Record] = []
    for predictor, kind, values in predictions():
        records += scorer.score(of_table(values), predictor, kind, groups)
    # all predictors are scored on the same spots and genes by now: the last stands for them
    scores = pd.DataFrame(records + scorer.ceilings(of_table(values), groups), columns=COLUMNS)
    return about | {"scores": _summary(scores), "genes": _genes(scores, name, scorer.measured_range(of_table(values)))}


def _summary(scores: pd.DataFrame) -> list[dict[str, Any]]:
    table = summarize(scores).rename_axis("predictor").reset_index()
    # by pandas, since JSON has no NaN and pandas writes a gap in its place
    return json.loads(table.to_json(orient="records", double_precision=6))


def _genes(scores: pd.DataFrame, name: str, measured: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, Any]]:
    genes = rate_genes(scores, name)
    ends = [measured.get(gene, (np.nan, np.nan)) for gene in genes.index]
    # column by column: there may be no gene, where a network predicted nothing
    for i, column in enumerate(RANGE):
        genes[column] = [end[i] for end in ends]
    return json.loads(genes.to_json(orient="index", double_precision=6))


def gene_table(card: dict[str, Any]) -> pd.DataFrame:
    """Genes of a card, as :func:`rate_genes` made them; JSON keeps neither order nor types."""
    table = pd.DataFrame.from_dict(card.get("genes", {}), orient="index").reindex(columns=[*GENE_COLUMNS, *RANGE])
    table = table.astype(dict.fromkeys(GENE_NUMBERS, float) | {"verdict": pd.CategoricalDtype(VERDICTS)})
    return table.sort_values("score", ascending=False, kind="stable").rename_axis("gene")


def add_reliability(table: AnnData, layer: str, card: dict[str, Any]) -> None:
    """Put what is known of every gene beside a layer of predictions, into ``var``.

    Both scores, fraction of the ceiling, verdict, and the range of the training measurements.
    """
    genes = gene_table(card)
    columns = {SCORE: "score", BEYOND: "beyond_depth", FRACTION: "fraction", VERDICT: "verdict"}
    for column, source in (columns | dict(zip(RANGE, RANGE, strict=True))).items():
        name = f"{layer}_{column}"
        if len(genes):
            table.var[name] = genes[source].reindex(table.var_names)
        elif name in table.var:
            del table.var[name]


def count_verdicts(table: AnnData, layer: str) -> dict[str, int]:
    """Genes by verdict of a layer of predictions; empty where none is known."""
    name = f"{layer}_{VERDICT}"
    if name not in table.var:
        return {}
    counts = table.var[name].map(lambda word: renamed.VERDICTS.get(word, word)).value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS}

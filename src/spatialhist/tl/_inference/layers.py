"""Predictions and their record, into the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import add_dense_rows, record, recorded
from spatialhist._sdata.values import as_numbers
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._runs.trained import Trained
from spatialhist.tl._scores.card import add_reliability

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

COMPOSITION = "composition"
"""Entry of the record of a layer: its predictions were clipped at 0 and sum to 1."""


def write_predictions(
    table: AnnData,
    key_added: str,
    rows: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
    trained: Trained,
    training: dict[str, str | None],
    *,
    composition: bool,
) -> None:
    """Put predictions of slides into a layer, each into its rows, and say how they were made."""
    columns = table.var_names.get_indexer(trained.genes)
    before, made = recorded(table, key_added), provenance(trained, training, composition=composition)
    same = all(before.get(k) == made.get(k) for k in ("step", "run_id", "predictor", COMPOSITION))
    # other predictions in the same layer: what is left of them would be taken for these
    if not same:
        table.layers.pop(key_added, None)
        drop_intervals(table, key_added)
    for slide, predicted in values.items():
        add_dense_rows(table, key_added, rows[slide], columns, predicted)
    record(table, key_added, _with_slides_before(made, before) if same else made)
    add_reliability(table, key_added, trained.card())


def drop_intervals(table: AnnData, key: str) -> None:
    """Forget the intervals of predictions that are made anew; :func:`calibrate` gives those of the new ones."""
    for name in (f"{key}_lower", f"{key}_upper"):
        if name in table.layers:
            del table.layers[name]
            table.uns[_keys.ROOT].pop(name, None)


def write_scores(table: AnnData, rows: dict[str, np.ndarray], ood: dict[str, np.ndarray], trained: Trained) -> None:
    """Put the scores of slides into ``obs``; those of another run are forgotten."""
    key, run = _keys.OUT_OF_DISTRIBUTION, str(trained.run_folder)
    before = recorded(table, key)
    if before.get("run") != run or key not in table.obs:
        table.obs[key] = np.full(table.n_obs, np.nan, dtype=np.float32)
        before = {}
    column = as_numbers(table.obs[key]).astype(np.float32)
    for slide, score in ood.items():
        column[rows[slide]] = score
    table.obs[key] = column
    slides = [*(str(s) for s in before.get("predicted_slides", []) if s not in ood), *ood]
    record(table, key, {"step": "predict", "run": run, "predicted_slides": slides})


def provenance(trained: Trained, training: Mapping[str, str | None], *, composition: bool) -> dict[str, Any]:
    """What a layer of predictions was made by, what that was fitted on, and what the predicted slides are to it.

    Parameters
    ----------
    trained
        What predicts.
    training
        Predicted slides, with the name under which the run was trained on them, None for new ones.
    composition
        Whether predictions were made parts of a whole.
    """
    manifest = trained.manifest
    return {
        "step": "predict",
        "predictor": trained.name,
        "kind": "model",
        "target": manifest.layer,
        "ranking": manifest.ranking,
        "units": manifest.units,
        "run": str(trained.run_folder),
        "run_id": trained.run_id,
        "predicted_slides": list(training),
        "predicted_as": [trained.predicts_as(slide, name) for slide, name in training.items()],
        "fitted_on_own_labels": [slide for slide, name in training.items() if trained.repeats_labels(name)],
        "fitted_on": list(manifest.slides),
        "image": manifest.design.image,
        **({COMPOSITION: True} if composition else {}),
    }


def _with_slides_before(made: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Keep what is recorded of slides that the same model predicted in an earlier call."""
    known = dict(zip(before["predicted_slides"], before["predicted_as"], strict=True))
    known = {s: w for s, w in known.items() if s not in made["predicted_slides"]}
    known |= dict(zip(made["predicted_slides"], made["predicted_as"], strict=True))
    seen = {*before["fitted_on_own_labels"], *made["fitted_on_own_labels"]}
    return made | {
        "predicted_slides": list(known),
        "predicted_as": list(known.values()),
        "fitted_on_own_labels": sorted(seen),
    }


def is_composed(table: AnnData, layer: str) -> bool:
    """Whether the predictions of a layer were made parts of a whole."""
    return bool(recorded(table, layer).get(COMPOSITION))


def check_predicted_by(table: AnnData, layer: str, trained: Trained) -> None:
    """Refuse a layer that something else predicted.

    Raises
    ------
    ValueError
        With what did.
    """
    made = recorded(table, layer)
    if (made.get("predictor"), made.get("run_id")) != (trained.name, trained.run_id):
        raise ValueError(
            f"layer {layer!r} was predicted by {made.get('predictor')!r} of run {made.get('run_id')}, not by "
            f"{trained.name!r} of run {trained.run_id} in {trained.run_folder}: pass what predicted it"
        )


def groups_of_slides(
    table: AnnData, slides: Sequence[str], layer: str, trained: Trained, slide: Callable[[str], Slide]
) -> dict[str, str | None]:
    """Group of every slide that was predicted, None for one that no fold has seen.

    Parameters
    ----------
    table
        Holds the layer.
    slides
        Its slides.
    layer
        Layer of predictions.
    trained
        What predicted it.
    slide
        Gives out a slide by name.
    """
    made, groups = recorded(table, layer), trained.manifest.group_of
    if "predicted_slides" not in made:
        return {s: groups[s] for s in slides if s in groups}
    names = [s for s in slides if s in list(made["predicted_slides"])]
    relatives = Relatives.of(trained)
    # a grid has no image of its own
    known = {s: relatives.training_slide(slide(made.get("slide", s))) for s in names}
    return {s: groups[name] if name else None for s, name in known.items()}

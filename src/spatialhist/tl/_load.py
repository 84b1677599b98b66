"""Load what was trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spatialhist.tl._predictors.protocol import Combiner, Predictor
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.manifest import MODEL, parsed
from spatialhist.tl._runs.model import Model
from spatialhist.tl._runs.stack import Stack, latest_method
from spatialhist.tl._runs.trained import Trained

Source = Trained | str | Path
"""What verbs take: something that was trained, or its folder."""


def load(
    folder: str | Path,
    *,
    models: Sequence[Predictor] = (),
    combiners: Sequence[Combiner] = (),
    encoder: Any = None,
) -> CrossValidation | Stack | Model:
    """Load what a run or model folder holds.

    Parameters
    ----------
    folder
        The ``out`` of :func:`cross_validate` or :func:`fit`.
    models
        Predictors of your own that the run holds.
    combiners
        Combiners of your own that it was stacked by.
    encoder
        The encoder itself, if it was trained on one of your own; the name of one whose weights are downloaded (``"timm:..."``),
        which confirms that you trust it.

    Returns
    -------
    CrossValidation | Stack | Model
        The stack of a cross-validation (the one that was made last), the cross-validation where nothing was stacked, or the
        model.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds none, is broken, or was written by a newer version.
    TypeError
        If it is no path.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sh.tl.load("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: nowhere is no run or model folder: it has no manifest.json
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder={folder!r} must be the path of a run or model folder")
    if parsed(Path(folder)).get("what") == MODEL:
        return Model.load(folder, models=models, encoder=encoder)
    cv = CrossValidation.load(folder, models=models, encoder=encoder)
    method = latest_method(cv)
    return cv if method is None else Stack.load(cv, method, combiners=combiners)


def as_trained(source: Source, *, allow_training: bool = False) -> Trained:
    """Accept what was trained, or its folder, for one call.

    Parameters
    ----------
    source
        A handle or a folder.
    allow_training
        Let a model fitted on everything predict slides it was fitted on.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If the folder, or the card in it, is broken.
    """
    trained = load(source) if isinstance(source, str | Path) else source
    if not isinstance(trained, Trained):
        raise TypeError(f"{type(trained).__name__} is no cross-validation, stack, model or run folder")
    opened = trained.opened(allow_training=allow_training)
    # a prediction ends by putting the card beside it, so a broken one is found now, not after an hour
    opened.card()
    return opened

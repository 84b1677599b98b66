"""How well a slide is told from the others by its colors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_images
from spatialhist.tl._data.design import Design, default_extents
from spatialhist.tl._data.features import View, slide_tissue

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

PIXELS = 64
QUANTILES = (0.05, 0.5, 0.95)
"""Of the optical density of a channel."""
MAX_FOLDS = 5
MIN_SLIDES = 2
"""Of a class: one to train on, one to be told."""


@dataclass(frozen=True)
class SlideProbe:
    """How well tiles are assigned to where they come from, by color alone.

    Attributes
    ----------
    accuracy
        Share of the held-out tiles that were assigned correctly, averaged over the classes.
    chance
        What guessing reaches.
    confusion
        Tiles by true (rows) and assigned class (columns).
    """

    accuracy: float
    chance: float
    confusion: pd.DataFrame


def slide_probe(
    sdata: SpatialData,
    *,
    image: str = "full",
    by: str = "slide",
    slides: str | Sequence[str] | None = None,
    extent: tuple[str, float] | None = None,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> SlideProbe:
    """Measure how well slides, or patients, are told apart by color: what stain normalization should lower.

    Parameters
    ----------
    sdata
        The cohort, with a tissue mask a slide.
    image
        ``"full"``, ``"normalized"``, ``"masked"`` or a key with ``{slide}`` in it.
    by
        ``"slide"``: classes are slides, and tiles of one quarter of each slide are held out together. ``"patient"``:
        classes are patients, and whole slides are held out; patients with one slide are left out.
    slides
        None for all.
    extent
        Side of a tile; 150 um by default, or 1.5 spot spacings where the scale is not known.
    seed
        Draws the folds of patients.
    table_key
        Name of the table.

    Returns
    -------
    SlideProbe
        Nothing is added to the object.

    Raises
    ------
    KeyError
        If a slide, an image or a tissue mask is missing.
    ValueError
        If ``by`` is unknown or leaves fewer than two classes.

    Notes
    -----
    Tiles lie on a grid over the tissue, up to 256 a slide. Mean, deviation and three quantiles of the optical density of
    each channel go into a logistic regression. Slides of different tissue differ in color for good reasons too, so
    chance is not the aim: compare the value before and after.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=2, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.tl.slide_probe(sdata).chance
    0.5
    """
    check_choice("by", by, ("slide", _keys.PATIENT))
    cohort = open_images(sdata, slides, table_key=table_key)
    every = cohort.every_slide()
    classes = {s.name: s.name if by == "slide" else s.patient for s in every}
    used = [s for s in cohort.slides if by == "slide" or _has_company(classes, s)]
    if len({classes[s] for s in used}) < 2:
        raise ValueError(
            f"by={by!r} leaves the classes {sorted({str(classes[s]) for s in used})}: two are needed, and "
            f"{MIN_SLIDES} slides of each patient"
        )
    design = Design(
        encoder=color_features,
        extents=(extent or default_extents([s.scale for s in every])[1],),
        pixels=PIXELS,
        image=image,
        context=(),
    )
    parts = [_tiles(cohort.slide(s), design) for s in used]
    truth = np.repeat([classes[s] for s in used], [len(p[0]) for p in parts])
    features = np.concatenate([p[0] for p in parts])
    if by == "slide":
        held_out = np.concatenate([p[1] for p in parts])
    else:
        held_out = _folds_of_slides(truth, np.repeat(used, [len(p[0]) for p in parts]), seed)
    found = _score(truth, _held_out_classes(features, truth, held_out))
    logger.info("slide_probe: %s told by color in %.2f of %s, chance %.2f", by, found.accuracy, image, found.chance)
    return found


def _has_company(classes: dict[str, str | None], slide: str) -> bool:
    return classes[slide] is not None and list(classes.values()).count(classes[slide]) >= MIN_SLIDES


def color_features(tiles: torch.Tensor) -> torch.Tensor:
    """Mean, deviation and quantiles of the optical density of each channel of ``uint8`` tiles ``(B, 3, H, W)``."""
    # + 1, so that black has a finite density and white one of 0
    density = -torch.log10((tiles.float() + 1) / 256).flatten(2)
    quantiles = torch.quantile(density, torch.tensor(QUANTILES), dim=2)
    return torch.cat([density.mean(dim=2), density.std(dim=2), *quantiles], dim=1)


def _tiles(slide: Slide, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(n, F)`` of tiles over the tissue, and the quarter of the tissue that each lies in, 0 to 3."""
    points = slide_tissue(slide)
    # parts of the tissue, not tiles at random: neighboring tiles show nearly the same pixels
    quarter = (points > np.median(points, axis=0)) @ [1, 2]
    return View.of(slide, design).encode(points, color_features)[0], quarter


def _folds_of_slides(truth: np.ndarray, slide: np.ndarray, seed: int) -> np.ndarray:
    """Fold of every tile; the slides of each class are spread over the folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    fewest = min(len(np.unique(slide[truth == c])) for c in np.unique(truth))
    split = StratifiedGroupKFold(min(MAX_FOLDS, fewest), shuffle=True, random_state=seed)
    fold = np.empty(len(truth), dtype=int)
    for i, (_, test) in enumerate(split.split(truth, truth, slide)):
        fold[test] = i
    return fold


def _held_out_classes(features: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Class of every tile, by a classifier that did not see its fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return cross_val_predict(classifier, features, truth, cv=PredefinedSplit(fold))


def _score(truth: np.ndarray, assigned: np.ndarray) -> SlideProbe:
    from sklearn.metrics import balanced_accuracy_score

    names = list(dict.fromkeys(truth))
    confusion = pd.crosstab(pd.Series(truth, name="true"), pd.Series(assigned, name="assigned"))
    confusion = confusion.reindex(index=names, columns=names, fill_value=0)
    # classes have different numbers of tiles: plain accuracy would reward naming the largest one
    return SlideProbe(float(balanced_accuracy_score(truth, assigned)), 1 / len(names), confusion)

"""Small trained models that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist._runtime.checks import check_choice

if TYPE_CHECKING:
    from spatialhist.tl import Model

MODELS = Path(__file__).parent / "_models"
NAMES = ("her2st",)


def pretrained(name: str = "her2st") -> Model:
    """Load a trained model that ships with the package, to predict a slide within minutes.

    Parameters
    ----------
    name
        ``"her2st"``: 250 genes of HER2-positive breast cancer :cite:p:`andersson2021`, a ridge on color and texture, trained
        on seven sections of three patients.

    Returns
    -------
    Model
        To be used with :func:`spatialhist.tl.predict` and :func:`spatialhist.tl.predict_grid`, or by its name in
        ``spatialhist predict her2st slide.svs``. ``MODEL_CARD.md`` in its folder gives scores on held-out patients and
        sections, license (CC BY 4.0) and citation. No gene of ``"her2st"`` is reliable on a new patient: it is there to try
        the workflow, not to learn about genes, and not for decisions about patients.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> import spatialhist as sh
    >>> model = sh.datasets.pretrained("her2st")
    >>> "ERBB2" in model.genes
    True
    >>> sh.tl.gene_reliability(model).loc["ERBB2", "verdict"]
    'weak'
    """
    from spatialhist.tl import Model

    check_choice("name", name, NAMES)
    return Model.load(MODELS / name)

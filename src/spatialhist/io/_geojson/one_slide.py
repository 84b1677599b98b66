"""The one slide that a file lies on."""

from __future__ import annotations

from collections.abc import Sequence


def one_slide(slides: Sequence[str]) -> str:
    """Id of the only slide.

    Raises
    ------
    ValueError
        If there are several; the message lists them.
    """
    if len(slides) != 1:
        raise ValueError(f"a GeoJSON file lies on one slide, and there are {list(slides)}: choose with slide=")
    return slides[0]

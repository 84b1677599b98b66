"""What numbers and names of a manifest may be: looked at before memory is asked for, or a name becomes part of a path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spatialhist._runtime.checks import check_range

if TYPE_CHECKING:
    from spatialhist.tl._data.design import Design

MAX_THREADS = 1024
MAX_SIDE = 4096
"""Pixels along a tile."""
MAX_GRID = 64
MAX_BLOCKS = 64
"""Fields of view, or radii of the context."""
LENGTHS = {"um": (0.1, 1e5), "pitch": (0.01, 1e3), "px": (0.5, 1e5)}
"""From below a pixel to beyond a slide."""
MAX_SEED = 2**63 - 1
MAX_PARAMETER = 10_000_000
"""Of a predictor: components, landmarks, epochs, ..."""
MAX_SPOTS = 10**9
MAX_NAME = 1000
"""Characters."""


def check_recipe(layer: Any, seed: Any, threads: Any, design: Design, predictors: Sequence[dict[str, Any]]) -> None:
    """Refuse parameters of a run that none has.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it may be.
    """
    _check_name("layer", layer)
    _check_whole("threads", threads, 1, MAX_THREADS)
    _check_whole("seed", seed, 0, MAX_SEED)
    _check_design(design)
    for described in predictors:
        _check_parameters(described)
        # the context averages at most two of the fields of view, once for each radius
        _check_blocks(described, len(design.extents) + 2 * len(design.radii))


def check_panel(group: str, panel: Sequence[int], n_genes: int) -> None:
    """Refuse columns of a panel that do not lie among the genes of its run, once each.

    Raises
    ------
    TypeError, ValueError
        Naming the group.
    """
    for column in panel:
        _check_whole(f"a column of panel {group!r:.80}", column, 0, n_genes - 1)
    if len(set(panel)) < len(panel):
        raise ValueError(f"panel {group!r:.80} holds a column twice")


def check_names(what: str, names: Sequence[Any]) -> None:
    """Refuse anything but different names.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what!r} holds something else than names")
    if len(set(names)) < len(names):
        raise ValueError(f"{what!r} holds a name twice")


def check_slide(name: str, pixels: Any, group: Any, spots: Any, stain: Any, sizes: Mapping[str, Any]) -> None:
    """Refuse facts of a training slide that no slide has.

    Raises
    ------
    TypeError, ValueError
        Naming the slide.
    """
    if not isinstance(pixels, str) or not isinstance(group, str | None) or not isinstance(stain, dict | None):
        raise TypeError(f"slide {name!r:.80} has pixels, a group or a stain of another type")
    if spots is not None:
        _check_whole(f"spots of slide {name!r:.80}", spots, 0, MAX_SPOTS)
    for what, value in sizes.items():
        if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise ValueError(f"{what}={value!r:.80} of slide {name!r:.80} is no positive number")


def _check_name(what: str, value: Any) -> None:
    # names become folders, so that none may lead out of the run
    plain = isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()
    if not plain or value in (".", "..") or "/" in value or "\\" in value:
        raise ValueError(f"{what}={value!r:.80} is no name of one")


def _check_whole(what: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what}={value!r:.80} is no whole number")
    check_range(what, value, low, high)


def _check_design(design: Design) -> None:
    for what in ("pixels", "tile_pixels"):
        _check_whole(what, getattr(design, what), 1, MAX_SIDE)
    _check_whole("grid", design.grid, 1, MAX_GRID)
    for what, lengths in (
        ("extents", design.extents),
        ("context", design.radii),
        ("tile_extent", [design.tile_extent]),
    ):
        if len(lengths) > MAX_BLOCKS:
            raise ValueError(f"{what} holds {len(lengths)} lengths, more than {MAX_BLOCKS}")
        for unit, value in lengths:
            if unit not in LENGTHS:
                raise ValueError(f"{what} is in {unit!r:.80}, which is none of {list(LENGTHS)}")
            check_range(f"{what} in {unit!r}", value, *LENGTHS[unit])
    for what in ("image", "encoder"):
        value = getattr(design, what)
        if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
            raise TypeError(f"{what}={value!r:.80} is no name")


def _check_parameters(described: dict[str, Any]) -> None:
    """Look at every number of a predictor, however deep."""
    # a stack, not calls: a file may be nested deeper than Python can call
    values: list[Any] = [described]
    while values:
        value = values.pop()
        values += [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        if isinstance(value, dict):
            _check_whole("grid", value.get("grid", 1), 1, MAX_GRID)
        if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MAX_PARAMETER):
            raise ValueError(f"model {described.get('name')!r:.80} has a parameter of {value!r:.80}")
    _check_printable(described)


def _check_blocks(described: dict[str, Any], n: int) -> None:
    """Refuse positions of feature blocks that no design has."""
    for key, value in described.items():
        if isinstance(value, dict):
            _check_blocks(value, n)
        for block in value if key in ("blocks", "extents") and isinstance(value, list) else ():
            _check_whole("a block of features", block, 0, n - 1)


def _check_printable(described: dict[str, Any]) -> None:
    for key in ("class", "name"):
        value = described.get(key, key)
        if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
            raise ValueError(f"{key}={value!r:.80} of a model is no name")

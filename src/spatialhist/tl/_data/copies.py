"""Slides of different groups that are one section, although neither their pixels nor their counts are equal."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.layers import get_layer
from spatialhist.tl._data.edges import continuity, edges_of
from spatialhist.tl._data.groups import duplicate_message
from spatialhist.tl._data.profiles import Profiles, choose_genes, matched, profile
from spatialhist.tl._data.signature import Signature, compare

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

MIN_SPOTS, MIN_SHARE = 10, 0.2
"""Matched spots, and their share, from which the counts of two slides are of one section."""
MIN_CONTINUITY = 0.6
"""Correlation from which an edge of a picture goes on in another one."""


def refuse_copies(
    table: AnnData, slides: Sequence[Slide], assigned: Mapping[str, str], signatures: Mapping[str, Signature]
) -> None:
    """Refuse a cohort that holds one section in two groups, cropped, turned, re-encoded, recolored or thinned.

    Parameters
    ----------
    table
        Holds counts.
    slides
        The slides.
    assigned
        Group per slide.
    signatures
        Those of their pictures.

    Raises
    ------
    ValueError
        If the pictures, or the counts, of two slides of different groups are of one section.

    Warns
    -----
    UserWarning
        If the picture of a slide goes on in that of another group.
    """
    apart = [(a, b) for a, b in itertools.combinations(slides, 2) if assigned[a.name] != assigned[b.name]]
    groups = dict(assigned)
    for a, b in apart:
        if (found := compare(signatures[a.name], signatures[b.name])).certain:
            raise ValueError(duplicate_message(a.name, b.name, groups, f"are pictures of one section: {found}"))
    profiles = count_profiles(table, slides)
    for a, b in apart:
        n, of = matched(profiles[a.name], profiles[b.name])
        if n >= MIN_SPOTS and n >= MIN_SHARE * of:
            why = f"have the counts of one section, up to their depth: {n} of {of} spots match in counts and place"
            raise ValueError(duplicate_message(a.name, b.name, groups, why))
    _warn_of_parts(slides, apart)


def count_profiles(table: AnnData, slides: Sequence[Slide]) -> dict[str, Profiles]:
    """Profiles of the counts of each slide; empty ones where there are none."""
    counts = None if table.X is None else get_layer(table, None)
    if counts is None or counts.min() < 0:
        return dict.fromkeys((s.name for s in slides), Profiles(np.empty(0, complex), np.empty((0, 1), np.float32)))
    genes = choose_genes(counts)
    return {s.name: profile(counts[s.rows], s.xy, genes, s.scale.pitch_px or 1.0) for s in slides}


def _warn_of_parts(slides: Sequence[Slide], apart: Sequence[tuple[Slide, Slide]]) -> None:
    edges = {s.name: edges_of(s.image().pyramid) for s in slides}
    if parts := list(_going_on(edges, apart)):
        warnings.warn(
            f"pictures of slides of different groups go on in each other (correlation of their edges): {', '.join(parts)}; "
            "if they are parts of one section, scores look better than they are: put them into one group with groups=",
            UserWarning,
            stacklevel=5,
        )


def _going_on(edges: Mapping[str, list], apart: Sequence[tuple[Slide, Slide]]) -> Iterator[str]:
    for a, b in apart:
        if (r := continuity(edges[a.name], edges[b.name])) > MIN_CONTINUITY:
            yield f"{a.name!r} and {b.name!r} ({r:.2f})"

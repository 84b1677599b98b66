"""Slides of different groups that are one section, although neither their pixels nor their counts are equal."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.layers import get_layer
from spatialhist.tl._data.candidates import may_share_counts, may_share_pictures
from spatialhist.tl._data.edges import continuities, edges_of
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
    names, groups = [s.name for s in slides], dict(assigned)
    signed = [signatures[name] for name in names]
    held_out = [assigned[name] for name in names]
    for a, b in sorted(may_share_pictures(signed, held_out)):
        if (found := compare(signed[a], signed[b])).certain:
            raise ValueError(duplicate_message(names[a], names[b], groups, f"are pictures of one section: {found}"))
    profiles = list(count_profiles(table, slides).values())
    for a, b in sorted(may_share_counts(profiles, held_out)):
        n, of = matched(profiles[a], profiles[b])
        if n >= MIN_SPOTS and n >= MIN_SHARE * of:
            why = f"have the counts of one section, up to their depth: {n} of {of} spots match in counts and place"
            raise ValueError(duplicate_message(names[a], names[b], groups, why))
    _warn_of_parts(slides, assigned)


def count_profiles(table: AnnData, slides: Sequence[Slide]) -> dict[str, Profiles]:
    """Profiles of the counts of each slide; empty ones where there are none."""
    counts = None if table.X is None else get_layer(table, None)
    if counts is None or counts.min() < 0:
        return dict.fromkeys((s.name for s in slides), Profiles.empty())
    genes = choose_genes(counts)
    return {s.name: profile(counts[s.rows], s.xy, genes, s.scale.pitch_px or 1.0) for s in slides}


def _warn_of_parts(slides: Sequence[Slide], assigned: Mapping[str, str]) -> None:
    r = continuities([edges_of(s.image().pyramid) for s in slides])
    found = [(slides[a].name, slides[b].name, r[a, b]) for a, b in np.argwhere(np.triu(r > MIN_CONTINUITY, k=1))]
    if parts := [f"{a!r} and {b!r} ({how:.2f})" for a, b, how in found if assigned[a] != assigned[b]]:
        warnings.warn(
            f"pictures of slides of different groups go on in each other (correlation of their edges): {', '.join(parts)}; "
            "if they are parts of one section, scores look better than they are: put them into one group with groups=",
            stacklevel=5,
        )

"""Which slides are held out together, and whether holding them out means anything."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist._sdata.pixel_hash import hash_window
from spatialhist._sdata.spelling import names_in, one_spelling, warn_of_spellings
from spatialhist._sdata.values import as_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

    from spatialhist._sdata.images import Pyramid
    from spatialhist._sdata.slide import Slide

MIN_PATIENTS = 3
"""With fewer, slides are held out one by one."""
MIN_COUNTS_COMPARED = 10
"""Near-empty spots are alike by chance."""
SIMILAR_SHARE = 0.5
"""Of the count vectors of the smaller slide."""


def assign_groups(table: AnnData, slides: Sequence[Slide], groups: str = "auto") -> dict[str, str]:
    """Group of every slide.

    Parameters
    ----------
    table
        With the column.
    slides
        The slides.
    groups
        ``"patient"``, ``"slide"``, a column of ``obs`` that is constant within slides, or ``"auto"``: patients where
        three or more are known, else slides, with a warning where a patient may have several.

    Raises
    ------
    KeyError
        If the column does not exist.
    ValueError
        If there are fewer than two slides, the column is missing or varies within a slide, or it makes fewer than two groups.
    """
    if len(slides) < 2:
        raise ValueError(
            f"cross-validation needs two slides or more, found {[s.name for s in slides]}: with none to hold out, how well a "
            "model predicts other slides cannot be known; sh.tl.fit(sdata) fits one that predicts them, without scores"
        )
    asked, groups = groups, _automatic(slides) if groups == "auto" else groups
    if groups == "slide":
        assigned = {s.name: s.name for s in slides}
    else:
        assigned = {s.name: _constant(table, s, groups) for s in slides}
    names = sorted(set(assigned.values()))
    if len(names) < 2:
        raise ValueError(
            f"groups={groups!r} puts all {len(slides)} slides into one group {names}, so how well a model predicts another "
            "one cannot be known: groups='slide' holds out slides one by one, and sh.tl.fit(sdata) fits a model without scores"
        )
    warn_of_spellings(table, [_keys.PATIENT] if groups == "slide" else [_keys.PATIENT, groups], slides[0].table_key)
    if asked != "auto" and (shared := shared_patients(slides, assigned)):
        warnings.warn(_flattering(slides, asked, list(shared)), stacklevel=3)
    return assigned


def shared_patients(slides: Sequence[Slide], assigned: dict[str, str]) -> dict[str, list[str]]:
    """Patients whose sections lie in several groups, with these groups."""
    groups: dict[str, list[str]] = {}
    for slide in slides:
        if slide.patient is not None:
            groups.setdefault(slide.patient, []).append(assigned[slide.name])
    return {patient: sorted(set(held)) for patient, held in groups.items() if len(set(held)) > 1}


def _flattering(slides: Sequence[Slide], groups: str, shared: list[str]) -> str:
    several = len({s.patient for s in slides}) > 1
    return (
        f"groups={groups!r} puts sections of patients {shared} into several groups, so models are trained on other sections "
        "of the patients they are evaluated on, and scores for new patients will be lower"
        + (": groups='patient' holds out patients" if several else "")
    )


def _automatic(slides: Sequence[Slide]) -> str:
    patients = [s.patient for s in slides]
    known = set(patients) - {None}
    if None not in patients and len(known) >= MIN_PATIENTS:
        return _keys.PATIENT
    if None not in patients and len(known) == len(slides):
        return "slide"  # each is of another patient: the same groups by other names
    warnings.warn(f"slides are held out one by one: {_why_slides(slides, len(known))}", stacklevel=4)
    return "slide"


def _why_slides(slides: Sequence[Slide], n_patients: int) -> str:
    flattery = "sections of one patient in training make scores look better than they are"
    if unknown := [s.name for s in slides if s.patient is None]:
        return f"the patient of slides {unknown} is not known; {flattery}: set obs['patient'] or pass groups="
    if n_patients == 1:
        return "all are of one patient, so how well other patients are predicted cannot be known"
    return f"they are of {n_patients} patients only; {flattery}: groups='patient' holds out patients"


def _constant(table: AnnData, slide: Slide, column: str) -> str:
    if column not in table.obs:
        raise KeyError(f"groups={column!r} is no column of obs; found {list(table.obs.columns)}")
    called = one_spelling(names_in(table, column))
    names = list(dict.fromkeys(called.get(n) for n in as_words(table.obs[column].iloc[slide.rows]).unique()))
    if len(names) != 1 or names[0] is None:
        raise ValueError(
            f"obs[{column!r}] must name one group for slide {slide.name!r}, it holds {list(names)[:5]}: slides are held out "
            "whole. Fill it in, or cut the slide, making one of each part of its image with "
            "sh.io.from_arrays(image, xy, counts, slide=...), and join them with sh.io.concat(parts)"
        )
    return str(names[0])


def refuse_duplicates(table: AnnData, slides: Sequence[Slide], assigned: dict[str, str]) -> None:
    """Refuse a cohort that holds the same section in two groups.

    Raises
    ------
    ValueError
        If two slides of different groups have equal pixels, or share more than half of their count vectors.
    """
    hashes = {s.name: s.pixel_hash for s in slides}
    counts = None if table.X is None else get_layer(table, None)
    vectors = {s.name: set() if counts is None else _count_vectors(counts[s.rows]) for s in slides}
    common = _in_common([vectors[name] for name in assigned])
    for (i, a), (j, b) in itertools.combinations(enumerate(assigned), 2):
        if assigned[a] == assigned[b]:
            continue
        if hashes[a] and hashes[a] == hashes[b]:
            raise ValueError(duplicate_message(a, b, assigned, "have the same pixels"))
        smaller, shared = min(len(vectors[a]), len(vectors[b])), int(common[i, j])
        if smaller and shared > SIMILAR_SHARE * smaller:
            raise ValueError(duplicate_message(a, b, assigned, f"share the counts of {shared} of {smaller} spots"))


def refuse_shared_stain(table: AnnData, slides: Sequence[Slide], image: str) -> None:
    """Refuse images that were recolored by a reference which was fitted on a slide to be scored.

    Slides are known by name and by their pixels, recolored images by key and by a window of their tissue.

    Raises
    ------
    ValueError
        With the slides it was fitted on.

    Warns
    -----
    UserWarning
        If an image is a copy of such a one under another key.
    """
    entries = recorded(table, "stain").get("slides", {})
    scored = {s.name: s.name for s in slides} | {s.pixel_hash: s.name for s in slides if s.pixel_hash}
    for slide in slides:
        entry, used = entries.get(_keys.sanitize(slide.name), {}), slide.image(image).pyramid
        for key in _recolored(entry, used):
            fitted_on = [*entry.get("images", {}).get(key, []), *entry.get("pixel_hashes", {}).get(key, [])]
            if not (seen := sorted({scored[one] for one in fitted_on if one in scored})):
                continue
            said = (
                f"image={image!r} of slide {slide.name!r} was recolored by a stain reference fitted on slides {seen}, which "
                f"are scored: use the shipped one, sh.pp.normalize_stain(sdata, reference='canonical'), or one fitted "
                f"on slides that are not scored"
            )
            if key == used.key:
                raise ValueError(said)
            warnings.warn(f"{said}. It is known by its pixels, which are those of {key!r}", stacklevel=4)


def _recolored(entry: Mapping[str, Any], used: Pyramid) -> list[str]:
    """Keys of recolored images of a slide that the used one is, or is a copy of."""
    windows = {key: w for key, w in entry.get("windows", {}).items() if w and key != used.key}
    pixels = used.levels[0]
    return [used.key, *(k for k, w in windows.items() if hash_window(pixels, int(w["x"]), int(w["y"])) == w["hash"])]


def duplicate_message(a: str, b: str, assigned: dict[str, str], why: str) -> str:
    """Say why two slides are one section, and what to do."""
    return (
        f"slides {a!r} (group {assigned[a]!r}) and {b!r} (group {assigned[b]!r}) {why}: one of them would be trained "
        f"on and scored; drop one with slides=, or put both into one group"
    )


def _in_common(vectors: Sequence[set[bytes]]) -> np.ndarray:
    """How many vectors two slides share, ``(n, n)``."""
    from scipy.sparse import csr_matrix

    ids: dict[bytes, int] = {}
    columns = [ids.setdefault(vector, len(ids)) for own in vectors for vector in own]
    ends = np.cumsum([0, *map(len, vectors)])
    # one product of sparse matrices in place of an intersection per pair of slides
    held = csr_matrix((np.ones(len(columns), dtype=np.int32), columns, ends), shape=(len(vectors), len(ids)))
    return (held @ held.T).toarray()


def _count_vectors(counts: Any) -> set[bytes]:
    """Hashes of count vectors; near-empty spots say nothing and are left out."""
    from scipy.sparse import csr_matrix

    counts = csr_matrix(counts)
    # explicit zeros and unsorted entries would give equal counts different hashes
    counts.eliminate_zeros()
    counts.sort_indices()
    deep = np.flatnonzero(np.asarray(counts.sum(axis=1)).ravel() >= MIN_COUNTS_COMPARED)
    ends = counts.indptr
    return {
        hashlib.blake2b(
            counts.indices[ends[i] : ends[i + 1]].tobytes() + counts.data[ends[i] : ends[i + 1]].tobytes(),
            digest_size=16,
        ).digest()
        for i in deep
    }

"""Pairs of slides that may be copies of each other, so that not every pair of a large cohort is compared in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spatialhist.tl._data.profiles import Profiles
from spatialhist.tl._data.signature import Signature
from spatialhist.tl._data.unit_rows import unit_rows

PARTNERS = 8
"""Slides that each is compared with, so that time is linear; a copy was among the first four of 200 (`benchmarks/duplicates.py`)."""
WORDS = 4096
"""Keypoints of the cohort that all others are called by: with fewer, what copies share of a small part is lost."""
DEEP, DEEPEST = 256, 64
"""Deepest spots of a slide that are searched, and that are looked for: half of the spots, thinned, keep those in common."""
VOTES = 5
"""Slides with the most similar spots that a spot votes for."""

Pairs = set[tuple[int, int]]


def may_share_pictures(signatures: Sequence[Signature], groups: Sequence[str]) -> Pairs:
    """Pairs of slides of different groups whose keypoints look most alike.

    Parameters
    ----------
    signatures
        One a slide.
    groups
        Group of each slide.

    Returns
    -------
    set[tuple[int, int]]
        Positions ``(first, second)``; all pairs where there are few slides.
    """
    apart = _apart(groups)
    if len(groups) <= PARTNERS + 1:
        return _pairs(apart)
    words = _words([s.descriptors for s in signatures])
    own, mirrored = (np.stack([_counts(s.descriptors, words) for s in way]) for way in _ways(signatures))
    # words on few slides tell the most
    weights = np.log(len(own) / np.maximum((own > 0).sum(axis=0), 1))
    # a word that one texture repeats over and over must not decide alone
    own, mirrored = (unit_rows(np.sqrt(counts) * weights) for counts in (own, mirrored))
    return _most_alike(np.maximum(own @ own.T, own @ mirrored.T), apart)


def may_share_counts(profiles: Sequence[Profiles], groups: Sequence[str]) -> Pairs:
    """Pairs of slides of different groups whose deepest spots are most alike; parameters as for pictures."""
    apart = _apart(groups)
    if len(groups) <= PARTNERS + 1:
        return _pairs(apart)
    deep = [p.sketches[p.deepest[:DEEP]] for p in profiles]
    votes = np.zeros(apart.shape)
    held = np.flatnonzero([len(d) > 0 for d in deep])
    if not len(held):
        return set()
    starts = np.cumsum([0, *(len(deep[i]) for i in held[:-1])])
    # one product for all slides, laid out one after the other: a product per pair would be quadratic in calls
    searched = np.concatenate([deep[i] for i in held]).T
    for i in held:
        best = np.maximum.reduceat(deep[i][:DEEPEST] @ searched, starts, axis=1)
        # slides of the own group are no candidates; votes that fall on them for want of others are dropped below
        best[:, ~apart[i, held]] = -np.inf
        for_slides = np.argpartition(-best, min(VOTES, len(held)) - 1, axis=1)[:, :VOTES]
        votes[i, held] = np.bincount(for_slides.ravel(), minlength=len(held))
    return _most_alike(votes, apart)


def _apart(groups: Sequence[str]) -> np.ndarray:
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    return codes[:, None] != codes


def _pairs(chosen: np.ndarray) -> Pairs:
    """Pairs of a boolean table, whichever of the two is named first."""
    return set(zip(*(at.tolist() for at in np.nonzero(np.triu(chosen | chosen.T))), strict=True))


def _most_alike(scores: np.ndarray, apart: np.ndarray) -> Pairs:
    """For each slide, those of other groups with the highest scores above zero."""
    scores = np.where(apart, np.maximum(scores, scores.T), 0)
    least = -np.partition(-scores, PARTNERS - 1, axis=1)[:, PARTNERS - 1 : PARTNERS]
    return _pairs((scores >= least) & (scores > 0))


def _words(descriptors: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptors of so many keypoints, the same for the same cohort."""
    every = np.concatenate(descriptors)
    # a fixed seed: which slides are compared must not depend on the seed of the models
    chosen = np.random.default_rng(0).permutation(len(every))[:WORDS]
    return unit_rows(every[chosen])


def _ways(signatures: Sequence[Signature]) -> Iterator[list[Signature]]:
    yield list(signatures)
    yield [s.mirrored() for s in signatures]


def _counts(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """How often a slide has each word."""
    if not len(descriptors):
        return np.zeros(len(words))
    return np.bincount((unit_rows(descriptors) @ words.T).argmax(axis=1), minlength=len(words))

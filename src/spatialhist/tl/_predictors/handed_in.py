"""Objects of the user's: what identifies them, and whether the one that is handed in again is the same."""

from __future__ import annotations

import warnings
from typing import Any

HASHES = ("fingerprint", "weights")
"""What :func:`identity` tells."""


def identity(value: object, what: str) -> dict[str, str]:
    """Hash of an object with all that it refers to, and of its weights; ``what`` names it in messages."""
    from spatialhist.nn._fingerprint import fingerprint, weights_fingerprint

    return {"fingerprint": fingerprint(value, what), "weights": weights_fingerprint(value, what)}


def check_same(value: object, what: str, argument: str, known: dict[str, Any]) -> None:
    """Compare an object that was handed in again with the one of training, as far as that is known.

    Raises
    ------
    ValueError
        If it brings other weights.
    """
    # torch is loaded where there is something to hash
    from spatialhist.nn._fingerprint import fingerprint, python_note, weights_fingerprint

    if "weights" in known and known["weights"] != weights_fingerprint(value, what):
        raise ValueError(
            f"{what} in {argument}=[...] holds other weights than the one that was trained: pass the same one, or train "
            "again"
        )
    if known.get("fingerprint") not in (None, fingerprint(value, what)):
        warnings.warn(
            f"{what} in {argument}=[...] has other settings or code than the one that was trained{python_note()}; it "
            "predicts with what was fitted then",
            stacklevel=4,
        )

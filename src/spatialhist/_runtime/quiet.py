"""Keep libraries quiet for a while; afterwards they speak as before."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def loggers_at(level: int, *names: str) -> Iterator[None]:
    """Set the level of loggers, and set it back."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)


@contextmanager
def warning_ignored(message: str, category: type[Warning], module: str) -> Iterator[None]:
    """Ignore a warning, also one of another thread.

    This removes its own filter alone: inside a generator, ``warnings.catch_warnings`` would take away the filters that
    the caller sets between two results.
    """
    warnings.filterwarnings("ignore", message, category, module)
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    own = filters[0]
    try:
        yield
    finally:
        filters = warnings.filters  # type: ignore[assignment]
        if own in filters:
            filters.remove(own)

"""Checkpoints of a training: written whole, and set aside where they cannot be read."""

from __future__ import annotations

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from spatialhist._runtime.files import take_place, whole_file


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write all, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as new:
        torch.save(checkpoint, new)


def read_checkpoint(path: Path, aside: Path) -> dict[str, Any] | None:
    """Read a checkpoint, None where there is none; one that cannot be read is moved aside, so that training starts again."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, UnpicklingError) as error:
        take_place(path, aside)
        warnings.warn(
            f"checkpoint {path} cannot be read ({type(error).__name__}): moved to {aside.name}, training starts again",
            stacklevel=3,
        )
        return None

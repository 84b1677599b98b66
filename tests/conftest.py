from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes says something of the machine, not of the code
settings.register_profile("spatialhist", deadline=None)
settings.load_profile("spatialhist")

os.environ.setdefault("MPLBACKEND", "Agg")

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def log_level():
    """Leave the level of the package's logger to each test; a command of the command line sets it."""
    logger = logging.getLogger("spatialhist")
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of real data, which holds `her2st/` and `formats/`."""
    root = Path(os.environ.get("SPATIALHIST_DATA", DEFAULT_DATA))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder; name one in SPATIALHIST_DATA")
    return root

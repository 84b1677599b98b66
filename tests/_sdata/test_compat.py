from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import pytest

from spatialhist._sdata.compat import quiet


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("zarr v3 autosharding will be the default", UserWarning),
        ("'n_jobs' is not a valid key!", SyntaxWarning),
        ("Parameter `area_threshold` is deprecated since version 0.26.0", FutureWarning),
    ],
)
def test_known_announcements_are_silenced_inside_only(message, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn(message, category, stacklevel=1)
        assert not caught
        warnings.warn(message, category, stacklevel=1)
        assert len(caught) == 1


def test_other_warnings_pass():
    with pytest.warns(UserWarning, match="mind this"), quiet():
        warnings.warn("mind this", UserWarning, stacklevel=1)


def test_masks_without_parent_are_not_reported(caplog):
    reader = logging.getLogger("ome_zarr.reader")
    with quiet():
        reader.warning("no parent found for %s: %s", "mask", None)
        reader.warning("broken")
    reader.warning("no parent found for %s: %s", "mask", None)
    assert [r.getMessage() for r in caplog.records] == ["broken", "no parent found for mask: None"]


BUSY_AT_EXIT = """
import time

import numpy as np
import zarr
from zarr.core import sync

import spatialhist._sdata.compat

zarr.array(np.arange(4.0), store={})
sync.loop[0].call_soon_threadsafe(time.sleep, 0.8)
"""


def test_a_busy_loop_of_zarr_ends_without_a_word():
    done = subprocess.run([sys.executable, "-c", BUSY_AT_EXIT], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

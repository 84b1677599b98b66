from __future__ import annotations

import logging
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

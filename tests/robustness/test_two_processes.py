"""Two processes on one run folder: one works, the other says so."""

from __future__ import annotations

import pytest
from small_cohorts import FAST

import spatialhist as sh
from spatialhist.tl import Ridge
from spatialhist.tl._runs import folder as _folder


def test_the_second_process_is_refused_and_the_first_goes_on(box, tmp_path):
    options = {"models": Ridge(components=6), "genes": 6, "groups": "patient", "out": tmp_path / "run", **FAST}
    with _folder.locked(tmp_path / "run"):
        before = box.digest()
        with pytest.raises(RuntimeError, match="another process works on .*run: wait for it, or choose another out="):
            sh.tl.cross_validate(box.sdata, **options)
        assert box.digest() == before
    assert sh.tl.cross_validate(box.sdata, **options).groups == ["P1", "P2", "P3"]

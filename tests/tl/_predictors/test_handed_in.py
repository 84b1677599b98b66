from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from spatialhist.tl._predictors.handed_in import check_same, identity


@dataclass
class Thing:
    size: int = 1
    weights: np.ndarray = field(default_factory=lambda: np.zeros(3))


def test_the_same_object_passes_in_silence(recwarn):
    check_same(Thing(), "thing", "things", identity(Thing(), "thing"))
    assert not recwarn


def test_hashes_of_an_earlier_version_are_not_known(recwarn):
    check_same(Thing(weights=np.ones(3)), "thing", "things", {"class": "custom:Thing"})
    assert not recwarn


def test_other_weights_are_refused_and_other_settings_told():
    known = identity(Thing(), "thing")
    with pytest.raises(ValueError, match=r"thing in things=\[...\] holds other weights"):
        check_same(Thing(weights=np.ones(3)), "thing", "things", known)
    with pytest.warns(UserWarning, match=r"thing in things=\[...\] has other settings or code"):
        check_same(Thing(size=2), "thing", "things", known)

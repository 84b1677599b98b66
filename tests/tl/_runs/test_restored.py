from __future__ import annotations

import pickle

import numpy as np
import pytest

from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures
from spatialhist.tl._runs.restored import Restored


@pytest.fixture
def read(monkeypatch):
    """Folders that are read, in order."""
    found = []
    fitted, load = Fit.fitted, TrainingFeatures.load
    monkeypatch.setattr(Fit, "fitted", lambda fit: found.append(fit.folder) or fitted(fit))
    monkeypatch.setattr(TrainingFeatures, "load", lambda folder: found.append(folder) or load(folder))
    return found


def test_fits_and_training_features_are_read_once(finished, read):
    _, cv, _ = finished
    restored, fits = Restored(), [cv.outer()["P1", "ridge"], cv.outer()["P2", "ridge"]]
    first = [restored.fitted(fit) for fit in [*fits, *fits]]
    assert first[0] is first[2]
    assert first[0] is not first[1]
    assert restored.training_features(cv.folder) is restored.training_features(cv.folder)
    assert read == [fits[0].folder, fits[1].folder, cv.folder]


def test_another_process_reads_them_itself(finished, read):
    _, cv, stacked = finished
    samples = cv.inputs.samples(np.arange(5))
    here = stacked.opened()
    before = len(pickle.dumps(here))
    expected = here.predict(samples)
    assert len(pickle.dumps(here)) == before
    there = pickle.loads(pickle.dumps(here))
    n = len(read)
    assert there.predict(samples).tobytes() == expected.tobytes()
    assert len(read) == 2 * n

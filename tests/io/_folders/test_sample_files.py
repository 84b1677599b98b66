from __future__ import annotations

import pytest

from spatialhist.io._folders.sample_files import find_file, first_file


def test_the_plain_name_goes_before_that_of_a_sample_and_the_first_name_before_others(tmp_path):
    (tmp_path / "spatial").mkdir()
    for name in ("B1_counts.h5", "counts.h5", "spatial/B1_spots.csv", "cells.csv"):
        (tmp_path / name).write_text("")
    assert find_file(tmp_path, "counts.h5") == tmp_path / "counts.h5"
    assert find_file(tmp_path, "spatial/spots.csv") == tmp_path / "spatial/B1_spots.csv"
    assert find_file(tmp_path, "spots.csv") is None
    assert first_file(tmp_path, ("bins.csv", "cells.csv", "counts.h5")) == tmp_path / "cells.csv"
    assert first_file(tmp_path / "absent", ("bins.csv",)) is None


def test_files_of_several_samples_are_named(tmp_path):
    for name in ("A1_counts.h5", "B1_counts.h5"):
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="holds 2 samples: A1_counts.h5, B1_counts.h5. Give each sample a folder"):
        find_file(tmp_path, "counts.h5")

from __future__ import annotations

import numpy as np
import pytest
from tests.io.conftest import make_adata

from spatialhist.io._anndata.libraries import choose, find_libraries, per_library, slide_ids


def names(adata):
    return {one.name: len(one.rows) for one in find_libraries(adata)}


def test_libraries_are_told_by_a_column():
    adata = make_adata("A", "B")[10:]
    assert names(adata) == {"A": 38, "B": 48}
    adata.obs = adata.obs.rename(columns={"library_id": "sample"})
    assert names(adata) == {"A": 38, "B": 48}
    adata.obs = adata.obs.drop(columns="sample")
    with pytest.raises(ValueError, match=r"libraries \['A', 'B'\], and no column .* adata.obs\['library_id'\]"):
        find_libraries(adata)


def test_one_library_needs_no_column_and_no_entry():
    adata = make_adata("A")
    adata.obs["library_id"] = "section 1"
    (library,) = find_libraries(adata)
    assert library.name == "section 1" and "images" in library.entry
    del adata.obs["library_id"]
    assert names(adata) == {"A": 48}
    del adata.uns["spatial"]
    assert names(adata) == {None: 48}
    assert slide_ids(find_libraries(adata), None) == ["S1"]


def test_spots_without_a_library_are_refused():
    adata = make_adata("A", "B")
    adata.obs["library_id"] = adata.obs["library_id"].astype(object)
    adata.obs.iloc[3, adata.obs.columns.get_loc("library_id")] = np.nan
    with pytest.raises(ValueError, match="names no library for 1 of 96 spots"):
        find_libraries(adata)


def test_what_is_said_of_libraries_belongs_to_them():
    libraries = find_libraries(make_adata("A 1", "B/2"))
    assert slide_ids(libraries, None) == ["A_1", "B_2"]
    assert slide_ids(libraries, {"B/2": "Z"}) == ["A_1", "Z"]
    assert per_library(libraries, {"B/2": 0.5}, "mpp") == [None, 0.5]
    assert per_library(libraries, 0.5, "mpp") == [0.5, 0.5]
    assert [one.name for one in choose(libraries, "B/2")] == ["B/2"]
    with pytest.raises(KeyError, match=r"no spots of library \['C'\]"):
        choose(libraries, ["C"])
    with pytest.raises(KeyError, match=r"mpp names the libraries \['C'\]"):
        per_library(libraries, {"C": 1}, "mpp")
    with pytest.raises(ValueError, match="slide='S1' is one id"):
        slide_ids(libraries, "S1")
    with pytest.raises(ValueError, match=r"would become slides \['A_1', 'A_1'\]"):
        slide_ids(find_libraries(make_adata("A 1", "A/1")), None)

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from spatialdata.models import TableModel
from tests._sdata.conftest import XY, one_slide

from spatialhist._sdata.alignment import set_alignment
from spatialhist._sdata.build import concat_slides
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.geometry import spot_centers
from spatialhist._sdata.subset import keep_spots

KEEP = np.array([True, False, True, False, True, True, True, True, True, True])


@pytest.fixture
def sdata():
    """Two slides; a table of other targets in other order and under other keys, and one that annotates a grid."""
    sdata = concat_slides([one_slide("S1"), one_slide("S2", patient="P2")])
    order = np.random.default_rng(0).permutation(10)
    main = sdata["table"].obs.iloc[order]
    obs = pd.DataFrame({"slide": main["region"], "spot": main["spot_id"].astype(str)}, index=main.index)
    cells = ad.AnnData(order[:, None].astype(float), obs=obs)
    sdata.tables["cells"] = TableModel.parse(cells, region=["S1", "S2"], region_key="slide", instance_key="spot")
    bare = TableModel.parse(ad.AnnData(np.ones((3, 1))))
    sdata.tables["bare"] = bare
    return sdata


def test_every_table_of_the_same_circles_stays_in_step(sdata):
    keep_spots(open_cohort(sdata), KEEP)
    assert sdata.shapes["S1"].index.tolist() == [0, 2, 4]
    assert sorted(sdata["cells"].X[:, 0]) == np.flatnonzero(KEEP).tolist()
    assert sdata["cells"].obs["spot"].astype(int).tolist() == (sdata["cells"].X[:, 0] % 5).tolist()
    assert sdata["bare"].n_obs == 3


def test_another_table_drops_from_the_main_one(sdata):
    cells = sdata["cells"]
    cells.obs = cells.obs.rename(columns={"slide": "region", "spot": "spot_id"})
    cells.uns["spatialdata_attrs"] = {"region": ["S1", "S2"], "region_key": "region", "instance_key": "spot_id"}
    keep_spots(open_cohort(sdata, "S2", table_key="cells"), cells.X[:, 0] != 7)
    assert sdata.shapes["S2"].index.tolist() == [0, 1, 3, 4]
    assert sdata["table"].obs["spot_id"].tolist() == [0, 1, 2, 3, 4, 0, 1, 3, 4]


def test_spots_that_another_table_alone_holds_stay(sdata):
    sdata.tables["table"] = sdata["table"][1:].copy()
    keep_spots(open_cohort(sdata), KEEP[1:])
    assert 0 in sdata.shapes["S1"].index
    assert 0 in sdata["cells"].X[:, 0]


def test_a_table_that_loses_every_spot_names_no_slide(sdata):
    few = sdata["cells"][np.isin(sdata["cells"].X[:, 0], [1, 3])].copy()
    sd.SpatialData.update_annotated_regions_metadata(few)
    sdata.tables["cells"] = few
    keep_spots(open_cohort(sdata), KEEP)
    assert sdata["cells"].n_obs == 0
    assert sdata["cells"].uns["spatialdata_attrs"]["region"] == []


def test_centers_of_every_table_follow_a_move(sdata):
    other = sdata["table"][::-1].copy()
    sdata.tables["other"] = other
    shift = np.array([[1.0, 0, 30], [0, 1, -7], [0, 0, 1]])
    set_alignment(sdata, sdata["table"], "S1", shift)
    np.testing.assert_allclose(other.obsm["spatial"][5:][::-1], XY + (30, -7))
    np.testing.assert_allclose(other.obsm["spatial"][:5][::-1], spot_centers(sdata, sdata["table"], "S2"))

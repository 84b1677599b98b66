from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spatialhist import pp
from spatialhist.pp import _spot_distances


def expected(xy, limit):
    distances = cdist(xy, xy)
    return np.where(distances <= limit, distances, 0)


def test_pitches_differ_between_slides_and_slides_never_meet(cohort):
    pp.spot_distances(cohort)
    table = cohort["table"]
    truth = np.zeros((54, 54))
    for rows, pitch in ((slice(0, 30), 20.0), (slice(30, 54), 26.0)):
        truth[rows, rows] = expected(table.obsm["spatial"][rows], 1.5 * pitch)
    np.testing.assert_allclose(table.obsp["spatial_distances"].toarray(), truth, rtol=1e-6)
    np.testing.assert_array_equal(table.obsp["spatial_connectivities"].toarray(), truth > 0)
    assert table.obsp["spatial_distances"].nnz == table.obsp["spatial_connectivities"].nnz == (truth > 0).sum()
    facts = table.uns["spatialhist"]["spatial_distances"]["slides"]
    assert facts["S1"]["pitch_px"] == pytest.approx(20.0)
    assert facts["S2"]["radius_px"] == pytest.approx(39.0)
    assert table.uns["spatial_neighbors"]["distances_key"] == "spatial_distances"


@pytest.mark.parametrize(("radius", "most"), [(1.5, 8), (1.2, 4)])
def test_square_lattices(slide_of, radius, most):
    x, y = np.meshgrid(np.arange(5) * 30.0 + 20, np.arange(4) * 30.0 + 20)
    sdata = slide_of("S1", np.column_stack([x.ravel(), y.ravel()]), np.ones((20, 2)), size=(190, 150))
    pp.spot_distances(sdata, radius=("pitch", radius))
    neighbors = np.asarray(sdata["table"].obsp["spatial_connectivities"].sum(axis=1)).ravel()
    assert neighbors[7] == most


@pytest.mark.parametrize("radius", [1.5, 1.2])
def test_hexagonal_lattices_have_six(cohort, radius):
    pp.spot_distances(cohort, radius=("pitch", radius))
    neighbors = np.asarray(cohort["table"].obsp["spatial_connectivities"].sum(axis=1)).ravel()
    assert neighbors[14] == 6
    assert neighbors.max() == 6


def test_micrometers(cohort):
    pp.spot_distances(cohort, radius=("um", 70.0), unit="um")
    distances = cohort["table"].obsp["spatial_distances"]
    assert distances[:30, :30].data.max() == pytest.approx(20 * np.sqrt(3) * 2, rel=1e-5)
    assert distances[30:, 30:].nnz == 0
    facts = cohort["table"].uns["spatialhist"]["spatial_distances"]
    assert facts["unit"] == "um"
    assert facts["slides"]["S2"] == {"radius_px": 17.5, "pitch_px": pytest.approx(26.0), "mpp": 4.0}


def test_rows_of_slides_may_be_mixed(cohort):
    order = np.random.default_rng(0).permutation(54)
    pp.spot_distances(cohort)
    sorted_graph = cohort["table"].obsp["spatial_distances"].toarray()
    mixed = cohort["table"][order].copy()
    del cohort.tables["table"]
    cohort.tables["table"] = mixed
    pp.spot_distances(cohort)
    np.testing.assert_array_equal(mixed.obsp["spatial_distances"].toarray(), sorted_graph[np.ix_(order, order)])


def test_squidpy_reads_the_graph(cohort):
    import squidpy as sq

    pp.spot_distances(cohort)
    sq.gr.spatial_autocorr(cohort["table"], mode="moran", n_perms=None)
    assert len(cohort["table"].uns["moranI"]) == 8


def test_equals_squidpy_where_one_radius_serves_all_slides(cohort):
    import squidpy as sq

    pp.spot_distances(cohort, radius=("px", 36.0))
    theirs = sq.gr.spatial_neighbors_radius(cohort["table"].copy(), radius=36.0, library_key="region", copy=True)
    ours = cohort["table"].obsp
    np.testing.assert_allclose(ours["spatial_distances"].toarray(), theirs.distances.toarray(), rtol=1e-6)
    np.testing.assert_array_equal(ours["spatial_connectivities"].toarray(), theirs.connectivities.toarray())


def test_spots_in_one_place_are_neighbors_without_a_distance(slide_of):
    xy = np.array([[30.0, 40.0], [30, 40], [36, 48]])
    sdata = slide_of("S1", xy, np.ones((3, 2)), size=(90, 80))
    pp.spot_distances(sdata, radius=("px", 10.0))
    np.testing.assert_array_equal(sdata["table"].obsp["spatial_connectivities"].toarray(), 1 - np.eye(3))
    np.testing.assert_array_equal(
        sdata["table"].obsp["spatial_distances"].toarray(), [[0, 0, 10], [0, 0, 10], [10, 10, 0]]
    )


def test_a_single_spot_has_no_neighbors(slide_of):
    sdata = slide_of("S1", np.array([[30.0, 40.0]]), np.ones((1, 2)), size=(90, 80))
    pp.spot_distances(sdata, radius=("px", 10.0))
    assert sdata["table"].obsp["spatial_distances"].nnz == 0
    with pytest.raises(ValueError, match="single spot, so its spot spacing is unknown"):
        pp.spot_distances(sdata)


def test_other_names(cohort):
    pp.spot_distances(cohort, key_added="near")
    assert {"near_distances", "near_connectivities"} <= set(cohort["table"].obsp)
    assert "near_neighbors" in cohort["table"].uns


def test_what_a_slide_lacks_is_named(cohort):
    cohort.attrs["spatialhist"]["slides"]["S2"]["mpp"] = None
    with pytest.raises(ValueError, match="'S2' has no mpp"):
        pp.spot_distances(cohort, unit="um")
    with pytest.raises(ValueError, match="unit='mm' is not one of"):
        pp.spot_distances(cohort, unit="mm")
    assert not cohort["table"].obsp


def test_a_radius_that_reaches_all_spots_of_a_large_slide_is_refused(cohort, monkeypatch):
    monkeypatch.setattr(_spot_distances, "MAX_LAYER_GB", 1e-5)
    with pytest.raises(MemoryError, match="'S1' has about 900 pairs of spots.*take a smaller radius"):
        pp.spot_distances(cohort, radius=("px", 1e6))
    pp.spot_distances(cohort)
